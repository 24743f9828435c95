//! One WebSocket that speaks and many that listen: each message comes to all of them.
//! It must never count a message as delivered that one of them has not received whole and in order.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::time::{Duration, Instant};

use super::options::Options;
use super::plan::Plan;
use super::tally::Tally;
use super::{connect, websocket};
use crate::buffers::{BufferRing, Shape};
use crate::report::Report;
use crate::ring::{Completion, Receive, Ring, Sizes};
use crate::system;

const DRAIN_DEADLINE: Duration = Duration::from_secs(5);
/// All receive buffers together.
const BUFFERS: Shape = Shape { count: 1 << 12, bytes: 2048 };
const SEND: u64 = u64::MAX;

struct Listener {
    fd: OwnedFd,
    /// Place within the current message.
    offset: usize,
    /// Messages that came whole.
    received: u64,
}

/// A message that is on its way: when it was sent, and how many have it.
#[derive(Clone, Copy)]
struct Message {
    since: u64,
    delivered: usize,
}

struct Broadcast {
    plan: Plan,
    ring: Ring,
    buffers: BufferRing,
    speaker: OwnedFd,
    listeners: Vec<Listener>,
    /// Those on their way, by their number modulo how many there may be.
    messages: Vec<Message>,
    sent: u64,
    /// Sends wait for this one, in their order.
    is_sending: bool,
    /// How many messages are still to be sent behind it.
    owed: u32,
    is_over: bool,
    tally: Tally,
    clock: Instant,
    now: u64,
}

/// Runs until the window is over and all that was sent has come.
pub(super) fn run(options: &Options, plan: Plan) -> io::Result<Report> {
    let mut broadcast = Broadcast::open(options, plan)?;
    broadcast.owed = options.depth;
    broadcast.speak()?;
    broadcast.run_for(options.warmup, u64::MAX)?;
    broadcast.tally.open(options)?;
    broadcast.run_for(options.seconds, options.requests.unwrap_or(u64::MAX))?;
    broadcast.tally.close(options)?;
    let requests = broadcast.tally.requests;
    broadcast.drain()?;
    for listener in &broadcast.listeners {
        system::shutdown(listener.fd.as_raw_fd());
    }
    Ok(broadcast.tally.report(options, "broadcast", requests))
}

impl Broadcast {
    fn open(options: &Options, plan: Plan) -> io::Result<Self> {
        let completions = (4 * options.connections as u32).next_power_of_two().max(4096);
        let mut ring = Ring::new(Sizes { submissions: 2048, completions })?;
        let buffers = BufferRing::new(BUFFERS, 0)?;
        ring.register(&buffers)?;
        let mut connections = connect::open_all(options.target, options.connections + 1)?;
        websocket::upgrade_all(&connections, options)?;
        let speaker = connections.remove(0);
        for (index, connection) in connections.iter().enumerate() {
            let fd = connection.as_raw_fd();
            ring.receive(fd, Receive::MultishotPollFirst, 0, index as u64)?;
        }
        let listener = |fd| Listener { fd, offset: 0, received: 0 };
        Ok(Broadcast {
            tally: Tally::new(options)?,
            messages: vec![Message { since: 0, delivered: 0 }; options.depth as usize],
            plan,
            ring,
            buffers,
            speaker,
            listeners: connections.into_iter().map(listener).collect(),
            sent: 0,
            is_sending: false,
            owed: 0,
            is_over: false,
            clock: Instant::now(),
            now: 0,
        })
    }

    fn run_for(&mut self, seconds: f64, deliveries_max: u64) -> io::Result<()> {
        let end = self.clock.elapsed().as_nanos() as u64 + (seconds * 1e9) as u64;
        while self.now < end && self.tally.requests < deliveries_max {
            self.turn(end)?;
        }
        Ok(())
    }

    /// Waits for what was sent: every listener must have every message.
    fn drain(&mut self) -> io::Result<()> {
        self.is_over = true;
        let end = self.now + DRAIN_DEADLINE.as_nanos() as u64;
        let sent = self.sent;
        while self.now < end && self.listeners.iter().any(|listener| listener.received < sent) {
            self.turn(end)?;
        }
        let late = self.listeners.iter().filter(|listener| listener.received < sent).count();
        if late > 0 {
            self.tally.error(|| format!("{late} listeners have not received all messages"));
        }
        Ok(())
    }

    fn turn(&mut self, end: u64) -> io::Result<()> {
        let span = Duration::from_nanos(end.saturating_sub(self.now));
        self.ring.enter(1, Some(span))?;
        self.now = self.clock.elapsed().as_nanos() as u64;
        let mut arrived = Vec::new();
        self.ring.drain(&mut arrived);
        for completion in arrived {
            self.handle(completion)?;
        }
        self.buffers.publish();
        Ok(())
    }

    fn handle(&mut self, completion: Completion) -> io::Result<()> {
        if completion.user_data == SEND {
            return self.sent(completion.result);
        }
        let index = completion.user_data as usize;
        if let Some(buffer) = completion.buffer() {
            self.received(index, buffer, completion.result.max(0) as usize)?;
        }
        if completion.more() {
            return Ok(());
        }
        match completion.result {
            result if result > 0 || result == -libc::ENOBUFS => {
                self.buffers.publish();
                let fd = self.listeners[index].fd.as_raw_fd();
                self.ring.receive(fd, Receive::MultishotPollFirst, 0, index as u64)
            }
            result => Err(io::Error::other(format!("listener {index} ended with {result}"))),
        }
    }

    fn received(&mut self, index: usize, buffer: u16, length: usize) -> io::Result<()> {
        self.buffers.take();
        let listener = &mut self.listeners[index];
        let bytes = self.buffers.bytes(buffer, length);
        let ended = self.plan.template.consume(&mut listener.offset, bytes);
        self.buffers.give_back(buffer);
        let wrong = |what| io::Error::other(format!("listener {index}: {what}"));
        for _ in 0..ended.map_err(|at| wrong(format!("a message differs at {}", at.offset)))? {
            let listener = &mut self.listeners[index];
            if listener.received == self.sent {
                return Err(wrong("more messages than were sent".to_owned()));
            }
            let place = (listener.received % self.messages.len() as u64) as usize;
            listener.received += 1;
            self.delivered(place)?;
        }
        Ok(())
    }

    fn delivered(&mut self, place: usize) -> io::Result<()> {
        let message = &mut self.messages[place];
        message.delivered += 1;
        self.tally.requests += 1;
        self.tally.latency.record(self.now.saturating_sub(message.since), 1);
        if message.delivered == self.listeners.len() && !self.is_over {
            self.owed += 1;
            self.speak()?;
        }
        Ok(())
    }

    /// Sends what is owed, once nothing is being sent.
    fn speak(&mut self) -> io::Result<()> {
        if self.is_sending || self.owed == 0 {
            return Ok(());
        }
        let (count, since) = (std::mem::take(&mut self.owed), self.now);
        for _ in 0..count {
            let place = (self.sent % self.messages.len() as u64) as usize;
            self.messages[place] = Message { since, delivered: 0 };
            self.sent += 1;
        }
        self.is_sending = true;
        self.ring.send(self.speaker.as_raw_fd(), self.plan.requests(count), SEND)
    }

    fn sent(&mut self, result: i32) -> io::Result<()> {
        if result < 0 {
            return Err(io::Error::from_raw_os_error(-result));
        }
        self.is_sending = false;
        if self.is_over { Ok(()) } else { self.speak() }
    }
}
