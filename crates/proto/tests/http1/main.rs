//! The HTTP/1.1 machine from outside: tables of inputs, each given whole, at every split and byte
//! by byte. It must never look inside the machine, so that the tests survive a rewrite.
#![allow(clippy::unwrap_used, reason = "a test may unwrap, its helpers too")]
#![allow(clippy::too_many_lines, reason = "a table of cases is as long as it has cases")]

mod attacks;
mod bodies;
mod client;
mod deadlines;
mod driver;
mod freezing;
mod heads;
mod limits;
mod order;
mod properties;
mod replies;
mod requirements;
