//! Feeds a machine in pieces and writes down what it says, in words that do not depend on the cuts.
//! It must never be cleverer than a session: consume what is reported, answer, and loop.

use std::fmt::Write;

use springtide_proto::websocket::{Kind, Limits, Machine, MaskKey, Received, Refusal, apply_mask};
use springtide_proto::{Inbox, Outbox};

/// What clients of these tests mask with: a fixed key finds an offset that is wrong.
pub(crate) const KEY: MaskKey = [0x37, 0xfa, 0x21, 0x3d];

/// Which side is tested.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    Server,
    Client,
}

/// A machine with what a connection keeps around it.
pub(crate) struct Driver {
    pub(crate) machine: Machine,
    pub(crate) limits: Limits,
    pub(crate) inbox: Inbox,
    pub(crate) outbox: Outbox,
    pub(crate) now_ms: u64,
    /// One line for each event.
    pub(crate) said: String,
    key: Option<MaskKey>,
    /// Some of the message that is arriving came into lent memory.
    is_lent: bool,
}

impl Driver {
    pub(crate) fn new(side: Side, limits: Limits) -> Self {
        let (machine, key) = match side {
            Side::Server => (Machine::server(0), None),
            Side::Client => (Machine::client(0), Some(KEY)),
        };
        let (inbox, outbox, said) = Default::default();
        Self { machine, limits, inbox, outbox, now_ms: 0, said, key, is_lent: false }
    }

    /// Gives the machine more bytes and lets it read until it wants no more.
    pub(crate) fn feed(&mut self, bytes: &[u8]) {
        self.inbox.append(bytes);
        while self.step() {}
    }

    /// The same, where what is to come of a frame is received into the memory of its message.
    pub(crate) fn feed_lent(&mut self, mut bytes: &[u8], likely: usize) {
        while !bytes.is_empty() {
            let left = usize::try_from(self.machine.payload_left()).unwrap();
            if left == 0 || !self.inbox.is_empty() {
                return self.feed(bytes);
            }
            let mut memory = self.machine.lend(likely).expect("something is to come");
            let (before, room) = (memory.len(), memory.capacity() - memory.len());
            assert!(room > 0);
            let count = bytes.len().min(left).min(room);
            memory.extend_from_slice(&bytes[..count]);
            bytes = &bytes[count..];
            self.is_lent = true;
            let received = self.machine.receive_lent(memory, before, self.now_ms);
            if let Ok(Received::Message { consumed, .. } | Received::Taken { consumed }) = &received
            {
                assert_eq!(*consumed, count);
            }
            self.told(received);
        }
    }

    /// One event. False when the machine reads no further for now.
    fn step(&mut self) -> bool {
        let input = self.inbox.as_slice();
        let received = self.machine.receive(input, self.now_ms, &self.limits);
        if let Ok(Received::NeedBytes { at_least }) = received {
            assert!(at_least > input.len(), "{at_least} of {}", input.len());
        }
        match self.told(received) {
            Some(consumed) => self.inbox.consume(consumed),
            None => return false,
        }
        true
    }

    /// Writes down one event, and answers it; how many bytes it took, unless nothing further is read.
    fn told(&mut self, received: Result<Received, Refusal>) -> Option<usize> {
        let received = match received {
            Ok(received) => received,
            Err(refusal) => {
                writeln!(self.said, "refused {} {refusal}", refusal.code()).unwrap();
                self.machine.refuse(refusal, self.now_ms, self.key, &mut self.outbox);
                return Some(0);
            }
        };
        Some(match received {
            Received::NeedBytes { .. } | Received::Closed => return None,
            Received::Taken { consumed } => consumed,
            Received::Message { consumed, kind, payload, is_compressed } => {
                let room = if std::mem::take(&mut self.is_lent) { 32 } else { 0 };
                assert!(!is_compressed && payload.capacity() <= payload.len() + room);
                self.say(kind, &payload);
                consumed
            }
            Received::Part { consumed, kind, payload, is_last } => {
                assert!(is_last || !payload.is_empty());
                self.say_part(kind, &payload, is_last);
                consumed
            }
            Received::Ping { consumed, payload } => {
                writeln!(self.said, "ping {:?}", String::from_utf8_lossy(&payload)).unwrap();
                self.machine.send_pong(&payload, self.key, &mut self.outbox).unwrap();
                consumed
            }
            Received::Pong { consumed, payload } => {
                writeln!(self.said, "pong {:?}", String::from_utf8_lossy(&payload)).unwrap();
                consumed
            }
            Received::Close { consumed, frame } => {
                writeln!(self.said, "close {} {:?}", frame.code(), frame.reason()).unwrap();
                self.machine.answer_close(&frame, self.now_ms, self.key, &mut self.outbox);
                consumed
            }
        })
    }

    fn say(&mut self, kind: Kind, payload: &[u8]) {
        match kind {
            Kind::Text => {
                let text = std::str::from_utf8(payload).expect("text is checked");
                writeln!(self.said, "text {text:?}").unwrap();
            }
            Kind::Binary => writeln!(self.said, "binary {payload:?}").unwrap(),
        }
    }

    /// Parts are written without a border between them: where they are cut depends on the cuts.
    fn say_part(&mut self, kind: Kind, payload: &[u8], is_last: bool) {
        if kind == Kind::Text {
            self.said.push_str(std::str::from_utf8(payload).expect("no character is cut"));
        } else {
            payload.iter().for_each(|byte| write!(self.said, "{byte:02x}").unwrap());
        }
        if is_last {
            self.said.push('\n');
        }
    }

    /// Everything written since the last call.
    pub(crate) fn sent(&mut self) -> Vec<u8> {
        let mut pieces = Vec::new();
        self.outbox.take_pieces(&mut pieces);
        pieces.iter().flat_map(|piece| piece.as_slice().to_vec()).collect()
    }
}

/// A frame with this first byte, as this side's peer sends it.
pub(crate) fn frame(to: Side, first: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = head(to, first, payload.len());
    let mut payload = payload.to_vec();
    if to == Side::Server {
        bytes.extend(KEY);
        apply_mask(&mut payload, KEY);
    }
    bytes.extend(payload);
    bytes
}

/// The head of a frame without its key.
pub(crate) fn head(to: Side, first: u8, length: usize) -> Vec<u8> {
    let masked = if to == Side::Server { 0x80 } else { 0 };
    match length {
        ..126 => vec![first, masked | length as u8],
        126..0x1_0000 => {
            [&[first, masked | 126], (length as u16).to_be_bytes().as_slice()].concat()
        }
        _ => [&[first, masked | 127], (length as u64).to_be_bytes().as_slice()].concat(),
    }
}

/// The pieces that these cuts make of an input.
pub(crate) fn pieces<'a>(input: &'a [u8], cuts: &[usize]) -> impl Iterator<Item = &'a [u8]> {
    let ends: Vec<usize> = cuts.iter().copied().chain([input.len()]).collect();
    let mut start = 0;
    ends.into_iter().map(move |end| &input[std::mem::replace(&mut start, end)..end])
}

/// Whole, at every split and byte by byte.
pub(crate) fn all_cuts(length: usize) -> impl Iterator<Item = Vec<usize>> {
    let every: Vec<usize> = (1..length).collect();
    (0..length).map(|split| vec![split]).chain([vec![], every])
}

/// Checks what one side says of an input, however that is cut; the same with messages in parts, where
/// that makes no difference.
pub(crate) fn check_bytes(side: Side, input: &[u8], limits: &Limits, expected: &[&str]) {
    let expected: String = expected.iter().map(|line| format!("{line}\n")).collect();
    let mut answered = None;
    for cuts in all_cuts(input.len()) {
        let mut driver = Driver::new(side, limits.clone());
        pieces(input, &cuts).for_each(|piece| driver.feed(piece));
        assert_eq!(driver.said, expected, "{side:?}: {input:x?} cut at {cuts:?}");
        let sent = driver.sent();
        assert_eq!(*answered.get_or_insert_with(|| sent.clone()), sent, "what is answered");
    }
}

/// Checks frames, by their first bytes and payloads, on both sides.
pub(crate) fn check(frames: &[(u8, &[u8])], expected: &[&str]) {
    check_limited(frames, &Limits::default(), expected);
}

/// The same with limits of the case's own.
pub(crate) fn check_limited(frames: &[(u8, &[u8])], limits: &Limits, expected: &[&str]) {
    for side in [Side::Server, Side::Client] {
        let input: Vec<u8> =
            frames.iter().flat_map(|(first, payload)| frame(side, *first, payload)).collect();
        check_bytes(side, &input, limits, expected);
    }
}
