//! What idle connections take, and that it goes back when they have closed.
//! Counted in what the shard holds, never in what the process has of the system.

use super::{Backend, Peer, Stage, over_all_backends};
use crate::{Request, Server};

/// Enough for several pages of connections and of operations.
const CONNECTIONS: u64 = 2_200;
/// Fewer than what may wait to be accepted.
const AT_ONCE: u64 = 100;
const REPLY_END: &[u8] = b"here";

/// Opens connections, and asks one request on each.
fn open_some(stage: &mut Stage) -> Vec<Peer> {
    let mut peers: Vec<Peer> = (0..AT_ONCE).map(|_| stage.connect()).collect();
    for peer in &mut peers {
        let request = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
        assert_eq!(peer.write(request), request.len());
    }
    for peer in &mut peers {
        let mut reply = Vec::new();
        stage.until(|_| {
            peer.read(&mut reply);
            reply.ends_with(REPLY_END).then_some(())
        });
    }
    peers
}

fn what_connections_took_goes_back(backend: Backend) {
    springtide_engine::descriptors_max_raise().unwrap();
    let mut stage = Stage::new(backend, Server::new().get("/", |_: Request| "here"));
    let before = stage.held();
    let mut peers: Vec<Peer> = Vec::new();
    while (peers.len() as u64) < CONNECTIONS {
        peers.append(&mut open_some(&mut stage));
    }
    let open = stage.held();
    assert_eq!(stage.counts().connections_open, CONNECTIONS);
    assert!(open.connection_pages >= 3 && open.operation_pages >= 3, "{open:?}");
    assert!(open.spare_bytes <= 1 << 20, "buffers go round: {open:?}");
    let mut unread = Vec::new();
    peers.iter_mut().for_each(Peer::shutdown);
    stage.until(|stage| (stage.counts().connections_open == 0).then_some(()));
    stage.turn();
    peers.iter_mut().for_each(|peer| peer.read(&mut unread));
    assert_eq!(unread, b"");
    let closed = stage.held();
    // One empty page stays for what comes next, beside that of the accept.
    assert!(closed.connection_pages <= 1 && closed.operation_pages <= 2, "{closed:?}");
    assert!(closed.spare_bytes <= open.spare_bytes.max(before.spare_bytes), "{closed:?}");
}

/// Everybody asks at once for more than what is kept of buffers.
fn what_is_spare_is_bounded(backend: Backend) {
    const PIPELINED: usize = 10;
    let mut stage = Stage::new(backend, Server::new().get("/", || "x".repeat(1_000) + "~"));
    let mut peers: Vec<Peer> = (0..AT_ONCE).map(|_| stage.connect()).collect();
    stage.until(|stage| (stage.counts().connections_open == AT_ONCE).then_some(()));
    ask_all(&mut stage, &mut peers, PIPELINED, |replies| {
        replies.iter().filter(|byte| **byte == b'~').count() == PIPELINED
    });
    stage.turn();
    let held = stage.held();
    assert!(held.spare_bytes <= 512 << 10, "{held:?}");
}

/// Everybody asks so often at once, and reads until he has all.
fn ask_all(
    stage: &mut Stage,
    peers: &mut [Peer],
    pipelined: usize,
    has_all: impl Fn(&[u8]) -> bool,
) {
    let requests = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n".repeat(pipelined);
    for peer in &mut *peers {
        assert_eq!(peer.write(&requests), requests.len());
    }
    for peer in peers {
        let mut replies = Vec::new();
        stage.until(|_| {
            peer.read(&mut replies);
            has_all(&replies).then_some(())
        });
    }
}

/// A reply of many pieces leaves no room for as many behind.
fn the_room_of_many_pieces_goes_back(backend: Backend) {
    const PIPELINED: usize = 30;
    let page = crate::Bytes::from(vec![b'x'; 1_100]);
    let mut stage = Stage::new(backend, Server::new().get("/", move || page.clone()));
    let mut peers: Vec<Peer> = (0..AT_ONCE).map(|_| stage.connect()).collect();
    stage.until(|stage| (stage.counts().connections_open == AT_ONCE).then_some(()));
    let before = stage.held();
    ask_all(&mut stage, &mut peers, PIPELINED, |replies| replies.len() > PIPELINED * 1_100);
    stage.turn();
    let held = stage.held();
    assert!(held.spare_pieces <= 16 * AT_ONCE as usize, "{before:?} {held:?}");
    assert!(held.spare_pieces_max <= 16, "{held:?}");
}

over_all_backends!(
    what_connections_took_goes_back,
    what_is_spare_is_bounded,
    the_room_of_many_pieces_goes_back,
);
