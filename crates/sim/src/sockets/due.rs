//! Who is to get what of what was published and said, by what is known of it.
//! It looks at the log alone.

use super::script::matches;
use super::told::{BY_NAME, Log, Own, Publication, Subscription};

/// Whether somebody gets a message, unless it is dropped for him.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Due {
    Not,
    May,
    Must,
}

impl Own {
    /// Whether it gets a publication while it is there.
    pub(super) fn due(&self, publication: &Publication, number: u32) -> Due {
        if self.id.is_none() || publication.except == Some(number) {
            return Due::Not;
        }
        let due = if publication.topic == BY_NAME {
            if publication.named.contains(&number) { Due::Must } else { Due::Not }
        } else {
            let named =
                self.subscriptions.iter().filter(|own| matches(own.name, publication.topic));
            let each = named.map(|own| self.due_by(own, publication));
            each.fold(Due::Not, |one, other| match (one, other) {
                (Due::Must, _) | (_, Due::Must) => Due::Must,
                (Due::May, _) | (_, Due::May) => Due::May,
                _ => Due::Not,
            })
        };
        let is_refused = publication.is_refused && !self.is_beside(publication);
        let due = match &self.closed {
            // Its connection may be there for a while when its future is gone.
            Some((at, None)) if publication.at.epoch >= at.epoch => due.perhaps(),
            Some((at, _)) if publication.at.position > at.position => Due::Not,
            Some((at, _)) if publication.at.epoch == at.epoch => due.perhaps(),
            _ => due,
        };
        if is_refused { due.perhaps() } else { due }
    }

    /// Whether it was published on the same shard.
    fn is_beside(&self, publication: &Publication) -> bool {
        publication.shard.is_some() && publication.shard == self.shard
    }

    fn due_by(&self, own: &Subscription, publication: &Publication) -> Due {
        let at = publication.at;
        let is_before = at.position < own.from.position;
        if is_before && (self.is_beside(publication) || at.epoch < own.from.epoch) {
            return Due::Not;
        }
        match own.to {
            Some(to) if at.position > to.position => Due::Not,
            Some(to) if at.epoch == to.epoch => Due::May,
            _ if is_before => Due::May,
            _ => Due::Must,
        }
    }

    /// How many messages were for it: so many, and so many more at most.
    pub(super) fn counted(&self, log: &Log, number: u32) -> (u64, u64) {
        let (mut must, mut may) = (0, 0);
        let closed = self.closed.as_ref().map(|(at, _)| *at);
        for (said, is_outside) in [(&self.said[0], false), (&self.said[1], true)] {
            for said in said {
                let is_late = closed.is_some_and(|closed| match is_outside {
                    true => said.at.epoch >= closed.epoch,
                    false => said.at.turn >= closed.turn,
                });
                *(if is_late || said.is_streamed { &mut may } else { &mut must }) += 1;
            }
        }
        for publication in &log.publications {
            match self.due(publication, number) {
                Due::Not => {}
                Due::May => may += 1,
                Due::Must => must += 1,
            }
        }
        (must, may)
    }
}

impl Due {
    fn perhaps(self) -> Self {
        if self == Self::Must { Self::May } else { self }
    }
}
