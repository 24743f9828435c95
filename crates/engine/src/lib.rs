//! Springtide's engine: operations in, completions out, on io_uring, epoll, poll or a simulated world.
//! It knows no protocol, and it never calls code of the application: what ended is listed.
//!
//! An [`Engine`] belongs to one thread, the shard. [`Handle::submit`] starts an operation and
//! gives it its memory; [`Handle::turn`] submits, waits and lists what has ended, with the memory
//! given back. Nothing is lent in between.
//!
//! ```
//! use std::time::Duration;
//! use springtide_engine::{Engine, EngineOptions, Handle, Mechanism, Op, Outcome};
//!
//! # fn main() -> Result<(), springtide_engine::Error> {
//! let mut engine = Engine::new(Mechanism::Epoll, EngineOptions::default())?;
//! let at = engine.now() + Duration::from_millis(2);
//! engine.submit(Op::Timeout { at }, 7);
//! let mut completions = Vec::new();
//! while completions.is_empty() {
//!     engine.turn(None, &mut completions)?;
//! }
//! assert_eq!(completions[0].token, 7);
//! assert!(matches!(completions[0].outcome, Outcome::Expired));
//! # Ok(())
//! # }
//! ```
#![warn(missing_docs, clippy::cast_possible_truncation)]
#![cfg_attr(test, allow(clippy::unwrap_used, reason = "a test fails by panicking"))]

mod backend;
mod callback;
mod chunk;
mod clock;
mod completion;
mod descriptors;
mod engine;
mod error;
mod handle;
mod intake;
mod ledger;
mod op;
mod options;
mod pages;
mod promise;
mod refusal;
mod sheet;
mod slots;
mod stats;
mod sync;
mod system;
mod wake;
mod wheel;
mod workers;

pub use backend::{open_listener, simulated};
pub use callback::{CALLBACK_BYTES_MAX, Callback};
pub use chunk::{CHUNK_BYTES, COPY_BYTES_MAX, Chunk};
pub use clock::{Moment, system_now, time_until};
pub use completion::{Completion, Entry, Listing, Memory, Metadata, Outcome};
pub use engine::Engine;
pub use error::{Error, OpKind};
pub use handle::Handle;
pub use intake::Intake;
pub use op::{
    DATAGRAM_BYTES_MAX, Datagram, Descriptor, FilePart, Op, OpenOptions, PIECES_MAX, Piece, Route,
    SEND_BYTES_MAX, Spliced, Taken,
};
pub use options::{Address, Choice, EngineOptions, ListenOptions, Mechanism};
pub use pages::{GENERATION_BITS, Pages};
pub use promise::{Phase, Promise};
pub use refusal::Refusal;
pub use sheet::Sheet;
pub use slots::{Key, OPERATIONS_MAX, SHARDS_MAX};
pub use stats::Stats;
pub use system::{
    SocketFile, descriptors_max_raise, keep_alive, prepare_listener, processors, spawn_thread,
};
pub use wake::{Signal, Waker};
pub use wheel::Wheel;
