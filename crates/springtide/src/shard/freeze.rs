//! Freezing and thawing a whole shard, and going on over another engine when one is refused.
//! No code of the application runs here: what was kept is handled in the next turn.

use std::cell::RefCell;
use std::rc::Rc;

use springtide_engine::{Completion, Descriptor, Error, Handle, Wheel};

use super::{FILES_TOKEN, LISTENER_TOKEN, Message, PLACE_BITS, Place, Shard};
use crate::connection::Connection;
use crate::files::FileService;
use crate::freeze::Handoff;
use crate::listener::Listeners;
use crate::request::Shared;
use crate::room::Room;

impl Shard {
    /// Ends everything in flight and takes the shard apart. It has nothing left but its place in
    /// the server: its mailbox, its counts, its neighbours, and when it is to stop.
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
        let mut accepted = Vec::new();
        for completion in completions {
            self.absorb(completion, &mut accepted);
        }
        for place in std::mem::take(&mut self.room.closed) {
            self.forget(place);
        }
        let mut asks = self.room.files.withdraw_all();
        let files = self.room.files.freeze();
        let mut connections = Vec::with_capacity(self.connections.len());
        for place in self.connections.places() {
            let asks = asks.remove(&place.raw()).unwrap_or_default();
            let connection = self.connections.remove(place);
            let frozen = connection.and_then(|connection| connection.freeze(asks, &mut self.room));
            connections.extend(frozen);
        }
        let listeners = self.listeners.freeze(&self.room);
        let counts = self.room.counts;
        let handoff = Handoff { listeners, accepted, connections, files, counts, turns };
        for descriptor in handoff.descriptors() {
            self.room.requests.engine.borrow_mut().release(descriptor)?;
        }
        Ok(handoff)
    }

    /// One completion of an operation that ended because everything is being frozen.
    fn absorb(&mut self, completion: Completion, accepted: &mut Vec<Descriptor>) {
        match completion.token >> PLACE_BITS << PLACE_BITS {
            0 => {
                let place = Place::from_raw(completion.token);
                self.with(place, |connection, room| connection.absorb(completion, room));
            }
            LISTENER_TOKEN => accepted.extend(Listeners::absorb(completion)),
            FILES_TOKEN => self.room.files.absorb(completion),
            _ => {}
        }
    }

    /// Puts the shard together again over an engine of its own.
    pub(crate) fn thaw(&mut self, mut engine: Box<dyn Handle>, handoff: Handoff) {
        for descriptor in handoff.descriptors() {
            engine.take_over(descriptor);
        }
        let Handoff { listeners, accepted, connections, files, counts, turns: _ } = handoff;
        // Messages that have come are looked at in the first turn, which must not wait.
        self.mailbox.wake_with(engine.waker());
        let router = self.room.requests.router.clone();
        let service = FileService::thaw(FILES_TOKEN, router.directories(), &files.roots);
        service.close_strays(&mut *engine, files.strays);
        let requests = Shared::new(Rc::new(RefCell::new(engine)), router);
        let (limits, stage, session) =
            (self.room.limits.clone(), self.room.stage, self.room.session);
        self.room = Room::new(requests, limits, service, stage, session);
        self.room.roots = self.room.files.root_ids();
        self.room.counts = counts;
        self.wheel = Wheel::new(self.room.now_ms);
        self.shares.clear();
        self.due.clear();
        for frozen in connections {
            let room = &mut self.room;
            let place = self.connections.insert_with(|place| Connection::thaw(place, frozen, room));
            // Its deadline may be now, and the wheel knows only what is ahead.
            self.due.push(place.index());
        }
        self.end_thaw();
        if self.stopping.is_none() {
            self.listeners = Listeners::thaw(listeners, &self.room);
        } else {
            for listener in listeners.all {
                self.pass_on(Message::TakeListener(listener.socket));
            }
            self.finish_connections();
        }
        accepted.into_iter().for_each(|socket| self.deal(socket));
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

    /// The engine is refused: the shard goes on over another one, with every connection.
    pub(crate) fn fall_back(
        &mut self,
        refusal: Error,
        make: impl FnOnce() -> Result<Box<dyn Handle>, Error>,
    ) -> Result<(), Error> {
        let engine = make()?;
        let refused = self.room.requests.engine.borrow().name();
        let handoff = self.freeze()?;
        crate::report::error(format_args!(
            "{refused} was refused while shard {} ran ({refusal}): it goes on over {} with {} \
             connections, frozen within {} turns",
            self.number,
            engine.name(),
            handoff.connections.len(),
            handoff.turns,
        ));
        self.thaw(engine, handoff);
        Ok(())
    }
}
