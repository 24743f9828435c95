//! Topics: what is published under a name reaches whoever has subscribed to it, on every shard.
//! A message is encoded once; nothing here touches a connection.

mod elsewhere;
mod local;
mod published;
mod queue;
mod registry;
mod slots;
mod table;
mod text;

pub(crate) use local::ShardTopics;
pub(crate) use published::{Delivery, Local, Publication, Published, Whom};
pub(crate) use queue::{Batch, Target};
pub(crate) use registry::Registry;
pub use registry::TopicCounts;

use std::fmt;
use std::rc::Rc;
use std::sync::Arc;

use crate::current;
use crate::peer::{Peer, PeerId, Reason};
use crate::request::Shared;
use crate::websocket::{Message, Socket};

/// What came of a subscription; it may be left alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subscribed {
    /// The connection gets what is published from here on, also if it had subscribed before.
    Yes,
    /// It does not: the connection is gone, or a limit is reached, which is named.
    Refused(Reason),
}

/// The topics of a server, for its handlers and any other thread; see [`Server::topics`](crate::Server::topics).
/// Clones are the same.
///
/// ```
/// use springtide::{Message, Request, Server, Socket, WebSocket};
///
/// struct News;
///
/// impl WebSocket for News {
///     fn opened(&self, socket: Socket) {
///         socket.subscribe("news");
///     }
///
///     fn message(&self, _: Socket, _: Message) {}
/// }
///
/// let server = Server::new().websocket("/news", News);
/// let topics = server.topics();
/// let server = server.post("/say/{what}", move |request: Request| {
///     topics.publish("news", request.param("what").to_string());
///     format!("{} are listening", topics.topic("news").subscribers)
/// });
/// ```
#[derive(Clone, Default)]
pub struct Topics {
    registry: Arc<Registry>,
}

impl Topics {
    pub(crate) const fn registry(&self) -> &Arc<Registry> {
        &self.registry
    }

    /// Sends a message to everybody who has subscribed to a topic, on every shard; see
    /// [`Socket::publish`]. How many deliveries were refused, because the queue to their shard is full, one
    /// for each subscription that matches, also of the same connection: these are counted as dropped,
    /// and the others are on their way.
    ///
    /// What one thread publishes to a topic arrives in that order. Before the server starts, nobody is
    /// there.
    pub fn publish(&self, topic: impl AsRef<str>, message: impl Into<Message>) -> usize {
        let topic = topic.as_ref();
        match self.here() {
            Some(shared) => shared.topics.publish(topic, || message.into(), None, &shared.tasks),
            None => self.registry.publish(topic, || message.into()),
        }
    }

    /// Sends a message to connections by their names: WebSockets, and raw connections, which get its
    /// bytes. One that is named twice gets it once, and one that is gone not at all. How many were
    /// refused, because the queue to their shard is full.
    ///
    /// The first one makes each shard list its connections, some 40 bytes for each; from then on it is
    /// a look-up for each name.
    pub fn broadcast(
        &self,
        ids: impl IntoIterator<Item = PeerId>,
        message: impl Into<Message>,
    ) -> usize {
        let mut ids: Vec<PeerId> = ids.into_iter().collect();
        ids.sort_unstable();
        ids.dedup();
        let published = Published::new(message.into());
        let ids: Arc<[PeerId]> = ids.into();
        let publication = Publication { published, whom: Whom::Ids(Arc::clone(&ids)) };
        match self.here() {
            Some(shared) => shared.topics.broadcast(publication, &ids, &shared.tasks),
            None => self.registry.broadcast(&publication, &ids),
        }
    }

    /// The shard of this server whose code runs on this thread.
    fn here(&self) -> Option<Rc<Shared>> {
        current::shard().filter(|shared| shared.topics.is_of(&self.registry))
    }

    /// How a topic stands, or a wildcard: how many have subscribed by this very name, and what became of
    /// what they were to get by it. What was counted goes with the last subscriber of a topic; the sums
    /// over all stay ([`Counts`](crate::Counts)).
    #[must_use]
    pub fn topic(&self, name: impl AsRef<str>) -> TopicCounts {
        self.registry.counts_of(name.as_ref())
    }

    /// All topics that have subscribers, in order of their names.
    #[must_use]
    pub fn all(&self) -> Vec<(String, TopicCounts)> {
        let mut all = self.registry.all();
        all.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
        all
    }
}

impl fmt::Debug for Topics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Topics").finish_non_exhaustive()
    }
}

impl Socket {
    /// Gets what is published to a topic from here on, until it [leaves](Self::unsubscribe) it or the
    /// connection ends. A topic is a name of at most
    /// [`Limits::topic_bytes_max`](crate::Limits::topic_bytes_max), and is there while somebody has
    /// subscribed to it.
    ///
    /// A name that ends in `.*` stands for every topic that begins with what is before the `*`:
    /// `room.*` for `room.5` and `room.5.typing`, not for `room` or `rooms`; `*` alone for all. Any
    /// other `*` is a character like others. Who has subscribed in several ways gets a message once.
    /// Check a name that is made of what somebody has sent: `format!("room.{input}")` of `*` hears all rooms.
    ///
    /// ```
    /// use springtide::{Message, Server, Socket, WebSocket};
    ///
    /// struct Chat;
    ///
    /// impl WebSocket for Chat {
    ///     fn opened(&self, socket: Socket) {
    ///         socket.subscribe("lobby");
    ///     }
    ///
    ///     fn message(&self, socket: Socket, message: Message) {
    ///         socket.publish("lobby", message);
    ///     }
    /// }
    /// let server = Server::new().websocket("/chat", Chat);
    /// ```
    pub fn subscribe(self, topic: impl AsRef<str>) -> Subscribed {
        subscribe(self.peer(), topic.as_ref())
    }

    /// Gets nothing more of a topic, also of what was published in this turn; whether it had subscribed
    /// to it by this name.
    pub fn unsubscribe(self, topic: impl AsRef<str>) -> bool {
        unsubscribe(self.peer(), topic.as_ref())
    }

    /// Sends a message to everybody who has subscribed to a topic, also to this connection if it has;
    /// [`publish_to_others`](Self::publish_to_others) leaves that out. It need not have subscribed.
    ///
    /// The message is encoded once, and shared by all who get it. On this shard it leaves with everything
    /// else of this turn, in order; to each other shard goes what was published in the turn at its end.
    /// What one connection publishes to a topic comes to everybody in that order.
    ///
    /// Where a peer is behind, its [`Overflow`](crate::Overflow) decides. Where the queue to another shard
    /// is full ([`Limits::topic_queue_messages_max`](crate::Limits::topic_queue_messages_max) and
    /// `topic_queue_bytes_max`), nobody there gets it: gives how many deliveries were refused so, which are
    /// counted as dropped. A connection there is counted once for each of its subscriptions that match,
    /// though it would have got one message. A name with a wildcard at its end, or longer than
    /// [`Limits::topic_bytes_max`](crate::Limits::topic_bytes_max), is nobody's.
    pub fn publish(self, topic: impl AsRef<str>, message: impl Into<Message>) -> usize {
        publish(topic.as_ref(), message, None)
    }

    /// The same to everybody but this connection.
    pub fn publish_to_others(self, topic: impl AsRef<str>, message: impl Into<Message>) -> usize {
        publish(topic.as_ref(), message, Some(self.id()))
    }
}

impl Peer {
    /// As [`Socket::subscribe`](crate::Socket::subscribe): the connection is sent the bytes of each message,
    /// as if they were pushed. While more than
    /// [`Limits::outbox_bytes_max`](crate::Limits::outbox_bytes_max) wait to be sent, further messages are
    /// dropped, and counted.
    ///
    /// ```
    /// use springtide::{Peer, Server};
    ///
    /// // Whoever connects reads what the others write.
    /// fn intro(peer: Peer) {
    ///     peer.subscribe("talk");
    ///     read(peer);
    /// }
    ///
    /// fn read(peer: Peer) {
    ///     peer.pull().then(|peer, bytes| {
    ///         peer.publish_to_others("talk", bytes);
    ///         read(peer);
    ///     });
    /// }
    /// let server = Server::new().raw(intro);
    /// ```
    pub fn subscribe(self, topic: impl AsRef<str>) -> Subscribed {
        subscribe(self, topic.as_ref())
    }

    /// As [`Socket::unsubscribe`](crate::Socket::unsubscribe).
    pub fn unsubscribe(self, topic: impl AsRef<str>) -> bool {
        unsubscribe(self, topic.as_ref())
    }

    /// As [`Socket::publish`](crate::Socket::publish).
    pub fn publish(self, topic: impl AsRef<str>, message: impl Into<Message>) -> usize {
        publish(topic.as_ref(), message, None)
    }

    /// The same to everybody but this connection.
    pub fn publish_to_others(self, topic: impl AsRef<str>, message: impl Into<Message>) -> usize {
        publish(topic.as_ref(), message, Some(self.id()))
    }
}

fn subscribe(peer: Peer, topic: &str) -> Subscribed {
    current::shard().map_or(Subscribed::Refused(Reason::Stale), |shared| {
        shared.topics.subscribe(peer, topic, &shared.tasks)
    })
}

fn unsubscribe(peer: Peer, topic: &str) -> bool {
    current::shard().is_some_and(|shared| shared.topics.unsubscribe(peer, topic))
}

fn publish(topic: &str, message: impl Into<Message>, except: Option<PeerId>) -> usize {
    current::shard()
        .map_or(0, |shared| shared.topics.publish(topic, || message.into(), except, &shared.tasks))
}

const _: () = {
    const fn goes_anywhere<T: Send + Sync>() {}
    goes_anywhere::<Topics>();
};
