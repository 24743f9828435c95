//! The peers of WebSockets: what they do, and when. One that is clogged reads nothing; what a peer was
//! sent is judged elsewhere.

use std::collections::VecDeque;

use springtide::test::{Peer, World};
use springtide_proto::websocket::CloseFrame;

use super::client::{Client, Event, Handshake, close, write_frame};
use super::heard::Heard;
use super::marks::Mark;
use super::script::{End, Script, Step, Wrong};
use super::served::{Coding, OVERFLOWS, Route};
use super::told::{At, Told};
use crate::chance::Chance;
use crate::pace::Outcome;

/// One peer as it was drawn.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(super) number: u32,
    pub(super) route: Route,
    pub(super) handshake: Handshake,
    offers_deflate: bool,
    /// It waits for no answer to its handshake.
    is_hasty: bool,
    pub(super) script: Script,
}

/// One peer.
pub(super) struct Guest {
    pub(super) plan: Plan,
    peer: Option<Peer>,
    pub(super) client: Client,
    has_asked: bool,
    unsent: VecDeque<u8>,
    /// Pongs, and what answers a close.
    answers: Vec<u8>,
    step: usize,
    /// All it says of itself was said, its end included.
    has_ended: bool,
    written: usize,
    pub(super) heard: Heard,
    /// What it has pinged with, of which no pong has come.
    pings: VecDeque<Vec<u8>>,
    pings_heard: u32,
    pub(super) is_clogged: bool,
    pub(super) was_clogged: bool,
    /// It has closed.
    pub(super) has_closed: bool,
    /// The server has.
    pub(super) closed: Option<CloseFrame>,
    pub(super) is_over: bool,
    pub(super) last_ms: u64,
}

impl Plan {
    pub(super) fn draw(chance: &mut Chance, number: usize, is_flood: bool) -> Self {
        use super::script::Way;
        let number = u32::try_from(number).unwrap_or(0);
        let way = chance.pick(&[Way::Called, Way::Called, Way::Called, Way::Awaited, Way::InParts]);
        let coding = match chance.below(10) {
            0 | 1 => Coding::Shared,
            2 => Coding::Dedicated,
            _ => Coding::Plain,
        };
        let overflow = OVERFLOWS[chance.below(6).saturating_sub(2)];
        let route = Route { way, overflow, coding };
        let handshake = match chance.below(40) {
            0 => Handshake::Version,
            1 => Handshake::Key,
            2 => Handshake::Origin,
            _ => Handshake::Right,
        };
        let (offers_deflate, is_hasty) = (coding != Coding::Plain, chance.percent(35));
        let script = Script::draw(chance, number, way, is_flood);
        Self { number, route, handshake, offers_deflate, is_hasty, script }
    }
}

impl Guest {
    pub(super) fn new(plan: Plan) -> Self {
        let client = Client::new(plan.offers_deflate);
        let (peer, unsent, answers, heard, pings, closed) = Default::default();
        let (has_asked, has_ended, is_clogged, was_clogged) = Default::default();
        let (has_closed, is_over, step, written, pings_heard, last_ms) = Default::default();
        Self {
            plan,
            peer,
            client,
            has_asked,
            unsent,
            answers,
            step,
            has_ended,
            written,
            heard,
            pings,
            pings_heard,
            is_clogged,
            was_clogged,
            has_closed,
            closed,
            is_over,
            last_ms,
        }
    }

    pub(super) const fn is_connected(&self) -> bool {
        self.peer.is_some()
    }

    /// Everything that its script says was said, but for the end that comes last.
    const fn is_through(&self) -> bool {
        self.step == self.plan.script.steps.len()
    }

    /// Connects, or writes so much at most; how many acts that were.
    pub(super) fn write(
        &mut self,
        count: usize,
        world: &mut World,
        now_ms: u64,
        told: &Told,
    ) -> usize {
        if self.is_over {
            return 0;
        }
        if self.peer.is_none() {
            self.peer = Some(world.connect());
            self.last_ms = now_ms;
            return 1;
        }
        if let End::Reset(at) = self.plan.script.end
            && (self.written >= at || self.is_through() && self.unsent.is_empty())
        {
            told.mark(Mark::Reset);
            return self.go();
        }
        let mut left = count;
        while left > 0 && (!self.unsent.is_empty() || self.fill(told)) {
            let Some(peer) = &mut self.peer else { break };
            let (first, _) = self.unsent.as_slices();
            let wanted = first.len().min(left);
            let written = peer.write(&first[..wanted]);
            self.unsent.drain(..written);
            self.written += written;
            left -= written;
            if written > 0 {
                self.last_ms = now_ms;
            }
            if written < wanted {
                break;
            }
        }
        usize::from(left < count) + self.end_stream(told)
    }

    /// What ends a connection without a byte, behind the last one.
    fn end_stream(&mut self, told: &Told) -> usize {
        if !self.has_ended || !self.unsent.is_empty() || self.is_over {
            return 0;
        }
        match self.plan.script.end {
            End::ResetInClose { is_own: true } => {
                told.mark(Mark::ResetInClose);
                self.go()
            }
            _ => 0,
        }
    }

    /// The next bytes, a whole frame at least; false when there are none.
    fn fill(&mut self, told: &Told) -> bool {
        if !std::mem::replace(&mut self.has_asked, true) {
            let target = self.plan.route.target(self.plan.number);
            self.unsent.extend(self.client.request(&target, self.plan.handshake));
            return true;
        }
        if !self.answers.is_empty() {
            self.unsent.extend(std::mem::take(&mut self.answers));
            return true;
        }
        let may_speak =
            self.client.is_open() || (self.plan.is_hasty && self.client.status.is_none());
        if self.plan.handshake != Handshake::Right || !may_speak || self.has_ended {
            return false;
        }
        if self.closed.is_some() && self.is_through() {
            return false;
        }
        if !self.client.is_open() && self.step == 0 {
            told.mark(Mark::FirstBytes);
        }
        match self.plan.script.steps.get(self.step).cloned() {
            Some(step) => {
                self.step += 1;
                self.speak(&step, told);
                true
            }
            None => self.speak_last(told),
        }
    }

    fn speak(&mut self, step: &Step, told: &Told) {
        match step {
            Step::Say(say) => {
                let ping = say.has_ping.then(|| format!("within {}", say.id).into_bytes());
                let (bytes, is_compressed) = self.client.say(say, ping.as_deref());
                let fragments = say.cuts.len();
                let is_cut = fragments > 0;
                if let Some(ping) = ping.filter(|_| is_cut) {
                    self.pings.extend((0..fragments).map(|_| ping.clone()));
                    told.mark(Mark::PingWithin);
                }
                told.mark(if is_cut { Mark::Fragments } else { Mark::Whole });
                if is_compressed {
                    told.mark(Mark::Compressed);
                }
                self.unsent.extend(bytes);
            }
            Step::Ping(len) => {
                let payload = vec![*len; usize::from(*len)];
                let mut bytes = Vec::new();
                write_frame(0x89, &payload, &mut bytes);
                self.pings.push_back(payload);
                self.unsent.extend(bytes);
            }
            Step::Pong => {
                let mut bytes = Vec::new();
                write_frame(0x8A, b"unasked", &mut bytes);
                self.unsent.extend(bytes);
            }
        }
    }

    /// How it ends, where that is said at once.
    fn speak_last(&mut self, told: &Told) -> bool {
        let bytes = match self.plan.script.end {
            End::Close { code, is_eager: true } | End::Both(_, code) => {
                self.has_closed = true;
                close(code)
            }
            End::ResetInClose { is_own: true } => {
                self.has_closed = true;
                close(1000)
            }
            End::Malformed(wrong) => {
                told.mark(match wrong {
                    Wrong::TooLong | Wrong::Fragments | Wrong::Controls => Mark::Limit,
                    _ => Mark::Malformed,
                });
                wrong.bytes()
            }
            _ => return false,
        };
        self.has_ended = true;
        self.unsent.extend(bytes);
        true
    }

    /// Nothing more will come by itself: it closes, or does what it does then. How many acts that is.
    pub(super) fn finish(&mut self, told: &Told) -> usize {
        if self.is_over || self.has_ended || !self.is_connected() || !self.unsent.is_empty() {
            return 0;
        }
        if self.plan.handshake != Handshake::Right {
            return if self.client.status.is_some() { self.go() } else { 0 };
        }
        if !self.client.is_open() || !self.is_through() || self.closed.is_some() {
            return 0;
        }
        match self.plan.script.end {
            End::Close { code, .. } => self.close(code),
            End::HalfClose => {
                self.has_ended = true;
                told.mark(Mark::HalfClosed);
                self.peer.iter_mut().for_each(Peer::shutdown);
            }
            End::Deaf => self.has_ended = true,
            _ => return 0,
        }
        1
    }

    fn close(&mut self, code: u16) {
        (self.has_ended, self.has_closed) = (true, true);
        self.unsent.extend(close(code));
    }

    /// It goes, whatever it still had to say.
    fn go(&mut self) -> usize {
        self.is_over = true;
        self.peer.iter_mut().for_each(Peer::reset);
        1
    }

    /// It is nobody's any more: the connection is closed on this side too.
    pub(super) fn leave(&mut self) {
        self.is_over = true;
        self.peer = None;
    }

    /// From now on it reads nothing, or all again.
    pub(super) fn clog(&mut self, is_clogged: bool, at: At, told: &Told) -> usize {
        let may_be = self.plan.script.end != End::Deaf && !(self.has_ended && is_clogged);
        if !self.client.is_open() || self.is_over || self.is_clogged == is_clogged || !may_be {
            return 0;
        }
        self.is_clogged = is_clogged;
        self.was_clogged = true;
        if is_clogged {
            self.heard.clogged = Some((at, At { epoch: u64::MAX, ..at }));
        } else if let Some((_, to)) = &mut self.heard.clogged {
            *to = at;
        }
        told.mark(if is_clogged { Mark::Clogged } else { Mark::Resumed });
        1
    }

    /// Reads so much at most, and what is to be made of it.
    pub(super) fn read(
        &mut self,
        count: usize,
        told: &Told,
        queue_bytes_max: usize,
    ) -> Outcome<usize> {
        let Some(peer) = self.peer.as_mut().filter(|_| !self.is_over && !self.is_clogged) else {
            return Ok(0);
        };
        let mut bytes = Vec::new();
        if peer.read(count, &mut bytes) == 0 {
            return Ok(0);
        }
        let mut events = Vec::new();
        self.client.receive(&bytes, &mut events)?;
        for event in events {
            self.take(event, told, queue_bytes_max)?;
        }
        Ok(1)
    }

    fn take(&mut self, event: Event, told: &Told, queue_bytes_max: usize) -> Outcome {
        let number = self.plan.number;
        match event {
            Event::Answered(status) => {
                if status != self.plan.handshake.status() {
                    return Err(format!("the handshake of peer {number} is answered {status}"));
                }
                if status != 101 {
                    told.mark(Mark::NoHandshake);
                }
                self.is_clogged = self.plan.script.end == End::Deaf;
            }
            Event::Message { is_text, payload, was_compressed } => {
                if was_compressed {
                    told.mark(Mark::Inflated);
                }
                let log = &mut *told.log();
                // What is compressed on its way has more bytes than the way has room for.
                let is_plain = self.plan.route.coding == Coding::Plain;
                let queue_bytes_max = if is_plain { queue_bytes_max } else { usize::MAX / 2 };
                return self.heard.hear(number, is_text, &payload, log, queue_bytes_max);
            }
            Event::Ping(payload) => {
                if payload.is_empty() {
                    told.mark(Mark::Asked);
                    self.pings_heard += 1;
                }
                let is_dead = self.plan.script.end == End::Dead && self.is_through();
                if !is_dead && !self.has_ended {
                    write_frame(0x8A, &payload, &mut self.answers);
                }
                match self.plan.script.end {
                    End::Silent(count) if self.pings_heard >= count && self.is_through() => {
                        self.unsent.extend(std::mem::take(&mut self.answers));
                        self.close(1000);
                    }
                    _ => {}
                }
            }
            Event::Pong(payload) => {
                if self.pings.pop_front().is_none_or(|next| next != payload) {
                    return Err(format!("peer {number} gets another pong than the next"));
                }
                told.mark(Mark::PingAnswered);
            }
            Event::Close(frame) => self.take_close(frame, told),
        }
        Ok(())
    }

    fn take_close(&mut self, frame: CloseFrame, told: &Told) {
        match self.plan.script.end {
            End::Unanswered(_) => {}
            End::ResetInClose { is_own: false } => {
                told.mark(Mark::ResetInClose);
                self.go();
            }
            End::Dead if self.is_through() => {}
            _ if self.has_closed || self.has_ended => {}
            _ => {
                self.has_closed = true;
                write_frame(0x88, &frame.code().to_be_bytes(), &mut self.answers);
            }
        }
        self.closed = Some(frame);
    }

    /// Looks whether the connection has ended.
    pub(super) fn look(&mut self, told: &Told, queue_bytes_max: usize) -> Outcome<usize> {
        let Some(peer) = self.peer.as_ref().filter(|_| !self.is_over) else { return Ok(0) };
        let is_gone = peer.reset_cause().is_some() || peer.is_ended();
        let is_deaf = self.is_clogged && self.has_ended && peer.is_closed_by_server();
        if !is_gone && !is_deaf {
            return Ok(0);
        }
        self.read(usize::MAX, told, queue_bytes_max)?;
        self.leave();
        Ok(1)
    }

    /// How far it is, in words.
    pub(super) fn stand(&self) -> String {
        let Plan { number, route, handshake, script, .. } = &self.plan;
        let (steps, written, heard) = (script.steps.len(), self.written, self.heard.messages);
        let (is_clogged, closed, is_over) = (self.is_clogged, &self.closed, self.is_over);
        format!(
            "{number}: {route:?}, {handshake:?}, {} of {steps} steps, then {:?}; {written} bytes \
             written, {heard} messages and {} pings heard, clogged: {is_clogged}, closed: {closed:?}, over: {is_over}",
            self.step, script.end, self.pings_heard
        )
    }

    /// Whether what it says is through, and answered as far as it can be.
    pub(super) fn is_quiet(&self) -> bool {
        self.is_through() && self.unsent.is_empty() && self.closed.is_none() && !self.has_ended
    }

    /// How many of its pings no pong has come to.
    pub(super) fn pings_unanswered(&self) -> usize {
        self.pings.len()
    }
}
