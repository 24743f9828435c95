//! Freezing and thawing a whole shard, on the same thread or another.
//! Of the application it runs what is dropped, and what makes a shard's own states, each apart; what
//! was kept is handled in the next turn.

use springtide_engine::{Completion, Descriptor, Error, Handle};

use super::connecting::CONNECT_TOKEN;
use super::datagrams::{RECEIVE_FROM_TOKEN, SEND_TO_TOKEN};
use super::fs::FS_TOKEN;
use super::lobbies::LOBBY_TOKEN;
use super::{
    CLIENT_TOKEN, CLOSED_TOKEN, FILES_TOKEN, Kept, LISTENER_TOKEN, Message, PLACE_BITS, Place,
    Shard, Standing,
};
use crate::connection::Connection;
use crate::files::{FileService, RootId};
use crate::freeze::Handoff;
use crate::listener::Listeners;

impl Shard {
    /// Ends everything in flight and takes the shard apart. It has nothing left but its standing.
    ///
    /// # Errors
    /// Operations do not end.
    pub(crate) fn freeze(&mut self) -> Result<Handoff, Error> {
        let mut completions = std::mem::take(&mut self.completions);
        let turns = {
            let mut engine = self.room.requests.engine.borrow_mut();
            let before = engine.stats().turns;
            engine.quiesce(&mut completions)?;
            engine.stats().turns - before
        };
        let (mut accepted, mut connected) = (Vec::new(), Vec::new());
        for completion in completions {
            self.absorb(completion, &mut accepted, &mut connected);
        }
        for place in std::mem::take(&mut self.room.closed) {
            self.forget(place);
        }
        let mut handoff = self.take_apart(accepted, turns);
        // Nobody waits for them: they are closed where the shard goes on.
        handoff.files.strays.extend(connected);
        for descriptor in handoff.descriptors() {
            self.room.requests.engine.borrow_mut().release(descriptor)?;
        }
        Ok(handoff)
    }

    fn take_apart(&mut self, accepted: Vec<Descriptor>, turns: u64) -> Handoff {
        // The standing goes by itself; the rest is of this engine and this turn.
        let Self {
            room,
            connections: table,
            listeners,
            wheel: _,
            completions: _,
            due: _,
            file_events: _,
            standing: _,
            // What the connections hold is looked at again.
            memory_look_ms: _,
            is_memory_stale: _,
            is_short: _,
        } = self;
        let mut asks = room.files.withdraw_all();
        let files = room.files.freeze();
        let mut connections = Vec::with_capacity(table.len());
        for place in table.places() {
            let asks = asks.remove(&place.raw()).unwrap_or_default();
            let connection = table.remove(place);
            connections.extend(connection.map(|connection| connection.freeze(asks, room)));
        }
        let (listeners, counts) = (listeners.freeze(room), room.counts);
        let mut held = room.requests.post.descriptors();
        held.extend(room.requests.lobbies.descriptors());
        held.extend(room.requests.cabinet.descriptors());
        Handoff { listeners, accepted, connections, files, held, counts, turns }
    }

    /// One completion of an operation that ended because everything is being frozen.
    fn absorb(
        &mut self,
        completion: Completion,
        accepted: &mut Vec<Descriptor>,
        connected: &mut Vec<Descriptor>,
    ) {
        match completion.token >> PLACE_BITS << PLACE_BITS {
            0 => {
                let place = Place::from_raw(completion.token);
                self.with(place, |connection, room| connection.absorb(completion, room));
            }
            CLOSED_TOKEN => self.closed(&completion),
            LISTENER_TOKEN => accepted.extend(Listeners::absorb(completion)),
            FILES_TOKEN => self.room.files.absorb(completion),
            CLIENT_TOKEN => connected.extend(self.absorb_connected(completion)),
            CONNECT_TOKEN => connected.extend(Self::absorb_raw_connected(completion)),
            RECEIVE_FROM_TOKEN | SEND_TO_TOKEN => self.absorb_post(completion),
            FS_TOKEN => _ = self.absorb_file_work(completion),
            LOBBY_TOKEN => _ = self.absorb_accepted(completion),
            _ => {}
        }
    }

    /// Puts a shard together again over an engine of its own.
    pub(crate) fn thaw(
        standing: Standing,
        mut engine: Box<dyn Handle>,
        handoff: Handoff,
        kept: Option<Kept>,
    ) -> Self {
        for descriptor in handoff.descriptors() {
            engine.take_over(descriptor);
        }
        let Handoff { listeners, accepted, connections, files, held: _, counts, turns: _ } =
            handoff;
        // Messages that have come are looked at in the first turn, which must not wait.
        standing.mailbox.wake_with(engine.waker());
        let directories = standing.router.directories();
        let service = FileService::thaw(FILES_TOKEN, directories, &files.roots);
        service.close_strays(&mut *engine, files.strays);
        let roots = service.root_ids();
        let mut shard = match kept {
            Some(kept) => Self::go_on_with(kept, standing, engine, service, roots),
            None => {
                let states = standing.router.states.make_again();
                Self::new(standing, engine, service, roots, states)
            }
        };
        shard.room.counts = counts;
        shard.standing.counts.carry_none();
        for frozen in connections {
            let room = &mut shard.room;
            let place =
                shard.connections.insert_with(|place| Connection::thaw(place, frozen, room));
            shard.carry(place);
            // Its deadline may be now, and the wheel knows only what is ahead.
            shard.due.push(place.index());
        }
        let clients = shard.connections.iter().filter(|own| own.is_outgoing()).count();
        shard.room.requests.desk.carry(clients);
        shard.connect_again();
        shard.post_again();
        shard.files_again();
        shard.lobbies_again();
        shard.end_thaw();
        if shard.standing.stopping.is_none() {
            shard.listeners = Listeners::thaw(listeners, &shard.room);
        } else {
            for listener in listeners.all {
                shard.pass_on(Message::TakeListener(listener.socket));
            }
            shard.finish_connections();
        }
        accepted.into_iter().for_each(|socket| shard.deal(socket));
        // Closes may have ended with the engine before: who counts must not wait for a turn.
        shard.publish();
        shard
    }

    /// A shard over another engine, with what the application holds of it.
    fn go_on_with(
        kept: Kept,
        standing: Standing,
        engine: Box<dyn Handle>,
        files: FileService,
        roots: Vec<RootId>,
    ) -> Self {
        let Kept { shared, executor, connections } = kept;
        *shared.engine.borrow_mut() = engine;
        let mut shard = Self::of(standing, shared, connections, files, roots);
        shard.room.executor = executor;
        shard
    }

    /// The names of all connections.
    #[cfg(test)]
    pub(crate) fn peers(&mut self) -> Vec<crate::peer::PeerId> {
        let places = self.connections.places();
        places.iter().filter_map(|place| Some(self.connections.get_mut(*place)?.id())).collect()
    }

    pub(super) fn end_thaw(&mut self) {
        let mut engine = self.room.requests.engine.borrow_mut();
        self.room.files.end_thaw(&mut **engine);
    }
}
