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

/// What is published: more than a socket, an outbox and a queue take together.
#[derive(Clone, Copy)]
struct Said {
    payload_bytes: usize,
    messages: usize,
    per_turn: usize,
}

impl Said {
    const fn frame_bytes(self) -> usize {
        self.payload_bytes + 4
    }
}

const MANY_A_TURN: Said = Said { payload_bytes: 4_000, messages: 160, per_turn: 4 };
/// Each goes to all at once, without a turn's end.
const ONE_A_TURN: Said = Said { payload_bytes: 1_000, messages: 640, per_turn: 1 };

const FRAME_BYTES_MAX: usize = MANY_A_TURN.frame_bytes();
const QUEUE_BYTES_MAX: usize = 64 << 10;

/// What one connection may hold: its queue, what is ahead of that in the outbox, and as much that is being
/// sent, each with the message that fills it.
const HELD_BYTES_MAX: usize =
    QUEUE_BYTES_MAX + 2 * (STREAM_LOW_BYTES / 4) + 3 * (FRAME_BYTES_MAX + 64);

/// Counts what it hears.
struct Reader {
    peer: Peer,
    frame_bytes: usize,
    received: Vec<u8>,
    heard: u64,
    next: u32,
}

impl Reader {
    /// Reads what has come; messages come in order, with gaps or without.
    fn read(&mut self, may_miss: bool) {
        self.peer.read(&mut self.received);
        let (frame_bytes, mut rest) = (self.frame_bytes, self.received.as_slice());
        while rest.len() >= frame_bytes && rest[0] == 0x82 {
            let number = u32::from_be_bytes(*rest[4..].first_chunk().unwrap());
            assert!(number == self.next || (may_miss && number > self.next), "{number}");
            (self.heard, self.next) = (self.heard + 1, number + 1);
            rest = &rest[frame_bytes..];
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
    said: Said,
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
        let (frame_bytes, received) = (said.frame_bytes(), Vec::new());
        readers.push(Reader { peer, frame_bytes, received, heard: 0, next: 0 });
    }
    (stage, topics, readers)
}

/// Publishes everything, while those read who do not stall.
fn publish_all(
    stage: &mut Stage,
    topics: &Topics,
    readers: &mut [Reader],
    stalled: usize,
    said: Said,
) {
    for number in 0..said.messages {
        let number = u32::try_from(number).unwrap();
        let payload = [number.to_be_bytes().as_slice(), &vec![7; said.payload_bytes - 4]].concat();
        assert_eq!(topics.publish("tide", payload), 0);
        if number as usize % said.per_turn == said.per_turn - 1 {
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
        reading.iter().all(|reader| reader.heard == said.messages as u64).then_some(())
    });
    let held = stage.bytes_held();
    assert!(held <= HELD_BYTES_MAX * stalled && held > QUEUE_BYTES_MAX / 2 * stalled, "{held}");
}

fn counted(backend: Backend, overflow: Overflow) {
    let (count, stalled) = if backend.is_moving() { (200, 20) } else { (1_000, 100) };
    counted_of(backend, overflow, count, stalled, MANY_A_TURN);
}

fn counted_of(backend: Backend, overflow: Overflow, count: usize, stalled: usize, said: Said) {
    let (mut stage, topics, mut readers) =
        opened(backend, &format!("counted-{overflow:?}-{count}"), overflow, count, said);
    assert_eq!(topics.topic("tide").subscribers, count);
    publish_all(&mut stage, &topics, &mut readers, stalled, said);
    // They read again: what was counted as delivered comes, and nothing else.
    let all = (said.messages * count) as u64;
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
        Overflow::DropNewest => assert!((readers[0].next as usize) < said.messages * 15 / 16),
        Overflow::DropOldest | Overflow::KeepLatest => {
            assert!(readers.iter().all(|reader| reader.next as usize == said.messages));
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

/// What is sent to all at once is counted as exactly, and who is behind gets the rest of what was cut.
fn those_behind_what_all_get_at_once_miss_the_newest(backend: Backend) {
    counted_of(backend, Overflow::DropNewest, 60, 10, ONE_A_TURN);
}

fn those_behind_what_all_get_at_once_are_closed(backend: Backend) {
    counted_of(backend, Overflow::Close, 60, 10, ONE_A_TURN);
}

/// All stall and never come back: what is held is bounded, and gone with them.
fn a_thousand_readers_that_stall_hold_what_the_limit_says(backend: Backend) {
    let count = if backend.is_moving() { 200 } else { 1_000 };
    let said = MANY_A_TURN;
    let (mut stage, topics, mut readers) = opened(backend, "stalled", Overflow::Close, count, said);
    publish_all(&mut stage, &topics, &mut readers, count, said);
    if stage.is_simulated() {
        // The deadline of a send, and an eighth more.
        (0..40).for_each(|_| stage.advance(Duration::from_secs(1)));
    } else {
        readers.clear();
    }
    nothing_is_left(&mut stage, &topics);
    let counts = stage.counts();
    assert_eq!(counts.deliveries_total + counts.deliveries_dropped, (said.messages * count) as u64);
}

over_all_backends!(
    a_thousand_receivers_of_which_a_hundred_stall,
    those_behind_miss_the_newest,
    those_behind_miss_the_oldest,
    those_behind_get_the_latest,
    those_behind_what_all_get_at_once_miss_the_newest,
    those_behind_what_all_get_at_once_are_closed,
    a_thousand_readers_that_stall_hold_what_the_limit_says,
);
