//! The io_uring floor: multishot accept, multishot receive, one send in flight, one enter a turn.
//! It must never do more than the recommended engine would, nor less than correctness needs.

use std::collections::VecDeque;
use std::io;
use std::net::TcpListener;
use std::os::fd::{AsRawFd, RawFd};
use std::time::{Duration, Instant};

use super::options::Options;
use super::response::Response;
use crate::buffers::{BufferRing, Shape};
use crate::ring::{Completion, Receive, Ring, Sizes};
use crate::system;

const RING: Sizes = Sizes { submissions: 1024, completions: 32768 };
/// All receive buffers together, 1,024 of 4 KB.
const BUFFER_MEMORY: u32 = 4 << 20;
/// Below this many offered buffers a receive waits for data before it looks for one.
const BUFFERS_LOW: u16 = 64;

const ACCEPT: u64 = 0;
const RECEIVE: u64 = 1;
const SEND: u64 = 2;
const CLOSE: u64 = 3;

/// Connections are named by their descriptor. A descriptor is closed only after its last
/// completion, so that the next connection of that number sees none of its predecessor's.
#[derive(Debug, Default)]
struct Connection {
    /// Received bytes that are not yet a whole request.
    part: usize,
    /// Responses that are owed and not in the send in flight.
    owed: usize,
    /// Bytes of the send in flight; none when nothing is.
    sending: usize,
    /// Echo: chunks to send back, the first of them in flight while `sending` is not zero.
    chunks: VecDeque<Chunk>,
    /// The receive is armed.
    receiving: bool,
    /// The peer has ended or failed: close when nothing is in flight.
    ending: bool,
    dirty: bool,
}

#[derive(Debug, Clone, Copy)]
struct Chunk {
    buffer: u16,
    len: usize,
}

struct Floor<'options> {
    options: &'options Options,
    response: Response,
    ring: Ring,
    buffers: BufferRing,
    listener: RawFd,
    connections: Vec<Connection>,
    /// Connections with something to send at the end of this turn.
    dirty: Vec<RawFd>,
    /// Connections whose receive found no buffer.
    starved: Vec<RawFd>,
}

/// Serves until the process is killed.
pub(super) fn serve(
    options: &Options,
    listener: &TcpListener,
    response: Response,
) -> io::Result<()> {
    let mut ring = Ring::new(RING)?;
    let count = (BUFFER_MEMORY / options.buffer_bytes).clamp(1, 1 << 14).ilog2();
    let shape = Shape { count: 1 << count, bytes: options.buffer_bytes };
    let buffers = BufferRing::new(shape, 0)?;
    ring.register(&buffers)?;
    let listener = listener.as_raw_fd();
    ring.accept(listener, ACCEPT)?;
    let mut floor = Floor {
        options,
        response,
        ring,
        buffers,
        listener,
        connections: Vec::new(),
        dirty: Vec::new(),
        starved: Vec::new(),
    };
    let mut arrived = Vec::new();
    loop {
        floor.wait(&mut arrived)?;
        for completion in arrived.drain(..) {
            floor.handle(completion)?;
        }
        floor.flush()?;
        floor.buffers.publish();
        floor.feed_starved()?;
    }
}

fn tag(kind: u64, fd: RawFd) -> u64 {
    kind << 32 | fd as u64
}

/// In close mode a failed send cancels the close that is linked to it.
fn closed(fd: RawFd, result: i32) {
    if result == -libc::ECANCELED {
        drop(system::own(fd));
    }
}

impl Floor<'_> {
    fn wait(&mut self, arrived: &mut Vec<Completion>) -> io::Result<()> {
        if self.options.spin_us > 0 {
            let end = Instant::now() + Duration::from_micros(self.options.spin_us);
            while arrived.is_empty() && Instant::now() < end {
                self.ring.enter(0, None)?;
                self.ring.drain(arrived);
            }
            if !arrived.is_empty() {
                return Ok(());
            }
        }
        self.ring.enter(1, None)?;
        self.ring.drain(arrived);
        Ok(())
    }

    fn handle(&mut self, completion: Completion) -> io::Result<()> {
        let fd = (completion.user_data & 0xffff_ffff) as RawFd;
        match completion.user_data >> 32 {
            ACCEPT => self.accepted(completion),
            RECEIVE => self.received(fd, completion),
            SEND => self.sent(fd, completion.result),
            _ => {
                closed(fd, completion.result);
                Ok(())
            }
        }
    }

    fn accepted(&mut self, completion: Completion) -> io::Result<()> {
        if !completion.more() {
            self.ring.accept(self.listener, ACCEPT)?;
        }
        if completion.result < 0 {
            return Ok(());
        }
        let fd = completion.result;
        let index = fd as usize;
        if self.connections.len() <= index {
            self.connections.resize_with(index + 1, Connection::default);
        }
        self.connections[index] = Connection::default();
        self.arm(fd)
    }

    fn arm(&mut self, fd: RawFd) -> io::Result<()> {
        self.connections[fd as usize].receiving = true;
        let how = match (self.options.close, self.buffers.offered() < BUFFERS_LOW) {
            (true, _) => Receive::Once,
            (false, true) => Receive::MultishotPollFirst,
            (false, false) => Receive::Multishot,
        };
        self.ring.receive(fd, how, self.buffers.group(), tag(RECEIVE, fd))
    }

    fn received(&mut self, fd: RawFd, completion: Completion) -> io::Result<()> {
        let connection = &mut self.connections[fd as usize];
        if let Some(buffer) = completion.buffer() {
            self.buffers.take();
            let len = completion.result.max(0) as usize;
            if self.response.echo && len > 0 {
                connection.chunks.push_back(Chunk { buffer, len });
            } else {
                self.buffers.give_back(buffer);
                let bytes = connection.part + len;
                connection.owed += bytes / self.options.request_bytes;
                connection.part = bytes % self.options.request_bytes;
            }
            let owes = connection.owed > 0 || !connection.chunks.is_empty();
            if owes && connection.sending == 0 && !connection.dirty {
                connection.dirty = true;
                self.dirty.push(fd);
            }
        }
        if completion.more() {
            return Ok(());
        }
        connection.receiving = false;
        match completion.result {
            result if result == -libc::ENOBUFS => self.starved.push(fd),
            result if result > 0 && self.options.close && connection.owed > 0 => {}
            result if result > 0 => self.arm(fd)?,
            _ => {
                connection.ending = true;
                self.close_when_done(fd)?;
            }
        }
        Ok(())
    }

    fn sent(&mut self, fd: RawFd, result: i32) -> io::Result<()> {
        let connection = &mut self.connections[fd as usize];
        let asked = std::mem::take(&mut connection.sending);
        if let Some(chunk) = connection.chunks.pop_front() {
            self.buffers.give_back(chunk.buffer);
        }
        if self.options.close {
            return Ok(());
        }
        if result != asked as i32 {
            // The peer has gone in the middle; its receive ends as well.
            connection.ending = true;
            system::shutdown(fd);
        }
        let owes = connection.owed > 0 || !connection.chunks.is_empty();
        if owes && !connection.dirty {
            connection.dirty = true;
            self.dirty.push(fd);
        }
        self.close_when_done(fd)
    }

    fn close_when_done(&mut self, fd: RawFd) -> io::Result<()> {
        let connection = &mut self.connections[fd as usize];
        if !connection.ending || connection.receiving || connection.sending > 0 {
            return Ok(());
        }
        for chunk in std::mem::take(&mut connection.chunks) {
            self.buffers.give_back(chunk.buffer);
        }
        connection.owed = 0;
        drop(system::own(fd));
        Ok(())
    }

    /// One send for each connection that owes something: directly if they are few.
    fn flush(&mut self) -> io::Result<()> {
        let direct = self.dirty.len() <= self.options.direct_sends_max && !self.options.close;
        let dirty = std::mem::take(&mut self.dirty);
        for fd in &dirty {
            let connection = &mut self.connections[*fd as usize];
            connection.dirty = false;
            if connection.sending > 0 {
                continue;
            }
            match (self.response.echo, direct) {
                (true, _) => self.send_echo(*fd, direct)?,
                (false, _) => self.send_responses(*fd, direct)?,
            }
        }
        self.dirty = dirty;
        self.dirty.clear();
        Ok(())
    }

    fn send_responses(&mut self, fd: RawFd, direct: bool) -> io::Result<()> {
        let connection = &mut self.connections[fd as usize];
        while connection.owed > 0 {
            let (mut bytes, count) = self.response.take(connection.owed);
            connection.owed -= count;
            if self.options.close {
                connection.sending = bytes.len();
                return self.ring.send_and_close(fd, bytes, [tag(SEND, fd), tag(CLOSE, fd)]);
            }
            if direct {
                // What did not fit, or failed, goes through the ring and is answered there.
                bytes = &bytes[system::send_now(fd, bytes).unwrap_or(0)..];
            }
            if !bytes.is_empty() {
                connection.sending = bytes.len();
                return self.ring.send(fd, bytes, tag(SEND, fd));
            }
        }
        Ok(())
    }

    fn send_echo(&mut self, fd: RawFd, direct: bool) -> io::Result<()> {
        let connection = &mut self.connections[fd as usize];
        while let Some(chunk) = connection.chunks.front() {
            let bytes = self.buffers.bytes(chunk.buffer, chunk.len);
            let sent = if direct { system::send_now(fd, bytes).unwrap_or(0) } else { 0 };
            let rest = &bytes[sent..];
            if !rest.is_empty() {
                connection.sending = rest.len();
                // SAFETY: the chunk stays in `chunks`, and its buffer with us, until `sent`.
                return unsafe { self.ring.send_borrowed(fd, rest, tag(SEND, fd)) };
            }
            let buffer = chunk.buffer;
            connection.chunks.pop_front();
            self.buffers.give_back(buffer);
        }
        Ok(())
    }

    /// Arms receives that found no buffer, as soon as some are offered again.
    fn feed_starved(&mut self) -> io::Result<()> {
        if self.starved.is_empty() || self.buffers.offered() == 0 {
            return Ok(());
        }
        for fd in std::mem::take(&mut self.starved) {
            self.arm(fd)?;
        }
        Ok(())
    }
}
