//! Slow clients, by slowhttptest: all that it can do is cut by its deadline, by its own report, and who
//! asks as others do is answered all the while. Deadlines are seconds here; nothing is timed.

#[path = "common/client.rs"]
mod client;

use std::io::Read;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use client::Client;
use springtide::{Address, Engine, Limits, Request, Running, Server};

const CONNECTIONS: u64 = 200;
const LONG: usize = 4 << 20;

/// One of its ways to be slow: what it is told, and whether a deadline is what ends it.
struct Attack {
    flags: &'static [&'static str],
    path: &'static str,
    is_cut: bool,
}

/// A head that never ends, a line a second.
const HEADS: Attack = Attack { flags: &["-H", "-i", "1"], path: "/small", is_cut: true };
/// A body of which more comes behind the deadline only.
const BODIES: Attack =
    Attack { flags: &["-B", "-i", "3", "-s", "8192"], path: "/echo", is_cut: true };
/// A head with 1,400 ranges of a file, which is answered.
const RANGES: Attack = Attack {
    flags: &["-R", "-t", "HEAD", "-a", "5", "-b", "1400"],
    path: "/files/long.bin",
    is_cut: false,
};
/// Replies of 4 MB, of which a buffer of 1 KB is read behind the deadline only.
const READS: Attack = Attack {
    flags: &["-X", "-n", "3", "-z", "4096", "-w", "256", "-y", "1024", "-k", "3"],
    path: "/files/long.bin",
    is_cut: true,
};

/// A folder that goes in the end.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("springtide-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        std::fs::write(path.join("long.bin"), vec![b'l'; LONG]).unwrap();
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).unwrap();
    }
}

fn start(engine: Engine, folder: &Folder) -> Running {
    let mut limits = Limits { send_timeout_ms: 1_000, ..Limits::default() };
    (limits.http1.head_timeout_ms, limits.http1.body_timeout_ms) = (2_000, 1_000);
    let server = Server::new().engine(engine).workers(1).limits(limits);
    let server = server.get("/small", || "small").files("/files", &folder.0);
    let server = server.post("/echo", |request: Request| request.bytes().clone());
    server.listen("127.0.0.1:0").unwrap().start().unwrap()
}

/// Requests as everybody sends them, on one connection after the other, until `is_over`; how many
/// were answered.
fn ask_all_the_while(running: &Running, mut is_over: impl FnMut() -> bool) -> usize {
    let mut answered = 0;
    while !is_over() {
        let mut client = Client::new(running);
        for _ in 0..500 {
            assert_eq!(client.words("/small"), "small");
            answered += 1;
        }
    }
    answered
}

fn survive(engine: Engine, name: &str, attack: &Attack) {
    let folder = Folder::new(&format!("{engine:?}-{name}"));
    let running = start(engine, &folder);
    let Address::Internet(address) = &running.addresses()[0] else { panic!("it is TCP") };
    let report = folder.0.join("report");
    let mut slow = Command::new("slowhttptest")
        .args(["-c", &CONNECTIONS.to_string(), "-r", "400", "-l", "60", "-p", "10", "-v", "1"])
        .args(attack.flags)
        .args(["-u", &format!("http://{address}{}", attack.path), "-g", "-o"])
        .arg(&report)
        .stdout(Stdio::piped())
        .spawn()
        .expect("slowhttptest is installed");
    let answered = ask_all_the_while(&running, || slow.try_wait().unwrap().is_some());
    let mut said = String::new();
    slow.stdout.take().unwrap().read_to_string(&mut said).unwrap();
    assert!(said.contains("No open connections left"), "{answered} good replies, and: {said}");
    // Seconds, closed, pending, connected, available.
    let table = std::fs::read_to_string(report.with_extension("csv")).unwrap();
    let rows: Vec<&str> = table.lines().skip(1).collect();
    assert!(!rows.is_empty() && rows.iter().all(|row| !row.ends_with(",0")), "{table}");
    assert!(answered > 0);
    let counts = running.metrics().counts();
    assert!(counts.connections_total >= CONNECTIONS, "{counts:?}");
    if attack.is_cut {
        assert!(counts.deadlines_total >= CONNECTIONS, "{counts:?}");
    }
    running.stop(std::time::Duration::from_secs(5));
    running.join().unwrap();
    assert_eq!(running.metrics().counts().connections_open, 0);
}

macro_rules! over_engines {
    ($($name:ident: $attack:ident),*) => {
        mod uring {
            use springtide::Engine::Uring;
            $(#[test] fn $name() { super::survive(Uring, stringify!($name), &super::$attack); })*
        }
        mod epoll {
            use springtide::Engine::Epoll;
            $(#[test] fn $name() { super::survive(Epoll, stringify!($name), &super::$attack); })*
        }
    };
}

over_engines! {
    slowhttptest_ends_with_slow_heads: HEADS,
    slowhttptest_ends_with_slow_bodies: BODIES,
    slowhttptest_ends_with_ranges: RANGES,
    slowhttptest_ends_with_slow_reads: READS
}
