//! The part of a turn in which raw connections are asked what applications want of them, and
//! applications are told what came of it.
//! The shard is not borrowed while code of the application runs, which asks for more meanwhile: that is
//! done in the same turn as far as fairness goes, and never from within.

use super::Shard;
use crate::connection::Connection;
use crate::current;
use crate::datagram::DatagramSocket;
use crate::events::Happened;
use crate::executor::{Origin, apart};
use crate::peer::{Peer, Reason};
use crate::raw::Intro;
use crate::task::{Ask, Asked, Batches, Ended, Order, Pass, Ready, Waiter};

/// How often what was asked is done in a turn: what is always ready goes on in the next.
const PASSES_MAX: usize = 32;

/// The same behind long messages, before the turn's end: they are told, and what answers them is begun.
const PASSES_LONG_MAX: usize = 2;

/// Bytes of long messages that are given before what answers them is sent: as many as stay in the
/// processor's cache until then. Each by itself would wake its peer by itself.
const LONG_BYTES_MAX: usize = 64 << 10;

impl Shard {
    /// Does what was asked, and tells what came of it.
    #[inline]
    pub(super) fn run_tasks(&mut self) {
        if !self.room.requests.tasks.is_at_rest() {
            self.run_some_tasks(PASSES_MAX);
        }
    }

    #[inline(never)]
    fn run_some_tasks(&mut self, passes_max: usize) {
        let current = current::enter(&self.room.requests);
        let mut pass = self.room.requests.tasks.take_pass();
        for _ in 0..passes_max {
            if let Some(first) = self.room.requests.tasks.take_orders(&mut pass.orders) {
                self.obey_all(&mut pass.orders, first);
            }
            let has_news = self.room.requests.tasks.take_news(&mut pass);
            for future in pass.futures.drain(..) {
                self.room.executor.wake(future);
            }
            if has_news {
                self.tell_all(&mut pass);
            }
            // What callbacks had captured is gone with their calls.
            pass.orders.clear();
            pass.ready.clear();
            if !has_news {
                break;
            }
        }
        self.room.requests.tasks.put_pass(pass);
        drop(current);
    }

    #[inline]
    fn obey_all(&mut self, orders: &mut Batches<Order>, first: u64) {
        let (is_alone, mut serial) = (orders.len() == 1, first);
        for piece in orders.pieces_mut() {
            for order in piece {
                self.obey(order, serial, is_alone);
                serial += 1;
            }
        }
        self.room.requests.tasks.orders_done();
    }

    #[inline]
    fn tell_all(&mut self, pass: &mut Pass) {
        for waker in std::mem::take(&mut pass.woken) {
            apart(|| waker.wake());
        }
        for piece in pass.ready.pieces_mut() {
            piece.drain(..).for_each(|ready| self.tell_ready(ready));
        }
    }

    /// Where long messages were given to somebody, what answers them leaves before the turn ends.
    #[inline]
    pub(super) fn answer_long_if_due(&mut self) {
        if self.room.long_bytes >= LONG_BYTES_MAX {
            self.answer_long();
        }
    }

    #[inline(never)]
    fn answer_long(&mut self) {
        self.room.long_bytes = 0;
        self.run_some_tasks(PASSES_LONG_MAX);
        self.run_woken();
        if !self.room.requests.tasks.is_at_rest() {
            self.run_some_tasks(PASSES_LONG_MAX);
        }
        let mut given = std::mem::take(&mut self.room.long_given);
        for place in given.drain(..) {
            self.with(place, Connection::send_long);
        }
        self.room.long_given = given;
    }

    /// Other threads have asked something: it becomes what the shard asks itself.
    pub(super) fn take_asked(&self) {
        let shared = &self.room.requests;
        for asked in shared.hatch.take() {
            match asked {
                Asked::Resolved(place, serial, found) => self.resolved(place, serial, found),
                Asked::Fired(ring) => shared.bench.fired(ring, &shared.hatch, &shared.tasks),
                asked => shared.tasks.take_in(asked),
            }
        }
    }

    #[inline]
    fn obey(&mut self, order: &mut Order, serial: u64, is_alone: bool) {
        let tasks = &self.room.requests.tasks;
        if matches!(order.waiter, Waiter::Unheard) {
            tasks.settle(order, serial);
        }
        // As most are, of a connection that stands where it stood.
        if matches!(order.ask, Ask::Pull(_) | Ask::Push(_))
            && let Some(connection) = self.connections.get_mut(order.peer.place())
            && connection.is(order.peer.id())
        {
            return connection.obey(order, serial, &mut self.room);
        }
        self.obey_otherwise(order, serial, is_alone);
    }

    #[inline(never)]
    fn obey_otherwise(&mut self, order: &mut Order, serial: u64, is_alone: bool) {
        let tasks = &self.room.requests.tasks;
        if matches!((&order.waiter, &order.ask), (Waiter::Held(_), Ask::Return(_))) {
            tasks.settle(order, serial);
        }
        if let Ask::Publish(local) = &order.ask {
            return self.deliver(local, is_alone);
        }
        if order.peer.is_nobody() {
            return self.obey_nobody(order, serial);
        }
        match order.ask {
            Ask::Carry => return self.carry_on(order.peer, false),
            Ask::GiveRoom => return self.give_room(order.peer),
            _ => {}
        }
        let peer = tasks.places.find(order.peer);
        let connection = self.connections.get_mut(peer.place());
        match connection.filter(|connection| connection.is(peer.id())) {
            Some(connection) => connection.obey(order, serial, &mut self.room),
            None => {
                tasks.end(peer, order.waiter.take(), Ended::Failed(Reason::Stale));
                if let Ask::Say(said) = &order.ask {
                    said.count_lost(&mut self.room.counts);
                }
            }
        }
    }

    #[inline]
    fn tell_ready(&mut self, ready: Ready) {
        let (peer, is_well) = match ready {
            Ready::Call(mut callback, peer, ended) => {
                (peer, apart(|| callback.call((peer, ended))).is_some())
            }
            ready => self.tell_rare(ready),
        };
        if !is_well {
            self.room.counts.panics_total += 1;
            self.break_for_panic(peer);
        }
    }

    /// Tells what is told less often; of whom that was, and whether it went well.
    #[inline(never)]
    fn tell_rare(&mut self, ready: Ready) -> (Peer, bool) {
        match ready {
            Ready::Call(..) => (Peer::nobody(), true),
            Ready::Intro(peer) => {
                // It may have moved with its shard before anybody was told of it.
                let peer = self.room.requests.tasks.places.find(peer);
                (peer, self.introduce(peer))
            }
            Ready::Gone(peer, reason) => {
                self.room.requests.tasks.tell(Ready::Closed(peer, reason));
                (peer, true)
            }
            Ready::Happened(peer, happened) => {
                let is_well = !matches!(happened, Happened::Panicked);
                (peer, self.room.requests.events.tell(peer, happened) && is_well)
            }
            Ready::Datagram(place, service, datagram) => {
                let handler = &self.room.requests.router.datagrams[service].handler;
                let socket = DatagramSocket::at(place);
                (Peer::nobody(), apart(|| handler(socket, *datagram)).is_some())
            }
            Ready::Closed(peer, reason) => {
                let router = &self.room.requests.router;
                let closed = router.raw.closed.as_ref();
                let called = apart(|| closed.map(|closed| closed(peer, reason))).is_some();
                (peer, self.room.requests.events.tell_raw_closed(peer, reason) && called)
            }
        }
    }

    /// A connection ends because code of the application has panicked on it.
    #[cold]
    fn break_for_panic(&mut self, peer: Peer) {
        let place = self.room.requests.tasks.places.find(peer).place();
        let is_there = |own: &mut Connection| own.is(peer.id());
        let found = self.connections.get_mut(place).is_some_and(is_there).then_some(place);
        let named = || self.connections.iter().find(|own| own.is(peer.id())).map(Connection::place);
        if let Some(place) = found.or_else(named) {
            self.with(place, |own, room| own.break_for(Reason::Panicked, room));
        }
    }

    /// Tells the application of a connection; false when it panics.
    fn introduce(&mut self, peer: Peer) -> bool {
        let shared = &self.room.requests;
        match &shared.router.raw.intro {
            Some(Intro::Called(intro)) => apart(|| intro(peer)).is_some(),
            Some(Intro::Awaited(_)) => {
                let origin = Origin { connection: peer.place(), route: u32::MAX, takes_gzip: None };
                let exchange = springtide_proto::http1::Exchange::named(0);
                let make = |_| (shared.raw_intro)(peer);
                let future = self.room.executor.begin(origin, exchange, false, make);
                self.with(peer.place(), |connection, _| connection.begin_future(future));
                true
            }
            None => true,
        }
    }
}
