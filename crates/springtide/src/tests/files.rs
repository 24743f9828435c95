//! Files through the whole server: beside other replies, in order, and cut short.
//! What is served and how is tested with the file service itself.

use std::fs::File;
use std::path::{Path, PathBuf};

use super::{Backend, Stage, over_all_backends};
use crate::{Files, Server};

/// A directory of its own, removed when the test ends.
pub(super) struct Directory(pub(super) PathBuf);

impl Directory {
    pub(super) fn new(backend: Backend, name: &str, files: &[(&str, &[u8])]) -> Self {
        let unique = format!("springtide-{}-{backend:?}-{name}", std::process::id());
        let path = std::env::temp_dir().join(unique);
        std::fs::create_dir_all(&path).unwrap();
        for (file, bytes) in files {
            std::fs::write(path.join(file), bytes).unwrap();
        }
        Self(path)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).unwrap();
    }
}

fn stage(backend: Backend, directory: &Directory, files: &[(&str, &[u8])]) -> Stage {
    let served = Files::new(&directory.0).memory_bytes_max(1 << 20);
    let server =
        Server::new().get("/hello", || "hello").post("/upload", || "up").files("/", served);
    Stage::with_world(backend, server, |world| {
        for (file, bytes) in files {
            world.write_file(directory.0.join(file), bytes);
        }
    })
}

/// Streamed and remembered files and handlers' replies leave in the order they were asked for.
fn files_keep_their_place_among_replies(backend: Backend) {
    // The beginning of so long a file is passed by the system, its end read.
    let large: Vec<u8> = (0..12_000_000_u32).map(|byte| (byte % 251) as u8).collect();
    let files: [(&str, &[u8]); 2] = [("small.txt", b"small"), ("large.bin", &large)];
    let directory = Directory::new(backend, "order", &files);
    let mut stage = stage(backend, &directory, &files);
    let mut peer = stage.connect();
    let mut requests = String::new();
    for path in ["/large.bin", "/hello", "/small.txt", "/large.bin", "/missing"] {
        requests += &format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n");
    }
    requests += "GET /hello HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    let received = stage.talk(&mut peer, requests.as_bytes(), usize::MAX);
    let mut rest = &received[..];
    for expected in [&large[..], b"hello", b"small", &large, b"Not Found", b"hello"] {
        let end = rest.windows(4).position(|four| four == b"\r\n\r\n").unwrap() + 4;
        let length = expected.len();
        assert!(rest[end..].len() >= length, "a body is cut");
        assert!(rest[end..end + length] == *expected, "a body differs on {backend:?}");
        rest = &rest[end + length..];
    }
    assert!(rest.is_empty());
}

/// A peer that goes away in the middle of a file leaves nothing behind.
fn a_peer_that_leaves_a_stream_leaves_nothing(backend: Backend) {
    let large = vec![7; 8_000_000];
    let files: [(&str, &[u8]); 1] = [("large.bin", &large)];
    let directory = Directory::new(backend, "leave", &files);
    let mut stage = stage(backend, &directory, &files);
    for _ in 0..20 {
        let mut peer = stage.connect();
        let begun = stage.talk(&mut peer, b"GET /large.bin HTTP/1.1\r\nHost: a\r\n\r\n", 100_000);
        assert!(begun.starts_with(b"HTTP/1.1 200 OK"));
        drop(peer);
        stage.until(|stage| (stage.counts().connections_open == 0).then_some(()));
    }
    let mut peer = stage.connect();
    let request = b"GET /hello HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    assert!(stage.talk_to_end(&mut peer, request).ends_with("hello"));
}

/// A peer that ends its side in the middle of an upload still gets the replies before it.
fn an_upload_cut_behind_a_stream_ends_behind_it(backend: Backend) {
    let large = vec![7; 3_000_000];
    let files: [(&str, &[u8]); 1] = [("large.bin", &large)];
    let directory = Directory::new(backend, "cut", &files);
    let mut stage = stage(backend, &directory, &files);
    let mut peer = stage.connect();
    let requests = b"GET /large.bin HTTP/1.1\r\nHost: a\r\n\r\n\
        POST /upload HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nhalf";
    assert_eq!(peer.write(requests), requests.len());
    peer.shutdown();
    let received = stage.talk(&mut peer, b"", usize::MAX);
    let end = received.windows(4).position(|four| four == b"\r\n\r\n").unwrap() + 4;
    assert!(received[end..] == large, "the file and nothing else");
}

/// The head of a streamed file stands alone, and the connection goes on.
fn the_head_of_a_stream_has_no_body(backend: Backend) {
    let large = vec![7; 2_000_000];
    let files: [(&str, &[u8]); 1] = [("large.bin", &large)];
    let directory = Directory::new(backend, "head", &files);
    let mut stage = stage(backend, &directory, &files);
    let mut peer = stage.connect();
    let requests = b"HEAD /large.bin HTTP/1.1\r\nHost: a\r\n\r\n\
        GET /hello HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    let received = stage.talk_to_end(&mut peer, requests);
    let (head, rest) = received.split_once("\r\n\r\n").unwrap();
    assert!(head.contains("Content-Length: 2000000"), "{head}");
    assert!(rest.starts_with("HTTP/1.1 200 OK") && rest.ends_with("hello"), "{rest}");
}

/// Several ranges, from memory and from disk, between other replies.
fn parts_of_files_stand_among_replies(backend: Backend) {
    let bytes: Vec<u8> = (0..2_000_000_u32).map(|byte| (byte % 251) as u8).collect();
    let files: [(&str, &[u8]); 2] = [("small.bin", &bytes[..9000]), ("large.bin", &bytes)];
    let directory = Directory::new(backend, "parts", &files);
    let mut stage = stage(backend, &directory, &files);
    let mut peer = stage.connect();
    let mut requests = String::new();
    for (path, range) in [("large", "500-1200000,3-5"), ("small", "500-3000,3-5,-1")] {
        requests += &format!("GET /{path}.bin HTTP/1.1\r\nHost: a\r\nRange: bytes={range}\r\n\r\n");
        requests += "GET /hello HTTP/1.1\r\nHost: a\r\n\r\n";
    }
    let ranges = ["0-0,"; 17].concat();
    requests += &format!("HEAD /small.bin HTTP/1.1\r\nHost: a\r\nRange: bytes={ranges}\r\n");
    requests += "Connection: close\r\n\r\n";
    let received = stage.talk(&mut peer, requests.as_bytes(), usize::MAX);
    let mut rest = &received[..];
    let mut next = || {
        let end = memchr::memmem::find(rest, b"\r\n\r\n").unwrap() + 4;
        let head = String::from_utf8(rest[..end].to_vec()).unwrap();
        let length = head.split_once("Content-Length: ").unwrap().1;
        let length: usize = length.split_once('\r').unwrap().0.parse().unwrap();
        let length = if rest.len() == end { 0 } else { length };
        let body = &rest[end..end + length];
        rest = &rest[end + length..];
        (head, body)
    };
    for parts in [&[(500, 1_200_001), (3, 6)][..], &[(500, 3001), (3, 6), (8999, 9000)]] {
        let (head, mut rest) = next();
        assert!(head.starts_with("HTTP/1.1 206"), "{head}");
        for (start, end) in parts {
            let at = memchr::memmem::find(rest, b"\r\n\r\n").unwrap() + 4;
            let (own, behind) = rest[at..].split_at(end - start);
            assert!(*own == bytes[*start..*end], "{start}-{end} on {backend:?}");
            rest = behind;
        }
        assert!(rest.starts_with(b"\r\n--") && rest.ends_with(b"--\r\n") && rest.len() < 60);
        assert_eq!(next().1, b"hello");
    }
    assert!(next().0.starts_with("HTTP/1.1 200"));
    assert!(rest.is_empty());
    assert_eq!(stage.counts().ranges_ignored_total, 1);
}

/// The form of a file that was compressed beforehand, by all fields of a request together.
fn who_takes_an_encoded_form_gets_it(backend: Backend) {
    let (itself, brotli) = (vec![b'i'; 2000], vec![b'b'; 1_500_000]);
    let files: [(&str, &[u8]); 2] = [("a.css", &itself), ("a.css.br", &brotli)];
    let directory = Directory::new(backend, "encoded", &files);
    let mut stage = stage(backend, &directory, &files);
    let mut peer = stage.connect();
    let requests = b"GET /a.css HTTP/1.1\r\nHost: a\r\n\r\n\
        GET /a.css HTTP/1.1\r\nHost: a\r\nAccept-Encoding: gzip\r\nAccept-Encoding: br\r\n\
        Connection: close\r\n\r\n";
    let received = stage.talk_to_end(&mut peer, requests);
    let (first, second) = received.split_at(received.rfind("HTTP/1.1").unwrap());
    assert!(first.to_lowercase().contains("vary: accept-encoding"), "{first:.300}");
    let (head, body) = second.split_once("\r\n\r\n").unwrap();
    assert!(head.to_lowercase().contains("content-encoding: br"), "{head}");
    assert!(body.len() == brotli.len() && body.bytes().all(|byte| byte == b'b'));
}

/// What may happen to a file while it is sent, and whether its reply ends early.
const CHANGES: &[(&str, Change, bool)] = &[
    ("truncated", |path| File::options().write(true).open(path).unwrap().set_len(9).unwrap(), true),
    ("rewritten", |path| std::fs::write(path, vec![b'x'; LENGTH]).unwrap(), true),
    ("replaced", replace, false),
    ("removed", |path| std::fs::remove_file(path).unwrap(), false),
];

type Change = fn(&Path);

/// More than the system keeps between two ends of a connection.
const LENGTH: usize = 16_000_000;

fn replace(path: &Path) {
    let new = path.with_extension("new");
    std::fs::write(&new, vec![b'x'; LENGTH]).unwrap();
    std::fs::rename(new, path).unwrap();
}

/// A reply is of one version when it is whole, and cut with its connection otherwise: then it may end
/// with bytes of the other, because the system sends the pages of a file, not copies.
fn a_reply_is_of_one_version_of_its_file(backend: Backend) {
    if backend.is_simulated() {
        // Histories do this with the files of a world.
        return;
    }
    let bytes: Vec<u8> = (0..LENGTH).map(|at| (at % 101) as u8).collect();
    for (name, change, breaks) in CHANGES {
        let directory = Directory::new(backend, "versions", &[("large.bin", &bytes)]);
        let mut stage = stage(backend, &directory, &[]);
        let mut peer = stage.connect();
        let request = b"GET /large.bin HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
        let mut received = stage.talk(&mut peer, request, 100_000);
        change(&directory.0.join("large.bin"));
        received.extend(stage.talk(&mut peer, b"", usize::MAX));
        let end = memchr::memmem::find(&received, b"\r\n\r\n").unwrap() + 4;
        let head = String::from_utf8_lossy(&received[..end]).into_owned();
        let (_, length) = head.split_once("Content-Length: ").unwrap();
        let announced: usize = length.split_once('\r').unwrap().0.parse().unwrap();
        let body = &received[end..];
        assert_eq!(announced, LENGTH);
        assert_eq!(body.len() < LENGTH, *breaks, "{name} over {backend:?}");
        // Whatever had been received before the change was of the first version.
        let before = if *breaks { 90_000 } else { LENGTH };
        let is_old = body[..before.min(body.len())] == bytes[..before.min(body.len())];
        assert!(is_old, "{name} over {backend:?}: bytes of another version");
    }
}

/// The names in a directory, which a thread reads while the shard goes on.
fn names_of_a_directory_stand_among_replies(backend: Backend) {
    if backend.is_moving() {
        // What is read is asked for again by each engine, and this stage leaves none the time.
        return;
    }
    let files: [(&str, &[u8]); 2] = [("b.txt", b"b"), ("a.txt", b"a")];
    let directory = Directory::new(backend, "names", &files);
    let served = Files::new(&directory.0).list(true);
    let server = Server::new().get("/hello", || "hello").files("/", served);
    let mut stage = Stage::with_world(backend, server, |world| {
        for (file, bytes) in files {
            world.write_file(directory.0.join(file), bytes);
        }
    });
    let mut peer = stage.connect();
    let requests = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n\
        GET /hello HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    let received = stage.talk_to_end(&mut peer, requests);
    let (page, hello) = received.split_at(received.rfind("HTTP/1.1").unwrap());
    let names: Vec<&str> = page.lines().filter(|line| line.starts_with("<li>")).collect();
    let expected =
        ["<li><a href=\"./a.txt\">a.txt</a></li>", "<li><a href=\"./b.txt\">b.txt</a></li>"];
    assert_eq!(names, expected);
    assert!(hello.ends_with("hello"), "{hello}");
}

over_all_backends!(
    names_of_a_directory_stand_among_replies,
    a_reply_is_of_one_version_of_its_file,
    who_takes_an_encoded_form_gets_it,
    parts_of_files_stand_among_replies,
    the_head_of_a_stream_has_no_body,
    files_keep_their_place_among_replies,
    a_peer_that_leaves_a_stream_leaves_nothing,
    an_upload_cut_behind_a_stream_ends_behind_it,
);
