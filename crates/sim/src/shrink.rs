//! Makes a history that fails small, of whichever kind: fewer peers, requests, faults and events.
//! It only ever leaves out; what is left is played as it was.

use std::ops::Range;

use springtide::test::Fault;

use crate::failure::Failure;
use crate::history::{Event, History, Settings};
use crate::play::play;

/// How often a history is played to make it smaller.
const PLAYS_MAX: usize = 2_000;

/// A history of which something can be left out.
pub(crate) trait Shrinks: Clone {
    /// What happens in it.
    type Event;

    /// The server and its world, and what happens.
    fn parts(&mut self) -> (&mut Settings, &mut Vec<Self::Event>);

    /// How many peers there were; those that are left out count.
    fn peers(&self) -> usize;

    /// Leaves peers out; false where none of them was there any more.
    fn leave_out(&mut self, peers: Range<usize>) -> bool;

    /// How many requests of a peer can be left out.
    fn requests_of(&self, peer: usize) -> usize;

    /// The same without one of them.
    fn without(&self, peer: usize, request: usize) -> Option<Self>;

    /// How much there is, by which a smaller history is known.
    fn weight(&self) -> usize;

    fn play(&self) -> Result<(), Failure>;
}

impl Shrinks for History {
    type Event = Event;

    fn parts(&mut self) -> (&mut Settings, &mut Vec<Event>) {
        (&mut self.settings, &mut self.events)
    }

    fn peers(&self) -> usize {
        self.scripts.len()
    }

    fn leave_out(&mut self, peers: Range<usize>) -> bool {
        let part = &mut self.scripts[peers];
        let had = part.iter().flatten().count();
        part.fill(None);
        had > 0
    }

    /// The last one may belong to how the peer ends.
    fn requests_of(&self, peer: usize) -> usize {
        let script = self.scripts[peer].as_ref();
        script.map_or(0, |script| script.asks.len().saturating_sub(1))
    }

    fn without(&self, peer: usize, request: usize) -> Option<Self> {
        let (mut history, rules) = (self.clone(), self.settings.rules());
        let script = history.scripts[peer].as_mut()?;
        let mut asks = script.asks.clone();
        asks.remove(request);
        *script = script.with_asks(&asks, &rules);
        Some(history)
    }

    fn weight(&self) -> usize {
        self.weight()
    }

    fn play(&self) -> Result<(), Failure> {
        play(self).map(drop)
    }
}

/// The smallest history found that still fails, with its failure.
#[must_use]
pub fn shrink(history: &History, failure: Failure) -> (History, Failure) {
    make_small(History { is_whole: false, ..history.clone() }, failure)
}

/// The same of any kind.
pub(crate) fn make_small<H: Shrinks>(history: H, failure: Failure) -> (H, Failure) {
    let mut shrinking = Shrinking { best: history, failure, plays: 0 };
    loop {
        let before = shrinking.best.weight();
        shrinking.leave_faults_out();
        shrinking.leave_peers_out();
        shrinking.leave_events_out();
        shrinking.leave_requests_out();
        if shrinking.best.weight() == before || shrinking.plays >= PLAYS_MAX {
            return (shrinking.best, shrinking.failure);
        }
    }
}

struct Shrinking<H> {
    best: H,
    failure: Failure,
    plays: usize,
}

impl<H: Shrinks> Shrinking<H> {
    /// Takes a smaller history when it fails too.
    fn try_one(&mut self, candidate: H) -> bool {
        if self.plays >= PLAYS_MAX {
            return false;
        }
        self.plays += 1;
        let Err(failure) = candidate.play() else { return false };
        if failure.kind() != self.failure.kind() {
            return false;
        }
        (self.best, self.failure) = (candidate, failure);
        true
    }

    fn leave_faults_out(&mut self) {
        for fault in Fault::ALL {
            self.try_settings(|own| std::mem::take(&mut own.faults[fault as usize]) > 0.0);
        }
        self.try_settings(|own| std::mem::take(&mut own.moves_per_mille) > 0);
        self.try_settings(|own| own.descriptors_max.take().is_some());
    }

    /// Tries other settings, where they are others.
    fn try_settings(&mut self, change: impl FnOnce(&mut Settings) -> bool) {
        let mut candidate = self.best.clone();
        if change(candidate.parts().0) {
            self.try_one(candidate);
        }
    }

    /// Half of them at a time, then a quarter, and so on.
    fn leave_peers_out(&mut self) {
        let all = self.best.peers();
        let mut step = all.div_ceil(2);
        loop {
            for first in (0..all).step_by(step) {
                let mut candidate = self.best.clone();
                if candidate.leave_out(first..(first + step).min(all)) {
                    self.try_one(candidate);
                }
            }
            if step == 1 {
                return;
            }
            step = step.div_ceil(2);
        }
    }

    fn leave_events_out(&mut self) {
        let mut step = self.best.parts().1.len().div_ceil(2).max(1);
        loop {
            let mut first = 0;
            while first < self.best.parts().1.len() {
                let mut candidate = self.best.clone();
                let (_, events) = candidate.parts();
                events.drain(first..(first + step).min(events.len()));
                if !self.try_one(candidate) {
                    first += step;
                }
            }
            if step == 1 {
                return;
            }
            step = step.div_ceil(2);
        }
    }

    fn leave_requests_out(&mut self) {
        for peer in 0..self.best.peers() {
            for request in (0..self.best.requests_of(peer)).rev() {
                if let Some(candidate) = self.best.without(peer, request) {
                    self.try_one(candidate);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The failure is planted in the history: the server's limit is not the one that peers go by.
    #[test]
    fn a_failure_is_made_small() {
        let planted = (0..100).map(|seed| {
            let mut history = History::new(seed);
            history.settings.limits.http1.request_line_bytes_max = 20;
            history
        });
        let failing = planted.into_iter().find_map(|history| {
            let failure = play(&history).err()?;
            Some((history, failure))
        });
        let (history, failure) = failing.expect("a limit that is another is noticed");
        let (small, failure) = shrink(&history, failure);
        assert_eq!(play(&small).unwrap_err(), failure, "it fails the same again");
        assert_eq!(small.scripts.iter().flatten().count(), 1, "{small}");
        assert!(small.to_string().lines().count() < 15, "{small}");
    }
}
