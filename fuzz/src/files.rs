//! Ranges and paths of files, asked of the whole server in a simulated world.
//! It must never know how either is read, only what may come back.

use springtide::Server;
use springtide::test::{Reply, World};

const SECRET: &[u8] = b"secret";
const CONTENT: &[u8] = b"0123456789abcdefghijklmnopqrstuvwxyz";

/// The bytes are the value of `Range`, for a file whose length is the first of them.
///
/// # Panics
/// When the parts that come back are not the file's, or more than the file.
pub fn ranges(bytes: &[u8]) {
    let Some((length, value)) = bytes.split_first() else { return };
    let content = &CONTENT[..usize::from(*length) % (CONTENT.len() + 1)];
    if value.iter().any(|byte| matches!(byte, b'\r' | b'\n')) {
        return;
    }
    let request = [b"GET /f HTTP/1.1\r\nHost: a\r\nRange: ", value, b"\r\n\r\n"].concat();
    let Some(reply) = ask(content, &request) else { return };
    let range = reply.header("content-range").unwrap_or_default();
    match reply.status().as_u16() {
        200 => assert_eq!(reply.body(), content),
        206 if range.is_empty() => {
            assert!(reply.header("content-type").is_some_and(|kind| kind.contains("byteranges")));
        }
        206 => assert_eq!(reply.body(), &content[part(range, content.len())]),
        416 => assert_eq!(range, format!("bytes */{}", content.len())),
        status => assert!(matches!(status, 400 | 431), "{status}"),
    }
}

/// `bytes 0-4/36` as a range of indexes.
fn part(range: &str, length: usize) -> std::ops::Range<usize> {
    let numbers = range.strip_prefix("bytes ").and_then(|range| range.split_once('/'));
    let (span, whole) = numbers.expect("a range and a length");
    assert_eq!(whole.parse(), Ok(length));
    let (first, last) = span.split_once('-').expect("a first and a last byte");
    let number = |text: &str| text.parse::<usize>().expect("a number");
    number(first)..number(last) + 1
}

/// The bytes are a target.
///
/// # Panics
/// When it leads to a file that is not beneath the root, or is hidden there.
pub fn paths(bytes: &[u8]) {
    if bytes.iter().any(|byte| matches!(byte, b'\r' | b'\n')) {
        return;
    }
    let request = [b"GET /", bytes, b" HTTP/1.1\r\nHost: a\r\n\r\n"].concat();
    let Some(reply) = ask(CONTENT, &request) else { return };
    assert_ne!(reply.body(), SECRET, "nothing above the root is served");
    let status = reply.status().as_u16();
    assert!(matches!(status, 200 | 301 | 308 | 400 | 404 | 414 | 431 | 505), "{status}");
}

/// What one request to a site of a few files gets, if it is a request.
fn ask(content: &[u8], request: &[u8]) -> Option<Reply> {
    let mut world = World::new(1);
    world.write_file("/site/f", content);
    world.write_file("/site/index.html", b"index");
    world.write_file("/site/sub/index.html", b"sub");
    for hidden in ["/secret", "/site/.secret", "/site/sub/.git/config", "/sitesecret", "/f"] {
        world.write_file(hidden, SECRET);
    }
    world.serve(Server::new().files("/", "/site"));
    let mut peer = world.connect();
    assert_eq!(peer.write(request), request.len().min(160 * 1024));
    world.settle();
    let reply = peer.reply();
    drop(peer);
    world.settle();
    assert_eq!(world.counts().connections_open, 0, "the connection ends");
    reply
}
