//! What is a frame and what is none, as data.
//! Nothing here may know how a machine is fed.

use springtide_proto::Outbox;
use springtide_proto::framed::{Codec, Framed, PayloadError};

use crate::driver::check;

#[test]
fn lengths() {
    let low = "\"low\"";
    check(Framed::u8(), b"\x03low\x00\x01x", &[low, "\"\"", "\"x\""]);
    check(Framed::u16_be(), b"\x00\x03low\x00\x00", &[low, "\"\""]);
    check(Framed::u16_le(), b"\x03\x00low\x00\x00", &[low, "\"\""]);
    check(Framed::u32_be(), b"\x00\x00\x00\x03low", &[low]);
    check(Framed::u32_le(), b"\x03\x00\x00\x00low\x01\x00\x00", &[low]);
    let long = [b"\xac\x02".as_slice(), &[b'x'; 300], b"\x00"].concat();
    check(Framed::varint(), long, &[&format!("{:?}", "x".repeat(300)), "\"\""]);
}

#[test]
fn lengths_that_count_themselves() {
    let below = "refused: a length does not count itself";
    check(Framed::u8().length_includes_prefix(), b"\x04low\x01\x00", &["\"low\"", "\"\"", below]);
    let wide = Framed::u32_be().length_includes_prefix();
    check(wide, b"\x00\x00\x00\x05x\x00\x00\x00\x04\x00\x00\x00\x03", &["\"x\"", "\"\"", below]);
    check(Framed::varint().length_includes_prefix(), b"\x02x\x00", &["\"x\"", below]);
    let long = [b"\x80\x01".as_slice(), &[b'y'; 126]].concat();
    let expected = format!("{:?}", "y".repeat(126));
    check(Framed::varint().length_includes_prefix(), long, &[&expected]);
}

#[test]
fn varints_are_as_short_as_can_be() {
    let overlong = "refused: a length is written longer than it need be";
    for input in [
        b"\x80\x00".as_slice(),
        b"\x83\x80\x00low",
        b"\xff\xff\xff\xff\x10",
        b"\xff\xff\xff\xff\xff",
        b"\x80\x80\x80\x80\x80\x01",
    ] {
        check(Framed::varint(), input, &[overlong]);
    }
}

#[test]
fn a_frame_may_be_as_long_as_the_limit_and_no_longer() {
    let too_long = "refused: a frame is longer than 3 bytes";
    for (codec, input) in [
        (Framed::u8(), b"\x03low\x04".as_slice()),
        (Framed::u16_le(), b"\x03\x00low\x04\x00"),
        (Framed::u16_be(), b"\x00\x03low\xff\xff"),
        (Framed::u32_be(), b"\x00\x00\x00\x03low\xff\xff\xff\xff"),
        (Framed::u32_le(), b"\x03\x00\x00\x00low\x04\x00\x00\x00"),
        (Framed::varint(), b"\x03low\xff\xff\xff\xff\x0f"),
        (Framed::lines(), b"low\r\nhigh"),
        (Framed::lines(), b"low\nhigh\r\n"),
        (Framed::delimiter(b"--"), b"low--high-"),
        (Framed::delimiter(b"\r\n\r\n"), b"low\r\n\r\nhigh\r\n\r\n"),
    ] {
        check(codec.frame_bytes_max(3), input, &["\"low\"", too_long]);
    }
}

#[test]
fn lines() {
    check(Framed::lines(), "low\nhigh\r\n\n\r\nx", &["\"low\"", "\"high\"", "\"\"", "\"\""]);
    check(Framed::lines(), "a\rb\n\r\r\n", &["\"a\\rb\"", "\"\\r\""]);
}

#[test]
fn delimiters() {
    check(Framed::delimiter(b"\0"), b"low\0\0high", &["\"low\"", "\"\""]);
    check(Framed::delimiter(b"--"), "a-b--c---", &["\"a-b\"", "\"c\""]);
    check(Framed::delimiter(b"aab"), "aaabxaab", &["\"a\"", "\"x\""]);
    check(Framed::delimiter(b"\r\n\r\n"), "a\r\n\r\r\n\r\n\r\n", &["\"a\\r\\n\\r\""]);
    let widest = Framed::delimiter(b"0123456789abcdef");
    check(widest, "x0123456789abcde0123456789abcdef", &["\"x0123456789abcde\""]);
}

#[test]
fn what_is_written_is_read_again() {
    let codecs = [
        Framed::u8(),
        Framed::u16_be(),
        Framed::u16_le().length_includes_prefix(),
        Framed::u32_le(),
        Framed::varint(),
        Framed::varint().length_includes_prefix(),
        Framed::lines(),
        Framed::delimiter(b"\r\n\r\n"),
    ];
    for codec in codecs {
        for len in [0, 1, 124, 125, 126, 127, 128, 129, 253, 254, 255] {
            let payload = "x".repeat(len);
            let mut frame = Vec::new();
            match codec.write_head(payload.as_bytes(), &mut frame) {
                Ok(()) => {
                    frame.extend_from_slice(payload.as_bytes());
                    codec.write_tail(&mut frame);
                    check(codec, frame, &[&format!("{payload:?}")]);
                }
                Err(error) => panic!("{codec:?}, {len} bytes: {error}"),
            }
        }
    }
}

#[test]
fn what_is_no_frame_is_not_sent() {
    let too_long = |bytes_max| Err(PayloadError::TooLong { bytes_max });
    for (codec, payload, expected) in [
        (Framed::u8(), vec![b'x'; 256], too_long(255)),
        (Framed::u8().length_includes_prefix(), vec![b'x'; 255], too_long(254)),
        (Framed::u16_be(), vec![b'x'; 65_536], too_long(65_535)),
        (Framed::u32_be().frame_bytes_max(9), vec![b'x'; 10], too_long(9)),
        (Framed::lines(), b"a\nb".to_vec(), Err(PayloadError::HoldsDelimiter)),
        (Framed::lines(), b"a\r".to_vec(), Err(PayloadError::HoldsDelimiter)),
        (Framed::delimiter(b"--"), b"a--b".to_vec(), Err(PayloadError::HoldsDelimiter)),
        (Framed::delimiter(b"--"), b"a-".to_vec(), Err(PayloadError::HoldsDelimiter)),
        (Framed::delimiter(b"aba"), b"xab".to_vec(), Err(PayloadError::HoldsDelimiter)),
        (Framed::delimiter(b"ab"), b"xa".to_vec(), Ok(())),
    ] {
        let mut outbox = Outbox::new();
        assert_eq!(codec.write_head(&payload, outbox.tail_mut()), expected, "{codec:?}");
        assert!(outbox.is_empty(), "{codec:?} wrote");
    }
}

#[test]
#[should_panic(expected = "a delimiter has 1 to 16 bytes")]
fn a_delimiter_has_bytes() {
    let _ = Framed::delimiter(b"");
}

#[test]
#[should_panic(expected = "an id could hold the delimiter")]
fn a_line_has_no_id() {
    let _ = Framed::lines().tagged(0, 4);
}
