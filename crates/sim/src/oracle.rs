//! The oracles: what must hold after every turn, and what when a history is over.
//! They change nothing in the world but its time.

use springtide_proto::http1::Reading;

use crate::history::{EVENTS_MAX, EVENTS_MIN};
use crate::pace::Outcome;
use crate::peer::Actor;
use crate::play::Play;
use crate::site::Call;
use crate::theme::Theme;

/// The most exchanges of a connection in a turn (law 9).
const EXCHANGES_PER_TURN_MAX: u32 = 32;
/// The most that may come on top of a limit on received bytes before a pause takes effect, and on
/// top of a limit on bytes to send and one reply: a turn's chunks twice; files that come together.
const INBOX_OVER_MAX: usize = 65 * 4096;
const OUTBOX_OVER_MAX: usize = 100_000;

impl Play<'_> {
    /// Each request is handled once, in the order of its connection unless a future does it, and no
    /// connection has more than its share of a turn.
    pub(crate) fn check_calls(&mut self) -> Outcome {
        self.calls.take(&mut self.called);
        self.check_rate()?;
        for Call { id, is_future } in self.called.drain(..) {
            if is_future {
                if !self.futures.insert(id) {
                    return Err(format!("a request was handled twice: {id}"));
                }
                continue;
            }
            let (peer, number) = ((id >> 16) as usize, id & 0xFFFF);
            let Some((last, in_turn)) = self.handled.get_mut(peer) else {
                return Err(format!("a request was handled that nobody made: {id}"));
            };
            if last.is_some_and(|last| last >= number) {
                return Err(format!("request {number} of peer {peer} was handled after {last:?}"));
            }
            *last = Some(number);
            *in_turn += 1;
            if *in_turn > EXCHANGES_PER_TURN_MAX {
                return Err(format!("peer {peer} had {in_turn} requests handled in a turn"));
            }
        }
        self.handled.iter_mut().for_each(|(_, in_turn)| *in_turn = 0);
        Ok(())
    }

    /// One address has no more requests handled than it may: all peers have one.
    fn check_rate(&mut self) -> Outcome {
        let limits = &self.scene.settings.limits;
        if limits.requests_per_address_rate == u32::MAX {
            return Ok(());
        }
        self.calls_total += self.called.len() as u128;
        let more =
            self.scene.world.now().as_millis() * u128::from(limits.requests_per_address_rate);
        let most = u128::from(limits.requests_per_address_burst) + more.div_ceil(1000);
        match self.calls_total > most {
            true => Err(format!("{} requests of one address, not {most}", self.calls_total)),
            false => Ok(()),
        }
    }

    /// No connection holds more than it may, and no more are open than may be.
    pub(crate) fn check_limits(&mut self, number: usize) -> Outcome {
        let (shards, limits) = (self.scene.settings.shards, &self.scene.settings.limits);
        let (mut inbox, mut outbox, mut exchanges) = (0, 0, 0);
        self.scene.world.look(number, |view| {
            self.coverage.see(&view);
            if shards > 1 && self.homes.insert(view.id, number).is_some_and(|home| home != number) {
                self.coverage.see_moved();
            }
            inbox = view.inbox_bytes.max(inbox);
            outbox = view.outbox_bytes.max(outbox);
            // A refusal is a reply too, and comes when nothing more is read.
            let own =
                view.exchanges - u32::from(view.reading == Reading::Closed).min(view.exchanges);
            exchanges = exchanges.max(own);
        });
        if exchanges > limits.http1.exchanges_max {
            return Err(format!("{exchanges} requests of one connection wait for their reply"));
        }
        if inbox > limits.inbox_bytes_max + INBOX_OVER_MAX {
            return Err(format!("{inbox} bytes wait to be handled on one connection"));
        }
        if outbox > limits.outbox_bytes_max + self.longest + OUTBOX_OVER_MAX {
            return Err(format!("{outbox} bytes wait to be sent on one connection"));
        }
        if self.allowed.may_refuse {
            let open = self.scene.world.counts().connections_open;
            if open > limits.connections_max as u64 {
                return Err(format!("{open} connections are open"));
            }
        }
        Ok(())
    }

    /// Where nothing keeps the server from it, it has done everything before time moves on.
    pub(crate) fn check_prompt(&self) -> Outcome {
        match self.present().find(|(_, actor)| actor.waits_for_server()) {
            Some((peer, _)) if self.allowed.is_calm => {
                Err(format!("peer {peer} waits, and nothing keeps the server from going on"))
            }
            _ => Ok(()),
        }
    }

    /// A history that was not made smaller has as many events as it is to have.
    pub(crate) fn check_events(&self) -> Outcome {
        let events = usize::try_from(self.coverage.events).unwrap_or(usize::MAX);
        if self.history.is_whole && !(EVENTS_MIN..=EVENTS_MAX).contains(&events) {
            return Err(format!("the history has {events} events"));
        }
        Ok(())
    }

    /// What was given away has come back.
    pub(crate) fn check_chunks(&self) -> Outcome {
        for number in 0..self.scene.settings.shards {
            let Some((stats, _)) = self.scene.world.engine_stats(number) else { continue };
            if stats.chunks_given_away > 0 {
                return Err(format!("{} chunks never came back", stats.chunks_given_away));
            }
        }
        Ok(())
    }

    /// What was written was received, and what was sent has come.
    pub(crate) fn check_sums(&mut self) -> Outcome {
        let counts = self.scene.world.counts();
        let actors = || self.actors.iter().flatten();
        let written: usize = actors().map(|actor| actor.written).sum();
        let unread: usize = actors().map(Actor::unread_now).sum();
        let gone: usize = actors().map(|actor| actor.unread).sum();
        let received = usize::try_from(counts.bytes_received).unwrap_or(usize::MAX);
        // What the server says to itself comes and goes as well.
        let is_alone = self.scene.settings.theme != Theme::Proxy;
        let is_more = is_alone && received + unread > written + gone;
        if is_more || received + unread < written {
            let told = format!("of {written} bytes {received} were received, {unread} are left");
            return Err(told);
        }
        let read: usize = self.actors.iter_mut().flatten().map(Actor::drain).sum();
        if read as u64 > counts.bytes_sent || (is_alone && (read as u64) < counts.bytes_sent) {
            return Err(format!("{} bytes were sent, {read} came", counts.bytes_sent));
        }
        let refused = self.actors.iter().flatten().filter(|actor| actor.is_refused).count() as u64;
        self.coverage.see_refused(refused);
        if refused > counts.connections_refused {
            return Err(format!(
                "{refused} peers were refused, not {}",
                counts.connections_refused
            ));
        }
        Ok(())
    }
}
