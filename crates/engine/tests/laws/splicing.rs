//! What is passed from socket to socket without a copy: no byte of it is lost, doubled or late.
//! Where nothing can be passed that is said, and nothing has happened.

use springtide_engine::{Error, Handle, Op, OpKind, Outcome, Spliced};

use crate::refusing::{on_a_thread, refuse};
use crate::shard::{Patience, Random, Shard, assert_cancelled, assert_pattern, pattern};
use crate::stage::{Epoll, Outside, Stage};

/// A wait for bytes ends once, when there are some, at the end of the stream, at a reset, or when it is
/// cancelled; and it takes none.
pub(crate) fn a_wait_for_bytes_takes_none<S: Stage>(stage: &S) {
    let mut shard = Shard::new(stage);
    let port = shard.listen();
    let (socket, mut outside) = shard.meet(stage, &port);
    let wait = shard.submit(Op::AwaitBytes { socket }, 1);
    assert!(shard.turn().is_empty(), "nothing has come");
    shard.cancel(wait);
    assert_cancelled(&shard.last(wait), OpKind::AwaitBytes);
    let wait = shard.submit(Op::AwaitBytes { socket }, 1);
    let second = shard.submit(Op::AwaitBytes { socket }, 1);
    assert!(matches!(shard.last(second), Outcome::Failed(Error::Misuse(_), _)));
    assert_eq!(outside.write(b"high tide"), 9);
    assert!(matches!(shard.last(wait), Outcome::Done));
    let wait = shard.submit(Op::AwaitBytes { socket }, 1);
    assert!(matches!(shard.last(wait), Outcome::Done), "they are there still");
    let memory = Vec::with_capacity(20);
    let receive = shard.submit(Op::ReceiveInto { socket, memory }, 1);
    assert!(matches!(shard.last(receive), Outcome::Filled(bytes) if bytes == b"high tide"));
    outside.shutdown();
    let wait = shard.submit(Op::AwaitBytes { socket }, 1);
    assert!(matches!(shard.last(wait), Outcome::Done), "the end");
    let (socket, outside) = shard.meet(stage, &port);
    let wait = shard.submit(Op::AwaitBytes { socket }, 1);
    shard.turn();
    outside.reset();
    assert!(matches!(shard.last(wait), Outcome::Done), "a reset");
}

/// What is passed comes whole and in order, however little room there is, and its end is told behind
/// it; nothing is passed beside a receive or a send.
pub(crate) fn what_is_spliced_keeps_its_order<S: Stage>(stage: &S) {
    const ALL: usize = 40 << 20;
    let mut random = Random(0x0051_11CE_5EED_0001);
    let mut shard = Shard::new(stage);
    let port = shard.listen();
    let (source, mut from) = shard.meet(stage, &port);
    let (sink, mut to) = shard.meet(stage, &port);
    assert!(shard.engine.splices());
    let stream = pattern(0, ALL);
    let (mut written, mut passed, mut by_rest, mut read) = (0, 0, 0, Vec::new());
    let (mut wait, mut send, mut is_over) = (None, None, false);
    let patience = Patience::until("the whole stream");
    while read.len() < ALL || !is_over {
        let end = (written + random.below(200_000)).min(ALL);
        written += from.write(&stream[written..end]);
        if written == ALL {
            from.shutdown();
        }
        // Who reads now and then leaves no room meanwhile.
        if passed == ALL || (by_rest > 0 && random.below(3) == 0) {
            to.read(&mut read);
        }
        while wait.is_none() && send.is_none() && !is_over {
            let (bytes_max, mut rest) = (1 + random.below(300_000), Vec::new());
            match shard.engine.splice_now(source, sink, bytes_max, &mut rest).unwrap() {
                Spliced::Bytes(count) => {
                    assert!(count <= bytes_max && rest.len() <= count);
                    assert_pattern(passed + count - rest.len(), &rest);
                    (passed, by_rest) = (passed + count, by_rest + rest.len());
                    if !rest.is_empty() {
                        send = Some(shard.send(sink, rest, 2));
                        let beside = shard.engine.splice_now(source, sink, 1, &mut Vec::new());
                        assert!(matches!(beside, Err(Error::Misuse(_))), "a send is in flight");
                    }
                }
                Spliced::Nothing => {
                    wait = Some(shard.submit(Op::AwaitBytes { socket: source }, 1));
                    let beside = shard.engine.splice_now(source, sink, 1, &mut Vec::new());
                    assert!(matches!(beside, Err(Error::Misuse(_))), "a wait is in flight");
                }
                Spliced::End => is_over = true,
                Spliced::Refused => panic!("it was not before"),
            }
        }
        for completion in shard.turn() {
            wait = wait.filter(|wait| *wait != completion.key);
            send = send.filter(|send| *send != completion.key);
        }
        patience.spend();
    }
    assert_eq!((passed, read.len()), (ALL, ALL));
    assert_pattern(0, &read);
    assert!(by_rest > 0 && by_rest < ALL / 2, "{by_rest} bytes found no room");
}

/// Who resets the source is told of once, and who resets the sink by the next send.
pub(crate) fn a_reset_met_by_a_splice_is_told<S: Stage>(stage: &S) {
    let mut shard = Shard::new(stage);
    let port = shard.listen();
    let (source, from) = shard.meet(stage, &port);
    let (sink, to) = shard.meet(stage, &port);
    from.reset();
    let wait = shard.submit(Op::AwaitBytes { socket: source }, 1);
    shard.last(wait);
    let met = shard.engine.splice_now(source, sink, 100, &mut Vec::new());
    assert!(met.is_err_and(|error| error.is_peer_gone()), "{met:?}");
    let (source, mut from) = shard.meet(stage, &port);
    to.reset();
    let wait = shard.submit(Op::AwaitBytes { socket: sink }, 1);
    shard.last(wait);
    from.write(b"low tide");
    let wait = shard.submit(Op::AwaitBytes { socket: source }, 1);
    shard.last(wait);
    let mut rest = Vec::new();
    let passed = shard.engine.splice_now(source, sink, 100, &mut rest);
    assert_eq!((passed, rest.as_slice()), (Ok(Spliced::Bytes(8)), &b"low tide"[..]));
    let send = shard.send(sink, rest, 2);
    let Outcome::Failed(error, _) = shard.last(send) else { panic!("it is gone") };
    assert!(error.is_peer_gone(), "{error}");
}

/// Where a filter forbids one of the calls, bytes stay where they are, and it is asked once.
#[test]
fn a_forbidden_splice_moves_nothing() {
    for call in [libc::SYS_splice, libc::SYS_pipe2] {
        on_a_thread(move || {
            let stage = Epoll::open();
            let mut shard = Shard::new(&stage);
            let port = shard.listen();
            let (source, mut from) = shard.meet(&stage, &port);
            let (sink, _to) = shard.meet(&stage, &port);
            from.write(b"low tide");
            let wait = shard.submit(Op::AwaitBytes { socket: source }, 1);
            shard.last(wait);
            refuse(&[call], libc::EPERM);
            assert!(shard.engine.splices(), "nobody knows yet");
            let refused = shard.engine.splice_now(source, sink, 100, &mut Vec::new());
            assert_eq!(refused, Ok(Spliced::Refused));
            assert!(!shard.engine.splices());
            let memory = Vec::with_capacity(20);
            let receive = shard.submit(Op::ReceiveInto { socket: source, memory }, 1);
            assert!(matches!(shard.last(receive), Outcome::Filled(bytes) if bytes == b"low tide"));
        });
    }
}
