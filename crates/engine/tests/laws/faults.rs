//! The faults of a world: whatever strikes, the laws hold and nothing is lost.
//! The same seed gives the same history to the bit.

use std::time::Duration;

use springtide_engine::simulated::{Client, Fault, Faults, World};
use springtide_engine::{
    Address, Descriptor, Engine, EngineOptions, Error, Handle, Op, OpKind, Outcome, Piece,
};

use crate::shard::{Random, Shard, assert_pattern, pattern};
use crate::stage::{Simulated, Stage};

struct End {
    socket: Descriptor,
    client: Client,
    written: usize,
    came: usize,
    sending: bool,
    back: Vec<u8>,
    gone: bool,
}

/// Plays an echo under faults; gives all completions as text, and the world.
fn play(seed: u64, faults: Faults) -> (String, World) {
    const ALL: usize = 50_000;
    let world = World::new(seed);
    let stage = Simulated { world: world.clone() };
    let mut shard = Shard::new(&stage);
    let port = shard.listen();
    let mut random = Random(seed | 1);
    let mut ends: Vec<End> = (0..8)
        .map(|_| {
            let (socket, client) = shard.meet(&stage, &port);
            let (written, came, sending, gone) = (0, 0, false, false);
            End { socket, client, written, came, sending, back: Vec::new(), gone }
        })
        .collect();
    let stream = pattern(0, ALL);
    for (end, token) in ends.iter().zip(0..) {
        shard.receive(end.socket, token);
    }
    shard.cancel(port.accept);
    world.set_faults(faults);
    let mut history = String::new();
    for _ in 0..200_000 {
        for end in &mut ends {
            let to = (end.written + random.below(9000)).min(ALL);
            end.written += end.client.write(&stream[end.written..to]);
            end.client.read(&mut end.back);
            end.gone |= end.client.is_reset();
        }
        for completion in shard.turn() {
            history += &format!("{:?} {completion:.60?}\n", world.now());
            let own = usize::try_from(completion.token).unwrap_or(usize::MAX);
            let Some(end) = ends.get_mut(own) else { continue };
            match completion.outcome {
                Outcome::Received(chunk) => {
                    assert_pattern(end.came, chunk.as_slice());
                    end.came += chunk.len();
                }
                Outcome::Sent(_) => end.sending = false,
                Outcome::Failed(error, _) => {
                    assert!(error.is_peer_gone(), "{error}");
                    end.gone = true;
                }
                other => panic!("{other:?}"),
            }
        }
        for (end, token) in ends.iter_mut().zip(0..) {
            let echoed = stream.len().min(end.came);
            if !end.sending && !end.gone && echoed == ALL && end.back.is_empty() {
                end.sending = true;
                shard.send(end.socket, stream.clone(), token);
            }
        }
        if ends.iter().all(|end| end.gone || end.back.len() == ALL) {
            break;
        }
    }
    for end in &ends {
        assert!(end.gone || end.back.len() == ALL, "{} of {ALL} came back", end.back.len());
        assert_pattern(0, &end.back);
    }
    shard.quiesce();
    (history, world)
}

#[test]
fn streams_survive_every_fault() {
    for seed in 0..30 {
        let (_, world) = play(seed, Faults::all(0.2).with(Fault::Reset, 0.0));
        let counts = world.fault_counts();
        for fault in Fault::ALL {
            let exempt = [Fault::Reset, Fault::NoDescriptors, Fault::CancelRace].contains(&fault);
            assert!(exempt || counts.of(fault) > 0, "{fault:?} never struck with seed {seed}");
        }
    }
}

#[test]
fn resets_are_told() {
    let (_, world) = play(3, Faults::all(0.1).with(Fault::Reset, 0.02));
    assert!(world.fault_counts().of(Fault::Reset) > 0);
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
    let Address::Internet(address) = service.address() else { panic!("not an address of TCP") };
    let connect = shard.submit(Op::Connect { address }, 1);
    let Outcome::Connected(socket) = shard.last(connect) else { panic!("somebody listens") };
    let client = service.accept().unwrap();
    let pieces = vec![Piece::Owned(b"out".to_vec())];
    let send = shard.submit(Op::Send { socket, pieces }, 2);
    shard.last(send);
    let mut bytes = Vec::new();
    assert_eq!(client.read(&mut bytes), 3);
    drop((client, service));
    let connect = shard.submit(Op::Connect { address }, 1);
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
    assert!(stage.world.remove_file("/root/there"));
    stage.world.advance(Duration::from_secs(5));
    stage.write_file("there", b"another");
    let read = shard.submit(Op::Read { file, memory: Vec::with_capacity(9), offset: 0 }, 2);
    assert!(matches!(shard.last(read), Outcome::Filled(bytes) if bytes == b"there"));
    let open = shard.submit(Op::Open { root, path: c"there".to_owned() }, 1);
    let Outcome::Opened(_, after) = shard.last(open) else { panic!("it is there again") };
    assert!(after.inode != before.inode && after.modified_ns > before.modified_ns);
}
