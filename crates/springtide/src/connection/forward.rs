//! Forwards: what the shard does at either end of one, which has both of them.
//! Nothing is taken that the sink has no room for, and nothing goes to it beside a send (law 5).

use springtide_engine::{Descriptor, Error, Key, Op, Spliced};

use super::{Connection, State};
use crate::peer::{Peer, Reason};
use crate::room::Room;
use crate::session::peered::forward::{Carrying, Feeder};

/// A sink that takes what is carried to it.
#[derive(Clone, Copy)]
pub(crate) struct Outlet {
    socket: Descriptor,
    /// No transport changes what goes there.
    is_plain: bool,
}

/// What was taken for a sink.
#[derive(Default)]
pub(crate) struct Load {
    /// To be sent, in this order.
    pieces: [Vec<u8>; 2],
    /// The system has passed so many bytes before them.
    passed: usize,
    /// They found no room when they were to be passed.
    is_rest: bool,
}

impl Load {
    /// Whether anything is to be sent at the sink, and if so whether that has no room.
    pub(crate) fn waits(&self) -> Option<bool> {
        let waits = self.pieces.iter().any(|piece| !piece.is_empty());
        waits.then_some(self.is_rest)
    }
}

impl Connection {
    /// How the next bytes are received; none while nothing is to be.
    pub(super) fn receiving(&mut self, room: &Room) -> Option<Op> {
        let socket = self.socket;
        match self.session.peered().and_then(|session| session.splices(room)) {
            // Who takes of its body asks for more of it.
            None if self.takes(room) && self.session.is_body_held() => None,
            // The pieces of a body come slowly, or its handler is behind: each is waited for.
            None if self.takes(room) && self.session.is_in_long_body() => {
                Some(Op::AwaitBytes { socket })
            }
            None if self.takes(room) => Some(Op::WatchBytes { socket }),
            None => Some(Op::Receive { socket }),
            Some(true) => None,
            Some(false) => Some(Op::AwaitBytes { socket }),
        }
    }

    /// There is something that the system can pass to the sink of a forward, or that is taken.
    /// More may be told of, where the socket is watched.
    pub(super) fn bytes_are_there(&mut self, more: bool, room: &mut Room) {
        if !more {
            self.receive = Key::NONE;
        }
        if self.keeps_taking(room) && self.wants_bytes() && !self.is_ready {
            return self.take(room);
        }
        if more {
            // What is received in its place finds the bytes there.
            return room.requests.engine.borrow_mut().cancel(self.receive);
        }
        let is_passed = self.session.peered().is_some_and(|session| session.bytes_are_there(room));
        if !is_passed {
            self.receive_again(room);
        }
    }

    /// Where what comes is to be carried to, if it is.
    pub(crate) fn carries_to(&mut self, has_room: bool, room: &Room) -> Option<Carrying> {
        let is_open = self.state == State::Open && !self.is_held;
        let session = self.session.peered().filter(|_| is_open)?;
        if has_room {
            session.has_room();
        }
        let carrying = session.carries_to(room);
        if carrying.is_none() {
            self.receive_again(room);
        }
        carrying.filter(|carrying| !carrying.waits)
    }

    /// Takes what has come, or has the system pass it to the sink, which has room.
    pub(crate) fn take_load(&mut self, outlet: Outlet, room: &mut Room) -> Load {
        let Some(session) = self.session.peered() else { return Load::default() };
        let ahead = session.take_ahead().unwrap_or_default();
        let waiting = self.traffic.as_mut().map(|traffic| traffic.inbox.take());
        let pieces = [ahead, waiting.unwrap_or_default()];
        let bytes = pieces[0].len() + pieces[1].len();
        let may_splice = outlet.is_plain && self.stage.is_none() && !self.is_ended;
        if bytes > 0 {
            if session.taken(bytes) && may_splice && room.requests.engine.borrow().splices() {
                // What the receive still brings comes first.
                session.begin_to_splice();
                room.requests.engine.borrow_mut().cancel(self.receive);
            }
            return Load { pieces, passed: 0, is_rest: false };
        }
        let splices = session.splices(room).is_some();
        if may_splice && splices && self.receive == Key::NONE {
            return self.splice(outlet, room);
        }
        Load::default()
    }

    /// Has the system pass what has come.
    fn splice(&mut self, outlet: Outlet, room: &mut Room) -> Load {
        let Some(session) = self.session.peered() else { return Load::default() };
        let (share, mut rest) = (session.share_to_splice(room), Vec::new());
        if share == 0 {
            self.go_on_later(room);
            return Load::default();
        }
        let spliced = {
            let mut engine = room.requests.engine.borrow_mut();
            engine.splice_now(self.socket, outlet.socket, share, &mut rest)
        };
        match spliced {
            Ok(Spliced::Bytes(bytes)) => {
                room.counts.bytes_received += bytes as u64;
                session.spliced(bytes, rest.len(), room);
                let is_spent = session.share_to_splice(room) == 0;
                let (passed, is_rest) = (bytes - rest.len(), !rest.is_empty());
                match is_spent {
                    _ if is_rest => {}
                    true => self.go_on_later(room),
                    false => self.receive_again(room),
                }
                return Load { pieces: [rest, Vec::new()], passed, is_rest };
            }
            Ok(Spliced::Nothing) => self.receive_again(room),
            Ok(Spliced::End) => self.ended(room),
            Ok(Spliced::Refused) | Err(Error::Misuse(_)) => {
                session.splice_is_refused();
                self.receive_again(room);
            }
            Err(error) => self.receive_failed(error, room),
        }
        Load::default()
    }

    /// The share of this turn is spent: the rest has its turn in the next.
    fn go_on_later(&mut self, room: &mut Room) {
        if !self.is_ready {
            self.is_ready = true;
            room.ready.push(self.place);
        }
    }

    /// The sink has no room: it says when it has.
    pub(crate) fn wait_for_room(&mut self) {
        if let Some(session) = self.session.peered() {
            session.wait_for_room();
        }
    }

    /// What was taken is at the sink, which has no room for more where it is to wait.
    pub(crate) fn carried(&mut self, waits: bool, room: &mut Room) {
        if waits {
            self.wait_for_room();
        }
        // What came behind the end of the receive waited for room, and nothing was received then.
        self.receive_again(room);
        self.handle_inbox(room);
    }

    /// The forward cannot go on.
    pub(crate) fn end_forward(&mut self, reason: Reason, room: &mut Room) {
        let who = self.who();
        if let Some(session) = self.session.peered() {
            session.end_forward(reason, who, room);
        }
        self.serve(room);
    }

    // What follows is done at the sink.

    /// Where what comes of a forward can go now; nowhere while there is no room, which is told.
    pub(crate) fn outlet(
        &mut self,
        carrying: &Carrying,
        room: &Room,
    ) -> Result<Option<Outlet>, Reason> {
        let outlet = Outlet { socket: self.socket, is_plain: self.stage.is_none() };
        let (is_open, has_room) = (self.state == State::Open, self.has_room());
        let Some(session) = self.session.peered().filter(|_| is_open) else {
            // Who is known here is told the reason.
            return if carrying.is_new { Err(Reason::Closed) } else { Ok(None) };
        };
        if let Some(reason) = session.feed_refusal() {
            return Err(reason);
        }
        if carrying.is_new {
            session.be_fed(&carrying.feeder, room);
        }
        if !has_room {
            session.let_wait(&carrying.feeder, room);
        }
        Ok(has_room.then_some(outlet))
    }

    /// Whether nothing is being sent or waits to be.
    fn has_room(&mut self) -> bool {
        let is_unsent = self.traffic.as_ref().is_some_and(|own| !own.outbox.is_empty());
        let is_free = self.send == Key::NONE && !is_unsent && !self.is_held;
        is_free && self.session.peered().is_some_and(|session| !session.has_waiting())
    }

    /// Whose forward has its turn, where there is room.
    pub(crate) fn next_waiting(&mut self) -> Option<Peer> {
        let has_room = self.state == State::Open && self.has_room();
        self.session.peered().filter(|_| has_room)?.next_waiting()
    }

    /// Sends what was taken elsewhere, and says when there is room for more where that is waited for.
    pub(crate) fn give(&mut self, load: Load, feeder: &Feeder, room: &mut Room) {
        let waits = load.waits();
        let Load { pieces, passed, is_rest } = load;
        room.counts.bytes_sent += passed as u64;
        let Some(session) = self.session.peered() else { return };
        if passed > 0 || waits.is_some() {
            session.heard(room);
        }
        if waits.is_none() {
            return;
        }
        if is_rest {
            session.let_wait(feeder, room);
        }
        let traffic = self.traffic.get_or_insert_with(|| room.take_traffic());
        for piece in pieces.into_iter().filter(|piece| !piece.is_empty()) {
            traffic.outbox.push(piece.into());
        }
        self.mark_dirty(room);
        if !is_rest {
            self.send_at_once(room);
        }
    }
}
