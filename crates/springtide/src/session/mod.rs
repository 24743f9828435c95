//! Sessions: a protocol's machine bound to a connection, one kind a file.
//! A session knows no socket: it takes bytes, and writes to the outbox.

mod detecting;
mod framed;
mod freeze;
pub(crate) mod http1;
mod messaging;
mod other;
pub(crate) mod peered;
mod proxied;
mod tunnel;
mod upstream;

use bytes::Bytes;
use springtide_engine::{CHUNK_BYTES, Chunk, Descriptor};
use springtide_proto::Outbox;
use springtide_proto::http1::{Reading, Writing};

use crate::limits::{BYTES_PER_TURN_MAX, EXCHANGES_PER_TURN_MAX};
use crate::metrics::Protocol;
use crate::peer::{Peer, PeerId};
use crate::room::Room;
use crate::table::Place;
pub(crate) use detecting::Detecting;
pub(crate) use framed::Framed;
pub(crate) use freeze::FrozenSession;
use http1::Http1;
pub(crate) use messaging::Messaging;
pub(crate) use other::Other;
pub(crate) use proxied::Proxied;
pub(crate) use tunnel::{Accepted, Tunnel};
pub(crate) use upstream::Upstream;

/// Which connection a session works for.
#[derive(Clone, Copy)]
pub(crate) struct Who {
    pub(crate) id: PeerId,
    pub(crate) place: Place,
    pub(crate) socket: Descriptor,
}

impl Who {
    /// It as the application holds it, where it is a raw one.
    pub(crate) const fn peer(self) -> Peer {
        Peer::new(self.id, self.place)
    }
}

/// Received bytes, and where they lie.
pub(crate) enum Source<'a> {
    /// In a chunk, from which requests can be made without a copy.
    Chunk(&'a Chunk),
    /// Joined in the inbox.
    Joined(&'a [u8]),
    /// In memory of their own, of which a long body keeps its part.
    Own(&'a Bytes),
}

impl Source<'_> {
    #[inline]
    pub(crate) fn bytes(&self) -> &[u8] {
        match self {
            Self::Chunk(chunk) => chunk.as_slice(),
            Self::Joined(bytes) => bytes,
            Self::Own(bytes) => bytes,
        }
    }
}

/// What a session has had of the present turn (law 9), however many chunks brought it.
#[derive(Default)]
pub(crate) struct Share {
    /// The turn's number as far as it fits: an idle connection holds one of these.
    turn: u16,
    exchanges: u8,
    /// How often in a row a message was longer than a chunk, as far as it counts. It is of no turn.
    long_messages: u8,
    bytes: u32,
}

const _: () = assert!(EXCHANGES_PER_TURN_MAX < u8::MAX as u32);

/// From so many long messages on, more of them are expected.
const LONG_MESSAGES_MIN: u8 = 2;
/// More are not counted: so many short ones, but one, and no long one is expected any more.
const LONG_MESSAGES_MAX: u8 = 4;

impl Share {
    /// Begins anew when a turn has begun.
    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "what is old by 2^16 turns waits for one")]
    pub(crate) fn renew(&mut self, turn: u32) {
        let turn = turn as u16;
        if self.turn != turn {
            (self.turn, self.exchanges, self.bytes) = (turn, 0, 0);
        }
    }

    #[inline]
    pub(crate) const fn add_exchange(&mut self) {
        self.exchanges = self.exchanges.saturating_add(1);
    }

    /// A message of so many bytes has come.
    #[inline]
    pub(crate) const fn note_message(&mut self, bytes: usize) {
        if bytes <= CHUNK_BYTES {
            self.long_messages = self.long_messages.saturating_sub(1);
        } else if self.long_messages < LONG_MESSAGES_MAX {
            self.long_messages += 1;
        }
    }

    /// Whether the next message is likely to be longer than a chunk, as those before it were.
    #[inline]
    pub(crate) const fn expects_long(&self) -> bool {
        self.long_messages >= LONG_MESSAGES_MIN
    }

    #[inline]
    pub(crate) fn add_bytes(&mut self, count: usize) {
        self.bytes = self.bytes.saturating_add(u32::try_from(count).unwrap_or(u32::MAX));
    }

    /// How many bytes are left of it.
    pub(crate) const fn left(&self) -> usize {
        self.left_of(BYTES_PER_TURN_MAX)
    }

    /// The same where it is of another size.
    pub(crate) const fn left_of(&self, bytes_max: usize) -> usize {
        bytes_max.saturating_sub(self.bytes as usize)
    }

    /// Whether nothing more is handled in this turn, when `count` bytes more were.
    #[inline]
    pub(crate) const fn is_spent(&self, count: usize) -> bool {
        self.exchanges as u32 >= EXCHANGES_PER_TURN_MAX
            || self.bytes as usize + count >= BYTES_PER_TURN_MAX
    }
}

/// How far a session came with the bytes it was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// It needs more bytes.
    NeedBytes,
    /// It has had its share of this turn and goes on in the next.
    More,
    /// It waits: for replies, or until what it has written has been sent.
    Paused,
    /// What comes next belongs to another session.
    Switched,
    /// It reads no more; what is left has no meaning.
    Closed,
}

/// A session of any kind.
pub(crate) enum Session {
    Http1(Http1),
    Other(Other),
}

impl Session {
    /// Handles what it can of the bytes; says how many it consumed.
    #[inline]
    pub(crate) fn receive(
        &mut self,
        source: &Source<'_>,
        who: Who,
        outbox: &mut Outbox,
        room: &mut Room,
    ) -> (usize, Step) {
        match self {
            Self::Http1(session) => match session.receive(source, who, outbox, room) {
                (consumed, Step::Switched) => self.hand_over(consumed, source, who, outbox, room),
                received => received,
            },
            Self::Other(_) => self.receive_other(source, who, outbox, room),
        }
    }

    /// Whether it would have what comes next in memory of its own.
    #[inline]
    pub(crate) fn wants_bulk(&self) -> bool {
        match self {
            Self::Http1(session) => session.wants_bulk(),
            Self::Other(session) => session.wants_bulk(),
        }
    }

    /// Whether what comes next is likely to be a long message, or much of one, which is best taken at once,
    /// into memory of its own.
    #[inline]
    pub(crate) fn expects_long(&self, room: &Room) -> bool {
        matches!(self, Self::Other(session) if session.expects_long(room))
    }

    /// Whether a message is arriving of which nothing was given to anybody.
    pub(crate) fn is_within_message(&self) -> bool {
        matches!(self, Self::Other(Other::Messaging(session)) if session.is_within_message())
    }

    /// Whether HTTP/1.1 is spoken to a client.
    pub(crate) const fn is_http(&self) -> bool {
        matches!(self, Self::Http1(_))
    }

    /// Whether it is in a body of which so much is to come that no chunk of it is wanted.
    pub(crate) fn is_in_long_body(&self) -> bool {
        matches!(self, Self::Http1(session) if session.is_in_long_body())
    }

    /// Whether who takes a body is behind: no more of it is to be received.
    pub(crate) fn is_body_held(&self) -> bool {
        matches!(self, Self::Http1(session) if session.is_body_held())
    }

    /// Lends that memory, with room for what comes next and nothing behind it, and says how many bytes
    /// may come into it in this turn.
    pub(crate) fn lend_bulk(&mut self, room: &mut Room) -> Option<(Vec<u8>, usize)> {
        match self {
            Self::Http1(session) => session.lend_bulk(room),
            Self::Other(session) => session.lend_bulk(room),
        }
    }

    /// Takes the memory back with what came behind its first `before` bytes; gives what it does not
    /// want of it there.
    pub(crate) fn receive_bulk(
        &mut self,
        memory: Vec<u8>,
        before: usize,
        who: Who,
        outbox: &mut Outbox,
        room: &mut Room,
    ) -> Vec<u8> {
        match self {
            Self::Http1(session) => session.receive_bulk(memory, before, who, outbox, room),
            Self::Other(session) => session.receive_bulk(memory, before, who, outbox, room),
        }
    }

    /// Nothing more of a long message is there now.
    pub(crate) fn end_bulk(&mut self, who: Who, room: &Room) {
        if let Self::Other(session) = self {
            session.end_bulk(who, room);
        }
    }

    /// A handler has taken of a body, or wants no more of it.
    pub(crate) fn read_on(&mut self, outbox: &mut Outbox, room: &Room) {
        match self {
            Self::Http1(session) => session.read_on(outbox, room),
            Self::Other(session) => session.read_on(outbox, room),
        }
    }

    /// The peer has ended its stream, which is not its going: what it has asked for is answered.
    pub(crate) fn end_of_stream(&mut self, unread: usize, who: Who, room: &Room) {
        match self {
            Self::Http1(session) => session.end_of_stream(),
            Self::Other(session) => session.end_of_stream(unread, who, room),
        }
    }

    /// What was to be sent has been sent so far: streams may go on.
    #[inline]
    pub(crate) fn sent(&mut self, waiting_bytes: usize, who: Who, room: &mut Room) {
        match self {
            Self::Http1(session) => session.pump(waiting_bytes, room),
            Self::Other(session) => session.sent(waiting_bytes, who, room),
        }
    }

    /// Whether it has a file to send.
    #[inline]
    pub(crate) fn sends_file(&self) -> bool {
        matches!(self, Self::Http1(session) if session.sends_file())
    }

    /// Passes what can be passed of that file to the socket, on which nothing waits; how many bytes.
    pub(crate) fn pass_file(&mut self, socket: Descriptor, room: &mut Room) -> usize {
        match self {
            Self::Http1(session) => session.pass_file(socket, room),
            Self::Other(_) => 0,
        }
    }

    /// Nothing more is passed: what is left of the file is read.
    pub(crate) fn stop_passing(&self, room: &mut Room) {
        if let Self::Http1(session) = self {
            session.stop_passing(room);
        }
    }

    /// Whether something is to be done as soon as what was written has been sent.
    #[inline]
    pub(crate) fn awaits_sent(&self, room: &Room) -> bool {
        match self {
            Self::Http1(session) => session.awaits_sent(room),
            Self::Other(session) => session.awaits_sent(),
        }
    }

    /// Whether it does that itself, where otherwise only a deadline begins.
    #[inline]
    pub(crate) fn acts_on_sent(&self) -> bool {
        match self {
            Self::Http1(session) => session.acts_on_sent(),
            Self::Other(session) => session.awaits_sent() || session.wants_close(),
        }
    }

    /// When [`Session::on_deadline`] is to be called, if nothing happens before.
    #[inline]
    pub(crate) fn next_deadline_ms(&self, room: &Room) -> Option<u64> {
        match self {
            Self::Http1(session) => session.next_deadline_ms(room),
            Self::Other(session) => session.next_deadline_ms(room),
        }
    }

    pub(crate) fn on_deadline(&mut self, who: Who, outbox: &mut Outbox, room: &mut Room) {
        match self {
            Self::Http1(session) => session.on_deadline(who, outbox, room),
            Self::Other(_) => {
                self.greet_the_silent(who, room);
                if let Self::Other(session) = self {
                    session.on_deadline(who, outbox, room);
                }
            }
        }
    }

    /// What the peer sends is received again, after a while in which it was not.
    #[cold]
    pub(crate) fn resume(&mut self, room: &Room) {
        match self {
            Self::Http1(session) => session.resume(room.now_ms),
            Self::Other(session) => session.resume(room.now_ms),
        }
    }

    /// Takes one more request at most.
    pub(crate) const fn end_with_next(&mut self) {
        match self {
            Self::Http1(session) => session.end_with_next(),
            Self::Other(_) => {}
        }
    }

    /// Whether it takes one more request at most already.
    pub(crate) const fn ends_with_next(&self) -> bool {
        match self {
            Self::Http1(session) => session.ends_with_next(),
            Self::Other(_) => true,
        }
    }

    /// The connection ends: counts the limits that have ended it.
    pub(crate) fn ends(&self, room: &Room) {
        match self {
            Self::Http1(session) => session.ends(room),
            Self::Other(_) => {}
        }
    }

    /// Finish what has begun and take no more.
    pub(crate) fn drain(&mut self, who: Who, room: &Room) {
        match self {
            Self::Http1(session) => session.drain(),
            Self::Other(session) => session.drain(who, room),
        }
    }

    /// Whether the connection is to be closed when everything written has been sent.
    #[inline]
    pub(crate) fn wants_close(&self) -> bool {
        match self {
            Self::Http1(session) => session.wants_close(),
            Self::Other(session) => session.wants_close(),
        }
    }

    /// Whether the connection is to be flushed though nothing waits in its outbox.
    #[inline]
    pub(crate) fn wants_flush(&self) -> bool {
        match self {
            Self::Http1(session) => session.wants_close(),
            Self::Other(Other::Peered(session)) => session.wants_flush(),
            Self::Other(Other::Messaging(session)) => {
                session.has_waiting() || session.wants_close()
            }
            Self::Other(session) => session.wants_close(),
        }
    }

    /// Whether an end of stream now would say that a body is whole which is not.
    pub(crate) fn wants_reset(&self, has_unsent: bool) -> bool {
        match self {
            Self::Http1(session) => session.wants_reset(has_unsent),
            Self::Other(session) => session.wants_reset(),
        }
    }

    /// Whether the peer has said that it sends nothing more.
    #[inline]
    pub(crate) fn is_peer_done(&self) -> bool {
        match self {
            Self::Http1(session) => session.is_peer_done(),
            Self::Other(_) => false,
        }
    }

    /// What is spoken on a connection that was accepted, as far as that is known.
    pub(crate) const fn spoken(&self) -> Option<Protocol> {
        match self {
            Self::Http1(_) => Some(Protocol::Http),
            Self::Other(Other::Peered(session)) if session.is_outgoing() => None,
            Self::Other(Other::Peered(_)) => Some(Protocol::Raw),
            Self::Other(Other::Framed(_)) => Some(Protocol::Framed),
            Self::Other(Other::Messaging(_)) => Some(Protocol::WebSocket),
            Self::Other(Other::Tunnel(_)) => Some(Protocol::Upgraded),
            Self::Other(
                Other::Detecting(_) | Other::Proxied(_) | Other::Upstream(_) | Other::Left,
            ) => None,
        }
    }

    /// What is spoken.
    pub(crate) const fn protocol(&self) -> &'static str {
        match self {
            Self::Http1(_) => "http/1.1",
            Self::Other(Other::Peered(_)) => "raw",
            Self::Other(Other::Framed(_)) => "framed",
            Self::Other(Other::Proxied(_)) => "proxy",
            Self::Other(Other::Detecting(_)) => "unknown",
            Self::Other(Other::Messaging(_)) => "websocket",
            Self::Other(Other::Tunnel(_)) => "upgraded",
            Self::Other(Other::Upstream(_) | Other::Left) => "http/1.1 client",
        }
    }

    /// Bytes that it holds itself: of a body that is coming, and of replies before their turn.
    pub(crate) fn bytes_held(&self) -> usize {
        match self {
            Self::Http1(session) => session.bytes_held(),
            Self::Other(session) => session.bytes_held(),
        }
    }

    /// Whether it holds replies before their turn.
    pub(crate) fn holds_replies(&self) -> bool {
        match self {
            Self::Http1(session) => session.holds_replies(),
            Self::Other(Other::Framed(session)) => session.bytes_held() > 0,
            Self::Other(_) => false,
        }
    }

    /// The states of the machine and its exchanges in flight, for a simulator.
    pub(crate) fn states(&self) -> (Reading, Writing, u32) {
        match self {
            Self::Http1(session) => session.states(),
            Self::Other(Other::Framed(session)) => {
                (Reading::Idle, Writing::Ready, session.unanswered())
            }
            Self::Other(_) => (Reading::Idle, Writing::Ready, 0),
        }
    }

    /// The connection is gone: gives up everything that was started for it.
    pub(crate) fn abandon(&mut self, who: Who, room: &mut Room) {
        match self {
            Self::Http1(session) => session.abandon(room),
            Self::Other(session) => session.abandon(who, room),
        }
    }
}
