//! Laws 3 and 6: what the system has stays the engine's, and a close waits for it.
//! Descriptors and memory are counted before and after.

use std::time::Duration;

use springtide_engine::{Address, Error, Handle, ListenOptions, Op, OpKind, Outcome};

use crate::shard::{Patience, Shard, assert_cancelled, pattern, received};
use crate::stage::{Outside, Stage};
use crate::{checking, mapped};

/// Law 6: a close waits for the last operation; until then the peer sees no end and loses nothing.
pub(crate) fn a_close_waits_for_the_last_operation<S: Stage>(stage: &S) {
    let mut shard = Shard::new(stage);
    let port = shard.listen();
    let (socket, mut outside) = shard.meet(stage, &port);
    let receive = shard.receive(socket, 1);
    shard.turn();
    let close = shard.close(socket, 2);
    for _ in 0..5 {
        assert!(shard.turn().is_empty(), "nothing has ended yet");
    }
    assert!(!outside.is_ended(), "the peer sees the end only after the last operation");
    assert_eq!(outside.write(b"not swallowed"), 13);
    let bytes = shard.wait("bytes behind the close", |completion| {
        Some(received(completion)?.as_slice().to_vec())
    });
    assert_eq!(bytes, b"not swallowed");
    shard.cancel(receive);
    let outcomes = [shard.last(receive), shard.last(close)];
    assert_cancelled(&outcomes[0], OpKind::Receive);
    assert!(matches!(outcomes[1], Outcome::Done));
    let patience = Patience::until("the peer sees the end");
    while !outside.is_ended() {
        shard.turn();
        patience.spend();
    }
}

/// A peer is gone when both sides have ended their streams, and not while one of them may speak.
pub(crate) fn who_has_nothing_to_say_is_gone<S: Stage>(stage: &S) {
    let mut shard = Shard::new(stage);
    let port = shard.listen();
    for is_first in [true, false] {
        let (socket, mut outside) = shard.meet(stage, &port);
        assert!(!shard.engine.is_peer_gone(socket));
        if is_first {
            outside.shutdown();
        } else {
            let shut = shard.submit(Op::Shutdown { socket }, 1);
            shard.last(shut);
        }
        for _ in 0..5 {
            shard.turn();
        }
        assert!(!shard.engine.is_peer_gone(socket), "the other side may speak still");
        if is_first {
            let shut = shard.submit(Op::Shutdown { socket }, 1);
            shard.last(shut);
        } else {
            outside.shutdown();
        }
        let patience = Patience::until("nobody has anything to say");
        while !shard.engine.is_peer_gone(socket) {
            shard.turn();
            patience.spend();
        }
        let close = shard.close(socket, 2);
        shard.last(close);
    }
}

/// A close behind a send waits until all bytes have gone.
pub(crate) fn a_close_behind_a_send_loses_nothing<S: Stage>(stage: &S) {
    let mut shard = Shard::new(stage);
    let port = shard.listen();
    let (socket, mut outside) = shard.meet(stage, &port);
    let send = shard.send(socket, pattern(0, 4 << 20), 1);
    let close = shard.close(socket, 2);
    let (mut bytes, mut order) = (Vec::new(), Vec::new());
    let patience = Patience::until("all bytes, then the end");
    while order.len() < 2 || !outside.is_ended() {
        order.extend(shard.turn().into_iter().map(|completion| completion.key));
        outside.read(&mut bytes);
        patience.spend();
    }
    assert_eq!(order, [send, close]);
    assert_eq!(bytes.len(), 4 << 20);
}

/// Who cannot say all that it began to say closes without an end: its peer has what came, no more.
pub(crate) fn a_close_may_be_a_reset<S: Stage>(stage: &S) {
    for is_told in [false, true] {
        let mut shard = Shard::new(stage);
        let port = shard.listen();
        let (socket, mut outside) = shard.meet(stage, &port);
        let send = shard.send(socket, pattern(0, 100), 1);
        assert!(matches!(shard.last(send), Outcome::Sent(_)));
        let mut bytes = Vec::new();
        let patience = Patience::until("the bytes have come");
        while bytes.len() < 100 {
            outside.read(&mut bytes);
            patience.spend();
        }
        if is_told {
            shard.engine.reset_on_close(socket);
        }
        let close = shard.close(socket, 2);
        assert!(matches!(shard.last(close), Outcome::Done));
        let patience = Patience::until("the peer is told");
        loop {
            // A system tells of a reset once: nothing else may ask before.
            outside.read(&mut bytes);
            if outside.is_reset() || (!is_told && outside.is_ended()) {
                break;
            }
            patience.spend();
        }
        assert_eq!((outside.is_reset(), bytes.len()), (is_told, 100));
    }
}

/// Closing ten connections that all receive, cancelled in the same breath.
pub(crate) fn many_close_at_once<S: Stage>(stage: &S) {
    let mut shard = Shard::new(stage);
    let port = shard.listen();
    let mut ends: Vec<_> = (0..300).map(|_| shard.meet(stage, &port)).collect();
    for (socket, outside) in &mut ends {
        let receive = shard.receive(*socket, 1);
        assert_eq!(outside.write(b"x"), 1);
        shard.close(*socket, 2);
        shard.cancel(receive);
    }
    let patience = Patience::until("all are closed");
    let mut closed = 0;
    while closed < ends.len() {
        closed += shard.turn().iter().filter(|completion| completion.token == 2).count();
        patience.spend();
    }
    assert_eq!(shard.in_flight(), 1, "only the accept is left");
}

/// The checking allocator bites: memory of a receive in flight that is taken for freed is found
/// when the peer's bytes come, and its true free is no mistake.
pub(crate) fn memory_freed_too_early_is_found<S: Stage>(stage: &S) {
    let mut shard = Shard::new(stage);
    let port = shard.listen();
    let (socket, mut outside) = shard.meet(stage, &port);
    let mut memory: Vec<u8> = Vec::with_capacity(3000);
    let address = memory.as_mut_ptr();
    let receive = shard.submit(Op::ReceiveInto { socket, memory }, 1);
    shard.turn();
    // SAFETY: the operation keeps its memory at one address until its completion (law 3), and
    // nobody reads it before.
    unsafe { checking::pretend_free(address, 3000) };
    assert_eq!(checking::look(), None, "nothing has come yet");
    assert_eq!(outside.write(b"into freed memory"), 17);
    let Outcome::Filled(memory) = shard.last(receive) else { panic!("bytes came") };
    assert_eq!(memory.as_ptr(), address.cast_const(), "one address all the while");
    let found = checking::look().expect("the bytes of the peer are found");
    assert_eq!((found.address, found.size, found.offset), (address.addr(), 3000, 0));
    assert_eq!(found.byte, b'i');
    drop(memory);
    assert_eq!(checking::look(), None, "the true free is tolerated");
}

/// The same of memory that was mapped: that it was not given back is found, and a write when it was.
pub(crate) fn memory_unmapped_too_early_is_found<S: Stage>(_: &S) {
    const SIZE: usize = 8192;
    let (access, flags) =
        (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
    let before = mapped::bytes_left();
    // SAFETY: a fresh mapping, at an address of the system's choice.
    let memory = unsafe { libc::mmap(std::ptr::null_mut(), SIZE, access, flags, -1, 0) };
    assert_eq!(mapped::bytes_left(), before + SIZE);
    // SAFETY: mapped with this length, and nothing refers to it.
    unsafe { libc::munmap(memory, SIZE) };
    assert_eq!(mapped::bytes_left(), before);
    let byte = memory.cast::<u8>().wrapping_add(SIZE / 2 + 1);
    // SAFETY: what was unmapped stays readable and writable for a while.
    let freed = unsafe { byte.replace(7) };
    let found = checking::look().expect("a write to memory that was unmapped is found");
    assert_eq!((found.address, found.offset), (memory.addr(), SIZE / 2 + 1));
    // SAFETY: as above.
    unsafe { byte.write(freed) };
}

/// Dropping an engine with everything in flight leaves no descriptor and no memory behind.
pub(crate) fn a_dropped_engine_leaves_nothing<S: Stage>(stage: &S) {
    stage.write_file("file", &pattern(0, 1 << 20));
    let before = stage.descriptors_open();
    let mut shard = Shard::new(stage);
    let port = shard.listen();
    let mut ends: Vec<_> = (0..20).map(|_| shard.meet(stage, &port)).collect();
    let root = shard.engine.open_directory(stage.root()).unwrap();
    let sockets: Vec<_> = ends.iter().map(|(socket, _)| *socket).collect();
    for (index, (socket, outside)) in ends.iter_mut().enumerate() {
        let socket = *socket;
        match index % 4 {
            0 => _ = shard.receive(socket, 1),
            1 => {
                let memory = Vec::with_capacity(100_000);
                shard.submit(Op::ReceiveInto { socket, memory }, 1);
            }
            2 => _ = shard.send(socket, vec![1; 8 << 20], 1),
            _ => {
                let receive = shard.receive(socket, 1);
                shard.close(socket, 1);
                shard.turn();
                shard.cancel(receive);
            }
        }
        outside.write(b"on the way");
    }
    let path = c"file".to_owned();
    shard.submit(Op::Open { root, path }, 1);
    shard.submit(Op::connect(port.address.clone()), 1);
    let at = shard.engine.now() + Duration::from_secs(10);
    shard.submit(Op::Timeout { at }, 1);
    let waiting = stage.connect(&port.address);
    // The engine closes what it still owned: what the caller was told of is the caller's.
    let open: Vec<_> = sockets.iter().enumerate().filter(|(index, _)| index % 4 != 3).collect();
    let Shard { engine, .. } = shard;
    drop(engine);
    drop((ends, waiting));
    checking::verify();
    for (_, socket) in &open {
        stage.close(**socket);
    }
    stage.close(root);
    stage.close(port.listener);
    assert_eq!(stage.descriptors_open(), before);
}

/// A listener that ends lets its port go.
pub(crate) fn a_closed_listener_frees_its_port<S: Stage>(stage: &S) {
    let mut shard = Shard::new(stage);
    let port = shard.listen();
    let busy = ListenOptions {
        address: &port.address,
        backlog: 1,
        joining: false,
        keepalive: None,
        mode: None,
    };
    let refused = shard.engine.listen(&busy);
    assert!(matches!(refused, Err(Error::System { operation: OpKind::Listen, .. })));
    shard.cancel(port.accept);
    shard.last(port.accept);
    let close = shard.close(port.listener, 1);
    shard.last(close);
    let again = shard.listen_at(&port.address, false);
    let (_, _outside) = shard.meet(stage, &again);
    assert_eq!(again.address, port.address);
    assert_ne!(again.accept, port.accept);
}

/// What was said of a socket is not believed of the next one with its number: 1,500 are ready at once,
/// most are closed before it is their turn, and connects that nobody answers follow.
pub(crate) fn a_number_given_out_again_is_not_ready<S: Stage>(stage: &S) {
    const ALL: usize = 1500;
    let mut shard = Shard::new(stage);
    let port = shard.listen();
    let ends: Vec<_> = (0..ALL).map(|_| shard.meet(stage, &port)).collect();
    let receives: Vec<_> = ends.iter().map(|(socket, _)| shard.receive(*socket, 1)).collect();
    shard.turn();
    let sockets: Vec<_> = ends.iter().map(|(socket, _)| *socket).collect();
    ends.into_iter().for_each(|(_, outside)| outside.reset());
    let first = shard.turn();
    let mut unheard = 0;
    for (socket, receive) in sockets.into_iter().zip(receives) {
        if !first.iter().any(|completion| completion.key == receive) {
            unheard += 1;
            shard.cancel(receive);
        }
        shard.close(socket, 2);
    }
    shard.turn();
    let nowhere = Address::Internet(([127, 0, 0, 1], 0).into());
    let options = ListenOptions {
        address: &nowhere,
        backlog: 0,
        joining: false,
        keepalive: None,
        mode: None,
    };
    let silent = shard.engine.listen(&options).unwrap();
    let address = shard.engine.local_address(silent).unwrap();
    for _ in 0..unheard {
        shard.submit(Op::connect(address.clone()), 3);
    }
    let mut came = (0..3).flat_map(|_| shard.turn()).collect::<Vec<_>>();
    came.append(&mut shard.quiesce());
    let connected: Vec<_> = came
        .iter()
        .filter_map(|completion| match completion.outcome {
            Outcome::Connected(socket) => Some(socket),
            _ => None,
        })
        .collect();
    assert!(connected.len() <= 4, "{} of {unheard} are connected", connected.len());
    connected.iter().chain([&silent, &port.listener]).for_each(|socket| {
        shard.close(*socket, 2);
    });
    shard.quiesce();
}
