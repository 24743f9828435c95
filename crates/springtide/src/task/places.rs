//! Where the raw connections of a shard stand, and how: handles are told without the connection.
//! It also keeps their sessions while the shard is frozen, as what the application holds cannot be.

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};

use crate::peer::{Peer, PeerId, PeerStatus};
use crate::session::peered::Peered;
use crate::table::Place;

/// The places.
#[derive(Default)]
pub(crate) struct Places {
    /// By the index of a connection's place: its generation, and how it stands.
    standing: RefCell<Vec<(u32, PeerStatus)>>,
    /// Where connections stand by now that were frozen and thawed: handles name the place before.
    moved: RefCell<HashMap<PeerId, Place>>,
    /// Sessions of a shard that is frozen.
    frozen: RefCell<HashMap<PeerId, Box<Peered>>>,
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

    #[inline]
    fn status_at(&self, place: Place) -> Option<PeerStatus> {
        let standing = self.standing.borrow();
        let (generation, status) = standing.get(place.index() as usize)?;
        (*generation == place.generation()).then_some(*status)
    }

    /// A handle that names the place where its connection stands now.
    #[inline]
    pub(crate) fn find(&self, peer: Peer) -> Peer {
        if self.status_at(peer.place()).is_some() {
            return peer;
        }
        let moved = self.moved.borrow().get(&peer.id()).copied();
        moved.map_or(peer, |place| Peer::new(peer.id(), place))
    }

    /// A connection stands elsewhere from here on.
    fn move_to(&self, id: PeerId, place: Place, status: PeerStatus) {
        self.moved.borrow_mut().insert(id, place);
        self.stand(place, status);
    }

    /// A connection has ended.
    pub(crate) fn fall(&self, peer: Peer) {
        self.stand(peer.place(), PeerStatus::Closed);
        let mut moved = self.moved.borrow_mut();
        if !moved.is_empty() {
            moved.remove(&peer.id());
        }
    }

    /// The session of a connection that is frozen with all of its shard.
    pub(crate) fn freeze(&self, id: PeerId, session: Peered) {
        self.frozen.borrow_mut().insert(id, Box::new(session));
    }

    /// The session that was frozen, where the application still holds what it held.
    pub(crate) fn thaw(&self, id: PeerId, place: Place) -> Option<Peered> {
        let session = self.frozen.borrow_mut().remove(&id)?;
        match session.status() {
            PeerStatus::Closed => self.stand(place, PeerStatus::Closed),
            status => self.move_to(id, place, status),
        }
        Some(*session)
    }

    /// Whether there are sessions of a shard that is frozen.
    pub(crate) fn has_frozen(&self) -> bool {
        !self.frozen.borrow().is_empty()
    }

    /// The futures of the sessions that are frozen.
    pub(crate) fn kept_futures(&self) -> HashSet<Place> {
        self.frozen.borrow().values().filter_map(|session| session.future()).collect()
    }

    /// A connection stands so from here on.
    pub(crate) fn stand(&self, place: Place, status: PeerStatus) {
        let (mut standing, index) = (self.standing.borrow_mut(), place.index() as usize);
        if standing.len() <= index {
            standing.resize(index + 1, (u32::MAX, PeerStatus::Closed));
        }
        standing[index] = (place.generation(), status);
    }
}
