//! Where the raw connections of a shard stand, and how: handles are told without the connection.
//! It also keeps their sessions while the shard is frozen, as what the application holds cannot be.

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Weak};

use springtide_engine::{GENERATION_BITS, Sheet};

use crate::peer::{Link, Peer, PeerId, PeerStatus};
use crate::session::Messaging;
use crate::session::peered::Peered;
use crate::table::Place;
use crate::task::Hatch;

/// The places.
pub(crate) struct Places {
    /// By the index of a connection's place.
    standing: RefCell<Sheet<Standing>>,
    /// Where connections stand by now that were frozen and thawed: handles name the place before.
    moved: RefCell<HashMap<PeerId, Place>>,
    /// Sessions of a shard that is frozen, with where they stood.
    frozen: RefCell<HashMap<PeerId, (Place, Box<Peered>)>>,
    /// The same of WebSockets.
    sockets: RefCell<HashMap<PeerId, (Place, Messaging)>>,
    /// Where each connection stands that has a name, once somebody has asked by names.
    index: RefCell<Option<HashMap<PeerId, Place>>>,
    /// Connections that other threads know of, or did.
    links: RefCell<HashMap<PeerId, Weak<Link>>>,
}

/// The generation of a connection's place and how it stands, in one number: an idle connection has one.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Standing(u32);

const _: () = assert!(size_of::<Standing>() == 4, "every raw connection and WebSocket has one");

impl Standing {
    const NOBODY: Self = Self(u32::MAX);

    const fn new(generation: u32, status: PeerStatus) -> Self {
        assert!(generation < 1 << GENERATION_BITS, "as the table of connections counts them");
        Self((status as u32) << GENERATION_BITS | generation)
    }

    /// Whether a connection of this generation is here, and not closed.
    const fn is_open(self, generation: u32) -> bool {
        const CLOSED: u32 = (PeerStatus::Closed as u32) << GENERATION_BITS;
        self.0 < CLOSED && self.0 & ((1 << GENERATION_BITS) - 1) == generation
    }

    /// How a connection of this generation stands.
    const fn of(self, generation: u32) -> Option<PeerStatus> {
        const ALL: [PeerStatus; 5] = [
            PeerStatus::Connecting,
            PeerStatus::Open,
            PeerStatus::HalfClosed,
            PeerStatus::Closing,
            PeerStatus::Closed,
        ];
        const { assert!(ALL[4] as usize == 4, "each at its number") };
        let number = (self.0 >> GENERATION_BITS) as usize;
        if self.0 & ((1 << GENERATION_BITS) - 1) != generation || number >= ALL.len() {
            return None;
        }
        Some(ALL[number])
    }
}

impl Default for Places {
    fn default() -> Self {
        let (moved, frozen, sockets, index, links) = Default::default();
        let standing = RefCell::new(Sheet::new(Standing::NOBODY));
        Self { standing, moved, frozen, sockets, index, links }
    }
}

impl Places {
    /// How a connection stands.
    #[inline]
    pub(crate) fn status(&self, peer: Peer) -> PeerStatus {
        self.status_at(peer.place()).unwrap_or_else(|| {
            let moved = self.moved.borrow().get(&peer.id()).copied();
            moved.and_then(|place| self.status_at(place)).unwrap_or(PeerStatus::Closed)
        })
    }

    /// Whether a connection is gone: the same, as it is mostly asked.
    #[inline]
    pub(crate) fn is_closed(&self, peer: Peer) -> bool {
        let place = peer.place();
        let own = self.standing.borrow().get(place.index() as usize).copied();
        let is_here = own.is_some_and(|own| own.is_open(place.generation()));
        !is_here && self.status(peer) == PeerStatus::Closed
    }

    #[inline]
    fn status_at(&self, place: Place) -> Option<PeerStatus> {
        self.standing.borrow().get(place.index() as usize)?.of(place.generation())
    }

    /// A handle that names the place where its connection stands now.
    #[inline]
    pub(crate) fn find(&self, peer: Peer) -> Peer {
        let moved = self.moved.borrow();
        if moved.is_empty() || self.status_at(peer.place()).is_some() {
            return peer;
        }
        moved.get(&peer.id()).map_or(peer, |place| Peer::new(peer.id(), *place))
    }

    /// A connection stands elsewhere from here on, also where nobody has its place of before who has a name.
    fn move_to(&self, id: PeerId, before: Place, place: Place, status: PeerStatus) {
        let mut standing = self.standing.borrow_mut();
        let own = standing.at(before.index() as usize);
        if own.of(before.generation()).is_some() {
            *own = Standing::NOBODY;
        }
        drop(standing);
        self.moved.borrow_mut().insert(id, place);
        self.stand(Peer::new(id, place), status);
    }

    /// A connection has ended.
    pub(crate) fn fall(&self, peer: Peer) {
        self.stand(peer, PeerStatus::Closed);
        self.links.borrow_mut().remove(&peer.id());
        let mut moved = self.moved.borrow_mut();
        if !moved.is_empty() {
            moved.remove(&peer.id());
        }
    }

    /// The session of a connection that is frozen with all of its shard.
    pub(crate) fn freeze(&self, peer: Peer, session: Peered) {
        self.frozen.borrow_mut().insert(peer.id(), (peer.place(), Box::new(session)));
    }

    /// The session that was frozen, where the application still holds what it held.
    pub(crate) fn thaw(&self, id: PeerId, place: Place) -> Option<Peered> {
        let (before, session) = self.frozen.borrow_mut().remove(&id)?;
        match session.status() {
            PeerStatus::Closed => self.stand(Peer::new(id, place), PeerStatus::Closed),
            status => self.move_to(id, before, place, status),
        }
        Some(*session)
    }

    /// The session of a WebSocket that is frozen with all of its shard.
    pub(crate) fn freeze_socket(&self, peer: Peer, session: Messaging) {
        self.sockets.borrow_mut().insert(peer.id(), (peer.place(), session));
    }

    /// The same as it was, at its place from here on.
    pub(crate) fn thaw_socket(&self, id: PeerId, place: Place) -> Option<Messaging> {
        let (before, session) = self.sockets.borrow_mut().remove(&id)?;
        if session.is_told() {
            self.move_to(id, before, place, session.status());
        }
        Some(session)
    }

    /// Whether there are sessions of a shard that is frozen.
    pub(crate) fn has_frozen(&self) -> bool {
        !self.frozen.borrow().is_empty() || !self.sockets.borrow().is_empty()
    }

    /// The futures of the sessions that are frozen.
    pub(crate) fn kept_futures(&self) -> HashSet<Place> {
        let (frozen, sockets) = (self.frozen.borrow(), self.sockets.borrow());
        let sockets = sockets.values().filter_map(|(_, session)| session.future());
        frozen.values().filter_map(|(_, session)| session.future()).chain(sockets).collect()
    }

    /// A connection stands so from here on.
    pub(crate) fn stand(&self, peer: Peer, status: PeerStatus) {
        let links = self.links.borrow();
        if !links.is_empty()
            && let Some(link) = links.get(&peer.id()).and_then(Weak::upgrade)
        {
            link.stand(status);
        }
        self.note(peer, status);
        let place = peer.place();
        let mut standing = self.standing.borrow_mut();
        *standing.at(place.index() as usize) = Standing::new(place.generation(), status);
    }

    /// Lists a connection where it stands, or no more.
    fn note(&self, peer: Peer, status: PeerStatus) {
        if let Some(index) = &mut *self.index.borrow_mut() {
            match status {
                PeerStatus::Closed => _ = index.remove(&peer.id()),
                _ => _ = index.insert(peer.id(), peer.place()),
            }
        }
    }

    /// Where connections of these names stand, of those that are here. All are listed from the first time on,
    /// when `all` tells of those that stand already.
    pub(crate) fn find_all(
        &self,
        ids: &[PeerId],
        all: impl FnOnce() -> HashMap<PeerId, Place>,
    ) -> Vec<Place> {
        let mut index = self.index.borrow_mut();
        let index = index.get_or_insert_with(all);
        ids.iter().filter_map(|id| index.get(id).copied()).collect()
    }

    /// What other threads share of a connection.
    pub(crate) fn link(&self, peer: Peer, hatch: &Arc<Hatch>) -> Arc<Link> {
        let known = self.links.borrow().get(&peer.id()).and_then(Weak::upgrade);
        known.unwrap_or_else(|| self.keep(Link::new(peer, Arc::clone(hatch), self.status(peer))))
    }

    /// The same of a connection that is closed when none of them holds it any more, and the number of the
    /// listener that it came to.
    pub(crate) fn link_own(&self, peer: Peer, hatch: &Arc<Hatch>, lobby: Option<u64>) -> Arc<Link> {
        self.keep(Link::owner(peer, Arc::clone(hatch), self.status(peer), lobby))
    }

    fn keep(&self, link: Link) -> Arc<Link> {
        let link = Arc::new(link);
        if link.status() != PeerStatus::Closed {
            self.links.borrow_mut().insert(link.id, Arc::downgrade(&link));
        }
        link
    }

    /// The shard has ended.
    pub(super) fn end(&self) {
        *self.standing.borrow_mut() = Sheet::new(Standing::NOBODY);
        self.index.take();
        self.moved.take();
        for (_, link) in self.links.take() {
            if let Some(link) = link.upgrade() {
                link.stand(PeerStatus::Closed);
            }
        }
    }
}
