//! One row: the bench's server under callgrind, and the load generator as its client. Counts
//! nothing of the start, of opening or closing connections: they are the same in two loads of
//! different length, and what is told is the difference.

use crate::cargo::target_folder;
use crate::child::{Killed, lines_of, run_within};
use crate::error::Error;
use crate::tools::VALGRIND;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

/// Pairs of loads, of which the middle cost is told: now and then turns are short for a while.
const ROUNDS: usize = 3;
const START_TIMEOUT: Duration = Duration::from_secs(20);
/// How long the server's words are waited for before it is asked again.
const START_INTERVAL: Duration = Duration::from_millis(50);
const LOAD_SECONDS_MAX: &str = "30";
const LOAD_TIMEOUT: Duration = Duration::from_secs(60);
const DUMP_TIMEOUT: Duration = Duration::from_secs(20);

/// What is asked of the server, as flags of the load generator.
pub(super) struct Workload {
    pub(super) name: &'static str,
    /// Further flags of the server.
    pub(super) server: &'static [&'static str],
    pub(super) flags: &'static [&'static str],
    /// Requests of the load that is taken off, and of the one that it is taken from.
    pub(super) requests: [u64; 2],
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Measured {
    /// Instructions a request.
    Cost(u64),
    /// The system refuses io_uring, in the program's words.
    Refused(String),
}

/// Instructions and the requests that they were for.
#[derive(Debug, Clone, Copy)]
struct Count {
    instructions: u64,
    requests: u64,
}

/// Measures one row with a server of its own. The load generator needs io_uring itself.
pub(super) fn measure(root: &Path, engine: &str, workload: &Workload) -> Result<Measured, Error> {
    match cost(root, engine, workload) {
        Err(Error::Refused { program, said }) => match refusal_in(&said) {
            Some(refusal) => Ok(Measured::Refused(refusal)),
            None => Err(Error::Refused { program, said }),
        },
        cost => cost.map(Measured::Cost),
    }
}

/// The middle of some rounds, in instructions a request.
fn cost(root: &Path, engine: &str, workload: &Workload) -> Result<u64, Error> {
    let mut server = Server::start(root, engine, workload.server)?;
    let load = target_folder(root).join("release/load");
    let [short, long] = workload.requests;
    // The first load fills the server's memory and is not counted.
    server.count(&load, workload, short)?;
    let mut costs = [0; ROUNDS];
    for cost in &mut costs {
        let short = server.count(&load, workload, short)?;
        let long = server.count(&load, workload, long)?;
        *cost = each(short, long)?;
    }
    costs.sort();
    Ok(costs[ROUNDS / 2])
}

/// What each further request cost, rounded.
fn each(short: Count, long: Count) -> Result<u64, Error> {
    let requests = long.requests.saturating_sub(short.requests);
    let instructions = long.instructions.saturating_sub(short.instructions);
    if requests == 0 || instructions == 0 {
        let expected = "more requests, and more instructions for them, from the longer load";
        return Err(Error::Reply { expected, got: format!("{short:?} and {long:?}") });
    }
    Ok((instructions + requests / 2) / requests)
}

/// What is said about io_uring where it is refused, without the advice behind it.
fn refusal_in(said: &str) -> Option<String> {
    let said = &said[said.find("io_uring is refused")?..];
    Some(said.split(['\n', ';']).next().unwrap_or_default().to_owned())
}

/// A folder that goes with its owner: callgrind's counts, and the pipes to it.
struct Scratch(PathBuf);

impl Scratch {
    fn make() -> Result<Self, Error> {
        let name = format!("springtide-instructions-{}", std::process::id());
        let path = std::env::temp_dir().join(name);
        let made = std::fs::create_dir_all(&path);
        made.map_err(|source| Error::Write { path: path.clone(), source })?;
        Ok(Self(path))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // A folder that cannot be removed is in the system's temporary one anyway.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Killed, not ended: it hears no signal while it waits in its ring. The fields end in their order.
struct Server {
    child: Killed,
    scratch: Scratch,
    address: SocketAddr,
    counts: usize,
}

impl Server {
    /// Its flags name files from the root on.
    fn start(root: &Path, engine: &str, flags: &[&str]) -> Result<Self, Error> {
        let wrap = |source| Error::Network { doing: "looking for a free port", source };
        let listener = TcpListener::bind(("127.0.0.1", 0)).map_err(wrap)?;
        let address = listener.local_addr().map_err(wrap)?;
        drop(listener);
        let scratch = Scratch::make()?;
        // It ends with this program, however that ends.
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", VALGRIND.program, "-q", "--tool=callgrind"]);
        command.arg(format!("--callgrind-out-file={}", scratch.0.join("count").display()));
        command.arg(vgdb_prefix(&scratch)).current_dir(root);
        command.arg(target_folder(root).join("release/bench-server"));
        command.args(["--listen", &address.to_string(), "--workers", "1", "--engine", engine]);
        command.args(flags);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let wrap = |source| Error::Spawn { program: "setpriv".to_owned(), source };
        let mut child = Killed(command.spawn().map_err(wrap)?);
        let lines = lines_of(&mut child.0);
        wait_for_start(&lines, address)?;
        Ok(Self { child, scratch, address, counts: 0 })
    }

    /// Runs a load and returns what the server did for it.
    fn count(&mut self, load: &Path, workload: &Workload, requests: u64) -> Result<Count, Error> {
        let mut command = Command::new(load);
        command.arg(self.address.to_string()).args(workload.flags);
        command.args(["--warmup", "0", "--seconds", LOAD_SECONDS_MAX]);
        command.args(["--requests", &requests.to_string()]);
        let said = run_within(command, LOAD_TIMEOUT)?;
        let requests = requests_in(&said).ok_or(Error::Reply {
            expected: "a line of JSON with `requests` from the load generator",
            got: said,
        })?;
        Ok(Count { instructions: self.dump()?, requests })
    }

    /// The instructions since the last dump, or since the start.
    fn dump(&mut self) -> Result<u64, Error> {
        self.counts += 1;
        let mut command = Command::new("vgdb");
        let process = format!("--pid={}", self.child.0.id());
        command.args([process, vgdb_prefix(&self.scratch), "dump".to_owned()]);
        let said = run_within(command, DUMP_TIMEOUT)?;
        let path = self.scratch.0.join(format!("count.{}", self.counts));
        let Ok(text) = std::fs::read_to_string(&path) else {
            return Err(Error::Refused { program: "vgdb".to_owned(), said });
        };
        let expected = "a line `totals:` with the instructions";
        totals_in(&text).ok_or(Error::Shape { path, expected })
    }
}

fn vgdb_prefix(scratch: &Scratch) -> String {
    format!("--vgdb-prefix={}", scratch.0.join("vgdb").display())
}

/// Waits for the server's first reply. Its words would not do: valgrind lets one thread at a time go
/// on and takes a wait in a ring for work, so that the thread that prints may wait for ever.
fn wait_for_start(lines: &Receiver<String>, address: SocketAddr) -> Result<(), Error> {
    let deadline = Instant::now() + START_TIMEOUT;
    let mut said = String::new();
    while Instant::now() < deadline {
        if answers(address).is_ok_and(|count| count > 0) {
            return Ok(());
        }
        match lines.recv_timeout(START_INTERVAL) {
            Ok(line) => said.push_str(&format!("{line}\n")),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => break,
        }
    }
    Err(Error::Refused { program: "valgrind bench-server".to_owned(), said })
}

/// Asks for a page, of which a server that echoes gives the request back; how much came first.
fn answers(address: SocketAddr) -> std::io::Result<usize> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(START_TIMEOUT))?;
    stream.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")?;
    stream.read(&mut [0; 64])
}

/// Reads `requests` from the load generator's line of JSON.
fn requests_in(said: &str) -> Option<u64> {
    let line = said.lines().find(|line| line.starts_with('{'))?;
    let (_, rest) = line.split_once("\"requests\":")?;
    let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    rest[..end].parse().ok()
}

/// Reads the sum of a file that callgrind wrote.
fn totals_in(text: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix("totals: "))?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_difference_is_what_counts() {
        let count = |instructions, requests| Count { instructions, requests };
        assert_eq!(each(count(5_100, 1_000), count(15_140, 3_010)).unwrap(), 5);
        assert_eq!(each(count(0, 0), count(7, 2)).unwrap(), 4, "rounded to the nearest");
        assert!(each(count(5_000, 1_000), count(6_000, 1_000)).is_err());
        assert!(each(count(5_000, 1_000), count(4_000, 2_000)).is_err());
    }

    #[test]
    fn the_requests_are_read() {
        let said = "closed loop: 64 connections\n\
                    {\"mode\":\"closed loop\",\"rate\":null,\"requests\":1003,\"seconds\":0.01,\
                    \"requests_per_second\":75230.4,\"errors\":0}\n1003 responses";
        assert_eq!(requests_in(said), Some(1003));
        assert_eq!(requests_in("\"requests\":1003"), None);
        assert_eq!(requests_in("{\"requests\":null}"), None);
    }

    #[test]
    fn the_totals_are_read() {
        let text =
            "# callgrind format\nevents: Ir\nsummary: 12\n\nfn=(1) main\n1 12\n\ntotals: 12\n";
        assert_eq!(totals_in(text), Some(12));
        assert_eq!(totals_in("events: Ir\n"), None);
    }

    #[test]
    fn a_refusal_is_told_from_a_failure() {
        let said = "bench-server: io_uring is refused: the kernel has none; the engine auto";
        assert_eq!(refusal_in(said).as_deref(), Some("io_uring is refused: the kernel has none"));
        let said = "load: io_uring is refused: no";
        assert_eq!(refusal_in(said).as_deref(), Some("io_uring is refused: no"));
        assert_eq!(refusal_in("bench-server: cannot listen"), None);
    }

    #[test]
    fn a_server_that_ends_instead_is_refused_with_its_words() {
        let (sender, lines) = std::sync::mpsc::channel();
        sender.send("bench-server: no".to_owned()).unwrap();
        drop(sender);
        let refused = wait_for_start(&lines, "127.0.0.1:1".parse().unwrap()).unwrap_err();
        assert!(refused.to_string().ends_with("bench-server: no"));
    }
}
