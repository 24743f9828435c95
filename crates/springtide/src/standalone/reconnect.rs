//! Connections that are made again: a policy around a client, which makes none by itself.
//! Nothing that was written is written again: what was taken, and what was not, is told by its task.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use super::{Client, Connector};
use crate::peer::{Link, Peer, PeerStatus, Pieces, Reason};
use crate::task::{
    Ask, Due, Elsewhere, Ended, Gone, Linked, Outgoing, Pull, RemoteCanceller, Task,
};

/// How a connection is made again when it ends, or cannot be made: after a while, which grows.
///
/// The first wait is 100 ms at most and each further one twice as long, up to 30 s; of each, at least a
/// half is waited, by chance, so that clients that lost a server together do not come back together.
/// A connection that stood begins anew with the first.
///
/// ```no_run
/// use std::time::Duration;
/// use springtide::{Client, Reconnect};
///
/// # fn main() -> Result<(), springtide::Reason> {
/// let connector = Client::connector().address("tides.example:7000");
/// let client = Reconnect::new(connector).back_off_max(Duration::from_secs(5)).connect()?;
/// client.connected().wait()?;
/// client.write("high tide\n").wait()?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use = "it connects when it is told to"]
pub struct Reconnect {
    connector: Connector,
    back_off: Duration,
    back_off_max: Duration,
    attempts_max: u32,
}

/// A connection that is made again when it ends, for any thread; see [`Reconnect`].
///
/// What is asked is asked of the connection that stands, and ends with that one's reason: nothing is
/// carried over to the next, as nobody knows what its peer has seen. While none stands it fails at once
/// with [`Reason::NotConnected`]; [`connected`](Self::connected) waits for one. Clones are the same;
/// with the last of them it all ends.
#[derive(Clone)]
pub struct SteadyClient {
    inner: Arc<Inner>,
}

struct Inner {
    policy: Reconnect,
    /// What leads to the shard, and keeps it.
    home: Arc<Link>,
    state: Mutex<State>,
}

struct State {
    standing: Standing,
    /// Attempts that failed one after the other.
    failures: u32,
    /// Who waits for a connection.
    waiting: Vec<Due>,
    /// What gives the present attempt up.
    attempt: Option<RemoteCanceller>,
}

enum Standing {
    Connecting,
    Open(Client),
    Over(Reason),
}

impl Reconnect {
    /// Makes connections of this connector, again and again.
    pub const fn new(connector: Connector) -> Self {
        let (back_off, back_off_max) = (Duration::from_millis(100), Duration::from_secs(30));
        Self { connector, back_off, back_off_max, attempts_max: u32::MAX }
    }

    /// The longest first wait; each further one is twice as long.
    pub const fn back_off(mut self, first: Duration) -> Self {
        self.back_off = first;
        self
    }

    /// The longest wait of all.
    pub const fn back_off_max(mut self, most: Duration) -> Self {
        self.back_off_max = most;
        self
    }

    /// How many attempts may fail one after the other; then it is over, with the reason of the last.
    /// Where nothing is said there is no end.
    pub const fn attempts_max(mut self, count: u32) -> Self {
        self.attempts_max = count;
        self
    }

    /// Begins with the first attempt, on the shard whose futures or callbacks run here, or on the one in
    /// the background.
    ///
    /// # Errors
    /// There is no address, or the background cannot be started.
    pub fn connect(self) -> Result<SteadyClient, Reason> {
        let home = self.connector.link()?;
        let state = State {
            standing: Standing::Connecting,
            failures: 0,
            waiting: Vec::new(),
            attempt: None,
        };
        let inner = Arc::new(Inner { policy: self, home, state: Mutex::new(state) });
        inner.try_again(Duration::ZERO);
        Ok(SteadyClient { inner })
    }

    /// How long to wait behind so many failures, at most.
    fn wait_behind(&self, failures: u32) -> Duration {
        let doubled = 2u32.saturating_pow(failures.saturating_sub(1));
        self.back_off.saturating_mul(doubled).min(self.back_off_max)
    }
}

impl Inner {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins another attempt behind a wait.
    fn try_again(self: &Arc<Self>, back_off: Duration) {
        let task = self.policy.connector.begin(&self.home, back_off);
        if let Some(reason) = task.refusal() {
            return self.finish(reason);
        }
        let mut state = self.state();
        if matches!(state.standing, Standing::Over(_)) {
            return;
        }
        state.attempt = task.canceller();
        drop(state);
        let driver = Driver(Arc::downgrade(self));
        task.then_result(move |peer, result| {
            if let Some(own) = driver.take() {
                own.attempted(peer, result);
            }
        });
    }

    /// How an attempt came out; on the shard.
    fn attempted(self: &Arc<Self>, peer: Peer, result: Result<Client, Reason>) {
        match result {
            Ok(client) => {
                let mut state = self.state();
                if matches!(state.standing, Standing::Over(_)) {
                    drop(state);
                    return drop(client);
                }
                (state.failures, state.attempt) = (0, None);
                state.standing = Standing::Open(client.clone());
                let waiting = std::mem::take(&mut state.waiting);
                drop(state);
                self.watch(peer);
                for due in waiting {
                    due.end(Ended::Linked(Linked(client.link())));
                }
            }
            Err(reason) => self.failed(reason),
        }
    }

    /// The connection that stands is to be made again when it has ended.
    fn watch(self: &Arc<Self>, peer: Peer) {
        let driver = Driver(Arc::downgrade(self));
        Task::<Gone>::ask(peer, Ask::Watch).then_result(move |_, gone| {
            if let Some(own) = driver.take() {
                own.failed(gone.unwrap_or_else(|reason| reason));
            }
        });
    }

    /// There is no connection any more, or none yet.
    fn failed(self: &Arc<Self>, reason: Reason) {
        let mut state = self.state();
        if matches!(state.standing, Standing::Over(_)) {
            return;
        }
        let before = std::mem::replace(&mut state.standing, Standing::Connecting);
        state.failures = state.failures.saturating_add(1);
        let failures = state.failures;
        drop(state);
        drop(before);
        let is_final = matches!(reason, Reason::Stopped | Reason::Cancelled | Reason::Stale);
        if is_final || failures >= self.policy.attempts_max {
            return self.finish(reason);
        }
        self.try_again(self.policy.wait_behind(failures));
    }

    /// It is over.
    fn finish(&self, reason: Reason) {
        let mut state = self.state();
        let before = std::mem::replace(&mut state.standing, Standing::Over(reason));
        let (waiting, attempt) = (std::mem::take(&mut state.waiting), state.attempt.take());
        drop(state);
        drop(before);
        if let Some(attempt) = attempt {
            attempt.cancel();
        }
        for due in waiting {
            due.end(Ended::Failed(reason));
        }
    }
}

/// Goes on with a connection when something has ended, and ends it all when nobody calls it any more.
struct Driver(Weak<Inner>);

impl Driver {
    fn take(mut self) -> Option<Arc<Inner>> {
        std::mem::take(&mut self.0).upgrade()
    }
}

impl Drop for Driver {
    /// The shard may end without a word.
    fn drop(&mut self) {
        if let Some(own) = self.0.upgrade() {
            own.finish(Reason::Stale);
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.finish(Reason::Closed);
    }
}

impl SteadyClient {
    /// The connection that stands.
    ///
    /// # Errors
    /// [`Reason::NotConnected`] while none does; why it is over, when it is.
    pub fn client(&self) -> Result<Client, Reason> {
        match &self.inner.state().standing {
            Standing::Open(client) => Ok(client.clone()),
            Standing::Connecting => Err(Reason::NotConnected),
            Standing::Over(reason) => Err(*reason),
        }
    }

    /// Waits for a connection: gives the one that stands, or the next, or fails with why there will be
    /// none any more.
    pub fn connected(&self) -> Task<Outgoing, Elsewhere> {
        let (task, due) = match Task::pledge(&self.inner.home) {
            Ok(pledge) => pledge,
            Err(reason) => return Task::lost(reason),
        };
        let mut state = self.inner.state();
        let ended = match &state.standing {
            Standing::Open(client) => Ended::Linked(Linked(client.link())),
            Standing::Over(reason) => Ended::Failed(*reason),
            Standing::Connecting => {
                if state.waiting.len().is_power_of_two() {
                    state.waiting.retain(Due::is_wanted);
                }
                state.waiting.push(due);
                return task;
            }
        };
        drop(state);
        due.end(ended);
        task
    }

    /// How it stands: `Connecting` while it waits or tries, `Closed` when it is over.
    #[must_use]
    pub fn status(&self) -> PeerStatus {
        match &self.inner.state().standing {
            Standing::Open(client) => client.status(),
            Standing::Connecting => PeerStatus::Connecting,
            Standing::Over(_) => PeerStatus::Closed,
        }
    }

    /// As [`Client::read`], of the connection that stands.
    pub fn read(&self) -> Task<Pull, Elsewhere> {
        self.client().map_or_else(Task::lost, |client| client.read())
    }

    /// As [`Client::write`], to the connection that stands: nothing is kept for the next one.
    pub fn write<P: Pieces>(&self, bytes: P) -> Task<P::Operation, Elsewhere> {
        self.client().map_or_else(Task::lost, |client| client.write(bytes))
    }

    /// Ends it for good, for all clones: the connection closes behind what was written when nobody holds
    /// it any more, and no further one is made.
    pub fn close(&self) {
        self.inner.finish(Reason::Closed);
    }
}

impl std::fmt::Debug for SteadyClient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SteadyClient").field("status", &self.status()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_their_limit() {
        let policy = Reconnect::new(Client::connector()).back_off_max(Duration::from_secs(1));
        let waits =
            [1, 2, 3, 4, 5, 40, u32::MAX].map(|count| policy.wait_behind(count).as_millis());
        assert_eq!(waits, [100, 200, 400, 800, 1000, 1000, 1000]);
    }
}
