//! Forms of several parts, uploaded to the whole server in a simulated world in pieces that the
//! bytes decide. It must never know how parts are told apart, only what may not depend on the cuts.

use springtide::test::{Peer, Reply, World};
use springtide::{Multipart, Request, Response, Server, streamed};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Behind this byte stands what to do instead of a byte to upload.
const DO: u8 = 0xff;
/// How often a piece may be sent in a row, and how long all pieces may be together.
const TIMES_MAX: usize = 256;
const BODY_BYTES_MAX: usize = 300 << 10;
/// How much of a form may be held without a part or a piece of one having been given: the head of a
/// part, and the piece in which that became too long.
const HELD_BYTES_MAX: usize = (16 << 10) + (96 << 10);
/// Up to this length a form is also uploaded byte by byte.
const SHORT_BYTES_MAX: usize = 256;
/// The head of a part that is longer may be refused, and is not when it comes whole.
const HEAD_BYTES_MAX: usize = 16 << 10;

const BOUNDARIES: [&str; 3] =
    ["b", "--b", "0123456789abcdefghijklmnopqrstuvwxyz0123456789abcdefghijklmnopqrstuvwx"];

/// The first byte chooses the boundary; what follows is the form, with orders in between: `s` cuts
/// it there, `r` cuts it and repeats what came since the last cut as often as the next byte says.
///
/// # Panics
/// When parts depend on the cuts, or more is held than may be.
pub fn multipart(bytes: &[u8]) {
    let Some((choice, script)) = bytes.split_first() else { return };
    let boundary = BOUNDARIES[usize::from(*choice) % BOUNDARIES.len()];
    let pieces = pieces(script);
    let whole = [pieces.concat()];
    let expected = upload("/whole", boundary, &whole);
    let mut ways = vec![whole.to_vec(), pieces];
    if whole[0].len() <= SHORT_BYTES_MAX {
        ways.push(whole[0].iter().map(|byte| vec![*byte]).collect());
    }
    for way in ways {
        let found = upload("/pieces", boundary, &way);
        let is_refused_late = found.status() != 200 && whole[0].len() > HEAD_BYTES_MAX;
        if !is_refused_late {
            assert_eq!(said(&found), said(&expected), "in {} pieces", way.len());
        }
    }
}

/// The form, cut as the script says.
fn pieces(script: &[u8]) -> Vec<Vec<u8>> {
    let (mut pieces, mut piece, mut length) = (Vec::new(), Vec::new(), 0);
    let mut bytes = script.iter().copied();
    while let Some(byte) = bytes.next() {
        let order = if byte == DO { bytes.next() } else { None };
        let times = match order {
            None => {
                piece.push(byte);
                continue;
            }
            Some(b's') => 1,
            Some(b'r') => usize::from(bytes.next().unwrap_or(1)).clamp(1, TIMES_MAX),
            Some(other) => {
                piece.push(other);
                continue;
            }
        };
        for _ in 0..times {
            if length + piece.len() > BODY_BYTES_MAX {
                return pieces;
            }
            length += piece.len();
            pieces.push(piece.clone());
        }
        piece.clear();
    }
    pieces.push(piece);
    pieces.retain(|piece| !piece.is_empty());
    pieces
}

/// The answer to a form that comes in these pieces.
fn upload(path: &str, boundary: &str, pieces: &[Vec<u8>]) -> Reply {
    let mut world = World::new(1);
    let given = Arc::new(AtomicU64::new(0));
    world.serve(server(&given));
    let mut peer = world.connect();
    let length: usize = pieces.iter().map(Vec::len).sum();
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: a\r\nContent-Type: multipart/form-data; \
         boundary=\"{boundary}\"\r\nContent-Length: {length}\r\n\r\n"
    );
    write(&mut world, &mut peer, head.as_bytes());
    let (mut seen, mut held, mut reply) = (0, 0, None);
    for piece in pieces {
        write(&mut world, &mut peer, piece);
        held += piece.len();
        if given.load(Ordering::Relaxed) != seen {
            (seen, held) = (given.load(Ordering::Relaxed), 0);
        }
        reply = reply.or_else(|| peer.reply());
        let is_bounded = pieces.len() == 1 || path == "/whole" || reply.is_some();
        assert!(is_bounded || held <= HELD_BYTES_MAX, "{held} bytes are held");
    }
    world.settle();
    reply.or_else(|| peer.reply()).expect("every form is answered")
}

/// Writes all of it, as the server takes it; what it does not want it throws away.
fn write(world: &mut World, peer: &mut Peer, mut bytes: &[u8]) {
    while !bytes.is_empty() {
        let count = peer.write(bytes);
        world.settle();
        bytes = &bytes[count..];
        if count == 0 {
            return;
        }
    }
}

fn server(given: &Arc<AtomicU64>) -> Server {
    let (whole, pieces) = (Arc::clone(given), Arc::clone(given));
    Server::new()
        .post("/whole", async move |request: Request| tell(request, &whole).await)
        .post("/pieces", streamed(async move |request: Request| tell(request, &pieces).await))
}

/// Says what is in each part, and counts what it is given.
async fn tell(mut request: Request, given: &AtomicU64) -> Result<Vec<u8>, Response> {
    let (mut parts, mut said) = (request.multipart()?, Vec::new());
    while add_part(&mut parts, given, &mut said).await? {}
    Ok(said)
}

async fn add_part(
    parts: &mut Multipart,
    given: &AtomicU64,
    said: &mut Vec<u8>,
) -> Result<bool, Response> {
    let Some(mut part) = parts.next_part().await? else { return Ok(false) };
    given.fetch_add(1, Ordering::Relaxed);
    let names = format!("|{:?} {:?} {:?}:", part.name(), part.file_name(), part.content_type());
    said.extend_from_slice(names.as_bytes());
    while let Some(piece) = part.next().await? {
        assert!(!piece.is_empty(), "a piece has bytes");
        given.fetch_add(1, Ordering::Relaxed);
        said.extend_from_slice(&piece);
    }
    Ok(true)
}

/// What an answer tells of a form: all of its parts, or that it is none.
fn said(reply: &Reply) -> (u16, &[u8]) {
    match reply.status().as_u16() {
        200 => (200, reply.body()),
        status => (status, b""),
    }
}
