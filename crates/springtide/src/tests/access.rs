//! The access log: every request has one line, whoever answers it and however late, and nothing that
//! a peer sends can end a line or hide in one.

use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::{Backend, Stage, over_all_backends};
use crate::test::World;
use crate::{AccessLog, Limits, LogFormat, Request, Server, offload, sleep};

/// A writer that keeps what was written.
#[derive(Clone, Default)]
pub(super) struct Kept(Arc<Mutex<Vec<u8>>>);

impl Write for Kept {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Kept {
    /// The lines so far, each without its time and the peer's name.
    pub(super) fn lines(&self) -> Vec<String> {
        let text = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
        text.lines().map(str::to_owned).collect()
    }
}

fn stage(backend: Backend, format: LogFormat) -> (Stage, Kept) {
    let kept = Kept::default();
    let mut limits = Limits::default();
    limits.http1.request_line_bytes_max = 100;
    let server = Server::new()
        .get("/", || "root")
        .post("/", |_: Request| "3 bytes")
        .get("/panic", || -> &'static str { panic!("on purpose") })
        .get("/pool", offload(|_: Request| "from the pool"))
        .limits(limits)
        .access_log(AccessLog::new(kept.clone()).format(format));
    (Stage::new(backend, server), kept)
}

/// Says these bytes on a connection of its own and waits for the line of their last request.
fn line_of(stage: &mut Stage, kept: &Kept, said: &str) -> String {
    let before = kept.lines().len();
    let mut peer = stage.connect();
    stage.talk(&mut peer, said.as_bytes(), 15);
    stage.until(|stage| {
        stage.flush_log();
        kept.lines().get(before).cloned()
    })
}

fn head(line: &str) -> String {
    format!("{line} HTTP/1.1\r\nHost: a\r\n\r\n")
}

/// Whoever answers, there is a line with what was asked and what was answered.
fn each_request_has_its_line(backend: Backend) {
    let (mut stage, kept) = stage(backend, LogFormat::Common);
    for (said, line) in [
        (head("GET /"), "\"GET / HTTP/1.1\" 200 4"),
        (head("GET /?a=b"), "\"GET /?a=b HTTP/1.1\" 200 4"),
        (head("HEAD /"), "\"HEAD / HTTP/1.1\" 200 0"),
        ("GET / HTTP/1.0\r\n\r\n".to_owned(), "\"GET / HTTP/1.0\" 200 4"),
        (head("GET /nothing"), "\"GET /nothing HTTP/1.1\" 404 9"),
        (head("DELETE /"), "\"DELETE / HTTP/1.1\" 405 18"),
        (head("GET /panic"), "\"GET /panic HTTP/1.1\" 500 21"),
        (
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc".to_owned(),
            "\"POST / HTTP/1.1\" 200 7",
        ),
        (
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3000000\r\n\r\n".to_owned(),
            "\"POST / HTTP/1.1\" 413 36",
        ),
        (head(&format!("GET /{}", "x".repeat(100))), "\"-\" 414 0"),
        ("nonsense\r\n\r\n".to_owned(), "\"-\" 400 0"),
    ] {
        let found = line_of(&mut stage, &kept, &said);
        assert!(found.ends_with(line), "{found} is not {line}");
        assert!(found.contains(" - - ["), "{found}");
    }
}

/// Replies that come later than their request have their lines when they come.
fn later_replies_have_their_lines(backend: Backend) {
    let (mut stage, kept) = stage(backend, LogFormat::Pretty);
    let found = line_of(&mut stage, &kept, &head("GET /pool"));
    assert!(found.contains("  GET /pool  200  13 B  "), "{found}");
    let pipelined = [head("GET /pool"), head("GET /"), head("GET /pool")].concat();
    let before = kept.lines().len();
    let mut peer = stage.connect();
    stage.talk(&mut peer, pipelined.as_bytes(), 15);
    let lines = stage.until(|stage| {
        stage.flush_log();
        kept.lines().get(before..before + 3).map(<[String]>::to_vec)
    });
    let of = |target: &str| lines.iter().filter(|line| line.contains(target)).count();
    assert_eq!((of("  GET /pool  200  13 B"), of("  GET /  200  4 B")), (2, 1), "{lines:?}");
}

/// What is logged is counted by how long it took.
#[test]
fn durations_are_counted() {
    let server = Server::new()
        .get("/", async |_: Request| sleep(Duration::from_millis(80)).await)
        .access_log(AccessLog::new(Kept::default()));
    let (metrics, mut world) = (server.metrics(), World::new(1));
    world.serve(server);
    let mut peer = world.connect();
    assert_eq!(peer.write(head("GET /").as_bytes()), head("GET /").len());
    world.pass(Duration::from_secs(1));
    let text = metrics.to_text();
    for end in ["bucket{le=\"0.075\"} 0", "bucket{le=\"0.1\"} 1", "sum 0.08", "count 1"] {
        let line = format!("http_server_request_duration_seconds_{end}\n");
        assert!(text.contains(&line), "{line}{text}");
    }
}

over_all_backends!(each_request_has_its_line);

#[test]
fn later_replies() {
    for backend in [Backend::Simulated, Backend::Uring, Backend::Epoll, Backend::Poll] {
        later_replies_have_their_lines(backend);
    }
}

/// A request whose client goes before it is answered, and the time that one takes.
#[test]
fn nobody_is_forgotten() {
    let kept = Kept::default();
    let server = Server::new()
        .get("/slow", async |_: Request| {
            sleep(Duration::from_secs(3)).await;
            "late"
        })
        .access_log(AccessLog::new(kept.clone()).format(LogFormat::Json));
    let mut stage = Stage::new(Backend::Simulated, server);
    let (mut one, mut other) = (stage.connect(), stage.connect());
    stage.advance(Duration::ZERO);
    assert!(one.write(head("GET /slow?1").as_bytes()) > 0);
    assert!(other.write(head("GET /slow?2").as_bytes()) > 0);
    stage.advance(Duration::ZERO);
    one.reset();
    stage.advance(Duration::ZERO);
    stage.advance(Duration::from_secs(3));
    stage.advance(Duration::from_millis(100));
    let lines = kept.lines();
    assert_eq!(lines.len(), 2, "{lines:?}");
    let ends = ["\"status\":499,\"bytes\":0,\"ms\":0}", "\"status\":200,\"bytes\":4,\"ms\":3000}"];
    for (line, end) in lines.iter().zip(ends) {
        assert!(line.ends_with(end), "{line}");
    }
}

/// What is refused behind a request that waits is a line of its own.
#[test]
fn what_is_refused_stands_in_no_other_line() {
    let kept = Kept::default();
    let server = Server::new()
        .get("/slow", async |_: Request| {
            sleep(Duration::from_secs(3)).await;
            "late"
        })
        .access_log(AccessLog::new(kept.clone()).format(LogFormat::Common));
    let mut stage = Stage::new(Backend::Simulated, server);
    let mut peer = stage.connect();
    stage.advance(Duration::ZERO);
    let said = head("GET /slow") + "nonsense\r\n\r\n";
    assert_eq!(peer.write(said.as_bytes()), said.len());
    stage.advance(Duration::ZERO);
    stage.advance(Duration::from_secs(3));
    stage.advance(Duration::from_millis(100));
    let lines = kept.lines();
    assert_eq!(lines.len(), 2, "{lines:?}");
    for (line, end) in lines.iter().zip(["\"-\" 400 0", "\"GET /slow HTTP/1.1\" 200 4"]) {
        assert!(line.ends_with(end) && line.matches(" - - [").count() == 1, "{line}");
    }
}

/// Nothing that a peer sends ends a line, a part of it, or reaches a terminal as a command.
#[test]
fn what_a_peer_sends_is_harmless() {
    let (mut stage, kept) = stage(Backend::Simulated, LogFormat::Json);
    let agent =
        "GET /a\"b\\c HTTP/1.1\r\nHost: a\r\nUser-Agent: x\"\\\u{9b}31m\r\nReferer: /\r\n\r\n";
    let found = line_of(&mut stage, &kept, agent);
    let value: serde_json::Value = serde_json::from_str(&found).unwrap();
    assert_eq!(value["user_agent"], "x\"\\\u{c2}\u{9b}31m");
    assert_eq!(value["referer"], "/");
    assert!(found.is_ascii() && !found.bytes().any(|byte| byte.is_ascii_control()), "{found}");

    let (mut stage, kept) = self::stage(Backend::Simulated, LogFormat::Common);
    for target in ["/\u{9b}31m", "/a\"\u{20ac}", "/\\n"] {
        let found = line_of(&mut stage, &kept, &head(&format!("GET {target}")));
        assert!(found.is_ascii() && found.matches('"').count() == 2, "{found}");
    }
}
