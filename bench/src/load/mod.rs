//! The load generator: one thread, one ring, a few ways to send requests.
//! It must never cost more than the server that it measures, nor count a response it did not check.

mod broadcast;
mod bulk;
mod churn;
mod client;
mod connect;
mod memory;
pub mod options;
mod plan;
mod resp;
mod slow;
mod tally;
mod websocket;

use std::io;

use crate::report::Report;
use crate::system;
use options::Options;
use plan::Plan;

/// Runs what the options ask for and tells what happened.
pub fn run(options: &Options) -> io::Result<Report> {
    system::raise_open_files()?;
    system::exact_timers();
    if let Some(core) = options.core {
        system::pin_to_core(core)?;
    }
    if options.is_bulk() {
        return bulk::run(options);
    }
    let plan = Plan::prepare(options)?;
    if options.broadcast {
        return broadcast::run(options, plan);
    }
    match (options.churn, options.memory) {
        (true, _) => churn::run(options, plan),
        (false, true) => memory::run(options, plan),
        (false, false) => match options.slow_heads {
            Some(count) => slow::run(options, plan, count),
            None => client::run(options, plan),
        },
    }
}

/// How many bytes one HTTP request of these options has, for floors that count bytes only.
pub fn request_bytes(options: &Options) -> usize {
    plan::http_request(options).len()
}

/// The bytes of one whole response of a server to these options' request.
pub fn response_bytes(options: &Options) -> io::Result<Vec<u8>> {
    Ok(plan::probe(options, &plan::http_request(options))?.1)
}
