//! Random frames: what one side writes the other reads, however it is cut; no bytes at all panic.
//! It must never depend on the random source: a failing case is shown whole.

use proptest::prelude::*;
use springtide_proto::framed::{ClientMachine, Codec, Framed, Limits, ReplyReceived};
use springtide_proto::{Inbox, Outbox};

use crate::driver::{Driver, pieces, taken};

/// Every description, with and without its options.
fn codec() -> impl Strategy<Value = Framed> {
    let base = prop::sample::select(vec![
        Framed::u8(),
        Framed::u16_be(),
        Framed::u16_le(),
        Framed::u32_be(),
        Framed::u32_le(),
        Framed::varint(),
    ]);
    let lengths = (base, any::<bool>(), any::<bool>()).prop_map(|(base, is_counted, is_tagged)| {
        let base = if is_counted { base.length_includes_prefix() } else { base };
        if is_tagged { base.tagged(1, 2) } else { base }
    });
    let delimiters = prop::collection::vec(prop::sample::select(vec![b'a', b'b']), 1..=16)
        .prop_map(|bytes| Framed::delimiter(&bytes));
    prop_oneof![3 => lengths, 1 => delimiters, 1 => Just(Framed::lines())]
}

/// Bytes that often come near a delimiter.
fn payload() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        4 => prop::collection::vec(prop::sample::select(b"ab\r\n.".to_vec()), 0..40),
        1 => prop::collection::vec(any::<u8>(), 0..250),
    ]
}

fn cuts(len: usize, raw: &[usize]) -> Vec<usize> {
    let mut cuts: Vec<usize> = raw.iter().map(|cut| cut % (len + 1)).collect();
    cuts.sort_unstable();
    cuts
}

/// What of a payload comes at the other side: not the bytes of the id.
fn without_id(codec: Framed, payload: &[u8]) -> Vec<u8> {
    let mut payload = payload.to_vec();
    if codec.tag().is_some() {
        payload[1..3].fill(0);
    }
    payload
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..Default::default() })]

    #[test]
    fn what_is_called_is_answered(
        codec in codec(),
        payloads in prop::collection::vec(payload(), 0..30),
        raw in prop::collection::vec(any::<usize>(), 0..20),
        order in prop::collection::vec(any::<u32>(), 30),
    ) {
        let limits = Limits::default();
        let (mut client, mut outbox) = (ClientMachine::new(), Outbox::new());
        let mut expected = Vec::new();
        for payload in payloads {
            let sent = client.send_call(payload.clone().into(), &codec, &limits, &mut outbox);
            if sent.is_ok() {
                expected.push(without_id(codec, &payload));
            }
        }
        let requests = taken(&mut outbox);
        let mut driver = Driver::new(codec, limits);
        pieces(&requests, &cuts(requests.len(), &raw)).for_each(|piece| driver.feed(piece));
        let found: Vec<Vec<u8>> =
            driver.payloads.iter().map(|payload| without_id(codec, payload)).collect();
        prop_assert_eq!(&found, &expected);

        let mut numbers: Vec<usize> = (0..expected.len()).collect();
        numbers.sort_by_key(|number| order[*number]);
        for number in numbers {
            driver.reply(number, &driver.payloads[number].clone());
        }
        prop_assert_eq!(driver.machine.in_flight(), 0);
        let replies = driver.sent();
        let (mut inbox, mut answered) = (Inbox::new(), vec![false; expected.len()]);
        for piece in pieces(&replies, &cuts(replies.len(), &raw)) {
            inbox.append(piece);
            while let ReplyReceived::Reply { consumed, payload, call } =
                client.receive(inbox.as_slice(), &codec).unwrap()
            {
                let number = call.number() as usize;
                let payload = &inbox.as_slice()[payload];
                prop_assert_eq!(payload, &driver.payloads[number][..payload.len()]);
                prop_assert!(!std::mem::replace(&mut answered[number], true));
                inbox.consume(consumed);
            }
        }
        prop_assert!(answered.iter().all(|is_answered| *is_answered));
        prop_assert!(inbox.is_empty() && client.end().is_empty());
    }

    #[test]
    fn any_bytes_are_cut_as_if_they_came_whole(
        codec in codec(),
        bytes_max in 0..40_usize,
        input in payload(),
        raw in prop::collection::vec(any::<usize>(), 0..20),
    ) {
        let codec = codec.frame_bytes_max(bytes_max);
        let mut whole = Driver::new(codec, Limits::default());
        whole.feed(&input);
        let mut cut = Driver::new(codec, Limits::default());
        for piece in pieces(&input, &cuts(input.len(), &raw)) {
            cut.feed(piece);
            let held = cut.inbox.len();
            prop_assert!(held <= bytes_max + 16 + input.len() || cut.said.contains("refused"));
        }
        prop_assert_eq!(whole.said, cut.said);
    }
}
