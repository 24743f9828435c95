//! Peers: the other ends of connections, as tests act with them.
//! They never wait: what cannot be done now is not done.

use http::StatusCode;
use springtide_engine::simulated::{Client, ResetCause};

/// The other end of a connection. Dropping it closes it.
///
/// ```
/// use springtide::{Server, test::World};
/// let mut world = World::new(1);
/// world.serve(Server::new().get("/", || "here"));
/// let mut peer = world.connect();
/// assert_eq!(peer.write(b"GET / HTTP/1.0\r\n\r\n"), 18);
/// world.settle();
/// assert_eq!(peer.reply().expect("an answer").status(), 200);
/// assert!(peer.is_ended());
/// ```
#[derive(Debug)]
pub struct Peer {
    client: Client,
    /// Bytes that have come and belong to no reply yet.
    received: Vec<u8>,
}

impl Peer {
    pub(super) const fn new(client: Client) -> Self {
        Self { client, received: Vec::new() }
    }

    /// Writes what there is room for, at most 160 KiB on their way, and gives how much that was:
    /// nothing when the server is slow or gone.
    #[must_use]
    pub fn write(&mut self, bytes: &[u8]) -> usize {
        self.client.write(bytes)
    }

    /// Appends at most `count` bytes of what has come, in place of [`reply`](Self::reply); gives
    /// how many.
    pub fn read(&mut self, count: usize, into: &mut Vec<u8>) -> usize {
        self.client.read_at_most(count, into)
    }

    /// The next reply, once it has come whole.
    pub fn reply(&mut self) -> Option<Reply> {
        self.next_reply(false)
    }

    /// The next reply, which answers a `HEAD` and has no body.
    pub fn reply_to_head(&mut self) -> Option<Reply> {
        self.next_reply(true)
    }

    fn next_reply(&mut self, is_to_head: bool) -> Option<Reply> {
        self.client.read(&mut self.received);
        let (reply, length) = Reply::parse(&self.received, is_to_head)?;
        self.received.drain(..length);
        Some(reply)
    }

    /// Ends the stream to the server; replies still come.
    pub fn shutdown(&mut self) {
        self.client.shutdown();
    }

    /// Resets the connection.
    pub fn reset(&mut self) {
        self.client.reset();
    }

    /// Whether the server has ended its stream and all of it was read.
    #[must_use]
    pub fn is_ended(&self) -> bool {
        self.client.is_ended()
    }

    /// Why the connection was reset, if it was.
    #[must_use]
    pub fn reset_cause(&self) -> Option<ResetCause> {
        self.client.reset_cause()
    }

    /// Whether the server has closed its end, whatever of it was not read yet.
    #[must_use]
    pub fn is_closed_by_server(&self) -> bool {
        self.client.is_closed_by_peer()
    }

    /// How many bytes were written that the server has not received yet.
    #[must_use]
    pub fn unread_by_server(&self) -> usize {
        self.client.unread_by_peer()
    }
}

/// A reply as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    status: StatusCode,
    head: String,
    body: Vec<u8>,
    /// The fields behind the body, in the form of a head's.
    trailers: String,
}

impl Reply {
    /// Its status.
    #[must_use]
    pub const fn status(&self) -> StatusCode {
        self.status
    }

    /// The first field of a name, in any case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        field(&self.head, name)
    }

    /// Its body, put together of its chunks where it came in chunks.
    #[must_use]
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// The first field of a name behind the body, in any case.
    #[must_use]
    pub fn trailer(&self, name: &str) -> Option<&str> {
        field(&self.trailers, name)
    }

    /// The first reply of some bytes, if it is whole, and its length. A body has a length that is
    /// told, or chunks; one that the end of its connection ends is not read here.
    pub(crate) fn parse(bytes: &[u8], is_to_head: bool) -> Option<(Self, usize)> {
        let head_end = memchr::memmem::find(bytes, b"\r\n\r\n")? + 4;
        let head = String::from_utf8_lossy(&bytes[..head_end]).into_owned();
        let status = head.get(9..12).and_then(|digits| digits.parse().ok())?;
        let length = field(&head, "content-length").and_then(|length| length.parse().ok());
        if field(&head, "transfer-encoding").is_some() && !is_to_head {
            let (body, trailers, length) = chunks(&bytes[head_end..])?;
            return Some((Self { status, head, body, trailers }, head_end + length));
        }
        let end = head_end + if is_to_head { 0 } else { length.unwrap_or(0) };
        let body = bytes.get(head_end..end)?.to_vec();
        Some((Self { status, head, body, trailers: String::new() }, end))
    }
}

/// A body in chunks (RFC 9112 §7.1), if it is whole: its bytes, the fields behind it, its length.
fn chunks(bytes: &[u8]) -> Option<(Vec<u8>, String, usize)> {
    let (mut body, mut at) = (Vec::new(), 0);
    loop {
        let line_end = at + memchr::memmem::find(&bytes[at..], b"\r\n")?;
        let size = std::str::from_utf8(&bytes[at..line_end]).ok()?;
        let size = usize::from_str_radix(size, 16).ok()?;
        if size == 0 {
            // An empty line ends it, behind the fields if there are any.
            let end = line_end + memchr::memmem::find(&bytes[line_end..], b"\r\n\r\n")? + 4;
            let trailers = String::from_utf8_lossy(&bytes[line_end..end]).into_owned();
            return Some((body, trailers, end));
        }
        at = line_end + 2 + size;
        body.extend_from_slice(bytes.get(line_end + 2..at)?);
        at += bytes.get(at..at + 2)?.len();
    }
}

fn field<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let fields = head.lines().skip(1).filter_map(|line| line.split_once(": "));
    let mut of_name = fields.filter(|(own, _)| own.eq_ignore_ascii_case(name));
    of_name.next().map(|(_, value)| value)
}
