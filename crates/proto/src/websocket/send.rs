//! What is written to the peer: messages, whole or in parts, and control frames between them.
//! It must never write behind a close, nor a frame that the other side would have to refuse.

use std::fmt;

use bytes::Bytes;

use super::close::CloseFrame;
use super::frame::{CONTROL_BYTES_MAX, Opcode, Opening};
use super::machine::{Machine, State};
use super::mask::{MaskKey, apply_mask};
use super::message::Kind;
use super::refusal::Refusal;
use crate::{COPY_BYTES_MAX, Outbox, Piece};

/// Why nothing was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum SendError {
    /// A close was sent, or the connection is over.
    Closing,
    /// A control frame has 125 bytes at most.
    ControlTooLong,
    /// A message that is sent in parts has not ended.
    WithinMessage,
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Closing => "the connection closes",
            Self::ControlTooLong => "a control frame has 125 bytes at most",
            Self::WithinMessage => "a message that is sent in parts has not ended",
        })
    }
}

impl std::error::Error for SendError {}

/// A message as servers send it, encoded once for any number of connections. Clones share it.
///
/// ```
/// use springtide_proto::Outbox;
/// use springtide_proto::websocket::{Encoded, Kind, Machine};
///
/// let encoded = Encoded::new(Kind::Text, "high".into());
/// for _ in 0..1000 {
///     let (machine, mut outbox) = (Machine::server(0), Outbox::new());
///     machine.send_encoded(&encoded, &mut outbox)?;
///     assert_eq!(outbox.take_only(usize::MAX), Some(b"\x81\x04high".to_vec()));
/// }
/// # Ok::<(), springtide_proto::websocket::SendError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Encoded {
    /// The head, and a short payload behind it.
    head: Bytes,
    /// A long payload, where it lies.
    body: Bytes,
}

impl Encoded {
    /// Encodes a message. Only a short one is copied.
    #[must_use]
    pub fn new(kind: Kind, payload: Piece) -> Self {
        Self::of(kind, payload, false)
    }

    /// The same of a payload that was deflated (RFC 7692 §7.2.1).
    #[must_use]
    pub fn compressed(kind: Kind, payload: Piece) -> Self {
        Self::of(kind, payload, true)
    }

    fn of(kind: Kind, payload: Piece, is_compressed: bool) -> Self {
        let opening = Opening { is_compressed, ..Opening::whole(kind.into(), payload.len(), None) };
        let mut head = Vec::new();
        if payload.len() <= COPY_BYTES_MAX {
            head.reserve_exact(payload.len() + 4);
            opening.write(&mut head);
            head.extend_from_slice(payload.as_slice());
            return Self { head: head.into(), body: Bytes::new() };
        }
        opening.write(&mut head);
        Self { head: head.into(), body: payload.into_shared() }
    }

    /// How many bytes it takes on the wire.
    #[must_use]
    pub fn len(&self) -> usize {
        self.head.len() + self.body.len()
    }

    /// All of it, where the payload was short: it lies behind its head then.
    #[inline]
    #[must_use]
    pub fn as_one(&self) -> Option<&Bytes> {
        self.body.is_empty().then_some(&self.head)
    }

    /// Never: a message has a head, at least.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.head.is_empty()
    }
}

impl Machine {
    /// Sends a whole message. Text must be UTF-8: the peer refuses any other.
    ///
    /// # Errors
    /// When the connection closes, or a message in parts has not ended.
    ///
    /// # Panics
    /// When a client gives no key, or a server one, here and wherever there is one.
    #[inline]
    pub fn send_message(
        &self,
        kind: Kind,
        payload: Piece,
        key: Option<MaskKey>,
        outbox: &mut Outbox,
    ) -> Result<(), SendError> {
        self.send_whole(Opening::whole(kind.into(), payload.len(), key), payload, outbox)
    }

    /// Sends a whole message that was deflated (RFC 7692 §7.2.1).
    ///
    /// # Errors
    /// When the connection closes, or a message in parts has not ended.
    pub fn send_compressed(
        &self,
        kind: Kind,
        payload: Piece,
        key: Option<MaskKey>,
        outbox: &mut Outbox,
    ) -> Result<(), SendError> {
        let whole = Opening::whole(kind.into(), payload.len(), key);
        self.send_whole(Opening { is_compressed: true, ..whole }, payload, outbox)
    }

    /// Sends a frame that is a message of its own, unless one in parts has not ended.
    #[inline]
    fn send_whole(
        &self,
        opening: Opening,
        payload: Piece,
        outbox: &mut Outbox,
    ) -> Result<(), SendError> {
        match self.is_sending {
            true => Err(SendError::WithinMessage),
            false => self.send(opening, payload, outbox),
        }
    }

    /// Sends a part of a message, which may be empty. Until the last has been sent, only control frames
    /// stand between them (RFC 6455 §5.4), and what the first said that the message is holds.
    ///
    /// # Errors
    /// When the connection closes.
    pub fn send_part(
        &mut self,
        kind: Kind,
        payload: Piece,
        is_last: bool,
        key: Option<MaskKey>,
        outbox: &mut Outbox,
    ) -> Result<(), SendError> {
        let opcode = if self.is_sending { Opcode::Continuation } else { kind.into() };
        let opening = Opening { is_final: is_last, ..Opening::whole(opcode, payload.len(), key) };
        self.send(opening, payload, outbox)?;
        self.is_sending = !is_last;
        Ok(())
    }

    /// Sends a message that was encoded before, from a server.
    ///
    /// # Errors
    /// When the connection closes, or a message in parts has not ended.
    ///
    /// # Panics
    /// At a client.
    #[inline]
    pub fn send_encoded(&self, encoded: &Encoded, outbox: &mut Outbox) -> Result<(), SendError> {
        assert!(self.is_server, "what a client sends has a key of its own");
        if !self.may_send() {
            return Err(SendError::Closing);
        }
        if self.is_sending {
            return Err(SendError::WithinMessage);
        }
        outbox.extend(&encoded.head);
        if !encoded.body.is_empty() {
            outbox.push(Piece::Shared(encoded.body.clone()));
        }
        Ok(())
    }

    /// Sends a ping of at most 125 bytes.
    ///
    /// # Errors
    /// When it is longer, or the connection closes.
    pub fn send_ping(
        &mut self,
        payload: &[u8],
        key: Option<MaskKey>,
        outbox: &mut Outbox,
    ) -> Result<(), SendError> {
        self.send_control(Opcode::Ping, payload, key, outbox)?;
        self.pongs_owed = self.pongs_owed.saturating_add(1);
        Ok(())
    }

    /// Sends a pong of at most 125 bytes: to a ping with its payload, or unasked.
    ///
    /// # Errors
    /// When it is longer, or the connection closes.
    pub fn send_pong(
        &self,
        payload: &[u8],
        key: Option<MaskKey>,
        outbox: &mut Outbox,
    ) -> Result<(), SendError> {
        self.send_control(Opcode::Pong, payload, key, outbox)
    }

    /// Begins to close: messages that come are thrown away from here on, until the peer's close does.
    ///
    /// # Errors
    /// When a close was sent before.
    pub fn send_close(
        &mut self,
        frame: &CloseFrame,
        now_ms: u64,
        key: Option<MaskKey>,
        outbox: &mut Outbox,
    ) -> Result<(), SendError> {
        self.send_control(Opcode::Close, &frame.payload(), key, outbox)?;
        self.state = if self.state == State::Asked { State::Over } else { State::Closing };
        self.asks(now_ms);
        Ok(())
    }

    /// Answers the peer's close with its own code (RFC 6455 §5.5.1); nothing, where one was sent.
    pub fn answer_close(
        &mut self,
        frame: &CloseFrame,
        now_ms: u64,
        key: Option<MaskKey>,
        outbox: &mut Outbox,
    ) {
        if self.state == State::Asked {
            let answer = CloseFrame::answering(frame);
            // It has not closed: that cannot fail.
            let _ = self.send_close(&answer, now_ms, key, outbox);
        }
    }

    /// Tells the peer what it did wrong: the connection is over (RFC 6455 §7.1.7).
    pub fn refuse(
        &mut self,
        refusal: Refusal,
        now_ms: u64,
        key: Option<MaskKey>,
        outbox: &mut Outbox,
    ) {
        // One that was sent before is the last word.
        let _ = self.send_close(&CloseFrame::of(refusal), now_ms, key, outbox);
        self.state = State::Over;
    }

    fn send_control(
        &self,
        opcode: Opcode,
        payload: &[u8],
        key: Option<MaskKey>,
        outbox: &mut Outbox,
    ) -> Result<(), SendError> {
        if payload.len() > CONTROL_BYTES_MAX {
            return Err(SendError::ControlTooLong);
        }
        let opening = Opening::whole(opcode, payload.len(), key);
        self.send(opening, Piece::Owned(payload.to_vec()), outbox)
    }

    #[inline]
    fn send(&self, opening: Opening, payload: Piece, outbox: &mut Outbox) -> Result<(), SendError> {
        assert!(opening.key.is_none() == self.is_server, "a client masks, and a server does not");
        if !self.may_send() {
            return Err(SendError::Closing);
        }
        opening.write(outbox.tail_mut());
        match opening.key {
            None => outbox.push(payload),
            Some(key) => {
                let mut bytes = match payload {
                    Piece::Owned(bytes) => bytes,
                    Piece::Shared(bytes) => bytes.to_vec(),
                };
                apply_mask(&mut bytes, key);
                outbox.push(Piece::Owned(bytes));
            }
        }
        Ok(())
    }
}
