//! Peers that are behind: what waits for them is bounded, and the policy decides what is dropped. Every
//! message is counted, as sent or as dropped.

use super::Log;
use super::client::Client;
use crate::tests::{Backend, Stage, over_all_backends};
use crate::{
    CloseFrame, CloseReason, Limits, Message, Overflow, Server, Socket, WebSocket, WebSockets,
};

/// Sends so many messages of 1,000 bytes for each that comes, numbered through.
struct Flood(u32, Log);

impl WebSocket for Flood {
    fn message(&self, socket: Socket, _: Message) {
        for number in 0..self.0 {
            socket.send([number.to_be_bytes().as_slice(), &[7; 996]].concat());
        }
    }

    fn closed(&self, _: Socket, reason: CloseReason) {
        assert_eq!(reason.sent() + reason.dropped(), u64::from(self.0), "each is counted once");
        self.1.add(reason.to_string());
    }
}

const COUNT: u32 = 20_000;

/// The numbers of the messages that come before the end, or the last.
fn flooded(backend: Backend, overflow: Overflow) -> (Vec<u32>, Stage, Client, Log) {
    let limits = Limits { socket_queue_bytes_max: 200_000, ..Limits::default() };
    let log = Log::default();
    let sockets = WebSockets::new(Flood(COUNT, log.clone())).overflow(overflow);
    let mut stage = Stage::new(backend, Server::new().websocket("/", sockets).limits(limits));
    let mut client = Client::open(&mut stage);
    client.send("go");
    let mut numbers = Vec::new();
    loop {
        for message in client.messages(&mut stage, 1) {
            numbers.push(u32::from_be_bytes(*message.as_bytes().first_chunk().unwrap()));
        }
        let counts = stage.counts();
        let is_all = counts.messages_sent == numbers.len() as u64
            && counts.messages_sent + counts.messages_dropped == u64::from(COUNT);
        if is_all || client.peer.is_ended() {
            return (numbers, stage, client, log);
        }
    }
}

fn by_default_nothing_is_missed(backend: Backend) {
    let (numbers, mut stage, mut client, log) = flooded(backend, Overflow::Close);
    let expected: Vec<u32> = (0..numbers.len() as u32).collect();
    assert_eq!(numbers, expected, "there is no gap");
    assert!(numbers.len() < 1_000, "{}", numbers.len());
    client.until_ended(&mut stage);
    assert_eq!(client.closed.as_ref().map(CloseFrame::code), Some(1013));
    assert_eq!(log.lines(), ["closed here with 1013: messages wait for too long"]);
    assert!(stage.met("socket_queue_bytes_max") >= 1);
}

fn the_newest_are_dropped(backend: Backend) {
    let (numbers, mut stage, mut client, _) = flooded(backend, Overflow::DropNewest);
    assert!(numbers.is_sorted() && numbers.len() < 1_000);
    assert!(numbers.iter().copied().eq(0..numbers.len() as u32), "there is no gap");
    client.close(&mut stage);
}

fn the_oldest_are_dropped(backend: Backend) {
    let (numbers, mut stage, mut client, _) = flooded(backend, Overflow::DropOldest);
    let last = numbers.len() as u32;
    assert!(numbers.is_sorted() && (100..1_000).contains(&last), "{last}");
    assert!(numbers.iter().rev().take(100).copied().eq((COUNT - 100..COUNT).rev()));
    client.close(&mut stage);
}

fn the_latest_is_kept(backend: Backend) {
    let (numbers, mut stage, mut client, _) = flooded(backend, Overflow::KeepLatest);
    assert!(numbers.is_sorted() && numbers.len() < 1_000);
    assert_eq!(numbers.last(), Some(&(COUNT - 1)));
    client.close(&mut stage);
}

/// Attack 12: who floods and reads nothing is not received from, and holds no more than the limits say.
fn a_flood_that_is_not_read_is_held_up(backend: Backend) {
    let limits = Limits { socket_queue_bytes_max: 100_000, ..Limits::default() };
    let log = Log::default();
    let mut stage = Stage::new(backend, log.server().limits(limits));
    let mut client = Client::open(&mut stage);
    let message = super::frame(vec![7; 10_000]);
    let (mut written, mut quiet) = (0, 0);
    while quiet < 50 {
        let count = client.peer.write(&message[written % message.len()..]);
        (written, quiet) = (written + count, if count == 0 { quiet + 1 } else { 0 });
        stage.turn();
        assert!(stage.bytes_held() < 1_000_000, "{}", stage.bytes_held());
    }
    assert_eq!(stage.counts().messages_dropped, 0, "its own echoes break no limit");
    while written % message.len() > 0 {
        let count = client.peer.write(&message[written % message.len()..]);
        written += count;
        client.step(&mut stage);
    }
    let count = written / message.len();
    assert_eq!(client.messages(&mut stage, count).len(), count, "all of it comes back");
    client.close(&mut stage);
}

over_all_backends!(
    by_default_nothing_is_missed,
    the_newest_are_dropped,
    the_oldest_are_dropped,
    the_latest_is_kept,
    a_flood_that_is_not_read_is_held_up,
);
