//! What is sent and what must come back, settled before the first counted request.
//! It must never guess: the response is learned from the server itself, once.

use std::cell::Cell;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use super::options::Options;
use super::{resp, websocket};
use crate::template::Template;

pub(super) const PROBE_TIMEOUT: Duration = Duration::from_secs(5);

/// Named requests after which the names begin anew.
const NAMES: usize = 251;

/// The bytes of a batch of requests, and the template of their responses.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    /// Requests one after another, `depth` from each place on that a batch begins at. They are never
    /// freed, so that the kernel may read them at any time.
    batch: &'static [u8],
    one: usize,
    /// How many places there are, and which is next.
    places: usize,
    next: Cell<usize>,
    pub(super) template: Template,
}

impl Plan {
    /// Builds the request and asks the server for one response to learn from.
    pub(super) fn prepare(options: &Options) -> io::Result<Plan> {
        let (request, template) = if let Some(bytes) = options.echo_bytes {
            let payload = pattern(bytes);
            let template = Template::exactly(&payload);
            (payload, template)
        } else if let Some(bytes) = options.socket_bytes {
            let payload = pattern(bytes);
            (websocket::asked(&payload), Template::exactly(&websocket::answered(&payload)))
        } else if let Some(command) = options.resp {
            resp::prepare(options, command)?
        } else {
            let request = http_request(options);
            let (template, _) = probe(options, &request)?;
            (request, template)
        };
        if request.is_empty() || options.depth == 0 {
            return Err(io::Error::other("nothing to send"));
        }
        let (one, depth) = (request.len(), options.depth as usize);
        let (places, batch) = match options.named {
            true => (NAMES, (0..NAMES + depth).flat_map(|name| named(options, name)).collect()),
            false => (1, request.repeat(depth)),
        };
        Ok(Plan { batch: Vec::leak(batch), one, places, next: Cell::new(0), template })
    }

    /// The bytes of `count` requests.
    pub(super) fn requests(&self, count: u32) -> &'static [u8] {
        let (place, count) = (self.next.get(), count as usize);
        self.next.set((place + count) % self.places);
        &self.batch[self.one * place..self.one * (place + count)]
    }

    /// How many bytes one request has.
    pub(super) const fn request_len(&self) -> usize {
        self.one
    }
}

pub(super) fn http_request(options: &Options) -> Vec<u8> {
    named(options, 0)
}

/// The request of that name, where they have names; all of one length.
fn named(options: &Options, name: usize) -> Vec<u8> {
    let body_bytes = options.body_bytes;
    let head = request_head(options, body_bytes.map(|bytes| bytes as u64), name);
    let mut request = head.into_bytes();
    request.extend(pattern(body_bytes.unwrap_or(0)));
    request
}

/// The head of a request with a body of so many bytes, or with none, and of that name.
pub(super) fn request_head(options: &Options, body_bytes: Option<u64>, name: usize) -> String {
    let method = if body_bytes.is_some() { "POST" } else { "GET" };
    let mut text = format!(
        "{method} {} HTTP/1.1\r\nHost: 127.0.0.1\r\nUser-Agent: springtide-load\r\nAccept: */*\r\n",
        options.path
    );
    if options.named {
        text.push_str(&format!("X-Request-Id: {name:016x}\r\n"));
    }
    if options.churn {
        text.push_str("Connection: close\r\n");
    }
    for header in &options.header {
        text.push_str(header);
        text.push_str("\r\n");
    }
    if let Some(bytes) = body_bytes {
        text.push_str(&format!("Content-Length: {bytes}\r\n"));
    }
    text.push_str("\r\n");
    text
}

/// Bytes that differ from their neighbours, so that a shifted echo is noticed.
fn pattern(bytes: usize) -> Vec<u8> {
    (0..bytes).map(|index| b'a' + (index % 23) as u8).collect()
}

/// One request, and the template and the bytes of its response.
pub(super) fn probe(options: &Options, request: &[u8]) -> io::Result<(Template, Vec<u8>)> {
    let mut stream = TcpStream::connect_timeout(&options.target, PROBE_TIMEOUT)?;
    stream.set_read_timeout(Some(PROBE_TIMEOUT))?;
    stream.set_write_timeout(Some(PROBE_TIMEOUT))?;
    stream.write_all(request)?;
    let mut received = Vec::new();
    let mut part = [0; 4096];
    let mut learned = None;
    loop {
        if learned.is_none() {
            learned =
                Template::learn(&received).map_err(|why| io::Error::other(why.to_string()))?;
        }
        if learned.as_ref().is_some_and(|template| received.len() >= template.total()) {
            break;
        }
        let read = stream.read(&mut part).map_err(|error| {
            let got = received.len();
            io::Error::other(format!("first response, after {got} bytes: {error}"))
        });
        match read? {
            0 => break,
            count => received.extend_from_slice(&part[..count]),
        }
    }
    let template = learned.ok_or_else(|| io::Error::other("closed within the first response"))?;
    if received.len() != template.total() {
        let (got, expected) = (received.len(), template.total());
        return Err(io::Error::other(format!("first response: {got} bytes for {expected}")));
    }
    Ok((template, received))
}
