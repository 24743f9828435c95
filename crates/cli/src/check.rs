//! `springtide check`: what this machine offers a server, what is missing, and how to change it.
//! It changes nothing, and tells of nothing that it has not tried or read.

use std::fmt::Write as _;

use springtide::{Engine, Limits};

/// Locked memory that a ring of full size takes, for each shard.
const RING_BYTES: u64 = 600 << 10;

/// What was found out about the machine.
#[derive(Debug)]
struct Machine {
    kernel: String,
    processors: usize,
    /// What became of each engine that was tried.
    engines: Vec<(&'static str, Result<(), String>)>,
    /// Files and locked bytes that the process may have: now, and at most.
    files: Option<Allowance>,
    locked: Option<Allowance>,
    somaxconn: Option<u64>,
    io_uring_disabled: Option<u64>,
}

/// A limit of the system; none where there is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Allowance {
    soft: Option<u64>,
    hard: Option<u64>,
}

/// Finds out and says it.
pub(crate) fn check() {
    print!("{}", report(&look()));
}

fn look() -> Machine {
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let tried = [("io_uring", Engine::Uring), ("epoll", Engine::Epoll), ("poll", Engine::Poll)];
    let tried =
        tried.map(|(name, engine)| (name, engine.probe().map_err(|error| error.to_string())));
    Machine {
        kernel: read("/proc/sys/kernel/osrelease").unwrap_or_else(|| "unknown".to_owned()),
        processors: std::thread::available_parallelism().map_or(1, usize::from),
        engines: tried.into(),
        files: allowance(&limits, "Max open files"),
        locked: allowance(&limits, "Max locked memory"),
        somaxconn: read("/proc/sys/net/core/somaxconn").and_then(|text| text.parse().ok()),
        io_uring_disabled: read("/proc/sys/kernel/io_uring_disabled")
            .and_then(|text| text.parse().ok()),
    }
}

fn read(path: &str) -> Option<String> {
    std::fs::read_to_string(path).ok().map(|text| text.trim().to_owned())
}

/// A line of `/proc/self/limits` (proc_pid_limits(5)).
fn allowance(limits: &str, name: &str) -> Option<Allowance> {
    let rest = limits.lines().find_map(|line| line.strip_prefix(name))?;
    let mut words = rest.split_whitespace();
    let mut next = || words.next().map(|word| word.parse::<u64>().ok());
    Some(Allowance { soft: next()?, hard: next()? })
}

fn report(machine: &Machine) -> String {
    let mut text = String::new();
    // Writing to text cannot fail, here and below.
    let _ = writeln!(text, "kernel      {} (io_uring takes 6.1 or later)", machine.kernel);
    let _ =
        writeln!(text, "processors  {}: as many shards unless --workers says", machine.processors);
    for (name, tried) in &machine.engines {
        let _ = match tried {
            Ok(()) => writeln!(text, "{name:<12}works"),
            Err(error) => writeln!(text, "{name:<12}does not work: {error}"),
        };
    }
    if let Some(disabled @ 1..) = machine.io_uring_disabled {
        let _ = writeln!(
            text,
            "            kernel.io_uring_disabled is {disabled}: sysctl kernel.io_uring_disabled=0 \
             (docs/io_uring.md)"
        );
    }
    files(&mut text, machine);
    locked(&mut text, machine);
    backlog(&mut text, machine);
    text
}

fn files(text: &mut String, machine: &Machine) {
    let Some(files) = machine.files else { return };
    // The soft limit is raised to the hard one when a server starts.
    let connections =
        files.hard.map_or_else(|| "no end of".to_owned(), |most| (most / 10 * 9).to_string());
    let _ = writeln!(text, "files       {}: {connections} connections", shown(files.hard));
    if files.hard.is_some_and(|most| most < 65_536) {
        text.push_str(
            "            few: LimitNOFILE=1048576 of systemd, --ulimit nofile=1048576 of Docker\n",
        );
    }
}

fn locked(text: &mut String, machine: &Machine) {
    let Some(locked) = machine.locked else { return };
    let wanted = RING_BYTES * machine.processors as u64;
    let _ = writeln!(
        text,
        "locked      {} bytes; rings of full size take {wanted} (none for root)",
        shown(locked.soft)
    );
    if locked.soft.is_some_and(|bytes| bytes < wanted) {
        text.push_str(
            "            rings are made smaller: LimitMEMLOCK=64M of systemd, ulimit -l (docs/io_uring.md)\n",
        );
    }
}

fn backlog(text: &mut String, machine: &Machine) {
    let Some(most) = machine.somaxconn else { return };
    let wanted = u64::from(Limits::default().backlog_max);
    let _ = writeln!(
        text,
        "backlog     {most} connections may wait on each listener (backlog_max is {wanted})"
    );
    if most < wanted {
        let _ = writeln!(text, "            few for a burst: sysctl net.core.somaxconn={wanted}");
    }
}

fn shown(most: Option<u64>) -> String {
    most.map_or_else(|| "unlimited".to_owned(), |most| most.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: &str = "\
Limit                     Soft Limit           Hard Limit           Units     \n\
Max locked memory         8388608              unlimited            bytes     \n\
Max open files            1024                 4096                 files     \n";

    fn machine() -> Machine {
        Machine {
            kernel: "6.18.5".to_owned(),
            processors: 2,
            engines: vec![("io_uring", Err("a filter".to_owned())), ("epoll", Ok(()))],
            files: allowance(LIMITS, "Max open files"),
            locked: allowance(LIMITS, "Max locked memory"),
            somaxconn: Some(128),
            io_uring_disabled: Some(2),
        }
    }

    #[test]
    fn limits_of_the_process_are_read() {
        let files = Allowance { soft: Some(1024), hard: Some(4096) };
        assert_eq!(allowance(LIMITS, "Max open files"), Some(files));
        let locked = Allowance { soft: Some(8 << 20), hard: None };
        assert_eq!(allowance(LIMITS, "Max locked memory"), Some(locked));
        assert_eq!(allowance(LIMITS, "Max nice priority"), None);
    }

    #[test]
    fn what_is_missing_has_its_cure() {
        let text = report(&machine());
        for line in [
            "io_uring    does not work: a filter",
            "sysctl kernel.io_uring_disabled=0",
            "epoll       works\n",
            "files       4096: 3681 connections",
            "LimitNOFILE",
            "sysctl net.core.somaxconn=4096",
        ] {
            assert!(text.contains(line), "{line} is missing:\n{text}");
        }
        let well = Machine {
            files: Some(Allowance { soft: Some(1), hard: Some(1 << 20) }),
            somaxconn: Some(4096),
            io_uring_disabled: Some(0),
            ..machine()
        };
        let text = report(&well);
        assert!(!text.contains("sysctl") && !text.contains("Limit"), "{text}");
    }
}
