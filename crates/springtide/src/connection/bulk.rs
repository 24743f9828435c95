//! Long messages taken at once into memory of their own, and sent at once while they lie in the
//! processor's cache: what comes in chunks is copied once more, and what waits for the end of the
//! turn has gone out of the cache by then.
//! It knows of a message only that its session lends memory for it, and of files only that there is one.

use springtide_engine::{Error, Key, Taken};

use super::{Connection, State};
use crate::events::Operation;
use crate::peer::Reason;
use crate::room::Room;

/// From this much on, what waits to be sent is sent at once behind a long message.
const SEND_AT_ONCE_BYTES_MIN: usize = 16 << 10;

impl Connection {
    /// A handler has taken of what came, or wants no more of it: the session goes on.
    pub(crate) fn read_on(&mut self, room: &mut Room) {
        self.tell(room, |session, outbox, room| session.read_on(outbox, room));
        // Also where nothing waits: the last bytes may have filled what waited for the handler, and
        // then the end of the body has not been noticed yet.
        self.handle_inbox(room);
        if self.receive == Key::NONE {
            self.receive_on(room);
        }
    }

    /// Whether so much of a body is still to come that it is taken where it is to stand, and no chunk
    /// of it is received.
    pub(super) fn is_in_long_body(&self) -> bool {
        self.is_plain() && self.session.is_in_long_body()
    }

    /// Whether what comes next is likely to be a long message, and comes behind nothing that waits: it is
    /// taken where it is to stand, and no chunk of it is received.
    pub(super) fn expects_long(&self, room: &Room) -> bool {
        let is_over = self.is_ended || self.is_over || self.is_held;
        let is_free = !is_over && !self.is_paused && !self.is_ready;
        is_free && self.is_plain() && self.session.expects_long(room)
    }

    /// Whether what comes is taken as it is, and nothing waits before it.
    fn is_plain(&self) -> bool {
        let waits = self.traffic.as_ref().is_some_and(|traffic| !traffic.inbox.is_empty());
        !waits && self.stage.is_none() && self.state == State::Open
    }

    /// Goes on where no receive is in flight: takes of a long body what is there, or waits for more. A
    /// body whose handler is behind is left where it is.
    pub(super) fn receive_on(&mut self, room: &mut Room) {
        let is_free = self.receive == Key::NONE && !self.is_ready && !self.is_paused;
        let is_over = self.is_ended || self.is_over || self.is_held;
        if !is_free || is_over || self.session.is_peered() || self.session.is_body_held() {
            return;
        }
        match self.is_in_long_body() {
            true => self.receive_bulk(room),
            false => self.receive_again(room),
        }
    }

    /// Takes what lies behind the chunk that was handled last, or what is there of a long body.
    #[inline(never)]
    pub(super) fn receive_bulk(&mut self, room: &mut Room) {
        if !self.is_plain() {
            return;
        }
        let mut has_more = true;
        while has_more && let Some((mut memory, bytes_max)) = self.session.lend_bulk(room) {
            let (before, space) = (memory.len(), memory.capacity() - memory.len());
            let count = match self.take(&mut memory, bytes_max, room) {
                Ok(Taken::Bytes(count)) => count,
                Ok(Taken::Nothing) => 0,
                Ok(Taken::End) => return self.ended_in_bulk(memory, before, room),
                Err(error) => return self.bulk_failed(memory, before, error, room),
            };
            has_more = count == space.min(bytes_max);
            room.counts.bytes_received += count as u64;
            let who = self.who();
            let traffic = self.traffic.get_or_insert_with(|| room.take_traffic());
            let outbox = &mut traffic.outbox;
            let rest = self.session.receive_bulk(memory, before, who, outbox, room);
            traffic.inbox.append(&rest);
            if !rest.is_empty() {
                // What is still there comes behind it.
                break;
            }
        }
        self.session.end_bulk(self.who(), room);
        self.handle_inbox(room);
        self.send_at_once(room);
        self.await_more(has_more, room);
    }

    fn take(&self, memory: &mut Vec<u8>, bytes_max: usize, room: &Room) -> Result<Taken, Error> {
        let mut engine = room.requests.engine.borrow_mut();
        if self.receive == Key::NONE {
            return engine.take_now(self.socket, memory, bytes_max);
        }
        engine.receive_now(self.receive, memory, bytes_max).map(Taken::Bytes)
    }

    /// What was there has been taken, or as much as may be in this turn. Of a long body no chunk is
    /// received from now on.
    fn await_more(&mut self, has_more: bool, room: &mut Room) {
        if self.receive != Key::NONE {
            if self.is_in_long_body() || self.expects_long(room) {
                room.requests.engine.borrow_mut().cancel(self.receive);
            }
        } else if has_more && self.is_in_long_body() {
            self.go_on_later(room);
        } else if self.session.expects_long(room)
            || (!self.is_ready && !self.session.is_body_held())
        {
            self.receive_again(room);
            self.balance(room);
        }
    }

    /// The stream has ended within a long body.
    fn ended_in_bulk(&mut self, memory: Vec<u8>, before: usize, room: &mut Room) {
        let who = self.who();
        let traffic = self.traffic.get_or_insert_with(|| room.take_traffic());
        let rest = self.session.receive_bulk(memory, before, who, &mut traffic.outbox, room);
        traffic.inbox.append(&rest);
        self.session.end_bulk(who, room);
        self.ended(room);
    }

    /// The peer is gone: what came before that is still who pulls it.
    fn bulk_failed(&mut self, memory: Vec<u8>, before: usize, error: Error, room: &mut Room) {
        let who = self.who();
        if let Some(session) = self.session.peered() {
            session.receive_bulk(memory, before, room);
            session.end_bulk(who, room);
            session.break_for(Reason::of(error));
        }
        self.is_ended = true;
        self.operation_failed(Operation::Receive, error, room);
        self.give_up(room);
    }

    /// Sends what is long and was just written.
    pub(super) fn send_at_once(&mut self, room: &mut Room) {
        let is_free = self.state == State::Open && self.send == Key::NONE && self.stage.is_none();
        let Some(traffic) = self.traffic.as_mut().filter(|_| is_free && !self.is_leaving) else {
            return;
        };
        if traffic.outbox.len() < SEND_AT_ONCE_BYTES_MIN {
            return;
        }
        let pieces = room.pieces_of(&mut traffic.outbox);
        match self.send_now(pieces, room) {
            None => self.all_sent(room),
            Some(left) => {
                self.submit_send(left, true, room);
                self.mark_dirty(room);
            }
        }
    }

    /// Sends of a file what the system has in its memory, when nothing else waits to be sent, and goes
    /// on when there is room again.
    #[inline(never)]
    pub(super) fn pass_file(&mut self, room: &mut Room) {
        if self.state != State::Open || self.stage.is_some() || self.is_leaving {
            return self.session.stop_passing(room);
        }
        let passed = self.session.pass_file(self.socket, room);
        self.count_sent(passed, room);
        if passed > 0 {
            self.submit_send(Vec::new(), true, room);
        }
    }
}
