//! Publishing from threads that turn no shard of the server: straight to the queue of each shard.
//! It waits for nobody.

use super::published::{Publication, Published, Whom};
use super::queue::{Batch, Target};
use super::registry::Registry;
use crate::peer::PeerId;
use crate::websocket::Message;

impl Registry {
    /// To every shard with a subscriber; how many deliveries were refused.
    pub(super) fn publish(&self, name: &str, message: impl FnOnce() -> Message) -> usize {
        let (topics, Some(limits)) = (self.find(name), self.limits()) else { return 0 };
        let Some(first) = topics.first() else { return 0 };
        let whom = Whom::Topic(first.name_of(name));
        let publication = Publication { published: Published::new(message()), whom };
        let mut refused = 0;
        for (shard, cell) in first.cells.iter().enumerate() {
            if topics.iter().all(|topic| topic.subscribers(shard) == 0) {
                continue;
            }
            if cell.target.reserve(publication.cost(), limits) {
                send(&cell.target, publication.clone());
            } else {
                let count = topics.iter().map(|topic| topic.refuse(shard)).sum();
                cell.target.refuse(count);
                refused += count;
            }
        }
        refused
    }

    /// To every shard that goes on; how many connections are refused.
    pub(super) fn broadcast(&self, publication: &Publication, ids: &[PeerId]) -> usize {
        let Some(limits) = self.limits() else { return 0 };
        let mut refused = 0;
        for (shard, target) in self.targets().iter().enumerate() {
            if target.has_ended() {
                continue;
            }
            if target.reserve(publication.cost(), limits) {
                send(target, publication.clone());
            } else {
                let count = self.count_on(ids, shard);
                target.refuse(count);
                refused += count;
            }
        }
        refused
    }
}

fn send(target: &Target, publication: Publication) {
    let mut batch = Batch::to(target);
    batch.push(publication);
    target.hand_over(&mut batch);
}
