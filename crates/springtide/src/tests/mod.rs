//! The whole server, turn by turn on one thread, over every backend; tests are data where they can.
//! Peers are driven between turns: no threads, no sleeps, and on the simulated backend no time.

mod access;
mod admin;
mod attacks;
mod bodies;
mod client;
mod compress;
mod datagrams;
mod detecting;
mod ends;
mod errors;
mod event;
mod events;
mod exchanges;
mod extract;
mod fairness;
mod files;
mod framed;
mod freeze;
mod fs;
mod futures;
mod limits;
mod memory;
mod middleware;
mod offload;
#[cfg(feature = "tokio")]
mod on_tokio;
mod peers;
mod protocols;
mod proxied;
mod remote;
mod stage;
mod standalone;
mod state;
mod streams;
mod time;
mod timers;
mod transport;
mod upgrade;
mod watch;
mod websocket;

pub(crate) use stage::{Backend, Correspondent, Peer, Stage};

/// Makes one test per mechanism of the system of a function that takes a backend.
macro_rules! over_system_backends {
    ($($name:ident),* $(,)?) => {
        mod uring {
            $(#[test] fn $name() { super::$name(crate::tests::Backend::Uring); })*
        }
        mod epoll {
            $(#[test] fn $name() { super::$name(crate::tests::Backend::Epoll); })*
        }
        mod poll {
            $(#[test] fn $name() { super::$name(crate::tests::Backend::Poll); })*
        }
    };
}
/// Makes one test per backend of a function that takes one, and one of a shard that is frozen and
/// thawed all the time.
macro_rules! over_all_backends {
    ($($name:ident),* $(,)?) => {
        crate::tests::over_system_backends!($($name),*);
        mod moving {
            $(#[test] fn $name() { super::$name(crate::tests::Backend::Moving); })*
        }
        crate::tests::over_simulated_backends!($($name),*);
    };
}
/// One test per backend, of a shard that stays where it is: what waits in futures cannot be frozen.
macro_rules! over_still_backends {
    ($($name:ident),* $(,)?) => {
        crate::tests::over_system_backends!($($name),*);
        mod simulated {
            $(#[test] fn $name() { super::$name(crate::tests::Backend::Simulated); })*
        }
    };
}
/// The same for functions that need virtual time.
macro_rules! over_simulated_backends {
    ($($name:ident),* $(,)?) => {
        mod simulated {
            $(#[test] fn $name() { super::$name(crate::tests::Backend::Simulated); })*
        }
        mod moving_simulated {
            $(#[test] fn $name() { super::$name(crate::tests::Backend::MovingSimulated); })*
        }
    };
}
pub(crate) use over_all_backends;
pub(crate) use over_simulated_backends;
pub(crate) use over_still_backends;
pub(crate) use over_system_backends;
