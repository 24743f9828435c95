//! Accepting: no connection is lost, and listeners share their ports on request only.
//! What a connection then carries is not looked at.

use springtide_engine::{Address, Descriptor, Error, Handle, ListenOptions, Op, OpKind, Outcome};

use crate::shard::{Patience, Shard, accepted, received};
use crate::stage::{Outside, Stage};

/// Law 7: an accept that is cancelled while connections come keeps every one of them.
pub(crate) fn a_cancelled_accept_keeps_its_connections<S: Stage>(stage: &S) {
    const ALL: usize = 200;
    let mut shard = Shard::new(stage);
    let port = shard.listen();
    let (mut accept, mut outsides, mut sockets) = (Some(port.accept), Vec::new(), Vec::new());
    let patience = Patience::until("every connection is accepted");
    while sockets.len() < ALL {
        if outsides.len() < ALL {
            outsides.push(stage.connect(&port.address));
        }
        match accept {
            Some(key) => shard.cancel(key),
            None => accept = Some(shard.submit(Op::Accept { listener: port.listener }, 1)),
        }
        for completion in shard.turn() {
            match completion.outcome {
                Outcome::Accepted(socket) => sockets.push(socket),
                Outcome::Failed(Error::Cancelled, _) => accept = None,
                other => panic!("{other:?}"),
            }
        }
        patience.spend();
    }
    // Each of them is a living connection.
    for (socket, number) in sockets.iter().zip(0..) {
        shard.send(*socket, vec![number], 2);
    }
    let mut bytes = Vec::new();
    while bytes.len() < ALL {
        shard.turn();
        outsides.iter_mut().for_each(|outside| _ = outside.read(&mut bytes));
        patience.spend();
    }
}

/// A busy port is refused although its listener would share it; joining it works, and the
/// connections of both engines are all accepted.
pub(crate) fn listeners_share_a_port_on_request_only<S: Stage>(stage: &S) {
    let mut shards = [Shard::new(stage), Shard::new(stage)];
    let port = shards[0].listen();
    for joining in [false, false] {
        let options = ListenOptions {
            address: &port.address,
            backlog: 64,
            joining,
            keepalive: None,
            mode: None,
        };
        let refused = shards[1].engine.listen(&options);
        assert!(matches!(refused, Err(Error::System { operation: OpKind::Listen, .. })));
    }
    shards[1].listen_at(&port.address, true);
    let mut outsides = Vec::new();
    let mut counts = [0; 2];
    let patience = Patience::until("all connections are accepted");
    while counts[0] + counts[1] < 100 {
        if outsides.len() < 100 {
            outsides.push(stage.connect(&port.address));
        }
        for (shard, count) in shards.iter_mut().zip(&mut counts) {
            *count += shard.turn().iter().filter_map(accepted).count();
        }
        patience.spend();
    }
    assert!(counts.iter().all(|count| *count > 10), "both had their share: {counts:?}");
}

/// A socket that one engine releases is used by another, there and back.
pub(crate) fn a_released_socket_moves_to_another_engine<S: Stage>(stage: &S) {
    let mut shards = [Shard::new(stage), Shard::new(stage)];
    let port = shards[0].listen();
    let (socket, mut outside) = shards[0].meet(stage, &port);
    for round in 0..6_u8 {
        let own = usize::from(round % 2);
        let receive = shards[own].receive(socket, 1);
        let refused = shards[own].engine.release(socket);
        assert!(matches!(refused, Err(Error::Misuse(_))), "a receive is in flight");
        shards[own].turn();
        assert_eq!(outside.write(&[round]), 1);
        let byte = shards[own]
            .wait("the byte of the round", |completion| Some(received(completion)?.as_slice()[0]));
        assert_eq!(byte, round);
        shards[own].cancel(receive);
        shards[own].last(receive);
        shards[own].engine.release(socket).unwrap();
    }
    // It ends at the other engine, and its number begins again here.
    let close = shards[1].close(socket, 2);
    shards[1].last(close);
    drop(outside);
    let mut outsides = Vec::new();
    let patience = Patience::until("the number is used again");
    loop {
        let (again, mut outside) = shards[0].meet(stage, &port);
        shards[0].receive(again, 3);
        assert_eq!(outside.write(b"x"), 1);
        shards[0].wait("bytes of a new connection", |completion| received(completion).map(drop));
        outsides.push(outside);
        if again == socket {
            break;
        }
        patience.spend();
    }
}

/// Another engine closes a number that this one has watched; the number works here again.
pub(crate) fn a_number_closed_elsewhere_works_again<S: Stage>(stage: &S) {
    let mut shard = Shard::new(stage);
    let port = shard.listen();
    for _ in 0..5 {
        let mut numbers: Vec<(Descriptor, S::Outside)> =
            (0..3).map(|_| shard.meet(stage, &port)).collect();
        for (socket, outside) in &mut numbers {
            let receive = shard.receive(*socket, 1);
            assert_eq!(outside.write(b"x"), 1);
            shard.wait("a byte", |completion| received(completion).map(drop));
            shard.cancel(receive);
            shard.last(receive);
            shard.engine.release(*socket).unwrap();
            stage.close(*socket);
        }
    }
}

/// Both addresses of a connection are told.
pub(crate) fn addresses_are_told<S: Stage>(stage: &S) {
    let mut shard = Shard::new(stage);
    let port = shard.listen();
    let (socket, _outside) = shard.meet(stage, &port);
    assert_eq!(shard.engine.local_address(socket).unwrap(), port.address);
    let Address::Internet(peer) = shard.engine.peer_address(socket).unwrap() else {
        panic!("not an address of TCP")
    };
    assert!(peer.ip().is_loopback() && peer.port() != 0);
}
