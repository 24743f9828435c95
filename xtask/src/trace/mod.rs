//! `cargo xtask trace`: what one request costs in system calls, on each engine. Starts the real
//! program and counts from outside; start-up and connecting are over before the count begins.

use crate::cargo;
use crate::child::{Killed, lines_of};
use crate::client::{Client, Load};
use crate::error::Error;
use crate::tools::{self, STRACE};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::sync::mpsc::Receiver;
use std::time::Duration;

const ENGINES: [&str; 2] = ["uring", "epoll"];
const LOADS: [Load; 2] = [
    Load { connections: 1, pipelined: 1, rounds: 2_000 },
    Load { connections: 64, pipelined: 16, rounds: 20 },
];
const START_TIMEOUT: Duration = Duration::from_secs(10);

#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Trace this engine only
    #[arg(long, value_name = "ENGINE", value_parser = ENGINES)]
    engine: Option<String>,
    /// Workers of the server
    #[arg(long, default_value_t = 1)]
    workers: usize,
}

pub(crate) fn run(root: &Path, options: &Options) -> Result<ExitCode, Error> {
    if !STRACE.is_here() {
        println!("strace is missing; install with: {}", tools::install_line(&[&STRACE]));
        return Ok(ExitCode::from(2));
    }
    cargo::build_release(root, &["-p", "springtide-cli"])?;
    let mut code = ExitCode::SUCCESS;
    let chosen = |engine: &&&str| options.engine.as_deref().is_none_or(|only| only == **engine);
    for engine in ENGINES.iter().filter(chosen) {
        for load in &LOADS {
            let Load { connections, pipelined, .. } = load;
            println!(
                "\n{engine}, {connections} connections, {pipelined} pipelined, {} requests",
                load.requests()
            );
            match trace(root, engine, options.workers, load) {
                Ok(calls) => print_table(&calls, load.requests()),
                Err(error) => {
                    println!("  {error}");
                    code = ExitCode::FAILURE;
                }
            }
        }
    }
    Ok(code)
}

/// One server, one load, one count.
fn trace(root: &Path, engine: &str, workers: usize, load: &Load) -> Result<Vec<Calls>, Error> {
    let server = Server::start(root, engine, workers)?;
    let mut client = Client::connect(server.address, load.connections)?;
    let tracer = Tracer::attach(server.child.0.id())?;
    client.drive(load)?;
    // The tracer ends, and prints, when what it traces is gone.
    drop(server);
    tracer.calls()
}

struct Server {
    child: Killed,
    address: SocketAddr,
}

impl Server {
    fn start(root: &Path, engine: &str, workers: usize) -> Result<Self, Error> {
        let program = cargo::target_folder(root).join("release/springtide");
        let mut command = Command::new(&program);
        command.arg("serve").args(["--listen", "127.0.0.1:0"]);
        command.args(["--workers", &workers.to_string(), "--engine", engine]);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let name = program.display().to_string();
        let wrap = |source| Error::Spawn { program: name.clone(), source };
        let mut child = Killed(command.spawn().map_err(wrap)?);
        let lines = lines_of(&mut child.0);
        let mut said = String::new();
        while let Ok(line) = lines.recv_timeout(START_TIMEOUT) {
            if let Some(address) = address_in(&line) {
                return Ok(Self { child, address });
            }
            said.push_str(&line);
            said.push('\n');
        }
        Err(Error::Refused { program: name, said: format!("no address in what it said: {said}") })
    }
}

/// The address in `… http://127.0.0.1:40123/ …`.
fn address_in(line: &str) -> Option<SocketAddr> {
    let (_, rest) = line.split_once("http://")?;
    let is_address = |c: char| c.is_ascii_digit() || matches!(c, '.' | ':');
    let end = rest.find(|c| !is_address(c)).unwrap_or(rest.len());
    rest[..end].parse().ok()
}

/// strace on every thread of a process.
struct Tracer {
    child: Killed,
    lines: Receiver<String>,
}

impl Tracer {
    fn attach(process: u32) -> Result<Self, Error> {
        let mut command = Command::new(STRACE.program);
        command.args(["-f", "-c", "-p", &process.to_string()]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let wrap = |source| Error::Spawn { program: "strace".to_owned(), source };
        let mut child = Killed(command.spawn().map_err(wrap)?);
        let lines = lines_of(&mut child.0);
        let mut said = String::new();
        while let Ok(line) = lines.recv_timeout(START_TIMEOUT) {
            if line.contains(" attached") {
                return Ok(Self { child, lines });
            }
            said.push_str(&line);
        }
        said.push_str(
            " (without root the system may allow it after: sysctl kernel.yama.ptrace_scope=0)",
        );
        Err(Error::Refused { program: "strace".to_owned(), said })
    }

    fn calls(mut self) -> Result<Vec<Calls>, Error> {
        let lines: Vec<String> = self.lines.iter().collect();
        let wrap = |source| Error::Spawn { program: "strace".to_owned(), source };
        self.child.0.wait().map_err(wrap)?;
        let calls: Vec<Calls> = lines.iter().filter_map(|line| Calls::read(line)).collect();
        if calls.is_empty() {
            let said = format!("no table of system calls in: {}", lines.join("\n"));
            return Err(Error::Refused { program: "strace".to_owned(), said });
        }
        Ok(calls)
    }
}

/// How often one system call was made.
#[derive(Debug, PartialEq, Eq)]
struct Calls {
    name: String,
    count: u64,
}

impl Calls {
    /// Reads a row of strace's table: `% time`, `seconds`, `usecs/call`, `calls`, perhaps
    /// `errors`, `syscall`.
    fn read(line: &str) -> Option<Self> {
        let words: Vec<&str> = line.split_whitespace().collect();
        if !matches!(words.len(), 5 | 6) {
            return None;
        }
        let numbers = words[..words.len() - 1].iter();
        if !numbers.clone().all(|word| word.parse::<f64>().is_ok())
            || words.last() == Some(&"total")
        {
            return None;
        }
        Some(Self { name: words.last()?.to_string(), count: words[3].parse().ok()? })
    }
}

fn print_table(calls: &[Calls], requests: usize) {
    let requests = requests as f64;
    let mut sum = 0;
    println!("  {:<24}{:>10}{:>14}", "system call", "calls", "per request");
    for Calls { name, count } in calls {
        println!("  {name:<24}{count:>10}{:>14.3}", *count as f64 / requests);
        sum += count;
    }
    println!("  {:<24}{sum:>10}{:>14.3}", "all", sum as f64 / requests);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_is_found_in_the_start_message() {
        let expected = Some("192.0.2.7:40123".parse().unwrap());
        let address = "192.0.2.7:40123";
        for text in ["serving site on http://ADDRESS", "http://ADDRESS/ (io_uring)"] {
            assert_eq!(address_in(&text.replace("ADDRESS", address)), expected);
        }
        assert_eq!(address_in("engine: epoll, because io_uring is refused"), None);
    }

    #[test]
    fn the_table_is_read() {
        let table = "\
% time     seconds  usecs/call     calls    errors syscall
------ ----------- ----------- --------- --------- ----------------
 66.67    0.000200          10        20         3 recvfrom
 33.33    0.000100           5        20           io_uring_enter
------ ----------- ----------- --------- --------- ----------------
100.00    0.000300           7        40         3 total";
        let calls: Vec<Calls> = table.lines().filter_map(Calls::read).collect();
        let expected = ["recvfrom", "io_uring_enter"];
        let expected = expected.map(|name| Calls { name: name.to_owned(), count: 20 });
        assert_eq!(calls, expected);
    }
}
