//! io_uring refused to a shard that runs on it: a turn ends everything, and another engine goes on.
//! Whatever the moment, no byte is lost or doubled and nobody's connection ends.

mod overflow;

use std::collections::HashMap;

use springtide_engine::{
    Address, Completion, Descriptor, Engine, EngineOptions, Error, Handle, Key, Mechanism, Memory,
    Op, OpKind, Outcome,
};

use crate::mapped;
use crate::refusing::{ENTER, REGISTER, SETUP, on_a_thread, refuse};
use crate::shard::{
    ACCEPT, Patience, Random, Shard, assert_cancelled, assert_pattern, pattern, received,
};
use crate::stage::{Outside, Remote, Stage, Uring};

const ALL_CALLS: [i64; 3] = [SETUP, ENTER, REGISTER];

/// Runs a test where io_uring works at first.
fn over_uring(test: fn(&Uring)) {
    on_a_thread(move || crate::beside_others::<Uring>(test));
}

/// Turns until the refusal is told; everything that ended on the way and with it.
fn last_turns(shard: &mut Shard) -> Vec<Completion> {
    let mut fresh = Vec::new();
    // A turn that ended something without the kernel looks at it in the next one.
    let told = (0..2).find_map(|_| {
        let now = shard.engine.now();
        shard.engine.turn(Some(now), &mut fresh).err()
    });
    assert!(matches!(told, Some(Error::LateRefusal { .. })), "{told:?}");
    shard.check(&fresh);
    assert_eq!((shard.in_flight(), shard.engine.in_flight()), (0, 0), "everything has ended");
    fresh
}

/// Runs a part on a thread of its own, which takes its filter and its rings with it.
fn on_its_thread<T: Send>(part: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| scope.spawn(part).join())
        .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// A shard over epoll with these descriptors, which another one has released.
fn epoll_with(descriptors: &[Descriptor]) -> Shard {
    let mut shard = Shard::over(Engine::new(Mechanism::Epoll, EngineOptions::default()).unwrap());
    descriptors.iter().for_each(|descriptor| shard.engine.take_over(*descriptor));
    shard
}

#[derive(Default)]
struct Connection {
    waiting: Vec<u8>,
    sending: bool,
    ended: bool,
}

/// What a shard that sends back what it receives has: plain data, which goes to any thread.
struct Echo {
    listener: Descriptor,
    connections: HashMap<Descriptor, Connection>,
    /// Sends that had gone in part when they were cancelled.
    cut: usize,
}

impl Echo {
    fn token(socket: Descriptor) -> u64 {
        u64::try_from(socket.number()).unwrap()
    }

    fn handle(&mut self, shard: &mut Shard, completion: Completion) {
        if let Outcome::Accepted(socket) = completion.outcome {
            self.connections.insert(socket, Connection::default());
            shard.receive(socket, Self::token(socket));
            return;
        }
        let mut connections = self.connections.iter_mut();
        let found = connections.find(|(socket, _)| Self::token(**socket) == completion.token);
        let Some((_, connection)) = found else { return };
        match completion.outcome {
            Outcome::Received(chunk) => connection.waiting.extend_from_slice(chunk.as_slice()),
            Outcome::EndOfStream => connection.ended = true,
            Outcome::Sent(_) => connection.sending = false,
            Outcome::Failed(Error::Cancelled, Memory::Pieces { pieces, sent }) => {
                self.cut += usize::from(sent > 0);
                let mut rest = pieces[0].as_slice()[sent..].to_vec();
                rest.append(&mut connection.waiting);
                connection.waiting = rest;
                connection.sending = false;
            }
            Outcome::Failed(Error::Cancelled, _) | Outcome::Done => {}
            other => panic!("{other:?}"),
        }
    }

    /// What a turn brought leaves; who has nothing more to say is closed.
    fn flush(&mut self, shard: &mut Shard) {
        for (socket, connection) in &mut self.connections {
            let token = Self::token(*socket);
            if !connection.sending && !connection.waiting.is_empty() {
                connection.sending = true;
                let bytes = std::mem::take(&mut connection.waiting);
                shard.send(*socket, bytes, token);
            }
        }
        self.connections.retain(|socket, connection| {
            let is_over = connection.ended && !connection.sending && connection.waiting.is_empty();
            if is_over {
                shard.close(*socket, ACCEPT);
            }
            !is_over
        });
    }

    fn descriptors(&self) -> Vec<Descriptor> {
        self.connections.keys().copied().chain([self.listener]).collect()
    }

    /// Runs over io_uring for some turns, then the filter falls.
    fn until_refused(
        peers: &mut Peers<'_>,
        turns: usize,
        (calls, errno): (&[i64], i32),
        random: &mut Random,
    ) -> Self {
        let mut shard = Shard::new(peers.stage);
        let port = shard.listen();
        peers.address = Some(port.address);
        let mut echo = Self { listener: port.listener, connections: HashMap::new(), cut: 0 };
        for _ in 0..turns {
            peers.act(random);
            let completions = shard.turn();
            completions.into_iter().for_each(|completion| echo.handle(&mut shard, completion));
            echo.flush(&mut shard);
        }
        peers.act(random);
        assert_eq!(kernel_threads(), 0, "nothing is done where nobody can see it");
        refuse(calls, errno);
        for completion in last_turns(&mut shard) {
            if let Outcome::Accepted(socket) = completion.outcome {
                // Nothing more is asked of this engine.
                echo.connections.insert(socket, Connection::default());
            } else {
                echo.handle(&mut shard, completion);
            }
        }
        for descriptor in echo.descriptors() {
            shard.engine.release(descriptor).unwrap();
        }
        echo
    }

    /// Goes on over epoll until every peer is content.
    fn finish(&mut self, peers: &mut Peers<'_>, random: &mut Random) {
        let mut shard = epoll_with(&self.descriptors());
        shard.submit(Op::Accept { listener: self.listener }, ACCEPT);
        for (socket, _) in self.connections.iter().filter(|(_, connection)| !connection.ended) {
            shard.receive(*socket, Self::token(*socket));
        }
        let patience = Patience::until("every stream is back and ended");
        peers.are_reading = true;
        while !peers.are_content() {
            self.flush(&mut shard);
            peers.act(random);
            let completions = shard.turn();
            completions.into_iter().for_each(|completion| self.handle(&mut shard, completion));
            patience.spend();
        }
    }
}

const ALL: usize = 8 << 20;
const PEERS: usize = 8;

/// The other ends: each sends a stream and ends its side, and wants the same back.
struct Peers<'a> {
    stage: &'a Uring,
    address: Option<Address>,
    stream: Vec<u8>,
    ends: Vec<(Remote, usize, Vec<u8>)>,
    /// They read seldom at first, so that sends do not fit.
    are_reading: bool,
}

impl<'a> Peers<'a> {
    fn new(stage: &'a Uring) -> Self {
        let (stream, ends) = (pattern(0, ALL), Vec::new());
        Self { stage, address: None, stream, ends, are_reading: false }
    }

    fn act(&mut self, random: &mut Random) {
        let address = self.address.as_ref().unwrap();
        if self.ends.len() < PEERS && random.below(2) == 0 {
            self.ends.push((self.stage.connect(address), 0, Vec::new()));
        }
        for (outside, written, back) in &mut self.ends {
            let to = (*written + random.below(1 << 20)).min(ALL);
            let before = *written;
            *written += outside.write(&self.stream[*written..to]);
            if before < ALL && *written == ALL {
                outside.shutdown();
            }
            if random.below(30) == 0 || self.are_reading {
                outside.read(back);
            }
        }
    }

    fn are_content(&mut self) -> bool {
        self.ends.len() == PEERS && self.ends.iter_mut().all(|end| end.0.is_ended())
    }
}

/// How many threads of its own the kernel runs for this one's operations.
fn kernel_threads() -> usize {
    let own = std::fs::read_link("/proc/thread-self").unwrap();
    let name = format!("iou-wrk-{}\n", own.file_name().unwrap().to_str().unwrap());
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    let names =
        tasks.filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("comm")).ok());
    names.filter(|other| *other == name).count()
}

/// An echo under load; after some turns the filter falls, and it goes on over epoll on another
/// thread, because the first one holds what was closed where no call of io_uring is allowed. How
/// many sends were cut in two.
fn echo(stage: &Uring, refusal: (&[i64], i32), random: &mut Random) -> usize {
    let mut peers = Peers::new(stage);
    let turns = 5 + random.below(200);
    let mut echo = on_its_thread(|| Echo::until_refused(&mut peers, turns, refusal, &mut *random));
    on_its_thread(|| echo.finish(&mut peers, &mut *random));
    for (_, _, back) in &peers.ends {
        assert_eq!(back.len(), ALL);
        assert_pattern(0, back);
    }
    echo.cut
}

/// The filter falls at a random turn under load: another engine takes every connection over, each
/// stream is whole, and each end is seen by its peer.
#[test]
fn connections_survive_a_late_refusal() {
    over_uring(|stage| {
        let mut random = Random(0x0BAD_5EED_0000_0001);
        let mut cut = 0;
        for round in 0..12 {
            let calls = if round % 2 == 0 { &ALL_CALLS[..] } else { &[ENTER] };
            let errno = if round % 3 == 0 { libc::ENOSYS } else { libc::EPERM };
            cut += echo(stage, (calls, errno), &mut random);
        }
        assert!(cut > 0, "some sends had gone in part");
    });
}

/// A send of 8 MiB that waits for its peer tells how far it came.
#[test]
fn a_blocked_send_tells_how_far_it_came() {
    over_uring(|stage| {
        let mut shard = Shard::new(stage);
        let port = shard.listen();
        let (socket, mut outside) = shard.meet(stage, &port);
        let send = shard.send(socket, pattern(0, ALL), 1);
        let mut back = Vec::new();
        for _ in 0..3 {
            assert!(shard.turn().is_empty(), "8 MiB do not fit");
            outside.read(&mut back);
        }
        refuse(&ALL_CALLS, libc::EPERM);
        // There is room again when the last turn looks: the kernel must not use it by itself.
        outside.read(&mut back);
        let mut ended = last_turns(&mut shard).into_iter();
        let ended = ended.find(|completion| completion.key == send).unwrap().outcome;
        let Outcome::Failed(Error::Cancelled, Memory::Pieces { pieces, sent }) = ended else {
            panic!("8 MiB do not fit: {ended:?}")
        };
        assert!(sent >= back.len() && sent < ALL, "{sent} of {ALL} with {} read", back.len());
        shard.engine.release(socket).unwrap();
        drop(shard);
        // The buffers of a ring that was refused stay with the kernel for ever.
        mapped::forget();
        let mut next = epoll_with(&[socket]);
        let rest = pieces[0].as_slice()[sent..].to_vec();
        let send = next.send(socket, rest, 2);
        let patience = Patience::until("all bytes are there");
        while back.len() < ALL {
            next.turn_on();
            outside.read(&mut back);
            patience.spend();
        }
        assert!(matches!(next.last(send), Outcome::Sent(_)));
        assert_eq!(back.len(), ALL);
        assert_pattern(0, &back);
    });
}

/// Of what was to be sent to each of many nothing has gone where the kernel refuses to be entered, and
/// nothing of it goes later: each is told once, and another engine sends it whole.
#[test]
fn what_was_to_be_sent_to_each_is_left() {
    const SOCKETS: usize = 24;
    const BYTES: usize = 900;
    over_uring(|stage| {
        let mut shard = Shard::new(stage);
        let port = shard.listen();
        let (sockets, mut outside): (Vec<_>, Vec<_>) =
            (0..SOCKETS).map(|_| shard.meet(stage, &port)).unzip();
        shard.send(sockets[7], pattern(0, ALL), 1);
        assert!(shard.turn().is_empty(), "8 MiB do not fit");
        refuse(&[ENTER], libc::EPERM);
        let mut short = Vec::new();
        shard.engine.send_to_each_now(&sockets, &pattern(0, BYTES), &mut short);
        short.sort_unstable();
        assert_eq!(short, (0..SOCKETS).map(|place| (place, 0)).collect::<Vec<_>>());
        last_turns(&mut shard);
        for socket in &sockets {
            shard.engine.release(*socket).unwrap();
        }
        drop(shard);
        // The buffers of a ring that was refused stay with the kernel for ever.
        mapped::forget();
        let mut next = epoll_with(&sockets);
        for (place, (socket, outside)) in sockets.iter().zip(&mut outside).enumerate() {
            if place == 7 {
                continue;
            }
            let send = next.send(*socket, pattern(0, BYTES), 2);
            assert!(matches!(next.last(send), Outcome::Sent(_)));
            next.close(*socket, 3);
            let mut read = Vec::new();
            let patience = Patience::until("the end of the stream");
            while !outside.is_ended() {
                outside.read(&mut read);
                next.turn();
                patience.spend();
            }
            assert_eq!(read.len(), BYTES, "once");
            assert_pattern(0, &read);
        }
    });
}

/// What waits for others, what has not begun and what the engine keeps itself: all of it ends.
fn everything_ends(stage: &Uring, calls: &[i64]) -> Remote {
    stage.write_file("file", b"read");
    let mut shard = Shard::new(stage);
    let port = shard.listen();
    let (one, mut outside) = shard.meet(stage, &port);
    let (two, mut other) = shard.meet(stage, &port);
    let root = shard.engine.open_directory(stage.root()).unwrap();
    let open = shard.submit(Op::Open { root, path: c"file".to_owned() }, 1);
    let Outcome::Opened(file, _) = shard.last(open) else { panic!("it is there") };
    let receive = shard.receive(one, 2);
    let memory = Vec::from(b"before ".as_slice());
    let into = shard.submit(Op::ReceiveInto { socket: two, memory: grown(memory) }, 3);
    let at = shard.engine.now() + std::time::Duration::from_secs(3600);
    let timeout = shard.submit(Op::Timeout { at }, 4);
    shard.turn();
    assert_eq!(outside.write(b"there before the refusal"), 24);
    refuse(calls, libc::EPERM);
    let closes = [shard.close(one, 5), shard.close(file, 5)];
    let read = shard.submit(Op::Read { file: root, memory: Vec::with_capacity(9), offset: 0 }, 6);
    let sync = shard.submit(Op::Sync { file: root, data_only: false }, 6);
    let send = shard.send(two, b"gone".to_vec(), 7);
    let mut ends: HashMap<Key, Outcome> = HashMap::new();
    for completion in last_turns(&mut shard) {
        assert!(received(&completion).is_none(), "nothing is received without the kernel");
        ends.insert(completion.key, completion.outcome);
    }
    for (key, kind) in
        [(receive, OpKind::Receive), (timeout, OpKind::Timeout), (port.accept, OpKind::Accept)]
    {
        assert_cancelled(&ends[&key], kind);
    }
    let Outcome::Failed(Error::Cancelled, Memory::Buffer(memory)) = &ends[&into] else {
        panic!("{:?}", ends[&into])
    };
    assert_eq!((memory.as_slice(), memory.capacity() >= 100), (b"before ".as_slice(), true));
    assert!(closes.iter().all(|close| matches!(ends[close], Outcome::Done)));
    assert!(matches!(ends[&read], Outcome::Failed(Error::Cancelled, Memory::Buffer(_))));
    // A thread may have begun it.
    assert!(matches!(ends[&sync], Outcome::Done | Outcome::Failed(Error::Cancelled, _)));
    assert!(matches!(ends[&send], Outcome::Sent(_)), "it needed no ring: {:?}", ends[&send]);
    // The engine itself goes on, woken by the wakers that were given out before.
    shard.engine.waker().wake();
    let again = shard.receive(two, 8);
    assert_eq!(other.write(b"more"), 4);
    let bytes = shard.wait("bytes of the same engine", |completion| {
        (completion.key == again).then(|| received(completion).map(|c| c.as_slice().to_vec()))?
    });
    assert_eq!(bytes, b"more");
    if !calls.contains(&REGISTER) {
        see_the_end(&mut outside);
    }
    outside
}

fn see_the_end(outside: &mut Remote) {
    let patience = Patience::until("the peer of a closed socket sees its end");
    while !outside.is_ended() {
        patience.spend();
    }
}

/// Once the ring is gone, peers see what was closed: at once, or when the thread ends that may not
/// give the ring up.
#[test]
fn everything_in_flight_ends() {
    over_uring(|stage| {
        for calls in [&[ENTER][..], &ALL_CALLS] {
            let mut outside = on_its_thread(|| everything_ends(stage, calls));
            see_the_end(&mut outside);
        }
    });
}

fn grown(mut memory: Vec<u8>) -> Vec<u8> {
    memory.reserve(100);
    memory
}
