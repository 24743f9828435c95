//! How connections of WebSockets may have ended, and whether all that was said is accounted for.
//! It looks at what is over, and changes nothing.

use springtide::{CloseReason, ClosedBy, Overflow, Reason};

use super::Play;
use super::due::Due;
use super::guest::Guest;
use super::marks::Mark;
use super::script::{End, NAMES, Way};
use super::told::{Log, Own};
use crate::pace::Outcome;

/// How long a silent peer may live: until it is asked, and from then on.
const DEAD_MS: u64 = 25_000 + 8_000;
/// How long a peer may take to answer a close.
const CLOSE_MS: u64 = 5_000;

impl Play {
    /// Nothing is on its way, and everybody reads: what must have come has.
    pub(super) fn check_lull(&self) -> Outcome {
        let log = self.told.log();
        for (number, guest) in &self.guests {
            let own = &log.own[number];
            let is_open = own.closing.is_none() && own.closed.is_none() && guest.is_quiet();
            if !is_open || guest.is_over || self.scene.is_stopping() || !guest.client.is_open() {
                continue;
            }
            let can_miss = own.overflow == Overflow::Close && self.may_overflow(guest);
            if guest.is_clogged || can_miss && guest.heard.has_gap {
                continue;
            }
            guest.heard.check_lull(*number, &log)?;
            // A future may take its time, and holds its peer up so.
            if own.way == Way::Called && guest.pings_unanswered() > 0 {
                return Err(format!("peer {number} gets no pong"));
            }
            if own.way == Way::Called && own.heard < log.says(*number) {
                return Err(format!("peer {number} is not heard"));
            }
        }
        for (name, text) in NAMES.iter().enumerate() {
            let has_it = |own: &&Own| {
                own.subscriptions.iter().any(|own| own.name == name && own.to.is_none())
            };
            let is_there = |own: &&Own| own.closed.is_none() && has_it(own);
            // Its connection may be there for a while when its future is gone.
            let may_be = |own: &&Own| matches!(own.closed, Some((_, None))) && has_it(own);
            let there = log.own.values().filter(is_there).count();
            let may = log.own.values().filter(may_be).count();
            let counted = self.topics.topic(text).subscribers;
            if counted < there || counted > there + may {
                return Err(format!("{counted} have subscribed to {text}, not {there}"));
            }
        }
        Ok(())
    }

    /// Whether more may have been said at once to a peer than its queue holds.
    fn may_overflow(&self, guest: &Guest) -> bool {
        self.is_flood || guest.was_clogged
    }

    /// How everybody has ended, and what became of what was said.
    pub(super) fn judge_all(&self) -> Outcome {
        let mut log = self.told.log();
        log.check()?;
        for (number, guest) in &self.guests {
            self.judge(*number, guest, &log).map_err(|what| format!("peer {number} {what}"))?;
        }
        self.check_sums(&log)?;
        for (number, guest) in &self.guests {
            let own = &log.own[number];
            let (end, gap) = (end_of(own, guest), gap_of(own, guest));
            end.into_iter().for_each(|mark| log.mark(mark));
            if let Some((mark, count)) = gap {
                (0..count).for_each(|_| log.mark(mark));
            }
        }
        for at in 0..log.publications.len() {
            self.mark_published(at, &mut log);
        }
        Ok(())
    }

    fn judge(&self, number: u32, guest: &Guest, log: &Log) -> Outcome {
        let own = &log.own[&number];
        let Some((at, reason)) = &own.closed else {
            let is_strange = own.id.is_some() || (self.is_calm && guest.client.is_open());
            return if is_strange { Err("is not told of its end".to_owned()) } else { Ok(()) };
        };
        // A future that has ended is told no more.
        let Some(reason) = reason else { return Ok(()) };
        let (sent, dropped) = (reason.sent(), reason.dropped());
        let heard = guest.heard.messages;
        let is_all = guest.closed.is_some();
        if heard > sent || (is_all && heard < sent) {
            return Err(format!("has heard {heard} messages of {sent} ({reason})"));
        }
        let (must, may) = own.counted(log, number);
        if sent + dropped < must || sent + dropped > must + may {
            return Err(format!(
                "was sent {sent} and not {dropped}, of {must} and {may} at most ({reason})"
            ));
        }
        if is_all && own.overflow == Overflow::Close && guest.heard.has_gap {
            return Err("has missed something, and was told more".to_owned());
        }
        if let Some(code) = guest.closed.as_ref().map(springtide::CloseFrame::code) {
            let is_echo = reason.by() == ClosedBy::Peer || code == reason.code();
            if !is_echo {
                return Err(format!("was closed with {code}, and its handler told {reason}"));
            }
        }
        if !self.is_calm {
            return Ok(());
        }
        if !self.is_likely(guest, own, reason) {
            return Err(format!("has ended otherwise: {reason}"));
        }
        self.check_time(guest, own, reason, at.ms)
    }

    /// Whether it may have ended so, where nothing but the two sides ended it.
    fn is_likely(&self, guest: &Guest, own: &Own, reason: &CloseReason) -> bool {
        let (by, code) = (reason.by(), reason.code());
        let is_stopped = self.scene.is_stopping() && by == ClosedBy::Here && code == 1001;
        let is_full = own.overflow == Overflow::Close
            && self.may_overflow(guest)
            && by == ClosedBy::Here
            && code == 1013;
        if is_stopped || is_full {
            return true;
        }
        let here = |wanted: u16| by == ClosedBy::Here && code == wanted;
        let peer = |wanted: u16| by == ClosedBy::Peer && code == wanted;
        let lost = |wanted: Reason| by == ClosedBy::Lost(wanted);
        match guest.plan.script.end {
            End::Close { code, .. } => peer(code),
            End::Asks(code) | End::Unanswered(code) => here(code),
            End::Both(one, other) => here(one) || peer(other),
            End::Silent(_) => peer(1000),
            End::Dead => lost(Reason::TimedOut("socket_dead")),
            End::Deaf => {
                lost(Reason::TimedOut("socket_dead")) || lost(Reason::TimedOut("send_timeout"))
            }
            End::HalfClose => lost(Reason::PeerClosed),
            End::Reset(_) => lost(Reason::Reset) || lost(Reason::PeerClosed),
            End::ResetInClose { is_own: true } => peer(1000) || lost(Reason::Reset),
            End::ResetInClose { is_own: false } => here(1000),
            End::Malformed(wrong) => here(wrong.code()),
            End::Fails => here(1011),
            End::Returns => here(1000),
        }
    }

    /// A deadline comes when it is due, and not before.
    fn check_time(&self, guest: &Guest, own: &Own, reason: &CloseReason, ended_ms: u64) -> Outcome {
        if guest.was_clogged || self.is_flood || self.scene.is_stopping() {
            return Ok(());
        }
        let due_ms = match guest.plan.script.end {
            End::Dead if own.way == Way::Called => guest.last_ms + DEAD_MS,
            End::Unanswered(_) => match own.closing {
                Some(at) if reason.by() == ClosedBy::Here => at.ms + CLOSE_MS,
                _ => return Ok(()),
            },
            _ => return Ok(()),
        };
        match ended_ms == due_ms {
            true => Ok(()),
            false => Err(format!("has ended after {ended_ms} ms, not {due_ms}")),
        }
    }

    /// What was published is what was delivered, dropped and refused; what was said was sent or dropped.
    fn check_sums(&self, log: &Log) -> Outcome {
        let counts = self.scene.world.counts();
        let (mut must, mut may) = (0, 0);
        for (number, own) in &log.own {
            for publication in &log.publications {
                match own.due(publication, *number) {
                    Due::Not => {}
                    Due::May => may += 1,
                    Due::Must => must += 1,
                }
            }
        }
        let all = counts.deliveries_total + counts.deliveries_dropped;
        let is_right = all >= must && all <= must + may + log.refused;
        if !is_right {
            return Err(format!(
                "{} were delivered, {} dropped, {} of them refused, of {must} and {may} at most",
                counts.deliveries_total, counts.deliveries_dropped, log.refused
            ));
        }
        let reasons = || log.own.values().filter_map(|own| own.closed.as_ref()?.1.as_ref());
        let sent: u64 = reasons().map(CloseReason::sent).sum();
        let dropped: u64 = reasons().map(CloseReason::dropped).sum();
        let is_whole = log.own.values().all(|own| own.id.is_none() || own.way == Way::Called);
        let is_more = sent > counts.messages_sent || dropped > counts.messages_dropped;
        if is_more || (is_whole && sent != counts.messages_sent) {
            return Err(format!(
                "{} messages were sent and {} dropped, but by connection {sent} and {dropped}",
                counts.messages_sent, counts.messages_dropped
            ));
        }
        Ok(())
    }

    fn mark_published(&self, at: usize, log: &mut Log) {
        let publication = &log.publications[at];
        let (mut here, mut elsewhere) = (false, false);
        for (number, own) in &log.own {
            if own.due(publication, *number) == Due::Must {
                let is_here = own.shard == publication.shard;
                (here, elsewhere) = (here || is_here, elsewhere || !is_here);
            }
        }
        if here {
            log.mark(Mark::Delivered);
        }
        if elsewhere {
            log.mark(Mark::FromElsewhere);
        }
    }
}

/// How a connection has ended.
fn end_of(own: &Own, guest: &Guest) -> Option<Mark> {
    let (_, Some(reason)) = own.closed.as_ref()? else { return None };
    let end = guest.plan.script.end;
    Some(match (reason.by(), reason.code()) {
        (ClosedBy::Lost(Reason::TimedOut(_)), _) if end == End::Deaf => Mark::Deaf,
        (ClosedBy::Lost(Reason::TimedOut("socket_dead")), _) => Mark::Dead,
        (ClosedBy::Here, 1013) => Mark::TryAgain,
        (ClosedBy::Here, 1011) => Mark::Failed,
        (ClosedBy::Here, 1001) if end != End::Asks(1001) => Mark::Stopped,
        (ClosedBy::Here, _) if matches!(end, End::Unanswered(_)) => Mark::Unanswered,
        (ClosedBy::Here | ClosedBy::Peer, _) if matches!(end, End::Both(..)) => Mark::ClosedByBoth,
        (ClosedBy::Here, _) => Mark::ClosedHere,
        (ClosedBy::Peer, _) => Mark::PeerClosed,
        _ => return None,
    })
}

/// How many messages were dropped for a peer that got others behind them.
fn gap_of(own: &Own, guest: &Guest) -> Option<(Mark, u64)> {
    let (_, Some(reason)) = own.closed.as_ref()? else { return None };
    let mark = match own.overflow {
        Overflow::Close => return None,
        Overflow::DropNewest => Mark::DroppedNewest,
        Overflow::DropOldest => Mark::DroppedOldest,
        _ => Mark::KeptLatest,
    };
    guest.heard.has_gap.then_some((mark, reason.dropped()))
}
