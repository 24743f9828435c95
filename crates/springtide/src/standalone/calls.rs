//! Clients of frames: calls from any thread, and their replies.
//! It stands beside a connection, which it pulls from and pushes to as any application does.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use springtide_proto::framed::{CallError, ClientMachine, ReplyReceived};
use springtide_proto::{Outbox, Piece};

use super::Client;
use crate::framed::{Codec, Limits};
use crate::peer::{Link, Peer, PeerStatus, Reason};
use crate::task::{Asked, Book, Call, Close, Due, Elsewhere, Ended, Task};

/// A client of a protocol of frames, for any thread; see [`Client::framed`].
///
/// Calls are sent as soon as the connection's shard turns, in the order in which they were made, and
/// their replies are matched in that order, or by the ids that the codec puts into them
/// ([`Framed::tagged`](crate::Framed::tagged)). Clones are the same connection, which ends with the last
/// of them and of their tasks.
///
/// A call that is dropped or cancelled is sent all the same, and its reply thrown away: it is no other
/// call's. When the connection ends, every call ends with the reason.
#[derive(Clone)]
pub struct FramedClient {
    calls: Arc<Calls>,
    client: Client,
}

/// What a client's handles share with its shard.
struct Calls {
    codec: Box<dyn Codec + Send + Sync>,
    limits: Limits,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    machine: ClientMachine,
    /// What is to be sent next.
    outbox: Outbox,
    /// The shard is sending, or was told to.
    is_sending: bool,
    /// Who waits for the reply to each call.
    waiting: HashMap<u64, Due>,
    /// What came and is no whole reply, and how much there must be to look again.
    inbox: Vec<u8>,
    at_least: usize,
    over: Option<Reason>,
}

/// Takes what comes, and ends all calls when nobody calls it any more.
struct Reader(Arc<Calls>);

/// Replies, and whose they are.
type Replies = Vec<(Due, Bytes)>;

impl FramedClient {
    pub(super) fn begin(
        client: Client,
        codec: Box<dyn Codec + Send + Sync>,
        limits: Limits,
    ) -> Self {
        let calls = Arc::new(Calls { codec, limits, state: Mutex::default() });
        let reader = Reader(Arc::clone(&calls));
        run(&client.link(), move |peer| reader.receive(peer));
        Self { calls, client }
    }

    /// Sends a request as one frame, and gives its reply.
    ///
    /// It fails at once, with nothing sent, with [`Reason::Limit`] while
    /// [`in_flight_max`](crate::framed::Limits::in_flight_max) calls, or `in_flight_bytes_max` bytes of
    /// theirs, wait for their replies, and with [`Reason::Payload`] when it is no frame.
    pub fn call(&self, request: impl Into<Bytes>) -> Task<Call, Elsewhere> {
        let (calls, link) = (&self.calls, self.client.link());
        let (task, due) = match Task::pledge(&link) {
            Ok(pledge) => pledge,
            Err(reason) => return Task::lost(reason),
        };
        match calls.send(due, Piece::Shared(request.into())) {
            Ok(false) => {}
            Ok(true) => {
                let own = Arc::clone(calls);
                run(&link, move |peer| own.push(peer));
            }
            Err(reason) => return Task::lost(reason),
        }
        task
    }

    /// How its connection stood a moment ago.
    #[must_use]
    pub fn status(&self) -> PeerStatus {
        self.client.status()
    }

    /// Closes the connection behind the calls that were made; those without a reply by then end with
    /// [`Reason::Closed`].
    pub fn close(&self) -> Task<Close, Elsewhere> {
        self.client.close()
    }
}

/// Runs something on the shard of a connection.
fn run(link: &Link, what: impl FnOnce(Peer) + Send + 'static) {
    let called = Box::new(move |peer, _| what(peer));
    link.hatch.hand_in(Asked::Do(link.id, link.place, called));
}

impl Calls {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A call is to be sent; whether the shard is to be told.
    fn send(self: &Arc<Self>, due: Due, request: Piece) -> Result<bool, Reason> {
        let mut state = self.state();
        if let Some(reason) = state.over {
            return Err(reason);
        }
        let State { machine, outbox, .. } = &mut *state;
        let sent = machine.send_call(request, &*self.codec, &self.limits, outbox);
        let number = sent.map_err(|error| self.refusal(error, machine.in_flight()))?.number();
        let book: Arc<dyn Book> = Arc::<Self>::clone(self);
        due.enter(Arc::downgrade(&book), number);
        state.waiting.insert(number, due);
        Ok(!std::mem::replace(&mut state.is_sending, true))
    }

    /// Why a call was not sent.
    const fn refusal(&self, error: CallError, in_flight: usize) -> Reason {
        match error {
            CallError::Full if in_flight < self.limits.in_flight_max as usize => {
                Reason::Limit("in_flight_bytes_max")
            }
            CallError::Full => Reason::Limit("in_flight_max"),
            CallError::Ended => Reason::Closed,
            CallError::Payload(error) => Reason::Payload(error),
        }
    }

    /// Sends what is to be sent, as often as there is something: one push at a time, so that none is
    /// refused for those before it.
    fn push(self: Arc<Self>, peer: Peer) {
        let mut state = self.state();
        let bytes = take_all(&mut state.outbox);
        state.is_sending = !bytes.is_empty();
        drop(state);
        if bytes.is_empty() {
            return;
        }
        peer.push(bytes).then_result(move |peer, pushed| match pushed {
            Ok(_) => self.push(peer),
            Err(reason) => self.finish(reason),
        });
    }

    /// The replies among what has come, and what is wrong with it.
    fn read(&self, bytes: Bytes) -> (Replies, Option<Reason>) {
        let (mut state, mut replies) = (self.state(), Replies::new());
        let input = if state.inbox.is_empty() {
            bytes
        } else {
            state.inbox.extend_from_slice(&bytes);
            if state.inbox.len() < state.at_least {
                return (replies, None);
            }
            Bytes::from(std::mem::take(&mut state.inbox))
        };
        let mut at = 0;
        let refused = loop {
            match state.machine.receive(&input[at..], &*self.codec) {
                Ok(ReplyReceived::Reply { consumed, payload, call }) => {
                    // Nobody may want it any more.
                    if let Some(due) = state.waiting.remove(&call.number()) {
                        replies.push((due, input.slice(at + payload.start..at + payload.end)));
                    }
                    at += consumed;
                }
                Ok(ReplyReceived::Skipped { consumed }) => at += consumed,
                Ok(ReplyReceived::NeedBytes { at_least }) => {
                    state.inbox.extend_from_slice(&input[at..]);
                    state.at_least = at_least;
                    break None;
                }
                Ok(ReplyReceived::Closed) => break state.over,
                Err(refusal) => break Some(*state.over.get_or_insert(Reason::Frame(refusal))),
            }
        };
        (replies, refused)
    }

    /// The connection has ended, or is to end: so have all calls, the oldest first.
    fn finish(&self, reason: Reason) {
        let mut state = self.state();
        let reason = *state.over.get_or_insert(reason);
        let calls = state.machine.end();
        let mut waiting = std::mem::take(&mut state.waiting);
        (state.inbox, state.outbox) = Default::default();
        drop(state);
        let ended = calls.iter().filter_map(|call| waiting.remove(&call.number()));
        for due in ended {
            due.end(Ended::Failed(reason));
        }
    }
}

impl Reader {
    /// Takes what comes, until nothing does.
    fn receive(self, peer: Peer) {
        peer.pull().then_result(move |peer, pulled| {
            let reason = match pulled {
                Ok(Some(bytes)) => {
                    let (replies, refused) = self.0.read(bytes);
                    for (due, reply) in replies {
                        due.end(Ended::Bytes(reply));
                    }
                    match refused {
                        None => return self.receive(peer),
                        Some(reason) => reason,
                    }
                }
                Ok(None) => Reason::PeerClosed,
                Err(reason) => reason,
            };
            self.0.finish(reason);
            peer.close().detach();
        });
    }
}

impl Drop for Reader {
    /// The shard may end without a word.
    fn drop(&mut self) {
        self.0.finish(Reason::Stale);
    }
}

impl Book for Calls {
    fn forget(&self, number: u64) {
        let due = self.state().waiting.remove(&number);
        drop(due);
    }
}

/// Everything that is to be sent, in one piece.
fn take_all(outbox: &mut Outbox) -> Bytes {
    if let Some(bytes) = outbox.take_only(usize::MAX) {
        return Bytes::from(bytes);
    }
    let (mut pieces, mut bytes) = (Vec::new(), Vec::with_capacity(outbox.len()));
    outbox.take_pieces(&mut pieces);
    for piece in &pieces {
        bytes.extend_from_slice(piece.as_slice());
    }
    Bytes::from(bytes)
}

impl fmt::Debug for FramedClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FramedClient({})", self.client.id())
    }
}

#[cfg(test)]
mod tests;
