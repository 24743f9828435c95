//! What was published to a topic that a raw connection has subscribed to: a push that nobody waits for.
//! Beyond the limit of what waits to be sent it is dropped, and counted.

use super::{Peered, Pushing};
use crate::peer::Pushed;
use crate::room::Room;
use crate::task::Waiter;
use crate::topic::Delivery;

/// No task has this number.
const NO_TASK: u64 = 0;

impl Peered {
    /// Bytes are to be sent, unless too much waits.
    pub(crate) fn deliver(&mut self, delivery: &Delivery, room: &mut Room) {
        if self.push_refusal(room).is_some() {
            return delivery.count_dropped(&mut room.counts);
        }
        delivery.count_delivered(&mut room.counts);
        let pieces = Pushed::One(delivery.published.payload().clone());
        self.wait(Pushing::new(NO_TASK, Waiter::Nobody, pieces), room);
    }
}
