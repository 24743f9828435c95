//! What a peer has received, held against the model reply by reply.
//! It accepts nothing that the model does not say: not a byte more, less or other.

use crate::model::{Body, Closes, Expected, is_pattern, moving_id, moving_len};

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
    /// Where the body begins, and its length, once the head has come.
    head: Option<(usize, usize)>,
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
        let Some((start, length)) = self.head else { return Ok(true) };
        if self.bytes.len() < start + length {
            return Ok(false);
        }
        let body = &self.bytes[start..start + length];
        let is_busy = self.bytes.starts_with(b"HTTP/1.1 503");
        if !is_busy && !is_right(body, &wanted.body, terms) {
            return Err(format!("reply {} has another body ({length} bytes)", self.replies));
        }
        self.bytes.drain(..start + length);
        self.head = None;
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
        let is_busy = status == 503 && wanted.is_of_file && terms.may_be_busy;
        if status != wanted.status && !is_busy {
            return Err(format!("reply {} is {status}, not {}", self.replies, wanted.status));
        }
        let length = field(head, "content-length").and_then(|length| length.parse().ok());
        let length: usize = match (&wanted.body, length) {
            (Body::Muted, _) | (Body::None, None) => 0,
            (Body::None, Some(_)) if !is_busy => {
                return Err(format!("reply {} has a length", self.replies));
            }
            (_, Some(length)) => length,
            (_, None) => return Err(format!("reply {} has no length", self.replies)),
        };
        self.has_closed = closes(head, wanted, terms)
            .map_err(|said| format!("reply {} says of the connection {said:?}", self.replies))?;
        self.head = Some((end + 4, length));
        Ok(true)
    }
}

/// Whether a head says that the connection closes; otherwise than it may, what it says.
fn closes(head: &str, wanted: &Expected, terms: Terms) -> Result<bool, Option<String>> {
    let said = field(head, "connection");
    let closes = said == Some("close");
    let is_right = match wanted.closes {
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
