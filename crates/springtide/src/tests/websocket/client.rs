//! The peer of a WebSocket in tests: the client's machine over a peer of a stage.
//! It must never be kinder than a browser: it reads on, answers pings, and checks what it is sent.

use springtide_proto::websocket::{
    CloseFrame, Deflater, Inflater, Kind, Limits, Machine, Received, Window,
};
use springtide_proto::{Inbox, Outbox, Piece};

use crate::Message;
use crate::tests::{Peer, Stage};

/// What clients compress by: each message for itself.
const SINGLE: Window = Window { bits: 15, takes_over: false };
const KEY: Option<[u8; 4]> = Some([0x37, 0xfa, 0x21, 0x3d]);

/// A handshake that is right.
pub(in crate::tests) const OFFER: &str = "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n\
    Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

/// A message as the client sends it.
pub(in crate::tests) fn frame(message: impl Into<Message>) -> Vec<u8> {
    let mut outbox = Outbox::new();
    let (kind, payload) = message.into().into_parts();
    Machine::client(0).send_message(kind, Piece::Shared(payload), KEY, &mut outbox).unwrap();
    taken(&mut outbox)
}

/// A close as the client sends it.
pub(in crate::tests) fn close(code: u16) -> Vec<u8> {
    let mut outbox = Outbox::new();
    let frame = CloseFrame::new(code, "").unwrap();
    Machine::client(0).send_close(&frame, 0, KEY, &mut outbox).unwrap();
    taken(&mut outbox)
}

fn taken(outbox: &mut Outbox) -> Vec<u8> {
    let mut pieces = Vec::new();
    outbox.take_pieces(&mut pieces);
    pieces.iter().flat_map(|piece| piece.as_slice().to_vec()).collect()
}

pub(in crate::tests) struct Client {
    pub(in crate::tests) peer: Peer,
    machine: Machine,
    inbox: Inbox,
    outbox: Outbox,
    unsent: Vec<u8>,
    read: Vec<Message>,
    pub(in crate::tests) pings: Vec<Vec<u8>>,
    pub(in crate::tests) pongs: Vec<Vec<u8>>,
    pub(in crate::tests) closed: Option<CloseFrame>,
    /// Compresses what it sends, and inflates what it is sent.
    coders: Option<(Deflater, Inflater)>,
    /// How many messages came compressed.
    pub(in crate::tests) inflated: usize,
    /// What a test has read and set aside.
    pub(in crate::tests) unread: Vec<Message>,
}

impl Client {
    pub(in crate::tests) fn connect(stage: &Stage) -> Self {
        let (inbox, outbox, unsent, read, pings, pongs) = Default::default();
        let (peer, machine) = (stage.connect(), Machine::client(0));
        let (closed, coders, inflated, unread) = Default::default();
        Self {
            peer,
            machine,
            inbox,
            outbox,
            unsent,
            read,
            pings,
            pongs,
            closed,
            coders,
            inflated,
            unread,
        }
    }

    /// One behind its handshake.
    pub(in crate::tests) fn open(stage: &mut Stage) -> Self {
        let mut own = Self::connect(stage);
        own.write(stage, OFFER.as_bytes());
        own.read_head(stage);
        own
    }

    pub(in crate::tests) fn write(&mut self, stage: &mut Stage, bytes: &[u8]) {
        let mut rest = bytes;
        stage.until(|_| {
            rest = &rest[self.peer.write(rest)..];
            rest.is_empty().then_some(())
        });
    }

    /// The head of the answer.
    pub(in crate::tests) fn read_head(&mut self, stage: &mut Stage) -> String {
        let mut received = Vec::new();
        let end = stage.until(|_| {
            self.peer.read(&mut received);
            let end = received.windows(4).position(|four| four == b"\r\n\r\n");
            end.or_else(|| self.peer.is_ended().then(|| received.len() - 4))
        });
        self.inbox.append(&received[end + 4..]);
        received.truncate(end + 4);
        String::from_utf8(received).unwrap()
    }

    /// One that has offered to compress, and what was agreed on.
    pub(in crate::tests) fn open_compressed(stage: &mut Stage, offer: &str) -> (Self, String) {
        let mut own = Self::connect(stage);
        let field = format!("Host: a\r\nSec-WebSocket-Extensions: {offer}\r\n");
        own.write(stage, OFFER.replace("Host: a\r\n", &field).as_bytes());
        let head = own.read_head(stage);
        let agreed = head.split("sec-websocket-extensions: ").nth(1);
        let agreed = agreed.map_or("", |rest| rest.lines().next().unwrap()).to_owned();
        if !agreed.is_empty() {
            let takes_over = !agreed.contains("server_no_context_takeover");
            let inflater = Inflater::new(Window { bits: 15, takes_over });
            own.coders = Some((Deflater::new(SINGLE), inflater));
            own.machine.accept_compressed();
        }
        (own, agreed)
    }

    pub(in crate::tests) fn send_raw_compressed(&mut self, kind: Kind, payload: Piece) {
        self.machine.send_compressed(kind, payload, KEY, &mut self.outbox).unwrap();
    }

    pub(in crate::tests) fn send(&mut self, message: impl Into<Message>) {
        let (kind, payload) = message.into().into_parts();
        if let Some((deflater, _)) = &mut self.coders
            && let Some(deflated) = deflater.deflate(&payload, SINGLE)
        {
            return self.send_raw_compressed(kind, Piece::Owned(deflated));
        }
        let payload = Piece::Shared(payload);
        self.machine.send_message(kind, payload, KEY, &mut self.outbox).unwrap();
    }

    pub(in crate::tests) fn send_part(&mut self, part: &'static str, is_last: bool) {
        let outbox = &mut self.outbox;
        self.machine.send_part(Kind::Text, part.into(), is_last, KEY, outbox).unwrap();
    }

    pub(in crate::tests) fn ping(&mut self, payload: &[u8]) {
        self.machine.send_ping(payload, KEY, &mut self.outbox).unwrap();
    }

    pub(in crate::tests) fn pong(&mut self, payload: &[u8]) {
        self.machine.send_pong(payload, KEY, &mut self.outbox).unwrap();
    }

    /// Writes everything, and reads nothing.
    pub(in crate::tests) fn flush_all(&mut self, stage: &mut Stage) {
        let said = taken(&mut self.outbox);
        self.write(stage, &said);
    }

    /// Writes what fits, reads what has come, and answers it.
    pub(in crate::tests) fn step(&mut self, stage: &mut Stage) {
        self.unsent.extend(taken(&mut self.outbox));
        let written = self.peer.write(&self.unsent);
        self.unsent.drain(..written);
        stage.turn();
        let mut received = Vec::new();
        self.peer.read(&mut received);
        self.inbox.append(&received);
        while self.take() {}
    }

    fn take(&mut self) -> bool {
        let limits = Limits {
            socket_message_bytes_max: u64::MAX,
            socket_controls_max: u32::MAX,
            socket_fragments_max: u32::MAX,
            ..Limits::default()
        };
        let received = self.machine.receive(self.inbox.as_slice(), 0, &limits);
        let consumed = match received.expect("a server keeps the rules") {
            Received::NeedBytes { .. } | Received::Closed => return false,
            Received::Taken { consumed } | Received::Part { consumed, .. } => consumed,
            Received::Message { consumed, kind, mut payload, is_compressed } => {
                if is_compressed {
                    let (_, inflater) = self.coders.as_mut().expect("it was agreed on");
                    payload = inflater.inflate(&payload, u64::from(u32::MAX)).unwrap();
                    self.inflated += 1;
                }
                self.read.push(Message::of(kind, payload));
                consumed
            }
            Received::Ping { consumed, payload } => {
                self.machine.send_pong(&payload, KEY, &mut self.outbox).unwrap();
                self.pings.push(payload);
                consumed
            }
            Received::Pong { consumed, payload } => {
                self.pongs.push(payload);
                consumed
            }
            Received::Close { consumed, frame } => {
                self.machine.answer_close(&frame, 0, KEY, &mut self.outbox);
                self.closed = Some(frame);
                consumed
            }
        };
        self.inbox.consume(consumed);
        true
    }

    pub(in crate::tests) fn until(&mut self, stage: &mut Stage, done: impl Fn(&Self) -> bool) {
        while !done(self) {
            self.step(stage);
        }
    }

    /// Everything is written.
    pub(in crate::tests) fn flush(&mut self, stage: &mut Stage) {
        self.step(stage);
        self.until(stage, |own| own.unsent.is_empty());
    }

    /// The same, so many bytes at a time.
    pub(in crate::tests) fn flush_by(&mut self, stage: &mut Stage, step: usize) {
        for piece in taken(&mut self.outbox).chunks(step) {
            self.write(stage, piece);
            stage.turn();
        }
    }

    /// The next messages.
    pub(in crate::tests) fn messages(&mut self, stage: &mut Stage, count: usize) -> Vec<Message> {
        while self.take() {}
        self.until(stage, |own| own.read.len() >= count || own.peer.is_ended());
        self.read.drain(..count.min(self.read.len())).collect()
    }

    /// Closes, and waits until the server has answered and ended the connection.
    pub(in crate::tests) fn close(&mut self, stage: &mut Stage) {
        self.leave(stage);
        self.until_ended(stage);
    }

    /// The same, where there are others.
    pub(in crate::tests) fn leave(&mut self, stage: &mut Stage) {
        let frame = CloseFrame::new(1000, "").unwrap();
        self.machine.send_close(&frame, 0, KEY, &mut self.outbox).unwrap();
        self.until(stage, |own| own.peer.is_ended());
        assert_eq!(self.closed.as_ref().map(CloseFrame::code), Some(1000));
    }

    /// Waits until the server has ended its side and forgotten the connection.
    pub(in crate::tests) fn until_ended(&mut self, stage: &mut Stage) {
        self.until(stage, |own| own.peer.is_ended());
        self.peer.shutdown();
        stage.until(|stage| {
            stage.turn();
            (stage.counts().connections_open == 0).then_some(())
        });
    }
}
