//! The client's side: calls and what answers them.
//! Nothing here may depend on how long a call takes.

use springtide_proto::Outbox;
use springtide_proto::framed::{
    CallError, ClientMachine, Framed, Limits, PayloadError, Refusal, ReplyReceived,
};

use crate::driver::taken;

/// The numbers of the calls that these bytes answer.
fn answered(machine: &mut ClientMachine, codec: Framed, mut input: &[u8]) -> Vec<u64> {
    let mut numbers = Vec::new();
    while let ReplyReceived::Reply { consumed, call, .. } = machine.receive(input, &codec).unwrap()
    {
        input = &input[consumed..];
        numbers.push(call.number());
    }
    numbers
}

#[test]
fn thousands_are_in_flight() {
    let (codec, limits) = (Framed::u16_be(), Limits { in_flight_max: 5000, ..Limits::default() });
    let (mut machine, mut outbox) = (ClientMachine::new(), Outbox::new());
    for number in 0..5000 {
        let call = machine.send_call("ab".into(), &codec, &limits, &mut outbox).unwrap();
        assert_eq!(call.number(), number);
    }
    let full = machine.send_call("".into(), &codec, &limits, &mut outbox);
    assert_eq!(full, Err(CallError::Full));
    assert_eq!(taken(&mut outbox), b"\x00\x02ab".repeat(5000));
    let replies = b"\x00\x00".repeat(4999);
    assert!(answered(&mut machine, codec, &replies).into_iter().eq(0..4999));
    let left: Vec<u64> = machine.end().iter().map(|call| call.number()).collect();
    assert_eq!(left, [4999]);
    let ended = machine.send_call("".into(), &codec, &limits, &mut outbox);
    assert_eq!(ended, Err(CallError::Ended));
    assert_eq!(machine.receive(b"\x00\x00", &codec), Ok(ReplyReceived::Closed));
}

#[test]
fn bytes_in_flight_are_limited() {
    let limits = Limits { in_flight_bytes_max: 10, ..Limits::default() };
    let (codec, mut outbox) = (Framed::u8(), Outbox::new());
    let mut machine = ClientMachine::new();
    let mut call = |machine: &mut ClientMachine, len: usize| {
        machine.send_call(vec![b'x'; len].into(), &codec, &limits, &mut outbox)
    };
    assert!(call(&mut machine, 11).is_ok(), "one may be longer");
    assert_eq!(call(&mut machine, 1), Err(CallError::Full));
    answered(&mut machine, codec, b"\x00");
    assert!(call(&mut machine, 5).is_ok());
    assert!(call(&mut machine, 5).is_ok());
    assert_eq!(call(&mut machine, 1), Err(CallError::Full));
}

#[test]
fn ids_match_replies_in_any_order() {
    let (codec, limits) = (Framed::u8().tagged(0, 1), Limits::default());
    let (mut machine, mut outbox) = (ClientMachine::new(), Outbox::new());
    for _ in 0..4 {
        machine.send_call("?x".into(), &codec, &limits, &mut outbox).unwrap();
    }
    assert_eq!(taken(&mut outbox), b"\x02\x00x\x02\x01x\x02\x02x\x02\x03x");
    assert_eq!(answered(&mut machine, codec, b"\x01\x02\x01\x00"), [2, 0]);
    assert_eq!(machine.receive(b"\x01\x02", &codec), Err(Refusal::Unasked));
    let left: Vec<u64> = machine.end().iter().map(|call| call.number()).collect();
    assert_eq!(left, [1, 3]);
}

#[test]
fn an_id_in_use_is_passed_over() {
    let (codec, limits) = (Framed::u8().tagged(0, 1), Limits::default());
    let (mut machine, mut outbox) = (ClientMachine::new(), Outbox::new());
    let mut call = |machine: &mut ClientMachine| {
        machine.send_call("?".into(), &codec, &limits, &mut outbox).map(|_| {
            let sent = taken(&mut outbox);
            sent[1]
        })
    };
    for id in 0..=255 {
        assert_eq!(call(&mut machine), Ok(id));
    }
    assert_eq!(call(&mut machine), Err(CallError::Full));
    for id in [255, 7, 0] {
        answered(&mut machine, codec, &[1, id]);
    }
    assert_eq!([call(&mut machine), call(&mut machine)], [Ok(0), Ok(7)]);
    assert_eq!([call(&mut machine), call(&mut machine)], [Ok(255), Err(CallError::Full)]);
    assert_eq!(machine.end().len(), 256);
}

#[test]
fn what_is_wrong_is_named() {
    let (codec, limits) = (Framed::u8().tagged(1, 2), Limits::default());
    let (mut machine, mut outbox) = (ClientMachine::new(), Outbox::new());
    let short = machine.send_call("ab".into(), &codec, &limits, &mut outbox);
    assert_eq!(short, Err(CallError::Payload(PayloadError::NoTag)));
    assert_eq!((machine.in_flight(), outbox.is_empty()), (0, true));
    assert_eq!(machine.receive(b"\x02ab", &codec), Err(Refusal::NoTag));
    let mut ordered = ClientMachine::new();
    assert_eq!(ordered.receive(b"\x00", &Framed::u8()), Err(Refusal::Unasked));
}
