//! The room: what all connections of a shard share while one of them is handled.
//! It holds no connection, and nothing of it outlives the shard.

use std::rc::Rc;
use std::sync::Arc;

use springtide_engine::{Op, PIECES_MAX, Piece};
use springtide_proto::{Inbox, Outbox};

use crate::access::ShardLog;
use crate::caps::ShardCaps;
use crate::connection::Patience;
use crate::date::Date;
use crate::executor::Executor;
use crate::files::{FileService, RootId};
use crate::limits::{Limits, Met, SEND_BYTES_MAX};
use crate::metrics::Counts;
use crate::offload::Pool;
use crate::request::Shared;
use crate::response::Compressing;
use crate::server::MakeSession;
use crate::shard::Together;
use crate::table::Place;
use crate::transport::Stage;
use crate::watch::Watch;

/// What connections share.
pub(crate) struct Room {
    pub(crate) requests: Rc<Shared>,
    pub(crate) limits: Limits,
    pub(crate) files: FileService,
    pub(crate) roots: Vec<RootId>,
    pub(crate) date: Date,
    pub(crate) executor: Executor,
    /// The server's pool, where a route needs it.
    pub(crate) pool: Option<Arc<Pool>>,
    pub(crate) counts: Counts,
    pub(crate) met: Met,
    /// The access log, where there is one.
    pub(crate) log: Option<Box<ShardLog>>,
    /// What one address may have, where that has a limit.
    pub(crate) caps: Option<Box<ShardCaps>>,
    /// There is one or the other: every request is looked at.
    pub(crate) is_watching: bool,
    /// The server has events, which are told of everything.
    pub(crate) has_events: bool,
    /// Bytes of long messages that were given to somebody since the last answers to such were sent.
    pub(crate) long_bytes: usize,
    /// Whose they were.
    pub(crate) long_given: Vec<Place>,
    pub(crate) watch: Watch,
    /// Compresses bodies, where the server is told to.
    pub(crate) compressing: Option<Box<Compressing>>,
    /// The present turn's number; it wraps.
    pub(crate) turn: u32,
    /// The present turn's time.
    pub(crate) now_ms: u64,
    /// Connections to flush at the end of the turn.
    pub(crate) dirty: Vec<Place>,
    /// Connections that go on in the next turn.
    pub(crate) ready: Vec<Place>,
    /// Connections whose descriptor is closed.
    pub(crate) closed: Vec<Place>,
    /// What is flushed now is sent at once, as there is little of it.
    pub(crate) sends_at_once: bool,
    /// How many connections that is at most; the engine's word.
    pub(crate) sends_at_once_max: usize,
    /// Connections that another shard is to take over, with nothing in flight.
    pub(crate) leaving: Vec<Place>,
    /// Makes the stage of each connection's transport; none for plain ones.
    pub(crate) stage: Option<fn() -> Box<dyn Stage>>,
    /// Makes the session of each connection; none for HTTP/1.1.
    pub(crate) session: Option<MakeSession>,
    /// Who is sent the same at once; nobody between two publications.
    pub(crate) together: Together,
    #[expect(clippy::vec_box, reason = "boxes move between here and connections without a copy")]
    traffic: Vec<Box<Traffic>>,
    buffers: Vec<Vec<u8>>,
    /// Memory for the long message that is taken next.
    long: Vec<u8>,
    /// Empty memory for a request that is taken whole: used again and again, it stays in the processor's
    /// cache.
    pub(crate) whole: Vec<u8>,
    /// What the application holds goes on without this.
    is_kept: bool,
    /// Bytes that the buffers have room for, those among the pieces included.
    buffer_bytes: usize,
    /// Room for the pieces of a send. In each is one, which is empty: a buffer, or none.
    pieces: Vec<Vec<Piece>>,
}

/// What a connection holds only while something waits in one direction or the other.
#[derive(Default)]
pub(crate) struct Traffic {
    pub(crate) inbox: Inbox,
    pub(crate) outbox: Outbox,
    /// How many bytes of the inbox had come when the server was told to stop: they are handled.
    pub(crate) due_bytes: usize,
    /// What is left of a send that was cut short, as it is to go on the wire: only while the
    /// connection is being frozen.
    pub(crate) sending: Vec<Piece>,
    /// Bytes of the send in flight, counted where there is a budget of memory.
    pub(crate) sending_bytes: usize,
    /// With a peer that takes its time for the send in flight.
    pub(crate) patience: Patience,
}

impl Traffic {
    #[inline]
    pub(crate) fn is_idle(&self) -> bool {
        self.inbox.is_empty()
            && self.outbox.is_empty()
            && !self.patience.has_begun()
            && self.sending_bytes == 0
    }

    /// Bytes of the inbox were handled, all that can be or so many; whether the last that were due
    /// were among them.
    #[inline]
    pub(crate) fn handles_last_due(&mut self, handled: usize, is_all: bool) -> bool {
        let before = self.due_bytes;
        self.due_bytes = if is_all { 0 } else { before.saturating_sub(handled) };
        before > 0 && self.due_bytes == 0
    }
}

/// How many of each are kept for the next connection that needs one: what a turn needs at a time.
const SPARE_MAX: usize = 256;
/// Bytes of buffers that are kept.
const SPARE_BYTES_MAX: usize = 512 << 10;
/// Buffers above this are not kept.
const SPARE_BUFFER_BYTES_MAX: usize = 16 << 10;
/// Room for so many pieces stays with an outbox in which nothing waits.
const SPARE_PIECES_MAX: usize = 16;
/// What a long message is taken into. More than the powers of two that messages often have: memory that is
/// full to the last byte is asked for more in vain.
pub(crate) const LONG_BYTES: usize = 20 << 10;
/// What a fresh buffer has room for: a few replies without a body to speak of.
const BUFFER_BYTES: usize = 1 << 10;

impl Room {
    pub(crate) fn new(
        requests: Rc<Shared>,
        limits: Limits,
        met: Met,
        files: FileService,
        stage: Option<fn() -> Box<dyn Stage>>,
        session: Option<MakeSession>,
    ) -> Self {
        let (date, now_ms, sends_at_once_max) = {
            let engine = requests.engine.borrow();
            let now_ms = engine.now().milliseconds();
            (Date::new(&**engine), now_ms, engine.sends_at_once_max())
        };
        let has_events = requests.events.listener().is_some();
        let executor = Executor::new(Rc::clone(&requests));
        let (roots, counts, dirty, ready, closed, leaving) = Default::default();
        let (traffic, buffers, pieces, whole) = Default::default();
        Self {
            requests,
            limits,
            files,
            roots,
            date,
            executor,
            pool: None,
            compressing: None,
            counts,
            met,
            log: None,
            caps: None,
            is_watching: false,
            has_events,
            long_bytes: 0,
            long_given: Vec::new(),
            watch: Watch::new(now_ms),
            turn: 0,
            now_ms,
            dirty,
            ready,
            closed,
            sends_at_once: false,
            sends_at_once_max,
            leaving,
            stage,
            session,
            together: Together::default(),
            traffic,
            buffers,
            long: Vec::new(),
            whole,
            is_kept: false,
            buffer_bytes: 0,
            pieces,
        }
    }

    /// Takes out what the application holds and cannot leave its thread, if there is anything; other
    /// futures are dropped.
    pub(crate) fn keep(&mut self) -> Option<(Rc<Shared>, Executor)> {
        let has_timers = self.requests.timers.borrow().has_callbacks();
        let shared = &self.requests;
        let has_sockets = !(shared.post.is_empty() && shared.lobbies.is_empty());
        let has_others = !(shared.cabinet.is_empty() && shared.bench.is_empty());
        let is_owed = !self.executor.gone.is_empty();
        let has_any = has_timers || has_sockets || has_others || is_owed;
        (has_any || shared.tasks.has_kept()).then(|| {
            self.is_kept = true;
            let shared = Rc::clone(&self.requests);
            let spare = Executor::new(Rc::clone(&shared));
            let mut executor = std::mem::replace(&mut self.executor, spare);
            let mut futures = shared.tasks.places.kept_futures();
            // They are told of the end once more.
            futures.extend(&executor.gone);
            executor.drop_all_but(&futures);
            shared.tasks.tell_farewells();
            (shared, executor)
        })
    }

    /// Takes the time of the turn that has begun.
    #[inline]
    pub(crate) fn begin_turn(&mut self) {
        self.long_bytes = 0;
        self.long_given.clear();
        self.turn = self.turn.wrapping_add(1);
        let engine = self.requests.engine.borrow();
        self.now_ms = engine.now().milliseconds();
        self.watch.begin_turn(self.now_ms);
        self.date.refresh(&**engine);
    }

    /// Calls code of the application for a route, and times it while callbacks are watched.
    pub(crate) fn watched<T>(&mut self, route: usize, call: impl FnOnce(&mut Self) -> T) -> T {
        if !self.watch.is_on() {
            return call(self);
        }
        let began = self.requests.engine.borrow().clock();
        let result = call(self);
        let took = self.requests.engine.borrow().clock().since(began);
        let is_slow = self.watch.note(took, self.requests.router.pattern(route));
        self.counts.callbacks_slow += u64::from(is_slow);
        result
    }

    #[inline]
    pub(crate) fn take_traffic(&mut self) -> Box<Traffic> {
        let mut traffic = self.traffic.pop().unwrap_or_default();
        if traffic.outbox.capacity() == 0 {
            traffic.outbox.offer_tail(self.take_buffer());
        }
        traffic
    }

    /// Takes traffic back in which nothing waits. A small buffer stays in it.
    #[inline]
    pub(crate) fn put_traffic(&mut self, mut traffic: Box<Traffic>) {
        if traffic.outbox.capacity() > BUFFER_BYTES
            && let Some(buffer) = traffic.outbox.take_spare()
        {
            self.put_buffer(buffer);
        }
        if self.traffic.len() < SPARE_MAX {
            self.traffic.push(traffic);
        }
    }

    /// Takes everything that waits as the pieces of a send.
    #[inline]
    pub(crate) fn pieces_of(&mut self, outbox: &mut Outbox) -> Vec<Piece> {
        let mut pieces = self.pieces.pop().unwrap_or_else(|| vec![Piece::Owned(Vec::new())]);
        if let [Piece::Owned(buffer)] = pieces.as_mut_slice() {
            self.buffer_bytes -= buffer.capacity();
            if outbox.swap_only(SEND_BYTES_MAX, buffer) {
                return pieces;
            }
        }
        self.gather(outbox, &mut pieces);
        pieces
    }

    /// Where it is not one stretch of bytes.
    #[inline(never)]
    fn gather(&mut self, outbox: &mut Outbox, pieces: &mut Vec<Piece>) {
        if let Some(Piece::Owned(buffer)) = pieces.pop() {
            self.put_buffer(buffer);
        }
        for piece in outbox.drain_pieces(PIECES_MAX, SEND_BYTES_MAX) {
            pieces.push(match piece {
                springtide_proto::Piece::Owned(bytes) => Piece::Owned(bytes),
                springtide_proto::Piece::Shared(bytes) => Piece::Shared(bytes),
            });
        }
        if outbox.is_empty() {
            outbox.shrink(SPARE_PIECES_MAX);
        }
    }

    /// Takes back what a send had: mostly one buffer, which stays where it is.
    #[inline]
    pub(crate) fn put_pieces(&mut self, mut pieces: Vec<Piece>) {
        let is_kept = self.keeps_pieces(&pieces);
        if let [Piece::Owned(buffer)] = pieces.as_mut_slice()
            && is_kept
            && self.keeps(buffer.capacity())
        {
            buffer.clear();
            self.buffer_bytes += buffer.capacity();
            return self.pieces.push(pieces);
        }
        self.put_several(pieces);
    }

    #[inline(never)]
    fn put_several(&mut self, mut pieces: Vec<Piece>) {
        while let Some(piece) = pieces.pop() {
            if let Piece::Owned(buffer) = piece {
                self.put_buffer(buffer);
            }
        }
        if self.keeps_pieces(&pieces) {
            pieces.push(Piece::Owned(Vec::new()));
            self.pieces.push(pieces);
        }
    }

    /// Whether the room that a send had for its pieces is kept, if it had any.
    #[inline]
    fn keeps_pieces(&self, pieces: &Vec<Piece>) -> bool {
        self.pieces.len() < SPARE_MAX && (1..=SPARE_PIECES_MAX).contains(&pieces.capacity())
    }

    /// Whether a buffer with room for so many bytes is kept.
    #[inline]
    const fn keeps(&self, bytes: usize) -> bool {
        bytes <= SPARE_BUFFER_BYTES_MAX && self.buffer_bytes + bytes <= SPARE_BYTES_MAX
    }

    #[inline]
    fn take_buffer(&mut self) -> Vec<u8> {
        let Some(buffer) = self.buffers.pop() else { return Vec::with_capacity(BUFFER_BYTES) };
        debug_assert!(buffer.capacity() > 0, "only what has room is kept");
        self.buffer_bytes -= buffer.capacity();
        buffer
    }

    #[inline]
    fn put_buffer(&mut self, mut buffer: Vec<u8>) {
        // One without room would stand in the way of those that have some.
        if buffer.capacity() > 0 && self.keeps(buffer.capacity()) {
            buffer.clear();
            self.buffer_bytes += buffer.capacity();
            self.buffers.push(buffer);
        }
    }

    /// Memory for a long message of so many bytes, with nothing in it: [`LONG_BYTES`] at least.
    pub(crate) fn take_long(&mut self, bytes: usize) -> Vec<u8> {
        if bytes > LONG_BYTES || self.long.capacity() == 0 {
            return Vec::with_capacity(bytes.max(LONG_BYTES));
        }
        std::mem::take(&mut self.long)
    }

    /// Takes it back, where nobody keeps what stands in it.
    pub(crate) fn put_long(&mut self, mut long: Vec<u8>) {
        if long.capacity() == LONG_BYTES {
            long.clear();
            self.long = long;
        }
    }

    /// Bytes of the buffers that wait for the next reply.
    #[cfg(test)]
    pub(crate) fn spare_bytes(&self) -> usize {
        let within: usize = self.traffic.iter().map(|traffic| traffic.outbox.capacity()).sum();
        self.buffer_bytes + within
    }

    /// For how many pieces there is room in what waits for the next connection.
    #[cfg(test)]
    pub(crate) fn spare_pieces(&self) -> usize {
        self.traffic.iter().map(|traffic| traffic.outbox.pieces_room()).sum()
    }

    /// The same in each of those that wait for the next send, at most.
    #[cfg(test)]
    pub(crate) fn spare_pieces_max(&self) -> usize {
        self.pieces.iter().map(Vec::capacity).max().unwrap_or(0)
    }

    /// Starts a send. When nobody waits for its end, that may come with whatever comes next: at a
    /// moderate rate a turn for it alone would be a third of a request's work.
    #[inline]
    pub(crate) fn send(&self, op: Op, token: u64, is_awaited: bool) -> springtide_engine::Key {
        let mut engine = self.requests.engine.borrow_mut();
        if is_awaited { engine.submit(op, token) } else { engine.submit_quiet(op, token) }
    }

    /// Starts an operation whose completions come to a token.
    #[inline]
    pub(crate) fn submit(&self, op: Op, token: u64) -> springtide_engine::Key {
        self.requests.engine.borrow_mut().submit(op, token)
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        if !self.is_kept {
            self.requests.end();
        }
    }
}
