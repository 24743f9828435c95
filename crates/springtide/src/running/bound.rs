//! A server whose addresses are bound and that does not serve yet.
//! Nobody is answered before it is told to serve; connections wait to be accepted.

use std::sync::mpsc;
use std::time::Duration;

use springtide_engine::Address;

use super::{Plan, Running};
use crate::error::Error;

/// Lets a shard take turns.
pub(super) type Gate = mpsc::SyncSender<()>;

/// A server that listens and does not accept yet, by [`Server::bind`](crate::Server::bind): the time
/// to give up what only binding needed, as the rights of root. Dropped, it listens no more.
///
/// ```
/// # fn main() -> Result<(), springtide::Error> {
/// let bound = springtide::Server::new().workers(1).listen("127.0.0.1:0")?.bind()?;
/// println!("listening at {:?}, and about to serve", bound.addresses());
/// let running = bound.serve();
/// # running.drain();
/// # running.join()
/// # }
/// ```
#[derive(Debug)]
pub struct Bound {
    /// None once it serves.
    running: Option<Running>,
    gates: Vec<Gate>,
}

const IS_BOUND: &str = "only `serve` takes it, which takes all";

impl Bound {
    pub(super) const fn new(running: Running) -> Self {
        Self { running: Some(running), gates: Vec::new() }
    }

    fn running(&mut self) -> &mut Running {
        self.running.as_mut().expect(IS_BOUND)
    }

    pub(super) fn add_shard(&mut self, plan: &mut Plan, number: usize) -> Result<(), Error> {
        let gate = self.running().start_shard(plan, number)?;
        self.gates.push(gate);
        Ok(())
    }

    pub(super) fn add_admin(&mut self, addresses: Vec<Address>) -> Result<(), Error> {
        let mut admin = self.running().bind_admin(addresses)?;
        self.gates.append(&mut admin.gates);
        self.running().admin = admin.running.take().map(Box::new);
        Ok(())
    }

    /// Where the server listens, with the real ports.
    #[must_use]
    pub fn addresses(&self) -> &[Address] {
        self.running.as_ref().expect(IS_BOUND).addresses()
    }

    /// Accepts and answers from here on.
    #[must_use]
    pub fn serve(mut self) -> Running {
        let running = self.running.take().expect(IS_BOUND);
        running.introduce();
        for gate in self.gates.drain(..) {
            // A shard waits for it, or has failed, which `Running::join` tells.
            let _ = gate.send(());
        }
        running
    }
}

impl Drop for Bound {
    /// Ends what does not serve; how each end came about is of no interest.
    fn drop(&mut self) {
        if let Some(running) = self.running.take() {
            running.stop(Duration::ZERO);
            self.gates.clear();
            let _ = running.join();
        }
    }
}
