//! Which mechanism of the system a server's engine uses.
//! It starts no engine: that it works is tried, and the trial ends.

use springtide_engine::{Choice, Mechanism};

use crate::error::Error;

/// Which mechanism of the system the engine uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Engine {
    /// The fastest that works here, found out by trying.
    #[default]
    Auto,
    /// io_uring, or nothing.
    Uring,
    /// epoll, or nothing.
    Epoll,
    /// poll(2), where epoll is not to be had: what it costs grows with the connections.
    Poll,
}

impl Engine {
    /// Tries whether it works here, as a server does when it starts.
    ///
    /// # Errors
    /// It does not: the error names the cause and the cure.
    ///
    /// ```
    /// if let Err(error) = springtide::Engine::Uring.probe() {
    ///     println!("io_uring does not work: {error}");
    /// }
    /// ```
    pub fn probe(self) -> Result<(), springtide_engine::Error> {
        Choice::probe(self.mechanism()).map(|_| ())
    }

    pub(super) const fn mechanism(self) -> Option<Mechanism> {
        match self {
            Self::Auto => None,
            Self::Uring => Some(Mechanism::Uring),
            Self::Epoll => Some(Mechanism::Epoll),
            Self::Poll => Some(Mechanism::Poll),
        }
    }
}

impl std::str::FromStr for Engine {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        match text {
            "auto" => Ok(Self::Auto),
            "uring" => Ok(Self::Uring),
            "epoll" => Ok(Self::Epoll),
            "poll" => Ok(Self::Poll),
            _ => Err(Error::UnknownEngine(text.to_owned())),
        }
    }
}
