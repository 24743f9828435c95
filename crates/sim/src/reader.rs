//! What a peer has received, held against the model reply by reply.
//! It accepts nothing that the model does not say: not a byte more, less or other.

use crate::model::{Body, Closes, Expected, Maker, is_pattern, moving_id, moving_len};

/// The replies of one connection as they come.
#[derive(Debug, Default)]
pub(crate) struct Reader {
    bytes: Vec<u8>,
    /// How many replies were whole.
    pub(crate) replies: usize,
    /// The next reply has been announced by 100.
    pub(crate) is_continued: bool,
    /// A reply said that the connection closes.
    pub(crate) has_closed: bool,
    /// What the head said, once it has come.
    head: Option<Head>,
    /// What was made instead of a reply, because of what the world is like.
    pub(crate) instead: Instead,
    /// The reply that came last was one of these.
    pub(crate) was_instead: bool,
    /// One of them has ended the connection.
    pub(crate) is_cut_short: bool,
}

/// The head of a reply.
#[derive(Clone, Debug)]
struct Head {
    /// Where the body begins.
    start: usize,
    length: Length,
    /// It is another reply than the model has.
    is_instead: bool,
}

#[derive(Clone, Debug)]
enum Length {
    Told(usize),
    /// In chunks: how far they were read, and what stood in them.
    Chunks(usize, Vec<u8>),
}

/// How often another reply came than the model has.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Instead {
    /// 429: its address has asked too often.
    pub(crate) limited: u64,
    /// 503: its future was dropped.
    pub(crate) dropped: u64,
    /// 502 to 504: what was asked upstream was not answered.
    pub(crate) upstream: u64,
}

/// What the world is like, where the model alone does not decide.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Terms {
    /// The versions of the changing files that may be sent: first and last.
    pub(crate) versions: (usize, usize),
    /// Descriptors can be spent, or files change too often: 503 instead of a file.
    pub(crate) may_be_busy: bool,
    /// The server stops: the reply to any request that came later may be the last.
    pub(crate) is_draining: bool,
    /// Futures of handlers may be dropped.
    pub(crate) may_drop: bool,
    /// What the server asks of itself may come to nothing.
    pub(crate) may_fail_upstream: bool,
    /// One address may have asked too often.
    pub(crate) may_limit: bool,
    /// How many requests were handled, as far as handlers know of them.
    pub(crate) handled: usize,
}

impl Reader {
    /// Takes what has come.
    pub(crate) fn receive(
        &mut self,
        from: impl FnOnce(&mut Vec<u8>) -> usize,
        expected: &[Expected],
        terms: Terms,
    ) -> Result<usize, String> {
        let count = from(&mut self.bytes);
        if count > 0 {
            while self.step(expected, terms)? {}
        }
        Ok(count)
    }

    /// Bytes of a reply that is not whole.
    pub(crate) fn rest(&self) -> &[u8] {
        &self.bytes
    }

    /// The bytes that came last, for the sum over a history.
    pub(crate) fn tail(&self) -> &[u8] {
        &self.bytes[self.bytes.len().saturating_sub(32)..]
    }

    fn step(&mut self, expected: &[Expected], terms: Terms) -> Result<bool, String> {
        if self.bytes.is_empty() {
            return Ok(false);
        }
        let Some(wanted) = expected.get(self.replies) else {
            let said = String::from_utf8_lossy(&self.bytes[..self.bytes.len().min(60)]);
            return Err(format!("reply {} was not asked for: {said:?}", self.replies));
        };
        if self.head.is_none() && !self.read_head(wanted, terms)? {
            return Ok(false);
        }
        let Some(mut head) = self.head.take() else { return Ok(true) };
        let end = match &mut head.length {
            Length::Told(length) => Some(head.start + *length),
            Length::Chunks(at, body) => read_chunks(&self.bytes, at, body)?,
        };
        let Some(end) = end.filter(|end| self.bytes.len() >= *end) else {
            self.head = Some(head);
            return Ok(false);
        };
        let body = match &head.length {
            Length::Told(_) => &self.bytes[head.start..end],
            Length::Chunks(_, body) => body,
        };
        if !head.is_instead && !is_right(body, &wanted.body, terms) {
            let length = body.len();
            return Err(format!("reply {} has another body ({length} bytes)", self.replies));
        }
        self.was_instead = head.is_instead;
        self.is_cut_short |= head.is_instead && self.has_closed;
        self.bytes.drain(..end);
        self.replies += 1;
        self.is_continued = false;
        Ok(true)
    }

    /// Reads a head that has come whole.
    fn read_head(&mut self, wanted: &Expected, terms: Terms) -> Result<bool, String> {
        if self.has_closed {
            return Err(format!("reply {} follows one that closes", self.replies));
        }
        let Some(end) = memchr::memmem::find(&self.bytes, b"\r\n\r\n") else {
            return Ok(false);
        };
        let head = std::str::from_utf8(&self.bytes[..end]).map_err(|_| "a head is no text")?;
        let status: u16 = head.get(9..12).and_then(|digits| digits.parse().ok()).unwrap_or(0);
        if status == 100 {
            if !wanted.continues || self.is_continued {
                return Err(format!("reply {} was announced by 100 for no reason", self.replies));
            }
            self.is_continued = true;
            self.bytes.drain(..end + 4);
            return Ok(!self.bytes.is_empty());
        }
        let is_instead = status != wanted.status && self.instead.count(status, wanted, terms);
        if status != wanted.status && !is_instead {
            return Err(format!("reply {} is {status}, not {}", self.replies, wanted.status));
        }
        let told = field(head, "content-length").and_then(|length| length.parse().ok());
        let is_chunked = field(head, "transfer-encoding") == Some("chunked");
        let length = match (&wanted.body, told) {
            (Body::Muted, _) | (Body::None, None) => Length::Told(0),
            (Body::None, Some(_)) if !is_instead => {
                return Err(format!("reply {} has a length", self.replies));
            }
            (_, Some(length)) => Length::Told(length),
            (_, None) if is_chunked => Length::Chunks(end + 4, Vec::new()),
            (_, None) => return Err(format!("reply {} has no length", self.replies)),
        };
        self.has_closed = closes(head, wanted, is_instead, terms)
            .map_err(|said| format!("reply {} says of the connection {said:?}", self.replies))?;
        self.head = Some(Head { start: end + 4, length, is_instead });
        Ok(true)
    }
}

impl Instead {
    /// Whether a reply with this status may come instead of the one that is wanted; counted.
    fn count(&mut self, status: u16, wanted: &Expected, terms: Terms) -> bool {
        let is_future = matches!(wanted.maker, Maker::Future(_) | Maker::Upstream);
        let count = match status {
            429 if terms.may_limit => &mut self.limited,
            503 if is_future && terms.may_drop => &mut self.dropped,
            502..=504 if wanted.maker == Maker::Upstream && terms.may_fail_upstream => {
                &mut self.upstream
            }
            503 => return wanted.maker == Maker::File && terms.may_be_busy,
            _ => return false,
        };
        *count += 1;
        true
    }
}

/// Reads what has come of chunks, from where it was read to; gives where the last one ends.
fn read_chunks(bytes: &[u8], at: &mut usize, body: &mut Vec<u8>) -> Result<Option<usize>, String> {
    loop {
        let Some(line) = memchr::memmem::find(&bytes[*at..], b"\r\n") else { return Ok(None) };
        let size = std::str::from_utf8(&bytes[*at..*at + line]).unwrap_or_default();
        let size = usize::from_str_radix(size, 16);
        let size = size.map_err(|_| "a chunk has no size".to_owned())?;
        let (start, end) = (*at + line + 2, *at + line + 2 + size);
        if bytes.len() < end + 2 {
            return Ok(None);
        }
        if &bytes[end..end + 2] != b"\r\n" {
            return Err("a chunk has another end".to_owned());
        }
        if size == 0 {
            return Ok(Some(end + 2));
        }
        body.extend_from_slice(&bytes[start..end]);
        *at = end + 2;
    }
}

/// Whether a head says that the connection closes; otherwise than it may, what it says.
fn closes(
    head: &str,
    wanted: &Expected,
    is_instead: bool,
    terms: Terms,
) -> Result<bool, Option<String>> {
    let said = field(head, "connection");
    let closes = said == Some("close");
    let is_right = match wanted.closes {
        _ if is_instead && wanted.maker != Maker::File => true,
        Closes::Yes => closes,
        Closes::No => !closes || terms.is_draining,
        Closes::Maybe => true,
    };
    if is_right { Ok(closes) } else { Err(said.map(str::to_owned)) }
}

fn is_right(body: &[u8], wanted: &Body, terms: Terms) -> bool {
    match wanted {
        Body::Muted | Body::None => body.is_empty(),
        Body::Text(text) => body == text.as_bytes(),
        Body::Pattern { id, len } => body.len() == *len && is_pattern(body, *id, 0),
        Body::Hello(id) => body == format!("hello {id}").as_bytes(),
        Body::Still { name, start, end } => {
            body.len() == end - start && is_pattern(body, name.id(), *start)
        }
        Body::Moving { is_streamed } => (terms.versions.0..=terms.versions.1).any(|version| {
            body.len() == moving_len(*is_streamed, version)
                && is_pattern(body, moving_id(*is_streamed, version), 0)
        }),
        Body::Any => true,
    }
}

/// The first field of a name, in any case.
fn field<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let mut lines = head.split("\r\n").skip(1).filter_map(|line| line.split_once(": "));
    lines.find(|(own, _)| own.eq_ignore_ascii_case(name)).map(|(_, value)| value)
}
