//! Prints what a byte costs in the machine for frames, in pieces of every length: nanoseconds. The
//! curve is flat but for what each piece costs. It must never be taken for a benchmark of the server.

use springtide_proto::framed::{Framed, Limits, Machine, Received};
use springtide_proto::{Inbox, Outbox};
use std::hint::black_box;
use std::time::Instant;

/// So many bytes are read each time.
const BYTES: usize = 1 << 20;

fn main() {
    println!("{:>9} {:>7} {:>11} {:>11}", "piece", "frame", "u32, ns/B", "lines, ns/B");
    for frame in [64, 4096, 65_536] {
        let len = (frame as u32 - 4).to_be_bytes();
        let prefixed = [len.as_slice(), &vec![b'x'; frame - 4]].concat().repeat(BYTES / frame);
        let lines = [vec![b'x'; frame - 1], vec![b'\n']].concat().repeat(BYTES / frame);
        for piece in (0..=16).step_by(2).map(|power| 1 << power) {
            let best = |codec, input: &[u8]| {
                (0..9).map(|_| measure(codec, input, piece)).fold(f64::INFINITY, f64::min)
            };
            let (u32_ns, lines_ns) =
                (best(Framed::u32_be(), &prefixed), best(Framed::lines(), &lines));
            println!("{piece:>9} {frame:>7} {u32_ns:>11.3} {lines_ns:>11.3}");
        }
    }
}

/// Nanoseconds for each byte of an input that comes in such pieces.
#[expect(clippy::disallowed_methods, reason = "a program that measures reads the clock")]
fn measure(codec: Framed, input: &[u8], piece: usize) -> f64 {
    let limits = Limits::default();
    let (mut machine, mut inbox, mut outbox) = (Machine::new(0), Inbox::new(), Outbox::new());
    let start = Instant::now();
    for piece in input.chunks(piece) {
        // As a connection does it: in the chunk, but what a chunk's border has cut.
        let is_joined = !inbox.is_empty();
        if is_joined {
            inbox.append(piece);
        }
        let mut consumed_bytes = 0;
        let bytes = if is_joined { inbox.as_slice() } else { piece };
        while let Ok(Received::Frame { consumed, payload, exchange }) =
            machine.receive(&bytes[consumed_bytes..], 0, &codec, &limits)
        {
            black_box(&bytes[consumed_bytes..][payload]);
            machine.send_nothing(exchange, 0, &codec, &mut outbox);
            consumed_bytes += consumed;
        }
        match is_joined {
            true => inbox.consume(consumed_bytes),
            false => inbox.append(&piece[consumed_bytes..]),
        }
    }
    assert!(inbox.is_empty(), "every frame was whole");
    start.elapsed().as_nanos() as f64 / input.len() as f64
}
