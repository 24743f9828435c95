//! The rules of RFC 6455 as data, section by section: the same that Autobahn's suite looks at.
//! No case here may be of both kinds, what must be read and what must be refused.

use springtide_proto::websocket::Limits;

use crate::driver::{Driver, Side, check, check_bytes, check_limited, frame, head};

const TEXT: u8 = 0x81;
const BINARY: u8 = 0x82;
const CLOSE: u8 = 0x88;
const PING: u8 = 0x89;
const PONG: u8 = 0x8a;
/// A message that goes on.
const TEXT_BEGINS: u8 = 0x01;
const BINARY_BEGINS: u8 = 0x02;
const GOES_ON: u8 = 0x00;
const ENDS: u8 = 0x80;

/// RFC 6455 §5.2 and §5.6: messages of every length that is said differently.
#[test]
fn section_5_2_lengths() {
    for length in [0, 1, 125, 126, 127, 128, 300] {
        let payload = vec![b'*'; length];
        let text = format!("text {:?}", "*".repeat(length));
        check(&[(TEXT, &payload)], &[&text]);
        let binary = format!("binary {:?}", [0xfe].repeat(length));
        check(&[(BINARY, &[0xfe].repeat(length))], &[&binary]);
    }
    for length in [65_535, 65_536] {
        for side in [Side::Server, Side::Client] {
            let input = frame(side, BINARY, &vec![7; length]);
            let mut driver = Driver::new(side, Limits::default());
            input.chunks(997).for_each(|piece| driver.feed(piece));
            assert_eq!(driver.said, format!("binary {:?}\n", vec![7; length]));
        }
    }
}

/// RFC 6455 §5.2: a length is said in as few bytes as can be, and its highest bit is 0.
#[test]
fn section_5_2_lengths_that_are_none() {
    let refused = ["refused 1002 a length is not as short as it can be"];
    for side in [Side::Server, Side::Client] {
        let masked = if side == Side::Server { 0x80 } else { 0 };
        for said in [
            &[BINARY, masked | 126, 0, 0][..],
            &[BINARY, masked | 126, 0, 125],
            &[BINARY, masked | 127, 0, 0, 0, 0, 0, 0, 0, 1],
            &[BINARY, masked | 127, 0, 0, 0, 0, 0, 0, 0xff, 0xff],
            &[BINARY, masked | 127, 0x80, 0, 0, 0, 0, 0, 0, 0],
            &[BINARY, masked | 127, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
        ] {
            check_bytes(side, said, &Limits::default(), &refused);
        }
    }
}

/// RFC 6455 §5.2: reserved bits without an extension, in any frame, with and without a payload.
#[test]
fn section_5_2_reserved_bits() {
    for bits in (1..8).map(|bits| bits << 4) {
        for first in [TEXT, BINARY, CLOSE, PING, PONG, TEXT_BEGINS, BINARY_BEGINS] {
            for payload in [b"".as_slice(), b"x"] {
                check(
                    &[(TEXT, b"before"), (first | bits, payload), (TEXT, b"behind")],
                    &["text \"before\"", "refused 1002 a reserved bit is set"],
                );
            }
        }
        check(&[(TEXT_BEGINS, b"a"), (ENDS | bits, b"b")], &["refused 1002 a reserved bit is set"]);
    }
}

/// RFC 6455 §5.2: opcodes that are not given away, of messages and of control frames.
#[test]
fn section_5_2_opcodes() {
    for opcode in [3, 4, 5, 6, 7, 11, 12, 13, 14, 15] {
        for first in [opcode, 0x80 | opcode] {
            for payload in [b"".as_slice(), b"x"] {
                check(
                    &[(TEXT, b"before"), (first, payload), (PING, b"behind")],
                    &["text \"before\"", "refused 1002 the opcode is unknown"],
                );
            }
        }
    }
}

/// RFC 6455 §5.1: who masks and who does not.
#[test]
fn section_5_1_masks() {
    for first in [TEXT, BINARY, CLOSE, PING, PONG] {
        let limits = Limits::default();
        let refused = ["refused 1002 a frame has no mask"];
        check_bytes(Side::Server, &frame(Side::Client, first, b""), &limits, &refused);
        let refused = ["refused 1002 a frame has a mask"];
        check_bytes(Side::Client, &frame(Side::Server, first, b""), &limits, &refused);
    }
}

/// RFC 6455 §5.4: fragments, and control frames between them.
#[test]
fn section_5_4_fragments() {
    check(&[(TEXT_BEGINS, b"a"), (ENDS, b"b")], &["text \"ab\""]);
    check(&[(TEXT_BEGINS, b""), (GOES_ON, b""), (ENDS, b"")], &["text \"\""]);
    check(&[(TEXT_BEGINS, b""), (GOES_ON, b"middle"), (ENDS, b"")], &["text \"middle\""]);
    check(
        &[(BINARY_BEGINS, b"a"), (PING, b"p"), (GOES_ON, b"b"), (PONG, b"q"), (ENDS, b"c")],
        &["ping \"p\"", "pong \"q\"", "binary [97, 98, 99]"],
    );
    check(&[(TEXT_BEGINS, b"a"), (CLOSE, b""), (ENDS, b"b")], &["close 1005 \"\""]);
    check(
        &[(TEXT_BEGINS, b"a"), (ENDS, b"b"), (TEXT_BEGINS, b"c"), (ENDS, b"d")],
        &["text \"ab\"", "text \"cd\""],
    );
}

/// RFC 6455 §5.4: what continues nothing, and what begins within another.
#[test]
fn section_5_4_order() {
    for first in [GOES_ON, ENDS] {
        check(
            &[(TEXT, b"before"), (first, b"x"), (TEXT, b"behind")],
            &["text \"before\"", "refused 1002 a fragment continues no message"],
        );
    }
    for first in [TEXT, BINARY, TEXT_BEGINS, BINARY_BEGINS] {
        check(
            &[(TEXT_BEGINS, b"a"), (PING, b""), (first, b"b"), (ENDS, b"c")],
            &["ping \"\"", "refused 1002 a message begins within another"],
        );
    }
}

/// RFC 6455 §5.5: control frames are whole, and short.
#[test]
fn section_5_5_control_frames() {
    let longest = "*".repeat(125);
    for (first, name) in [(PING, "ping"), (PONG, "pong")] {
        for payload in ["", "x", &longest] {
            check(&[(first, payload.as_bytes())], &[&format!("{name} {payload:?}")]);
        }
    }
    for first in [CLOSE, PING, PONG] {
        check(&[(first & 0x7f, b"x")], &["refused 1002 a control frame is a fragment"]);
        check(&[(first, &[b'*'; 126])], &["refused 1002 a control frame is too long"]);
        for side in [Side::Server, Side::Client] {
            // Whatever length follows.
            let refused = ["refused 1002 a control frame is too long"];
            check_bytes(side, &head(side, first, 1 << 20)[..2], &Limits::default(), &refused);
        }
    }
    let ten: Vec<(u8, &[u8])> = (0..10).map(|_| (PING, b"x".as_slice())).collect();
    check(&ten, &["ping \"x\""; 10]);
}

/// RFC 6455 §5.5.2: a pong has what its ping had.
#[test]
fn section_5_5_2_pongs() {
    let mut driver = Driver::new(Side::Server, Limits::default());
    driver.feed(&frame(Side::Server, PING, b"tide"));
    assert_eq!(driver.sent(), frame(Side::Client, PONG, b"tide"));
    let mut driver = Driver::new(Side::Client, Limits::default());
    driver.feed(&frame(Side::Client, PING, b"tide"));
    assert_eq!(driver.sent(), frame(Side::Server, PONG, b"tide"), "a client masks it");
}

/// RFC 6455 §5.5.1: nothing is read behind a close.
#[test]
fn section_5_5_1_behind_a_close() {
    check(
        &[(CLOSE, b"\x03\xe8"), (TEXT, b"behind"), (PING, b""), (CLOSE, b"x")],
        &["close 1000 \"\""],
    );
    check(&[(CLOSE, b"\x03\xe8bye"), (0xff, b"nonsense")], &["close 1000 \"bye\""]);
}

/// RFC 6455 §7.4: codes that a peer may send, and those that it may not.
#[test]
fn section_7_4_codes() {
    for code in (1000..=1003_u16).chain(1007..=1014).chain([3000, 3999, 4000, 4999]) {
        check(&[(CLOSE, &code.to_be_bytes())], &[&format!("close {code} \"\"")]);
        for side in [Side::Server, Side::Client] {
            let mut driver = Driver::new(side, Limits::default());
            driver.feed(&frame(side, CLOSE, &[&code.to_be_bytes(), b"why".as_slice()].concat()));
            let other = if side == Side::Server { Side::Client } else { Side::Server };
            assert_eq!(driver.sent(), frame(other, CLOSE, &code.to_be_bytes()), "the same code");
            assert_eq!(driver.machine.wants_close(), side == Side::Server, "RFC 6455 §7.1.1");
        }
    }
    for code in [0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65_535_u16] {
        let refused = ["refused 1002 no peer may send this close code"];
        check(&[(CLOSE, &code.to_be_bytes())], &refused);
    }
    check(&[(CLOSE, b"")], &["close 1005 \"\""]);
    check(&[(CLOSE, b"\x03")], &["refused 1002 a close code has two bytes"]);
}

/// RFC 6455 §5.5.1 and §8.1: the reason of a close is text.
#[test]
fn section_8_1_reasons() {
    let longest = [b"\x03\xe8".as_slice(), &[b'*'; 123]].concat();
    check(&[(CLOSE, &longest)], &[&format!("close 1000 {:?}", "*".repeat(123))]);
    check(
        &[(CLOSE, "\u{3}\u{68}ö".as_bytes())],
        &["refused 1002 no peer may send this close code"],
    );
    let right = [b"\x03\xe8".as_slice(), "tö".as_bytes()].concat();
    check(&[(CLOSE, &right)], &["close 1000 \"tö\""]);
    for wrong in [b"\x03\xe8\xc3".as_slice(), b"\x03\xe8\xff", b"\x03\xe8\xed\xa0\x80"] {
        check(&[(CLOSE, wrong)], &["refused 1007 text is not UTF-8"]);
    }
}

/// Text that is UTF-8, also where it is strange.
const RIGHT: &[&str] = &[
    "Hello-µ@ßöäüàá-UTF-8!!",
    "κόσμε",
    "\0\u{7f}\u{80}\u{7ff}\u{800}\u{ffff}\u{10000}\u{10ffff}",
    "\u{d7ff}\u{e000}\u{fffd}\u{fdd0}\u{fffe}",
];

/// Bytes that no UTF-8 goes on with: overlong, surrogates, beyond the last code point, alone.
const WRONG: &[&[u8]] = &[
    b"\x80",
    b"\xbf",
    b"\xc0\xaf",
    b"\xc1\xbf",
    b"\xe0\x80\xaf",
    b"\xe0\x9f\xbf",
    b"\xf0\x80\x80\xaf",
    b"\xf0\x8f\xbf\xbf",
    b"\xf8\x88\x80\x80\x80",
    b"\xfc\x84\x80\x80\x80\x80",
    b"\xfe",
    b"\xff",
    b"\xed\xa0\x80",
    b"\xed\xbf\xbf",
    b"\xf4\x90\x80\x80",
    b"\xc3\x28",
    b"\xe2\x28\xa1",
    b"\xe2\x82\x28",
    b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xed\xa0\x80edited",
];

/// RFC 6455 §8.1: text in one frame, and in two, cut at every byte.
#[test]
fn section_8_1_text() {
    for text in RIGHT {
        check(&[(TEXT, text.as_bytes())], &[&format!("text {text:?}")]);
        for cut in 0..text.len() {
            let (front, back) = text.as_bytes().split_at(cut);
            check(&[(TEXT_BEGINS, front), (ENDS, back)], &[&format!("text {text:?}")]);
        }
    }
    for wrong in WRONG {
        check(&[(TEXT, wrong)], &["refused 1007 text is not UTF-8"]);
        for cut in 0..wrong.len() {
            let (front, back) = wrong.split_at(cut);
            check(&[(TEXT_BEGINS, front), (ENDS, back)], &["refused 1007 text is not UTF-8"]);
        }
        check(&[(BINARY, wrong)], &[&format!("binary {wrong:?}")]);
    }
    for cut in [b"\xc3".as_slice(), b"\xe2\x82", b"\xf0\x9f\x8c", b"a\xce"] {
        check(&[(TEXT, cut)], &["refused 1007 text is not UTF-8"]);
    }
}

/// RFC 6455 §8.1, as Autobahn's 6.4.3 and 6.4.4 have it: a bad byte fails when it comes, whatever of its
/// frame, or of its message, is still to come.
#[test]
fn section_8_1_at_once() {
    for side in [Side::Server, Side::Client] {
        for wrong in WRONG {
            let known = (1..=wrong.len())
                .find(|end| {
                    std::str::from_utf8(&wrong[..*end]).is_err_and(|e| e.error_len().is_some())
                })
                .unwrap();
            let mut driver = Driver::new(side, Limits::default());
            let all = frame(side, TEXT_BEGINS, &[wrong, [b'x'; 100].as_slice()].concat());
            let before = all.len() - wrong.len() - 100;
            driver.feed(&all[..before + known - 1]);
            assert_eq!(driver.said, "", "{wrong:x?}");
            driver.feed(&all[before + known - 1..before + known]);
            assert_eq!(driver.said, "refused 1007 text is not UTF-8\n", "{wrong:x?}");
        }
    }
}

/// Limits: a long message is refused by its head, before anything of it is kept.
#[test]
fn limits_of_messages() {
    let limits = Limits { socket_message_bytes_max: 10, ..Limits::default() };
    check_limited(&[(BINARY, &[1; 10])], &limits, &["binary [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]"]);
    let refused = ["refused 1009 a message is too long"];
    check_limited(&[(BINARY, &[1; 11])], &limits, &refused);
    check_limited(&[(BINARY_BEGINS, &[1; 6]), (GOES_ON, &[1; 5])], &limits, &refused);
    for length in [11, 1 << 16, 1 << 40] {
        for side in [Side::Server, Side::Client] {
            let mut input = head(side, BINARY, length);
            input.extend([0; 4]);
            check_bytes(side, &input, &limits, &refused);
        }
    }
}

#[test]
fn limits_of_fragments() {
    let limits = Limits { socket_fragments_max: 3, ..Limits::default() };
    let three: [(u8, &[u8]); 3] = [(TEXT_BEGINS, b"a"), (GOES_ON, b""), (ENDS, b"b")];
    check_limited(&three, &limits, &["text \"ab\""]);
    let refused = ["refused 1008 a message has too many fragments"];
    let four = [(TEXT_BEGINS, b"a".as_slice()), (GOES_ON, b""), (GOES_ON, b""), (ENDS, b"b")];
    check_limited(&four, &limits, &refused);
    let message_by_message = [three, three].concat();
    check_limited(&message_by_message, &limits, &["text \"ab\""; 2]);
}

#[test]
fn limits_of_control_frames() {
    let limits = Limits { socket_controls_max: 3, ..Limits::default() };
    let pings: Vec<(u8, &[u8])> = (0..5).map(|_| (PING, b"".as_slice())).collect();
    check_limited(&pings[..3], &limits, &["ping \"\""; 3]);
    let refused = "refused 1008 too many control frames";
    check_limited(&pings, &limits, &["ping \"\"", "ping \"\"", "ping \"\"", refused]);
    let mut driver = Driver::new(Side::Server, limits);
    for _ in 0..10 {
        for _ in 0..3 {
            driver.feed(&frame(Side::Server, PONG, b""));
        }
        driver.now_ms += 1_000;
    }
    assert_eq!(driver.said, "pong \"\"\n".repeat(30), "three in each second");
}
