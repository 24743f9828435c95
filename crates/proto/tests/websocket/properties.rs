//! Random masks, text and frames: what is quick is what is plain, and no bytes at all panic.
//! It must never depend on the random source: a failing case is shown whole.

use proptest::prelude::*;
use springtide_proto::websocket::{InPlace, Limits, Machine, Received, Utf8Check, apply_mask};

use crate::driver::{Driver, Side, frame, pieces};

fn cuts(len: usize, raw: &[usize]) -> Vec<usize> {
    let mut cuts: Vec<usize> = raw.iter().map(|cut| cut % (len + 1)).collect();
    cuts.sort_unstable();
    cuts
}

/// Bytes that are often nearly text.
fn text() -> impl Strategy<Value = Vec<u8>> {
    let parts = prop::sample::select(vec![
        b"a".to_vec(),
        "ö".into(),
        "€".into(),
        "\u{10ffff}".into(),
        b"\xed\x9f\xbf".to_vec(),
        b"0123456789abcdef0123456789abcdef".to_vec(),
    ]);
    let parts = prop_oneof![40 => parts, 1 => prop::collection::vec(any::<u8>(), 1..4)];
    prop::collection::vec(parts, 0..20).prop_map(|parts| parts.concat())
}

/// Frames of all kinds, a few of them wrong.
fn frames() -> impl Strategy<Value = Vec<(u8, Vec<u8>)>> {
    let usual = prop::sample::select(vec![0x01, 0x02, 0x00, 0x80, 0x81, 0x82, 0x89, 0x8a, 0x88]);
    let first = prop_oneof![20 => usual, 1 => any::<u8>()];
    prop::collection::vec((first, text()), 0..10)
}

fn sent_to(side: Side, frames: &[(u8, Vec<u8>)]) -> Vec<u8> {
    frames.iter().flat_map(|(first, payload)| frame(side, *first, payload)).collect()
}

/// Two that take short messages of few fragments only.
fn drivers(side: Side) -> [Driver; 2] {
    [0; 2].map(|_| {
        let (socket_message_bytes_max, socket_fragments_max) = (200, 4);
        let own = Limits { socket_message_bytes_max, socket_fragments_max, ..Limits::default() };
        Driver::new(side, own)
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..Default::default() })]

    /// RFC 6455 §5.3: `transformed[i] = original[i] xor key[i mod 4]`.
    #[test]
    fn a_mask_is_what_it_is_byte_by_byte(
        bytes in prop::collection::vec(any::<u8>(), 0..300),
        key in any::<[u8; 4]>(),
    ) {
        let plain: Vec<u8> =
            bytes.iter().enumerate().map(|(at, byte)| byte ^ key[at % 4]).collect();
        let mut masked = bytes;
        apply_mask(&mut masked, key);
        prop_assert_eq!(plain, masked);
    }

    /// Text is what std takes for it, and is refused at the byte by which std knows.
    #[test]
    fn text_is_what_std_says(bytes in text(), raw in prop::collection::vec(any::<usize>(), 0..8)) {
        let mut check = Utf8Check::default();
        let mut come = 0;
        for piece in pieces(&bytes, &cuts(bytes.len(), &raw)) {
            come += piece.len();
            let known = std::str::from_utf8(&bytes[..come]);
            let is_wrong = known.is_err_and(|error| error.error_len().is_some());
            prop_assert_eq!(check.accepts(piece), !is_wrong);
            if is_wrong {
                return Ok(());
            }
            prop_assert_eq!(check.is_whole(), known.is_ok());
        }
    }

    #[test]
    fn frames_are_cut_as_if_they_came_whole(
        frames in frames(),
        raw in prop::collection::vec(any::<usize>(), 0..20),
        is_streamed in any::<bool>(),
    ) {
        for side in [Side::Server, Side::Client] {
            let (input, [mut whole, mut cut]) = (sent_to(side, &frames), drivers(side));
            if is_streamed {
                whole.machine.stream(1);
                cut.machine.stream(1);
            }
            whole.feed(&input);
            for piece in pieces(&input, &cuts(input.len(), &raw)) {
                cut.feed(piece);
                prop_assert!(cut.machine.bytes_held() <= 200);
            }
            let is_same = whole.said == cut.said || (is_streamed && is_refused_alike(&whole.said, &cut.said));
            prop_assert!(is_same, "{} and {}", whole.said, cut.said);
            prop_assert_eq!(whole.sent(), cut.sent());
        }
    }

    /// A message is the same in lent memory, however it was cut.
    #[test]
    fn what_is_received_in_lent_memory_is_what_is_received(
        frames in frames(),
        raw in prop::collection::vec(any::<usize>(), 0..20),
        likely in 0..300_usize,
    ) {
        for side in [Side::Server, Side::Client] {
            let (input, [mut plain, mut lent]) = (sent_to(side, &frames), drivers(side));
            for piece in pieces(&input, &cuts(input.len(), &raw)) {
                for driver in [&mut plain, &mut lent] {
                    driver.now_ms += 1;
                }
                plain.feed(piece);
                lent.feed_lent(piece, likely);
                prop_assert_eq!(&plain.said, &lent.said);
                prop_assert_eq!(plain.machine.payload_left(), lent.machine.payload_left());
                prop_assert_eq!(plain.machine.bytes_held(), lent.machine.bytes_held());
                let [one, other] =
                    [&plain, &lent].map(|own| own.machine.next_deadline(&own.limits));
                prop_assert_eq!(one, other);
            }
            prop_assert_eq!(plain.sent(), lent.sent());
        }
    }

    /// A message is the same where it stands; whatever else comes is left as it is.
    #[test]
    fn what_is_read_in_place_is_what_is_received(
        frames in frames(),
        is_cut in any::<bool>(),
        bytes_min in 0..20_usize,
    ) {
        for side in [Side::Server, Side::Client] {
            let mut input = sent_to(side, &frames);
            if is_cut {
                input.pop();
            }
            let limits = Limits { socket_message_bytes_max: 200, ..Limits::default() };
            let [mut plain, mut other] =
                [0; 2].map(|_| if side == Side::Server { Machine::server(0) } else { Machine::client(0) });
            while !input.is_empty() {
                let mut place = input.clone();
                let received = plain.receive(&input, 7, &limits);
                let in_place = other.receive_in_place(&mut place, bytes_min, 7, &limits);
                let same = match in_place {
                    Ok(None) => {
                        prop_assert!(place == input);
                        other.receive(&input, 7, &limits)
                    }
                    Ok(Some(InPlace { consumed, kind, payload })) => {
                        let payload = place[payload].to_vec();
                        prop_assert!(payload.len() >= bytes_min);
                        Ok(Received::Message { consumed, kind, is_compressed: false, payload })
                    }
                    Err(refusal) => Err(refusal),
                };
                prop_assert_eq!(&same, &received);
                prop_assert_eq!(other.next_deadline(&limits), plain.next_deadline(&limits));
                let consumed = match received {
                    Ok(
                        Received::Message { consumed, .. }
                        | Received::Taken { consumed }
                        | Received::Ping { consumed, .. }
                        | Received::Pong { consumed, .. }
                        | Received::Close { consumed, .. },
                    ) => consumed,
                    _ => break,
                };
                input.drain(..consumed);
            }
            prop_assert_eq!(other.receive(b"", 8, &limits), plain.receive(b"", 8, &limits));
        }
    }

    #[test]
    fn no_bytes_panic(input in prop::collection::vec(any::<u8>(), 0..200)) {
        for side in [Side::Server, Side::Client] {
            let mut whole = Driver::new(side, Limits::default());
            whole.feed(&input);
            let mut cut = Driver::new(side, Limits::default());
            input.iter().for_each(|byte| cut.feed(&[*byte]));
            prop_assert_eq!(whole.said, cut.said);
        }
    }
}

/// In parts, what stands before a bad byte is given or not as it was cut; all before that is the same.
fn is_refused_alike(one: &str, other: &str) -> bool {
    let front = |said: &str| {
        said.split_once("refused").map(|(front, refused)| (front.len(), refused.to_owned()))
    };
    let (Some((one_len, one_why)), Some((other_len, other_why))) = (front(one), front(other))
    else {
        return false;
    };
    let same = one_len.min(other_len);
    one_why == other_why && one.as_bytes()[..same] == other.as_bytes()[..same]
}
