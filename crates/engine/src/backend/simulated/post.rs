//! The post of a world: datagrams between sockets, which may be lost, doubled and overtaken by chance.
//! It promises nothing, as UDP does not.

use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use super::World;
use super::chance::Chance;
use super::network::insert;
use crate::error::{Error, OpKind};
use crate::op::Datagram;
use crate::options::Address;
use crate::system;

/// Datagrams that wait at a socket; further ones are lost, as where a system's memory is full.
const WAITING_MAX: usize = 256;

/// How probable it is that a datagram is lost, comes twice, or overtakes others, from 0 to 1 each; none
/// of it happens by default.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct PostFaults {
    /// It never comes.
    pub lost: f64,
    /// It comes twice.
    pub doubled: f64,
    /// It comes before others that were sent earlier.
    pub reordered: f64,
}

/// All sockets for datagrams.
#[derive(Default)]
pub(super) struct Post {
    boxes: Vec<Option<Letterbox>>,
    pub(super) faults: PostFaults,
}

struct Letterbox {
    address: SocketAddr,
    waiting: VecDeque<(SocketAddr, Vec<u8>)>,
}

impl Post {
    /// A socket at an address whose port is chosen; `joining` shares that of another.
    pub(super) fn bind(&mut self, address: SocketAddr, joining: bool) -> Result<usize, i32> {
        if !joining && self.boxes.iter().flatten().any(|other| other.address == address) {
            return Err(system::EADDRINUSE);
        }
        Ok(insert(&mut self.boxes, Letterbox { address, waiting: VecDeque::new() }))
    }

    pub(super) fn unbind(&mut self, own: usize) {
        self.boxes[own] = None;
    }

    pub(super) fn address(&self, own: usize) -> Option<SocketAddr> {
        self.boxes[own].as_ref().map(|own| own.address)
    }

    pub(super) fn has_waiting(&self, own: usize) -> bool {
        self.boxes[own].as_ref().is_some_and(|own| !own.waiting.is_empty())
    }

    /// The next datagram, so many bytes of it at most.
    pub(super) fn receive(&mut self, own: usize, bytes_max: usize) -> Option<Datagram> {
        let (address, mut bytes) = self.boxes[own].as_mut()?.waiting.pop_front()?;
        let length = bytes.len();
        bytes.truncate(bytes_max);
        Some(Datagram { address, bytes, length })
    }

    /// Sends a datagram to one of the sockets of an address, if there is any.
    pub(super) fn send(&mut self, own: usize, to: SocketAddr, bytes: &[u8], chance: &mut Chance) {
        let Some(mut from) = self.address(own) else { return };
        if from.ip().is_unspecified() {
            from.set_ip(IpAddr::V4(Ipv4Addr::LOCALHOST));
        }
        let faults = self.faults;
        let reaches = |own: &Letterbox| {
            let is_own = own.address.ip() == to.ip() || own.address.ip().is_unspecified();
            own.address.port() == to.port() && is_own
        };
        let mut targets: Vec<&mut Letterbox> =
            self.boxes.iter_mut().flatten().filter(|own| reaches(own)).collect();
        if targets.is_empty() || chance.happens(faults.lost) {
            return;
        }
        let chosen = chance.below(targets.len());
        let waiting = &mut targets[chosen].waiting;
        for _ in 0..1 + usize::from(chance.happens(faults.doubled)) {
            if waiting.len() == WAITING_MAX {
                return;
            }
            let overtakes = !waiting.is_empty() && chance.happens(faults.reordered);
            let place = if overtakes { chance.below(waiting.len()) } else { waiting.len() };
            waiting.insert(place, (from, bytes.to_vec()));
        }
    }
}

impl World {
    /// What goes wrong with datagrams from now on.
    pub fn set_post_faults(&self, faults: PostFaults) {
        self.state.borrow_mut().network.post.faults = faults;
    }

    /// A socket for datagrams outside the engines.
    ///
    /// # Errors
    /// The address is busy.
    pub fn bind(&self, address: SocketAddr) -> Result<Correspondent, Error> {
        let bound = self.state.borrow_mut().network.bind(address, false);
        let own = bound.map_err(|errno| Error::system(OpKind::Listen, errno))?;
        Ok(Correspondent { world: self.clone(), own })
    }
}

/// A socket for datagrams that no engine has. Dropping it closes it.
#[derive(Debug)]
pub struct Correspondent {
    world: World,
    own: usize,
}

impl Correspondent {
    /// Sends a datagram.
    pub fn send_to(&self, bytes: &[u8], to: SocketAddr) {
        let state = &mut *self.world.state.borrow_mut();
        state.network.send_to(self.own, to, bytes, &mut state.chance);
    }

    /// The next datagram, if one has come.
    #[must_use]
    pub fn receive_from(&self) -> Option<Datagram> {
        self.world.state.borrow_mut().network.receive_from(self.own, usize::MAX)
    }

    /// Where it is.
    #[must_use]
    pub fn address(&self) -> Address {
        let address = self.world.state.borrow().network.post.address(self.own);
        Address::Internet(address.expect("it is open until it is dropped"))
    }
}

impl Drop for Correspondent {
    fn drop(&mut self) {
        self.world.state.borrow_mut().network.unbind(self.own);
    }
}
