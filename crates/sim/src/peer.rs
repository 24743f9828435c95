//! A peer that acts its script, and what it has seen of the server.
//! It judges the server by the model, and knows of time only what it is told.

use springtide::test::{Peer, ResetCause, World};

use crate::model::{Body, Maker};
use crate::reader::{Instead, Reader, Terms};
use crate::script::{End, Script, Wait};

/// The server's deadlines, in milliseconds (RFC 9110 §15.5.9 names none; these are the defaults).
const HEAD_TIMEOUT_MS: u64 = 10_000;
const BODY_TIMEOUT_MS: u64 = 30_000;
const IDLE_TIMEOUT_MS: u64 = 60_000;
const SEND_TIMEOUT_MS: u64 = 30_000;
/// How late a peer may be cut that takes nothing: it is looked at eight times in the timeout.
const SEND_LATE_MS: u64 = SEND_TIMEOUT_MS / 8;
const LINGER_TIMEOUT_MS: u64 = 2_000;
/// What a deadline may come late by where no request of a connection is under way: it is asked for
/// when the last reply has gone.
const IDLE_LATE_MS: u64 = 5;

/// What a history allows besides the model.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Allowed {
    /// Nothing keeps replies from coming at once: deadlines are exact.
    pub(crate) is_calm: bool,
    /// Connections beyond the limit are closed at once.
    pub(crate) may_refuse: bool,
    /// What was sent may come so late that a send makes no progress in time.
    pub(crate) may_stall: bool,
    /// Descriptors can be spent, so that files cannot be opened.
    pub(crate) may_be_busy: bool,
    /// Shards are frozen, and futures of handlers dropped.
    pub(crate) may_drop: bool,
    /// Memory can be short, so that connections are given up.
    pub(crate) may_shed: bool,
}

/// One peer.
#[derive(Debug)]
pub(crate) struct Actor {
    pub(crate) script: Script,
    peer: Option<Peer>,
    reader: Reader,
    pub(crate) written: usize,
    pub(crate) read: usize,
    /// The first of the script's waits that is not over.
    wait: usize,
    /// When each request's first byte was written.
    asked_ms: Vec<u64>,
    last_write_ms: u64,
    /// When it last wrote or read anything.
    last_act_ms: u64,
    is_half_closed: bool,
    /// How many of its requests had begun to come when the server was told to stop.
    begun: usize,
    /// It has seen the end, or made it.
    pub(crate) is_over: bool,
    /// The server closed the connection without a word, before any reply.
    pub(crate) is_refused: bool,
    /// Bytes that the server had not received when the peer went.
    pub(crate) unread: usize,
}

impl Actor {
    pub(crate) fn new(script: Script) -> Self {
        let asked_ms = Vec::with_capacity(script.starts.len());
        Self {
            script,
            peer: None,
            reader: Reader::default(),
            written: 0,
            read: 0,
            wait: 0,
            asked_ms,
            last_write_ms: 0,
            last_act_ms: 0,
            is_half_closed: false,
            begun: 0,
            is_over: false,
            is_refused: false,
            unread: 0,
        }
    }

    pub(crate) const fn is_connected(&self) -> bool {
        self.peer.is_some()
    }

    pub(crate) fn replies(&self) -> usize {
        self.reader.replies
    }

    /// The replies that came instead of others.
    pub(crate) const fn instead(&self) -> Instead {
        self.reader.instead
    }

    /// When the request whose reply is next was asked.
    pub(crate) fn asked_ms(&self) -> u64 {
        self.asked_ms.get(self.reader.replies).copied().unwrap_or(self.last_write_ms)
    }

    /// Connects, then writes at most `count` bytes; gives how many acts that were.
    pub(crate) fn write(&mut self, count: usize, world: &mut World, now_ms: u64) -> usize {
        if self.is_over {
            return 0;
        }
        if self.peer.is_none() {
            self.peer = Some(world.connect());
            self.last_act_ms = now_ms;
            return 1;
        }
        let count = if self.script.is_burst { usize::MAX } else { count };
        let limit = self.limit();
        let Some(peer) = &mut self.peer else { return 0 };
        let to = self.written.saturating_add(count).min(limit);
        let written =
            if to > self.written { peer.write(&self.script.bytes[self.written..to]) } else { 0 };
        if written > 0 {
            (self.last_write_ms, self.last_act_ms) = (now_ms, now_ms);
            self.written += written;
            while self.script.starts.get(self.asked_ms.len()).is_some_and(|at| *at < self.written) {
                self.asked_ms.push(now_ms);
            }
        }
        usize::from(written > 0) + self.end_writing()
    }

    /// How far it may write for now.
    fn limit(&mut self) -> usize {
        while let Some((at, wait)) = self.script.waits.get(self.wait) {
            let replies = self.reader.replies;
            let is_over = match *wait {
                Wait::Replies(count) => replies >= count,
                Wait::Continue(number) => {
                    replies > number || (replies == number && self.reader.is_continued)
                }
            };
            if !is_over {
                return *at;
            }
            self.wait += 1;
        }
        self.script.bytes.len()
    }

    /// What comes behind the last byte.
    fn end_writing(&mut self) -> usize {
        let Some(peer) = &mut self.peer else { return 0 };
        let all = self.written == self.script.bytes.len();
        match self.script.end {
            End::Reset(at) if all || self.written >= at => {
                peer.reset();
                self.is_over = true;
                1
            }
            End::HalfClose | End::Truncate if all && !self.is_half_closed => {
                peer.shutdown();
                self.is_half_closed = true;
                1
            }
            _ => 0,
        }
    }

    /// The server is told to stop: what it has received the first byte of by now it answers. Gives
    /// how many requests that are for which no reply has come yet.
    pub(crate) fn see_stop(&mut self) -> u64 {
        let Some(peer) = self.peer.as_ref().filter(|_| !self.is_over) else { return 0 };
        let received = self.written.saturating_sub(peer.unread_by_server());
        let begun = self.script.starts.iter().take_while(|start| **start < received).count();
        // What nobody answers may follow the last request.
        self.begun = begun.min(self.script.expected.len());
        self.begun.saturating_sub(self.reader.replies) as u64
    }

    /// It goes, whatever it still had to say.
    pub(crate) fn go(&mut self) {
        self.is_over = true;
        if let Some(peer) = &mut self.peer {
            peer.reset();
        }
    }

    /// Whether it reads nothing any more.
    fn is_deaf(&self) -> bool {
        self.script.end == End::Deaf && self.written == self.script.bytes.len()
    }

    /// When a peer that reads nothing looks whether it was cut.
    pub(crate) fn wakes_ms(&self) -> Option<u64> {
        let waits = self.is_deaf() && !self.is_over && self.peer.is_some();
        waits.then_some(self.last_act_ms + SEND_TIMEOUT_MS + SEND_LATE_MS)
    }

    /// Whether it waits for something other than a deadline: a reply, or the end behind the last.
    pub(crate) fn waits_for_server(&self) -> bool {
        let replies = match self.script.end {
            End::Deaf => return false,
            End::StallHead | End::StallBody => self.script.expected.len() - 1,
            _ => self.script.expected.len(),
        };
        let waits = matches!(self.script.end, End::Idle | End::StallHead | End::StallBody);
        !self.is_over && (self.reader.replies < replies || !waits)
    }

    /// Reads at most `count` bytes.
    pub(crate) fn read(
        &mut self,
        count: usize,
        terms: Terms,
        allowed: Allowed,
        now_ms: u64,
    ) -> Result<usize, String> {
        let is_closed = self.peer.as_ref().is_some_and(Peer::is_closed_by_server);
        if !self.is_over && self.is_deaf() {
            self.check_deaf(allowed, now_ms)?;
        }
        if self.is_over || (self.is_deaf() && !is_closed) {
            return Ok(0);
        }
        let Some(peer) = &mut self.peer else { return Ok(0) };
        let before = self.reader.replies;
        let read =
            self.reader.receive(|into| peer.read(count, into), &self.script.expected, terms)?;
        self.read += read;
        if self.reader.replies > before {
            self.check_deadline(allowed, now_ms)?;
        }
        if read > 0 {
            self.last_act_ms = now_ms;
        }
        Ok(usize::from(read > 0))
    }

    /// A peer that reads nothing is cut in time.
    fn check_deaf(&self, allowed: Allowed, now_ms: u64) -> Result<(), String> {
        let is_late = self.wakes_ms().is_some_and(|wakes_ms| now_ms > wakes_ms);
        if is_late && allowed.is_calm {
            return Err("a peer that reads nothing is cut late".to_owned());
        }
        Ok(())
    }

    /// The refusal of a peer that stopped comes at its deadline, and not before.
    fn check_deadline(&self, allowed: Allowed, now_ms: u64) -> Result<(), String> {
        if self.reader.replies < self.script.expected.len() || self.reader.was_instead {
            return Ok(());
        }
        let (began_ms, timeout_ms) = match self.script.end {
            End::StallHead => (self.asked_ms.last().copied().unwrap_or(0), HEAD_TIMEOUT_MS),
            End::StallBody => (self.last_write_ms, BODY_TIMEOUT_MS),
            _ => return Ok(()),
        };
        self.check_time(began_ms, timeout_ms, 0, allowed, now_ms)
    }

    fn check_time(
        &self,
        began_ms: u64,
        timeout_ms: u64,
        late_ms: u64,
        allowed: Allowed,
        now_ms: u64,
    ) -> Result<(), String> {
        if now_ms < began_ms + timeout_ms {
            let early = began_ms + timeout_ms - now_ms;
            return Err(format!("a deadline of {timeout_ms} ms came {early} ms early"));
        }
        if allowed.is_calm && now_ms > self.last_act_ms + timeout_ms + late_ms {
            let late = now_ms - self.last_act_ms - timeout_ms;
            return Err(format!("a deadline of {timeout_ms} ms came {late} ms late"));
        }
        Ok(())
    }

    /// Looks whether it is over: the connection has ended, or there is nothing more to wait for.
    pub(crate) fn look(
        &mut self,
        terms: Terms,
        allowed: Allowed,
        now_ms: u64,
    ) -> Result<usize, String> {
        let Some(peer) = &mut self.peer else { return Ok(0) };
        if self.is_over {
            return Ok(0);
        }
        if self.script.end == End::Leave && self.reader.replies == self.script.expected.len() {
            self.unread = peer.unread_by_server();
            self.is_over = true;
            if self.reader.rest().is_empty() {
                self.peer = None;
                return Ok(1);
            }
        }
        let cause = peer.reset_cause();
        if cause.is_none() && !peer.is_ended() {
            return Ok(0);
        }
        // What came before a reset is there still.
        self.read(usize::MAX, terms, allowed, now_ms)?;
        self.is_over = true;
        self.judge(cause, terms, allowed, now_ms).map(|()| 1)
    }

    /// Whether the connection may end here and like this.
    fn judge(
        &mut self,
        cause: Option<ResetCause>,
        terms: Terms,
        allowed: Allowed,
        now_ms: u64,
    ) -> Result<(), String> {
        let (replies, all) = (self.reader.replies, self.script.expected.len());
        let is_clean = self.reader.rest().is_empty();
        match cause {
            Some(ResetCause::Chance | ResetCause::Asked) => return Ok(()),
            // Whether what it had sent was received by then is chance.
            Some(ResetCause::Told | ResetCause::Unread) if allowed.may_shed => return Ok(()),
            Some(ResetCause::Backlog) if terms.is_draining => return Ok(()),
            Some(ResetCause::Backlog) => return Err("it was lost in the backlog".to_owned()),
            _ => {}
        }
        if terms.is_draining && is_clean && replies >= self.begun.max(terms.handled) {
            return Ok(());
        }
        if allowed.may_refuse && replies == 0 && is_clean && self.read == 0 {
            self.is_refused = true;
            return Ok(());
        }
        if is_clean && (self.reader.is_cut_short || self.may_lack_an_end(allowed)) {
            return Ok(());
        }
        if replies < all || !is_clean {
            let excused = self.is_excused(terms, allowed, now_ms);
            let rest = self.reader.rest().len();
            let told = || format!("it ended with {replies} of {all} replies and {rest} bytes more");
            return if excused { Ok(()) } else { Err(told()) };
        }
        if cause == Some(ResetCause::Unread) && !self.sends_more() {
            return Err("it was closed with bytes unread that had a meaning".to_owned());
        }
        self.check_lingers(now_ms)?;
        if self.script.end == End::Idle {
            self.check_time(self.last_write_ms, IDLE_TIMEOUT_MS, IDLE_LATE_MS, allowed, now_ms)?;
        }
        Ok(())
    }

    /// A connection that ends with a refusal is not closed at once: what the peer still sends could
    /// destroy the reply (RFC 9112 §9.6).
    fn check_lingers(&self, now_ms: u64) -> Result<(), String> {
        let is_refused = !self.reader.was_instead
            && matches!(self.script.end, End::Malformed | End::StallHead | End::StallBody);
        let is_closed = self.peer.as_ref().is_some_and(Peer::is_closed_by_server);
        let began_ms = self.asked_ms.last().copied().unwrap_or(0);
        if is_refused && is_closed && now_ms < began_ms + LINGER_TIMEOUT_MS {
            return Err("it was closed before its refusal can have been read".to_owned());
        }
        Ok(())
    }

    /// Whether it sends what the server need not read.
    const fn sends_more(&self) -> bool {
        matches!(self.script.end, End::Excess | End::Malformed | End::StallHead | End::StallBody)
    }

    /// Whether the last reply was made by a future that may have been dropped behind its last byte: the
    /// server does not know that it was.
    fn may_lack_an_end(&self, allowed: Allowed) -> bool {
        let last = self.reader.replies.checked_sub(1).map(|last| self.script.expected[last].maker);
        allowed.may_drop && matches!(last, Some(Maker::Future(_)))
    }

    /// Whether a connection may end before all replies have come.
    fn is_excused(&self, terms: Terms, allowed: Allowed, now_ms: u64) -> bool {
        let next = self.script.expected.get(self.reader.replies);
        let is_moving =
            next.is_some_and(|next| matches!(next.body, Body::Moving { is_streamed: true }));
        let is_by = |maker| next.is_some_and(|next| next.maker == maker);
        let is_file = is_moving || is_by(Maker::File);
        let is_future = next.is_some_and(|next| matches!(next.maker, Maker::Future(_)));
        let is_upstream = is_by(Maker::Upstream);
        let waited_ms = now_ms.saturating_sub(self.asked_ms.first().copied().unwrap_or(0));
        let is_stalled = waited_ms >= SEND_TIMEOUT_MS;
        (is_file && allowed.may_be_busy)
            || allowed.may_shed
            || ((is_future || is_upstream) && allowed.may_drop)
            || (is_upstream && terms.may_fail_upstream)
            || (is_moving && terms.may_be_busy)
            || (is_stalled && (self.script.end == End::Deaf || allowed.may_stall))
    }

    /// What came last, for the sum over a history.
    pub(crate) fn tail(&self) -> &[u8] {
        self.reader.tail()
    }

    /// How many bytes of this peer the server has not received.
    pub(crate) fn unread_now(&self) -> usize {
        self.peer.as_ref().map_or(self.unread, Peer::unread_by_server)
    }

    /// Reads what is left, when all is over; gives the sum of all bytes that came.
    pub(crate) fn drain(&mut self) -> usize {
        let mut rest = Vec::new();
        let Some(peer) = &mut self.peer else { return self.read };
        self.read + peer.read(usize::MAX, &mut rest)
    }
}
