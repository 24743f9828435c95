//! The shard in the background: a thread for connections of whoever has no server.
//! The first use starts it, and the last handle stops it: the one state that stands in a static.

use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use springtide_engine::{Choice, Error as EngineError, Mechanism, OpKind};

use crate::error::Error;
use crate::limits::Limits;
use crate::peer::{Link, Reason};
use crate::running::{self, Running};
use crate::server::Server;
use crate::task::Hatch;

/// The shard that all share while there is one.
static SHARED: Mutex<Weak<Background>> = Mutex::new(Weak::new());

/// How long what was written may take to leave when the last handle is gone.
const PATIENCE: Duration = Duration::from_secs(30);
/// Connections that it has room for.
const CONNECTIONS_MAX: usize = 1 << 16;

/// A shard for as long as somebody holds this.
pub(crate) struct Background {
    running: Running,
    hatch: Arc<Hatch>,
}

impl Background {
    /// The shared one, started if there is none.
    ///
    /// # Errors
    /// The system refuses a thread, an engine or descriptors.
    pub(crate) fn shared() -> Result<Arc<Self>, Reason> {
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(own) = shared.upgrade().filter(|own| !own.hatch.has_ended()) {
            return Ok(own);
        }
        let own = Self::start(None)?;
        *shared = Arc::downgrade(&own);
        Ok(own)
    }

    /// Starts one, over a mechanism or the fastest that works.
    pub(crate) fn start(mechanism: Option<Mechanism>) -> Result<Arc<Self>, Reason> {
        let choice = Choice::probe(mechanism).map_err(Reason::System)?;
        let limits = Limits {
            connections_max: CONNECTIONS_MAX,
            // Who made a connection says when it ends.
            raw_idle_timeout_ms: u64::MAX,
            ..Limits::default()
        };
        let running = running::bind(Server::new().workers(1).limits(limits), choice);
        let running = running.map_err(|error| said(&error))?.serve();
        let hatch = running.hatch().ok_or(Reason::Stale)?.clone();
        let own = Arc::new(Self { running, hatch });
        own.hatch.belong_to(Arc::downgrade(&own));
        Ok(own)
    }

    /// What leads to its shard, which goes on for as long as somebody holds this.
    pub(crate) fn link(&self) -> Arc<Link> {
        Link::to(self.hatch.clone())
    }
}

impl Drop for Background {
    /// It ends by itself: nobody who drops a handle waits for that.
    fn drop(&mut self) {
        self.running.stop(PATIENCE);
    }
}

/// Why it cannot be started.
fn said(error: &Error) -> Reason {
    match error {
        Error::Engine(error) | Error::Shard(error) => Reason::System(*error),
        Error::Thread(error) => Reason::System(EngineError::from_io(OpKind::Start, error)),
        _ => Reason::Stale,
    }
}
