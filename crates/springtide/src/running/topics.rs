//! Topics of a running server, from any thread.
//! It waits for nobody.

use super::Running;
use crate::peer::PeerId;
use crate::topic::{TopicCounts, Topics};
use crate::websocket::Message;

impl Running {
    /// The topics of the server.
    #[must_use]
    pub fn topics(&self) -> Topics {
        self.topics.clone()
    }

    /// Sends a message to everybody who has subscribed to a topic, on every shard, from any thread; see
    /// [`Topics::publish`]. How many deliveries were refused, one for each subscription that matches.
    ///
    /// ```
    /// # fn main() -> Result<(), springtide::Error> {
    /// let running = springtide::Server::new().listen("127.0.0.1:0")?.start()?;
    /// running.publish("lobby", "high tide at noon");
    /// assert_eq!(running.topic("lobby").delivered, 0, "nobody has subscribed to it");
    /// # running.stop(std::time::Duration::ZERO);
    /// # running.join()
    /// # }
    /// ```
    pub fn publish(&self, topic: impl AsRef<str>, message: impl Into<Message>) -> usize {
        self.topics.publish(topic, message)
    }

    /// Sends a message to connections by their names, on every shard, from any thread; see
    /// [`Topics::broadcast`]. How many were refused.
    pub fn broadcast(
        &self,
        ids: impl IntoIterator<Item = PeerId>,
        message: impl Into<Message>,
    ) -> usize {
        self.topics.broadcast(ids, message)
    }

    /// How a topic stands; see [`Topics::topic`].
    #[must_use]
    pub fn topic(&self, name: impl AsRef<str>) -> TopicCounts {
        self.topics.topic(name)
    }
}
