//! The thread of a shard: its start, its end, and the next one when io_uring is refused to it.
//! Nothing is handled here, and no shard waits for the thread of another.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, PoisonError, mpsc};
use std::thread::JoinHandle;

use springtide_engine::{Engine, EngineOptions, Error, Handle, Mechanism, spawn_thread};

use super::{Failure, Plan, Ready, set_up};
use crate::current;
use crate::freeze::Handoff;
use crate::mailbox::{Neighbour, stop_all};
use crate::metrics::ShardCounts;
use crate::report;
use crate::shard::{Kept, Ran, Shard, Standing};

/// What a shard fails with that ran into a bug of its own.
pub(super) const PANICKED: Error =
    Error::Misuse("a shard's own code panicked; this is a bug of Springtide");

/// The thread of a shard. It ends with the shard, or gives the thread in which the shard goes on.
pub(super) struct ShardThread(JoinHandle<Option<ShardThread>>);

impl ShardThread {
    /// Starts a shard, which tells when it is ready and serves when it may.
    ///
    /// # Errors
    /// The system has no thread left.
    pub(super) fn start(
        context: Context,
        mechanism: Mechanism,
        plan: Plan,
        start: Start,
    ) -> io::Result<Self> {
        let name = context.name();
        spawn_thread(&name, move || context.begin(mechanism, plan, &start)).map(Self)
    }

    /// Waits until the shard has ended, in whatever thread.
    pub(super) fn join(self) -> std::thread::Result<()> {
        let mut thread = self;
        while let Some(next) = thread.0.join()? {
            thread = next;
        }
        Ok(())
    }
}

/// What is between a thread's start and its first turn.
pub(super) struct Start {
    /// Where it tells that it is ready.
    pub(super) ready: mpsc::SyncSender<Ready>,
    /// What it waits for then.
    pub(super) opened: mpsc::Receiver<()>,
}

/// A shard on its way to another thread, because the system refused its engine.
struct Refused {
    refusal: Error,
    standing: Standing,
    handoff: Box<Handoff>,
}

/// What all threads of one shard know.
#[derive(Clone)]
pub(super) struct Context {
    pub(super) number: usize,
    pub(super) spin_us: u32,
    pub(super) operations_max: u32,
    pub(super) counts: Arc<ShardCounts>,
    pub(super) failure: Failure,
}

impl Context {
    fn name(&self) -> String {
        format!("springtide-{}", self.number)
    }

    /// The first thread: makes the shard and runs it.
    fn begin(self, mechanism: Mechanism, plan: Plan, start: &Start) -> Option<ShardThread> {
        let _turning = current::turn();
        let is_free = plan.settings.mechanism.is_none();
        let made = self.first_engine(mechanism, is_free).map_err(crate::Error::Engine);
        match made.and_then(|engine| set_up(engine, plan, self.counts.clone())) {
            Ok((shard, mailbox, addresses)) => {
                // Who started this thread waits for the answer.
                let _ = start.ready.send(Ok((mailbox, shard.hatch(), addresses)));
                // A server that was given up has told the shard to stop, which takes turns.
                let _ = start.opened.recv();
                self.run(shard)
            }
            Err(error) => {
                self.counts.end();
                let _ = start.ready.send(Err(error));
                None
            }
        }
    }

    /// Handlers are caught where they are called: a panic that comes here is a bug of ours, and a
    /// server with a dead shard would leave its connections waiting.
    fn run(self, mut shard: Shard) -> Option<ShardThread> {
        let ran = catch_unwind(AssertUnwindSafe(|| shard.run()));
        match ran.unwrap_or(Err(PANICKED)) {
            Ok(Ran::ToItsEnd) => None,
            Ok(Ran::UntilRefused(refusal, handoff)) => {
                let (standing, kept) = shard.leave();
                let refused = Refused { refusal, standing, handoff };
                match kept {
                    // What the application holds cannot leave this thread.
                    Some(kept) => self.go_on(refused, Some(kept)),
                    None => self.change(refused),
                }
            }
            Err(error) => {
                self.fail(error, shard.neighbours());
                None
            }
        }
    }

    /// The shard goes on in a new thread. Where io_uring_register is refused too, the ring goes with
    /// the thread that made it, and until then it holds what is closed: the old thread must end.
    fn change(self, refused: Refused) -> Option<ShardThread> {
        let (sender, receiver) = mpsc::sync_channel(1);
        let (name, next) = (self.name(), self.clone());
        let spawned = spawn_thread(&name, move || {
            // It fails only when this thread could not be had, and then this does not run.
            let _turning = current::turn();
            receiver.recv().ok().and_then(|refused| next.go_on(refused, None))
        });
        let Ok(thread) = spawned else {
            // A sandbox may forbid threads as well: better that some peers see their end late.
            return self.go_on(refused, None);
        };
        // There is room for one, and the thread takes it.
        let _ = sender.send(refused);
        Some(ShardThread(thread))
    }

    /// Goes on with a refused shard, over what there is behind io_uring.
    fn go_on(self, refused: Refused, kept: Option<Kept>) -> Option<ShardThread> {
        let neighbours = refused.standing.neighbours.clone();
        let thawed = catch_unwind(AssertUnwindSafe(|| self.thaw(refused, kept)));
        match thawed.unwrap_or(Err(PANICKED)) {
            Ok(shard) => self.run(shard),
            Err(error) => {
                self.fail(error, &neighbours);
                None
            }
        }
    }

    fn thaw(&self, refused: Refused, kept: Option<Kept>) -> Result<Shard, Error> {
        let Refused { refusal, standing, handoff } = refused;
        let engine = self.spare_engine()?;
        report::error(format_args!(
            "io_uring was refused while shard {} ran ({refusal}): it goes on over {} with {} \
             connections, frozen within {} turns",
            self.number,
            engine.name(),
            handoff.connections.len(),
            handoff.turns,
        ));
        Ok(Shard::thaw(standing, engine, *handoff, kept))
    }

    /// The first shards may have taken what the user may lock: where the mechanism was chosen
    /// freely, the others need not fail for it.
    fn first_engine(&self, mechanism: Mechanism, is_free: bool) -> Result<Box<dyn Handle>, Error> {
        let made = self.engine(mechanism);
        let Err(refused @ Error::Refused(_)) = &made else { return made };
        if !is_free {
            return made;
        }
        let engine = self.spare_engine()?;
        report::error(format_args!("shard {} runs on {}: {refused}", self.number, engine.name()));
        Ok(engine)
    }

    /// What there is behind io_uring: epoll, or poll(2), which needs less.
    fn spare_engine(&self) -> Result<Box<dyn Handle>, Error> {
        self.engine(Mechanism::Epoll).or_else(|error| {
            let spare = self.engine(Mechanism::Poll)?;
            report::error(format_args!("shard {} cannot have epoll: {error}", self.number));
            Ok(spare)
        })
    }

    fn engine(&self, mechanism: Mechanism) -> Result<Box<dyn Handle>, Error> {
        let shard = u16::try_from(self.number).expect("there are at most SHARDS_MAX workers");
        let Self { spin_us, operations_max, .. } = *self;
        let own = EngineOptions::default();
        let options = EngineOptions { shard, spin_us, operations_max, ..own };
        Ok(Box::new(Engine::new(mechanism, options)?))
    }

    /// The shard cannot go on, and no other one without it.
    fn fail(&self, error: Error, neighbours: &[Neighbour]) {
        *self.failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
        self.counts.end();
        stop_all(neighbours);
        report::error(format_args!("a shard cannot go on: {error}"));
    }
}
