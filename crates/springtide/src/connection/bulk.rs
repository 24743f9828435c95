//! Long messages taken at once into memory of their own, and sent at once while they lie in the
//! processor's cache: what comes in chunks is copied once more, and what waits for the end of the
//! turn has gone out of the cache by then.
//! It knows of a message only that its session lends memory for it, and of files only that there is one.

use bytes::Bytes;
use springtide_engine::{CHUNK_BYTES, Error, Key, Taken};

use super::{Connection, State};
use crate::room::Room;
use crate::session::Source;

/// From this much on, what waits to be sent is sent at once behind a long message.
const SEND_AT_ONCE_BYTES_MIN: usize = 16 << 10;

/// Room for a request that is taken whole: a body of 64 KiB, and its head.
const WHOLE_BYTES_MAX: usize = 72 << 10;

/// What a request has at least for the next to be taken whole: as much of that room as may stay empty.
const WHOLE_BYTES_MIN: usize = WHOLE_BYTES_MAX / 2;

impl Connection {
    /// A handler has taken of what came, or wants no more of it: the session goes on.
    pub(crate) fn read_on(&mut self, room: &mut Room) {
        self.tell(room, |session, outbox, room| session.read_on(outbox, room));
        // Also where nothing waits: the last bytes may have filled what waited for the handler, and
        // then the end of the body has not been noticed yet.
        self.handle_inbox(room);
        self.receive_again(room);
    }

    /// Whether nothing waits to be handled, so that what comes next is at the socket, as it is.
    fn is_at_socket(&self) -> bool {
        let waits = self.traffic.as_ref().is_some_and(|traffic| !traffic.inbox.is_empty());
        !waits && self.stage.is_none() && self.state == State::Open
    }

    /// Whether what comes next is taken, and no chunk of it is received: of a long body, a request that
    /// may have one, or what is likely to be a long message.
    pub(super) fn takes(&self, room: &Room) -> bool {
        let is_whole = self.takes_whole && self.session.is_http();
        (is_whole || self.takes_bulk(room)) && self.is_at_socket()
    }

    fn takes_bulk(&self, room: &Room) -> bool {
        self.session.is_in_long_body() || self.session.expects_long(room)
    }

    /// The same, and nobody has to take of it first.
    pub(super) fn keeps_taking(&self, room: &Room) -> bool {
        self.takes(room) && !self.session.is_body_held()
    }

    /// Takes what is there.
    pub(super) fn take(&mut self, room: &mut Room) {
        if self.takes_bulk(room) {
            return self.receive_bulk(true, room);
        }
        let mut memory = std::mem::take(&mut room.whole);
        memory.reserve_exact(WHOLE_BYTES_MAX);
        match self.take_into(&mut memory, WHOLE_BYTES_MAX, true, room) {
            Ok(Taken::Bytes(_)) => return self.receive_whole(memory, room),
            Ok(Taken::Nothing) => self.watch_on(false, room),
            Ok(Taken::End) => self.taken_to_its_end(room),
            Err(error) => self.taking_failed(error, room),
        }
        room.whole = memory;
    }

    /// Handles what was taken, of which a long body keeps its part, and sends what answers it. The
    /// memory is for the next who takes, unless the body is kept.
    fn receive_whole(&mut self, memory: Vec<u8>, room: &mut Room) {
        room.counts.bytes_received += memory.len() as u64;
        let may_have_more = memory.len() >= WHOLE_BYTES_MAX;
        let is_long = memory.len() >= WHOLE_BYTES_MIN;
        let bytes = Bytes::from(memory);
        // What is little would hold all of the memory.
        let source = if is_long { Source::Own(&bytes) } else { Source::Joined(&bytes) };
        self.receive_from(&source, room);
        self.takes_whole = is_long && !self.session.wants_bulk();
        self.send_at_once(room);
        if let Ok(mut memory) = bytes.try_into_mut() {
            memory.clear();
            room.whole = memory.into();
        }
        self.watch_on(may_have_more, room);
        self.balance(room);
    }

    /// Takes what lies behind the chunk that was handled last, or, `is_told` that something is there and
    /// with no receive in flight, all of that.
    #[inline(never)]
    pub(super) fn receive_bulk(&mut self, is_told: bool, room: &mut Room) {
        if !self.is_at_socket() {
            return;
        }
        let (mut has_more, mut taken) = (true, 0);
        while has_more && let Some((mut memory, bytes_max)) = self.session.lend_bulk(room) {
            let (before, space) = (memory.len(), memory.capacity() - memory.len());
            let count = match self.take_into(&mut memory, bytes_max, is_told, room) {
                Ok(Taken::Bytes(count)) => count,
                Ok(Taken::Nothing) => 0,
                Ok(Taken::End) => return self.ended_in_bulk(memory, before, room),
                Err(error) => return self.bulk_failed(memory, before, error, room),
            };
            has_more = count == space.min(bytes_max);
            taken += count;
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
        if self.session.is_http() {
            self.send_at_once(room);
        } else if taken > 0 && !self.session.is_within_message() {
            room.long_bytes += taken;
            room.long_given.push(self.place);
        }
        if is_told {
            self.watch_on(has_more, room);
            return self.balance(room);
        }
        self.expect(taken, room);
    }

    fn take_into(
        &self,
        memory: &mut Vec<u8>,
        bytes_max: usize,
        is_told: bool,
        room: &Room,
    ) -> Result<Taken, Error> {
        let mut engine = room.requests.engine.borrow_mut();
        if is_told {
            return engine.take_now(self.socket, memory, bytes_max);
        }
        engine.receive_now(self.receive, memory, bytes_max).map(Taken::Bytes)
    }

    /// A watch goes on while what comes is taken, and nothing is left of what it has told of: a new one
    /// tells of that. So it does while a long message waits for its pull, behind which the next one comes.
    fn watch_on(&mut self, may_have_more: bool, room: &Room) {
        let waits = self.session.peered().is_some_and(|session| session.ahead() > 0);
        if may_have_more || !(waits || self.keeps_taking(room)) {
            room.requests.engine.borrow_mut().cancel(self.receive);
        }
        self.receive_again(room);
    }

    /// So much has been taken behind a chunk: what comes next may be like it.
    fn expect(&mut self, taken: usize, room: &Room) {
        let is_long = (WHOLE_BYTES_MIN..=WHOLE_BYTES_MAX - CHUNK_BYTES).contains(&taken);
        self.takes_whole = is_long && !self.session.wants_bulk();
        if self.takes(room) {
            room.requests.engine.borrow_mut().cancel(self.receive);
        }
    }

    /// The stream has ended within a long body or message.
    fn ended_in_bulk(&mut self, memory: Vec<u8>, before: usize, room: &mut Room) {
        let who = self.who();
        let traffic = self.traffic.get_or_insert_with(|| room.take_traffic());
        let rest = self.session.receive_bulk(memory, before, who, &mut traffic.outbox, room);
        traffic.inbox.append(&rest);
        self.session.end_bulk(who, room);
        self.taken_to_its_end(room);
    }

    /// The stream has ended, and a watch of it ends.
    fn taken_to_its_end(&mut self, room: &mut Room) {
        room.requests.engine.borrow_mut().cancel(self.receive);
        self.ended(room);
    }

    /// The system ends the connection, and a watch of it ends.
    fn taking_failed(&mut self, error: Error, room: &mut Room) {
        room.requests.engine.borrow_mut().cancel(self.receive);
        self.receive_failed(error, room);
    }

    /// The peer is gone: what came before that is still who pulls it, and of a message nobody's.
    fn bulk_failed(&mut self, memory: Vec<u8>, before: usize, error: Error, room: &mut Room) {
        let who = self.who();
        if let Some(session) = self.session.peered() {
            session.receive_bulk(memory, before, room);
            session.end_bulk(who, room);
        }
        self.taking_failed(error, room);
    }

    /// Sends what answers a long message, if that is a long one as well.
    pub(crate) fn send_long(&mut self, room: &mut Room) {
        if self.session.is_broken() {
            return;
        }
        let is_free = self.state == State::Open && self.send == Key::NONE;
        if let Some(session) = self.session.peered().filter(|_| is_free)
            && session.waiting_bytes() > CHUNK_BYTES
        {
            self.pour(room);
        }
        self.send_from(CHUNK_BYTES, room);
    }

    /// Sends what is long and was just written.
    pub(super) fn send_at_once(&mut self, room: &mut Room) {
        self.send_from(SEND_AT_ONCE_BYTES_MIN, room);
    }

    /// Sends what waits, where it has so many bytes.
    fn send_from(&mut self, bytes_min: usize, room: &mut Room) {
        let is_free = self.state == State::Open && self.send == Key::NONE && self.stage.is_none();
        let is_free = is_free && !self.is_leaving();
        let Some(traffic) = self.traffic.as_mut().filter(|_| is_free) else { return };
        if traffic.outbox.len() < bytes_min {
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
        if self.state != State::Open || self.stage.is_some() || self.is_leaving() {
            return self.session.stop_passing(room);
        }
        let passed = self.session.pass_file(self.socket, room);
        self.count_sent(passed, room);
        if passed > 0 {
            self.submit_send(Vec::new(), true, room);
        }
    }
}
