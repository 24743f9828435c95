//! The requests that peers make, as bytes and as what must come back.
//! Every one is valid; those that are not stand in `malformed`.

use crate::chance::Chance;
use crate::model::{Body, Closes, Expected, Kind, MOVING, Maker, StillFile, pattern};

/// What a peer asks for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Ask {
    Hello,
    Head,
    Size(usize),
    Echo(Upload),
    Panic,
    Missing,
    NotAllowed,
    Options,
    /// A body that no handler wants.
    Unwanted(usize),
    File(FileAsk),
    /// A greeting, so many milliseconds later.
    Late(u64),
    /// A body in pieces, each so many milliseconds behind the one before.
    Drip {
        len: usize,
        ms: u64,
        is_sized: bool,
    },
    /// A body that is taken in pieces, and comes back in pieces.
    Relay(Upload),
    /// A body that is taken in pieces, with so many milliseconds behind each.
    Taken(Upload, u64),
    /// What the server asks of itself.
    Proxied(Inner),
}

/// What is asked by way of the server itself.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Inner {
    Hello,
    Size(usize),
    Echo(Upload),
    Missing,
    File(StillFile),
}

impl Inner {
    const fn ask(self) -> Ask {
        match self {
            Self::Hello => Ask::Hello,
            Self::Size(len) => Ask::Size(len),
            Self::Echo(upload) => Ask::Echo(upload),
            Self::Missing => Ask::Missing,
            Self::File(file) => Ask::File(FileAsk::Whole(file)),
        }
    }
}

/// A body on its way to the server.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Upload {
    pub(crate) len: usize,
    /// The length of each chunk; with none the length is told ahead.
    pub(crate) chunk: Option<usize>,
    /// `Expect: 100-continue`, and whether the peer waits for it.
    pub(crate) expects: Option<bool>,
}

/// What a peer asks of a file.
#[derive(Clone, Copy, Debug)]
pub(crate) enum FileAsk {
    Whole(StillFile),
    Head(StillFile),
    Range(StillFile, usize, usize),
    BeyondEnd(StillFile),
    IfNoneMatch(StillFile),
    IfMatch(StillFile),
    Since(StillFile),
    /// With an offer to upgrade, which nobody takes.
    Upgrade(StillFile),
    Moving {
        is_streamed: bool,
    },
    Missing,
}

/// How a request is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Manner {
    Usual,
    /// HTTP/1.0 with `Connection: keep-alive`.
    OldKept,
    /// HTTP/1.0 without.
    Old,
    /// `Connection: close`.
    Last,
}

impl Ask {
    pub(crate) fn draw(chance: &mut Chance) -> Self {
        match chance.below(100) {
            0..30 => Self::Hello,
            30..36 => Self::Head,
            36..50 => Self::Size(size(chance)),
            50..70 => Self::Echo(Upload::draw(chance)),
            70..73 => Self::Panic,
            73..76 => Self::Missing,
            76..78 => Self::NotAllowed,
            78..79 => Self::Options,
            79..81 => Self::Unwanted(chance.between(1, 3000)),
            _ => Self::File(FileAsk::draw(chance)),
        }
    }

    /// Appends the request; gives the reply, and where a peer that waits for `100 Continue` does.
    pub(crate) fn write(
        self,
        id: u32,
        manner: Manner,
        bytes: &mut Vec<u8>,
    ) -> (Expected, Option<usize>) {
        let mut expected = self.expected(id);
        let body = self.body(id, manner);
        let mut head = self.line(id);
        head.push_str(match manner {
            Manner::Usual => " HTTP/1.1\r\nHost: sim\r\n",
            Manner::OldKept => " HTTP/1.0\r\nConnection: keep-alive\r\n",
            Manner::Old => " HTTP/1.0\r\n",
            Manner::Last => " HTTP/1.1\r\nHost: sim\r\nConnection: close\r\n",
        });
        head.push_str(&self.fields(manner));
        head.push_str("\r\n");
        bytes.extend_from_slice(head.as_bytes());
        let is_last = matches!(manner, Manner::Old | Manner::Last);
        expected.closes = if is_last { Closes::Yes } else { Closes::No };
        let waits = matches!(self.upload(), Some(Upload { expects: Some(true), .. }));
        let is_new = matches!(manner, Manner::Usual | Manner::Last);
        let wait_at = (waits && is_new && !body.is_empty()).then_some(bytes.len());
        expected.continues &= is_new;
        bytes.extend_from_slice(&body);
        (expected, wait_at)
    }

    /// The body that goes with it to a handler.
    const fn upload(self) -> Option<Upload> {
        match self {
            Self::Echo(upload) | Self::Relay(upload) | Self::Taken(upload, _) => Some(upload),
            Self::Proxied(Inner::Echo(upload)) => Some(upload),
            _ => None,
        }
    }

    fn line(self, id: u32) -> String {
        match self {
            Self::Late(ms) => format!("GET /late/{ms}/{id}"),
            Self::Drip { len, ms, is_sized: true } => format!("GET /drip/{len}/{ms}/{id}"),
            Self::Drip { len, ms, is_sized: false } => format!("GET /drop/{len}/{ms}/{id}"),
            Self::Relay(_) => format!("POST /relay/{id}"),
            Self::Taken(_, ms) => format!("POST /taken/{ms}/{id}"),
            Self::Proxied(inner) => {
                inner.ask().line(id).replacen(" /", &format!(" /proxy/{id}/"), 1)
            }
            Self::Hello => format!("GET /hello/{id}"),
            Self::Head => format!("HEAD /hello/{id}"),
            Self::Size(len) => format!("GET /size/{len}/{id}"),
            Self::Echo(_) => format!("POST /echo/{id}"),
            Self::Panic => format!("GET /panic/{id}"),
            Self::Missing => format!("GET /nothing/{id}"),
            Self::NotAllowed => format!("DELETE /hello/{id}"),
            Self::Options => format!("OPTIONS /hello/{id}"),
            Self::Unwanted(_) => format!("POST /nothing/{id}"),
            Self::File(file) => file.line(),
        }
    }

    fn fields(self, manner: Manner) -> String {
        match self {
            Self::Unwanted(len) => format!("Content-Length: {len}\r\n"),
            Self::File(file) => file.fields(),
            _ => self.upload().map_or_else(String::new, |upload| upload.fields(manner)),
        }
    }

    fn body(self, id: u32, manner: Manner) -> Vec<u8> {
        match self {
            Self::Unwanted(len) => pattern(id, len),
            _ => self.upload().map_or_else(Vec::new, |upload| upload.body(id, manner)),
        }
    }

    fn expected(self, id: u32) -> Expected {
        let (status, body) = match self {
            Self::Hello | Self::Late(_) => (200, Body::Hello(id)),
            Self::Head => (200, Body::Muted),
            Self::Size(len) => (200, Body::Pattern { id, len }),
            Self::Echo(upload) | Self::Relay(upload) | Self::Taken(upload, _) => {
                (200, Body::Pattern { id, len: upload.len })
            }
            Self::Drip { len, .. } => (200, Body::Pattern { id, len }),
            Self::Proxied(inner) => {
                let expected = inner.ask().expected(id);
                (expected.status, expected.body)
            }
            Self::Panic => (500, Body::Text("Internal Server Error")),
            Self::Missing | Self::Unwanted(_) => (404, Body::Text("Not Found")),
            Self::NotAllowed => (405, Body::Text("Method Not Allowed")),
            Self::Options => (204, Body::None),
            Self::File(file) => file.expected(),
        };
        let continues = self.upload().is_some_and(|upload| upload.expects.is_some());
        let maker = match self {
            Self::File(_) => Maker::File,
            Self::Late(_) => Maker::Future(Kind::Waits),
            Self::Drip { .. } => Maker::Future(Kind::Gives),
            Self::Taken(..) => Maker::Future(Kind::Takes),
            Self::Relay(_) => Maker::Future(Kind::Relays),
            Self::Proxied(_) => Maker::Upstream,
            _ => Maker::Server,
        };
        Expected { status, body, closes: Closes::No, continues, maker }
    }
}

/// Mostly small, sometimes more than the network holds.
fn size(chance: &mut Chance) -> usize {
    match chance.below(100) {
        0..60 => chance.between(0, 600),
        60..90 => chance.between(600, 9_000),
        90..99 => chance.between(9_000, 70_000),
        _ => chance.between(70_000, 300_000),
    }
}

impl Upload {
    pub(crate) fn draw(chance: &mut Chance) -> Self {
        let len = match chance.below(100) {
            0..10 => 0,
            10..70 => chance.between(1, 200),
            70..95 => chance.between(200, 5_000),
            95..99 => chance.between(5_000, 20_000),
            // About a turn's share.
            _ => chance.between(130_700, 131_072),
        };
        let chunk = chance.percent(40).then(|| chance.between(1 + len / 40, 1 + len));
        let expects = chance.percent(25).then(|| chance.percent(70));
        Self { len, chunk, expects }
    }

    /// HTTP/1.0 has neither chunks nor expectations.
    fn fields(self, manner: Manner) -> String {
        let is_old = matches!(manner, Manner::Old | Manner::OldKept);
        let mut fields = match self.chunk {
            Some(_) if !is_old => "Transfer-Encoding: chunked\r\n".to_owned(),
            _ => format!("Content-Length: {}\r\n", self.len),
        };
        if self.expects.is_some() && !is_old {
            fields.push_str("Expect: 100-continue\r\n");
        }
        fields
    }

    fn body(self, id: u32, manner: Manner) -> Vec<u8> {
        let body = pattern(id, self.len);
        let Some(chunk) = self.chunk.filter(|_| matches!(manner, Manner::Usual | Manner::Last))
        else {
            return body;
        };
        let mut chunked = Vec::new();
        for (piece, number) in body.chunks(chunk).zip(0..) {
            // Every third one has an extension.
            let extension = if number % 3 == 1 { ";tide=low" } else { "" };
            chunked.extend_from_slice(format!("{:x}{extension}\r\n", piece.len()).as_bytes());
            chunked.extend_from_slice(piece);
            chunked.extend_from_slice(b"\r\n");
        }
        chunked.extend_from_slice(if id.is_multiple_of(4) {
            b"0\r\nX-End: 1\r\n\r\n"
        } else {
            b"0\r\n\r\n"
        });
        chunked
    }
}

impl FileAsk {
    fn draw(chance: &mut Chance) -> Self {
        let file = chance.pick(&StillFile::ALL);
        match chance.below(100) {
            0..28 => Self::Whole(file),
            28..38 => Self::Head(file),
            38..54 => {
                let start = chance.below(file.len());
                Self::Range(file, start, chance.between(start, file.len() - 1))
            }
            54..58 => Self::BeyondEnd(file),
            58..64 => Self::IfNoneMatch(file),
            64..70 => Self::IfMatch(file),
            70..74 => Self::Since(file),
            74..82 => Self::Upgrade(file),
            82..95 => Self::Moving { is_streamed: chance.percent(50) },
            _ => Self::Missing,
        }
    }

    fn line(self) -> String {
        let (method, name) = match self {
            Self::Head(file) => ("HEAD", file.name()),
            Self::Whole(file)
            | Self::Range(file, ..)
            | Self::BeyondEnd(file)
            | Self::IfNoneMatch(file)
            | Self::IfMatch(file)
            | Self::Since(file)
            | Self::Upgrade(file) => ("GET", file.name()),
            Self::Moving { is_streamed } => ("GET", MOVING[usize::from(is_streamed)]),
            Self::Missing => ("GET", "no-such.txt"),
        };
        format!("{method} /files/{name}")
    }

    fn fields(self) -> String {
        match self {
            Self::Range(_, start, last) => format!("Range: bytes={start}-{last}\r\n"),
            Self::BeyondEnd(file) => format!("Range: bytes={}-\r\n", file.len()),
            Self::IfNoneMatch(_) => "If-None-Match: *\r\n".to_owned(),
            Self::IfMatch(_) => "If-Match: \"another\"\r\n".to_owned(),
            Self::Since(_) => "If-Unmodified-Since: Sun, 06 Nov 1994 08:49:37 GMT\r\n".to_owned(),
            Self::Upgrade(_) => "Connection: upgrade\r\nUpgrade: tide/2\r\n".to_owned(),
            Self::Whole(_) | Self::Head(_) | Self::Moving { .. } | Self::Missing => String::new(),
        }
    }

    fn expected(self) -> (u16, Body) {
        let part = |name: StillFile, start, end| Body::Still { name, start, end };
        match self {
            Self::Whole(file) | Self::Upgrade(file) => (200, part(file, 0, file.len())),
            Self::Head(_) => (200, Body::Muted),
            Self::Range(file, start, last) => (206, part(file, start, last + 1)),
            Self::BeyondEnd(_) => (416, Body::Any),
            Self::IfNoneMatch(_) => (304, Body::None),
            Self::IfMatch(_) | Self::Since(_) => (412, Body::Any),
            Self::Moving { is_streamed } => (200, Body::Moving { is_streamed }),
            Self::Missing => (404, Body::Text("Not Found")),
        }
    }
}
