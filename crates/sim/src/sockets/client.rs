//! The peer's side of a WebSocket: the client's machine, its handshake, and frames as it writes them.
//! It decides nothing: what is said, and what is answered, says its guest.

use http::StatusCode;
use springtide_proto::websocket::handshake::Asked;
use springtide_proto::websocket::{
    CloseFrame, Deflater, Inflater, Kind, Limits, Machine, Received, Window,
};
use springtide_proto::{Inbox, Outbox, Piece};

use super::script::Say;

/// A handshake that is right, or what is wrong with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Handshake {
    Right,
    Version,
    Key,
    Origin,
}

impl Handshake {
    /// How it is answered.
    pub(super) const fn status(self) -> u16 {
        match self {
            Self::Right => 101,
            Self::Version => 426,
            Self::Key => 400,
            Self::Origin => 403,
        }
    }
}

/// What has come.
#[derive(Debug)]
pub(super) enum Event {
    /// The answer to the handshake.
    Answered(u16),
    Message {
        is_text: bool,
        payload: Vec<u8>,
        was_compressed: bool,
    },
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    Close(CloseFrame),
}

/// Both sides of what is between a peer and its stream.
pub(super) struct Client {
    asked: Asked,
    machine: Machine,
    head: Vec<u8>,
    inbox: Inbox,
    pub(super) status: Option<u16>,
    coders: Option<(Deflater, Inflater)>,
}

/// Messages of clients are compressed each by itself: servers of these histories agree on nothing else.
const ALONE: Window = Window { bits: 15, takes_over: false };
const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

impl Client {
    pub(super) fn new(offers_deflate: bool) -> Self {
        let asked = Asked::new(*b"nobody foretells", []);
        let asked = if offers_deflate { asked.with_deflate() } else { asked };
        let (head, inbox, status, coders) = (Vec::new(), Inbox::new(), None, None);
        Self { asked, machine: Machine::client(0), head, inbox, status, coders }
    }

    pub(super) fn is_open(&self) -> bool {
        self.status == Some(101)
    }

    /// The request.
    pub(super) fn request(&self, target: &str, handshake: Handshake) -> Vec<u8> {
        let mut request = format!("GET {target} HTTP/1.1\r\nHost: a\r\n");
        for (name, value) in self.asked.fields() {
            let value = match (handshake, name) {
                (Handshake::Version, "sec-websocket-version") => "12".to_owned(),
                (Handshake::Key, "sec-websocket-key") => "short".to_owned(),
                _ => value,
            };
            request.push_str(&format!("{name}: {value}\r\n"));
        }
        if handshake == Handshake::Origin {
            request.push_str("Origin: https://elsewhere.example\r\n");
        }
        request.push_str("\r\n");
        request.into_bytes()
    }

    /// A message in its frames, compressed where that is wanted and agreed on; and whether it is.
    pub(super) fn say(&mut self, say: &Say, ping: Option<&[u8]>) -> (Vec<u8>, bool) {
        let kind = if say.is_text { Kind::Text } else { Kind::Binary };
        let coders = self.coders.as_mut().filter(|_| say.is_compressed);
        let deflated = coders.and_then(|(deflater, _)| deflater.deflate(&say.payload, ALONE));
        let is_compressed = deflated.is_some();
        let payload = deflated.unwrap_or_else(|| say.payload.clone());
        if say.cuts.is_empty() && !is_compressed {
            let mut outbox = Outbox::new();
            let sent = self.machine.send_message(kind, payload.into(), Some(KEY), &mut outbox);
            sent.expect("nothing keeps a client from saying it");
            return (bytes_of(&mut outbox), false);
        }
        let mut bytes = Vec::new();
        let mut first = if say.is_text { 1 } else { 2 } | if is_compressed { 0x40 } else { 0 };
        let mut from = 0;
        for cut in &say.cuts {
            let to = (*cut).min(payload.len()).max(from);
            write_frame(first, &payload[from..to], &mut bytes);
            if let Some(ping) = ping {
                write_frame(0x89, ping, &mut bytes);
            }
            (first, from) = (0, to);
        }
        write_frame(first | 0x80, &payload[from..], &mut bytes);
        (bytes, is_compressed)
    }

    /// What came, in order.
    pub(super) fn receive(&mut self, bytes: &[u8], events: &mut Vec<Event>) -> Result<(), String> {
        if self.status.is_none() {
            self.head.extend_from_slice(bytes);
            let Some(end) = memchr::memmem::find(&self.head, b"\r\n\r\n") else { return Ok(()) };
            let rest = self.head.split_off(end + 4);
            let status = self.read_head()?;
            self.status = Some(status);
            events.push(Event::Answered(status));
            self.inbox.append(&rest);
        } else {
            self.inbox.append(bytes);
        }
        while self.is_open() && self.take(events)? {}
        Ok(())
    }

    fn read_head(&mut self) -> Result<u16, String> {
        let head = String::from_utf8_lossy(&self.head).into_owned();
        let status = head.get(9..12).and_then(|digits| digits.parse::<u16>().ok());
        let Some(status) = status else { return Err("the answer has no status".to_owned()) };
        if status != 101 {
            return Ok(status);
        }
        let fields = head.lines().skip(1).filter_map(|line| line.split_once(": "));
        let fields = fields.map(|(name, value)| (name, value.as_bytes()));
        let answered = self.asked.check(StatusCode::SWITCHING_PROTOCOLS, fields);
        let answered = answered.map_err(|what| what.to_string())?;
        if let Some(agreed) = answered.deflate {
            self.coders = Some((Deflater::new(ALONE), Inflater::new(agreed.server)));
            self.machine.accept_compressed();
        }
        Ok(status)
    }

    /// One event; false when there is none.
    fn take(&mut self, events: &mut Vec<Event>) -> Result<bool, String> {
        let limits = Limits {
            socket_message_bytes_max: u64::MAX,
            socket_controls_max: u32::MAX,
            socket_fragments_max: u32::MAX,
            ..Limits::default()
        };
        let received = self.machine.receive(self.inbox.as_slice(), 0, &limits);
        let consumed = match received.map_err(|refusal| format!("a server sends: {refusal}"))? {
            Received::NeedBytes { .. } => return Ok(false),
            Received::Closed => {
                let rest = self.inbox.len();
                let what = || Err(format!("{rest} bytes come behind a close"));
                return if rest == 0 { Ok(false) } else { what() };
            }
            Received::Taken { consumed } | Received::Part { consumed, .. } => consumed,
            Received::Message { consumed, kind, payload, is_compressed } => {
                let payload = if is_compressed { self.inflate(&payload)? } else { payload };
                let is_text = kind == Kind::Text;
                if is_text && std::str::from_utf8(&payload).is_err() {
                    return Err("a text is not UTF-8".to_owned());
                }
                events.push(Event::Message { is_text, payload, was_compressed: is_compressed });
                consumed
            }
            Received::Ping { consumed, payload } => {
                events.push(Event::Ping(payload));
                consumed
            }
            Received::Pong { consumed, payload } => {
                events.push(Event::Pong(payload));
                consumed
            }
            Received::Close { consumed, frame } => {
                events.push(Event::Close(frame));
                consumed
            }
        };
        self.inbox.consume(consumed);
        Ok(true)
    }

    fn inflate(&mut self, payload: &[u8]) -> Result<Vec<u8>, String> {
        let Some((_, inflater)) = &mut self.coders else {
            return Err("a message is compressed that must not be".to_owned());
        };
        inflater.inflate(payload, 1 << 30).map_err(|refusal| refusal.to_string())
    }
}

fn bytes_of(outbox: &mut Outbox) -> Vec<u8> {
    let mut pieces: Vec<Piece> = Vec::new();
    outbox.take_pieces(&mut pieces);
    pieces.iter().flat_map(|piece| piece.as_slice().to_vec()).collect()
}

/// A close as a client writes it.
pub(super) fn close(code: u16) -> Vec<u8> {
    let mut bytes = Vec::new();
    write_frame(0x88, &code.to_be_bytes(), &mut bytes);
    bytes
}

/// Any frame of a client: what its first byte is to be, and its payload.
pub(super) fn write_frame(first: u8, payload: &[u8], into: &mut Vec<u8>) {
    into.push(first);
    match payload.len() {
        len @ 0..126 => into.push(0x80 | len.to_le_bytes()[0]),
        len @ 126..65_536 => {
            into.push(0x80 | 126);
            into.extend_from_slice(&u16::try_from(len).unwrap_or(0).to_be_bytes());
        }
        len => {
            into.push(0x80 | 127);
            into.extend_from_slice(&(len as u64).to_be_bytes());
        }
    }
    into.extend_from_slice(&KEY);
    let from = into.len();
    into.extend_from_slice(payload);
    springtide_proto::websocket::apply_mask(&mut into[from..], KEY);
}
