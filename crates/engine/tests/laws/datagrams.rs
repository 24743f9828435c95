//! Datagrams: what is received and sent, cut and refused, and that nothing of it ends a socket.
//! Loopback and a calm world keep all of them, in order; a world with faults does not.

use std::net::SocketAddr;

use springtide_engine::simulated::PostFaults;
use springtide_engine::{
    Address, Completion, Datagram, Descriptor, Error, Handle, Memory, Op, OpKind, Outcome,
};

use crate::shard::{Patience, Shard, assert_cancelled};
use crate::stage::{Simulated, Stage};

const BYTES_MAX: usize = 1500;

fn bind(shard: &mut Shard) -> (Descriptor, SocketAddr) {
    let socket = shard.engine.bind(([127, 0, 0, 1], 0).into(), false).unwrap();
    let Address::Internet(address) = shard.engine.local_address(socket).unwrap() else { panic!() };
    (socket, address)
}

fn send(shard: &mut Shard, socket: Descriptor, to: SocketAddr, bytes: &[u8]) -> Outcome {
    let datagram = Box::new(Datagram { address: to, bytes: bytes.to_vec(), length: 0 });
    let key = shard.submit(Op::SendTo { socket, datagram }, 1);
    shard.last(key)
}

fn came(completion: &Completion) -> Option<Datagram> {
    match &completion.outcome {
        Outcome::Datagram(datagram) => {
            assert!(completion.more);
            Some(Datagram::clone(datagram))
        }
        _ => None,
    }
}

fn next(shard: &mut Shard) -> Datagram {
    shard.wait("a datagram", came)
}

/// Each comes once, whole, in order and with where it came from; a long one says that it was cut, one
/// of nothing is one, and what comes behind a cancel waits for the next receive.
pub(crate) fn datagrams_come_as_they_were_sent<S: Stage>(stage: &S) {
    let mut shard = Shard::new(stage);
    let ((one, from), (two, to)) = (bind(&mut shard), bind(&mut shard));
    let receive = shard.submit(Op::ReceiveFrom { socket: two, bytes_max: BYTES_MAX }, 2);
    for length in [0, 1, BYTES_MAX, BYTES_MAX + 1, 20_000, 60_000] {
        let bytes: Vec<u8> = (0..length).map(|index| (index % 251) as u8).collect();
        let Outcome::SentTo(sent) = send(&mut shard, one, to, &bytes) else { panic!("{length}") };
        assert_eq!((sent.address, &sent.bytes), (to, &bytes));
        let came = next(&mut shard);
        assert_eq!((came.address, came.length), (from, length));
        assert!(came.bytes == bytes[..length.min(BYTES_MAX)], "{length} bytes");
    }
    for number in 0..100_u8 {
        assert_eq!(shard.engine.send_to_now(one, &[number], to), Ok(true));
    }
    for number in 0..100 {
        assert_eq!(next(&mut shard).bytes, [number]);
    }
    shard.cancel(receive);
    assert_cancelled(&shard.last(receive), OpKind::ReceiveFrom);
    assert_eq!(shard.engine.send_to_now(one, b"later", to), Ok(true));
    shard.turn_on();
    shard.submit(Op::ReceiveFrom { socket: two, bytes_max: BYTES_MAX }, 2);
    assert_eq!(next(&mut shard).bytes, b"later");
}

/// What leads to nobody, or cannot be sent, is an error of its own at most, and the socket goes on. Each
/// socket has one operation in either direction, and its close waits for both.
pub(crate) fn lost_datagrams_end_no_socket<S: Stage>(stage: &S) {
    let mut shard = Shard::new(stage);
    let ((one, address), (gone, nobody)) = (bind(&mut shard), bind(&mut shard));
    let close = shard.close(gone, 3);
    shard.last(close);
    let receive = shard.submit(Op::ReceiveFrom { socket: one, bytes_max: 10 }, 2);
    for _ in 0..10 {
        assert!(matches!(send(&mut shard, one, nobody, b"anybody?"), Outcome::SentTo(_)));
        assert_eq!(shard.engine.send_to_now(one, b"anybody?", nobody), Ok(true));
    }
    if !S::IS_SIMULATED {
        let refused = send(&mut shard, one, nobody, &[0; 65_530]);
        let Outcome::Failed(error, Memory::Datagram(own)) = refused else { panic!("{refused:?}") };
        assert_eq!(error, Error::system(OpKind::SendTo, libc::EMSGSIZE));
        assert_eq!(own.bytes.len(), 65_530);
        assert_eq!(shard.engine.send_to_now(one, &[0; 65_530], nobody), Err(error));
    }
    assert!(matches!(send(&mut shard, one, address, b"to myself"), Outcome::SentTo(_)));
    assert_eq!(next(&mut shard).bytes, b"to myself");
    for bytes_max in [10, 0] {
        shard.submit(Op::ReceiveFrom { socket: one, bytes_max }, 9);
        shard.wait("a refusal", |own| {
            let is_refused = matches!(own.outcome, Outcome::Failed(Error::Misuse(_), _));
            (own.token == 9 && is_refused).then_some(())
        });
    }
    let close = shard.close(one, 4);
    shard.turn_on();
    assert_eq!(shard.in_flight(), 2);
    shard.cancel(receive);
    assert_cancelled(&shard.last(receive), OpKind::ReceiveFrom);
    assert!(matches!(shard.last(close), Outcome::Done));
}

/// A port is shared on request only, and all that is sent there comes to one or the other.
pub(crate) fn datagrams_share_a_port_on_request_only<S: Stage>(stage: &S) {
    let mut shards = [Shard::new(stage), Shard::new(stage)];
    let (_, address) = bind(&mut shards[0]);
    let refused = shards[1].engine.bind(address, false);
    assert!(refused.unwrap_err().is_busy_address());
    let other = shards[1].engine.bind(address, true).unwrap();
    shards[1].submit(Op::ReceiveFrom { socket: other, bytes_max: 10 }, 1);
    let (mut count, patience) = (0, Patience::until("the second one has its share"));
    while count < 3 {
        // Systems choose by where it comes from.
        let (own, _) = bind(&mut shards[0]);
        assert_eq!(shards[0].engine.send_to_now(own, b"x", address), Ok(true));
        count += shards[1].turn().iter().filter_map(came).count();
        let close = shards[0].close(own, 2);
        shards[0].last(close);
        patience.spend();
    }
}

/// In a world, datagrams are lost, doubled and overtaken by chance, the same with the same seed.
#[test]
fn a_world_loses_doubles_and_reorders() {
    let play = || {
        let stage = Simulated::open();
        stage.world.set_post_faults(PostFaults { lost: 0.2, doubled: 0.2, reordered: 0.2 });
        let mut shard = Shard::new(&stage);
        let (socket, address) = bind(&mut shard);
        shard.submit(Op::ReceiveFrom { socket, bytes_max: 10 }, 1);
        let outside = stage.world.bind(([10, 0, 0, 1], 53).into()).unwrap();
        let mut all = Vec::new();
        for number in 0..200_u8 {
            outside.send_to(&[number], address);
            if number % 4 == 3 {
                all.extend(shard.turn().iter().filter_map(came).map(|came| came.bytes[0]));
            }
        }
        all.extend(shard.turn().iter().filter_map(came).map(|came| came.bytes[0]));
        assert_eq!(shard.engine.send_to_now(socket, b"back", ([10, 0, 0, 1], 53).into()), Ok(true));
        (all, outside.receive_from())
    };
    let (all, back) = play();
    let times = |number: u8| all.iter().filter(|own| **own == number).count();
    let with = |count: usize| (0..200).filter(|number| times(*number) == count).count();
    assert!(with(0) > 10 && with(1) > 50 && with(2) > 10 && with(3) == 0, "{all:?}");
    assert!(!all.is_sorted());
    assert_eq!(play(), (all, back));
}
