//! Whole connections to the whole server in a simulated world: bytes decide what peers say, where
//! it is cut, how time passes and what goes wrong. It must never wait for real time.

use springtide::test::{Fault, Faults, Peer, World};
use springtide::{Request, Server};
use std::time::Duration;

/// Behind this byte stands what to do instead of a byte to write.
const DO: u8 = 0xff;
const PEERS: usize = 2;
/// Long enough for every deadline of the server.
const AGES: Duration = Duration::from_secs(2 * 3600);

/// Plays the bytes. The first is the seed of the world, the second how probable faults are.
///
/// # Panics
/// When a handler or the server does, when what peers read is no sequence of replies, or when
/// anything is left behind.
pub fn connection(bytes: &[u8]) {
    let [seed, faults, script @ ..] = bytes else { return };
    let mut world = World::new(u64::from(*seed));
    world.serve(server());
    let listening = world.descriptors_open();
    world.set_faults(probable(*faults));
    let mut peers: [Option<(Peer, Vec<u8>)>; PEERS] =
        std::array::from_fn(|_| Some((world.connect(), Vec::new())));
    play(&mut world, &mut peers, script);
    world.set_faults(Faults::default());
    world.pass(AGES);
    for (mut peer, mut received) in peers.into_iter().flatten() {
        peer.read(usize::MAX, &mut received);
        check_replies(&received);
    }
    world.pass(AGES);
    assert_eq!(world.counts().connections_open, 0, "no connection is left");
    assert_eq!(world.descriptors_open(), listening, "no descriptor is left");
}

fn server() -> Server {
    Server::new()
        .get("/", || "root")
        .get("/size/{len}", |request: Request| {
            let len = request.param("len").parse().map_or(0, |len: usize| len.min(100_000));
            "x".repeat(len)
        })
        .post("/echo", |request: Request| [b"echo ", request.bytes().as_ref()].concat())
}

/// From never to one in four. A refusal of the engine needs a shard that changes its thread, which
/// a world has only with histories.
fn probable(byte: u8) -> Faults {
    Faults::all(f64::from(byte) / 1024.0).with(Fault::Refused, 0.0)
}

fn play(world: &mut World, peers: &mut [Option<(Peer, Vec<u8>)>; PEERS], script: &[u8]) {
    let (mut number, mut written, mut rest) = (0, Vec::new(), script);
    loop {
        let text = rest.iter().position(|byte| *byte == DO).unwrap_or(rest.len());
        written.extend_from_slice(&rest[..text]);
        if let Some((peer, _)) = &mut peers[number] {
            write(world, peer, &written);
        }
        written.clear();
        let Some((order, behind)) = rest.get(text + 1..).and_then(<[u8]>::split_first) else {
            return;
        };
        rest = behind;
        match order {
            b's' => world.settle(),
            b't' => world.pass(Duration::from_millis(1500)),
            b'l' => world.pass(Duration::from_secs(11)),
            b'n' => number = (number + 1) % PEERS,
            b'e' => peers[number].iter_mut().for_each(|(peer, _)| peer.shutdown()),
            b'r' => peers[number].iter_mut().for_each(|(peer, _)| peer.reset()),
            b'd' => peers[number] = None,
            b'f' => world.set_faults(Faults::default()),
            b'g' => peers[number].iter_mut().for_each(|(peer, received)| {
                peer.read(100, received);
            }),
            other => written.push(*other),
        }
    }
}

/// Writes as much as the server takes.
fn write(world: &mut World, peer: &mut Peer, mut bytes: &[u8]) {
    while !bytes.is_empty() {
        let count = peer.write(bytes);
        if count == 0 {
            return;
        }
        bytes = &bytes[count..];
        world.settle();
    }
}

/// Whether these bytes are replies, the last one perhaps cut. The server of this target always
/// tells the length, also of what it leaves out of a reply to HEAD; and no body of its begins as a
/// reply does.
fn check_replies(mut received: &[u8]) {
    let begins = |bytes: &[u8]| bytes.iter().zip(b"HTTP/1.1 ").all(|(own, other)| own == other);
    while !received.is_empty() {
        assert!(begins(received), "a reply begins: {:?}", &received[..received.len().min(40)]);
        let Some(end) = received.windows(4).position(|end| end == b"\r\n\r\n") else { return };
        let head = std::str::from_utf8(&received[..end]).expect("our heads are ASCII");
        let mut lengths = head.lines().filter_map(|line| line.strip_prefix("Content-Length: "));
        let length = lengths.next().map_or(0, |length| length.parse().expect("a length"));
        assert_eq!(lengths.next(), None, "one length");
        let behind = &received[end + 4..];
        received = if begins(behind) { behind } else { behind.get(length..).unwrap_or_default() };
    }
}
