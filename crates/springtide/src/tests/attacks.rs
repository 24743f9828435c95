//! Attacks that other servers fell to, by the rows of `docs/attacks.md`, over every backend.
//! Nothing behind what is refused may ever reach a handler.

mod slow;

use std::io::Write as _;
use std::os::unix::fs::symlink;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::access::Kept;
use super::files::Directory;
use super::{Backend, Stage, over_all_backends};
use crate::{AccessLog, LogFormat, Request, Server};

const SMUGGLED: &str = "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n";
const LAST: &str = "GET /last HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";

/// A server, and how often it was asked for what nobody asks for.
fn server() -> (Server, Arc<AtomicUsize>) {
    let smuggled = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&smuggled);
    let server = Server::new()
        .get("/", || "root")
        .get("/last", || "last")
        .post("/echo", |request: Request| request.bytes().clone())
        .get("/smuggled", move || {
            count.fetch_add(1, Ordering::Relaxed);
            "smuggled"
        });
    (server, smuggled)
}

/// Each is refused with its status, is the last on its connection, and hides nothing.
fn refused<'a>(backend: Backend, requests: impl IntoIterator<Item = (&'a str, u16)>) {
    let (server, smuggled) = server();
    let mut stage = Stage::new(backend, server);
    for (request, status) in requests {
        let mut peer = stage.connect();
        let received = stage.talk_to_end(&mut peer, format!("{request}{SMUGGLED}").as_bytes());
        assert!(received.starts_with(&format!("HTTP/1.1 {status} ")), "{request:?}: {received}");
        assert_eq!(received.matches("HTTP/1.1 ").count(), 1, "{request:?}: {received}");
        assert!(received.contains("Connection: close\r\n"), "{request:?}: {received}");
    }
    assert_eq!(smuggled.load(Ordering::Relaxed), 0);
}

/// Row 1.
fn two_readings_of_a_head(backend: Backend) {
    let fields = [
        "Content-Length: 4\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nContent-Length: 4",
        "Content-Length: 0\r\nContent-Length: 35",
        "Content-Length: 35\r\nContent-Length: 35",
        "Content-Length : 35",
        "Transfer-Encoding: chunked, identity",
        "Transfer-Encoding: identity\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding:\r\n chunked",
        "X: y\r\n\tTransfer-Encoding: chunked",
        "X: y\rTransfer-Encoding: chunked",
        "X: y\nTransfer-Encoding: chunked",
    ];
    let with = |version: &str, fields: &str| {
        format!("POST /echo HTTP/{version}\r\nHost: a\r\n{fields}\r\n\r\n0\r\n\r\n")
    };
    let mut heads: Vec<String> = fields.iter().map(|fields| with("1.1", fields)).collect();
    heads.push(with("1.0", "Transfer-Encoding: chunked"));
    refused(backend, heads.iter().map(|head| (&**head, 400)));
}

/// Rows 2 and 3.
fn two_readings_of_a_chunk(backend: Backend) {
    let bodies = [
        ("2\nab\r\n0\r\n\r\n", 400),
        ("2\r\nab\n0\r\n\r\n", 400),
        ("2;x\nab\r\n0\r\n\r\n", 400),
        ("2;\nxx\r\n0\r\n\r\n", 400),
        ("2\r\nabc\r\n0\r\n\r\n", 400),
        ("2\r\nabXX0\r\n\r\n", 400),
        ("0\r\nX: y\nZ: w\r\n\r\n", 400),
        ("7fffffffffffffff\r\nab\r\n", 413),
        ("ffffffffffffffff\r\nab\r\n", 413),
        ("fffffffffffffffff\r\nab\r\n", 400),
    ];
    let head = "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    let requests = bodies.map(|(body, status)| (format!("{head}{body}"), status));
    refused(backend, requests.iter().map(|(request, status)| (&**request, *status)));
}

/// Row 4: an offer that nobody takes is a request like others, and what follows is HTTP.
fn bytes_behind_an_offered_upgrade(backend: Backend) {
    let (server, _) = server();
    let mut stage = Stage::new(backend, server);
    let offer = "GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n";
    let mut peer = stage.connect();
    let received = stage.talk_to_end(&mut peer, format!("{offer}{LAST}").as_bytes());
    assert_eq!(received.matches("HTTP/1.1 200 OK\r\n").count(), 2, "{received}");
    assert!(received.contains("root") && received.ends_with("last"), "{received}");
}

/// Row 5: a body that no handler takes is no request.
fn bodies_that_nobody_reads(backend: Backend) {
    let (server, smuggled) = server();
    let mut stage = Stage::new(backend, server);
    let len = SMUGGLED.len();
    for framing in [
        format!("Content-Length: {len}\r\n\r\n{SMUGGLED}"),
        format!("Transfer-Encoding: chunked\r\n\r\n{len:x}\r\n{SMUGGLED}\r\n0\r\n\r\n"),
    ] {
        let mut peer = stage.connect();
        let request = format!("POST /nowhere HTTP/1.1\r\nHost: a\r\n{framing}{LAST}");
        let received = stage.talk_to_end(&mut peer, request.as_bytes());
        assert!(received.starts_with("HTTP/1.1 404 "), "{received}");
        assert!(received.ends_with("last"), "{received}");
    }
    assert_eq!(smuggled.load(Ordering::Relaxed), 0);
}

/// Rows 10 and 18.
fn lengths_hosts_and_targets(backend: Backend) {
    refused(
        backend,
        [
            ("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 18446744073709551615\r\n\r\n", 413),
            ("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 18446744073709551616\r\n\r\n", 400),
            ("GET / HTTP/1.1\r\nX: y\r\n\r\n", 400),
            ("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
            ("GET / HTTP/1.1\r\nHost:\r\n\r\n", 400),
            ("GET * HTTP/1.1\r\nHost: a\r\n\r\n", 400),
            ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
        ],
    );
}

/// Row 13: a body stays as its client compressed it. Two kilobytes that would be two megabytes are two
/// kilobytes, and nothing here inflates them.
fn a_compressed_body_is_not_inflated(backend: Backend) {
    let best = flate2::Compression::best();
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), best);
    encoder.write_all(&vec![0; 2 << 20]).unwrap();
    let bomb = encoder.finish().unwrap();
    assert!(bomb.len() < 4000);
    let server = server().0.post("/length", |request: Request| request.bytes().len().to_string());
    let mut stage = Stage::new(backend, server);
    let mut peer = stage.connect();
    let mut request = format!(
        "POST /length HTTP/1.1\r\nHost: a\r\nContent-Encoding: gzip\r\nConnection: close\r\n\
         Content-Length: {}\r\n\r\n",
        bomb.len()
    )
    .into_bytes();
    request.extend_from_slice(&bomb);
    let received = stage.talk_to_end(&mut peer, &request);
    assert!(received.ends_with(&format!("\r\n\r\n{}", bomb.len())), "{received}");
}

/// Row 15: no path leads out of its directory, however it is written.
fn paths_that_lead_out(backend: Backend) {
    let outside = Directory::new(backend, "outside", &[("secret.txt", b"secret")]);
    let files: [(&str, &[u8]); 1] = [("index.html", b"home")];
    let directory = Directory::new(backend, "inside", &files);
    symlink(outside.0.join("secret.txt"), directory.0.join("link.txt")).unwrap();
    symlink(&outside.0, directory.0.join("folder")).unwrap();
    let name = outside.0.file_name().unwrap().to_str().unwrap();
    let server = Server::new().files("/", &directory.0);
    let mut stage = Stage::with_world(backend, server, |world| {
        world.write_file(directory.0.join("index.html"), b"home");
        world.write_file(outside.0.join("secret.txt"), b"secret");
    });
    for path in [
        "/../NAME/secret.txt",
        "/x/../../NAME/secret.txt",
        "/%2e%2e/NAME/secret.txt",
        "/.%2E/NAME/secret.txt",
        "/..%2fNAME%2fsecret.txt",
        "/..%5cNAME%5csecret.txt",
        "/..\\NAME\\secret.txt",
        "/%252e%252e/NAME/secret.txt",
        "//../NAME/secret.txt",
        "/index.html%00",
        "/%00",
        "/link.txt",
        "/folder/secret.txt",
        "/./../NAME/secret.txt",
    ] {
        let path = path.replace("NAME", name);
        let mut peer = stage.connect();
        let request = format!("GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        let received = stage.talk_to_end(&mut peer, request.as_bytes());
        let is_refused = ["HTTP/1.1 404 ", "HTTP/1.1 400 "].iter().any(|s| received.starts_with(s));
        assert!(is_refused && !received.ends_with("secret"), "{path}: {received}");
    }
}

/// Row 16: nothing that a peer sends ends a line of the log, or reaches a terminal as a command.
fn control_characters_in_the_log(backend: Backend) {
    for format in [LogFormat::Json, LogFormat::Common] {
        let kept = Kept::default();
        let log = AccessLog::new(kept.clone()).format(format);
        let mut stage = Stage::new(backend, server().0.access_log(log));
        let said: [&[u8]; 6] = [
            b"GET /\x1b[31m HTTP/1.1\r\nHost: a\r\n\r\n",
            b"GET /\rx HTTP/1.1\r\nHost: a\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: a\r\nUser-Agent: \x1b]0;x\x07\r\nConnection: close\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: a\r\nUser-Agent: x\r\n\t200 forged\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: a\r\nUser-Agent: \xc2\x9b31m\"\\\r\nConnection: close\r\n\r\n",
            b"G\x00T / HTTP/1.1\r\nHost: a\r\n\r\n",
        ];
        for (number, request) in said.into_iter().enumerate() {
            let mut peer = stage.connect();
            stage.talk_to_end(&mut peer, request);
            stage.until(|stage| {
                stage.flush_log();
                (kept.lines().len() > number).then_some(())
            });
        }
        let lines = kept.lines();
        assert_eq!(lines.len(), said.len(), "{lines:?}");
        for line in lines {
            let is_plain = line.bytes().all(|byte| (b' '..=b'~').contains(&byte));
            assert!(is_plain && !line.starts_with("\t"), "{line:?}");
        }
    }
}

/// Row 17: no reply is longer than its file, whatever ranges are asked for.
fn ranges_beyond_number(backend: Backend) {
    let bytes = vec![b'r'; 10_000];
    let files: [(&str, &[u8]); 1] = [("file.bin", &bytes)];
    let directory = Directory::new(backend, "ranges", &files);
    let server = Server::new().files("/", &directory.0);
    let mut stage = Stage::with_world(backend, server, |world| {
        world.write_file(directory.0.join("file.bin"), &bytes);
    });
    let many: String = (5..1400).map(|end| format!(",5-{end}")).collect();
    let far: String = (0..1400).map(|at| format!(",{}-{}", at * 7, at * 7)).collect();
    let ends: String = (1..16).map(|count| format!(",-{}", count * 600)).collect();
    for ranges in [
        format!("0-{many}"),
        format!("0-0{far}"),
        format!("0-{}", ",0-".repeat(10)),
        format!("0-9998{ends}"),
        "0-18446744073709551615,-18446744073709551615".to_owned(),
        "18446744073709551614-18446744073709551615".to_owned(),
    ] {
        let mut peer = stage.connect();
        let request = format!(
            "GET /file.bin HTTP/1.1\r\nHost: a\r\nRange: bytes={ranges}\r\nConnection: close\r\n\r\n"
        );
        let received = stage.talk_to_end(&mut peer, request.as_bytes());
        let (head, body) = received.split_once("\r\n\r\n").unwrap();
        let starts = ["HTTP/1.1 200", "HTTP/1.1 206", "HTTP/1.1 416"];
        assert!(starts.iter().any(|start| head.starts_with(start)), "{head}");
        assert!(body.len() <= bytes.len(), "{} bytes for {ranges}", body.len());
    }
}

over_all_backends!(
    two_readings_of_a_head,
    two_readings_of_a_chunk,
    bytes_behind_an_offered_upgrade,
    bodies_that_nobody_reads,
    lengths_hosts_and_targets,
    a_compressed_body_is_not_inflated,
    paths_that_lead_out,
    control_characters_in_the_log,
    ranges_beyond_number,
);
