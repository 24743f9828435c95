//! The order of replies: what is owed next goes out, what comes early is held until its turn.
//! It must never let a reply pass another, but where ids match them.

use std::collections::BTreeMap;

use super::codec::{Codec, Fault, PayloadError, Refusal};
use super::event::Exchange;
use super::machine::{Machine, Reading};
use super::writer::write;
use crate::{Outbox, Piece};

/// A reply that came before its turn.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) outbox: Outbox,
    /// The connection ends behind it.
    pub(super) is_last: bool,
}

impl Machine {
    /// Answers an exchange. The reply goes to the outbox when everything before it has or the codec
    /// has ids, and is held otherwise.
    ///
    /// # Errors
    /// The payload cannot be sent as a frame: nothing was sent, and the exchange still awaits its
    /// reply.
    ///
    /// # Panics
    /// When the exchange was answered before; with ids that is not noticed.
    #[inline]
    pub fn send_reply<C: Codec + ?Sized>(
        &mut self,
        exchange: Exchange,
        payload: Piece,
        now_ms: u64,
        codec: &C,
        outbox: &mut Outbox,
    ) -> Result<(), PayloadError> {
        if !self.is_cut && self.write_reply(exchange, payload, false, codec, outbox)? {
            self.answered(exchange, now_ms, outbox);
        }
        Ok(())
    }

    /// Writes a reply, or holds it until its turn; whether its turn has come.
    #[inline]
    fn write_reply<C: Codec + ?Sized>(
        &mut self,
        exchange: Exchange,
        payload: Piece,
        is_last: bool,
        codec: &C,
        outbox: &mut Outbox,
    ) -> Result<bool, PayloadError> {
        let id = codec.tag().map(|tag| (tag, exchange.tag));
        let is_due = id.is_some() || exchange.number == self.owed;
        if is_due {
            write(payload, id, codec, outbox)?;
        } else {
            let mut held = Outbox::new();
            write(payload, None, codec, &mut held)?;
            self.hold(exchange, Held { outbox: held, is_last });
        }
        Ok(is_due)
    }

    /// The same, and the connection ends behind it; no further frame is read.
    ///
    /// # Errors
    /// As [`send_reply`](Self::send_reply).
    ///
    /// # Panics
    /// As [`send_reply`](Self::send_reply).
    pub fn send_last<C: Codec + ?Sized>(
        &mut self,
        exchange: Exchange,
        payload: Piece,
        codec: &C,
        outbox: &mut Outbox,
    ) -> Result<(), PayloadError> {
        if self.is_cut {
            return Ok(());
        }
        if self.write_reply(exchange, payload, true, codec, outbox)? {
            self.cut();
        } else {
            self.reading = Reading::Closed;
        }
        Ok(())
    }

    /// Ends an exchange to which nothing is said.
    ///
    /// # Panics
    /// As [`send_reply`](Self::send_reply).
    pub fn send_nothing<C: Codec + ?Sized>(
        &mut self,
        exchange: Exchange,
        now_ms: u64,
        codec: &C,
        outbox: &mut Outbox,
    ) {
        if self.is_cut {
            return;
        }
        match codec.tag().is_some() || exchange.number == self.owed {
            true => self.answered(exchange, now_ms, outbox),
            false => self.hold(exchange, Held { outbox: Outbox::new(), is_last: false }),
        }
    }

    /// Nobody answers this exchange any more: the codec's words for it are its reply, or the
    /// connection ends behind the replies before it.
    pub fn give_up<C: Codec + ?Sized>(
        &mut self,
        exchange: Exchange,
        now_ms: u64,
        codec: &C,
        outbox: &mut Outbox,
    ) {
        let answer = codec.answer_to(&Fault::Dropped).map(Piece::Shared);
        let is_sent = answer
            .is_some_and(|answer| self.send_reply(exchange, answer, now_ms, codec, outbox).is_ok());
        if !is_sent && !self.is_cut {
            match codec.tag().is_some() || exchange.number == self.owed {
                true => self.cut(),
                false => self.hold(exchange, Held { outbox: Outbox::new(), is_last: true }),
            }
        }
    }

    /// The same for all exchanges that nobody has answered. Where there are ids, which are not kept,
    /// the connection ends.
    pub fn give_up_all<C: Codec + ?Sized>(&mut self, now_ms: u64, codec: &C, outbox: &mut Outbox) {
        if self.unanswered() == 0 || self.is_cut {
            return;
        }
        if codec.tag().is_some() {
            return self.cut();
        }
        // What is left of them is not weighed any more.
        self.open_bytes = 0;
        for number in self.owed..self.next {
            if !self.is_cut && number >= self.owed && !self.held.contains_key(&number) {
                self.give_up(Exchange { number, tag: 0, bytes: 0 }, now_ms, codec, outbox);
            }
        }
    }

    /// Ends the connection behind the replies that are owed, with the codec's words for the refusal
    /// that was reported. With ids there is none that they could carry.
    pub fn refuse<C: Codec + ?Sized>(&mut self, refusal: Refusal, codec: &C, outbox: &mut Outbox) {
        self.reading = Reading::Closed;
        if self.is_cut || codec.tag().is_some() {
            return;
        }
        let mut last = Outbox::new();
        if let Some(answer) = codec.answer_to(&Fault::Refused(refusal)) {
            // An answer that is no frame is left out.
            let _ = write(answer.into(), None, codec, &mut last);
        }
        let exchange = Exchange { number: self.next, tag: 0, bytes: 0 };
        self.next += 1;
        self.hold(exchange, Held { outbox: last, is_last: true });
        self.release(outbox);
    }

    /// What came last on the wire, or is matched by its id, is answered.
    #[inline]
    fn answered(&mut self, exchange: Exchange, now_ms: u64, outbox: &mut Outbox) {
        self.open_bytes -= exchange.bytes;
        self.owed += 1;
        self.since_ms = if self.reader.is_within() { self.since_ms } else { now_ms };
        if !self.held.is_empty() {
            self.release(outbox);
        }
    }

    /// Moves the held replies whose turn has come to the outbox.
    #[cold]
    fn release(&mut self, outbox: &mut Outbox) {
        while let Some(mut held) = self.held.remove(&self.owed) {
            self.owed += 1;
            self.held_bytes -= held.outbox.len();
            outbox.append(&mut held.outbox);
            if held.is_last {
                return self.cut();
            }
        }
    }

    #[cold]
    fn hold(&mut self, exchange: Exchange, held: Held) {
        self.open_bytes -= exchange.bytes;
        self.held_bytes += held.outbox.len();
        let is_first = (self.owed..self.next).contains(&exchange.number)
            && self.held.insert(exchange.number, held).is_none();
        assert!(is_first, "an exchange is answered once, after it was received");
    }

    /// Ends the connection behind what has been written.
    #[cold]
    fn cut(&mut self) {
        self.is_cut = true;
        self.reading = Reading::Closed;
        self.held = BTreeMap::new();
        self.held_bytes = 0;
    }
}
