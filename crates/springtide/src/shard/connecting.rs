//! Raw connections that are made from here: their targets tried one after the other, ended when they
//! take too long, and told.
//! Nobody's connection is kept: one that nobody waits for is closed.

use std::net::SocketAddr;
use std::time::Duration;

use springtide_engine::{
    Address, Completion, Descriptor, Error, Key, Moment, Op, OpKind, Outcome, Route,
};

use super::{CLOSE_TOKEN, Shard};
use crate::connection::Connection;
use crate::limits::place_of as place_of_limit;
use crate::peer::{Peer, PeerStatus, Reason};
use crate::resolve;
use crate::session::peered::Peered;
use crate::session::{Other, Session};
use crate::table::{PLACE_BITS, Place};
use crate::task::{Ask, Asked, Connecting, Dial, Ended, Order, Stands, Target, Waiter};

/// Tokens of the operations that connect.
pub(super) const CONNECT_TOKEN: u64 = 8 << PLACE_BITS;
/// Tokens of what ends them when they take too long.
pub(super) const CONNECT_LATE_TOKEN: u64 = 9 << PLACE_BITS;
/// Names of raw connections that a shard resolves at a time, each on a thread of its own.
const RESOLVING_MAX: usize = 16;

const LATE: Reason = Reason::TimedOut("connect_timeout");

impl Shard {
    /// What was asked of no connection.
    pub(super) fn obey_nobody(&mut self, order: &mut Order, serial: u64) {
        let (peer, waiter) = (order.peer, order.waiter.take());
        let tasks = &self.room.requests.tasks;
        match std::mem::replace(&mut order.ask, Ask::GoOn) {
            Ask::Connect(dial) if self.standing.stopping.is_none() => {
                self.connect(*dial, serial, waiter);
            }
            Ask::Connect(_) => tasks.end(peer, waiter, Ended::Failed(Reason::Stopped)),
            Ask::Post(place, ask) => self.obey_post(place, *ask, serial, waiter),
            Ask::Event(core) => {
                let shared = &self.room.requests;
                let most = self.room.limits.event_waits_max;
                let who = (&shared.hatch, tasks);
                if !shared.bench.sit(core, serial, waiter, most, who) {
                    self.room.met.count(const { place_of_limit("event_waits_max") });
                }
            }
            Ask::File(ask) => self.obey_file(*ask, serial, waiter),
            Ask::Lobby(number, ask) => self.obey_listener(number, ask, serial, waiter),
            Ask::Cancel(serial) => {
                self.room.requests.post.cancel(serial, tasks);
                self.room.requests.lobbies.cancel(serial, tasks);
                self.cancel_file_work(serial);
                let shared = &self.room.requests;
                shared.bench.cancel(serial, tasks);
                let is_meant = |begun: &Connecting| begun.serial == serial;
                let mut connecting = tasks.connecting.borrow_mut();
                let places = connecting.places();
                let mut places = places.into_iter();
                let place = places
                    .find(|place| connecting.get_mut(*place).is_some_and(|own| is_meant(own)));
                drop(connecting);
                if let Some(place) = place {
                    self.cut_connect(place, Reason::Cancelled);
                }
            }
            _ => tasks.end(peer, waiter, Ended::Failed(Reason::Stale)),
        }
    }

    fn connect(&self, dial: Dial, serial: u64, waiter: Waiter) {
        let room = &self.room;
        let own = Duration::from_millis(room.limits.connect_timeout_ms);
        room.requests.desk.enter();
        let place = room.requests.tasks.connecting.borrow_mut().insert_with(|_| Connecting {
            targets: dial.targets,
            local: dial.local,
            serial,
            waiter,
            connect: None,
            asked: None,
            timeout: Key::NONE,
            share_until: None,
            is_late: false,
            limit: dial.timeout.unwrap_or(own),
            until: None,
            failed: Reason::Address,
            cut: None,
        });
        if dial.back_off.is_zero() {
            return self.try_target(place);
        }
        let at = self.now() + self.part_of(dial.back_off);
        let timeout = self.room.submit(Op::Timeout { at }, CONNECT_LATE_TOKEN | place.raw());
        if let Some(begun) = self.room.requests.tasks.connecting.borrow_mut().get_mut(place) {
            begun.timeout = timeout;
            begun.share_until = Some(at);
        }
    }

    /// Between half of it and all, by chance: who lost a server together does not come back together.
    fn part_of(&self, back_off: Duration) -> Duration {
        let half = u64::try_from(back_off.as_nanos() / 2).unwrap_or(u64::MAX);
        let chance = self.room.requests.engine.borrow_mut().chance();
        Duration::from_nanos(half.saturating_add(chance % half.max(1)))
    }

    fn now(&self) -> Moment {
        self.room.requests.engine.borrow().now()
    }

    /// Begins with the target whose turn it is; where none is left, or nobody wants it any more, it has
    /// failed.
    fn try_target(&self, place: Place) {
        let tasks = &self.room.requests.tasks;
        let mut connecting = tasks.connecting.borrow_mut();
        let Some(begun) = connecting.get_mut(place) else { return };
        let is_wanted = tasks.is_wanted(&begun.waiter);
        begun.until.get_or_insert_with(|| self.now() + begun.limit);
        if is_wanted && self.begin_target(place, begun) {
            return;
        }
        let reason = if is_wanted { begun.failed } else { Reason::Cancelled };
        drop(connecting);
        self.fail_connect(place, reason);
    }

    /// Whether something has begun; what cannot even begin is passed over.
    fn begin_target(&self, place: Place, begun: &mut Connecting) -> bool {
        while let Some(target) = begun.targets.front() {
            match target {
                Target::Address(address) => {
                    let route = Route { address: address.clone(), local: begun.local };
                    let op = Op::Connect { route: Box::new(route) };
                    begun.connect = Some(self.room.submit(op, CONNECT_TOKEN | place.raw()));
                }
                Target::Name(name, port) => match resolve::known(name, *port) {
                    Some(address) => {
                        begun.targets[0] = Target::Address(Address::Internet(address));
                        continue;
                    }
                    None => match self.ask_for(name, *port, place) {
                        Ok(asked) => begun.asked = Some(asked),
                        Err(reason) => {
                            begun.pass(reason);
                            continue;
                        }
                    },
                },
            }
            self.limit_share(place, begun);
            return true;
        }
        false
    }

    /// Ends the present target when its share of the time is over: each has the same of what is left,
    /// so that one that does not answer leaves the others theirs.
    fn limit_share(&self, place: Place, begun: &mut Connecting) {
        let now = self.now();
        let until = begun.until.unwrap_or(now);
        let count = u32::try_from(begun.targets.len()).unwrap_or(u32::MAX);
        let ends = || if count > 1 { now + until.since(now) / count } else { until };
        let at = *begun.share_until.get_or_insert_with(ends);
        begun.timeout = self.room.submit(Op::Timeout { at }, CONNECT_LATE_TOKEN | place.raw());
    }

    /// Asks for the addresses of a name, which come by the hatch; the number of what was asked.
    fn ask_for(&self, name: &str, port: u16, place: Place) -> Result<u64, Reason> {
        let shared = &self.room.requests;
        if shared.engine.borrow().name() == "simulated" {
            // A simulated world has no names.
            return Err(Reason::Unresolved);
        }
        let resolving = &shared.tasks.resolving;
        if resolving.get() >= RESOLVING_MAX {
            return Err(Reason::Limit("resolving_max"));
        }
        let asked = shared.tasks.resolved.get() + 1;
        let hatch = shared.hatch.clone();
        let begun = resolve::ask(name.to_owned(), port, move |found| {
            hatch.hand_in(Asked::Resolved(place, asked, found.unwrap_or_default()));
        });
        begun.map_err(|error| Reason::System(Error::from_io(OpKind::Connect, &error)))?;
        resolving.set(resolving.get() + 1);
        shared.tasks.resolved.set(asked);
        Ok(asked)
    }

    /// The addresses of a name have come, none where it has none.
    pub(super) fn resolved(&self, place: Place, asked: u64, found: Vec<SocketAddr>) {
        let tasks = &self.room.requests.tasks;
        tasks.resolving.set(tasks.resolving.get() - 1);
        let mut connecting = tasks.connecting.borrow_mut();
        // It may have been passed over meanwhile.
        let begun = connecting.get_mut(place).filter(|begun| begun.asked == Some(asked));
        let Some(begun) = begun else { return };
        begun.pass(Reason::Unresolved);
        for address in found.into_iter().rev() {
            begun.targets.push_front(Target::Address(Address::Internet(address)));
        }
        self.room.requests.engine.borrow_mut().cancel(begun.timeout);
        drop(connecting);
        self.try_target(place);
    }

    /// What was being made when the shard was frozen is made anew.
    pub(super) fn connect_again(&self) {
        let places = self.room.requests.tasks.connecting.borrow().places();
        for place in places {
            self.room.requests.desk.enter();
            let mut connecting = self.room.requests.tasks.connecting.borrow_mut();
            let Some(begun) = connecting.get_mut(place) else { continue };
            let is_waiting = begun.is_waiting();
            if begun.is_late {
                begun.pass(LATE);
            }
            if let Some(reason) = begun.cut {
                drop(connecting);
                self.fail_connect(place, reason);
            } else if is_waiting {
                self.limit_share(place, begun);
            } else {
                drop(connecting);
                self.try_target(place);
            }
        }
    }

    /// A target's share of the time is over, or the wait before the first.
    pub(super) fn connect_is_late(&self, completion: &Completion) {
        let place = place_of(completion.token);
        let mut connecting = self.room.requests.tasks.connecting.borrow_mut();
        let begun = connecting.get_mut(place).filter(|begun| begun.timeout == completion.key);
        let Some(begun) = begun else { return };
        if let Some(connect) = begun.connect {
            begun.is_late = true;
            self.room.requests.engine.borrow_mut().cancel(connect);
        } else {
            match begun.until {
                Some(_) => begun.pass(LATE),
                // It had only waited.
                None => begun.share_until = None,
            }
            drop(connecting);
            self.try_target(place);
        }
    }

    /// The shard stops: nothing more is connected.
    pub(super) fn cut_connects(&self) {
        let places = self.room.requests.tasks.connecting.borrow().places();
        for place in places {
            self.cut_connect(place, Reason::Stopped);
        }
    }

    /// Its task ends now; the operation may take turns, and what comes of it is closed.
    fn cut_connect(&self, place: Place, reason: Reason) {
        let tasks = &self.room.requests.tasks;
        let mut connecting = tasks.connecting.borrow_mut();
        let Some(begun) = connecting.get_mut(place) else { return };
        begun.cut.get_or_insert(reason);
        let (waiter, connect) = (begun.waiter.take(), begun.connect);
        drop(connecting);
        match connect {
            Some(connect) => self.room.requests.engine.borrow_mut().cancel(connect),
            None => self.fail_connect(place, reason),
        }
        tasks.end(Peer::nobody(), waiter, Ended::Failed(reason));
    }

    /// There will be no connection.
    fn fail_connect(&self, place: Place, reason: Reason) {
        let shared = &self.room.requests;
        let begun = shared.tasks.connecting.borrow_mut().remove(place);
        let Some(begun) = begun else { return };
        shared.engine.borrow_mut().cancel(begun.timeout);
        shared.desk.leave();
        shared.tasks.end(Peer::nobody(), begun.waiter, Ended::Failed(reason));
    }

    /// A connection stands, or cannot be made to this target.
    pub(super) fn raw_connected(&mut self, completion: Completion) {
        let (place, shared) = (place_of(completion.token), &self.room.requests);
        let mut connecting = shared.tasks.connecting.borrow_mut();
        let Some(begun) = connecting.get_mut(place) else { return };
        shared.engine.borrow_mut().cancel(begun.timeout);
        let is_wanted = begun.cut.is_none() && shared.tasks.is_wanted(&begun.waiter);
        match completion.outcome {
            Outcome::Connected(socket) if is_wanted => {
                let begun = connecting.remove(place);
                drop(connecting);
                let peer = self.open_outgoing(socket);
                if let Some(begun) = begun {
                    let ended = Ended::Connected(Stands(peer.id(), peer.place(), None));
                    self.room.requests.tasks.end(peer, begun.waiter, ended);
                }
            }
            Outcome::Connected(socket) => {
                let reason = begun.cut.unwrap_or(Reason::Cancelled);
                drop(connecting);
                self.room.submit(Op::Close { descriptor: socket }, CLOSE_TOKEN);
                self.fail_connect(place, reason);
            }
            outcome => {
                if let Outcome::Failed(error, _) = &outcome {
                    self.room.connect_fails(*error, begun.is_late.then_some(LATE));
                }
                let (cut, reason) = (begun.cut, reason_of(&outcome, begun.is_late));
                begun.pass(reason);
                drop(connecting);
                match cut {
                    Some(reason) => self.fail_connect(place, reason),
                    None => self.try_target(place),
                }
            }
        }
    }

    /// A connection of the application that no server accepted, counted as entered before.
    pub(super) fn open_outgoing(&mut self, socket: Descriptor) -> Peer {
        let (id, room) = (self.standing.peers.next(), &self.room);
        room.requests.desk.stand();
        let place = self.connections.insert_with(|place| {
            let session = Session::Other(Other::Peered(Peered::outgoing(room)));
            Connection::open(place, id, socket, session, room)
        });
        self.room.requests.tasks.places.stand(Peer::new(id, place), PeerStatus::Open);
        self.file(place);
        Peer::new(id, place)
    }

    /// The same while the shard is being frozen: it is begun anew where the shard goes on, and what
    /// stands by then is closed.
    pub(super) fn absorb_raw_connected(completion: Completion) -> Option<Descriptor> {
        match completion.outcome {
            Outcome::Connected(socket) => Some(socket),
            _ => None,
        }
    }
}

/// Why a target could not be reached.
fn reason_of(outcome: &Outcome, is_late: bool) -> Reason {
    match outcome {
        _ if is_late => LATE,
        Outcome::Failed(error, _) => Reason::of(*error),
        _ => Reason::Stale,
    }
}

impl Connecting {
    /// Whether it waits for something that ends by itself.
    const fn is_waiting(&self) -> bool {
        self.connect.is_none()
    }

    /// The present target is given up, for this reason.
    fn pass(&mut self, reason: Reason) {
        self.targets.pop_front();
        (self.connect, self.asked, self.share_until, self.is_late) = (None, None, None, false);
        self.failed = reason;
    }
}

const fn place_of(token: u64) -> Place {
    Place::from_raw(token & ((1 << PLACE_BITS) - 1))
}
