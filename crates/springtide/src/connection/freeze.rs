//! A connection at rest as plain data, and how it comes to rest: everything in flight is cancelled,
//! and what still came is kept. No byte is lost or doubled on the way, and no code of the
//! application runs.

use std::net::SocketAddr;

use springtide_engine::{Completion, Descriptor, Key, Memory, Op, Outcome, Piece};

use super::{Connection, NEVER, Patience, STAYS, State};
use crate::files::FrozenAsk;
use crate::peer::{Peer, PeerId, Reason};
use crate::room::{Room, Traffic};
use crate::session::{FrozenSession, Session, Who};

/// A frozen connection. It outlives its engine and its shard; its descriptors are open.
#[derive(Debug)]
pub(crate) struct FrozenConnection {
    id: PeerId,
    socket: Descriptor,
    /// Received and not consumed, behind the transport.
    unread: Vec<u8>,
    /// What is left of the send that was cut short, as it is to go on the wire.
    sending: Vec<Piece>,
    /// What was to be sent behind it, in front of the transport.
    unsent: Vec<springtide_proto::Piece>,
    /// The transport's state.
    stage: Option<Vec<u8>>,
    state: State,
    is_ended: bool,
    is_over: bool,
    has_excess: bool,
    needs_bytes: bool,
    is_paused: bool,
    /// When the send began or was looked at last, or when the lingering began: their deadlines go
    /// on. The session has its own.
    since_ms: u64,
    born_ms: u64,
    patience: Patience,
    session: FrozenSession,
    /// The client, where a proxy has named it.
    source: Option<SocketAddr>,
    /// Whether the server's events know of it, and by what it ends.
    told: Option<Option<Reason>>,
}

impl FrozenConnection {
    pub(crate) const fn id(&self) -> PeerId {
        self.id
    }

    /// Everything open that belongs to it.
    pub(crate) fn descriptors(&self) -> impl Iterator<Item = Descriptor> {
        let files = self.session.streams().map(crate::files::FrozenStream::file);
        files.chain([self.socket])
    }
}

impl Connection {
    /// One completion while everything is being frozen: what it brought is kept.
    pub(crate) fn absorb(&mut self, completion: Completion, room: &mut Room) {
        match completion.outcome {
            Outcome::Received(chunk) => self.keep(chunk.as_slice(), room),
            Outcome::EndOfStream => {
                self.receive = Key::NONE;
                self.is_ended = true;
            }
            Outcome::Sent(pieces) => self.absorb_send(pieces, usize::MAX, room),
            // What is there is asked for again.
            Outcome::Done if completion.key == self.receive && !completion.more => {
                self.receive = Key::NONE;
            }
            Outcome::Failed(error, memory) => {
                if let Memory::Pieces { pieces, sent } = memory {
                    self.absorb_send(pieces, sent, room);
                } else if completion.key == self.receive {
                    self.receive = Key::NONE;
                } else {
                    // A shutdown, which is asked for again.
                    return;
                }
                if !is_interruption(error) && self.state != State::Closing {
                    self.state = State::Broken;
                    room.blame(self.id, Reason::of(error));
                    self.session.lose(Reason::of(error));
                }
            }
            _ => {}
        }
    }

    fn keep(&mut self, bytes: &[u8], room: &mut Room) {
        room.counts.bytes_received += bytes.len() as u64;
        if self.state != State::Open {
            return;
        }
        let traffic = self.traffic.get_or_insert_with(|| room.take_traffic());
        match &mut self.stage {
            Some(stage) => {
                let mut plain = Vec::new();
                stage.open(bytes, &mut plain);
                traffic.inbox.append(&plain);
            }
            None => traffic.inbox.append(bytes),
        }
    }

    /// The send has ended, all of it or so many bytes: the rest is what goes first elsewhere.
    fn absorb_send(&mut self, pieces: Vec<Piece>, sent: usize, room: &mut Room) {
        self.send = Key::NONE;
        let before: usize = pieces.iter().map(|piece| piece.as_slice().len()).sum();
        self.count_sent(before.min(sent), room);
        let traffic = self.traffic.get_or_insert_with(|| room.take_traffic());
        if sent >= before {
            traffic.patience = Patience::default();
            return room.put_pieces(pieces);
        }
        traffic.sending = rest_of(pieces, sent);
        traffic.patience.cut(sent);
    }

    /// Goes to another shard as soon as it can: everything in flight is cancelled, and when it has
    /// ended the connection stands in `room.leaving`. What cannot go yet goes on here meanwhile.
    pub(crate) fn leave(&mut self, room: &mut Room) {
        self.leave_for(0, room);
    }

    /// The same, to the shard of this number if its own does not stop.
    pub(crate) fn leave_for(&mut self, target: u16, room: &mut Room) {
        if self.session.is_bound() {
            // Who waits for it stays here, and so does the future that it leads to.
            return self.drain(room);
        }
        self.target = target;
        self.mark_dirty(room);
    }

    /// Whether it goes to another shard as soon as it can.
    pub(super) const fn is_leaving(&self) -> bool {
        self.target != STAYS
    }

    /// The number of the shard that it leaves for.
    pub(crate) const fn target(&self) -> u16 {
        self.target
    }

    pub(super) fn try_to_leave(&mut self, room: &mut Room) {
        let is_possible = matches!(self.state, State::Open | State::Lingering);
        if self.is_held || !is_possible || !self.session.is_movable(room) {
            return;
        }
        self.is_held = true;
        self.session.hold(self.place, room);
        let mut engine = room.requests.engine.borrow_mut();
        engine.cancel(self.receive);
        engine.cancel(self.send);
    }

    /// One completion while the connection is held.
    pub(super) fn absorb_held(&mut self, completion: Completion, room: &mut Room) {
        self.absorb(completion, room);
        if self.state == State::Broken {
            return self.give_up(room);
        }
        self.leave_at_rest(room);
    }

    pub(super) fn leave_at_rest(&self, room: &mut Room) {
        if self.is_at_rest() {
            room.leaving.push(self.place);
        }
    }

    /// Whether it is held and nothing is in flight for it any more.
    pub(crate) fn is_at_rest(&self) -> bool {
        self.is_held
            && self.state != State::Closing
            && self.receive == Key::NONE
            && self.send == Key::NONE
            && self.session.is_at_rest()
    }

    /// Whether it may be sent elsewhere now, and is not on its way already.
    pub(crate) fn is_movable(&self, room: &mut Room) -> bool {
        self.state == State::Open && !self.is_leaving() && self.session.is_movable(room)
    }

    pub(crate) const fn id(&self) -> PeerId {
        self.id
    }

    pub(crate) const fn socket(&self) -> Descriptor {
        self.socket
    }

    /// The connection as plain data; nothing is in flight for it, and what it waited for was
    /// withdrawn.
    pub(crate) fn freeze(self, asks: Vec<FrozenAsk>, room: &mut Room) -> FrozenConnection {
        assert_ne!(self.state, State::Closing, "every close has ended before a freeze");
        // What is in flight, filed or noted for this turn begins anew where it is thawed.
        let Self {
            place,
            id,
            socket,
            receive: _,
            send: _,
            filed_ms: _,
            since_ms,
            born_ms,
            traffic,
            stage,
            state,
            is_paused,
            is_dirty: _,
            is_ready: _,
            is_ended,
            is_over,
            has_excess,
            needs_bytes,
            takes_whole: _,
            target: _,
            is_held: _,
            session,
        } = self;
        // A shard that stops says so again where it is thawed.
        let Traffic { mut inbox, mut outbox, due_bytes: _, sending_bytes: _, sending, patience } =
            *traffic.unwrap_or_default();
        let mut unsent = Vec::new();
        outbox.take_pieces(&mut unsent);
        FrozenConnection {
            id,
            socket,
            unread: inbox.take(),
            sending,
            unsent,
            stage: stage.map(|stage| stage.freeze()),
            state: if session.is_client() { State::Broken } else { state },
            is_ended,
            is_over,
            has_excess,
            needs_bytes,
            is_paused,
            since_ms,
            born_ms,
            patience,
            session: session.freeze(Peer::new(id, place), asks, room),
            source: room.requests.take_source(socket),
            told: room.requests.events.take(id),
        }
    }

    /// The connection that was frozen, over the room's engine: what was in flight is asked for
    /// again, and the session goes on with what was received in the next turn.
    pub(crate) fn thaw(
        place: crate::table::Place,
        frozen: FrozenConnection,
        room: &mut Room,
    ) -> Self {
        let FrozenConnection {
            id,
            socket,
            unread,
            sending,
            unsent,
            stage,
            state,
            is_ended,
            is_over,
            has_excess,
            needs_bytes,
            is_paused,
            since_ms,
            born_ms,
            patience,
            session,
            source,
            told,
        } = frozen;
        if let Some(known) = told {
            room.requests.events.put(id, known);
        }
        if let Some(source) = source {
            room.requests.set_source(socket, source);
        }
        let mut traffic = room.take_traffic();
        traffic.patience = patience;
        traffic.inbox.append(&unread);
        unsent.into_iter().for_each(|piece| traffic.outbox.push(piece));
        let who = Who { id, place, socket };
        let session = Session::thaw(session, who, &mut traffic.outbox, room);
        let mut own = Self::at_rest(place, id, socket, session);
        own.traffic = Some(traffic);
        own.stage = room.stage.filter(|_| !own.is_outgoing()).map(|make| Box::new(make()));
        if let (Some(stage), Some(frozen)) = (&mut own.stage, &stage) {
            stage.thaw(frozen);
        }
        (own.is_ended, own.is_over) = (is_ended, is_over);
        (own.has_excess, own.needs_bytes) = (has_excess, needs_bytes);
        (own.since_ms, own.state) = (since_ms, state);
        (own.born_ms, own.is_paused) = (born_ms, is_paused);
        if !sending.is_empty() {
            if let Some(traffic) = &mut own.traffic {
                traffic.sending_bytes = sending.iter().map(|piece| piece.as_slice().len()).sum();
            }
            own.send = room.submit(Op::Send { socket, pieces: sending }, place.raw());
        }
        own.begin_again(room);
        own
    }

    fn begin_again(&mut self, room: &mut Room) {
        match self.state {
            State::Open => self.open_again(room),
            State::Lingering => {
                // A second shutdown changes nothing.
                room.submit(Op::Shutdown { socket: self.socket }, self.place.raw());
                if self.is_ended { self.give_up(room) } else { self.receive_again(room) }
            }
            State::Broken | State::Closing => self.give_up(room),
        }
        self.mark_dirty(room);
        // In the next turn, also where nothing waits: the end of a body may not have been noticed yet.
        if self.state == State::Open {
            self.is_ready = true;
            room.ready.push(self.place);
        }
    }

    fn unread(&self) -> usize {
        self.traffic.as_ref().map_or(0, |traffic| traffic.inbox.len())
    }

    fn open_again(&mut self, room: &mut Room) {
        let (unread, limits) = (self.unread(), &room.limits);
        let unsent = self.traffic.as_ref().map_or(0, |traffic| traffic.outbox.len());
        let waiting = if self.needs_bytes { 0 } else { unread };
        // One that was paused goes on as any other, and its session with it.
        self.is_paused |= waiting > limits.inbox_bytes_max || unsent > limits.outbox_bytes_max;
        self.receive_again(room);
        if self.session.peered().is_some_and(|session| session.is_shut()) {
            // It may have been cancelled; a second shutdown changes nothing.
            room.submit(Op::Shutdown { socket: self.socket }, self.place.raw());
        }
        if self.send == Key::NONE || self.session.peered().is_none() {
            self.session.sent(unsent, self.who(), room);
        }
    }

    /// A connection with nothing in flight.
    pub(super) fn at_rest(
        place: crate::table::Place,
        id: PeerId,
        socket: Descriptor,
        session: Session,
    ) -> Self {
        Self {
            place,
            id,
            socket,
            receive: Key::NONE,
            send: Key::NONE,
            filed_ms: NEVER,
            since_ms: 0,
            born_ms: 0,
            traffic: None,
            stage: None,
            state: State::Open,
            is_paused: false,
            is_dirty: false,
            is_ready: false,
            is_ended: false,
            is_over: false,
            has_excess: false,
            needs_bytes: true,
            takes_whole: false,
            target: STAYS,
            is_held: false,
            session,
        }
    }
}

/// Whether an operation ended because the engine did, or its limits, and not because of the peer.
const fn is_interruption(error: springtide_engine::Error) -> bool {
    use springtide_engine::Error;
    let is_refusal = matches!(error, Error::LateRefusal { .. });
    is_refusal || matches!(error, Error::Cancelled | Error::Limit(_))
}

/// What is left of pieces behind the first `sent` bytes.
pub(super) fn rest_of(pieces: Vec<Piece>, mut sent: usize) -> Vec<Piece> {
    let mut rest = Vec::with_capacity(pieces.len());
    for piece in pieces {
        let len = piece.as_slice().len();
        if sent >= len {
            sent -= len;
            continue;
        }
        rest.push(match piece {
            piece if sent == 0 => piece,
            Piece::Owned(mut bytes) => {
                bytes.drain(..sent);
                Piece::Owned(bytes)
            }
            Piece::Shared(bytes) => Piece::Shared(bytes.slice(sent..)),
        });
        sent = 0;
    }
    rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rest_begins_behind_what_was_sent() {
        let pieces = || {
            let shared = bytes::Bytes::from_static(b"cdef");
            vec![Piece::Owned(b"ab".to_vec()), Piece::Shared(shared), Piece::Owned(b"g".to_vec())]
        };
        for sent in 0..=7 {
            let rest = rest_of(pieces(), sent);
            assert!(rest.iter().all(|piece| !piece.as_slice().is_empty()), "{sent}");
            let bytes: Vec<u8> = rest.iter().flat_map(|piece| piece.as_slice().to_vec()).collect();
            assert_eq!(bytes, b"abcdefg"[sent..], "{sent}");
        }
    }
}
