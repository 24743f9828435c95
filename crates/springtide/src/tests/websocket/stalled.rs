//! Attack row 11: readers of a topic that stall. What is held for them is bounded by the queue of each;
//! whoever reads gets everything, and each delivery is counted, to the last one.

use std::time::Duration;

use super::client::OFFER;
use crate::limits::STREAM_LOW_BYTES;
use crate::tests::{Backend, Peer, Stage, over_all_backends};
use crate::{Limits, Message, Overflow, Server, Socket, Topics, WebSocket, WebSockets};

/// Everybody who comes hears what is published.
struct Readers;

impl WebSocket for Readers {
    fn opened(&self, socket: Socket) {
        socket.subscribe("tide");
    }

    fn message(&self, _: Socket, _: Message) {}
}

const PAYLOAD_BYTES: usize = 4_000;
const FRAME_BYTES: usize = PAYLOAD_BYTES + 4;
const QUEUE_BYTES_MAX: usize = 64 << 10;
/// Beyond what a socket, an outbox and a queue take together.
const SAID: usize = 160;

/// What one connection may hold: its queue, what is ahead of that in the outbox, and as much that is being
/// sent, each with the message that fills it.
const HELD_BYTES_MAX: usize = QUEUE_BYTES_MAX + 2 * (STREAM_LOW_BYTES / 4) + 3 * (FRAME_BYTES + 64);

/// Counts what it hears.
struct Reader {
    peer: Peer,
    received: Vec<u8>,
    heard: u64,
    next: u32,
}

impl Reader {
    /// Reads what has come; messages come in order, with gaps or without.
    fn read(&mut self, may_miss: bool) {
        self.peer.read(&mut self.received);
        let mut rest = self.received.as_slice();
        while rest.len() >= FRAME_BYTES && rest[0] == 0x82 {
            let number = u32::from_be_bytes(*rest[4..].first_chunk().unwrap());
            assert!(number == self.next || (may_miss && number > self.next), "{number}");
            (self.heard, self.next) = (self.heard + 1, number + 1);
            rest = &rest[FRAME_BYTES..];
        }
        self.received = rest.to_vec();
    }

    fn is_told_to_try_again(&self) -> bool {
        self.received.starts_with(&[0x88]) && self.received[2..4] == 1013_u16.to_be_bytes()
    }
}

fn opened(
    backend: Backend,
    name: &str,
    overflow: Overflow,
    count: usize,
) -> (Stage, Topics, Vec<Reader>) {
    let limits = Limits { socket_queue_bytes_max: QUEUE_BYTES_MAX, ..Limits::default() };
    let sockets = WebSockets::new(Readers).overflow(overflow);
    let server = Server::new().websocket("/", sockets).limits(limits);
    let topics = server.topics();
    let mut stage = match backend.is_simulated() {
        true => Stage::new(backend, server),
        false => Stage::on_unix(backend, server, name),
    };
    let mut readers = Vec::with_capacity(count);
    for _ in 0..count {
        let mut peer = stage.connect();
        assert_eq!(peer.write(OFFER.as_bytes()), OFFER.len());
        let mut received = Vec::new();
        stage.until(|stage| {
            stage.turn();
            peer.read(&mut received);
            received.ends_with(b"\r\n\r\n").then_some(())
        });
        readers.push(Reader { peer, received: Vec::new(), heard: 0, next: 0 });
    }
    (stage, topics, readers)
}

/// Publishes everything, four messages a turn, while those read who do not stall.
fn publish_all(stage: &mut Stage, topics: &Topics, readers: &mut [Reader], stalled: usize) {
    for number in 0..SAID {
        let number = u32::try_from(number).unwrap();
        let payload = [number.to_be_bytes().as_slice(), &[7; PAYLOAD_BYTES - 4]].concat();
        assert_eq!(topics.publish("tide", payload), 0);
        if number % 4 == 3 {
            stage.turn();
            readers[stalled..].iter_mut().for_each(|reader| reader.read(false));
            let held = stage.bytes_held();
            assert!(held <= HELD_BYTES_MAX * readers.len(), "{held}");
        }
    }
    stage.until(|stage| {
        stage.turn();
        let reading = &mut readers[stalled..];
        reading.iter_mut().for_each(|reader| reader.read(false));
        reading.iter().all(|reader| reader.heard == SAID as u64).then_some(())
    });
    let held = stage.bytes_held();
    assert!(held <= HELD_BYTES_MAX * stalled && held > QUEUE_BYTES_MAX / 2 * stalled, "{held}");
}

fn counted(backend: Backend, overflow: Overflow) {
    let (count, stalled) = if backend.is_moving() { (200, 20) } else { (1_000, 100) };
    let (mut stage, topics, mut readers) =
        opened(backend, &format!("counted-{overflow:?}"), overflow, count);
    assert_eq!(topics.topic("tide").subscribers, count);
    publish_all(&mut stage, &topics, &mut readers, stalled);
    // They read again: what was counted as delivered comes, and nothing else.
    let all = (SAID * count) as u64;
    stage.until(|stage| {
        stage.turn();
        readers[..stalled].iter_mut().for_each(|reader| reader.read(true));
        let heard: u64 = readers.iter().map(|reader| reader.heard).sum();
        let counts = stage.counts();
        let is_all = counts.deliveries_total + counts.deliveries_dropped == all;
        (is_all && heard == counts.deliveries_total).then_some(())
    });
    let counts = stage.counts();
    assert_eq!(counts.messages_sent, counts.deliveries_total);
    assert_eq!(counts.messages_dropped, counts.deliveries_dropped);
    assert!(counts.deliveries_dropped >= stalled as u64 * 10);
    assert!(stage.met("socket_queue_bytes_max") >= stalled as u64);
    let topic = topics.topic("tide");
    assert_eq!(
        (topic.delivered, topic.dropped),
        (counts.deliveries_total, counts.deliveries_dropped)
    );
    match overflow {
        Overflow::Close => stage.until(|stage| {
            stage.turn();
            readers[..stalled].iter_mut().for_each(|reader| reader.read(false));
            readers[..stalled].iter().all(Reader::is_told_to_try_again).then_some(())
        }),
        Overflow::DropNewest => assert!(readers[0].next < 150),
        Overflow::DropOldest | Overflow::KeepLatest => {
            assert!(readers.iter().all(|reader| reader.next == 160));
        }
    }
    readers.clear();
    nothing_is_left(&mut stage, &topics);
}

/// All have gone, and what was held for them.
fn nothing_is_left(stage: &mut Stage, topics: &Topics) {
    stage.until(|stage| {
        stage.turn();
        (stage.counts().connections_open == 0).then_some(())
    });
    assert_eq!((stage.bytes_held(), topics.all()), (0, Vec::new()));
}

fn a_thousand_receivers_of_which_a_hundred_stall(backend: Backend) {
    counted(backend, Overflow::Close);
}

fn those_behind_miss_the_newest(backend: Backend) {
    counted(backend, Overflow::DropNewest);
}

fn those_behind_miss_the_oldest(backend: Backend) {
    counted(backend, Overflow::DropOldest);
}

fn those_behind_get_the_latest(backend: Backend) {
    counted(backend, Overflow::KeepLatest);
}

/// All stall and never come back: what is held is bounded, and gone with them.
fn a_thousand_readers_that_stall_hold_what_the_limit_says(backend: Backend) {
    let count = if backend.is_moving() { 200 } else { 1_000 };
    let (mut stage, topics, mut readers) = opened(backend, "stalled", Overflow::Close, count);
    publish_all(&mut stage, &topics, &mut readers, count);
    if stage.is_simulated() {
        // The deadline of a send, and an eighth more.
        (0..40).for_each(|_| stage.advance(Duration::from_secs(1)));
    } else {
        readers.clear();
    }
    nothing_is_left(&mut stage, &topics);
    let counts = stage.counts();
    assert_eq!(counts.deliveries_total + counts.deliveries_dropped, (SAID * count) as u64);
}

over_all_backends!(
    a_thousand_receivers_of_which_a_hundred_stall,
    those_behind_miss_the_newest,
    those_behind_miss_the_oldest,
    those_behind_get_the_latest,
    a_thousand_readers_that_stall_hold_what_the_limit_says,
);
