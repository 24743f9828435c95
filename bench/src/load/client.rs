//! Connections that stay open: closed loop, and open loop at a rate.
//! It must never have two sends in flight on one connection.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::time::{Duration, Instant};

use super::connect;
use super::options::Options;
use super::plan::Plan;
use super::tally::Tally;
use super::websocket;
use crate::buffers::{BufferRing, Shape};
use crate::report::Report;
use crate::ring::{Completion, Receive, Ring, Sizes};
use crate::system;

const PRIME_DEADLINE: Duration = Duration::from_secs(60);
const DRAIN_DEADLINE: Duration = Duration::from_secs(2);
/// Connections that are primed at the same time.
const PRIMED_AT_ONCE: usize = 64;
/// All receive buffers together.
const BUFFER_MEMORY: u32 = 8 << 20;
const SEND_FLAG: u64 = 1 << 63;

/// What a connection does when it has nothing to wait for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// The next connection has its first request.
    Prime,
    /// The connection goes on (closed loop) or takes what is due (open loop).
    Run,
    /// Nothing new is sent but what was due already.
    Drain,
}

#[derive(Debug)]
struct Connection {
    fd: OwnedFd,
    /// Place within the current response.
    offset: usize,
    /// Responses still to come.
    outstanding: u32,
    /// Bytes of the send in flight.
    sending: usize,
    /// When the requests in flight began, or were due.
    since: u64,
    /// Due requests that found the connection busy.
    due: VecDeque<u64>,
    broken: bool,
}

pub(super) struct Client<'options> {
    options: &'options Options,
    plan: Plan,
    ring: Ring,
    buffers: BufferRing,
    connections: Vec<Connection>,
    active: usize,
    stage: Stage,
    tally: Tally,
    /// Connections that had their first request.
    primed: usize,
    priming: usize,
    /// Connections with a request in flight.
    busy: usize,
    schedule: Option<Schedule>,
    clock: Instant,
    now: u64,
    arrived: Vec<Completion>,
}

/// When requests of the open loop are due.
#[derive(Debug, Clone, Copy)]
struct Schedule {
    start: u64,
    rate: u64,
    sent: u64,
}

impl Schedule {
    fn next(&self) -> u64 {
        self.start + (u128::from(self.sent) * 1_000_000_000 / u128::from(self.rate)) as u64
    }
}

/// Runs the closed loop or the open loop.
pub(super) fn run(options: &Options, plan: Plan) -> io::Result<Report> {
    let mut client = Client::open(options, plan)?;
    client.prime()?;
    client.start();
    client.run_for(options.warmup, u64::MAX)?;
    client.tally.open(options)?;
    client.run_for(options.seconds, options.requests.unwrap_or(u64::MAX))?;
    client.tally.close(options)?;
    let requests = client.tally.requests;
    client.drain()?;
    let mode = if options.rate.is_some() { "open loop" } else { "closed loop" };
    Ok(client.finish(mode, requests))
}

impl<'options> Client<'options> {
    /// Opens every connection and arms its receive.
    pub(super) fn open(options: &'options Options, plan: Plan) -> io::Result<Client<'options>> {
        let completions = (4 * options.connections as u32).next_power_of_two().max(4096);
        let mut ring = Ring::new(Sizes { submissions: 2048, completions })?;
        let count = (BUFFER_MEMORY / options.buffer_bytes).clamp(32, 1 << 14);
        let count = (count + 1).next_power_of_two() / 2;
        let shape = Shape { count: count as u16, bytes: options.buffer_bytes };
        let buffers = BufferRing::new(shape, 0)?;
        ring.register(&buffers)?;
        let connections = connect::open_all(options.target, options.connections)?;
        if options.socket_bytes.is_some() {
            websocket::upgrade_all(&connections, options)?;
        }
        let connections: Vec<_> = connections.into_iter().map(Connection::new).collect();
        for (index, connection) in connections.iter().enumerate() {
            let fd = connection.fd.as_raw_fd();
            ring.receive(fd, Receive::MultishotPollFirst, 0, index as u64)?;
        }
        Ok(Client {
            tally: Tally::new(options)?,
            active: options.active.unwrap_or(usize::MAX).min(connections.len()),
            options,
            plan,
            ring,
            buffers,
            connections,
            stage: Stage::Prime,
            primed: 0,
            priming: 0,
            busy: 0,
            schedule: None,
            clock: Instant::now(),
            now: 0,
            arrived: Vec::new(),
        })
    }

    /// One request on each connection, a few at a time.
    pub(super) fn prime(&mut self) -> io::Result<()> {
        let deadline = self.now + PRIME_DEADLINE.as_nanos() as u64;
        while self.priming < self.connections.len().min(PRIMED_AT_ONCE) {
            self.prime_next()?;
        }
        while self.primed < self.connections.len() {
            self.turn(deadline)?;
            if let Some(why) = self.tally.first_error() {
                return Err(io::Error::other(why.to_owned()));
            }
            if self.now >= deadline {
                return Err(io::Error::other("not every connection answered in time"));
            }
        }
        Ok(())
    }

    fn prime_next(&mut self) -> io::Result<()> {
        if self.priming < self.connections.len() {
            self.priming += 1;
            self.send(self.priming - 1, 1, self.now)?;
        }
        Ok(())
    }

    /// Goes over from the first requests to the workload.
    fn start(&mut self) {
        self.stage = Stage::Run;
        self.now = self.clock.elapsed().as_nanos() as u64;
        if let Some(rate) = self.options.rate {
            self.schedule = Some(Schedule { start: self.now, rate: rate.max(1), sent: 0 });
        }
    }

    fn run_for(&mut self, seconds: f64, requests_max: u64) -> io::Result<()> {
        self.now = self.clock.elapsed().as_nanos() as u64;
        let end = self.now + (seconds * 1e9) as u64;
        if self.options.rate.is_none() {
            for index in 0..self.active {
                self.next(index)?;
            }
        }
        while self.now < end && self.tally.requests < requests_max {
            self.turn(end)?;
        }
        Ok(())
    }

    /// Waits for what is in flight or overdue: leaving it out would hide the slowest.
    fn drain(&mut self) -> io::Result<()> {
        self.stage = Stage::Drain;
        self.schedule = None;
        let end = self.now + DRAIN_DEADLINE.as_nanos() as u64;
        while self.busy > 0 && self.now < end {
            self.turn(end)?;
        }
        let left: usize = self.connections.iter().map(|connection| connection.due.len()).sum();
        let busy = self.busy;
        if busy + left > 0 {
            self.tally.error(|| format!("{busy} requests unanswered and {left} unsent at the end"));
        }
        Ok(())
    }

    /// Ends the connections and tells the figures.
    pub(super) fn finish(self, mode: &str, requests: u64) -> Report {
        // The ring lives on: its receives end with the shutdown, then the descriptors are closed.
        for connection in &self.connections {
            system::shutdown(connection.fd.as_raw_fd());
        }
        self.tally.report(self.options, mode, requests)
    }

    fn turn(&mut self, end: u64) -> io::Result<()> {
        self.send_due()?;
        let wake = self.schedule.map_or(end, |schedule| schedule.next().min(end));
        let span = Duration::from_nanos(wake.saturating_sub(self.now));
        let least = u32::from(!self.options.spin && !span.is_zero());
        self.ring.enter(least, (least > 0).then_some(span))?;
        self.now = self.clock.elapsed().as_nanos() as u64;
        let mut arrived = std::mem::take(&mut self.arrived);
        self.ring.drain(&mut arrived);
        for completion in arrived.drain(..) {
            self.handle(completion)?;
        }
        self.arrived = arrived;
        self.buffers.publish();
        Ok(())
    }

    /// Sends, or queues at its connection, every request whose time has come.
    fn send_due(&mut self) -> io::Result<()> {
        while let Some(schedule) = &mut self.schedule {
            let due = schedule.next();
            if due > self.now {
                break;
            }
            let index = (schedule.sent % self.active as u64) as usize;
            schedule.sent += 1;
            self.connections[index].due.push_back(due);
            self.next(index)?;
        }
        Ok(())
    }

    fn handle(&mut self, completion: Completion) -> io::Result<()> {
        let index = (completion.user_data & !SEND_FLAG) as usize;
        if completion.user_data & SEND_FLAG != 0 {
            return self.sent(index, completion.result);
        }
        self.received(index, completion)?;
        if completion.more() {
            return Ok(());
        }
        match completion.result {
            0 => self.broken(index, "closed by the server".to_owned()),
            result if result > 0 || result == -libc::ENOBUFS => {
                self.buffers.publish();
                let fd = self.connections[index].fd.as_raw_fd();
                self.ring.receive(fd, Receive::MultishotPollFirst, 0, index as u64)?;
            }
            result => self.broken(index, format!("receive: {}", named(result))),
        }
        Ok(())
    }

    fn sent(&mut self, index: usize, result: i32) -> io::Result<()> {
        let connection = &mut self.connections[index];
        let asked = std::mem::take(&mut connection.sending);
        if result != asked as i32 {
            self.broken(index, format!("send of {asked}: {}", named(result)));
            return Ok(());
        }
        if connection.outstanding == 0 {
            self.idle(index)?;
        }
        Ok(())
    }

    fn received(&mut self, index: usize, completion: Completion) -> io::Result<()> {
        let Some(buffer) = completion.buffer() else { return Ok(()) };
        self.buffers.take();
        let connection = &mut self.connections[index];
        let bytes = self.buffers.bytes(buffer, completion.result.max(0) as usize);
        let ended = self.plan.template.consume(&mut connection.offset, bytes);
        self.buffers.give_back(buffer);
        match ended {
            _ if connection.broken => Ok(()),
            Ok(ended) if ended <= connection.outstanding => self.answered(index, ended),
            Ok(_) => {
                self.broken(index, "more responses than requests".to_owned());
                Ok(())
            }
            Err(mismatch) => {
                let offset = mismatch.offset;
                self.broken(index, format!("a response differs from the first at byte {offset}"));
                Ok(())
            }
        }
    }

    fn answered(&mut self, index: usize, ended: u32) -> io::Result<()> {
        if ended == 0 {
            return Ok(());
        }
        let connection = &mut self.connections[index];
        connection.outstanding -= ended;
        let latency = self.now.saturating_sub(connection.since);
        self.tally.requests += u64::from(ended);
        self.tally.latency.record(latency, u64::from(ended));
        if connection.outstanding == 0 && connection.sending == 0 {
            self.idle(index)?;
        }
        Ok(())
    }

    /// The connection has its answers, and its send has completed.
    fn idle(&mut self, index: usize) -> io::Result<()> {
        self.busy -= 1;
        match self.stage {
            Stage::Prime => {
                self.primed += 1;
                self.prime_next()
            }
            Stage::Run | Stage::Drain => self.next(index),
        }
    }

    /// Sends what comes next on a connection that has nothing in flight.
    fn next(&mut self, index: usize) -> io::Result<()> {
        let connection = &mut self.connections[index];
        if connection.broken || connection.outstanding > 0 || connection.sending > 0 {
            return Ok(());
        }
        if self.options.rate.is_some() {
            return match connection.due.pop_front() {
                Some(due) => self.send(index, 1, due),
                None => Ok(()),
            };
        }
        if self.stage == Stage::Run && index < self.active {
            return self.send(index, self.options.depth, self.now);
        }
        Ok(())
    }

    fn send(&mut self, index: usize, count: u32, since: u64) -> io::Result<()> {
        let bytes = self.plan.requests(count);
        let connection = &mut self.connections[index];
        assert!(connection.sending == 0, "one send in flight");
        connection.sending = bytes.len();
        connection.outstanding = count;
        connection.since = since;
        self.busy += 1;
        self.ring.send(connection.fd.as_raw_fd(), bytes, SEND_FLAG | index as u64)
    }

    fn broken(&mut self, index: usize, why: String) {
        let connection = &mut self.connections[index];
        if connection.broken {
            return;
        }
        connection.broken = true;
        if connection.outstanding > 0 || connection.sending > 0 {
            self.busy -= 1;
        }
        self.tally.error(|| format!("connection {index}: {why}"));
        system::shutdown(connection.fd.as_raw_fd());
    }
}

impl Connection {
    fn new(fd: OwnedFd) -> Connection {
        Connection {
            fd,
            offset: 0,
            outstanding: 0,
            sending: 0,
            since: 0,
            due: VecDeque::new(),
            broken: false,
        }
    }
}

fn named(result: i32) -> String {
    if result < 0 {
        return io::Error::from_raw_os_error(-result).to_string();
    }
    format!("{result} bytes")
}
