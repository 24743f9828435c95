//! A shard: one thread, one engine, its connections, turn by turn.
//! It takes no lock and shares nothing with other shards but mailboxes and counts.

mod accepting;
mod client;
mod completing;
mod connecting;
mod datagrams;
mod deadline;
mod forward;
mod freeze;
mod fs;
mod futures;
mod lobbies;
mod memory;
mod moving;
mod orders;
mod report;
mod tasks;
mod topics;

pub(crate) use topics::Together;

#[cfg(test)]
pub(crate) use report::Held;

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use springtide_engine::{Completion, Descriptor, Error, Handle, Wheel};

pub(crate) use client::CLIENT_TOKEN;

use crate::access::{ShardLog, Sink};
use crate::caps::{Caps, ShardCaps};
use crate::connection::{CLOSED_TOKEN, Connection, FrozenConnection};
use crate::executor::{Bell, Executor};
use crate::files::{FileEvent, FileReply, FileService, RootId};
use crate::freeze::Handoff;
use crate::limits::Met;
use crate::listener::{LISTENER_TOKEN, Listeners};
use crate::mailbox::{Mailbox, Message, Neighbour};
use crate::metrics::ShardCounts;
use crate::offload::Pool;
use crate::peer::PeerIds;
use crate::request::Shared;
use crate::room::Room;
use crate::route::Routes;
use crate::running::SocketFiles;
use crate::server::Settings;
use crate::session::Session;
use crate::state::ShardStates;
use crate::table::{PLACE_BITS, Place, Table};
use crate::task::{Hatch, OpenHatch};
use crate::topic::{ShardTopics, Topics};

/// Tokens of the file service's operations.
pub(crate) const FILES_TOKEN: u64 = 3 << 60;
/// Connections that are asked for their deadline in a turn: others may have the same, and what all of
/// them do at once would need memory for good.
const DUE_MAX: usize = 512;
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
    pub(crate) hatch: OpenHatch,
    pub(crate) counts: Arc<ShardCounts>,
    /// Open connections of the whole server.
    pub(crate) open: Arc<AtomicUsize>,
    /// Held until the shard has ended.
    pub(crate) _files: Arc<SocketFiles>,
    pub(crate) router: Arc<Routes>,
    pub(crate) pool: Option<Arc<Pool>>,
    /// Where the lines of the access log go, if there is one.
    pub(crate) sink: Option<Arc<Sink>>,
    /// What one address may have, if that has a limit.
    pub(crate) caps: Option<Arc<Caps>>,
    pub(crate) topics: Topics,
    pub(crate) settings: Settings,
    pub(crate) neighbours: Vec<Neighbour>,
    /// How many connections were dealt to each neighbour.
    pub(crate) dealt: Vec<u64>,
    pub(crate) peers: PeerIds,
    pub(crate) stopping: Option<Stopping>,
}

/// What the application holds of a shard that is frozen: it cannot leave its thread, and goes on with
/// the shard if that is thawed there.
pub(crate) struct Kept {
    shared: Rc<Shared>,
    executor: Executor,
    /// Without a connection in it; places of those that were stay stale.
    connections: Table<Connection>,
}

/// A shard that is to end.
pub(crate) struct Stopping {
    until_ms: u64,
    /// Listeners go to another shard; otherwise they are closed.
    hands_over: bool,
}

impl Shard {
    /// A shard over its engine, with no connection.
    pub(crate) fn new(
        standing: Standing,
        engine: Box<dyn Handle>,
        files: FileService,
        roots: Vec<RootId>,
        states: ShardStates,
    ) -> Self {
        let bell = Arc::new(Bell::new(standing.mailbox.clone()));
        let engine = Rc::new(RefCell::new(engine));
        let (number, router) = (standing.number, standing.router.clone());
        let hatch = standing.hatch.share();
        let topics = ShardTopics::new(Arc::clone(standing.topics.registry()), number);
        let shared = Shared::new(engine, router, bell, hatch, number, states, topics);
        Self::of(standing, shared, Table::new(), files, roots)
    }

    fn of(
        standing: Standing,
        shared: Rc<Shared>,
        connections: Table<Connection>,
        files: FileService,
        roots: Vec<RootId>,
    ) -> Self {
        standing.counts.run_on(shared.engine.borrow().name());
        let Settings { limits, stage, session, compresses, .. } = &standing.settings;
        let met = Met::new(standing.counts.clone());
        let mut room = Room::new(shared, limits.clone(), met, files, *stage, *session);
        room.roots = roots;
        let log = |sink| Box::new(ShardLog::new(sink, standing.counts.clone()));
        room.log = standing.sink.clone().map(log);
        room.caps = standing.caps.clone().map(|caps| Box::new(ShardCaps::new(caps)));
        room.is_watching = room.log.is_some() || room.caps.is_some();
        room.pool.clone_from(&standing.pool);
        room.compressing = compresses.then(Box::default);
        let wheel = Wheel::new(room.now_ms);
        let (listeners, completions, due, file_events) = Default::default();
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

    /// Where other threads ask something of its raw connections.
    pub(crate) fn hatch(&self) -> Arc<Hatch> {
        self.standing.hatch.share()
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

    /// A frozen shard ends: what goes on anywhere, and what can go on here only.
    pub(crate) fn leave(mut self) -> (Standing, Option<Kept>) {
        self.flush_log();
        let kept = self.room.keep();
        let Self { standing, connections, .. } = self;
        (standing, kept.map(|(shared, executor)| Kept { shared, executor, connections }))
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
        self.deliver_arrived();
        if completions.len() == 1
            && let Some(completion) = completions.pop()
        {
            // As at a moderate rate: a loop over one costs more than what it does for it.
            self.complete(completion)?;
        }
        for completion in completions.drain(..) {
            self.complete(completion)?;
        }
        self.completions = completions;
        if !self.room.ready.is_empty() {
            self.go_on();
        }
        self.expire();
        self.run_tasks();
        self.run_futures();
        self.run_tasks();
        self.room.requests.topics.hand_over();
        self.flush();
        if self.room.limits.memory_max != usize::MAX || self.room.log.is_some() {
            self.look_around();
        }
        if self.standing.stopping.is_none() {
            return Ok(true);
        }
        if self.connections.len() == 0 {
            let shared = &self.room.requests;
            if !(shared.post.is_empty() && shared.bench.is_empty() && shared.lobbies.is_empty()) {
                self.close_post(false);
                self.close_lobbies();
                let shared = &self.room.requests;
                shared.bench.clear(&shared.tasks);
                self.run_tasks();
            }
            let mut engine = self.room.requests.engine.borrow_mut();
            self.room.files.close(&mut **engine);
        }
        Ok(!self.is_over())
    }

    /// What is done at each turn's end of a shard with a budget of memory, or with a log.
    #[inline(never)]
    fn look_around(&mut self) {
        if self.room.limits.memory_max != usize::MAX {
            self.look_at_memory();
            self.publish();
        }
        if let Some(log) = &mut self.room.log {
            let dropped = log.end_turn(self.room.now_ms);
            self.standing.counts.drop_log_lines(dropped);
        }
    }

    /// Connections that had more to do when their turn was over.
    fn go_on(&mut self) {
        for place in std::mem::take(&mut self.room.ready) {
            self.with(place, Connection::go_on);
        }
    }

    #[inline]
    fn with(&mut self, place: Place, what: impl FnOnce(&mut Connection, &mut Room)) {
        if let Some(connection) = self.connections.get_mut(place) {
            what(connection, &mut self.room);
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
        self.wheel.expire_some(self.room.now_ms, &mut self.due, DUE_MAX);
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

    /// The end of the turn: one send per connection that has something to send.
    #[inline]
    fn flush(&mut self) {
        let count = self.room.dirty.len();
        self.room.sends_at_once = count <= self.room.sends_at_once_max;
        self.room.counts.turns_total += 1;
        // Whoever has an answer may look at once whether it is counted.
        self.publish();
        for at in 0..count {
            let place = self.room.dirty[at];
            if let Some(connection) = self.connections.get_mut(place) {
                connection.flush(&mut self.room);
                if let Some(at_ms) = connection.take_deadline_to_file(&self.room) {
                    self.wheel.schedule(place.index(), at_ms);
                }
            }
        }
        match self.room.dirty.len() == count {
            true => self.room.dirty.clear(),
            false => _ = self.room.dirty.drain(..count),
        }
        if !self.room.closed.is_empty() {
            self.forget_closed();
        }
        if !self.room.leaving.is_empty() {
            // What has happened to them is told: nothing is noted of who is held behind what runs tasks.
            self.depart();
        }
        self.publish_sent();
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
            self.standing.topics.registry().forget(connection.id(), self.standing.number);
            self.standing.counts.leave(connection.spoken());
            self.wheel.remove(place.index());
            match connection.is_outgoing() {
                true => self.room.requests.desk.end_one(),
                false => _ = self.standing.open.fetch_sub(1, Ordering::Relaxed),
            }
        }
        is_known
    }

    #[inline]
    fn publish(&mut self) {
        self.count_open();
        self.standing.counts.publish(&self.room.counts);
    }

    /// Publishes what a flush has changed.
    #[inline]
    fn publish_sent(&mut self) {
        self.count_open();
        self.standing.counts.publish_sent(&self.room.counts);
    }

    #[inline]
    fn count_open(&mut self) {
        let accepted = self.connections.len() - self.room.requests.desk.standing();
        self.room.counts.connections_open = accepted as u64;
    }
}
