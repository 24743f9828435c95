//! WebSocket by its rules, section by section: each case whole, at every split and byte by byte, as a
//! server and as a client. Nothing here may depend on how the bytes were cut.

mod costs;
mod driver;
mod handshake;
mod properties;
mod rules;
mod sending;
mod times;
