//! Row 7 in virtual time: five thousand slow peers at once, each cut by its deadline, while who asks as
//! others do is answered before time moves on.

use std::time::Duration;

use crate::test::{Peer, World};
use crate::{Limits, Request, Server};

const SECOND: Duration = Duration::from_secs(1);
const SLOW: usize = 5000;
const LONG: usize = 1 << 20;

/// What a slow peer says first, and what it adds each second.
enum Kind {
    Head,
    Body,
    /// Takes a byte a second of what it asked for.
    Reader,
}

impl Kind {
    fn of(number: usize) -> Self {
        match number % 3 {
            0 => Self::Head,
            1 => Self::Body,
            _ => Self::Reader,
        }
    }

    const fn first(&self) -> &'static [u8] {
        match self {
            Self::Head => b"G",
            Self::Body => b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 8192\r\n\r\n",
            Self::Reader => b"GET /long HTTP/1.1\r\nHost: a\r\n\r\n",
        }
    }

    fn go_on(&self, peer: &mut Peer) {
        match self {
            Self::Head | Self::Body => drop(peer.write(b"E")),
            Self::Reader => drop(peer.read(1, &mut Vec::new())),
        }
    }

    /// The deadline of the default limits, in seconds: 10 of a head; 10 of which a body gives 1 KiB
    /// each; 30 of a reader, and an eighth more, behind the first look at it.
    const fn seconds_max(&self) -> u64 {
        match self {
            Self::Head | Self::Body => 11,
            Self::Reader => 30 + 2 * 4 + 1,
        }
    }
}

#[test]
fn five_thousand_slow_peers_are_cut() {
    let mut world = World::new(7);
    let limits = Limits { connections_max: SLOW + 10, ..Limits::default() };
    world.serve(
        Server::new()
            .limits(limits)
            .get("/", || "good")
            .get("/long", || vec![b'~'; LONG])
            .post("/echo", |request: Request| request.bytes().clone()),
    );
    let mut slow: Vec<(Kind, Peer)> = Vec::new();
    for number in 0..SLOW {
        let (kind, mut peer) = (Kind::of(number), world.connect());
        assert_eq!(peer.write(kind.first()), kind.first().len());
        slow.push((kind, peer));
        if number % 1000 == 999 {
            world.settle();
        }
    }
    let mut good = world.connect();
    for second in 1..=50 {
        // Answered by turns alone: no time passes.
        assert_eq!(good.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"), 27);
        world.settle();
        assert_eq!(good.reply().expect("an answer").body(), b"good", "second {second}");
        for (kind, peer) in &mut slow {
            kind.go_on(peer);
        }
        world.settle();
        world.pass(SECOND);
        for (kind, peer) in &slow {
            assert!(peer.is_closed_by_server() || second <= kind.seconds_max(), "second {second}");
        }
        slow.retain(|(_, peer)| !peer.is_closed_by_server());
    }
    assert!(slow.is_empty());
    assert_eq!(world.counts().deadlines_total, SLOW as u64);
    assert_eq!(world.counts().connections_open, 1);
}
