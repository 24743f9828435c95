//! What reading costs, counted: every byte is looked at once, in whatever pieces it comes, and
//! nothing is kept of what was consumed. No time is measured here.

use std::cell::Cell;

use springtide_proto::framed::{Codec, Framed, Limits, Machine, Progress, Received, Refusal, Scan};
use springtide_proto::{Inbox, Outbox};

/// Counts the calls of a codec, and the bytes that it has not said before to have seen.
struct Counted<'a> {
    codec: Framed,
    calls: &'a Cell<usize>,
    bytes: &'a Cell<usize>,
}

impl Codec for Counted<'_> {
    fn read(&self, input: &[u8], progress: &mut Progress) -> Result<Scan, Refusal> {
        let before = progress.at;
        let scan = self.codec.read(input, progress);
        let seen = match &scan {
            Ok(Scan::Whole { consumed, .. }) => consumed - before,
            _ => input.len() - before,
        };
        self.calls.set(self.calls.get() + 1);
        self.bytes.set(self.bytes.get() + seen);
        scan
    }
}

/// So many bytes are read in each case.
const BYTES: usize = 1 << 18;

/// Reads these frames in pieces of that length; how often the codec was called, and how many bytes
/// it looked at.
fn read(codec: Framed, frame: &[u8], piece: usize) -> (usize, usize) {
    let (calls, bytes) = (Cell::new(0), Cell::new(0));
    let codec = Counted { codec, calls: &calls, bytes: &bytes };
    let limits = Limits::default();
    let (mut machine, mut inbox, mut outbox) = (Machine::new(0), Inbox::new(), Outbox::new());
    let mut frames = 0;
    for piece in frame.repeat(BYTES / frame.len()).chunks(piece) {
        inbox.append(piece);
        while let Received::Frame { consumed, exchange, .. } =
            machine.receive(inbox.as_slice(), 0, &codec, &limits).unwrap()
        {
            inbox.consume(consumed);
            machine.send_nothing(exchange, 0, &codec, &mut outbox);
            frames += 1;
        }
    }
    assert!(inbox.is_empty() && frames == BYTES / frame.len());
    (calls.get(), bytes.get())
}

#[test]
fn a_byte_is_looked_at_once_however_it_comes() {
    let frames = [1 << 6, 1 << 12, 1 << 16].map(|len: usize| {
        let prefix = [(len as u32 - 4).to_be_bytes().as_slice(), &vec![b'x'; len - 4]].concat();
        let line = [vec![b'x'; len - 1], vec![b'\n']].concat();
        let wide = [vec![b'-'; len - 3], b"--+".to_vec()].concat();
        [(Framed::u32_be(), prefix), (Framed::lines(), line), (Framed::delimiter(b"--+"), wide)]
    });
    for (codec, frame) in frames.into_iter().flatten() {
        for piece in [1, 2, 7, 64, 1000, 4096, 65_536] {
            let (calls, bytes) = read(codec, &frame, piece);
            let frames = BYTES / frame.len();
            let most = match codec == Framed::u32_be() {
                // It looks at the length only, which says when it is worth another look.
                true => 5 * frames,
                false => {
                    assert_eq!(bytes, BYTES, "{codec:?}, {} in pieces of {piece}", frame.len());
                    2 * frames + BYTES.div_ceil(piece)
                }
            };
            assert!(calls <= most, "{codec:?}, {} in pieces of {piece}: {calls}", frame.len());
        }
    }
}
