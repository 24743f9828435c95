//! Long bodies on one connection, one after another: a stream down, or a stream up.
//! It must never count a transfer that was not read, or taken, to its last byte.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use super::options::Options;
use super::plan::request_head;
use super::tally::Tally;
use crate::report::{Memory, Report};
use crate::system;

/// What one read takes, and one write of a body that goes up gives.
const PART_BYTES: usize = 256 << 10;
/// How often the server's memory is looked at.
const LOOK_BYTES: u64 = 64 << 20;
/// A server that does nothing for so long is given up.
const SILENCE: Duration = Duration::from_secs(10);
const HEAD_BYTES_MAX: usize = 16 << 10;

/// One connection, its bytes, and the server's memory at most.
struct Bulk<'options> {
    options: &'options Options,
    stream: TcpStream,
    part: Vec<u8>,
    /// Bytes of `part` that were received and not looked at yet.
    unread: std::ops::Range<usize>,
    passed: u64,
    resident_max: u64,
}

/// One transfer that does not count, then others until the window is over.
pub(super) fn run(options: &Options) -> io::Result<Report> {
    let before = resident(options)?;
    let stream = TcpStream::connect(options.target)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(SILENCE))?;
    stream.set_write_timeout(Some(SILENCE))?;
    let part = vec![b'x'; PART_BYTES];
    let mut bulk = Bulk { options, stream, part, unread: 0..0, passed: 0, resident_max: before };
    let mut tally = Tally::new(options)?;
    if let Err(error) = bulk.measure(&mut tally) {
        tally.error(|| error.to_string());
    }
    tally.close(options)?;
    let requests = tally.requests;
    let mut report = tally.report(options, "bulk", requests);
    let (open, closed) = (bulk.resident_max, resident(options)?);
    report.memory = Some(Memory { before, open, closed, slab: None });
    Ok(report)
}

/// Resident bytes of the server, none where it is not named.
fn resident(options: &Options) -> io::Result<u64> {
    options.server_pid.map_or(Ok(0), system::resident_bytes)
}

impl Bulk<'_> {
    fn measure(&mut self, tally: &mut Tally) -> io::Result<()> {
        self.transfer()?;
        tally.open(self.options)?;
        let began = Instant::now();
        let requests_max = self.options.requests.unwrap_or(u64::MAX);
        while began.elapsed().as_secs_f64() < self.options.seconds && tally.requests < requests_max
        {
            let since = Instant::now();
            self.transfer()?;
            tally.requests += 1;
            tally.latency.record(since.elapsed().as_nanos() as u64, 1);
        }
        Ok(())
    }

    /// One request with the whole of its body and its answer.
    fn transfer(&mut self) -> io::Result<()> {
        let up = self.options.up_bytes;
        self.stream.write_all(request_head(self.options, up, 0).as_bytes())?;
        let mut left = up.unwrap_or(0);
        while left > 0 {
            let count = left.min(PART_BYTES as u64);
            // Whatever an answer has left in it: a body that goes up is only counted.
            self.stream.write_all(&self.part[..count as usize])?;
            left -= count;
            self.passed(count)?;
        }
        let body = self.head()?;
        match (up, body) {
            (Some(up), Some(length)) => self.counted(length, up)?,
            (Some(_), None) => return Err(io::Error::other("a count without a length")),
            (None, Some(length)) => {
                self.skip(length)?;
                self.check(length)?;
            }
            (None, None) => {
                let length = self.chunks()?;
                self.check(length)?;
            }
        }
        if !self.unread.is_empty() {
            return Err(io::Error::other("more bytes than the response has"));
        }
        Ok(())
    }

    /// Whether a body that came down is as long as was asked for.
    fn check(&self, length: u64) -> io::Result<()> {
        match self.options.down_bytes {
            Some(expected) if expected != length => {
                Err(io::Error::other(format!("a body of {length} bytes, not {expected}")))
            }
            _ => Ok(()),
        }
    }

    /// Reads a body of that length, which says how many bytes were taken of what went up.
    fn counted(&mut self, length: u64, up: u64) -> io::Result<()> {
        let expected = up.to_string();
        let mut said = String::new();
        while said.len() as u64 != length && said.len() < expected.len() {
            said.push(char::from(self.byte()?));
        }
        if length != expected.len() as u64 || said != expected {
            return Err(io::Error::other(format!("{said:?} bytes were taken, not {expected}")));
        }
        Ok(())
    }

    /// Reads the head of a response: the length of its body, none when that is chunked.
    fn head(&mut self) -> io::Result<Option<u64>> {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(self.byte()?);
            if head.len() > HEAD_BYTES_MAX {
                return Err(io::Error::other("a head without an end"));
            }
        }
        let head = String::from_utf8_lossy(&head).to_ascii_lowercase();
        if !head.starts_with("http/1.1 200") {
            let line = head.lines().next().unwrap_or("");
            return Err(io::Error::other(format!("not a 200 response: {line:?}")));
        }
        let value = |name: &str| head.lines().find_map(|line| line.strip_prefix(name));
        match (value("content-length:"), value("transfer-encoding:")) {
            (Some(length), None) => length.trim().parse().map(Some).map_err(io::Error::other),
            (None, Some(coding)) if coding.trim() == "chunked" => Ok(None),
            _ => Err(io::Error::other("a response without a length")),
        }
    }

    /// Reads a chunked body without trailers (RFC 9112 §7.1) and gives its length.
    fn chunks(&mut self) -> io::Result<u64> {
        let mut length = 0;
        loop {
            let mut line = String::new();
            while !line.ends_with("\r\n") {
                line.push(char::from(self.byte()?));
                if line.len() > 18 {
                    return Err(io::Error::other(format!("no size of a chunk: {line:?}")));
                }
            }
            let size = u64::from_str_radix(line.trim_end(), 16).map_err(io::Error::other)?;
            self.skip(size)?;
            if (self.byte()?, self.byte()?) != (b'\r', b'\n') {
                return Err(io::Error::other("a chunk without an end"));
            }
            if size == 0 {
                return Ok(length);
            }
            length += size;
        }
    }

    fn byte(&mut self) -> io::Result<u8> {
        if self.unread.is_empty() {
            self.receive()?;
        }
        let byte = self.part[self.unread.start];
        self.unread.start += 1;
        Ok(byte)
    }

    fn skip(&mut self, mut count: u64) -> io::Result<()> {
        while count > 0 {
            if self.unread.is_empty() {
                self.receive()?;
            }
            let now = count.min(self.unread.len() as u64);
            self.unread.start += now as usize;
            count -= now;
            self.passed(now)?;
        }
        Ok(())
    }

    fn receive(&mut self) -> io::Result<()> {
        match self.stream.read(&mut self.part)? {
            0 => Err(io::Error::other("closed within a response")),
            count => {
                self.unread = 0..count;
                Ok(())
            }
        }
    }

    /// Counts bytes of bodies, and looks at the server's memory from time to time.
    fn passed(&mut self, count: u64) -> io::Result<()> {
        let before = self.passed / LOOK_BYTES;
        self.passed += count;
        if self.passed / LOOK_BYTES != before {
            self.resident_max = self.resident_max.max(resident(self.options)?);
        }
        Ok(())
    }
}
