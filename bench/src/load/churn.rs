//! A connection per request: connect, one request with `Connection: close`, read to the end.
//! It must never count a connection that the server did not close cleanly after one response.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::time::{Duration, Instant};

use super::connect;
use super::options::Options;
use super::plan::Plan;
use super::tally::Tally;
use crate::buffers::{BufferRing, Shape};
use crate::report::Report;
use crate::ring::{Completion, Receive, Ring, Sizes};

const SEND_FLAG: u64 = 1 << 63;
const DRAIN_DEADLINE: Duration = Duration::from_secs(2);
/// After that many errors a run is over: something is wrong with the server.
const ERRORS_MAX: u64 = 100;

#[derive(Debug, Default)]
struct Slot {
    fd: Option<OwnedFd>,
    offset: usize,
    ended: u32,
    since: u64,
}

struct Churn<'options> {
    options: &'options Options,
    plan: Plan,
    ring: Ring,
    buffers: BufferRing,
    slots: Vec<Slot>,
    tally: Tally,
    opened: usize,
    open: usize,
    errors: u64,
    running: bool,
    clock: Instant,
    now: u64,
}

/// Runs the workload and tells what happened.
pub(super) fn run(options: &Options, plan: Plan) -> io::Result<Report> {
    let mut ring = Ring::new(Sizes { submissions: 2048, completions: 16384 })?;
    let buffers = BufferRing::new(Shape { count: 1024, bytes: options.buffer_bytes }, 0)?;
    ring.register(&buffers)?;
    let slots = (0..options.connections).map(|_| Slot::default()).collect();
    let mut churn = Churn {
        tally: Tally::new(options)?,
        options,
        plan,
        ring,
        buffers,
        slots,
        opened: 0,
        open: 0,
        errors: 0,
        running: true,
        clock: Instant::now(),
        now: 0,
    };
    for slot in 0..options.connections {
        churn.connect(slot)?;
    }
    churn.run_for(options.warmup, u64::MAX)?;
    churn.tally.open(options)?;
    churn.run_for(options.seconds, options.requests.unwrap_or(u64::MAX))?;
    churn.tally.close(options)?;
    let requests = churn.tally.requests;
    churn.drain()?;
    Ok(churn.tally.report(options, "connection per request", requests))
}

impl Churn<'_> {
    fn connect(&mut self, index: usize) -> io::Result<()> {
        if !self.running || self.errors > ERRORS_MAX {
            return Ok(());
        }
        self.opened += 1;
        let since = self.clock.elapsed().as_nanos() as u64;
        let fd = match connect::open(self.options.target, Some(self.opened)) {
            Ok(fd) => fd,
            Err(error) => {
                self.fail(format!("connect: {error}"));
                return Ok(());
            }
        };
        let raw = fd.as_raw_fd();
        self.slots[index] = Slot { fd: Some(fd), offset: 0, ended: 0, since };
        self.open += 1;
        self.ring.send(raw, self.plan.requests(1), SEND_FLAG | index as u64)?;
        self.ring.receive(raw, Receive::MultishotPollFirst, 0, index as u64)
    }

    fn run_for(&mut self, seconds: f64, requests_max: u64) -> io::Result<()> {
        self.now = self.clock.elapsed().as_nanos() as u64;
        let end = self.now + (seconds * 1e9) as u64;
        while self.now < end && self.tally.requests < requests_max && self.open > 0 {
            self.turn(end)?;
        }
        Ok(())
    }

    fn drain(&mut self) -> io::Result<()> {
        self.running = false;
        let end = self.now + DRAIN_DEADLINE.as_nanos() as u64;
        while self.open > 0 && self.now < end {
            self.turn(end)?;
        }
        if self.open > 0 {
            let open = self.open;
            self.fail(format!("{open} connections were not closed by the server"));
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
        let index = (completion.user_data & !SEND_FLAG) as usize;
        if completion.user_data & SEND_FLAG != 0 {
            let asked = self.plan.request_len() as i32;
            if completion.result != asked {
                self.fail(format!("send of {asked}: {}", completion.result));
            }
            return Ok(());
        }
        if let Some(buffer) = completion.buffer() {
            self.received(index, buffer, completion.result.max(0) as usize);
        }
        if completion.more() {
            return Ok(());
        }
        if completion.result > 0 || completion.result == -libc::ENOBUFS {
            self.buffers.publish();
            let Some(fd) = &self.slots[index].fd else { return Ok(()) };
            let raw = fd.as_raw_fd();
            return self.ring.receive(raw, Receive::MultishotPollFirst, 0, index as u64);
        }
        self.closed(index, completion.result)
    }

    fn received(&mut self, index: usize, buffer: u16, count: usize) {
        self.buffers.take();
        let slot = &mut self.slots[index];
        let bytes = self.buffers.bytes(buffer, count);
        let ended = self.plan.template.consume(&mut slot.offset, bytes);
        self.buffers.give_back(buffer);
        match ended {
            Ok(ended) => slot.ended += ended,
            Err(mismatch) => {
                let offset = mismatch.offset;
                self.fail(format!("a response differs from the first at byte {offset}"));
            }
        }
    }

    /// The last completion of the slot's receive: nothing is in flight, the slot may be reused.
    fn closed(&mut self, index: usize, result: i32) -> io::Result<()> {
        let slot = &mut self.slots[index];
        slot.fd = None;
        self.open -= 1;
        if result == 0 && slot.ended == 1 && slot.offset == 0 {
            self.tally.requests += 1;
            self.tally.latency.record(self.now.saturating_sub(slot.since), 1);
        } else {
            let (ended, offset) = (slot.ended, slot.offset);
            self.fail(format!("ended with {result} after {ended} responses and {offset} bytes"));
        }
        self.connect(index)
    }

    fn fail(&mut self, why: String) {
        self.errors += 1;
        self.tally.error(|| why);
    }
}
