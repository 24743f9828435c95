//! A server whose io_uring is refused while it runs: nobody's connection ends, no byte is lost.
//! Each server has a process of its own, which tells what it says and what it leaves open.

#[path = "common/client.rs"]
mod client;
#[path = "common/filter.rs"]
mod filter;

use std::collections::BTreeSet;
use std::io::Read;
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Barrier, Mutex};
use std::time::Duration;

use client::Client;
use filter::refuse_calls;
use springtide::{Engine, Files, Limits, Request, Running, Server};

/// Where the child is told which part it plays.
const PART: &str = "SPRINGTIDE_REFUSED_LATE_PART";
const PATIENCE: Duration = Duration::from_secs(30);
const UPLOAD_BYTES: usize = 900_000;
const FILE_BYTES: usize = 12 << 20;
/// Requests of a client that leave at once.
const PIPELINED: usize = 16;
/// How often each client asks when no engine is refused any more.
const ROUNDS_AFTER: usize = 20;
const CLIENTS_PIPELINING: usize = 3;

/// The ports of clients whose handler waits for ever, until its shard is frozen.
static WAITING: Mutex<BTreeSet<u16>> = Mutex::new(BTreeSet::new());

/// What io_uring needs while it runs.
const RING: [i64; 2] = [libc::SYS_io_uring_enter, libc::SYS_io_uring_register];
const THREADS: [i64; 2] = [libc::SYS_clone, libc::SYS_clone3];
const EPOLL: [i64; 1] = [libc::SYS_epoll_create1];

/// The calling thread is refused these calls from now on.
fn refuse(calls: &[i64], errno: i32) -> String {
    refuse_calls(calls, errno);
    thread()
}

/// Which shard answers, and on which thread.
fn thread() -> String {
    let thread = std::thread::current();
    format!("{} {:?}", thread.name().unwrap_or_default(), thread.id())
}

fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|at| (at % 251) as u8).collect()
}

struct Directory(PathBuf);

impl Directory {
    fn new() -> Self {
        let path = std::env::temp_dir().join(format!("springtide-late-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        std::fs::write(path.join("large"), pattern(FILE_BYTES)).unwrap();
        Self(path)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).unwrap();
    }
}

fn start(workers: usize, errno: i32, directory: &Directory) -> Running {
    // Who pipelines until the refusals are over asks as often as there is time for.
    let mut limits = Limits::default();
    limits.http1.requests_max = u32::MAX;
    let server = Server::new().engine(Engine::Uring).workers(workers).limits(limits);
    let server = server
        .get("/thread", thread)
        .get("/refuse", move || refuse(&RING, errno))
        .get("/refuse-threads", move || refuse(&[RING, THREADS].concat(), errno))
        .get("/refuse-epoll", move || {
            refuse(&EPOLL, errno);
            refuse(&RING, libc::EPERM)
        })
        .get("/say/{words}", |request: Request| request.param("words").into_owned())
        .get("/wait/{port}", async |request: Request| {
            WAITING.lock().unwrap().insert(request.param("port").parse().unwrap());
            std::future::pending::<()>().await;
        })
        .post("/echo", |request: Request| request.bytes().clone())
        .files("/files", Files::new(&directory.0));
    server.listen("127.0.0.1:0").unwrap().start().unwrap()
}

impl Client {
    fn pipeline(&mut self, round: usize) {
        let requests: Vec<String> = (0..PIPELINED)
            .map(|number| format!("GET /say/{round}-{number} HTTP/1.1\r\nHost: a\r\n\r\n"))
            .collect();
        self.write(requests.concat().as_bytes());
        for number in 0..PIPELINED {
            assert_eq!(self.reply(), format!("{round}-{number}").into_bytes());
        }
    }

    /// The end of the stream, with nothing before it.
    fn is_ended(&mut self) -> bool {
        self.0.read(&mut [0]).unwrap() == 0
    }
}

/// When all is under way, and when no engine is refused any more.
struct Stages {
    begun: Barrier,
    over: Barrier,
    is_over: AtomicBool,
}

impl Stages {
    fn pass(&self) {
        self.begun.wait();
        self.over.wait();
    }
}

fn pipelining(mut client: Client, stages: &Stages) -> Client {
    client.pipeline(0);
    stages.begun.wait();
    let mut rounds = 1;
    while !stages.is_over.load(Ordering::Acquire) {
        client.pipeline(rounds);
        rounds += 1;
    }
    stages.over.wait();
    (rounds..rounds + ROUNDS_AFTER).for_each(|round| client.pipeline(round));
    client
}

fn uploading(mut client: Client, stages: &Stages) -> Client {
    let body = pattern(UPLOAD_BYTES);
    let (first, second) = body.split_at(UPLOAD_BYTES / 3);
    client.write(
        format!("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: {UPLOAD_BYTES}\r\n\r\n")
            .as_bytes(),
    );
    client.write(first);
    stages.pass();
    client.write(second);
    assert!(client.reply() == body, "the upload comes back");
    client
}

fn downloading(mut client: Client, stages: &Stages) -> Client {
    client.ask("/files/large");
    assert_eq!(client.head(), FILE_BYTES);
    let mut bytes = client.bytes(100_000);
    stages.pass();
    bytes.append(&mut client.bytes(FILE_BYTES - 100_000));
    assert!(bytes == pattern(FILE_BYTES), "the file is whole");
    client
}

fn idle(mut client: Client, stages: &Stages) -> Client {
    assert_eq!(client.words("/say/before"), "before");
    stages.pass();
    assert_eq!(client.words("/say/after"), "after");
    client
}

/// A future cannot go along: its request is answered, and so is the one behind it.
fn waiting(mut client: Client, stages: &Stages) -> Client {
    let port = client.0.get_ref().local_addr().unwrap().port();
    client.ask(&format!("/wait/{port}"));
    client.ask("/say/behind");
    while !WAITING.lock().unwrap().contains(&port) {
        std::thread::yield_now();
    }
    stages.pass();
    let length = client.head_with("503 Service Unavailable");
    assert_eq!(client.bytes(length), b"Service Unavailable");
    assert_eq!(client.reply(), b"behind");
    client
}

/// A connection to the shard of this number.
fn client_of(running: &Running, number: usize) -> Client {
    loop {
        let mut client = Client::new(running);
        let name = format!("springtide-{number} ");
        if client.words("/thread").starts_with(&name) {
            return client;
        }
    }
}

/// One shard after the other is refused, under load, and each goes on over epoll in a new thread.
fn refuse_all(running: &Running, workers: usize) -> Vec<Client> {
    let mut clients = Vec::new();
    assert_eq!(running.engines(), vec![Some("uring"); workers]);
    for number in 0..workers {
        let mut client = client_of(running, number);
        let before = client.words("/refuse");
        // It is received behind the refusal, and so by the new engine.
        let after = client.words("/thread");
        assert_ne!(after, before, "a thread of its own");
        assert!(after.starts_with(&format!("springtide-{number} ")), "{after} after {before}");
        let engines = running.engines();
        assert!(engines[..=number].iter().all(|engine| *engine == Some("epoll")), "{engines:?}");
        assert!(engines[number + 1..].iter().all(|engine| *engine == Some("uring")));
        clients.push(client);
    }
    clients
}

fn under_load(workers: usize, errno: i32) {
    let directory = Directory::new();
    let open_before = descriptors_open();
    let running = start(workers, errno, &directory);
    let others = [uploading, downloading, idle, waiting];
    let waiting = CLIENTS_PIPELINING + workers * others.len() + 1;
    let stages = Stages {
        begun: Barrier::new(waiting),
        over: Barrier::new(waiting),
        is_over: AtomicBool::new(false),
    };
    let stages = &stages;
    let mut clients = std::thread::scope(|scope| {
        let pipelining = (0..CLIENTS_PIPELINING).map(|_| {
            let client = Client::new(&running);
            scope.spawn(move || pipelining(client, stages))
        });
        let mut threads: Vec<_> = pipelining.collect();
        for number in 0..workers {
            for what in others {
                let client = client_of(&running, number);
                threads.push(scope.spawn(move || what(client, stages)));
            }
        }
        stages.begun.wait();
        let mut clients = refuse_all(&running, workers);
        stages.is_over.store(true, Ordering::Release);
        stages.over.wait();
        clients.extend(threads.into_iter().map(|thread| thread.join().unwrap()));
        clients
    });
    assert_eq!(running.engine(), "uring", "what it was started with");
    running.stop(PATIENCE);
    assert!(clients.iter_mut().all(Client::is_ended), "every peer sees the end");
    drop(clients);
    running.join().unwrap();
    assert_eq!(running.engines(), vec![None; workers]);
    drop(running);
    assert_eq!(descriptors_open(), open_before, "nothing is left open");
}

/// A stop, of the server or of the shard, meets the change of threads.
fn stopped_meanwhile(errno: i32) {
    let directory = Directory::new();
    let open_before = descriptors_open();
    for round in 0..40 {
        let running = start(2, errno, &directory);
        let mut client = client_of(&running, 0);
        let mut neighbour = client_of(&running, 1);
        client.words("/refuse");
        // Now or a little later: the shard is before, within or behind its change.
        (0..round * 100).for_each(|_| std::hint::spin_loop());
        if round % 2 == 0 {
            running.stop_shard(0, PATIENCE).unwrap();
            assert_eq!(running.engines(), [None, Some("uring")]);
            assert_eq!(client.words("/say/moved"), "moved");
            assert_eq!(neighbour.words("/say/stayed"), "stayed");
        }
        running.stop(PATIENCE);
        assert!(client.is_ended() && neighbour.is_ended());
        drop((client, neighbour));
        running.join().unwrap();
    }
    assert_eq!(descriptors_open(), open_before, "nothing is left open");
}

/// Where no thread can be had either, the shard goes on in the one it has.
fn without_threads(errno: i32) {
    let directory = Directory::new();
    let running = start(1, errno, &directory);
    let mut client = Client::new(&running);
    let before = client.words("/refuse-threads");
    assert_eq!(client.words("/thread"), before);
    assert_eq!(running.engines(), [Some("epoll")]);
    running.stop(PATIENCE);
    assert!(client.is_ended());
    drop(client);
    running.join().unwrap();
}

/// Where epoll is not to be had either, the shard goes on over poll(2).
fn without_epoll(errno: i32) {
    let directory = Directory::new();
    let running = start(1, errno, &directory);
    let mut client = Client::new(&running);
    client.words("/refuse-epoll");
    assert_eq!(client.words("/say/after"), "after");
    assert_eq!(running.engines(), [Some("poll")]);
    let mut other = Client::new(&running);
    other.pipeline(1);
    other.ask("/files/large");
    assert!(other.reply() == pattern(FILE_BYTES), "files are read");
    running.stop(PATIENCE);
    assert!(client.is_ended() && other.is_ended());
    drop((client, other));
    running.join().unwrap();
}

fn descriptors_open() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

/// What a child does; nothing when it is run like the others.
#[test]
fn part_of_a_child() {
    match std::env::var(PART).as_deref() {
        Ok("one EPERM") => under_load(1, libc::EPERM),
        Ok("one ENOSYS") => under_load(1, libc::ENOSYS),
        Ok("two EPERM") => under_load(2, libc::EPERM),
        Ok("two ENOSYS") => under_load(2, libc::ENOSYS),
        Ok("no threads") => without_threads(libc::EPERM),
        Ok("no epoll") => without_epoll(libc::EPERM),
        Ok("no descriptor") => without_epoll(libc::EMFILE),
        Ok("stopped") => stopped_meanwhile(libc::EPERM),
        _ => {}
    }
}

/// What the child said on standard error, line by line; none where io_uring is known to be refused
/// from the start.
fn said_by_a_child(part: &str) -> Option<Vec<String>> {
    if std::env::var_os("SPRINGTIDE_WITHOUT_URING").is_some_and(|yes| yes == "1") {
        return None;
    }
    let mut child = Command::new(std::env::current_exe().unwrap());
    child.args(["part_of_a_child", "--exact", "--nocapture"]).env(PART, part);
    let output = child.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let reported = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success() && said.contains("1 passed"), "{said}{reported}");
    Some(reported.lines().map(str::to_owned).collect())
}

/// One line for each shard, with its number and how many connections went on.
fn reports_of(part: &str, workers: usize, errno: i32) {
    let Some(lines) = said_by_a_child(part) else { return };
    assert_eq!(lines.len(), workers, "{lines:?}");
    let system = std::io::Error::from_raw_os_error(errno);
    for (number, line) in lines.iter().enumerate() {
        let beginning = format!(
            "springtide: io_uring was refused while shard {number} ran (the running engine is \
             refused from now on: {system}): it goes on over epoll with "
        );
        assert!(line.starts_with(&beginning), "{line}");
    }
}

#[test]
fn a_server_with_one_shard_goes_on() {
    reports_of("one EPERM", 1, libc::EPERM);
    reports_of("one ENOSYS", 1, libc::ENOSYS);
}

#[test]
fn a_server_with_two_shards_goes_on() {
    reports_of("two EPERM", 2, libc::EPERM);
    reports_of("two ENOSYS", 2, libc::ENOSYS);
}

#[test]
fn a_shard_without_another_thread_goes_on() {
    reports_of("no threads", 1, libc::EPERM);
}

#[test]
fn a_shard_without_epoll_goes_on() {
    for part in ["no epoll", "no descriptor"] {
        let Some(lines) = said_by_a_child(part) else { return };
        let [epoll, goes_on] = &lines[..] else { panic!("{lines:?}") };
        assert!(epoll.starts_with("springtide: shard 0 cannot have epoll: "), "{epoll}");
        assert!(goes_on.contains("it goes on over poll with 1 connections"), "{goes_on}");
    }
}

#[test]
fn a_stop_meets_the_change_of_threads() {
    said_by_a_child("stopped");
}
