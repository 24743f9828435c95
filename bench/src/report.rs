//! What one run of the load generator tells, as one line of JSON.
//! It must never hold a figure that was not measured: what is absent is `None`.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The result of one run.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Report {
    pub mode: String,
    pub connections: usize,
    pub active: usize,
    pub depth: u32,
    /// Requests a second that were asked for (open loop only).
    pub rate: Option<u64>,
    /// Responses within the counted window.
    pub requests: u64,
    pub seconds: f64,
    pub requests_per_second: f64,
    pub p50_us: f64,
    pub p99_us: f64,
    /// The same without the slow connections beside which it was measured, if there were any.
    #[serde(default)]
    pub p99_alone_us: Option<f64>,
    pub p999_us: f64,
    pub max_us: f64,
    pub errors: u64,
    /// The first errors, in words.
    pub error_samples: Vec<String>,
    /// CPU of this program within the counted window.
    pub client_cpu_us_per_request: f64,
    /// CPU of the server within the counted window, if its process id was given.
    pub server_cpu_us_per_request: Option<f64>,
    pub memory: Option<Memory>,
}

/// Bytes around many idle connections: resident in the server, and in the slabs of the kernel.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub struct Memory {
    pub before: u64,
    pub open: u64,
    pub closed: u64,
    /// More bytes of kernel slab with all connections open than before: both ends of each of them,
    /// the server's operations, and whatever else the machine did meanwhile.
    pub slab: Option<u64>,
}

impl fmt::Display for Report {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            formatter,
            "{}: {} connections ({} active), depth {}, {:.2} s",
            self.mode, self.connections, self.active, self.depth, self.seconds
        )?;
        writeln!(
            formatter,
            "{} responses, {:.0}/s; p50 {:.1} µs, p99 {:.1}, p99.9 {:.1}, max {:.1}",
            self.requests,
            self.requests_per_second,
            self.p50_us,
            self.p99_us,
            self.p999_us,
            self.max_us
        )?;
        write!(formatter, "client {:.2} µs a request", self.client_cpu_us_per_request)?;
        if let Some(server) = self.server_cpu_us_per_request {
            write!(formatter, ", server {server:.3} µs a request")?;
        }
        if let Some(memory) = self.memory {
            let each = |bytes: u64| (bytes as f64 - memory.before as f64) / self.connections as f64;
            write!(
                formatter,
                "; memory {:.0} B a connection, {:.0} B after the close",
                each(memory.open),
                each(memory.closed)
            )?;
            if let Some(slab) = memory.slab {
                let slab = slab as f64 / self.connections as f64;
                write!(formatter, ", {slab:.0} B of kernel slab for both ends")?;
            }
        }
        if let Some(alone) = self.p99_alone_us {
            write!(formatter, "; p99 {:.2} × what it is alone", self.p99_us / alone)?;
        }
        if self.errors > 0 {
            write!(formatter, "\n{} ERRORS: {}", self.errors, self.error_samples.join("; "))?;
        }
        Ok(())
    }
}
