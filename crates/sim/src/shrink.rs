//! Makes a history that fails small: fewer peers, requests, faults and events.
//! It only ever leaves out; what is left is played as it was.

use springtide::test::Fault;

use crate::history::History;
use crate::play::{Failure, play};

/// How often a history is played to make it smaller.
const PLAYS_MAX: usize = 2_000;

/// The smallest history found that still fails, with its failure.
#[must_use]
pub fn shrink(history: &History, failure: Failure) -> (History, Failure) {
    let mut shrinking =
        Shrinking { best: History { is_whole: false, ..history.clone() }, failure, plays: 0 };
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

struct Shrinking {
    best: History,
    failure: Failure,
    plays: usize,
}

impl Shrinking {
    /// Takes a smaller history when it fails too.
    fn try_one(&mut self, candidate: History) -> bool {
        if self.plays >= PLAYS_MAX {
            return false;
        }
        self.plays += 1;
        let Err(failure) = play(&candidate) else { return false };
        if failure.kind() != self.failure.kind() {
            return false;
        }
        (self.best, self.failure) = (candidate, failure);
        true
    }

    fn leave_faults_out(&mut self) {
        for fault in Fault::ALL {
            if self.best.settings.probability(fault) > 0.0 {
                let mut candidate = self.best.clone();
                candidate.settings.faults[fault as usize] = 0.0;
                self.try_one(candidate);
            }
        }
        let mut candidate = self.best.clone();
        candidate.settings.moves_per_mille = 0;
        if self.best.settings.moves_per_mille > 0 {
            self.try_one(candidate);
        }
        let mut candidate = self.best.clone();
        candidate.settings.descriptors_max = None;
        if self.best.settings.descriptors_max.is_some() {
            self.try_one(candidate);
        }
    }

    /// Half of them at a time, then a quarter, and so on.
    fn leave_peers_out(&mut self) {
        let all = self.best.scripts.len();
        let mut step = all.div_ceil(2);
        loop {
            for first in (0..all).step_by(step) {
                let mut candidate = self.best.clone();
                let part = &mut candidate.scripts[first..(first + step).min(all)];
                let had = part.iter().flatten().count();
                part.fill(None);
                if had > 0 {
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
        let mut step = self.best.events.len().div_ceil(2).max(1);
        loop {
            let mut first = 0;
            while first < self.best.events.len() {
                let mut candidate = self.best.clone();
                let end = (first + step).min(candidate.events.len());
                candidate.events.drain(first..end);
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
        let rules = self.best.settings.rules();
        for peer in 0..self.best.scripts.len() {
            let asks = self.best.scripts[peer].as_ref().map_or(0, |script| script.asks.len());
            // The last one may belong to how the peer ends.
            for number in (0..asks.saturating_sub(1)).rev() {
                let mut candidate = self.best.clone();
                let Some(script) = &mut candidate.scripts[peer] else { continue };
                let mut asks = script.asks.clone();
                if asks.len() > number + 1 {
                    asks.remove(number);
                    *script = script.with_asks(&asks, &rules);
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
