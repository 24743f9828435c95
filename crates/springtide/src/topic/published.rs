//! What is published: a message that is encoded once for all who get it, on whatever shard.
//! It never knows who they are, and holds no connection.

use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use springtide_proto::Piece;
use springtide_proto::websocket::{Encoded, Kind};

use super::registry::Topic;
use crate::metrics::Counts;
use crate::peer::PeerId;
use crate::websocket::Message;

/// A message for any number of connections.
#[derive(Debug)]
pub(crate) struct Published {
    kind: Kind,
    payload: Bytes,
    /// Made by whoever needs it first.
    plain: OnceLock<Encoded>,
    /// The same; none where the message does not gain by it.
    deflated: OnceLock<Option<Encoded>>,
}

impl Published {
    pub(super) fn new(message: Message) -> Arc<Self> {
        let (kind, payload) = message.into_parts();
        let (plain, deflated) = (OnceLock::new(), OnceLock::new());
        Arc::new(Self { kind, payload, plain, deflated })
    }

    /// As it was given.
    pub(crate) fn message(&self) -> Message {
        Message::shared(self.kind, self.payload.clone())
    }

    pub(crate) const fn payload(&self) -> &Bytes {
        &self.payload
    }

    pub(crate) fn len(&self) -> usize {
        self.payload.len()
    }

    /// Its frame.
    pub(crate) fn plain(&self) -> &Encoded {
        let encode = || Encoded::new(self.kind, Piece::Shared(self.payload.clone()));
        self.plain.get_or_init(encode)
    }

    /// Its frame when it is compressed by itself; none where it does not gain by that. Two shards may
    /// both come first: none waits for the other.
    pub(crate) fn deflated(
        &self,
        deflate: impl FnOnce(&[u8]) -> Option<Vec<u8>>,
    ) -> Option<&Encoded> {
        if self.deflated.get().is_none() {
            let deflated = deflate(&self.payload);
            let encode = |deflated| Encoded::compressed(self.kind, Piece::Owned(deflated));
            // Another shard may have been faster: its frame says the same.
            let _ = self.deflated.set(deflated.map(encode));
        }
        self.deflated.get().and_then(Option::as_ref)
    }
}

/// Who gets a message.
#[derive(Debug, Clone)]
pub(crate) enum Whom {
    /// Whoever has subscribed to this topic.
    Topic(Arc<str>),
    /// These connections, each named once.
    Ids(Arc<[PeerId]>),
}

/// A message on its way to those who get it.
#[derive(Debug, Clone)]
pub(crate) struct Publication {
    pub(crate) published: Arc<Published>,
    pub(crate) whom: Whom,
}

/// What a publication takes on its way besides its payload and names.
const PUBLICATION_BYTES: usize = 128;

impl Publication {
    /// How many bytes it counts for on its way.
    pub(crate) fn cost(&self) -> usize {
        let names = match &self.whom {
            Whom::Topic(topic) => topic.len(),
            Whom::Ids(ids) => size_of_val::<[PeerId]>(ids),
        };
        self.published.len() + names + PUBLICATION_BYTES
    }
}

/// A publication of a shard's own connection, in the order of what else is said there.
#[derive(Debug)]
pub(crate) struct Local {
    pub(crate) publication: Publication,
    /// Who has subscribed behind it does not get it.
    pub(crate) serial: u64,
    /// Who does not get it either.
    pub(crate) except: Option<PeerId>,
}

/// A message for one connection, and what it is counted for: what waits is this, and no copy.
#[derive(Debug, Clone)]
pub(crate) struct Delivery {
    pub(crate) published: Arc<Published>,
    /// What the connection has subscribed to; none where it is named itself.
    pub(super) topic: Option<Arc<Topic>>,
    /// The number of the connection's shard, which never changes.
    pub(super) shard: usize,
}

impl Delivery {
    /// It was given to the connection.
    #[inline]
    pub(crate) fn count_delivered(&self, counts: &mut Counts) {
        counts.deliveries_total += 1;
        if let Some(topic) = &self.topic {
            topic.count_delivered(self.shard);
        }
    }

    /// It was not, and never is.
    pub(crate) fn count_dropped(&self, counts: &mut Counts) {
        counts.deliveries_dropped += 1;
        if let Some(topic) = &self.topic {
            topic.count_dropped(self.shard);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_encoded_once_for_each_form() {
        let published = Published::new("high tide".into());
        assert!(std::ptr::eq(published.plain(), published.plain()));
        let deflated = published.deflated(|payload| Some(payload[..4].to_vec())).cloned();
        assert_eq!(deflated.as_ref().map(Encoded::len), Some(6));
        assert_eq!(published.deflated(|_| unreachable!("it was")).cloned(), deflated);
        assert_eq!(published.message(), Message::from("high tide"));
    }

    #[test]
    fn what_gains_nothing_is_not_tried_again() {
        let published = Published::new("high tide".into());
        assert_eq!(published.deflated(|_| None), None);
        assert_eq!(published.deflated(|_| unreachable!("it was")), None);
    }
}
