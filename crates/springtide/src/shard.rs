//! A shard: one thread, one engine, its connections, turn by turn.
//! It takes no lock and shares nothing with other shards but mailboxes and counts.

mod client;
mod freeze;
mod futures;
mod memory;
mod moving;

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use springtide_engine::{Completion, Descriptor, Error, Handle, Moment, Op, Outcome, Wheel};

pub(crate) use client::CLIENT_TOKEN;

use crate::access::{ShardLog, Sink};
use crate::caps::{Caps, ShardCaps};
use crate::connection::{CLOSED_TOKEN, Connection, FrozenConnection};
use crate::executor::Bell;
use crate::files::{FileEvent, FileReply, FileService, RootId};
use crate::freeze::Handoff;
use crate::limits::{Met, place_of};
use crate::listener::{Accepted, LISTENER_TOKEN, Listeners, RESUME_TOKEN};
use crate::mailbox::{Mailbox, Message, Neighbour};
use crate::metrics::ShardCounts;
use crate::offload::Pool;
use crate::peer::{PeerId, PeerIds};
use crate::request::Shared;
use crate::room::Room;
use crate::route::Routes;
use crate::server::Settings;
use crate::session::Session;
use crate::session::http1::Http1;
use crate::table::{PLACE_BITS, Place, Table};

/// Tokens of the file service's operations.
pub(crate) const FILES_TOKEN: u64 = 3 << 60;
/// The token of the close of a listener.
const CLOSE_TOKEN: u64 = 4 << 60;

/// How the run of a shard came to its end.
pub(crate) enum Ran {
    ToItsEnd,
    /// io_uring is refused: the shard is frozen.
    UntilRefused(Error, Box<Handoff>),
}

/// A shard, owned by its thread.
pub(crate) struct Shard {
    room: Room,
    connections: Table<Connection>,
    listeners: Listeners,
    wheel: Wheel,
    completions: Vec<Completion>,
    /// Connections to be asked for their deadline when time expires next, besides the wheel's.
    due: Vec<u32>,
    file_events: Vec<FileEvent>,
    standing: Standing,
    /// When it looks next what its connections hold, and whether that was too much.
    memory_look_ms: u64,
    /// What was told of the memory held may not be true any more when it is looked at again.
    is_memory_stale: bool,
    is_short: bool,
}

/// What a shard is in its server, whatever thread and engine it has.
pub(crate) struct Standing {
    pub(crate) number: usize,
    /// This shard deals what it accepts to all shards.
    pub(crate) is_dealing: bool,
    pub(crate) mailbox: Arc<Mailbox>,
    pub(crate) counts: Arc<ShardCounts>,
    /// Open connections of the whole server.
    pub(crate) open: Arc<AtomicUsize>,
    pub(crate) router: Arc<Routes>,
    pub(crate) pool: Option<Arc<Pool>>,
    /// Where the lines of the access log go, if there is one.
    pub(crate) sink: Option<Arc<Sink>>,
    /// What one address may have, if that has a limit.
    pub(crate) caps: Option<Arc<Caps>>,
    pub(crate) settings: Settings,
    pub(crate) neighbours: Vec<Neighbour>,
    /// How many connections were dealt to each neighbour.
    pub(crate) dealt: Vec<u64>,
    pub(crate) peers: PeerIds,
    pub(crate) stopping: Option<Stopping>,
}

/// A shard that is to end.
pub(crate) struct Stopping {
    until_ms: u64,
    /// Listeners go to another shard; otherwise they are closed.
    hands_over: bool,
}

/// Memory of a shard, for tests that count it.
#[cfg(test)]
#[derive(Debug)]
pub(crate) struct Held {
    pub(crate) connection_pages: usize,
    pub(crate) operation_pages: u64,
    pub(crate) spare_bytes: usize,
    pub(crate) futures: usize,
    pub(crate) spare_alarms: usize,
    pub(crate) future_pages: usize,
    pub(crate) timer_pages: usize,
}

impl Shard {
    /// A shard over its engine, with no connection.
    pub(crate) fn new(
        standing: Standing,
        engine: Box<dyn Handle>,
        files: FileService,
        roots: Vec<RootId>,
    ) -> Self {
        standing.counts.run_on(engine.name());
        let bell = Arc::new(Bell::new(standing.mailbox.clone()));
        let engine = Rc::new(RefCell::new(engine));
        let requests = Shared::new(engine, standing.router.clone(), bell, standing.number);
        let Settings { limits, stage, session, compresses, .. } = &standing.settings;
        let met = Met::new(standing.counts.clone());
        let mut room = Room::new(requests, limits.clone(), met, files, *stage, *session);
        room.roots = roots;
        room.log = standing.sink.clone().map(|sink| Box::new(ShardLog::new(sink)));
        room.caps = standing.caps.clone().map(|caps| Box::new(ShardCaps::new(caps)));
        room.is_watching = room.log.is_some() || room.caps.is_some();
        room.pool.clone_from(&standing.pool);
        room.compressing = compresses.then(Box::default);
        let wheel = Wheel::new(room.now_ms);
        let (listeners, completions, due, file_events) = Default::default();
        let connections = Table::new();
        let (memory_look_ms, is_memory_stale, is_short) = Default::default();
        Self {
            room,
            connections,
            listeners,
            wheel,
            completions,
            due,
            file_events,
            standing,
            memory_look_ms,
            is_memory_stale,
            is_short,
        }
    }

    pub(crate) fn add_listener(&mut self, listener: Descriptor) {
        self.listeners.add(listener, &self.room);
    }

    /// Turns until the shard is to end and everything has ended, or until the system refuses the
    /// engine: frozen, it goes on elsewhere.
    pub(crate) fn run(&mut self) -> Result<Ran, Error> {
        let ran = loop {
            match self.turn() {
                Ok(true) => {}
                Ok(false) => break Ok(Ran::ToItsEnd),
                Err(refusal @ Error::LateRefusal { .. }) => {
                    let frozen = self.freeze().map(Box::new);
                    break frozen.map(|handoff| Ran::UntilRefused(refusal, handoff));
                }
                Err(error) => break Err(error),
            }
        };
        if !matches!(ran, Ok(Ran::UntilRefused(..))) {
            self.end();
        }
        ran
    }

    /// A frozen shard gives up its thread.
    pub(crate) fn leave(mut self) -> Standing {
        self.flush_log();
        self.standing
    }

    /// One turn; false when there is nothing left to do.
    pub(crate) fn turn(&mut self) -> Result<bool, Error> {
        let mut completions = std::mem::take(&mut self.completions);
        let deadline = self.deadline();
        let turned = self.room.requests.engine.borrow_mut().turn(deadline, &mut completions);
        if let Err(error) = turned {
            // What has ended is not lost with the engine.
            self.completions = completions;
            return Err(error);
        }
        self.room.begin_turn();
        // First, because who they are to be dealt to is told by message.
        while let Some(message) = self.standing.mailbox.next() {
            self.handle(message);
        }
        for completion in completions.drain(..) {
            self.complete(completion)?;
        }
        self.completions = completions;
        if !self.room.ready.is_empty() {
            self.go_on();
        }
        self.expire();
        self.run_futures();
        self.flush();
        if self.room.limits.memory_max != usize::MAX {
            self.look_at_memory();
        }
        if let Some(log) = &mut self.room.log {
            let dropped = log.end_turn(self.room.now_ms);
            self.standing.counts.drop_log_lines(dropped);
        }
        self.room.counts.turns_total += 1;
        self.publish();
        if self.standing.stopping.is_some() && self.connections.len() == 0 {
            let mut engine = self.room.requests.engine.borrow_mut();
            self.room.files.close(&mut **engine);
        }
        Ok(!self.is_over())
    }

    /// Connections that had more to do when their turn was over.
    fn go_on(&mut self) {
        for place in std::mem::take(&mut self.room.ready) {
            self.with(place, Connection::go_on);
        }
    }

    fn deadline(&self) -> Option<Moment> {
        let room = &self.room;
        let is_ready = !(room.ready.is_empty() && room.dirty.is_empty() && self.due.is_empty());
        if is_ready || room.executor.is_busy() {
            return Some(Moment::ZERO);
        }
        // Once patience is over everything was given up: only the last operations have to end.
        let stop = self.standing.stopping.as_ref().map(|stopping| stopping.until_ms);
        let stop = stop.filter(|until_ms| *until_ms > room.now_ms);
        let timer = room.requests.timers.borrow().next_ms();
        let mut next = self.wheel.next_ms().into_iter().chain(stop).chain(timer).min();
        if let Some(log) = &room.log {
            next = next.into_iter().chain(log.due_ms()).min();
        }
        if self.is_memory_stale {
            next = next.into_iter().chain(Some(self.memory_look_ms)).min();
        }
        next.map(Moment::from_milliseconds)
    }

    #[inline]
    fn complete(&mut self, completion: Completion) -> Result<(), Error> {
        match completion.token >> PLACE_BITS << PLACE_BITS {
            0 => {
                let place = Place::from_raw(completion.token);
                self.with(place, |connection, room| connection.complete(completion, room));
            }
            CLOSED_TOKEN => self.closed(&completion),
            LISTENER_TOKEN => return self.accepted(completion),
            FILES_TOKEN => self.file_completed(completion),
            CLIENT_TOKEN => self.connected(completion),
            RESUME_TOKEN if matches!(completion.outcome, Outcome::Expired) => {
                self.listeners.resume(!self.is_full() && !self.is_short, &self.room);
            }
            _ => {}
        }
        Ok(())
    }

    /// A connection's close has ended; one that could not even begin leaves the descriptor open.
    fn closed(&mut self, completion: &Completion) {
        let place = Place::from_raw(completion.token);
        if matches!(completion.outcome, Outcome::Failed(Error::Limit(_), _)) {
            self.with(place, |connection, room| connection.close_later(room));
            self.file(place);
        } else {
            // Whatever the system says of it, the descriptor is free.
            self.room.closed.push(place);
        }
    }

    #[inline]
    fn with(&mut self, place: Place, what: impl FnOnce(&mut Connection, &mut Room)) {
        if let Some(connection) = self.connections.get_mut(place) {
            what(connection, &mut self.room);
        }
    }

    fn accepted(&mut self, completion: Completion) -> Result<(), Error> {
        match self.listeners.complete(completion, &mut self.room) {
            Accepted::Connection(socket) => self.deal(socket),
            Accepted::Free(listener) => self.pass_on(Message::TakeListener(listener)),
            Accepted::Nothing => {}
            Accepted::Broken(error) => return Err(error),
        }
        Ok(())
    }

    /// Gives a connection to the least loaded shard, if this one deals, or keeps it.
    fn deal(&mut self, socket: Descriptor) {
        let Some(number) = self.least_loaded().filter(|_| self.standing.is_dealing) else {
            return self.adopt(socket);
        };
        let neighbour = &self.standing.neighbours[number];
        neighbour.mailbox.send(Message::Adopt(socket));
        self.standing.dealt[number] += 1;
        // It may have ended just before it got the message: then this shard keeps the connection.
        if neighbour.counts.has_ended()
            && let Some(message) = neighbour.mailbox.next()
        {
            self.handle(message);
        }
    }

    /// The neighbour that has fewer connections than this shard, and the fewest of all; what was
    /// dealt and not taken yet counts.
    fn least_loaded(&self) -> Option<usize> {
        let loads = self.standing.neighbours.iter().zip(&self.standing.dealt).enumerate();
        let loads = loads.filter(|(number, (neighbour, _))| {
            *number != self.standing.number && !neighbour.counts.has_ended()
        });
        let loads = loads.map(|(number, (neighbour, dealt))| {
            let (open, taken) = (neighbour.counts.connections(), neighbour.counts.accepted());
            (open + dealt.saturating_sub(taken), number)
        });
        let (load, number) = loads.min()?;
        (load < self.connections.len() as u64).then_some(number)
    }

    fn adopt(&mut self, socket: Descriptor) {
        if self.standing.stopping.is_some() {
            return self.pass_on(Message::Adopt(socket));
        }
        self.room.counts.connections_total += 1;
        if self.is_full() {
            // One accept may bring more connections than there is room for before it pauses.
            self.room.counts.connections_refused += 1;
            self.room.tell_limit(
                const { place_of("connections_max") },
                socket,
                format_args!("closed at once, because as many connections are open as may be"),
            );
            self.room.submit(Op::Close { descriptor: socket }, CLOSE_TOKEN);
            return self.listeners.pause(&mut self.room);
        }
        let id = self.standing.peers.next();
        if !self.room.admits(id, socket) {
            self.room.counts.connections_refused += 1;
            self.room.submit(Op::Close { descriptor: socket }, CLOSE_TOKEN);
            return;
        }
        self.standing.open.fetch_add(1, Ordering::Relaxed);
        self.open(id, socket);
    }

    fn is_full(&self) -> bool {
        self.standing.open.load(Ordering::Relaxed) >= self.room.limits.connections_max
    }

    /// A connection that is counted as open begins here.
    fn open(&mut self, id: PeerId, socket: Descriptor) {
        let room = &mut self.room;
        let place = self.connections.insert_with(|place| {
            let session =
                room.session.map_or_else(|| Session::Http1(Http1::new(room)), |make| make(room));
            Connection::open(place, id, socket, session, room)
        });
        self.file(place);
        self.pause_when_full();
    }

    /// Accepts no more while as many connections are open as may be.
    fn pause_when_full(&mut self) {
        if self.is_full() && !self.listeners.is_paused() {
            let place = const { place_of("connections_max") };
            self.room
                .tell_load(place, format_args!("accepting pauses: enough connections are open"));
            self.listeners.pause(&mut self.room);
        }
    }

    /// Asks the wheel for a connection's deadline, when it is earlier than what was asked before.
    fn file(&mut self, place: Place) {
        if let Some(connection) = self.connections.get_mut(place)
            && let Some(at_ms) = connection.take_next_to_file(&self.room)
        {
            self.wheel.schedule(place.index(), at_ms);
        }
    }

    fn file_completed(&mut self, completion: Completion) {
        let mut events = std::mem::take(&mut self.file_events);
        {
            let mut engine = self.room.requests.engine.borrow_mut();
            self.room.files.complete(&mut **engine, completion, &mut events);
        }
        for event in events.drain(..) {
            self.file_event(event);
        }
        self.file_events = events;
    }

    /// Brings what the file service has to the connection that asked, if it is still there.
    fn file_event(&mut self, event: FileEvent) {
        let (asker, opened) = match &event {
            FileEvent::Reply(asker, FileReply::Streamed { stream, .. }) => (asker, *stream),
            FileEvent::Reply(asker, _)
            | FileEvent::Piece { asker, .. }
            | FileEvent::Broken { asker, .. } => (asker, None),
        };
        let place = Place::from_raw(asker.connection);
        let asker = self.connections.get_mut(place).filter(|connection| connection.is_open());
        match asker {
            Some(connection) => connection.tell(&mut self.room, |session, outbox, room| {
                if let Session::Http1(session) = session {
                    session.file_event(event, outbox, room);
                }
            }),
            None => {
                if let Some(stream) = opened {
                    let mut engine = self.room.requests.engine.borrow_mut();
                    self.room.files.abandon(&mut **engine, stream);
                }
            }
        }
    }

    #[inline]
    fn expire(&mut self) {
        self.wheel.expire(self.room.now_ms, &mut self.due);
        if !self.due.is_empty() {
            self.ask_due();
        }
        if let Some(stopping) = &self.standing.stopping
            && self.room.now_ms >= stopping.until_ms
        {
            self.cut_all();
        }
    }

    fn ask_due(&mut self) {
        let mut due = std::mem::take(&mut self.due);
        for index in due.drain(..) {
            if let Some(place) = self.connections.place_of(index) {
                self.with(place, Connection::on_due);
                self.file(place);
            }
        }
        self.due = due;
    }

    /// Patience with what had begun when the shard was told to stop is over.
    fn cut_all(&mut self) {
        for place in self.connections.places() {
            self.with(place, Connection::cut);
        }
    }

    /// The end of the turn: one send per connection that has something to send.
    #[inline]
    fn flush(&mut self) {
        let mut dirty = std::mem::take(&mut self.room.dirty);
        for place in dirty.drain(..) {
            if let Some(connection) = self.connections.get_mut(place) {
                connection.flush(&mut self.room);
                if let Some(at_ms) = connection.take_deadline_to_file(&self.room) {
                    self.wheel.schedule(place.index(), at_ms);
                }
            }
        }
        self.room.dirty = dirty;
        if !self.room.closed.is_empty() {
            self.forget_closed();
        }
        if !self.room.leaving.is_empty() {
            self.depart();
        }
    }

    fn forget_closed(&mut self) {
        for place in std::mem::take(&mut self.room.closed) {
            self.forget(place);
        }
        if self.standing.stopping.is_none() && !self.is_full() && !self.is_short {
            self.listeners.resume(true, &self.room);
        }
    }

    fn forget(&mut self, place: Place) -> bool {
        let connection = self.connections.remove(place);
        let is_known = connection.is_some();
        if let Some(connection) = connection {
            self.room.dismiss(connection.id());
            self.wheel.remove(place.index());
            match connection.is_client() {
                true => self.room.requests.desk.leave(),
                false => _ = self.standing.open.fetch_sub(1, Ordering::Relaxed),
            }
        }
        is_known
    }

    #[inline]
    fn publish(&mut self) {
        let room = &mut self.room;
        room.counts.connections_open = self.connections.len() as u64;
        self.standing.counts.publish(&room.counts);
    }

    fn handle(&mut self, message: Message) {
        for descriptor in message.descriptors() {
            self.room.requests.engine.borrow_mut().take_over(descriptor);
        }
        match message {
            Message::Peers(neighbours) => {
                self.standing.dealt = vec![0; neighbours.len()];
                self.standing.neighbours = neighbours;
            }
            message @ (Message::Move(_) | Message::TakeListener(_))
                if self.standing.stopping.is_some() =>
            {
                self.pass_on(message);
            }
            Message::Adopt(socket) => self.adopt(socket),
            Message::Move(connection) => {
                self.take_in(*connection);
            }
            Message::TakeListener(listener) => self.listeners.add(listener, &self.room),
            Message::Share { target, count } => self.share(target, count),
            Message::Look(sender) => {
                let (room, number) = (&self.room, self.standing.number);
                let seen = self.connections.iter().map(|own| own.seen(number, room)).collect();
                // Who asked may have given up.
                let _ = sender.send(seen);
            }
            Message::Answer(sender) => {
                // Who asked may have given up.
                let _ = sender.send(());
            }
            Message::Retire { within_ms } => self.stop(within_ms, true),
            Message::Drain { within_ms } => self.stop(within_ms, false),
        }
    }

    fn stop(&mut self, within_ms: u64, hands_over: bool) {
        let until_ms = self.room.now_ms.saturating_add(within_ms);
        self.standing.stopping = Some(Stopping { until_ms, hands_over });
        self.room.requests.desk.drain();
        for listener in self.listeners.leave(&self.room) {
            self.pass_on(Message::TakeListener(listener));
        }
        self.finish_connections();
    }

    /// Connections go to a shard that goes on, or finish what has begun where there is none.
    fn finish_connections(&mut self) {
        let begin = if self.heir().is_some() { Connection::leave } else { Connection::drain };
        for place in self.connections.places() {
            self.with(place, begin);
        }
    }

    /// All shards of the server, as far as this one knows them.
    pub(crate) fn neighbours(&self) -> &[Neighbour] {
        &self.standing.neighbours
    }

    /// What it holds of memory that connections come and go in.
    #[cfg(test)]
    pub(crate) fn held(&self) -> Held {
        Held {
            connection_pages: self.connections.pages_held(),
            operation_pages: self.room.requests.engine.borrow().stats().operation_pages,
            spare_bytes: self.room.spare_bytes(),
            spare_alarms: self.room.executor.spare_alarms(),
            futures: self.room.executor.len(),
            future_pages: self.room.executor.pages_held(),
            timer_pages: self.room.requests.timers.borrow().pages_held(),
        }
    }

    /// What was told of limits that were met.
    #[cfg(test)]
    pub(crate) fn told(&self) -> &[String] {
        &self.room.met.lines
    }

    /// The counts of the engine, and its operations in flight.
    pub(crate) fn engine_stats(&self) -> (springtide_engine::Stats, usize) {
        let engine = self.room.requests.engine.borrow();
        (engine.stats(), engine.in_flight())
    }

    /// Shows every connection.
    pub(crate) fn look(&self, see: impl FnMut(crate::test::View)) {
        self.connections.iter().map(Connection::view).for_each(see);
    }

    fn is_over(&self) -> bool {
        let Some(stopping) = &self.standing.stopping else { return false };
        let is_waited_for = self.room.executor.alone() > 0 && self.room.now_ms < stopping.until_ms;
        !is_waited_for
            && self.connections.len() == 0
            && !self.listeners.is_accepting()
            && self.room.requests.engine.borrow().in_flight() == 0
    }
}
