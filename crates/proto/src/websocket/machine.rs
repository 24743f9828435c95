//! One side of a WebSocket connection: what is read, and when it ends (RFC 6455 §5 to §7).
//! It must never read a clock or a socket, nor read a frame behind a close or one that it has refused.

use super::close::CloseFrame;
use super::controls::Controls;
use super::frame::{Head, Opcode, Read, Rules};
use super::limits::Limits;
use super::message::{Arriving, InPlace, Kind, Payload, whole, whole_in_place};
use super::refusal::Refusal;

/// How far the connection is from its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Open,
    /// The peer has sent its close, which is not answered.
    Asked,
    /// A close was sent, and the peer's has not come: its messages are thrown away.
    Closing,
    /// Closes have gone both ways, or none will any more.
    Over,
}

/// One event of the bytes that came.
#[derive(Debug, PartialEq, Eq)]
pub enum Received {
    /// There is no whole frame to be told of. Keep the bytes and come again with `at_least`.
    NeedBytes {
        /// How many bytes the input must have before it is worth another look.
        at_least: usize,
    },
    /// Bytes of which there is nothing to be told yet.
    Taken {
        /// How many.
        consumed: usize,
    },
    /// A whole message.
    Message {
        /// How many bytes of the input it takes.
        consumed: usize,
        /// What it is.
        kind: Kind,
        /// It is still compressed (RFC 7692); whether it is text is not known before it is inflated.
        is_compressed: bool,
        /// What it says: its own memory, with nothing behind it but room for a few bytes.
        payload: Vec<u8>,
    },
    /// A part of a message, where those are asked for: see [`Machine::stream`].
    Part {
        /// How many bytes of the input it takes.
        consumed: usize,
        /// What the message is.
        kind: Kind,
        /// The part; text is never cut within a character.
        payload: Vec<u8>,
        /// Whether the message ends with it.
        is_last: bool,
    },
    /// A ping, to be answered by [`Machine::send_pong`] with its payload.
    Ping {
        /// How many bytes of the input it takes.
        consumed: usize,
        /// What it says, 125 bytes at most.
        payload: Vec<u8>,
    },
    /// A pong, of which nothing needs to be made.
    Pong {
        /// How many bytes of the input it takes.
        consumed: usize,
        /// What it says, 125 bytes at most.
        payload: Vec<u8>,
    },
    /// A close; nothing is read behind it. Unless one was sent before, it is to be answered by
    /// [`Machine::answer_close`].
    Close {
        /// How many bytes of the input it takes.
        consumed: usize,
        /// What it says.
        frame: CloseFrame,
    },
    /// Nothing more is read.
    Closed,
}

impl Received {
    /// How many bytes of the input it takes.
    #[inline]
    const fn consumed(&self) -> usize {
        match self {
            Self::NeedBytes { .. } | Self::Closed => 0,
            Self::Taken { consumed }
            | Self::Message { consumed, .. }
            | Self::Part { consumed, .. }
            | Self::Ping { consumed, .. }
            | Self::Pong { consumed, .. }
            | Self::Close { consumed, .. } => *consumed,
        }
    }
}

/// What a deadline has come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Due {
    /// The peer has said nothing for a while: send it a ping by [`Machine::send_ping`].
    Ping,
    /// The peer is taken to be gone, by the limit of this name: the connection is over.
    Gone(&'static str),
}

/// One side of a WebSocket connection, behind its handshake.
///
/// Loop [`receive`](Self::receive) until it needs bytes or is closed. Nothing is written but by the
/// `send_*` verbs, to the outbox that they are given. A client gives each frame a key that nobody can
/// foretell, a server none.
///
/// ```
/// use springtide_proto::Outbox;
/// use springtide_proto::websocket::{Kind, Limits, Machine, Received};
///
/// let limits = Limits::default();
/// let (mut server, client, mut outbox) = (Machine::server(0), Machine::client(0), Outbox::new());
/// client.send_message(Kind::Text, "tide".into(), Some([1, 2, 3, 4]), &mut outbox)?;
/// let input = outbox.take_only(usize::MAX).expect("a short message is one piece");
/// let Received::Message { consumed, payload, .. } = server.receive(&input, 0, &limits)? else {
///     panic!("it has come as a whole");
/// };
/// assert_eq!((consumed, payload.as_slice()), (10, b"tide".as_slice()));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Machine {
    /// The message of which something has come, and not all: none while the connection is idle.
    pub(super) arriving: Option<Box<Arriving>>,
    /// What came of pings and pongs that nobody had asked for; none before the first.
    controls: Option<Box<Controls>>,
    /// When a byte came last.
    heard_ms: u64,
    /// When a ping was sent that nothing has followed, or a close; [`NEVER`] otherwise.
    asked_ms: u64,
    /// So many bytes of the input were there before: they are no sign of life.
    seen: u32,
    /// Messages are given in parts of so many bytes at least; 0 where they are given whole.
    pub(super) part_bytes_min: u32,
    /// How many pings were sent that no pong has come for.
    pub(super) pongs_owed: u16,
    pub(super) is_server: bool,
    may_be_compressed: bool,
    pub(super) state: State,
    /// Nothing more is sent, nor waited for.
    is_cut: bool,
    /// A message was begun in parts, and its last was not sent.
    pub(super) is_sending: bool,
}

const _: () = assert!(size_of::<Machine>() <= 48, "an idle connection holds one of these");

const NEVER: u64 = u64::MAX;

impl Machine {
    /// The server's side of a connection that has just been upgraded.
    #[must_use]
    pub const fn server(now_ms: u64) -> Self {
        Self::of(true, now_ms)
    }

    /// The client's side.
    #[must_use]
    pub const fn client(now_ms: u64) -> Self {
        Self::of(false, now_ms)
    }

    const fn of(is_server: bool, now_ms: u64) -> Self {
        Self {
            arriving: None,
            controls: None,
            heard_ms: now_ms,
            asked_ms: NEVER,
            seen: 0,
            part_bytes_min: 0,
            pongs_owed: 0,
            is_server,
            may_be_compressed: false,
            state: State::Open,
            is_cut: false,
            is_sending: false,
        }
    }

    /// Gives messages in parts from here on: as soon as so many bytes have come, at least one, and what is
    /// left at their end. Nothing else is kept of them.
    pub const fn stream(&mut self, bytes_min: u32) {
        self.part_bytes_min = if bytes_min > 0 { bytes_min } else { 1 };
    }

    /// Messages may come compressed from here on: `permessage-deflate` was agreed on (RFC 7692).
    pub const fn accept_compressed(&mut self) {
        self.may_be_compressed = true;
    }

    /// Reads one event from the beginning of the input, whose consumed bytes are not given again, and
    /// all others are: only what is new behind them is a sign of life.
    ///
    /// # Errors
    /// When the peer breaks the protocol or a limit: give the refusal to [`refuse`](Self::refuse).
    /// Nothing more is read from then on.
    #[inline]
    pub fn receive(
        &mut self,
        input: &[u8],
        now_ms: u64,
        limits: &Limits,
    ) -> Result<Received, Refusal> {
        if matches!(self.state, State::Asked | State::Over) {
            return Ok(Received::Closed);
        }
        if input.is_empty() {
            // As behind most messages: there is nothing to look at.
            self.seen = 0;
            return Ok(Received::NeedBytes { at_least: self.bytes_wanted() });
        }
        if input.len() > self.seen as usize {
            self.hear(now_ms);
        }
        let received = self.read(input, now_ms, limits);
        let left = input.len() - received.as_ref().map_or(0, Received::consumed);
        self.seen = u32::try_from(left).unwrap_or(u32::MAX);
        if received.is_err() {
            self.read_no_more();
        }
        received
    }

    /// The peer is refused: the next call is told that nothing more is read.
    pub(super) fn read_no_more(&mut self) {
        self.state = if self.state == State::Open { State::Asked } else { State::Over };
    }

    /// Reads a message that has come as a whole, in one frame, where it stands, and takes its mask off there:
    /// a long one in memory of its own needs no copy. None where something else comes, a part of it, what is
    /// compressed, or a message of fewer bytes than that: then nothing was read, and
    /// [`receive`](Self::receive) reads it.
    ///
    /// ```
    /// use springtide_proto::websocket::{Kind, Limits, Machine};
    ///
    /// let mut input = *b"\x81\x84\x01\x02\x03\x04ukga";
    /// let read = Machine::server(0).receive_in_place(&mut input, 4, 0, &Limits::default())?;
    /// let message = read.expect("it has come as a whole");
    /// assert_eq!((message.kind, &input[message.payload]), (Kind::Text, b"tide".as_slice()));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// When it is text and no UTF-8, as of `receive`.
    pub fn receive_in_place(
        &mut self,
        input: &mut [u8],
        bytes_min: usize,
        now_ms: u64,
        limits: &Limits,
    ) -> Result<Option<InPlace>, Refusal> {
        if self.state != State::Open || self.arriving.is_some() || self.part_bytes_min > 0 {
            return Ok(None);
        }
        let Ok(Read::Head(head)) = Head::read(input, self.rules()) else { return Ok(None) };
        if head.is_compressed || head.length < bytes_min as u64 {
            return Ok(None);
        }
        let Some(read) = whole_in_place(input, &head, limits) else { return Ok(None) };
        if input.len() > self.seen as usize {
            self.hear(now_ms);
        }
        match read {
            Ok(message) => {
                self.seen = u32::try_from(input.len() - message.consumed).unwrap_or(u32::MAX);
                Ok(Some(message))
            }
            Err(refusal) => {
                self.read_no_more();
                Err(refusal)
            }
        }
    }

    /// How many bytes the input must have that has none: one of a payload, or the least of a head.
    #[inline]
    fn bytes_wanted(&self) -> usize {
        let is_within = self.arriving.as_ref().is_some_and(|own| own.payload.is_some());
        if is_within { 1 } else { 2 }
    }

    /// How the peer's frames have to be.
    #[inline]
    const fn rules(&self) -> Rules {
        Rules { is_masked: self.is_server, may_be_compressed: self.may_be_compressed }
    }

    #[inline]
    fn read(&mut self, input: &[u8], now_ms: u64, limits: &Limits) -> Result<Received, Refusal> {
        if let Some(payload) = self.arriving.as_mut().and_then(|own| own.payload.take()) {
            return self.read_payload(input, 0, payload);
        }
        let head = match Head::read(input, self.rules())? {
            Read::Head(head) => head,
            Read::NeedBytes(at_least) => return Ok(Received::NeedBytes { at_least }),
        };
        if head.opcode.is_control() {
            return self.read_control(input, &head, now_ms, limits);
        }
        if self.state != State::Open {
            return self.read_payload(input, head.bytes, Payload::discarded(&head));
        }
        if self.arriving.is_none()
            && self.part_bytes_min == 0
            && let Some(message) = whole(input, &head, limits)
        {
            return message;
        }
        let payload = self.arriving.get_or_insert_default().begin_frame(&head, limits)?;
        self.read_payload(input, head.bytes, payload)
    }

    /// Takes what has come of a payload, behind so many bytes of the input.
    fn read_payload(
        &mut self,
        input: &[u8],
        before: usize,
        mut payload: Payload,
    ) -> Result<Received, Refusal> {
        let rest = &input[before..];
        let arriving = self.arriving.get_or_insert_default();
        if rest.is_empty() && payload.rest > 0 {
            arriving.payload = Some(payload);
            return Ok(Received::Taken { consumed: before });
        }
        if self.state != State::Open {
            let consumed = before + payload.discard(rest);
            return Ok(self.thrown_away(consumed, payload));
        }
        let consumed = before + arriving.take(rest, &mut payload)?;
        Ok(self.tell(consumed, payload))
    }

    /// Nobody wants what came of a payload, of which this is left.
    pub(super) fn thrown_away(&mut self, consumed: usize, payload: Payload) -> Received {
        self.arriving.take_if(|_| payload.rest == 0);
        if let Some(own) = &mut self.arriving {
            own.payload = Some(payload);
        }
        Received::Taken { consumed }
    }

    /// What there is to be told of the message of which something has come, with what is left of its frame.
    pub(super) fn tell(&mut self, consumed: usize, payload: Payload) -> Received {
        let is_last = payload.rest == 0 && payload.is_final;
        if let Some(own) = &mut self.arriving {
            own.payload = (payload.rest > 0).then_some(payload);
        }
        let part_bytes_min = self.part_bytes_min as usize;
        let in_parts = part_bytes_min > 0;
        let Some(own) = self.arriving.take_if(|own| is_last || own.kind.is_none()) else {
            return match self.arriving.as_mut().and_then(|own| Some((own.kind?, own))) {
                Some((kind, own)) if in_parts && own.has_piece(part_bytes_min) => {
                    Received::Part { consumed, kind, payload: own.take_piece(), is_last }
                }
                _ => Received::Taken { consumed },
            };
        };
        let Arriving { kind: Some(kind), is_compressed, bytes: payload, .. } = *own else {
            return Received::Taken { consumed };
        };
        match in_parts {
            true => Received::Part { consumed, kind, payload, is_last },
            false => Received::Message { consumed, kind, is_compressed, payload },
        }
    }

    /// A control frame is told of when it is whole: it is short.
    fn read_control(
        &mut self,
        input: &[u8],
        head: &Head,
        now_ms: u64,
        limits: &Limits,
    ) -> Result<Received, Refusal> {
        let consumed = head.bytes + usize::try_from(head.length).unwrap_or(usize::MAX);
        let Some(payload) = input.get(head.bytes..consumed) else {
            return Ok(Received::NeedBytes { at_least: consumed });
        };
        let mut payload = payload.to_vec();
        if let Some(key) = head.key {
            super::mask::apply_mask(&mut payload, key);
        }
        match head.opcode {
            Opcode::Close => {
                let frame = CloseFrame::read(&payload)?;
                self.state = if self.state == State::Open { State::Asked } else { State::Over };
                Ok(Received::Close { consumed, frame })
            }
            opcode => {
                if opcode == Opcode::Pong && self.pongs_owed > 0 {
                    self.pongs_owed -= 1;
                } else {
                    let counted =
                        self.controls.get_or_insert_with(|| Controls::since(now_ms).into());
                    counted.add(now_ms, limits)?;
                }
                match (self.state, opcode) {
                    (State::Open, Opcode::Ping) => Ok(Received::Ping { consumed, payload }),
                    (State::Open, _) => Ok(Received::Pong { consumed, payload }),
                    _ => Ok(Received::Taken { consumed }),
                }
            }
        }
    }

    /// A byte has come: the peer lives.
    #[inline]
    pub(super) const fn hear(&mut self, now_ms: u64) {
        self.heard_ms = now_ms;
        if matches!(self.state, State::Open) {
            self.asked_ms = NEVER;
        }
    }

    /// The input goes on after a while in which it was held back: that while is not the peer's, and
    /// what came in it is not counted as if it came now.
    pub fn resume(&mut self, now_ms: u64) {
        let heard_ms = self.heard_ms;
        let counted = self.controls.get_or_insert_with(|| Controls::since(heard_ms).into());
        counted.hold(heard_ms, now_ms);
        self.hear(now_ms);
    }

    /// Notes that the peer's stream has ended; whether that was to be expected, behind a close.
    pub fn end_of_stream(&mut self) -> bool {
        let is_expected = self.state == State::Over;
        (self.state, self.is_cut) = (State::Over, true);
        is_expected
    }

    /// When [`on_deadline`](Self::on_deadline) is to be called, if nothing happens before.
    #[inline]
    #[must_use]
    pub const fn next_deadline(&self, limits: &Limits) -> Option<u64> {
        let (since_ms, wait_ms) = match (self.state, self.asked_ms) {
            _ if self.is_cut => return None,
            (State::Open, NEVER) => (self.heard_ms, limits.socket_ping_ms),
            (State::Open, asked_ms) => (asked_ms, limits.socket_dead_ms),
            (_, NEVER) => return None,
            (_, asked_ms) => (asked_ms, limits.socket_close_timeout_ms),
        };
        Some(since_ms.saturating_add(wait_ms))
    }

    /// What is to be done when a deadline has passed; none when it has not.
    pub fn on_deadline(&mut self, now_ms: u64, limits: &Limits) -> Option<Due> {
        if now_ms < self.next_deadline(limits)? {
            return None;
        }
        let limit = match (self.state, self.asked_ms) {
            (State::Open, NEVER) => {
                self.asks(now_ms);
                return Some(Due::Ping);
            }
            (State::Open, _) => "socket_dead_ms",
            _ => "socket_close_timeout_ms",
        };
        (self.state, self.is_cut) = (State::Over, true);
        Some(Due::Gone(limit))
    }

    /// The peer is asked for something from now on.
    pub(super) const fn asks(&mut self, now_ms: u64) {
        self.asked_ms = now_ms;
    }

    /// Whether the connection must be closed once everything written so far has been sent. A client
    /// leaves that to its server for a while (RFC 6455 §7.1.1).
    #[inline]
    #[must_use]
    pub const fn wants_close(&self) -> bool {
        self.is_cut || (self.is_server && matches!(self.state, State::Over))
    }

    /// Whether messages may be sent: no close was, and the connection is not over.
    #[inline]
    #[must_use]
    pub const fn may_send(&self) -> bool {
        matches!(self.state, State::Open | State::Asked)
    }

    /// Bytes of a message that has not come as a whole.
    #[inline]
    #[must_use]
    pub fn bytes_held(&self) -> usize {
        self.arriving.as_ref().map_or(0, |own| own.bytes.len())
    }
}
