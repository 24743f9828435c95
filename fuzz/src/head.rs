//! Any bytes as the input of a machine: how they are cut decides nothing about what is read.
//! It must never expect a refusal as early from parts as from the whole.

use springtide_proto::Inbox;
use springtide_proto::http1::{Head, Limits, Machine, Received};

/// What was read: each head and body in order, and whether the rest was refused.
#[derive(Debug, Default, PartialEq, Eq)]
struct Read {
    said: Vec<u8>,
    is_refused: bool,
}

/// Reads the bytes whole, in halves, byte by byte and in steps that they choose.
///
/// # Panics
/// When two ways to cut them are read differently.
pub fn head(bytes: &[u8]) {
    let whole = read(bytes, usize::MAX);
    let chosen = 2 + usize::from(bytes.last().copied().unwrap_or(0) % 61);
    for step in [1, chosen, bytes.len() / 2 + 1] {
        let cut = read(bytes, step);
        assert_eq!(
            String::from_utf8_lossy(&whole.said),
            String::from_utf8_lossy(&cut.said),
            "in steps of {step}"
        );
        assert!(whole.is_refused || !cut.is_refused, "refused in steps of {step} only");
    }
}

fn read(bytes: &[u8], step: usize) -> Read {
    let limits = Limits { head_bytes_max: 2048, exchanges_max: u32::MAX, ..Limits::default() };
    let (mut machine, mut head) = (Machine::server(0, &limits), Head::new());
    let (mut inbox, mut read) = (Inbox::new(), Read::default());
    for piece in bytes.chunks(step.min(bytes.len().max(1))) {
        inbox.append(piece);
        loop {
            let input = inbox.as_slice();
            let consumed = match machine.receive(input, 0, &limits, &mut head) {
                Ok(Received::Head { consumed, .. }) => {
                    describe(&head, input, &mut read.said);
                    consumed
                }
                Ok(Received::Body { consumed, data }) => {
                    read.said.extend_from_slice(data.of(input));
                    consumed
                }
                Ok(Received::BodyEnd { consumed, .. }) => {
                    read.said.extend_from_slice(b"|end|");
                    consumed
                }
                Ok(Received::Skipped { consumed }) => consumed,
                Ok(
                    Received::NeedBytes | Received::Paused | Received::Switched | Received::Closed,
                ) => break,
                Err(_) => {
                    read.is_refused = true;
                    return read;
                }
            };
            assert!(consumed <= input.len(), "no more is consumed than there is");
            inbox.consume(consumed);
        }
    }
    read
}

fn describe(head: &Head, input: &[u8], said: &mut Vec<u8>) {
    assert!(head.len <= input.len() && head.fields().len() <= 128);
    said.extend_from_slice(format!("|{:?} {:?} ", head.method, head.body).as_bytes());
    said.extend_from_slice(head.target.of(input));
    let flags = [head.keep_alive, head.expect_continue, head.upgrade];
    said.extend_from_slice(format!(" {:?} {flags:?}|", head.version).as_bytes());
    for field in head.fields() {
        let (name, value) = (field.name.of(input), field.value.of(input));
        assert!(!name.is_empty() && !name.contains(&b':') && !name.contains(&b' '));
        assert!(!value.iter().any(|byte| matches!(byte, b'\r' | b'\n' | 0)));
        said.extend_from_slice(name);
        said.extend_from_slice(b"=");
        said.extend_from_slice(value);
        said.extend_from_slice(b"|");
    }
}
