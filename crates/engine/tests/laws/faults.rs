//! The faults of a world: whatever strikes, the laws hold and nothing is lost.
//! The same seed gives the same history to the bit.

use std::time::Duration;

use springtide_engine::simulated::{Client, Fault, Faults, World};
use springtide_engine::{
    Address, Completion, Descriptor, Engine, EngineOptions, Error, Handle, Key, Op, OpKind,
    Outcome, Piece,
};

use crate::shard::{Random, Shard, assert_pattern, pattern};
use crate::stage::{Simulated, Stage};

/// The bytes that each client sends, and gets back.
const ALL: usize = 50_000;
/// The token of the accept; those below belong to clients.
const ACCEPTS: u64 = 100;

struct End {
    client: Client,
    socket: Option<Descriptor>,
    receive: Key,
    written: usize,
    came: usize,
    answered: bool,
    back: Vec<u8>,
    gone: bool,
}

/// Clients that send, a shard that answers when all has come, and faults between them.
struct Play {
    world: World,
    shard: Shard,
    listener: Descriptor,
    accept: Key,
    ends: Vec<End>,
    random: Random,
    stream: Vec<u8>,
    history: String,
}

impl Play {
    fn new(seed: u64) -> Self {
        let world = World::new(seed);
        let stage = Simulated { world: world.clone() };
        let mut shard = Shard::new(&stage);
        let port = shard.listen();
        let listener = port.listener;
        shard.cancel(port.accept);
        shard.last(port.accept);
        let accept = shard.submit(Op::Accept { listener }, ACCEPTS);
        let clients = (0..8).map(|_| stage.connect(&port.address));
        let ends = clients.map(|client| End {
            client,
            socket: None,
            receive: Key::NONE,
            written: 0,
            came: 0,
            answered: false,
            back: Vec::new(),
            gone: false,
        });
        let ends = ends.collect();
        let (stream, random) = (pattern(0, ALL), Random(seed | 1));
        Self { world, shard, listener, accept, ends, random, stream, history: String::new() }
    }

    fn act_outside(&mut self) {
        for end in &mut self.ends {
            let to = (end.written + self.random.below(9000)).min(ALL);
            end.written += end.client.write(&self.stream[end.written..to]);
            end.client.read(&mut end.back);
            end.gone |= end.client.is_reset();
            if self.random.below(20) == 0 {
                self.shard.cancel(end.receive);
            }
        }
        if self.random.below(20) == 0 {
            self.shard.cancel(self.accept);
        }
    }

    fn handle(&mut self, completion: Completion) {
        self.history += &format!("{:?} {completion:?}\n", self.world.now());
        if completion.token == ACCEPTS {
            return self.accepted(&completion);
        }
        let own = usize::try_from(completion.token).unwrap();
        let end = &mut self.ends[own];
        match completion.outcome {
            Outcome::Received(chunk) => {
                assert_pattern(end.came, chunk.as_slice());
                end.came += chunk.len();
            }
            Outcome::Sent(_) => {}
            Outcome::Failed(Error::Cancelled, _) => {
                let socket = end.socket.unwrap();
                end.receive = self.shard.receive(socket, completion.token);
            }
            Outcome::Failed(error, _) => {
                assert!(error.is_peer_gone(), "{error}");
                end.gone = true;
            }
            other => panic!("{other:?}"),
        }
    }

    fn accepted(&mut self, completion: &Completion) {
        let Outcome::Accepted(socket) = completion.outcome else {
            let Outcome::Failed(error, _) = &completion.outcome else { panic!("{completion:?}") };
            assert!(*error == Error::Cancelled || error.is_exhausted(), "{error}");
            self.accept = self.shard.submit(Op::Accept { listener: self.listener }, ACCEPTS);
            return;
        };
        let peer = self.shard.engine.peer_address(socket).unwrap();
        let own = self.ends.iter().position(|end| end.client.address() == peer).unwrap();
        assert_eq!(self.ends[own].socket.replace(socket), None, "accepted once");
        self.ends[own].receive = self.shard.receive(socket, own as u64);
    }

    fn answer(&mut self) {
        for (end, token) in self.ends.iter_mut().zip(0..) {
            if let Some(socket) = end.socket
                && end.came == ALL
                && !end.answered
                && !end.gone
            {
                end.answered = true;
                self.shard.send(socket, self.stream.clone(), token);
            }
        }
    }

    fn is_over(&self) -> bool {
        self.ends.iter().all(|end| end.gone || end.back.len() == ALL)
    }
}

/// Plays to the end over one engine; gives all completions as text, and the world.
fn play(seed: u64, faults: Faults) -> (String, World) {
    let mut play = Play::new(seed);
    play.world.set_faults(faults.with(Fault::Refused, 0.0));
    for _ in 0..100_000 {
        play.act_outside();
        for completion in play.shard.turn() {
            play.handle(completion);
        }
        play.answer();
        if play.is_over() {
            break;
        }
    }
    for end in &play.ends {
        assert!(end.gone || end.back.len() == ALL, "{} of {ALL} came back", end.back.len());
        assert_pattern(0, &end.back);
    }
    play.shard.quiesce();
    (play.history, play.world)
}

/// Reads a file of a world in which reads and opens go wrong: nothing is missing in the end.
fn read_in_pieces(world: &World) {
    let stage = Simulated { world: world.clone() };
    let mut shard = Shard::new(&stage);
    stage.write_file("long", &pattern(0, 5000));
    let root = shard.engine.open_directory(stage.root()).unwrap();
    let file = loop {
        let open = shard.submit(Op::Open { root, path: c"long".to_owned() }, 1);
        match shard.last(open) {
            Outcome::Opened(file, _) => break file,
            Outcome::Failed(error, _) => assert!(error.is_exhausted(), "{error}"),
            other => panic!("{other:?}"),
        }
    };
    let mut memory = Vec::with_capacity(6000);
    while memory.len() < 5000 {
        let (offset, before) = (memory.len() as u64, memory.len());
        let read = shard.submit(Op::Read { file, memory, offset }, 2);
        let Outcome::Filled(filled) = shard.last(read) else { panic!("a file can be read") };
        assert!(filled.len() > before, "a read gives at least one byte before the end");
        memory = filled;
    }
    assert_pattern(0, &memory);
}

#[test]
fn streams_survive_every_fault() {
    let mut struck = [0; Fault::ALL.len()];
    for seed in 0..50 {
        let (_, world) = play(seed, Faults::all(0.2).with(Fault::Reset, 0.0));
        read_in_pieces(&world);
        let counts = world.fault_counts();
        for (sum, fault) in struck.iter_mut().zip(Fault::ALL) {
            *sum += counts.of(fault);
        }
    }
    for (sum, fault) in struck.iter().zip(Fault::ALL) {
        let is_off = [Fault::Reset, Fault::Refused, Fault::LeftBehind].contains(&fault);
        assert_eq!(is_off, *sum == 0, "{fault:?} struck {sum} times");
    }
}

#[test]
fn resets_are_told() {
    let mut resets = 0;
    for seed in 0..20 {
        let (_, world) = play(seed, Faults::all(0.1).with(Fault::Reset, 0.02));
        resets += world.fault_counts().of(Fault::Reset);
    }
    assert!(resets > 10, "{resets}");
}

#[test]
fn the_same_seed_gives_the_same_history() {
    let faults = Faults::all(0.15);
    let (one, first) = play(42, faults);
    let (two, second) = play(42, faults);
    assert!(one == two, "the histories differ");
    assert_eq!(first.fingerprint(), second.fingerprint());
    let (_, other) = play(43, faults);
    assert_ne!(first.fingerprint(), other.fingerprint());
}

#[test]
fn an_accept_without_descriptors_can_be_armed_again() {
    let stage = Simulated::open();
    let mut shard = Shard::new(&stage);
    let port = shard.listen();
    stage.world.set_descriptors_max(stage.world.descriptors_open());
    let _client = stage.connect(&port.address);
    let Outcome::Failed(error, _) = shard.last(port.accept) else {
        panic!("no descriptor is free")
    };
    assert!(error.is_exhausted(), "{error}");
    let again = shard.submit(Op::Accept { listener: port.listener }, 1);
    let Outcome::Failed(error, _) = shard.last(again) else { panic!("no descriptor is free") };
    assert!(error.is_exhausted());
    stage.world.set_descriptors_max(usize::MAX);
    let again = shard.submit(Op::Accept { listener: port.listener }, 1);
    shard.wait("the connection that waited", |completion| (completion.key == again).then_some(()));
}

#[test]
fn time_stands_still_while_another_engine_has_something_to_do() {
    let stage = Simulated::open();
    let mut shards = [Shard::new(&stage), Shard::new(&stage)];
    let at = stage.world.now() + Duration::from_secs(10);
    let far = shards[0].submit(Op::Timeout { at }, 1);
    for ms in 1..100 {
        let at = stage.world.now() + Duration::from_millis(1);
        shards[1].submit(Op::Timeout { at }, ms);
        let mut expired = 0;
        while expired == 0 {
            assert!(shards[0].turn().is_empty());
            expired = shards[1].turn().len();
        }
        assert_eq!(stage.world.now().milliseconds(), ms);
    }
    assert!(matches!(shards[0].last(far), Outcome::Expired));
}

#[test]
fn time_that_is_held_moves_by_hand_only() {
    let world = World::new(9);
    world.hold_time(true);
    let mut engine = Engine::simulated(&world, &EngineOptions::default());
    let at = world.now() + Duration::from_millis(7);
    engine.submit(Op::Timeout { at }, 1);
    assert!(!world.is_quiet(), "nobody has looked yet");
    let mut completions = Vec::new();
    engine.turn(None, &mut completions).unwrap();
    assert!(world.is_quiet() && completions.is_empty());
    assert_eq!((world.now().milliseconds(), world.next_moment()), (0, Some(at)));
    world.advance(Duration::from_millis(7));
    assert!(!world.is_quiet(), "the timeout is due");
    engine.turn(None, &mut completions).unwrap();
    assert_eq!(completions.len(), 1);
}

#[test]
fn a_turn_without_deadline_comes_back() {
    let world = World::new(9);
    let mut engine = Engine::simulated(&world, &EngineOptions::default());
    let mut completions = Vec::new();
    engine.turn(None, &mut completions).unwrap();
    assert!(completions.is_empty());
    assert_eq!(world.idle_turns(), 1);
    world.advance(Duration::from_secs(1));
    assert_eq!(world.now().milliseconds(), 1000);
}

#[test]
fn engines_connect_to_each_other_and_outside() {
    let stage = Simulated::open();
    let mut shard = Shard::new(&stage);
    let address = Address::Internet(([127, 0, 0, 1], 9).into());
    let service = stage.world.serve(&address).unwrap();
    let address = service.address();
    let connect = shard.submit(Op::connect(address.clone()), 1);
    let Outcome::Connected(socket) = shard.last(connect) else { panic!("somebody listens") };
    let client = service.accept().unwrap();
    let pieces = vec![Piece::Owned(b"out".to_vec())];
    let send = shard.submit(Op::Send { socket, pieces }, 2);
    shard.last(send);
    let mut bytes = Vec::new();
    assert_eq!(client.read(&mut bytes), 3);
    drop((client, service));
    let connect = shard.submit(Op::connect(address), 1);
    let outcome = shard.last(connect);
    let refused = Error::system(OpKind::Connect, 111);
    assert!(matches!(outcome, Outcome::Failed(error, _) if error == refused));
}

#[test]
fn files_keep_their_bytes_while_they_are_open() {
    let stage = Simulated::open();
    let mut shard = Shard::new(&stage);
    let root = shard.engine.open_directory(stage.root()).unwrap();
    let path = c"there".to_owned();
    let open = shard.submit(Op::Open { root, path }, 1);
    let Outcome::Opened(file, before) = shard.last(open) else { panic!("it is there") };
    assert!(stage.world.remove_file("/site/there"));
    stage.world.advance(Duration::from_secs(5));
    stage.write_file("there", b"another");
    let read = shard.submit(Op::Read { file, memory: Vec::with_capacity(9), offset: 0 }, 2);
    assert!(matches!(shard.last(read), Outcome::Filled(bytes) if bytes == b"there"));
    let open = shard.submit(Op::Open { root, path: c"there".to_owned() }, 1);
    let Outcome::Opened(_, after) = shard.last(open) else { panic!("it is there again") };
    assert!(after.inode != before.inode && after.modified_ns > before.modified_ns);
}

/// A refused engine ends everything with the turn that tells, and goes on: what a stream had by
/// then it has, and the rest comes.
#[test]
fn a_world_refuses_its_engines() {
    for seed in 0..50 {
        let stage = Simulated { world: World::new(seed) };
        let mut shard = Shard::new(&stage);
        let [(own, socket, receive), _] = crate::quiet::two_connections(&stage, &mut shard);
        let stream = pattern(0, 9000);
        assert_eq!(own.write(&stream), 9000);
        stage.world.set_faults(Faults::default().with(Fault::Refused, 1.0));
        let mut completions = Vec::new();
        let refused = shard.engine.turn(None, &mut completions).unwrap_err();
        assert!(matches!(refused, Error::LateRefusal { .. }), "{refused}");
        assert_eq!(shard.engine.in_flight(), 0);
        assert!(completions.iter().any(|one| one.key == receive && !one.more));
        stage.world.set_faults(Faults::default());
        shard.receive(socket, 1);
        let mut came = 0;
        while came < 9000 {
            for completion in completions.drain(..) {
                if let Outcome::Received(chunk) = &completion.outcome {
                    assert_pattern(came, chunk.as_slice());
                    came += chunk.len();
                }
            }
            completions.extend(shard.turn());
        }
    }
}
