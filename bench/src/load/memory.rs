//! Memory of the server, and of the kernel for it, around many idle connections.
//! It must never read before the server has come to rest.

use std::io;
use std::time::{Duration, Instant};

use super::client::Client;
use super::options::Options;
use super::plan::Plan;
use crate::report::{Memory, Report};
use crate::system;

const CLOSE_DEADLINE: Duration = Duration::from_secs(20);
/// The server may still free, or give back to the system, what it no longer needs.
const SETTLE: Duration = Duration::from_millis(300);
const POLL: Duration = Duration::from_millis(20);
/// Descriptors that a server may open for itself meanwhile.
const FILES_OF_ITS_OWN: usize = 8;

/// One request on each connection, then nothing; then every connection is closed.
pub(super) fn run(options: &Options, plan: Plan) -> io::Result<Report> {
    let server = options.server_pid;
    let server = server.ok_or_else(|| io::Error::other("--memory needs --server-pid"))?;
    let before = system::resident_bytes(server)?;
    let slab_before = system::slab_bytes();
    let files_before = system::open_descriptors(server)?;
    let mut client = Client::open(options, plan)?;
    client.prime()?;
    std::thread::sleep(SETTLE);
    let open = system::resident_bytes(server)?;
    let slab_open = system::slab_bytes();
    let slab =
        slab_before.ok().zip(slab_open.ok()).map(|(before, open)| open.saturating_sub(before));
    let mut report = client.finish("memory", 0);
    let deadline = Instant::now() + CLOSE_DEADLINE;
    while system::open_descriptors(server)? > files_before + FILES_OF_ITS_OWN {
        if Instant::now() > deadline {
            return Err(io::Error::other("the server did not close its side in time"));
        }
        std::thread::sleep(POLL);
    }
    std::thread::sleep(SETTLE);
    let closed = system::resident_bytes(server)?;
    report.memory = Some(Memory { before, open, closed, slab });
    Ok(report)
}
