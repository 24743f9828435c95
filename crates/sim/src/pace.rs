//! How turns and time go on in a world, whoever plays a history in it.
//! It decides nothing but the order of shards, by the world's chance.

use std::time::Duration;

use crate::scene::Scene;

/// Why a history fails, as a clause.
pub(crate) type Outcome<T = ()> = Result<T, String>;

/// Rounds of turns at one moment after which the server is taken to spin.
const ROUNDS_MAX: u64 = 20_000;

/// Who plays a history.
pub(crate) trait Pace {
    fn scene(&mut self) -> &mut Scene;

    /// A turn of one shard, and what must hold behind it.
    fn turn(&mut self, number: usize) -> Outcome;

    /// A turn of each shard, in an order by chance.
    fn round(&mut self) -> Outcome {
        let shards = self.scene().settings.shards;
        if shards == 1 {
            return self.turn(0);
        }
        // Any first one and either direction: of up to three, every order.
        let first = self.scene().any_shard();
        let step = if self.scene().world.below(2) == 0 { 1 } else { shards - 1 };
        (0..shards).try_for_each(|offset| self.turn((first + offset * step) % shards))
    }

    /// Turns until nobody has anything to do at this moment.
    fn settle(&mut self) -> Outcome {
        for _ in 0..ROUNDS_MAX {
            self.round()?;
            if self.scene().world.simulated().is_quiet() {
                return Ok(());
            }
        }
        Err("the server has something to do for ever".to_owned())
    }

    /// Lets time pass, from deadline to deadline.
    fn pass(&mut self, duration: Duration) -> Outcome {
        self.settle()?;
        let end = self.scene().world.simulated().now() + duration;
        while self.scene().world.simulated().now() < end {
            let world = self.scene().world.simulated();
            let next = world.next_moment().unwrap_or(end).min(end);
            world.advance(next.since(world.now()));
            self.settle()?;
        }
        Ok(())
    }
}
