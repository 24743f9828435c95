//! What the engine needs of the operating system outside its backends, one file per system.
//! Chosen here and nowhere else.

mod linux;

pub(crate) use linux::*;
pub use linux::{
    SocketFile, descriptors_max_raise, keep_alive, prepare_listener, processors, spawn_thread,
};
