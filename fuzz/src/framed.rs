//! Any bytes as frames of any description, against a plain reader that has them whole; and back.
//! The plain reader must never share code with the machine's.

use springtide_proto::framed::{Framed, Limits, Machine, Received};
use springtide_proto::{Inbox, Outbox};

/// The longest frame.
const BYTES_MAX: usize = 300;
const DELIMITERS: [&[u8]; 4] = [b"\0", b"--", b"aab", b"\r\n\r\n"];

/// How the bytes are taken apart.
#[derive(Clone, Copy)]
enum Kind {
    /// A length of so many bytes, 0 for a varint; whether it is big endian, and counts itself.
    Prefix(usize, bool, bool),
    Delimiter(&'static [u8]),
    Lines,
}

/// Reads frames of the kind that the first byte chooses, in steps of the second one's length, and
/// compares with the plain reader; echoes them, the newest first, and reads the echo.
///
/// # Panics
/// When the machine sees other frames than there are, or its replies are none of them.
pub fn framed(bytes: &[u8]) {
    let [kind, step, input @ ..] = bytes else { return };
    let kind = match kind % 16 {
        choice @ 0..=7 => {
            Kind::Prefix([1, 2, 4, 0][usize::from(choice % 4)], choice < 4, kind & 16 > 0)
        }
        choice @ 8..=11 => Kind::Delimiter(DELIMITERS[usize::from(choice % 4)]),
        _ => Kind::Lines,
    };
    let codec = codec(kind).frame_bytes_max(BYTES_MAX);
    let (found, echo) = read(codec, input, usize::from(*step).max(1));
    let expected = plain(kind, input);
    assert_eq!(found, expected, "{codec:?}");
    let (again, _) = read(codec, &echo, usize::MAX);
    assert_eq!(again.0, found.0, "{codec:?}, echoed");
}

fn codec(kind: Kind) -> Framed {
    let (codec, is_counted) = match kind {
        Kind::Lines => (Framed::lines(), false),
        Kind::Delimiter(delimiter) => (Framed::delimiter(delimiter), false),
        Kind::Prefix(1, _, is_counted) => (Framed::u8(), is_counted),
        Kind::Prefix(2, true, is_counted) => (Framed::u16_be(), is_counted),
        Kind::Prefix(2, false, is_counted) => (Framed::u16_le(), is_counted),
        Kind::Prefix(4, true, is_counted) => (Framed::u32_be(), is_counted),
        Kind::Prefix(4, false, is_counted) => (Framed::u32_le(), is_counted),
        Kind::Prefix(_, _, is_counted) => (Framed::varint(), is_counted),
    };
    if is_counted { codec.length_includes_prefix() } else { codec }
}

/// The frames, and whether anything was refused behind them.
type Frames = (Vec<Vec<u8>>, bool);

/// What the machine sees, and what it sends when the frames are given back.
fn read(codec: Framed, input: &[u8], step: usize) -> (Frames, Vec<u8>) {
    let limits = Limits { in_flight_max: u32::MAX, ..Limits::default() };
    let (mut machine, mut inbox, mut outbox) = (Machine::new(0), Inbox::new(), Outbox::new());
    let (mut frames, mut exchanges, mut is_refused) = (Vec::new(), Vec::new(), false);
    'pieces: for piece in input.chunks(step) {
        inbox.append(piece);
        loop {
            match machine.receive(inbox.as_slice(), 0, &codec, &limits) {
                Ok(Received::Frame { consumed, payload, exchange }) => {
                    frames.push(inbox.as_slice()[payload].to_vec());
                    exchanges.push(exchange);
                    inbox.consume(consumed);
                }
                Ok(_) => break,
                Err(_) => {
                    is_refused = true;
                    break 'pieces;
                }
            }
        }
        assert!(inbox.len() <= BYTES_MAX + 16, "{} bytes wait", inbox.len());
    }
    for (exchange, frame) in exchanges.into_iter().zip(&frames).rev() {
        // What a delimiter follows may be none of its own: `a-` before `--`.
        if machine.send_reply(exchange, frame.clone().into(), 0, &codec, &mut outbox).is_err() {
            return ((frames, is_refused), input.to_vec());
        }
    }
    let mut pieces = Vec::new();
    outbox.take_pieces(&mut pieces);
    let echo = pieces.iter().flat_map(|piece| piece.as_slice().to_vec()).collect();
    ((frames, is_refused), echo)
}

/// The same, read whole and without haste.
fn plain(kind: Kind, mut input: &[u8]) -> Frames {
    let mut frames = Vec::new();
    loop {
        let next = match kind {
            Kind::Prefix(width, is_big, is_counted) => by_length(width, is_big, is_counted, input),
            Kind::Delimiter(delimiter) => by_delimiter(delimiter, false, input),
            Kind::Lines => by_delimiter(b"\n", true, input),
        };
        match next {
            Ok(Some((frame, rest))) => {
                frames.push(frame.to_vec());
                input = rest;
            }
            Ok(None) => return (frames, false),
            Err(()) => return (frames, true),
        }
    }
}

type Next<'a> = Result<Option<(&'a [u8], &'a [u8])>, ()>;

fn by_length(width: usize, is_big: bool, is_counted: bool, input: &[u8]) -> Next<'_> {
    let (len, width) = match width {
        0 => {
            let Some(last) = input.iter().position(|byte| byte & 0x80 == 0) else {
                return if input.len() < 5 { Ok(None) } else { Err(()) };
            };
            let digits = input[..=last].iter().rev();
            if last >= 5 || (last > 0 && input[last] == 0) {
                return Err(());
            }
            (digits.fold(0_u64, |sum, byte| sum * 128 + u64::from(byte & 0x7f)), last + 1)
        }
        width if input.len() < width => return Ok(None),
        width => {
            let mut digits = input[..width].to_vec();
            if !is_big {
                digits.reverse();
            }
            (digits.iter().fold(0_u64, |sum, byte| sum * 256 + u64::from(*byte)), width)
        }
    };
    let own = if is_counted { width as u64 } else { 0 };
    let len = len.checked_sub(own).filter(|len| *len <= BYTES_MAX as u64).ok_or(())? as usize;
    let rest = &input[width..];
    Ok((rest.len() >= len).then(|| rest.split_at(len)))
}

fn by_delimiter<'a>(delimiter: &[u8], strips_cr: bool, input: &'a [u8]) -> Next<'a> {
    let strip = |frame: &'a [u8]| match strips_cr {
        true => frame.strip_suffix(b"\r").unwrap_or(frame),
        false => frame,
    };
    match input.windows(delimiter.len()).position(|window| window == delimiter) {
        Some(start) => {
            let frame = strip(&input[..start]);
            let is_short = frame.len() <= BYTES_MAX;
            if is_short { Ok(Some((frame, &input[start + delimiter.len()..]))) } else { Err(()) }
        }
        None => {
            let begun = (0..delimiter.len())
                .rev()
                .find(|count| input.ends_with(&delimiter[..*count]))
                .unwrap_or(0);
            let least = strip(&input[..input.len() - begun]).len();
            if least > BYTES_MAX { Err(()) } else { Ok(None) }
        }
    }
}
