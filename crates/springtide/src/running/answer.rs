//! Whether every shard still makes turns, for whoever watches over the server.
//! An idle shard sleeps, so it is asked: counts of turns would call it stuck.

use std::sync::mpsc;
use std::time::Duration;

use super::Running;
use crate::mailbox::Message;

impl Running {
    /// Whether every shard that has not ended makes turns: each is asked, and has `within` to
    /// answer. One whose handler does not return cannot. From any thread but those of its own
    /// shards, which would wait for themselves.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// # fn main() -> Result<(), springtide::Error> {
    /// let running = springtide::Server::new().workers(1).listen("127.0.0.1:0")?.start()?;
    /// assert!(running.answers(Duration::from_secs(30)));
    /// # running.stop(Duration::ZERO);
    /// # running.join()
    /// # }
    /// ```
    #[must_use]
    pub fn answers(&self, within: Duration) -> bool {
        let shards = self.shards.iter().map(|shard| &shard.neighbour);
        let alive = shards.filter(|shard| !shard.counts.has_ended());
        let asked = alive.map(|shard| {
            let (sender, receiver) = mpsc::channel();
            shard.mailbox.send(Message::Answer(sender));
            (shard, receiver)
        });
        // All are asked before the first is waited for.
        let asked: Vec<_> = asked.collect();
        let mut answers = asked.iter().map(|(shard, receiver)| {
            // One that ended meanwhile owes nothing.
            receiver.recv_timeout(within).is_ok() || shard.counts.has_ended()
        });
        answers.all(|is_there| is_there)
    }
}
