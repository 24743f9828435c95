//! io_uring refused while completions wait for room in their queue: only an enter would bring them.
//! What they tell is found out without one, or the connection ends; nobody is told a wrong count.

use std::collections::HashMap;

use springtide_engine::{
    Completion, Descriptor, EngineOptions, Error, Handle, Memory, Op, OpKind, Outcome,
};

use super::{ALL, epoll_with, last_turns, on_its_thread, over_uring};
use crate::refusing::{ENTER, refuse};
use crate::shard::{
    ACCEPT, Patience, Port, Shard, accepted, assert_cancelled, assert_pattern, pattern, received,
};
use crate::stage::{Outside, Remote, Stage, Uring};

/// How many completions the queue has room for, and how many come at once.
const ROOM: usize = 16;
const MANY: usize = 200;
/// Besides the ring: how the kernel's list of what found no room is read.
const WITHOUT_LIST: [i64; 2] = [ENTER, libc::SYS_openat];

fn with_room(room: usize) -> EngineOptions {
    let cq_entries = u32::try_from(room).unwrap();
    EngineOptions { cq_entries, ring_chunks: 64, ..EngineOptions::default() }
}

fn meet_many(shard: &mut Shard, stage: &Uring, port: &Port) -> Vec<(Descriptor, Remote)> {
    (0..MANY).map(|_| shard.meet(stage, port)).collect()
}

fn index_of(token: u64) -> usize {
    usize::try_from(token).unwrap()
}

fn is_lost(outcome: &Outcome, kind: OpKind) -> bool {
    let Outcome::Failed(Error::System { operation, errno }, _) = outcome else { return false };
    (*operation, *errno) == (kind, libc::EIO)
}

fn sends_are_told_truly(stage: &Uring, room: usize, newcomers: usize) {
    let mut shard = Shard::with(stage, &with_room(room));
    let port = shard.listen();
    let mut ends = meet_many(&mut shard, stage, &port);
    let other = (newcomers > 0).then(|| shard.listen());
    let _newcomers: Vec<_> =
        (0..newcomers).map(|_| stage.connect(&other.as_ref().unwrap().address)).collect();
    for ((socket, _), token) in ends.iter().zip(0..) {
        shard.send(*socket, pattern(0, 100), token);
    }
    let mut ended = shard.turn();
    assert!(shard.engine.stats().sends_direct > 0, "not all of them had room");
    refuse(&WITHOUT_LIST, libc::EPERM);
    ended.append(&mut last_turns(&mut shard));
    ended.retain(|completion| completion.token != ACCEPT);
    assert_eq!(ended.len(), MANY);
    for completion in ended {
        let gone = match completion.outcome {
            Outcome::Sent(_) => 100,
            Outcome::Failed(Error::Cancelled, Memory::Pieces { sent, .. }) => sent,
            other => panic!("{other:?}"),
        };
        let mut bytes = Vec::new();
        ends[index_of(completion.token)].1.read(&mut bytes);
        assert_eq!(bytes.len(), gone, "what a send says is what its peer has");
    }
    drop(shard);
    ends.iter().for_each(|(socket, _)| stage.close(*socket));
}

/// More sends in a turn than their completions have room, some of it taken by an accept before them:
/// each says how far it came.
#[test]
fn sends_never_overflow() {
    over_uring(|stage| {
        for (room, newcomers) in [(ROOM, 0), (128, 0), (256, 300)] {
            on_its_thread(|| sends_are_told_truly(stage, room, newcomers));
        }
    });
}

/// What connections with bytes underway have received when a ring is refused.
struct Crowd {
    listener: Descriptor,
    sockets: Vec<Descriptor>,
    bytes: Vec<Vec<u8>>,
    lost: Vec<bool>,
    /// Came with the refusal.
    late: usize,
}

impl Crowd {
    fn absorb(&mut self, completion: &Completion) {
        if let Some(socket) = accepted(completion) {
            return self.sockets.push(socket);
        }
        let own = index_of(completion.token);
        match received(completion) {
            Some(chunk) => self.bytes[own].extend_from_slice(chunk.as_slice()),
            None if is_lost(&completion.outcome, OpKind::Receive) => self.lost[own] = true,
            None => assert_cancelled(&completion.outcome, OpKind::Receive),
        }
    }

    /// As many connect, everybody is sent to at once, and the ring is refused behind one turn.
    fn refused(stage: &Uring, calls: &[i64], peers: &mut Vec<Remote>) -> Self {
        let mut shard = Shard::with(stage, &with_room(ROOM));
        let port = shard.listen();
        let (sockets, remotes): (Vec<_>, Vec<_>) =
            meet_many(&mut shard, stage, &port).into_iter().unzip();
        peers.extend(remotes);
        for (socket, token) in sockets.iter().zip(0..) {
            shard.receive(*socket, token);
        }
        shard.turn();
        let newcomers: Vec<_> = (0..MANY).map(|_| stage.connect(&port.address)).collect();
        for peer in &mut *peers {
            assert_eq!(peer.write(&pattern(0, 100)), 100);
        }
        peers.extend(newcomers);
        let (bytes, lost) = (vec![Vec::new(); MANY], vec![false; MANY]);
        let mut crowd = Self { listener: port.listener, sockets, bytes, lost, late: 0 };
        for completion in shard.turn() {
            crowd.absorb(&completion);
        }
        refuse(calls, libc::EPERM);
        let late = last_turns(&mut shard);
        crowd.late = late.iter().filter(|completion| completion.more).count();
        let streaming =
            late.iter().filter(|completion| completion.more || completion.token != ACCEPT);
        streaming.for_each(|completion| crowd.absorb(completion));
        for socket in crowd.sockets.iter().chain([&crowd.listener]) {
            shard.engine.release(*socket).unwrap();
        }
        crowd
    }

    /// Goes on over epoll until `connected` are there, with all bytes of those that were not lost.
    fn finish(&mut self, stage: &Uring, connected: usize) {
        let mut shard = epoll_with(&self.sockets);
        shard.engine.take_over(self.listener);
        shard.submit(Op::Accept { listener: self.listener }, ACCEPT);
        for (socket, token) in self.sockets[..MANY].iter().zip(0..) {
            shard.receive(*socket, token);
        }
        let patience = Patience::until("all bytes and connections are there");
        let is_whole = |(bytes, lost): (&Vec<u8>, &bool)| bytes.len() >= 100 || *lost;
        while self.sockets.len() < connected || !self.bytes.iter().zip(&self.lost).all(is_whole) {
            shard.turn().iter().for_each(|completion| self.absorb(completion));
            patience.spend();
        }
        for (bytes, _) in self.bytes.iter().zip(&self.lost).filter(|(_, lost)| !**lost) {
            assert_eq!(bytes.len(), 100);
            assert_pattern(0, bytes);
        }
        drop(shard);
        self.sockets.iter().for_each(|socket| stage.close(*socket));
    }
}

/// Bytes and connections whose completions found no room come with the refusal.
#[test]
fn what_found_no_room_comes_with_the_refusal() {
    over_uring(|stage| {
        let mut peers = Vec::new();
        let mut crowd = on_its_thread(|| Crowd::refused(stage, &[ENTER], &mut peers));
        assert!(crowd.late > 1, "the queue overflowed: {}", crowd.late);
        on_its_thread(|| crowd.finish(stage, 2 * MANY));
        assert!(!crowd.lost.contains(&true));
    });
}

/// Where the kernel's list may not be read, a receive that may have had bytes fails, so that no
/// stream has a hole, and one connection is lost at most.
#[test]
fn what_nobody_can_know_fails() {
    over_uring(|stage| {
        let mut peers = Vec::new();
        let mut crowd = on_its_thread(|| Crowd::refused(stage, &WITHOUT_LIST, &mut peers));
        assert!(crowd.lost.contains(&true), "the queue overflowed");
        on_its_thread(|| crowd.finish(stage, 2 * MANY - 1));
    });
}

fn opens_come(stage: &Uring) {
    let mut shard = Shard::with(stage, &with_room(ROOM));
    let root = shard.engine.open_directory(stage.root()).unwrap();
    let open = || Op::Open { root, path: c"file".to_owned() };
    let first = shard.submit(open(), 0);
    assert!(matches!(shard.last(first), Outcome::Opened(..)));
    for token in 1..=40 {
        shard.submit(open(), token);
    }
    let mut ended = shard.turn();
    refuse(&[ENTER], libc::EPERM);
    assert!(ended.len() <= ROOM, "the queue overflowed");
    ended.append(&mut last_turns(&mut shard));
    let outcomes: HashMap<u64, Outcome> =
        ended.into_iter().map(|completion| (completion.token, completion.outcome)).collect();
    assert_eq!(outcomes.len(), 40);
    assert!(outcomes.values().all(|outcome| matches!(outcome, Outcome::Opened(..))));
}

/// An open file has a name, whatever became of its completion.
#[test]
fn files_whose_completion_found_no_room_are_told() {
    over_uring(|stage| {
        stage.write_file("file", b"there");
        on_its_thread(|| opens_come(stage));
    });
}

fn dropped_completions(stage: &Uring) {
    let mut shard = Shard::new(stage);
    let port = shard.listen();
    let (one, _outside) = shard.meet(stage, &port);
    let (two, mut reader) = shard.meet(stage, &port);
    let receive = shard.receive(one, 1);
    let send = shard.send(two, pattern(0, ALL), 2);
    assert!(shard.turn().is_empty() && shard.turn().is_empty(), "8 MiB do not fit");
    refuse(&[ENTER], libc::EBADR);
    let mut bytes = Vec::new();
    for completion in last_turns(&mut shard) {
        match completion.outcome {
            ref lost if completion.key == receive => assert!(is_lost(lost, OpKind::Receive)),
            Outcome::Failed(Error::Cancelled, Memory::Pieces { sent, .. }) => {
                assert_eq!(completion.key, send);
                while reader.read(&mut bytes) > 0 {}
                assert_eq!(bytes.len(), sent, "what waits for room has not gone on");
            }
            other => assert_cancelled(&other, OpKind::Accept),
        }
    }
    assert!(!bytes.is_empty());
}

/// The kernel has dropped completions, for want of memory, and says so: streams do not go on.
#[test]
fn dropped_completions_end_streams() {
    over_uring(|stage| on_its_thread(|| dropped_completions(stage)));
}
