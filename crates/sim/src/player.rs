//! The player of a history, of whichever kind: its events happen, then all that is left is done, until
//! every peer has its end, and nothing else may be left.
//! What peers say, and what must come back, it does not know.

use std::time::Duration;

use crate::history::Event;
use crate::pace::{Outcome, Pace};

/// Virtual time after which a history must have ended.
const TIME_MAX: Duration = Duration::from_secs(3600);
/// The longest that a connection lingers behind its last reply, and what faults add to it.
pub(crate) const LINGER: Duration = Duration::from_secs(5);

/// Who plays histories of a kind.
pub(crate) trait Player: Pace {
    /// What happens in them.
    type Event: Copy + PartialEq + From<Event>;

    /// One event.
    fn happen(&mut self, event: Self::Event) -> Outcome;

    /// A peer writes so many bytes at most; at first it connects. Gives how many acts that were.
    fn write(&mut self, peer: usize, count: usize) -> usize;

    /// A peer reads so many bytes at most, which are held against the model; how many acts that were.
    fn read(&mut self, peer: usize, count: usize) -> Outcome<usize>;

    /// How many peers there are, with those that were left out.
    fn peers(&self) -> usize;

    /// Those that have not come to their end.
    fn waiting(&self) -> Vec<usize>;

    /// A shard was frozen.
    fn see_frozen(&mut self);

    /// What must hold when every peer has its end.
    fn check_end(&mut self) -> Outcome;

    /// Peers did so much by themselves.
    fn see_acts(&mut self, _: usize) {}

    /// Turns until nobody has anything to do, before everybody does all that can be done.
    fn rest(&mut self) -> Outcome {
        self.settle()
    }

    /// Nobody does anything more by himself: what is done then, as acts.
    fn nudge(&mut self) -> Outcome<usize> {
        Ok(0)
    }

    /// When the first peer wakes that waits for nothing but time.
    fn wake(&self) -> Option<Duration> {
        None
    }

    /// Plays a history with these events.
    fn play(&mut self, events: &[Self::Event]) -> Outcome {
        for event in events {
            self.happen(*event)?;
            if *event != Event::Turn.into() && self.scene().world.below(2) == 0 {
                let number = self.scene().any_shard();
                self.turn(number)?;
            }
        }
        self.go_on_to_the_end()?;
        self.check_end()
    }

    /// An event that any history may have; false when it found nothing to do, or is of time alone.
    fn happen_as_ever(&mut self, event: Event) -> Outcome<bool> {
        match event {
            Event::Write(peer, count) => return Ok(self.write(peer, count) > 0),
            Event::Read(peer, count) => return Ok(self.read(peer, count)? > 0),
            Event::Pass(ms) => self.pass(Duration::from_millis(ms))?,
            Event::Retire(number) => return Ok(self.scene().retire(number)),
            Event::Freeze(number) => return Ok(self.freeze(number)),
            Event::Share { source, target, count } => {
                return Ok(self.scene().share(source, target, count));
            }
            Event::Drain => {
                self.scene().drain();
                return Ok(true);
            }
            Event::Turn => self.round()?,
            // There are files in some histories only.
            Event::Change => {}
        }
        Ok(false)
    }

    fn freeze(&mut self, number: usize) -> bool {
        let is_possible = self.scene().freeze(number);
        if is_possible {
            self.see_frozen();
        }
        is_possible
    }

    /// Everybody does all that can be done, and time moves on from deadline to deadline.
    fn go_on_to_the_end(&mut self) -> Outcome {
        loop {
            self.rest()?;
            let mut acts = 0;
            for peer in 0..self.peers() {
                acts += self.write(peer, usize::MAX / 8);
                acts += self.read(peer, usize::MAX)?;
            }
            self.see_acts(acts);
            if acts > 0 || self.nudge()? > 0 {
                continue;
            }
            let waiting = self.waiting();
            if waiting.is_empty() {
                return Ok(());
            }
            let wake = self.wake();
            let is_late = self.scene().world.now() > TIME_MAX;
            if is_late || !self.scene().jump(wake) {
                return Err(format!("these peers wait for ever: {waiting:?}"));
            }
        }
    }

    /// No connection is left, at the latest when so much time has passed.
    fn check_left(&mut self, patience: Duration) -> Outcome {
        if self.scene().world.counts().connections_open > 0 {
            self.pass(patience)?;
        }
        self.scene().left().map_or(Ok(()), Err)
    }

    /// The server stops, and nothing is left of it.
    fn end(&mut self) -> Outcome {
        self.scene().stop();
        self.pass(LINGER)?;
        let world = &self.scene().world;
        let (running, descriptors) = (world.shards_running(), world.descriptors_open());
        if running > 0 || descriptors > 0 {
            return Err(format!("{running} shards and {descriptors} descriptors are left"));
        }
        Ok(())
    }
}
