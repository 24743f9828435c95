//! The part of a turn in which datagrams come and go.
//! An error of one of them is never the socket's end, and nothing waits without a bound.

use springtide_engine::{Completion, Datagram as Raw, Descriptor, Error, Op, Outcome};

use super::{CLOSE_TOKEN, Shard};
use crate::datagram::{Asked, Datagram, Letterbox, Outgoing, PostAsk};
use crate::limits::place_of;
use crate::peer::{Peer, Reason};
use crate::report;
use crate::table::{PLACE_BITS, Place};
use crate::task::{Ended, Ready, Waiter};

/// Tokens of what receives datagrams.
pub(super) const RECEIVE_FROM_TOKEN: u64 = 10 << PLACE_BITS;
/// Tokens of what sends one as soon as there is room.
pub(super) const SEND_TO_TOKEN: u64 = 11 << PLACE_BITS;

impl Shard {
    /// A socket whose datagrams are a service's.
    pub(crate) fn add_datagrams(&self, descriptor: Descriptor, service: usize) {
        let place = self.room.requests.post.insert(descriptor, Some(service));
        self.with_letterbox(place, |own| self.receive_on(own, place));
    }

    fn with_letterbox(&self, place: Place, what: impl FnOnce(&mut Letterbox)) -> bool {
        let mut sockets = self.room.requests.post.sockets.borrow_mut();
        sockets.get_mut(place).map(what).is_some()
    }

    /// What was asked of a socket.
    pub(super) fn obey_post(&self, place: Place, ask: PostAsk, serial: u64, waiter: Waiter) {
        let tasks = &self.room.requests.tasks;
        if !tasks.is_wanted(&waiter) {
            return;
        }
        let mut asked = Some(Asked { serial, waiter });
        self.with_letterbox(place, |own| {
            let Some(asked) = asked.take() else { return };
            match ask {
                PostAsk::Receive => self.ask_datagram(own, place, asked),
                PostAsk::Send(bytes, to) => {
                    if self.is_crowded(own.outgoing.len()) {
                        return asked.fail(Reason::Limit("datagrams_waiting_max"), tasks);
                    }
                    own.outgoing.push_back(Outgoing { asked, bytes, to });
                    self.send_on(own, place);
                }
                PostAsk::Close => {
                    self.close_letterbox(own, Reason::Closed);
                    tasks.end(Peer::nobody(), asked.waiter, Ended::Done);
                }
            }
        });
        // A socket that is closed has nothing in it.
        self.forget_letterbox(place);
        if let Some(asked) = asked {
            asked.fail(Reason::Stale, tasks);
        }
    }

    fn ask_datagram(&self, own: &mut Letterbox, place: Place, asked: Asked) {
        let tasks = &self.room.requests.tasks;
        if own.service.is_some() {
            return asked.fail(Reason::Stale, tasks);
        }
        if let Some(datagram) = own.came.pop_front() {
            let ended = Ended::Datagram(Box::new(datagram));
            tasks.end(Peer::nobody(), asked.waiter, ended);
        } else if self.is_crowded(own.receivers.len()) {
            return asked.fail(Reason::Limit("datagrams_waiting_max"), tasks);
        } else {
            own.receivers.push_back(asked);
        }
        self.receive_on(own, place);
    }

    fn is_crowded(&self, waiting: usize) -> bool {
        let is_crowded = waiting >= self.room.limits.datagrams_waiting_max;
        if is_crowded {
            self.room.met.count(const { place_of("datagrams_waiting_max") });
        }
        is_crowded
    }

    /// Receives, unless that is done already or too many wait to be taken.
    fn receive_on(&self, own: &mut Letterbox, place: Place) {
        let limits = &self.room.limits;
        if own.receive.is_none() && own.came.len() <= limits.datagrams_waiting_max / 2 {
            let bytes_max = limits.datagram_bytes_max;
            let op = Op::ReceiveFrom { socket: own.descriptor, bytes_max };
            own.receive = Some(self.room.submit(op, RECEIVE_FROM_TOKEN | place.raw()));
        }
    }

    /// Sends what waits, as far as there is room.
    fn send_on(&self, own: &mut Letterbox, place: Place) {
        let tasks = &self.room.requests.tasks;
        while own.send.is_none()
            && let Some(first) = own.outgoing.front()
        {
            if !tasks.is_wanted(&first.asked.waiter) {
                own.outgoing.pop_front();
                continue;
            }
            let mut engine = self.room.requests.engine.borrow_mut();
            match engine.send_to_now(own.descriptor, &first.bytes, first.to) {
                Ok(false) => {
                    let (address, bytes) = (first.to, first.bytes.to_vec());
                    let datagram = Box::new(Raw { address, bytes, length: 0 });
                    let op = Op::SendTo { socket: own.descriptor, datagram };
                    own.send = Some(engine.submit(op, SEND_TO_TOKEN | place.raw()));
                }
                result => self.sent_first(own, result.map(drop)),
            }
        }
    }

    /// The first of what waits has gone, or cannot go.
    fn sent_first(&self, own: &mut Letterbox, result: Result<(), Error>) {
        let Some(Outgoing { asked, bytes, .. }) = own.outgoing.pop_front() else { return };
        let ended =
            result.map_or_else(|error| Ended::Failed(Reason::of(error)), |()| Ended::Bytes(bytes));
        self.room.requests.tasks.end(Peer::nobody(), asked.waiter, ended);
    }

    /// Something has come or gone, or a socket has ended to wait for it.
    pub(super) fn post_completed(&self, completion: Completion) {
        let place = Place::from_raw(completion.token & ((1 << PLACE_BITS) - 1));
        self.absorb_post(completion);
        self.with_letterbox(place, |own| {
            if own.service.is_some() || !own.receivers.is_empty() {
                self.receive_on(own, place);
            }
            self.send_on(own, place);
        });
    }

    /// The same without beginning anything: also while the shard is being frozen.
    pub(super) fn absorb_post(&self, completion: Completion) {
        let place = Place::from_raw(completion.token & ((1 << PLACE_BITS) - 1));
        let is_receive = completion.token >> PLACE_BITS << PLACE_BITS == RECEIVE_FROM_TOKEN;
        let tasks = &self.room.requests.tasks;
        self.with_letterbox(place, |own| match completion.outcome {
            Outcome::Datagram(datagram) => {
                let datagram = Datagram::new(*datagram);
                match own.service {
                    Some(service) => {
                        tasks.tell(Ready::Datagram(place, service, Box::new(datagram)))
                    }
                    None => self.take_datagram(own, datagram),
                }
            }
            Outcome::SentTo(_) => {
                own.send = None;
                self.sent_first(own, Ok(()));
            }
            Outcome::Failed(error, _) if is_receive => {
                own.receive = None;
                if error != Error::Cancelled {
                    self.receive_failed(own, error);
                }
            }
            Outcome::Failed(error, _) => {
                own.send = None;
                // A shard that was frozen begins again with the same.
                if error != Error::Cancelled {
                    self.sent_first(own, Err(error));
                }
            }
            _ => {}
        });
    }

    fn take_datagram(&self, own: &mut Letterbox, datagram: Datagram) {
        own.take_in(datagram, &self.room.requests.tasks);
        if own.came.len() >= self.room.limits.datagrams_waiting_max
            && let Some(receive) = own.receive
        {
            self.room.requests.engine.borrow_mut().cancel(receive);
        }
    }

    /// The system receives nothing more there: whoever asks tries again.
    fn receive_failed(&self, own: &mut Letterbox, error: Error) {
        if own.service.take().is_some() {
            report::error(format_args!("datagrams are received no more at an address: {error}"));
        }
        for asked in own.receivers.drain(..) {
            asked.fail(Reason::of(error), &self.room.requests.tasks);
        }
    }

    /// Everything in flight was ended by a freeze: it begins again.
    pub(super) fn post_again(&self) {
        for place in self.room.requests.post.places() {
            self.with_letterbox(place, |own| {
                (own.receive, own.send) = (None, None);
                if own.service.is_some() || !own.receivers.is_empty() {
                    self.receive_on(own, place);
                }
                self.send_on(own, place);
            });
        }
    }

    /// The shard stops: its sockets are closed, at first those whose datagrams nobody waits for.
    pub(super) fn close_post(&self, only_services: bool) {
        for place in self.room.requests.post.places() {
            self.with_letterbox(place, |own| {
                if own.service.is_some() || !only_services {
                    self.close_letterbox(own, Reason::Stopped);
                }
            });
            self.forget_letterbox(place);
        }
    }

    fn close_letterbox(&self, own: &mut Letterbox, reason: Reason) {
        own.fail_all(reason, &self.room.requests.tasks);
        let mut engine = self.room.requests.engine.borrow_mut();
        for key in own.receive.take().into_iter().chain(own.send.take()) {
            engine.cancel(key);
        }
        engine.submit(Op::Close { descriptor: own.descriptor }, CLOSE_TOKEN);
        own.is_closed = true;
    }

    fn forget_letterbox(&self, place: Place) {
        let mut sockets = self.room.requests.post.sockets.borrow_mut();
        if sockets.get_mut(place).is_some_and(|own| own.is_closed) {
            sockets.remove(place);
        }
    }
}
