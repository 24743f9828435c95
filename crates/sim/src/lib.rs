//! Histories, oracles and counts over the simulated backend: what finds the bugs nobody thought of.
//! The faults themselves live in the engine's backend; nothing here is needed to run a server.
//!
//! A [`History`] is plain data that follows from a seed: a server's limits and faults, what each
//! peer says and how it ends, and the events by which peers, time, files and shards move on.
//! [`play`] plays one and compares everything that peers see with what a model says. Where no fault
//! disturbs, everything must be done before time moves on; of a server that is told to stop, whatever
//! it has received the first byte of, or handled, must be answered; in the end bytes sent are bytes
//! that came, and descriptors and chunks are back.
//! [`machine::play`] does the same for replies that no history has, on the machine alone, and
//! [`SIDES`] for raw connections, their tasks, and frames, and for WebSockets and topics.
//! [`shrink`] makes a history that fails small. The same history is played the same to the bit.
#![forbid(unsafe_code)]

mod ask;
mod chance;
mod coverage;
mod failure;
mod history;
pub mod machine;
mod malformed;
mod model;
mod oracle;
mod pace;
mod peer;
mod play;
mod player;
mod raw;
mod reader;
mod scene;
mod script;
mod shrink;
mod side;
mod site;
mod sockets;
mod theme;

pub use coverage::Coverage;
pub use failure::Failure;
pub use history::{EVENTS_MAX, EVENTS_MIN, Event, History};
pub use play::{Played, play};
pub use shrink::shrink;
pub use side::SideKind;

/// The histories that only some seeds have.
pub const SIDES: [SideKind; 2] = [SideKind::of::<raw::Raw>(), SideKind::of::<sockets::Sockets>()];
