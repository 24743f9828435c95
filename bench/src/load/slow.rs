//! The same load twice: alone, and beside connections whose heads never end.
//! It must never make the attack so slow that nothing of it is left within the window.

use std::fs::File;
use std::io::{self, Write};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::JoinHandle;
use std::time::Duration;

use super::options::Options;
use super::plan::Plan;
use super::{client, connect};
use crate::report::Report;
use crate::system;

/// What each connection has said, to which it adds a byte at a time.
const HEAD: &[u8] = b"GET /plaintext HTTP/1.1\r\nHost: a\r\nX: ";
/// How long all connections together take to add a byte each.
const INTERVAL: Duration = Duration::from_secs(1);
/// In so many parts, so that their bytes come all the time.
const PARTS: u32 = 50;

/// Both runs, of which the second one is reported, with what the first one's p99 was.
pub(super) fn run(options: &Options, plan: Plan, count: usize) -> io::Result<Report> {
    let alone = client::run(options, plan.clone())?;
    let attack = Attack::begin(options, count)?;
    let mut report = client::run(options, plan)?;
    let left = attack.end()?;
    if left < count - count / 10 {
        report.errors += 1;
        let gone = format!("of {count} slow connections {left} were left at the end");
        report.error_samples.push(gone);
    }
    "slow heads".clone_into(&mut report.mode);
    report.errors += alone.errors;
    report.error_samples.extend(alone.error_samples);
    report.p99_alone_us = Some(alone.p99_us);
    Ok(report)
}

/// Connections with heads that do not end, and the thread that goes on with them.
struct Attack {
    stop: Sender<()>,
    /// Gives how many connections were left.
    thread: JoinHandle<usize>,
}

impl Attack {
    fn begin(options: &Options, count: usize) -> io::Result<Self> {
        let opened = connect::open_all(options.target, count)?;
        let mut slow: Vec<File> = opened.into_iter().map(File::from).collect();
        slow.iter_mut().try_for_each(|connection| connection.write_all(HEAD))?;
        let (stop, stopped) = mpsc::channel();
        let core = options.core;
        let go_on = move || {
            if let Some(core) = core {
                // Where that is refused, the attack runs where the system puts it.
                let _ = system::pin_to_core(core);
            }
            let mut left = vec![true; slow.len()];
            let part = slow.len().div_ceil(PARTS as usize).max(1);
            for turn in 0.. {
                let ended = stopped.recv_timeout(INTERVAL / PARTS);
                if ended != Err(RecvTimeoutError::Timeout) {
                    break;
                }
                let first = turn * part % slow.len().max(1);
                let last = slow.len().min(first + part);
                for (one, is_left) in slow[first..last].iter_mut().zip(&mut left[first..last]) {
                    *is_left &= one.write_all(b"x").is_ok();
                }
            }
            left.iter().filter(|is_left| **is_left).count()
        };
        let thread = std::thread::Builder::new().name("attack".to_owned()).spawn(go_on)?;
        Ok(Self { stop, thread })
    }

    fn end(self) -> io::Result<usize> {
        drop(self.stop);
        self.thread.join().map_err(|_| io::Error::other("the attack broke off"))
    }
}
