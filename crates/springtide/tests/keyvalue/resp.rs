//! The form of commands, byte by byte, and what is none.

use springtide::framed::{Codec, Progress, Scan};

use super::example::resp::{INLINE_BYTES_MAX, Resp, arguments};

const RESP: Resp = Resp { command_bytes_max: 100 };

/// Reads commands byte by byte, with all that came before; what was refused ends them.
fn read(input: &[u8]) -> Vec<String> {
    let (mut found, mut start, mut progress) = (Vec::new(), 0, Progress::default());
    for end in 1..=input.len() {
        let begun = &input[start..end];
        let consumed = match RESP.read(begun, &mut progress) {
            Ok(Scan::NeedBytes { at_least }) => {
                assert!(at_least > begun.len());
                continue;
            }
            Ok(Scan::Skipped { consumed }) => consumed,
            Ok(Scan::Whole { consumed, payload }) => {
                let words = arguments(&begun[payload]);
                let words = words.iter().map(|word| String::from_utf8_lossy(word));
                found.push(words.collect::<Vec<_>>().join("|"));
                consumed
            }
            Err(refusal) => {
                found.push(refusal.to_string());
                return found;
            }
        };
        (start, progress) = (start + consumed, Progress::default());
    }
    found
}

#[test]
fn commands_have_two_forms() {
    let input =
        b"PING\r\n*2\r\n$4\r\nECHO\r\n$3\r\na\r\n\r\n\r\n \n*0\r\n  GET  tide \n*1\r\n$0\r\n\r\n";
    assert_eq!(read(input), ["PING", "ECHO|a\r\n", "GET|tide", ""]);
}

#[test]
fn what_is_no_command_is_refused() {
    for (input, expected) in [
        (b"*x\r\n".as_slice(), "invalid length"),
        (b"*9999999999\r\n", "invalid multibulk length"),
        (b"*1\r\n+OK\r\n", "expected '$'"),
        (b"*1\r\n$-1\r\n", "invalid bulk length"),
        (b"*1\r\n$101\r\n", "invalid bulk length"),
        (b"*1\r\n$1\r\nabc", "a bulk string ends in CR LF"),
        (b"*1\r\n$0000000000000000000000", "invalid length"),
        (b"*1\r\n$+1\r\n", "invalid length"),
    ] {
        assert_eq!(read(input), [expected], "{}", String::from_utf8_lossy(input));
    }
    assert_eq!(read(&[b'x'; INLINE_BYTES_MAX + 1]), ["too big inline request"]);
}
