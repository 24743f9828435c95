//! One side of a WebSocket connection: what is read, and when it ends (RFC 6455 §5 to §7).
//! It must never read a clock or a socket, nor read a frame behind a close or one that it has refused.

use super::close::CloseFrame;
use super::frame::{Head, Opcode, Read, Rules};
use super::limits::Limits;
use super::message::{Arriving, Kind, Payload};
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
        /// What it says: its own memory, with nothing behind it.
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
    pub(super) is_server: bool,
    /// Messages are given in parts of so many bytes at least; 0 where they are given whole.
    part_bytes_min: u32,
    may_be_compressed: bool,
    pub(super) state: State,
    /// Nothing more is sent, nor waited for.
    is_cut: bool,
    /// A message was begun in parts, and its last was not sent.
    pub(super) is_sending: bool,
    arriving: Arriving,
    payload: Option<Payload>,
    /// When a byte came last.
    heard_ms: u64,
    /// So many bytes of the input were there before: they are no sign of life.
    seen: usize,
    /// When a ping was sent that nothing has followed, or a close.
    pub(super) asked_ms: Option<u64>,
    /// How many pings, and pongs that nobody had asked for, came since.
    controls: u32,
    /// How many pings were sent that no pong has come for.
    pub(super) pongs_owed: u32,
    controls_since_ms: u64,
    /// For how long nothing was read before that: what came meanwhile is counted now.
    controls_held_ms: u64,
}

const _: () = assert!(size_of::<Machine>() <= 160);

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
            is_server,
            part_bytes_min: 0,
            may_be_compressed: false,
            state: State::Open,
            is_cut: false,
            is_sending: false,
            arriving: Arriving::new(),
            payload: None,
            heard_ms: now_ms,
            seen: 0,
            asked_ms: None,
            controls: 0,
            pongs_owed: 0,
            controls_since_ms: now_ms,
            controls_held_ms: 0,
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
        if input.len() > self.seen {
            self.hear(now_ms);
        }
        let received = self.read(input, now_ms, limits);
        self.seen = input.len() - received.as_ref().map_or(0, Received::consumed);
        if received.is_err() {
            // The next call is told that nothing more is read.
            self.state = if self.state == State::Open { State::Asked } else { State::Over };
        }
        received
    }

    #[inline]
    fn read(&mut self, input: &[u8], now_ms: u64, limits: &Limits) -> Result<Received, Refusal> {
        if let Some(payload) = self.payload.take() {
            return self.read_payload(input, 0, payload);
        }
        let rules = Rules { is_masked: self.is_server, may_be_compressed: self.may_be_compressed };
        let head = match Head::read(input, rules)? {
            Read::Head(head) => head,
            Read::NeedBytes(at_least) => return Ok(Received::NeedBytes { at_least }),
        };
        if head.opcode.is_control() {
            return self.read_control(input, &head, now_ms, limits);
        }
        let payload = match self.state {
            State::Open => self.arriving.begin_frame(&head, limits)?,
            _ => Payload::discarded(&head),
        };
        self.read_payload(input, head.bytes, payload)
    }

    /// Takes what has come of a payload, behind so many bytes of the input.
    #[inline]
    fn read_payload(
        &mut self,
        input: &[u8],
        before: usize,
        mut payload: Payload,
    ) -> Result<Received, Refusal> {
        let rest = &input[before..];
        if rest.is_empty() && payload.rest > 0 {
            self.payload = Some(payload);
            return Ok(match before {
                0 => Received::NeedBytes { at_least: 1 },
                consumed => Received::Taken { consumed },
            });
        }
        if self.state != State::Open {
            let consumed = before + payload.discard(rest);
            self.payload = (payload.rest > 0).then_some(payload);
            return Ok(Received::Taken { consumed });
        }
        let consumed = before + self.arriving.take(rest, &mut payload)?;
        let is_last = payload.rest == 0 && payload.is_final;
        self.payload = (payload.rest > 0).then_some(payload);
        Ok(self.tell(consumed, is_last))
    }

    /// What there is to be told of the message of which something has come.
    #[inline]
    fn tell(&mut self, consumed: usize, is_last: bool) -> Received {
        let Some(kind) = self.arriving.kind else { return Received::Taken { consumed } };
        let is_compressed = self.arriving.is_compressed;
        let part_bytes_min = self.part_bytes_min as usize;
        match (is_last, part_bytes_min > 0) {
            (true, true) => {
                Received::Part { consumed, kind, payload: self.arriving.end(), is_last }
            }
            (true, false) => {
                Received::Message { consumed, kind, is_compressed, payload: self.arriving.end() }
            }
            (false, true) if self.arriving.has_piece(part_bytes_min) => {
                Received::Part { consumed, kind, payload: self.arriving.take_piece(), is_last }
            }
            (false, _) => Received::Taken { consumed },
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
                    self.count_control(now_ms, limits)?;
                }
                match (self.state, opcode) {
                    (State::Open, Opcode::Ping) => Ok(Received::Ping { consumed, payload }),
                    (State::Open, _) => Ok(Received::Pong { consumed, payload }),
                    _ => Ok(Received::Taken { consumed }),
                }
            }
        }
    }

    fn count_control(&mut self, now_ms: u64, limits: &Limits) -> Result<(), Refusal> {
        self.count_anew(now_ms);
        self.controls = self.controls.saturating_add(1);
        let most = u64::from(limits.socket_controls_max);
        let held = most.saturating_mul(self.controls_held_ms) / 1_000;
        if u64::from(self.controls) > most.saturating_add(held) {
            return Err(Refusal::Controls);
        }
        Ok(())
    }

    /// Begins another count, where the second of the last one was over by then.
    const fn count_anew(&mut self, now_ms: u64) {
        if now_ms >= self.controls_since_ms.saturating_add(1_000) {
            (self.controls_since_ms, self.controls, self.controls_held_ms) = (now_ms, 0, 0);
        }
    }

    /// A byte has come: the peer lives.
    #[inline]
    const fn hear(&mut self, now_ms: u64) {
        self.heard_ms = now_ms;
        if matches!(self.state, State::Open) {
            self.asked_ms = None;
        }
    }

    /// The input goes on after a while in which it was held back: that while is not the peer's, and
    /// what came in it is not counted as if it came now.
    pub const fn resume(&mut self, now_ms: u64) {
        self.count_anew(self.heard_ms);
        let held_ms = now_ms.saturating_sub(self.heard_ms);
        self.controls_since_ms = self.controls_since_ms.saturating_add(held_ms);
        self.controls_held_ms = self.controls_held_ms.saturating_add(held_ms);
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
            (State::Open, Some(asked_ms)) => (asked_ms, limits.socket_dead_ms),
            (State::Open, None) => (self.heard_ms, limits.socket_ping_ms),
            (_, Some(asked_ms)) => (asked_ms, limits.socket_close_timeout_ms),
            (_, None) => return None,
        };
        Some(since_ms.saturating_add(wait_ms))
    }

    /// What is to be done when a deadline has passed; none when it has not.
    pub fn on_deadline(&mut self, now_ms: u64, limits: &Limits) -> Option<Due> {
        if now_ms < self.next_deadline(limits)? {
            return None;
        }
        let limit = match (self.state, self.asked_ms) {
            (State::Open, None) => {
                self.asked_ms = Some(now_ms);
                return Some(Due::Ping);
            }
            (State::Open, Some(_)) => "socket_dead_ms",
            _ => "socket_close_timeout_ms",
        };
        (self.state, self.is_cut) = (State::Over, true);
        Some(Due::Gone(limit))
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
        self.arriving.bytes.len()
    }
}
