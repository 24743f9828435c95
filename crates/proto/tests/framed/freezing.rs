//! Machines that are frozen and thawed at every border say and send what those that are not do.
//! Nothing here may know what stands in a frozen machine.

use proptest::prelude::*;
use springtide_proto::framed::{ClientMachine, Framed, Limits, Machine, ReplyReceived};
use springtide_proto::{Inbox, Outbox};

use crate::driver::{Driver, taken};

const INPUT: &[u8] = b"\x03low\x00\x04high\x02ab\x05tides\x01x\x02yz\x03end";

/// Reads the input in pieces and answers the newest first, with gaps; freezes where `freezes` says.
fn serve(piece: usize, codec: Framed, drains_at: usize, freezes: impl Fn(usize) -> bool) -> String {
    let limits = Limits { in_flight_max: 4, ..Limits::default() };
    let mut driver = Driver::new(codec, limits);
    let mut answered = Vec::new();
    let mut step = 0;
    let mut freeze = |driver: &mut Driver<Framed>| {
        step += 1;
        if freezes(step) {
            let machine = std::mem::replace(&mut driver.machine, Machine::new(0));
            driver.machine = Machine::thaw(machine.freeze());
        }
    };
    for (count, bytes) in INPUT.chunks(piece).chain([[].as_slice(); 12]).enumerate() {
        driver.now_ms += 7;
        driver.feed(bytes);
        freeze(&mut driver);
        if count == drains_at {
            driver.machine.drain();
        }
        answered.resize(driver.exchanges.len(), false);
        for number in (0..answered.len()).rev().filter(|number| (number + count) % 3 != 0) {
            if !std::mem::replace(&mut answered[number], true) {
                match number {
                    4 => driver.give_up(number),
                    _ => driver.reply(number, &[b'0' + number as u8; 3]),
                }
                freeze(&mut driver);
            }
        }
        let deadline = driver.machine.next_deadline(&driver.limits);
        let state = (driver.machine.in_flight(), driver.machine.held_bytes(), deadline);
        driver.said += &format!("{state:?} {}\n", driver.machine.wants_close());
    }
    let sent = driver.sent();
    format!("{}{sent:?}", driver.said)
}

/// Calls and reads replies in pieces; freezes where `freezes` says.
fn call(piece: usize, codec: Framed, freezes: impl Fn(usize) -> bool) -> String {
    let limits = Limits::default();
    let (mut machine, mut outbox, mut inbox) = (ClientMachine::new(), Outbox::new(), Inbox::new());
    let mut said = String::new();
    for (step, bytes) in b"\x01\x01\x01\x00\x02\x02x\x01\x05\x01".chunks(piece).enumerate() {
        let _ = machine.send_call("abc".into(), &codec, &limits, &mut outbox);
        inbox.append(bytes);
        let received = machine.receive(inbox.as_slice(), &codec);
        said += &format!("{received:?}\n");
        if let Ok(ReplyReceived::Reply { consumed, .. }) = received {
            inbox.consume(consumed);
        }
        if freezes(step) {
            machine = ClientMachine::thaw(machine.freeze());
        }
    }
    format!("{said}{:?}{:?}", taken(&mut outbox), machine.end())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..Default::default() })]

    #[test]
    fn a_frozen_machine_goes_on(
        piece in 1..40_usize,
        drains_at in 0..30_usize,
        has_words in any::<bool>(),
        when in prop::collection::vec(any::<bool>(), 64),
    ) {
        let codec = if has_words { Framed::u8().dropped(b"gone") } else { Framed::u8() };
        let expected = serve(piece, codec, drains_at, |_| false);
        prop_assert_eq!(serve(piece, codec, drains_at, |step| when[step % 64]), expected);
        for codec in [Framed::u8(), Framed::u8().tagged(0, 1)] {
            let expected = call(piece, codec, |_| false);
            prop_assert_eq!(call(piece, codec, |step| when[step % 64]), expected);
        }
    }
}
