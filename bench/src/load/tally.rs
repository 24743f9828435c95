//! What a run counts, and the clock and CPU readings at both ends of its counted window.
//! It must never count a response outside of the window.

use std::io;
use std::time::Instant;

use super::options::Options;
use crate::histogram::Histogram;
use crate::report::Report;
use crate::system;

const SAMPLES_MAX: usize = 5;

/// Counts of one window, and the errors of the whole run.
#[derive(Debug)]
pub(super) struct Tally {
    pub(super) requests: u64,
    pub(super) latency: Histogram,
    errors: u64,
    samples: Vec<String>,
    start: Reading,
    end: Reading,
}

/// Clock and CPU at one moment.
#[derive(Debug, Clone, Copy)]
struct Reading {
    at: Instant,
    client: u64,
    server: Option<u64>,
}

impl Reading {
    fn take(options: &Options) -> io::Result<Reading> {
        let server = options.server_pid.map(system::cpu_nanoseconds).transpose()?;
        let client = system::cpu_nanoseconds(std::process::id())?;
        Ok(Reading { at: Instant::now(), client, server })
    }
}

impl Tally {
    pub(super) fn new(options: &Options) -> io::Result<Tally> {
        let start = Reading::take(options)?;
        let latency = Histogram::default();
        Ok(Tally { requests: 0, latency, errors: 0, samples: Vec::new(), start, end: start })
    }

    /// Begins the counted window: what was counted so far is forgotten, but not the errors.
    pub(super) fn open(&mut self, options: &Options) -> io::Result<()> {
        self.requests = 0;
        self.latency = Histogram::default();
        self.start = Reading::take(options)?;
        Ok(())
    }

    /// Ends the counted window.
    pub(super) fn close(&mut self, options: &Options) -> io::Result<()> {
        self.end = Reading::take(options)?;
        Ok(())
    }

    /// Notes an error; the first few are kept in words.
    pub(super) fn error(&mut self, describe: impl FnOnce() -> String) {
        self.errors += 1;
        if self.samples.len() < SAMPLES_MAX {
            self.samples.push(describe());
        }
    }

    /// The first error in words, if there was one.
    pub(super) fn first_error(&self) -> Option<&str> {
        self.samples.first().map(String::as_str)
    }

    /// The figures of the window. `requests` are those that ended within it.
    pub(super) fn report(self, options: &Options, mode: &str, requests: u64) -> Report {
        let seconds = (self.end.at - self.start.at).as_secs_f64();
        let each = |nanoseconds: u64| nanoseconds as f64 / 1000.0 / requests.max(1) as f64;
        let server =
            self.end.server.zip(self.start.server).map(|(end, start)| end.saturating_sub(start));
        let us = |share: f64| self.latency.quantile(share) as f64 / 1000.0;
        Report {
            mode: mode.to_owned(),
            connections: options.connections,
            active: options.active.unwrap_or(options.connections),
            depth: options.depth,
            rate: options.rate,
            requests,
            seconds,
            requests_per_second: requests as f64 / seconds.max(1e-9),
            p50_us: us(0.5),
            p99_us: us(0.99),
            p99_alone_us: None,
            p999_us: us(0.999),
            max_us: self.latency.max() as f64 / 1000.0,
            errors: self.errors,
            error_samples: self.samples,
            client_cpu_us_per_request: each(self.end.client.saturating_sub(self.start.client)),
            server_cpu_us_per_request: server.map(each),
            memory: None,
        }
    }
}
