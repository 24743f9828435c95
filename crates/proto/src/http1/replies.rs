//! The order of replies: what is owed next goes out, what comes early is held until its turn.
//! It must never let a reply pass another, and never decide what may happen next: `machine.rs` does.

use super::encode::{self, Connection, OpenReply, Reply, ReplyBody};
use super::encoded::Fields;
use super::event::Exchange;
use super::machine::{Fault, Machine, Read, Reading, UNKNOWN, Write, Writing};
use super::media_type::MediaType;
use super::opening::Opening;
use super::refusal::Refusal;
use crate::{Outbox, Piece};
use http::{HeaderName, HeaderValue, StatusCode};

/// Replies that came before their turn.
#[derive(Debug, Default)]
pub(crate) struct Held {
    pub(super) replies: Vec<HeldReply>,
}

#[derive(Debug)]
pub(super) struct HeldReply {
    pub(super) number: u32,
    pub(super) open: OpenReply,
    pub(super) outbox: Outbox,
}

impl Held {
    fn position(&self, number: u32) -> Option<usize> {
        self.replies.iter().position(|held| held.number == number)
    }
}

impl Machine {
    /// Answers an exchange. The reply goes to the outbox when everything before it has, and is
    /// held otherwise.
    ///
    /// # Panics
    /// When the exchange was answered before; when the status is interim and not 101; when 101
    /// answers a request that offers no upgrade or is not read to its end.
    #[inline]
    pub fn send_reply(
        &mut self,
        exchange: Exchange,
        reply: &Reply<'_>,
        body: ReplyBody,
        outbox: &mut Outbox,
    ) {
        if exchange.number == self.owed && self.open.writing == Writing::Ready {
            let ends = encode::is_until_close(exchange, reply.status, &body);
            let connection = self.settle(exchange, reply.status, ends);
            let open = encode::reply(exchange, reply, body, connection, outbox);
            self.open.left = open.left;
            self.write(Write::Begun(open.writing));
            if open.writing == Writing::Ready {
                self.finish_reply(outbox);
            }
        } else {
            self.hold_reply(exchange, reply, body);
        }
    }

    /// Answers an exchange with a whole body that is short enough to be copied at once: as
    /// [`send_reply`](Self::send_reply) with [`ReplyBody::Full`].
    ///
    /// # Panics
    /// As [`send_reply`](Self::send_reply).
    #[inline]
    pub fn send_copied(
        &mut self,
        exchange: Exchange,
        reply: &Reply<'_>,
        body: &[u8],
        outbox: &mut Outbox,
    ) {
        let is_next = exchange.number == self.owed && self.open.writing == Writing::Ready;
        if is_next && encode::has_body(exchange, reply.status) {
            let connection = self.settle(exchange, reply.status, false);
            encode::whole(reply, body, connection, outbox.tail_mut());
            self.finish_reply(outbox);
        } else {
            let body = ReplyBody::Full(Piece::Owned(body.to_vec()));
            self.send_reply(exchange, reply, body, outbox);
        }
    }

    /// Adds a piece to the body of a reply begun with [`ReplyBody::Sized`] or
    /// [`ReplyBody::Chunked`].
    ///
    /// # Panics
    /// When the exchange has no such reply, or the body grows beyond its length.
    #[inline]
    pub fn send_body(&mut self, exchange: Exchange, piece: Piece, outbox: &mut Outbox) {
        if self.open.writing == Writing::Cut {
            return;
        }
        if exchange.number == self.owed {
            encode::body(&mut self.open, piece, outbox);
        } else {
            let held = self.held_reply(exchange);
            encode::body(&mut held.open, piece, &mut held.outbox);
        }
    }

    /// Whether the next bytes of the connection belong to the body of this exchange's reply, begun
    /// with [`ReplyBody::Sized`]: somebody else may send them, from where they are.
    #[must_use]
    pub fn is_in_sized_body(&self, exchange: Exchange) -> bool {
        self.is_next(exchange) && self.open.writing == Writing::Sized
    }

    /// So many bytes of that body were sent by somebody else.
    ///
    /// # Panics
    /// When the reply has no such body, or it grows beyond its length.
    pub fn body_passed(&mut self, exchange: Exchange, bytes: u64) {
        assert!(self.is_in_sized_body(exchange), "bytes are passed within a sized body");
        let left = self.open.left.checked_sub(bytes);
        self.open.left = left.expect("a body is as long as was said");
    }

    /// Completes the body of a reply begun with [`ReplyBody::Sized`] or [`ReplyBody::Chunked`].
    /// A sized body that lacks bytes cuts the connection, so that the peer sees it.
    ///
    /// # Panics
    /// When the exchange has no such reply.
    pub fn end_body(&mut self, exchange: Exchange, outbox: &mut Outbox) {
        self.end_body_with(exchange, &[], outbox);
    }

    /// The same, with fields behind the body (RFC 9112 §7.1.2). Only a chunked body has room for
    /// them: of any other, and for a peer of HTTP/1.0, they are left out.
    ///
    /// # Panics
    /// As [`end_body`](Self::end_body).
    pub fn end_body_with(
        &mut self,
        exchange: Exchange,
        trailers: &[(HeaderName, HeaderValue)],
        outbox: &mut Outbox,
    ) {
        if self.open.writing == Writing::Cut {
            return;
        }
        if exchange.number == self.owed {
            end_open(&mut self.open, trailers, outbox);
            match self.open.writing {
                Writing::Cut => self.cut(),
                _ => self.finish_reply(outbox),
            }
        } else {
            let held = self.held_reply(exchange);
            end_open(&mut held.open, trailers, &mut held.outbox);
        }
    }

    /// Gives up a reply that cannot be completed or was never begun: what was encoded is sent, then
    /// the connection closes, so that the peer sees the body is cut (RFC 9112 §8).
    pub fn abort_reply(&mut self, exchange: Exchange) {
        if self.open.writing == Writing::Cut {
            return;
        }
        if exchange.number == self.owed {
            self.cut();
        } else if self.awaits_reply(exchange) {
            let open = OpenReply { writing: Writing::Cut, left: 0 };
            self.hold(HeldReply { number: exchange.number, open, outbox: Outbox::new() });
        } else {
            self.held_reply(exchange).open.writing = Writing::Cut;
        }
    }

    /// Tells that somebody waits for the body: a peer that expects it gets `100 Continue` (RFC
    /// 9110 §10.1.1), at once or as soon as the replies before have gone.
    pub fn want_body(&mut self, exchange: Exchange, outbox: &mut Outbox) {
        if self.owes_continue && self.is_reading_body(exchange) && !self.body.is_too_long() {
            self.wants_body = true;
            self.send_continue(outbox);
        }
    }

    /// Replies to a refusal and closes, behind the replies still owed. When the request was refused
    /// in its body and already has the whole or the beginning of a reply, only closes.
    ///
    /// # Panics
    /// When no refusal was reported.
    pub fn refuse(&mut self, refusal: Refusal, opening: &Opening, outbox: &mut Outbox) {
        let Some(exchange) = self.refused() else { return };
        let text = Piece::from(refusal.reason());
        const TEXT: MediaType<'_> = MediaType::new("text/plain; charset=utf-8");
        let content_type = Some(TEXT);
        let reply = Reply { status: refusal.status(), content_type, fields: Fields::NONE, opening };
        self.send_reply(exchange, &reply, ReplyBody::Full(text), outbox);
    }

    /// The same where the caller gives the reply: to the exchange that was refused, if it still
    /// awaits one.
    ///
    /// # Panics
    /// When no refusal was reported.
    pub fn refused(&mut self) -> Option<Exchange> {
        let exchange = match std::mem::replace(&mut self.fault, Fault::None) {
            Fault::None => panic!("refuse follows a refusal that the machine reported"),
            Fault::Head => {
                self.next += 1;
                Exchange { number: self.next - 1, flags: 0 }
            }
            Fault::Body => Exchange { number: self.next - 1, flags: self.newest_flags },
        };
        if self.awaits_reply(exchange) {
            return Some(exchange);
        }
        if exchange.number == self.owed {
            self.cut();
        }
        None
    }

    /// Whether no reply to this exchange has begun. After a refusal in a body the refusal may be
    /// its reply; an exchange behind a cut never gets one.
    #[must_use]
    pub fn awaits_reply(&self, exchange: Exchange) -> bool {
        match exchange.number {
            _ if self.open.writing == Writing::Cut => false,
            number if number == self.owed && number < self.next => {
                self.open.writing == Writing::Ready
            }
            number if (self.owed..self.next).contains(&number) => {
                self.held.as_ref().is_none_or(|held| held.position(number).is_none())
            }
            _ => false,
        }
    }

    /// Whether a reply of this status would have its body sent, to this exchange and now: not to
    /// `HEAD`, not behind a cut, and not when the status has none.
    #[must_use]
    pub fn awaits_body(&self, exchange: Exchange, status: StatusCode) -> bool {
        encode::has_body(exchange, status) && self.awaits_reply(exchange)
    }

    /// Whether the reply to this exchange has begun and only the connection's end will end it: then
    /// a clean end would say that it is complete (RFC 9112 §8).
    #[must_use]
    pub fn is_until_close(&self, exchange: Exchange) -> bool {
        let held = self.held.iter().flat_map(|held| &held.replies);
        let mut held = held.filter(|held| held.number == exchange.number).map(|held| &held.open);
        let open = if self.is_next(exchange) { Some(&self.open) } else { held.next() };
        open.is_some_and(|open| open.writing == Writing::UntilClose)
    }

    /// How many bytes are held for exchanges whose turn has not come.
    #[must_use]
    pub fn held_bytes(&self) -> usize {
        self.held.as_ref().map_or(0, |held| held.replies.iter().map(|held| held.outbox.len()).sum())
    }

    /// Settles what the reply means for the reading side, and what it says about the connection,
    /// whose end may be the body's.
    #[inline]
    fn settle(&mut self, exchange: Exchange, status: StatusCode, ends: bool) -> Connection {
        assert!(exchange.number < self.next, "a reply names an exchange that was received");
        let is_special = self.has_offer || self.owes_continue || status.is_informational();
        if is_special && self.settle_special(exchange, status) {
            return Connection::Upgrade;
        }
        match self.reading {
            // A later request has an offer, and its reply decides.
            Reading::Undecided if ends => self.is_last = true,
            Reading::Closed => {}
            _ if ends => self.read(Read::Ended),
            _ => {}
        }
        let is_newest = exchange.number + 1 == self.next;
        if ends || (is_newest && (self.is_last || self.reading == Reading::Closed)) {
            Connection::Close
        } else if exchange.is_http10() {
            Connection::KeepAlive
        } else {
            Connection::Unsaid
        }
    }

    /// Decides an offered upgrade and an expectation. True when the connection switches.
    #[cold]
    fn settle_special(&mut self, exchange: Exchange, status: StatusCode) -> bool {
        let is_switch = status == StatusCode::SWITCHING_PROTOCOLS;
        assert!(is_switch || !status.is_informational(), "an interim status is no reply");
        if exchange.number + 1 != self.next {
            assert!(!is_switch, "101 answers a request that offers an upgrade");
            return false;
        }
        if is_switch {
            let is_whole = self.has_offer && self.reading == Reading::Undecided;
            assert!(is_whole, "101 answers an offered upgrade whose request was read to its end");
            self.has_offer = false;
            self.read(Read::Accepted);
            return true;
        }
        if self.has_offer {
            self.has_offer = false;
            if self.reading == Reading::Undecided {
                self.read(if self.is_last { Read::Ended } else { Read::Declined });
            }
        }
        // A peer that has its final reply may leave the body out: its next bytes could be either.
        if self.owes_continue && self.is_reading_body(exchange) {
            self.read(Read::Ended);
        }
        false
    }

    #[inline]
    fn finish_reply(&mut self, outbox: &mut Outbox) {
        self.owed += 1;
        if self.held.is_some() {
            self.release(outbox);
        }
        if self.reading == Reading::Idle && self.owed == self.next {
            self.since_ms = UNKNOWN;
        }
        if self.wants_body {
            self.send_continue(outbox);
        }
    }

    /// Moves the held replies whose turn has come to the outbox.
    #[cold]
    fn release(&mut self, outbox: &mut Outbox) {
        while let Some(held) = &mut self.held {
            let Some(position) = held.position(self.owed) else { return };
            let mut reply = held.replies.swap_remove(position);
            if held.replies.is_empty() {
                self.held = None;
            }
            outbox.append(&mut reply.outbox);
            match reply.open.writing {
                Writing::Ready => self.owed += 1,
                Writing::Cut => return self.cut(),
                writing => {
                    self.open.left = reply.open.left;
                    self.write(Write::Begun(writing));
                    return;
                }
            }
        }
    }

    #[cold]
    fn hold_reply(&mut self, exchange: Exchange, reply: &Reply<'_>, body: ReplyBody) {
        if self.open.writing == Writing::Cut {
            return;
        }
        assert!(self.awaits_reply(exchange), "an exchange is answered once, after it was received");
        let ends = encode::is_until_close(exchange, reply.status, &body);
        let connection = self.settle(exchange, reply.status, ends);
        let mut outbox = Outbox::new();
        let open = encode::reply(exchange, reply, body, connection, &mut outbox);
        self.hold(HeldReply { number: exchange.number, open, outbox });
    }

    fn hold(&mut self, reply: HeldReply) {
        self.held.get_or_insert_default().replies.push(reply);
    }

    fn held_reply(&mut self, exchange: Exchange) -> &mut HeldReply {
        self.held
            .as_mut()
            .and_then(|held| held.replies.iter_mut().find(|held| held.number == exchange.number))
            .expect("a body belongs to an exchange whose reply has begun")
    }

    /// Ends the connection behind what has been encoded.
    #[cold]
    fn cut(&mut self) {
        self.write(Write::CutShort);
        self.held = None;
        if self.reading != Reading::Closed {
            self.read(Read::Ended);
        }
    }

    fn send_continue(&mut self, outbox: &mut Outbox) {
        let is_turn = self.owed + 1 == self.next && self.open.writing == Writing::Ready;
        if is_turn && self.owes_continue {
            outbox.extend(b"HTTP/1.1 100 Continue\r\n\r\n");
            self.owes_continue = false;
            self.wants_body = false;
            // Its time begins now.
            self.since_ms = UNKNOWN;
        }
    }

    #[inline]
    fn write(&mut self, event: Write) {
        self.open.writing = self.open.writing.next(event);
    }
}

/// Closes an open body: the last chunk with its trailers, or nothing.
fn end_open(open: &mut OpenReply, trailers: &[(HeaderName, HeaderValue)], outbox: &mut Outbox) {
    if open.writing == Writing::Chunked {
        encode::last_chunk(trailers, outbox.tail_mut());
    }
    let is_short = open.writing == Writing::Sized && open.left > 0;
    open.writing = open.writing.next(if is_short { Write::CutShort } else { Write::Ended });
}
