//! The post of a shard: its sockets for datagrams, what has come and nobody has taken, and what waits to
//! be sent. It sends and receives nothing itself, and calls nobody.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::net::SocketAddr;

use bytes::Bytes;
use springtide_engine::{Descriptor, Key};

use super::Datagram;
use crate::peer::{Peer, Reason};
use crate::table::{Place, Table};
use crate::task::{Ended, Tasks, Waiter};

/// The post.
pub(crate) struct Post {
    pub(crate) sockets: RefCell<Table<Letterbox>>,
}

/// What is asked of a socket.
pub(crate) enum PostAsk {
    Receive,
    Send(Bytes, SocketAddr),
    Close,
}

/// One socket.
pub(crate) struct Letterbox {
    pub(crate) descriptor: Descriptor,
    /// Whose datagrams they are: the number of the server's service; the application's own without.
    pub(crate) service: Option<usize>,
    /// The receive in flight.
    pub(crate) receive: Option<Key>,
    /// Came, and nobody has asked for it.
    pub(crate) came: VecDeque<Datagram>,
    pub(crate) receivers: VecDeque<Asked>,
    pub(crate) outgoing: VecDeque<Outgoing>,
    /// The first of those waits for room.
    pub(crate) send: Option<Key>,
    /// It is being closed, and nobody finds it any more.
    pub(crate) is_closed: bool,
}

/// Who waits for a datagram.
pub(crate) struct Asked {
    pub(crate) serial: u64,
    pub(crate) waiter: Waiter,
}

/// A datagram that is to go.
pub(crate) struct Outgoing {
    pub(crate) asked: Asked,
    pub(crate) bytes: Bytes,
    pub(crate) to: SocketAddr,
}

impl Post {
    pub(crate) const fn new() -> Self {
        Self { sockets: RefCell::new(Table::new()) }
    }

    pub(crate) fn insert(&self, descriptor: Descriptor, service: Option<usize>) -> Place {
        let (came, receivers, outgoing) = Default::default();
        self.sockets.borrow_mut().insert_with(|_| Letterbox {
            descriptor,
            service,
            receive: None,
            came,
            receivers,
            outgoing,
            send: None,
            is_closed: false,
        })
    }

    pub(crate) fn descriptor(&self, place: Place) -> Option<Descriptor> {
        self.sockets.borrow_mut().get_mut(place).map(|own| own.descriptor)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.sockets.borrow().len() == 0
    }

    pub(crate) fn places(&self) -> Vec<Place> {
        self.sockets.borrow().places()
    }

    pub(crate) fn descriptors(&self) -> Vec<Descriptor> {
        self.sockets.borrow().iter().map(|own| own.descriptor).collect()
    }

    /// Ends the task of a serial number, if it waits at one of the sockets and is not being sent.
    pub(crate) fn cancel(&self, serial: u64, tasks: &Tasks) {
        let mut sockets = self.sockets.borrow_mut();
        for place in sockets.places() {
            let Some(own) = sockets.get_mut(place) else { continue };
            if let Some(index) = own.receivers.iter().position(|asked| asked.serial == serial)
                && let Some(asked) = own.receivers.remove(index)
            {
                return asked.fail(Reason::Cancelled, tasks);
            }
            let first = usize::from(own.send.is_some());
            let mut waiting = own.outgoing.iter().skip(first);
            if let Some(index) = waiting.position(|outgoing| outgoing.asked.serial == serial)
                && let Some(outgoing) = own.outgoing.remove(first + index)
            {
                return outgoing.asked.fail(Reason::Cancelled, tasks);
            }
        }
    }
}

impl Letterbox {
    /// A datagram has come: the first who waits gets it.
    pub(crate) fn take_in(&mut self, datagram: Datagram, tasks: &Tasks) {
        while let Some(asked) = self.receivers.pop_front() {
            if tasks.is_wanted(&asked.waiter) {
                let ended = Ended::Datagram(Box::new(datagram));
                return tasks.end(Peer::nobody(), asked.waiter, ended);
            }
        }
        self.came.push_back(datagram);
    }

    /// Fails everybody who waits.
    pub(crate) fn fail_all(&mut self, reason: Reason, tasks: &Tasks) {
        let senders = self.outgoing.drain(..).map(|outgoing| outgoing.asked);
        for asked in self.receivers.drain(..).chain(senders) {
            asked.fail(reason, tasks);
        }
    }
}

impl Asked {
    pub(crate) fn fail(self, reason: Reason, tasks: &Tasks) {
        tasks.end(Peer::nobody(), self.waiter, Ended::Failed(reason));
    }
}
