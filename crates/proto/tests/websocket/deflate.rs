//! Compressed messages (RFC 7692): every rule of the parameters, the examples of the standard, windows
//! that last and that do not, and what is inflated to too much.

use http::StatusCode;
use proptest::prelude::*;
use springtide_proto::websocket::handshake::{Asked, Disagreement, Offer, agree};
use springtide_proto::websocket::{Deflater, Inflater, Limits, Refusal, Window};

use crate::driver::{Driver, Side, check_bytes, frame};

const LASTING: Window = Window { bits: 15, takes_over: true };
const SINGLE: Window = Window { bits: 15, takes_over: false };

/// RFC 7692 §7.1, and §5.1 of offers that are declined: the first offer that is understood counts.
#[test]
fn section_7_1_what_is_agreed_on() {
    let lasts = "permessage-deflate; client_no_context_takeover";
    let forgets = "permessage-deflate; server_no_context_takeover; client_no_context_takeover";
    for (offered, lasting, single) in [
        ("permessage-deflate", lasts, forgets),
        ("permessage-deflate; client_max_window_bits", lasts, forgets),
        ("permessage-deflate; client_max_window_bits=10", lasts, forgets),
        (
            "permessage-deflate; server_max_window_bits=10",
            &format!("{lasts}; server_max_window_bits=10"),
            &format!("{forgets}; server_max_window_bits=10"),
        ),
        (
            "permessage-deflate;server_max_window_bits=\"9\" ; client_no_context_takeover",
            &format!("{lasts}; server_max_window_bits=9"),
            &format!("{forgets}; server_max_window_bits=9"),
        ),
        (
            "permessage-deflate; server_max_window_bits=8",
            &format!("{forgets}; server_max_window_bits=8"),
            &format!("{forgets}; server_max_window_bits=8"),
        ),
        ("permessage-deflate; server_no_context_takeover", forgets, forgets),
        ("x-webkit-deflate-frame, permessage-deflate", lasts, forgets),
        ("permessage-deflate; server_max_window_bits=7, permessage-deflate", lasts, forgets),
    ] {
        for (takes_over, expected) in [(true, lasting), (false, single)] {
            let agreed = agree(offered.as_bytes(), takes_over).expect(offered);
            assert_eq!(agreed.answer(), expected, "{offered}");
        }
    }
    for declined in [
        "",
        "deflate",
        "permessage-deflate; unknown",
        "permessage-deflate; unknown=1",
        "permessage-deflate; server_no_context_takeover=1",
        "permessage-deflate; client_no_context_takeover=true",
        "permessage-deflate; server_no_context_takeover; server_no_context_takeover",
        "permessage-deflate; server_max_window_bits",
        "permessage-deflate; server_max_window_bits=",
        "permessage-deflate; server_max_window_bits=7",
        "permessage-deflate; server_max_window_bits=16",
        "permessage-deflate; server_max_window_bits=010",
        "permessage-deflate; server_max_window_bits=+9",
        "permessage-deflate; server_max_window_bits=9; server_max_window_bits=9",
        "permessage-deflate; client_max_window_bits=7",
        "permessage-deflate; client_max_window_bits=16",
        "permessage-deflate; client_max_window_bits; client_max_window_bits",
        "permessage-deflate; ",
        "permessage-deflate; a b",
    ] {
        assert_eq!(agree(declined.as_bytes(), true), None, "{declined}");
    }
}

/// RFC 7692 §7.1 at the client: an answer agrees on what was offered, or opens nothing.
#[test]
fn section_7_1_answers() {
    let asked = Asked::new(*b"the sample nonce", []).with_deflate();
    let fields: Vec<(&str, String)> = asked.fields().collect();
    let offer = Offer::read(fields.iter().map(|(name, value)| (*name, value.as_bytes()))).unwrap();
    let checked = |extensions: &str| {
        let answer = [
            ("upgrade", b"websocket".as_slice()),
            ("connection", b"upgrade"),
            ("sec-websocket-accept", offer.accept().as_bytes()),
            ("sec-websocket-extensions", extensions.as_bytes()),
        ];
        asked.check(StatusCode::SWITCHING_PROTOCOLS, answer).map(|answered| answered.deflate)
    };
    for takes_over in [true, false] {
        let agreed = agree(offer.extensions(), takes_over).unwrap();
        assert_eq!(checked(&agreed.answer()), Ok(Some(agreed)), "both sides say the same");
    }
    let small = checked("permessage-deflate; client_max_window_bits=9").unwrap().unwrap();
    assert_eq!(small.client.bits, 9);
    assert_eq!(checked(""), Ok(None));
    for wrong in [
        "deflate",
        "permessage-deflate, permessage-deflate",
        "permessage-deflate; unknown",
        "permessage-deflate; client_max_window_bits",
        "permessage-deflate; server_max_window_bits=16",
    ] {
        assert_eq!(checked(wrong), Err(Disagreement::Extension), "{wrong}");
    }
}

/// RFC 7692 §7.2.3: the examples.
#[test]
fn section_7_2_3_examples() {
    let first: &[u8] = &[0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00];
    let again: &[u8] = &[0xf2, 0x00, 0x11, 0x00, 0x00];
    let mut lasting = Inflater::new(LASTING);
    assert_eq!(lasting.inflate(first, 5).unwrap(), b"Hello");
    assert_eq!(lasting.inflate(again, 5).unwrap(), b"Hello", "from the window");
    let mut single = Inflater::new(SINGLE);
    assert_eq!(single.inflate(first, 5).unwrap(), b"Hello");
    assert_eq!(single.inflate(again, 5), Err(Refusal::Compressed), "there is no window");
    assert_eq!(single.inflate(first, 5).unwrap(), b"Hello", "nor is anything of that left");
    for other in [
        &[0x00, 0x05, 0x00, 0xfa, 0xff, 0x48, 0x65, 0x6c, 0x6c, 0x6f, 0x00][..],
        &[0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x00],
        &[0xf2, 0x48, 0x05, 0x00, 0x00, 0x00, 0xff, 0xff, 0xca, 0xc9, 0xc9, 0x07, 0x00],
    ] {
        assert_eq!(single.inflate(other, 5).unwrap(), b"Hello", "{other:x?}");
        assert_eq!(single.inflate(other, 4), Err(Refusal::MessageTooLong), "{other:x?}");
    }
    assert_eq!(single.inflate(&[0x00], 0).unwrap(), b"");
    for wrong in [&[0xff, 0xff, 0xff][..], &[0x06], &[0x00, 0x05, 0x00, 0x00, 0x00]] {
        assert_eq!(single.inflate(wrong, 100), Err(Refusal::Compressed), "{wrong:x?}");
    }
}

/// Attack 9: 10 MB in 10 KB are not written, nor is room made for them.
#[test]
fn a_bomb_is_not_inflated() {
    let bomb = Deflater::new(SINGLE).deflate(&vec![0; 10_000_000], SINGLE).unwrap();
    assert!(bomb.len() < 15_000);
    for bytes_max in [0, 1, 1_000, 65_536, 9_999_999] {
        let inflated = Inflater::new(SINGLE).inflate(&bomb, bytes_max);
        assert_eq!(inflated, Err(Refusal::MessageTooLong), "{bytes_max}");
    }
    assert_eq!(Inflater::new(SINGLE).inflate(&bomb, 10_000_000).unwrap().len(), 10_000_000);
}

/// What gains nothing is sent as it is, and later messages do not refer to it.
#[test]
fn what_gains_nothing_is_left() {
    let noise: Vec<u8> =
        (0..2_000_u32).map(|at| (at.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    let (mut deflater, mut inflater) = (Deflater::new(LASTING), Inflater::new(LASTING));
    let text = b"high tide, low tide, high tide, low tide".as_slice();
    for payload in [text, &noise, text, b"x", text] {
        if let Some(deflated) = deflater.deflate(payload, LASTING) {
            assert_eq!(inflater.inflate(&deflated, 10_000).unwrap(), payload);
        } else {
            assert_ne!(payload, text);
        }
    }
    assert!(deflater.deflate(text, LASTING).unwrap().len() < 10, "it stands in the window");
}

/// A window that is smaller than the shared coder's own: what is longer is sent as it is.
#[test]
fn a_small_window_is_never_exceeded() {
    for bits in 8..15 {
        let window = Window { bits, takes_over: false };
        let mut shared = Deflater::new(SINGLE);
        assert!(shared.deflate(&vec![b'x'; 1 << bits], window).is_some());
        assert!(shared.deflate(&vec![b'x'; (1 << bits) + 1], window).is_none());
    }
}

/// Frames: the bit stands on the first frame of a message only, and only where it was agreed on.
#[test]
fn section_6_frames() {
    for side in [Side::Server, Side::Client] {
        let refused = ["refused 1002 a reserved bit is set"];
        let within = [frame(side, 0x41, b"a"), frame(side, 0xc0, b"b")].concat();
        let mut driver = Driver::new(side, Limits::default());
        driver.machine.accept_compressed();
        driver.feed(&within);
        assert_eq!(driver.said.lines().collect::<Vec<_>>(), refused);
        for first in [0xc8, 0xc9, 0xca] {
            let mut driver = Driver::new(side, Limits::default());
            driver.machine.accept_compressed();
            driver.feed(&frame(side, first, b""));
            assert_eq!(driver.said.lines().collect::<Vec<_>>(), refused);
        }
        check_bytes(side, &frame(side, 0xc1, b"x"), &Limits::default(), &refused);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..Default::default() })]

    #[test]
    fn what_is_deflated_is_inflated(
        words in prop::collection::vec(prop::collection::vec(prop::sample::select(b"abcdefgh".to_vec()), 0..400), 1..20),
        bits in 9..=15_u8,
        takes_over in any::<bool>(),
    ) {
        let window = Window { bits, takes_over };
        let own = if takes_over { window } else { SINGLE };
        let (mut deflater, mut inflater) = (Deflater::new(own), Inflater::new(window));
        for word in words {
            if let Some(deflated) = deflater.deflate(&word, window) {
                prop_assert!(deflated.len() < word.len());
                prop_assert_eq!(inflater.inflate(&deflated, word.len() as u64).unwrap(), word);
            }
        }
    }

    #[test]
    fn no_bytes_panic_or_grow(input in prop::collection::vec(any::<u8>(), 0..300), bytes_max in 0..2_000_u64) {
        for window in [SINGLE, LASTING] {
            let mut inflater = Inflater::new(window);
            for _ in 0..2 {
                if let Ok(inflated) = inflater.inflate(&input, bytes_max) {
                    prop_assert!(inflated.len() as u64 <= bytes_max);
                }
            }
        }
    }
}
