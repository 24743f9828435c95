//! What a server that plays a plan was told, and whether it may have been.
//! It asks nothing of anybody.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use proptest::prelude::*;
use proptest::test_runner::TestCaseResult;

use super::{DELIMITER, Wanted};
use crate::{Bytes, Peer, Reason};

/// What was told.
#[derive(Default)]
pub(super) struct Record {
    told: Mutex<Told>,
    /// Counted: buffers that were pushed, and captures.
    token: Arc<()>,
}

#[derive(Default)]
struct Told {
    received: Vec<u8>,
    /// How many tasks were asked for whose ends are to be told, and how many were.
    begun: usize,
    ended: usize,
    /// By number: what is known of a push.
    pushes: BTreeMap<u32, Sent>,
    closed: Vec<Reason>,
    ended_by_close: usize,
    mistakes: Vec<String>,
}

/// Whether a push was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sent {
    Yes,
    No,
    Perhaps,
}

/// Bytes of a push, which are counted while anybody has them.
struct Counted {
    bytes: Vec<u8>,
    _token: Arc<()>,
}

impl AsRef<[u8]> for Counted {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

/// How a frame begins: its number, and its length with this.
const HEAD: usize = 8;

/// What a peer says: known at every place, with delimiters in between.
pub(super) fn pattern(len: usize) -> Vec<u8> {
    let byte = |at: usize| (at.wrapping_mul(0x9E37_79B1) >> 7).to_le_bytes()[0];
    let line = |at: usize| at % 97 == 31 || at % 512 == 500;
    (0..len).map(|at| if line(at) { DELIMITER.as_bytes()[0] } else { byte(at) | 0x20 }).collect()
}

fn frame(number: u32, len: usize) -> Vec<u8> {
    let whole = u32::try_from(HEAD + len).unwrap();
    let head = [number.to_be_bytes(), whole.to_be_bytes()].concat();
    let body = pattern(number as usize + len);
    [&head[..], &body[number as usize..]].concat()
}

impl Record {
    /// What callbacks capture, to be counted.
    pub(super) fn token(&self) -> Arc<()> {
        Arc::clone(&self.token)
    }

    /// How many buffers and captures there are.
    pub(super) fn kept(&self) -> usize {
        Arc::strong_count(&self.token) - 1
    }

    /// The bytes of a push, nothing of which is known yet.
    pub(super) fn begin_push(&self, number: u32, len: usize) -> Bytes {
        self.told.lock().unwrap().pushes.insert(number, Sent::Perhaps);
        Bytes::from_owner(Counted { bytes: frame(number, len), _token: self.token() })
    }

    /// The end of a task is to be told from here on.
    pub(super) fn begin(&self) {
        self.told.lock().unwrap().begun += 1;
    }

    /// A pull has ended so; whether that was the end of the stream.
    pub(super) fn end_pull(&self, wanted: Wanted, result: Result<Option<Bytes>, Reason>) -> bool {
        let mut told = self.told.lock().unwrap();
        told.ended += 1;
        match result {
            Ok(Some(bytes)) => {
                if !is_as_wanted(wanted, &bytes) {
                    told.mistakes.push(format!("{wanted:?} was given {bytes:?}"));
                }
                told.received.extend_from_slice(&bytes);
                false
            }
            Ok(None) => matches!(wanted, Wanted::Some),
            Err(reason) => told.see(reason),
        }
    }

    /// A push has ended so.
    pub(super) fn end_push(&self, number: u32, result: &Result<Bytes, Reason>) {
        let mut told = self.told.lock().unwrap();
        told.ended += 1;
        let sent = match result {
            Ok(bytes) => {
                let is_own = bytes.starts_with(&number.to_be_bytes());
                if !is_own {
                    told.mistakes.push(format!("push {number} gives other bytes back"));
                }
                Sent::Yes
            }
            Err(Reason::Cancelled | Reason::Limit(_)) => Sent::No,
            Err(reason) => {
                told.see(*reason);
                Sent::Perhaps
            }
        };
        told.pushes.insert(number, sent);
    }

    /// The connection has ended, behind all that was to be told of it.
    pub(super) fn close(&self, peer: Peer, reason: Reason) {
        let mut told = self.told.lock().unwrap();
        if told.ended_by_close > 0 || peer.status() != crate::PeerStatus::Closed {
            told.mistakes.push("an end is told too early, or twice".to_owned());
        }
        told.ended_by_close += 1;
        if told.ended != told.begun {
            let (ended, begun) = (told.ended, told.begun);
            told.mistakes.push(format!("the end is told behind {ended} of {begun} tasks"));
        }
        told.closed.push(reason);
    }

    pub(super) fn has_closed(&self) -> bool {
        !self.told.lock().unwrap().closed.is_empty()
    }

    /// Whether all this may have been, with what a peer has said and received.
    pub(super) fn judge(&self, sent: &[u8], received: &[u8], end: Reason) -> TestCaseResult {
        let told = self.told.lock().unwrap();
        prop_assert!(told.mistakes.is_empty(), "{:?}", told.mistakes);
        prop_assert_eq!(told.ended, told.begun, "each task ends once");
        let is_reset = end == Reason::Reset;
        prop_assert!(sent.starts_with(&told.received), "behind {} bytes", told.received.len());
        prop_assert!(is_reset || sent.len() == told.received.len(), "{}", told.received.len());
        // A reset may meet a connection that has ended by then.
        let is_any = |reason| told.closed == [reason];
        let is_early = is_reset && (is_any(Reason::Closed) || is_any(Reason::PeerClosed));
        let is_expected = told.closed == [end] || is_early;
        prop_assert!(is_expected, "{:?}", told.closed);
        let mut rest = received;
        let mut last = None;
        let mut came = BTreeMap::new();
        while rest.len() >= HEAD {
            let number = u32::from_be_bytes(rest[..4].try_into().unwrap());
            let len = u32::from_be_bytes(rest[4..8].try_into().unwrap()) as usize;
            if rest.len() < len && is_reset {
                break;
            }
            prop_assert!(rest.len() >= len, "push {number} is cut");
            prop_assert!(rest[..len] == frame(number, len - HEAD), "push {number} is whole");
            prop_assert!(last < Some(number), "{number} stands behind {last:?}");
            (last, rest) = (Some(number), &rest[len..]);
            came.insert(number, ());
        }
        prop_assert!(is_reset || rest.is_empty());
        for (number, sent) in &told.pushes {
            let has_come = came.contains_key(number);
            let is_well = match sent {
                Sent::Yes => has_come || is_reset,
                Sent::No => !has_come,
                Sent::Perhaps => true,
            };
            prop_assert!(is_well, "push {number}: {sent:?}, and it came: {has_come}");
        }
        Ok(())
    }
}

impl Told {
    /// A task has failed so; whether nothing more is to be asked.
    fn see(&mut self, reason: Reason) -> bool {
        match reason {
            Reason::Cancelled | Reason::Limit(_) => false,
            Reason::Reset | Reason::Closed | Reason::PeerClosed | Reason::Stale => true,
            reason => {
                self.mistakes.push(format!("a task fails with {reason:?}"));
                true
            }
        }
    }
}

fn is_as_wanted(wanted: Wanted, bytes: &[u8]) -> bool {
    match wanted {
        Wanted::Some => !bytes.is_empty(),
        Wanted::Exact(count) => bytes.len() == count,
        Wanted::Until(max) => {
            let ends = bytes.iter().filter(|byte| **byte == DELIMITER.as_bytes()[0]).count();
            bytes.ends_with(DELIMITER.as_bytes()) && ends == 1 && bytes.len() <= max
        }
    }
}
