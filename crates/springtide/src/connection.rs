//! A connection: bytes between a socket and a session, back-pressure, deadlines, the end.
//! It names no protocol, and closes nothing that has an operation in flight (law 6).

mod bulk;
mod closing;
mod deliver;
mod events;
mod forward;
mod freeze;
mod obey;
mod patience;
mod seen;
mod sending;
mod times;

pub(crate) use freeze::FrozenConnection;
pub(crate) use patience::Patience;

use springtide_engine::{Chunk, Completion, Descriptor, Key, Memory, Op, Outcome};

use crate::events::Operation;
use crate::limits::place_of;
use crate::peer::{PeerId, Reason};
use crate::room::{Room, Traffic};
use crate::session::{Session, Source, Step, Who};
use crate::table::Place;
use crate::transport::Stage;

/// No deadline.
const NEVER: u64 = u64::MAX;

/// No shard takes it over: none has this number.
const STAYS: u16 = u16::MAX;

/// What the token of a connection's close has beside its place: it is the last of its operations.
pub(crate) const CLOSED_TOKEN: u64 = 6 << 60;

/// One connection.
pub(crate) struct Connection {
    place: Place,
    /// Its name for good, whatever its place.
    id: PeerId,
    socket: Descriptor,
    receive: Key,
    send: Key,
    /// When the wheel asks for this connection, at the latest.
    filed_ms: u64,
    /// When the send in flight began or was looked at last, or when the lingering began.
    since_ms: u64,
    /// When it was accepted.
    born_ms: u64,
    traffic: Option<Box<Traffic>>,
    /// Boxed twice: every plain connection holds the room for it.
    stage: Option<Box<Box<dyn Stage>>>,
    state: State,
    /// The receive was cancelled because too much waits.
    is_paused: bool,
    is_dirty: bool,
    is_ready: bool,
    /// The peer has ended its stream.
    is_ended: bool,
    /// Nothing more is received: the peer has said that nothing follows.
    is_over: bool,
    /// The peer sent bytes that have no meaning, behind what the session reads.
    has_excess: bool,
    /// The session needs more bytes of what waits in the inbox: its own limits bound that.
    needs_bytes: bool,
    /// A long request came whole, and the next may: it is taken whole, and no chunk of it is received.
    takes_whole: bool,
    /// The number of the shard that takes the connection over as soon as it can go, unless this one
    /// stops: then it is any that goes on. Or it stays.
    target: u16,
    /// It goes: everything in flight was cancelled, nothing is handled, and what comes is kept.
    is_held: bool,
    session: Session,
}

/// How far a connection is from its end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    /// Requests and replies.
    Open,
    /// Everything was sent and the write half is shut: what the peer still sends is thrown away
    /// until it has read its last reply and ended its side (RFC 9112 §9.6).
    Lingering,
    /// It is closed as soon as it can be: the socket failed while everything was being frozen, or
    /// the engine had no room for the close.
    Broken,
    /// The close was submitted.
    Closing,
}

const _: () = assert!(size_of::<Connection>() <= 200, "an idle connection holds one of these");

impl Connection {
    /// A connection that was just accepted; it starts to receive.
    pub(crate) fn open(
        place: Place,
        id: PeerId,
        socket: Descriptor,
        session: Session,
        room: &Room,
    ) -> Self {
        let mut own = Self::at_rest(place, id, socket, session);
        own.receive = room.submit(Op::Receive { socket }, place.raw());
        own.since_ms = room.now_ms;
        own.born_ms = room.now_ms;
        own.stage = room.stage.filter(|_| !own.session.is_outgoing()).map(|make| Box::new(make()));
        own
    }

    /// When the wheel is to be asked for this connection, if earlier than it will be.
    #[inline]
    pub(crate) fn take_deadline_to_file(&mut self, room: &Room) -> Option<u64> {
        let deadline_ms = self.deadline_ms(room);
        let is_earlier = deadline_ms < self.filed_ms;
        is_earlier.then(|| {
            self.filed_ms = deadline_ms;
            deadline_ms
        })
    }

    #[inline]
    const fn who(&self) -> Who {
        Who { id: self.id, place: self.place, socket: self.socket }
    }

    /// One completion of an operation of this connection.
    #[inline]
    pub(crate) fn complete(&mut self, completion: Completion, room: &mut Room) {
        if self.is_held {
            return self.absorb_held(completion, room);
        }
        match completion.outcome {
            Outcome::Received(chunk) => self.received(&chunk, room),
            Outcome::Sent(pieces) => self.sent(pieces, room),
            Outcome::EndOfStream => {
                self.receive = Key::NONE;
                self.ended(room);
            }
            Outcome::Done if completion.key == self.receive => {
                self.bytes_are_there(completion.more, room);
            }
            Outcome::Failed(error, memory) => self.failed(completion.key, error, memory, room),
            _ => {}
        }
    }

    #[inline]
    fn received(&mut self, chunk: &Chunk, room: &mut Room) {
        room.counts.bytes_received += chunk.len() as u64;
        if self.state != State::Open {
            return;
        }
        let traffic = self.traffic.get_or_insert_with(|| room.take_traffic());
        if let Some(stage) = &mut self.stage {
            let mut plain = Vec::new();
            stage.open(chunk.as_slice(), &mut plain);
            traffic.inbox.append(&plain);
            self.session.heard(room);
            return self.handle_inbox(room);
        }
        if self.is_ready || !traffic.inbox.is_empty() {
            traffic.inbox.append(chunk.as_slice());
            self.session.heard(room);
            return self.handle_inbox(room);
        }
        let step = self.receive_from(&Source::Chunk(chunk), room);
        if step == Step::NeedBytes && self.session.wants_bulk() {
            self.receive_bulk(false, room);
        }
    }

    /// Gives the session what has come, with nothing before it; what it leaves waits in the inbox.
    #[inline]
    fn receive_from(&mut self, source: &Source<'_>, room: &mut Room) -> Step {
        let (who, bytes) = (self.who(), source.bytes());
        let traffic = self.traffic.get_or_insert_with(|| room.take_traffic());
        let (consumed, step) = self.session.receive(source, who, &mut traffic.outbox, room);
        if step == Step::Closed {
            self.has_excess |= consumed < bytes.len();
        } else if consumed < bytes.len() {
            traffic.inbox.append(&bytes[consumed..]);
        }
        self.stepped(step, room);
        step
    }

    /// Goes on with what waits in the inbox, unless its turn has not come. The session is asked
    /// also when nothing waits: its last bytes may have ended a body, or broken a limit.
    fn handle_inbox(&mut self, room: &mut Room) {
        if self.is_ready || self.is_held || self.state != State::Open {
            return self.balance(room);
        }
        let who = self.who();
        let traffic = self.traffic.get_or_insert_with(|| room.take_traffic());
        let Traffic { inbox, outbox, .. } = &mut **traffic;
        if !self.needs_bytes && !inbox.is_empty() {
            // It was the server that did not take what had come.
            self.session.resume(room);
        }
        let source = Source::Joined(inbox.as_slice());
        let (consumed, step) = self.session.receive(&source, who, outbox, room);
        if step == Step::Closed {
            let rest = inbox.len();
            self.has_excess |= consumed < rest;
            inbox.consume(rest);
        } else {
            inbox.consume(consumed);
        }
        if traffic.handles_last_due(consumed, step == Step::NeedBytes) {
            self.session.drain(who, room);
        }
        self.stepped(step, room);
    }

    #[inline]
    fn stepped(&mut self, step: Step, room: &mut Room) {
        self.needs_bytes = step == Step::NeedBytes;
        if step == Step::More && !self.is_ready {
            self.is_ready = true;
            room.ready.push(self.place);
        } else if self.is_ended && step == Step::NeedBytes {
            self.end_stream(room);
        }
        self.balance(room);
        self.mark_dirty(room);
    }

    /// Whether the session may go on: with bytes, or with the end that came behind the last ones.
    #[inline]
    fn has_more_to_handle(&self) -> bool {
        self.is_ended || self.traffic.as_ref().is_some_and(|traffic| !traffic.inbox.is_empty())
    }

    /// The next turn has begun for a connection that had more to do.
    pub(crate) fn go_on(&mut self, room: &mut Room) {
        self.is_ready = false;
        self.handle_inbox(room);
    }

    /// Receiving stops when too much waits in either direction, and goes on at half of it.
    #[inline]
    fn balance(&mut self, room: &Room) {
        let (inbox, outbox) = match &self.traffic {
            Some(traffic) => (traffic.inbox.len(), traffic.outbox.len()),
            None => (0, 0),
        };
        let limits = &room.limits;
        let inbox = if self.needs_bytes { 0 } else { inbox };
        if inbox > limits.inbox_bytes_max || outbox > limits.outbox_bytes_max {
            if !self.is_paused && self.receive != Key::NONE {
                self.pause(inbox > limits.inbox_bytes_max, room);
            }
        } else if self.is_paused
            && inbox <= limits.inbox_bytes_max / 2
            && outbox <= limits.outbox_bytes_max / 2
        {
            self.resume(room);
        }
    }

    #[cold]
    fn pause(&mut self, is_for_inbox: bool, room: &Room) {
        self.is_paused = true;
        room.requests.engine.borrow_mut().cancel(self.receive);
        room.met.count(match is_for_inbox {
            true => const { place_of("inbox_bytes_max") },
            false => const { place_of("outbox_bytes_max") },
        });
    }

    #[cold]
    fn resume(&mut self, room: &Room) {
        self.is_paused = false;
        self.session.resume(room);
        self.receive_again(room);
    }

    const fn wants_bytes(&self) -> bool {
        let is_over = self.is_paused || self.is_ended || self.is_over || self.is_held;
        !is_over && matches!(self.state, State::Open | State::Lingering)
    }

    /// Receives again, unless a receive is in flight, or there is nothing more to receive.
    fn receive_again(&mut self, room: &Room) {
        if self.wants_bytes()
            && self.receive == Key::NONE
            && let Some(op) = self.receiving(room)
        {
            self.receive = room.submit(op, self.place.raw());
        }
    }

    #[inline]
    fn mark_dirty(&mut self, room: &mut Room) {
        if !self.is_dirty {
            self.is_dirty = true;
            room.dirty.push(self.place);
        }
    }

    fn ended(&mut self, room: &mut Room) {
        self.is_ended = true;
        match self.state {
            State::Open => {
                if self.send == Key::NONE {
                    self.since_ms = room.now_ms;
                }
                // Also where nothing waits: the end of a body may not have been noticed yet.
                self.handle_inbox(room);
                self.mark_dirty(room);
            }
            State::Lingering => self.submit_close(room),
            State::Broken | State::Closing => {}
        }
    }

    fn failed(
        &mut self,
        key: Key,
        error: springtide_engine::Error,
        memory: Memory,
        room: &mut Room,
    ) {
        if let Memory::Pieces { pieces, sent } = memory {
            self.count_sent(sent, room);
            room.put_pieces(pieces);
        }
        if key == Key::NONE {
            // An operation that could not even be entered: the engine has no room for it.
            return self.give_up(room);
        }
        if key == self.send {
            self.send = Key::NONE;
            self.operation_failed(Operation::Send, error, room);
            if self.session.send_failed(error, room) {
                return self.leave_unsent(room);
            }
            return self.give_up(room);
        }
        if key != self.receive {
            return;
        }
        self.receive = Key::NONE;
        match error {
            // A pause, or a limit of the engine on what is held: go on when there is room.
            springtide_engine::Error::Cancelled | springtide_engine::Error::Limit(_) => {
                self.receive_again(room);
                if self.receive == Key::NONE {
                    // Whether the peer is there still shows only when it is looked for.
                    self.mark_dirty(room);
                }
            }
            _ => self.receive_failed(error, room),
        }
    }

    /// The system ends the connection.
    fn receive_failed(&mut self, error: springtide_engine::Error, room: &mut Room) {
        self.is_ended = true;
        self.operation_failed(Operation::Receive, error, room);
        if self.session.broken_by(error) && self.state == State::Open {
            return self.handle_inbox(room);
        }
        self.give_up(room);
    }

    /// Takes no more requests but those that wait already; an idle connection ends at once. One
    /// that is on its way is told where it arrives.
    pub(crate) fn drain(&mut self, room: &mut Room) {
        if self.state != State::Open || self.is_held {
            return;
        }
        room.blame(self.id, Reason::Stopped);
        let is_at_its_turn = self.is_ready || !self.needs_bytes;
        // What nobody pulls is nothing that is due.
        let is_read = self.session.peered().is_none_or(|session| session.wants_bytes(room));
        // A future that does not ask for what has come is not waited for: its peer is told, and read on.
        let is_held_up = self.session.messaging().is_some_and(|session| session.holds_up());
        match &mut self.traffic {
            Some(traffic)
                if is_at_its_turn && !traffic.inbox.is_empty() && is_read && !is_held_up =>
            {
                traffic.due_bytes = traffic.inbox.len();
            }
            _ => self.session.drain(self.who(), room),
        }
        if is_held_up && !self.is_ready {
            self.is_ready = true;
            room.ready.push(self.place);
        }
        self.mark_dirty(room);
    }

    /// Something of another service for the session, which may write.
    pub(crate) fn tell(
        &mut self,
        room: &mut Room,
        what: impl FnOnce(&mut Session, &mut springtide_proto::Outbox, &mut Room),
    ) {
        if self.state != State::Open {
            return;
        }
        let traffic = self.traffic.get_or_insert_with(|| room.take_traffic());
        what(&mut self.session, &mut traffic.outbox, room);
        if !self.is_held && (self.send == Key::NONE || self.session.peered().is_none()) {
            self.session.sent(traffic.outbox.len(), self.who(), room);
        }
        if self.has_more_to_handle() || self.session.is_switched() {
            self.handle_inbox(room);
        }
        self.balance(room);
        self.mark_dirty(room);
    }

    pub(crate) fn is_open(&self) -> bool {
        self.state == State::Open
    }
}
