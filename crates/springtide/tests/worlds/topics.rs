//! Topics over several shards in one world: everybody gets everything, in order and once, whatever the
//! network does and whichever shard is frozen; and what is refused is counted.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use springtide::test::{Fault, Faults, Peer, World, for_each_seed};
use springtide::{Limits, Message, PeerId, Server, Socket, WebSocket};

/// After which what the network has put off is tried again.
const MOMENT: Duration = Duration::from_millis(100);

/// What a room's server remembers: the names of all who came.
#[derive(Clone, Default)]
struct Room(Arc<Mutex<Vec<PeerId>>>);

impl WebSocket for Room {
    fn opened(&self, socket: Socket) {
        self.0.lock().unwrap().push(socket.id());
        socket.subscribe("tide");
        socket.subscribe(own_topic(socket.id()));
    }

    fn message(&self, socket: Socket, message: Message) {
        socket.publish("tide", message);
    }
}

/// The topic that one connection alone has subscribed to.
fn own_topic(id: PeerId) -> String {
    format!("of {id}")
}

/// A client that says short texts and keeps what it hears.
struct Guest {
    peer: Peer,
    received: Vec<u8>,
    unsent: Vec<u8>,
}

impl Guest {
    /// One behind its handshake.
    fn open(world: &mut World) -> Self {
        Self::on(world.connect(), world)
    }

    /// The same over a connection that was made before.
    fn on(peer: Peer, world: &mut World) -> Self {
        let mut own = Self { peer, received: Vec::new(), unsent: Vec::new() };
        own.unsent.extend(
            b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
            Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
        );
        for _ in 0..1_000 {
            own.flush();
            world.pass(MOMENT);
            own.read();
            if let Some(end) = own.received.windows(4).position(|four| four == b"\r\n\r\n") {
                assert!(own.received.starts_with(b"HTTP/1.1 101 "));
                own.received.drain(..end + 4);
                return own;
            }
        }
        panic!("the handshake is answered");
    }

    fn say(&mut self, text: &str) {
        let length = u8::try_from(text.len()).unwrap();
        assert!(length < 126);
        // The key is nothing: what is masked is as it was.
        self.unsent.extend([0x81, 0x80 | length, 0, 0, 0, 0]);
        self.unsent.extend(text.as_bytes());
    }

    fn flush(&mut self) {
        let written = self.peer.write(&self.unsent);
        self.unsent.drain(..written);
    }

    fn read(&mut self) {
        self.peer.read(usize::MAX, &mut self.received);
    }

    /// Every text that has come whole, which must be short.
    fn texts(&mut self) -> Vec<String> {
        self.read();
        let mut texts = Vec::new();
        while let [0x81, length, rest @ ..] = self.received.as_slice()
            && let Some(text) = rest.get(..usize::from(*length))
        {
            assert!(*length < 126);
            texts.push(String::from_utf8(text.to_vec()).unwrap());
            self.received.drain(..2 + usize::from(*length));
        }
        texts
    }
}

fn flush_all(world: &mut World, guests: &mut [Guest]) {
    for _ in 0..1_000 {
        for guest in &mut *guests {
            guest.flush();
        }
        world.pass(MOMENT);
        if guests.iter().all(|guest| guest.unsent.is_empty()) {
            return;
        }
    }
    panic!("the server takes what is said");
}

#[test]
fn everybody_hears_everything_in_order_and_once() {
    const GUESTS: usize = 9;
    const SAID: usize = 60;
    for_each_seed(40, |world| {
        world.set_faults(Faults::all(0.1).with(Fault::Reset, 0.0));
        let server = Server::new().websocket("/", Room::default()).workers(3);
        let topics = server.topics();
        world.serve(server);
        let mut guests: Vec<Guest> = (0..GUESTS).map(|_| Guest::open(world)).collect();
        world.settle();
        assert_eq!(topics.topic("tide").subscribers, GUESTS);
        let mut said = [0; GUESTS];
        for _ in 0..SAID {
            let own = world.below(GUESTS);
            guests[own].say(&format!("{own} {}", said[own]));
            said[own] += 1;
            guests[own].flush();
            match world.below(4) {
                0 => {
                    let shard = world.below(3);
                    world.freeze_shard(shard);
                }
                1 => {
                    let source = world.below(3);
                    world.share(source, (source + 1) % 3, 2);
                }
                _ => world.turn(),
            }
        }
        flush_all(world, &mut guests);
        world.pass(super::SECOND);
        for guest in &mut guests {
            let mut texts = guest.texts();
            for _ in 0..100 {
                // The network may hold up what was sent.
                if texts.len() < SAID {
                    world.pass(MOMENT);
                }
                texts.extend(guest.texts());
            }
            assert_eq!(texts.len(), SAID, "nothing is lost or doubled");
            let mut next = [0; GUESTS];
            for text in texts {
                let (own, number) = text.split_once(' ').unwrap();
                let own: usize = own.parse().unwrap();
                assert_eq!(number.parse(), Ok(next[own]), "in the order of who has said it");
                next[own] += 1;
            }
        }
        let counts = world.counts();
        let all = (SAID * GUESTS) as u64;
        assert_eq!((counts.deliveries_total, counts.deliveries_dropped), (all, 0));
        assert_eq!(topics.topic("tide").delivered, all);
    });
}

/// A queue that is full refuses what follows, tells how many do not get it, and counts them; what was
/// on its way arrives.
#[test]
fn a_full_queue_between_shards_refuses_and_counts() {
    let bytes_max = 3 * (128 + 4 + 4);
    for (name, limits) in [
        ("topic_queue_messages_max", Limits { topic_queue_messages_max: 3, ..Limits::default() }),
        ("topic_queue_bytes_max", Limits { topic_queue_bytes_max: bytes_max, ..Limits::default() }),
    ] {
        let room = Room::default();
        let mut world = World::new(3);
        let server = Server::new().websocket("/", room.clone()).workers(2).limits(limits);
        let topics = server.topics();
        assert_eq!(topics.publish("tide", "nobody is there yet"), 0);
        world.serve(server);
        let mut guests: Vec<Guest> = (0..10).map(|_| Guest::open(&mut world)).collect();
        let refused: Vec<usize> =
            (0..5).map(|at| topics.publish("tide", format!("at {at}"))).collect();
        assert_eq!(refused, [0, 0, 0, 10, 10], "{name}");
        world.settle();
        for guest in &mut guests {
            assert_eq!(guest.texts(), ["at 0", "at 1", "at 2"]);
        }
        assert_eq!(topics.publish("tide", "late"), 0, "there is room again");
        world.settle();
        let counts = topics.topic("tide");
        assert_eq!((counts.delivered, counts.dropped), (40, 20));
        let counts = world.counts();
        assert_eq!((counts.deliveries_total, counts.deliveries_dropped), (40, 20));
        assert_eq!(world.limits_met(name), 4, "each shard has refused twice");
        // By names, those are counted whose shard refuses.
        guests.iter_mut().for_each(|guest| drop(guest.texts()));
        let ids = room.0.lock().unwrap().clone();
        let refused: Vec<usize> =
            (0..40).map(|_| topics.broadcast(ids.clone(), "by name")).collect();
        assert_eq!(refused.iter().sum::<usize>() % 10, 0);
        world.settle();
        let heard: usize = guests.iter_mut().map(|guest| guest.texts().len()).sum();
        assert_eq!(heard + refused.iter().sum::<usize>(), 400, "{name}");
        assert!(heard > 0 && heard < 400);
    }
}

/// Who has moved before it was named is refused by the shard where it stands by then.
#[test]
fn who_has_moved_is_refused_where_it_is() {
    for_each_seed(20, |world| {
        let room = Room::default();
        let limits = Limits { topic_queue_messages_max: 3, ..Limits::default() };
        let server = Server::new().websocket("/", room.clone()).workers(3).limits(limits);
        let topics = server.topics();
        world.serve(server);
        let peers: Vec<Peer> = (0..9).map(|_| world.connect()).collect();
        world.settle();
        // Now one shard has more than another.
        world.share(0, 1, 2);
        world.settle();
        let mut guests: Vec<Guest> = peers.into_iter().map(|own| Guest::on(own, world)).collect();
        let ids = room.0.lock().unwrap().clone();
        let mut refused = 0;
        for id in &ids {
            // Only the shard of this one has so much on its way.
            for _ in 0..3 {
                assert_eq!(topics.publish(own_topic(*id), "fills a queue"), 0);
            }
            refused += topics.broadcast(ids.clone(), "by name");
            world.settle();
        }
        world.settle();
        let heard: usize = guests.iter_mut().map(|guest| guest.texts().len()).sum();
        assert_eq!(heard + refused, ids.len() * ids.len() + 3 * ids.len());
        assert!((ids.len()..ids.len() * ids.len()).contains(&refused));
        assert_eq!(world.counts().deliveries_dropped, refused as u64);
    });
}

/// Connections are named on whatever shard, in any number and order; who is gone is left out.
#[test]
fn broadcasts_find_connections_by_name() {
    for_each_seed(20, |world| {
        let room = Room::default();
        let server = Server::new().websocket("/", room.clone()).workers(3);
        let topics = server.topics();
        world.serve(server);
        let mut guests: Vec<Guest> = (0..8).map(|_| Guest::open(world)).collect();
        topics.broadcast([], "nobody");
        let ids = room.0.lock().unwrap().clone();
        assert_eq!(topics.broadcast([ids[1], ids[5], ids[1]], "two"), 0);
        world.settle();
        guests.remove(5);
        let shard = world.below(3);
        world.freeze_shard(shard);
        guests.push(Guest::open(world));
        topics.broadcast(room.0.lock().unwrap().iter().copied(), "all");
        world.settle();
        let heard: Vec<Vec<String>> = guests.iter_mut().map(Guest::texts).collect();
        assert_eq!(heard[1], ["two", "all"]);
        assert_eq!(heard.iter().filter(|texts| **texts == ["all"]).count(), 7);
        let counts = world.counts();
        assert_eq!((counts.deliveries_total, counts.deliveries_dropped), (10, 0));
    });
}

/// A shard that stops takes its subscribers along; the others go on.
#[test]
fn shards_that_stop_leave_nothing_behind() {
    let server = Server::new().websocket("/", Room::default()).workers(3);
    let topics = server.topics();
    let mut world = World::new(5);
    world.serve(server);
    let mut guests: Vec<Guest> = (0..9).map(|_| Guest::open(&mut world)).collect();
    world.stop_shard(1, super::SECOND);
    topics.publish("tide", "while it stops");
    world.pass(super::SECOND * 10);
    assert_eq!(world.shards_running(), 2);
    let open = guests.iter_mut().filter(|guest| !guest.peer.is_closed_by_server()).count();
    assert_eq!(topics.topic("tide").subscribers, open);
    assert_eq!(topics.publish("tide", "behind it"), 0);
    world.settle();
    let heard = guests.iter_mut().map(Guest::texts).filter(|texts| texts.len() == 2).count();
    assert_eq!(heard, open);
    world.stop(Duration::ZERO);
    world.pass(super::SECOND * 10);
    assert_eq!(topics.all(), []);
}

/// Everything that a turn brings a connection leaves in one send.
#[test]
fn messages_of_a_turn_leave_in_one_send() {
    const GUESTS: u64 = 50;
    let mut world = World::new(9);
    let server = Server::new().websocket("/", Room::default());
    let topics = server.topics();
    world.serve(server);
    let mut guests: Vec<Guest> = (0..GUESTS).map(|_| Guest::open(&mut world)).collect();
    let made = |world: &World| {
        let (stats, _) = world.engine_stats(0).unwrap();
        stats.submitted + stats.sends_direct
    };
    let before = made(&world);
    for number in 0..10 {
        topics.publish("tide", format!("number {number}"));
    }
    world.turn();
    assert_eq!(made(&world) - before, GUESTS, "one for each connection");
    world.settle();
    assert!(guests.iter_mut().all(|guest| guest.texts().len() == 10));
}

/// A burst of a thread that is faster than the shard is delivered turn by turn: who reads in between
/// misses nothing, though all of it is more than may wait for one peer.
#[test]
fn a_burst_is_delivered_turn_by_turn() {
    const SAID: usize = 12_000;
    let mut world = World::new(11);
    let server = Server::new().websocket("/", Room::default());
    let topics = server.topics();
    world.serve(server);
    let mut guests: Vec<Guest> = (0..3).map(|_| Guest::open(&mut world)).collect();
    let mut refused = 0;
    for number in 0..SAID {
        refused += topics.publish("tide", format!("{number:0>100}"));
    }
    assert_eq!(refused, 0);
    world.turn();
    assert!(world.counts().deliveries_total < 3 * 500, "a turn has its share");
    let mut heard = [0; 3];
    while heard.iter().any(|heard| *heard < SAID) {
        let before = world.counts().deliveries_total;
        for (guest, heard) in guests.iter_mut().zip(&mut heard) {
            for text in guest.texts() {
                assert_eq!(text.parse(), Ok(*heard));
                *heard += 1;
            }
        }
        world.turn();
        let counts = world.counts();
        assert!(counts.deliveries_total > before || before == (3 * SAID) as u64, "it goes on");
        assert_eq!(counts.deliveries_dropped, 0);
    }
}
