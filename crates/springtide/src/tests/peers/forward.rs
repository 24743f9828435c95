//! Forwards over every backend: what comes from one connection is exactly what the other one gets, copied
//! or passed by the system, and how a forward ends.

mod asked;
mod timed;

use std::cell::Cell;

use super::Log;
use crate::tests::stage::Peer as Client;
use crate::tests::{Backend, Stage, over_all_backends};
use crate::{Limits, Peer, Reason, Server};

thread_local! {
    /// A connection that waits for another one.
    static FIRST: Cell<Option<Peer>> = const { Cell::new(None) };
}

/// A server that introduces each two connections to each other, the earlier one first.
fn pairs(log: &Log, meet: impl Fn(Peer, Peer) + Send + Sync + 'static) -> Server {
    log.server(move |peer| match FIRST.take() {
        Some(first) => meet(first, peer),
        None => FIRST.set(Some(peer)),
    })
}

/// Two connections that have been introduced.
fn meet(stage: &mut Stage) -> (Client, Client) {
    let first = stage.connect();
    stage.until(|_| FIRST.get().map(drop));
    let second = stage.connect();
    stage.until(|_| FIRST.get().is_none().then_some(()));
    (first, second)
}

/// Forwards from one to the other, says so, and passes the end on.
fn pass_on(log: &Log, name: &'static str, from: Peer, to: Peer) {
    let log = log.clone();
    from.forward(to).then_result(move |_, forwarded| {
        log.add(format!("{name} {forwarded:?}"));
        match forwarded {
            Ok(_) => to.shutdown_write().detach(),
            Err(_) => to.close().detach(),
        }
    });
}

/// Both ways.
fn forwarder(log: &Log) -> Server {
    let own = log.clone();
    pairs(log, move |first, second| {
        pass_on(&own, "there", first, second);
        pass_on(&own, "back", second, first);
    })
}

#[derive(Clone, Copy)]
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % end
    }
}

/// Every byte tells where it stands.
fn pattern(salt: usize, length: usize) -> Vec<u8> {
    (0..length).map(|at| (at ^ (at >> 8) ^ (at >> 15) ^ salt) as u8).collect()
}

/// One direction of what is said.
struct Stream<'a> {
    said: &'a [u8],
    written: usize,
    came: Vec<u8>,
}

impl<'a> Stream<'a> {
    fn of(said: &'a [u8]) -> Self {
        Self { said, written: 0, came: Vec::new() }
    }

    fn write(&mut self, from: &mut Client, bytes_max: usize) {
        let end = (self.written + bytes_max).min(self.said.len());
        self.written += from.write(&self.said[self.written..end]);
    }

    fn is_whole(&self) -> bool {
        assert!(self.came.len() <= self.said.len(), "more came than was said");
        let is_right = self.came == self.said[..self.came.len()];
        assert!(is_right, "what came was not said, within {} bytes", self.came.len());
        self.came.len() == self.said.len()
    }
}

/// Megabytes both ways at once, in pieces by chance, to readers that take their time: exactly what was
/// said comes, and each end behind it.
fn what_is_forwarded_comes_exactly(backend: Backend) {
    let log = Log::default();
    let mut stage = Stage::new(backend, forwarder(&log));
    let (mut first, mut second) = meet(&mut stage);
    let mut random = Random(0x5EED_0001);
    let length = if stage.is_simulated() { 300_000 } else { 9 << 20 };
    let (there, back) = (pattern(1, length), pattern(7, length / 3));
    let (mut there, mut back) = (Stream::of(&there), Stream::of(&back));
    while !(there.is_whole() && back.is_whole()) {
        let bytes_max = [100, 5_000, 300_000][random.below(3)];
        there.write(&mut first, bytes_max);
        back.write(&mut second, bytes_max);
        if random.below(4) == 0 {
            second.read(&mut there.came);
        }
        if random.below(3) == 0 {
            first.read(&mut back.came);
        }
        stage.turn();
    }
    if matches!(backend, Backend::Uring | Backend::Epoll | Backend::Poll) {
        let spliced = stage.spliced_bytes();
        assert!(spliced > length as u64 / 2, "the system passed {spliced} bytes only");
    }
    second.shutdown();
    stage.until(|_| {
        first.read(&mut back.came);
        first.is_ended().then_some(())
    });
    assert!(!second.is_ended(), "the other direction goes on");
    there.said = b"";
    first.write(b"the last");
    first.shutdown();
    let mut last = Vec::new();
    stage.until(|_| {
        second.read(&mut last);
        second.is_ended().then_some(())
    });
    assert_eq!(last, b"the last");
    stage.until(|_| (log.lines().len() == 4).then_some(()));
    let told = [format!("back Ok({})", length / 3), format!("there Ok({})", length + 8)];
    assert_eq!(log.lines()[..2], told);
    assert_eq!(log.lines()[2..], ["closed: PeerClosed", "closed: PeerClosed"]);
    assert_eq!(stage.at_desk(), [0; 4]);
}

/// Short messages there and back, each answered before the next.
fn short_messages_pass(backend: Backend) {
    let log = Log::default();
    let mut stage = Stage::new(backend, forwarder(&log));
    let (mut first, mut second) = meet(&mut stage);
    for round in 0..200 {
        let said = pattern(round, 1 + round % 150);
        assert_eq!(first.write(&said), said.len());
        assert!(stage.talk(&mut second, b"", said.len()) == said);
        assert_eq!(second.write(b"ok"), 2);
        assert_eq!(stage.talk(&mut first, b"", 2), b"ok");
    }
    assert_eq!(stage.spliced_bytes(), 0, "it is not worth it");
}

/// Who does not read holds the other back: little is held here, whatever is said, and nothing is lost.
fn a_slow_sink_holds_the_source_back(backend: Backend) {
    let log = Log::default();
    let mut stage = Stage::new(backend, forwarder(&log));
    let (mut first, mut second) = meet(&mut stage);
    let said = pattern(3, 64 << 20);
    let mut there = Stream::of(&said);
    let mut still = 0;
    while still < 300 {
        let before = there.written;
        there.write(&mut first, 1 << 20);
        stage.turn();
        still = if there.written == before { still + 1 } else { 0 };
        let held = stage.bytes_held();
        assert!(held <= 512 << 10, "{held} bytes wait here");
    }
    assert!(there.written < said.len(), "64 MiB find room");
    let all = there.written;
    there.said = &said[..all];
    stage.until(|_| {
        second.read(&mut there.came);
        there.is_whole().then_some(())
    });
    first.shutdown();
    stage.until(|_| log.lines().contains(&format!("there Ok({all})")).then_some(()));
}

/// Pulls so many bytes of long messages, says so, and forwards what follows.
fn pull_and_pass_on(log: &Log, left: usize, first: Peer, second: Peer) {
    let own = log.clone();
    first.pull().then(move |_, bytes| match left.checked_sub(bytes.len()) {
        Some(left) if left > 0 => pull_and_pass_on(&own, left, first, second),
        _ => {
            first.push("go").detach();
            pass_on(&own, "there", first, second);
        }
    });
}

/// The same behind long messages that were pulled: the system passes what follows all the same.
fn a_slow_sink_behind_long_pulls(backend: Backend) {
    const LONG: usize = 16 << 10;
    let log = Log::default();
    let own = log.clone();
    let meeting = move |first, second| pull_and_pass_on(&own, 4 * LONG, first, second);
    let mut stage = Stage::new(backend, pairs(&log, meeting));
    let (mut first, mut second) = meet(&mut stage);
    for wanted in [0, 0, 0, 2] {
        stage.talk(&mut first, &pattern(1, LONG), wanted);
    }
    let said = pattern(3, 8 << 20);
    let mut there = Stream::of(&said);
    let mut turns = 0;
    stage.until(|_| {
        there.write(&mut first, 1 << 20);
        turns += 1;
        if turns % 7 == 0 {
            second.read(&mut there.came);
        }
        there.is_whole().then_some(())
    });
    if matches!(backend, Backend::Uring | Backend::Epoll | Backend::Poll) {
        let spliced = stage.spliced_bytes();
        assert!(spliced > said.len() as u64 / 2, "the system passed {spliced} bytes only");
    }
    first.shutdown();
    stage.until(|_| log.lines().iter().any(|line| line.starts_with("there Ok")).then_some(()));
}

/// A reset of either end ends the forward with that, also where nothing is said.
fn a_reset_ends_it(backend: Backend) {
    for is_source in [true, false] {
        for length in [0, 10, 2 << 20] {
            let log = Log::default();
            let own = log.clone();
            let server = pairs(&log, move |first, second| pass_on(&own, "there", first, second));
            let mut stage = Stage::new(backend, server);
            let (mut first, mut second) = meet(&mut stage);
            let said = pattern(0, length);
            let mut there = Stream::of(&said);
            while there.written < length / 2 {
                there.write(&mut first, 100_000);
                stage.turn();
                second.read(&mut there.came);
            }
            if is_source {
                first.reset();
            } else {
                second.reset();
                // To a peer that does not read, a reset shows when something is sent to it.
                first.write(b"x");
            }
            stage.until(|_| (!log.lines().is_empty()).then_some(()));
            let told = &log.lines()[0];
            let expected = ["there Err(Reset)", "closed: Reset"];
            assert!(expected.contains(&told.as_str()), "{told}");
            stage.until(|_| log.lines().iter().any(|line| line == expected[0]).then_some(()));
        }
    }
}

/// What a forward that was dropped or cancelled has not taken is the next pull's, and what it has taken
/// is sent: together all that was said.
fn who_stops_it_loses_nothing(backend: Backend) {
    for is_dropped in [true, false] {
        let log = Log::default();
        let own = log.clone();
        let server = pairs(&log, move |first, second| {
            let (log, forward) = (own.clone(), first.forward(second));
            let canceller = forward.canceller();
            second.pull_exact(4).then(move |_, _| {
                if is_dropped {
                    drop(forward);
                } else {
                    canceller.unwrap().cancel();
                    forward.then_result(move |_, result| log.add(format!("{result:?}")));
                }
                first.pull_exact(1_000).then(move |first, bytes| {
                    second
                        .push(bytes)
                        .then(move |_, _| pass_on(&Log::default(), "", first, second));
                });
            });
        });
        let mut stage = Stage::new(backend, server);
        let (mut first, mut second) = meet(&mut stage);
        // A quarter of it is more than comes in a turn, so that it is stopped on the way.
        let said = pattern(9, if stage.is_simulated() { 1 << 20 } else { 4 << 20 });
        let mut there = Stream::of(&said);
        while !there.is_whole() {
            there.write(&mut first, 200_000);
            if there.came.len() > said.len() / 4 && there.came.len() < said.len() / 2 {
                second.write(b"stop");
            }
            second.read(&mut there.came);
            stage.turn();
        }
        first.shutdown();
        stage.until(|_| {
            second.read(&mut there.came);
            second.is_ended().then_some(())
        });
        assert!(there.is_whole());
        if !is_dropped {
            assert_eq!(log.lines()[0], "Err(Cancelled)");
        }
    }
}

/// It stands among the pulls: what is asked for before and behind it is served before and behind it.
fn it_stands_among_the_pulls(backend: Backend) {
    let log = Log::default();
    let own = log.clone();
    let server = pairs(&log, move |first, second| {
        let (head, end) = (own.clone(), own.clone());
        first.pull_exact(5).then(move |_, bytes| head.add(super::text(&bytes)));
        pass_on(&own, "there", first, second);
        first.pull().then_result(move |_, result| end.add(format!("behind {result:?}")));
    });
    let mut stage = Stage::new(backend, server);
    let (mut first, mut second) = meet(&mut stage);
    assert_eq!(first.write(b"head and body"), 13);
    first.shutdown();
    let mut came = Vec::new();
    stage.until(|_| {
        second.read(&mut came);
        second.is_ended().then_some(())
    });
    assert_eq!(came, b"and body");
    stage.until(|_| (log.lines().len() >= 3).then_some(()));
    assert_eq!(log.lines()[..3], ["head ", "there Ok(8)", "behind Ok(None)"]);
}

/// A sink that has ended its stream, or is gone, ends it at once or with the next bytes; those are the
/// next pull's.
fn what_finds_no_sink_stays(backend: Backend) {
    let log = Log::default();
    let own = log.clone();
    let server = pairs(&log, move |first, second| {
        let log = own.clone();
        second.shutdown_write().then(move |_, ()| {
            first.forward(second).then_result(move |first, result| {
                log.add(format!("{result:?}"));
                second.close().then(move |_, ()| {
                    let own = log.clone();
                    first
                        .forward(second)
                        .then_result(move |_, result| own.add(format!("{result:?}")));
                    first.pull_exact(9).then(move |_, bytes| log.add(super::text(&bytes)));
                });
            });
        });
    });
    let mut stage = Stage::new(backend, server);
    let (mut first, second) = meet(&mut stage);
    assert_eq!(first.write(b"high tide"), 9);
    let mut second = second;
    second.shutdown();
    stage.until(|_| log.lines().iter().any(|line| line == "high tide").then_some(()));
    let told: Vec<_> = log.lines().into_iter().filter(|line| !line.starts_with("closed")).collect();
    assert_eq!(told, ["Err(Closed)", "Err(Closed)", "high tide"]);
}

/// Several sources take turns at one sink, and each stream is whole there.
fn several_feed_one(backend: Backend) {
    let log = Log::default();
    let own = log.clone();
    thread_local! { static SINK: Cell<Option<Peer>> = const { Cell::new(None) } }
    let server = log.server(move |peer| match SINK.get() {
        None => SINK.set(Some(peer)),
        Some(sink) => {
            let log = own.clone();
            peer.forward(sink).then(move |_, bytes| log.add(bytes.to_string()));
        }
    });
    let mut stage = Stage::new(backend, server);
    let mut sink = stage.connect();
    stage.until(|_| SINK.get().map(drop));
    let length = if stage.is_simulated() { 100_000 } else { 3 << 20 };
    let mut sources: Vec<_> = (0..4).map(|_| (stage.connect(), 0)).collect();
    let (mut came, mut random) = (Vec::new(), Random(0x5EED_0002));
    while came.len() < 4 * length {
        for (number, (source, written)) in sources.iter_mut().enumerate() {
            // The high bits say whose it is.
            let piece: Vec<u8> = (*written..length.min(*written + random.below(200_000)))
                .map(|at| (number << 6 | (at % 61)) as u8)
                .collect();
            *written += source.write(&piece);
            if *written == length && !piece.is_empty() {
                source.shutdown();
            }
        }
        if random.below(3) == 0 {
            sink.read(&mut came);
        }
        stage.turn();
    }
    for number in 0..4 {
        let own = came.iter().filter(|byte| usize::from(**byte) >> 6 == number);
        assert!(own.clone().enumerate().all(|(at, byte)| usize::from(byte & 63) == at % 61));
        assert_eq!(own.count(), length);
    }
    stage.until(|_| {
        (log.lines().iter().filter(|line| **line == length.to_string()).count() == 4).then_some(())
    });
}

/// A connection can be its own sink.
fn it_may_lead_back(backend: Backend) {
    let log = Log::default();
    let own = log.clone();
    let server = log.server(move |peer| pass_on(&own, "echo", peer, peer));
    let mut stage = Stage::new(backend, server);
    let mut peer = stage.connect();
    let said = pattern(5, 700_000);
    assert!(stage.talk(&mut peer, &said, said.len()) == said);
    peer.shutdown();
    stage.until(|_| (log.lines().len() == 2).then_some(()));
    assert_eq!(log.lines(), ["echo Ok(700000)", "closed: PeerClosed"]);
}

/// With little room in either direction it goes on all the same.
fn small_limits_are_kept(backend: Backend) {
    let log = Log::default();
    let limits = Limits { inbox_bytes_max: 1_000, outbox_bytes_max: 500, ..Limits::default() };
    let mut stage = Stage::new(backend, forwarder(&log).limits(limits));
    let (mut first, mut second) = meet(&mut stage);
    let said = pattern(2, 400_000);
    let mut there = Stream::of(&said);
    while !there.is_whole() {
        there.write(&mut first, 30_000);
        stage.turn();
        second.read(&mut there.came);
    }
}

/// A server that stops ends it.
fn a_stop_ends_it(backend: Backend) {
    let log = Log::default();
    let mut stage = Stage::new(backend, forwarder(&log));
    let (mut first, mut second) = meet(&mut stage);
    let said = pattern(2, 300_000);
    let mut there = Stream::of(&said);
    while !there.is_whole() {
        there.write(&mut first, 30_000);
        stage.turn();
        second.read(&mut there.came);
    }
    stage.turns_to_end();
    let mut lines = log.lines();
    lines.sort();
    let stopped = format!("{:?}", Err::<u64, _>(Reason::Stopped));
    assert_eq!(lines[..2], [format!("back {stopped}"), "closed: Stopped".to_owned()]);
    assert_eq!(lines.len(), 4, "{lines:?}");
}

over_all_backends!(
    what_is_forwarded_comes_exactly,
    short_messages_pass,
    a_slow_sink_holds_the_source_back,
    a_slow_sink_behind_long_pulls,
    a_reset_ends_it,
    who_stops_it_loses_nothing,
    it_stands_among_the_pulls,
    what_finds_no_sink_stays,
    several_feed_one,
    it_may_lead_back,
    small_limits_are_kept,
    a_stop_ends_it,
);
