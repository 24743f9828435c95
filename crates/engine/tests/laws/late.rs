//! io_uring refused to a shard that runs on it: a turn ends everything, and another engine goes on.
//! Whatever the moment, no byte is lost or doubled and nobody's connection ends.

use std::collections::HashMap;

use springtide_engine::{
    Descriptor, Engine, EngineOptions, Error, Handle, Key, Mechanism, Memory, Op, OpKind, Outcome,
};

use crate::refusing::{ENTER, REGISTER, SETUP, on_a_thread, refuse};
use crate::shard::{
    ACCEPT, Patience, Port, Random, Shard, assert_cancelled, assert_pattern, pattern, received,
};
use crate::stage::{Outside, Remote, Stage, Uring};

const ALL_CALLS: [i64; 3] = [SETUP, ENTER, REGISTER];

/// Runs a test where io_uring works at first.
fn over_uring(test: fn(&Uring)) {
    on_a_thread(move || crate::beside_others::<Uring>(test));
}

/// Turns until the refusal is told; everything that ended on the way and with it.
fn last_turns(shard: &mut Shard) -> Vec<springtide_engine::Completion> {
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

/// A shard over epoll on the same thread, with these descriptors.
fn epoll_with(old: &mut Shard, descriptors: &[Descriptor]) -> Shard {
    let mut shard = Shard::over(Engine::new(Mechanism::Epoll, EngineOptions::default()).unwrap());
    for descriptor in descriptors {
        let released = old.engine.release(*descriptor).unwrap();
        shard.engine.take_over(released);
    }
    shard
}

#[derive(Default)]
struct Connection {
    waiting: Vec<u8>,
    sending: bool,
    ended: bool,
}

/// A shard that sends back what it receives.
struct Echo {
    shard: Shard,
    port: Port,
    connections: HashMap<Descriptor, Connection>,
    /// Sends that had gone in part when they were cancelled.
    cut: usize,
}

impl Echo {
    fn token(socket: Descriptor) -> u64 {
        u64::try_from(socket.number()).unwrap()
    }

    fn handle(&mut self, completion: springtide_engine::Completion) {
        if let Outcome::Accepted(socket) = completion.outcome {
            self.connections.insert(socket, Connection::default());
            self.shard.receive(socket, Self::token(socket));
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
    fn flush(&mut self) {
        for (socket, connection) in &mut self.connections {
            let token = Self::token(*socket);
            if !connection.sending && !connection.waiting.is_empty() {
                connection.sending = true;
                let bytes = std::mem::take(&mut connection.waiting);
                self.shard.send(*socket, bytes, token);
            }
        }
        self.connections.retain(|socket, connection| {
            let is_over = connection.ended && !connection.sending && connection.waiting.is_empty();
            if is_over {
                self.shard.close(*socket, ACCEPT);
            }
            !is_over
        });
    }

    /// Everything moves to epoll.
    fn move_on(&mut self) {
        let mut all: Vec<Descriptor> = self.connections.keys().copied().collect();
        all.push(self.port.listener);
        self.shard = epoll_with(&mut self.shard, &all);
        self.shard.submit(Op::Accept { listener: self.port.listener }, ACCEPT);
        for (socket, connection) in &self.connections {
            if !connection.ended {
                self.shard.receive(*socket, Self::token(*socket));
            }
        }
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

/// An echo under load; after some turns the filter falls. How many sends were cut in two.
fn echo(stage: &Uring, calls: &[i64], errno: i32, random: &mut Random) -> usize {
    const ALL: usize = 8 << 20;
    const ENDS: usize = 8;
    let mut shard = Shard::new(stage);
    let port = shard.listen();
    let mut echo = Echo { shard, port, connections: HashMap::new(), cut: 0 };
    let stream = pattern(0, ALL);
    let mut ends: Vec<(Remote, usize, Vec<u8>)> = Vec::new();
    let mut turns_left = 5 + random.below(200);
    let mut refused = false;
    let patience = Patience::until("every stream is back and ended");
    while ends.len() < ENDS || ends.iter_mut().any(|end| !end.0.is_ended()) {
        if ends.len() < ENDS && random.below(2) == 0 {
            ends.push((stage.connect(&echo.port.address), 0, Vec::new()));
        }
        for (outside, written, back) in &mut ends {
            let to = (*written + random.below(1 << 20)).min(ALL);
            let before = *written;
            *written += outside.write(&stream[*written..to]);
            if before < ALL && *written == ALL {
                outside.shutdown();
            }
            if random.below(30) == 0 || refused {
                outside.read(back);
            }
        }
        let completions = if turns_left == 0 && !refused {
            refused = true;
            assert_eq!(kernel_threads(), 0, "nothing is done where nobody can see it");
            refuse(calls, errno);
            last_turns(&mut echo.shard)
        } else {
            turns_left = turns_left.saturating_sub(1);
            echo.shard.turn()
        };
        let moves = refused && echo.shard.engine.name() != "epoll";
        completions.into_iter().for_each(|completion| echo.handle(completion));
        if moves {
            echo.move_on();
        }
        echo.flush();
        patience.spend();
    }
    for (_, _, back) in &ends {
        assert_eq!(back.len(), ALL);
        assert_pattern(0, back);
    }
    assert_eq!(echo.shard.engine.name(), "epoll");
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
            // The filter stays with its thread.
            std::thread::scope(|scope| {
                let run = scope.spawn(|| echo(stage, calls, errno, &mut random));
                cut += run.join().unwrap();
            });
        }
        assert!(cut > 0, "some sends had gone in part");
    });
}

/// A send of 8 MiB that waits for its peer tells how far it came.
#[test]
fn a_blocked_send_tells_how_far_it_came() {
    const ALL: usize = 8 << 20;
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
        let mut next = epoll_with(&mut shard, &[socket]);
        drop(shard);
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

/// What waits for others, what has not begun and what the engine keeps itself: all of it ends.
#[test]
fn everything_in_flight_ends() {
    over_uring(|stage| {
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
        refuse(&ALL_CALLS, libc::EPERM);
        let closes = [shard.close(one, 5), shard.close(file, 5)];
        let read =
            shard.submit(Op::Read { file: root, memory: Vec::with_capacity(9), offset: 0 }, 6);
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
        assert!(matches!(ends[&send], Outcome::Sent(_)), "it needed no ring: {:?}", ends[&send]);
        // The engine itself goes on, woken by the wakers that were given out before.
        shard.engine.waker().wake();
        let again = shard.receive(two, 8);
        assert_eq!(other.write(b"more"), 4);
        let bytes = shard.wait("bytes of the same engine", |completion| {
            (completion.key == again)
                .then(|| received(completion).map(|c| c.as_slice().to_vec()))?
        });
        assert_eq!(bytes, b"more");
        let patience = Patience::until("the peer of a closed socket sees its end");
        while !outside.is_ended() {
            patience.spend();
        }
    });
}

fn grown(mut memory: Vec<u8>) -> Vec<u8> {
    memory.reserve(100);
    memory
}
