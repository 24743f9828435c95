//! A codec of somebody's own, with everything that one may say.
//! It must never be easier than what applications write.

use bytes::Bytes;
use springtide_proto::framed::{Codec, Fault, Limits, Progress, Refusal, Scan};

use crate::driver::{Driver, check};

/// Several lines are one frame: as many as its first byte says. Blanks before it are skipped.
#[derive(Clone, Copy)]
struct Stanza;

impl Codec for Stanza {
    fn read(&self, input: &[u8], progress: &mut Progress) -> Result<Scan, Refusal> {
        let blanks = input.iter().take_while(|byte| **byte == b' ').count();
        if blanks > 0 {
            return Ok(Scan::Skipped { consumed: blanks });
        }
        if progress.at == 0 {
            let digit = char::from(input[0]).to_digit(10);
            let lines = digit.filter(|digit| *digit > 0);
            progress.left = lines.ok_or(Refusal::Codec("a stanza has lines"))? as usize;
            progress.at = 1;
        }
        for (index, byte) in input.iter().enumerate().skip(progress.at) {
            progress.at = index + 1;
            progress.left -= usize::from(*byte == b'\n');
            if progress.left == 0 {
                return Ok(Scan::Whole { consumed: index + 1, payload: 1..index });
            }
        }
        Ok(Scan::NeedBytes { at_least: input.len() + 2 * progress.left - 1 })
    }

    fn write_tail(&self, into: &mut Vec<u8>) {
        into.push(b'.');
    }

    fn answer_to(&self, fault: &Fault) -> Option<Bytes> {
        Some(match fault {
            Fault::Dropped => Bytes::from_static(b"dropped"),
            Fault::Refused(refusal) => Bytes::from(format!("{refusal}")),
        })
    }
}

#[test]
fn it_is_fed_as_any() {
    let expected = ["\"low\\nhigh\"", "\"x\"", "refused: a stanza has lines"];
    check(Stanza, " 2low\nhigh\n  1x\n0", &expected);
}

#[test]
fn its_words_are_sent() {
    let mut driver = Driver::new(Stanza, Limits::default());
    driver.feed(b"1a\n1b\n1c\nx");
    driver.give_up(1);
    driver.reply(2, b"C");
    driver.reply(0, b"A");
    assert_eq!(driver.sent(), b"A.dropped.C.a stanza has lines.");
    assert!(driver.machine.wants_close());
}
