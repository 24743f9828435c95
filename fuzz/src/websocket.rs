//! Any bytes as handshakes, frames, compressed messages and text of WebSockets, against plain readings of
//! the same. No plain reading here may share code with what it is held against.

use springtide_proto::Outbox;
use springtide_proto::websocket::handshake::{Asked, Offer, agree};
use springtide_proto::websocket::{
    Deflater, Inflater, Kind, Limits, Machine, Received, Refusal, Utf8Check, Window,
};

/// The longest message.
const BYTES_MAX: usize = 300;

/// Reads lines of `name: value` as the fields of a handshake. What is agreed on is written as a client
/// reads it.
///
/// # Panics
/// When the two sides disagree, or something is taken that has no place in an answer.
pub fn handshake(bytes: &[u8]) {
    let [kind, lines @ ..] = bytes else { return };
    let fields: Vec<(&str, &[u8])> = lines
        .split(|byte| *byte == b'\n')
        .filter_map(|line| {
            let colon = line.iter().position(|byte| *byte == b':')?;
            Some((std::str::from_utf8(&line[..colon]).ok()?, line[colon + 1..].trim_ascii()))
        })
        .collect();
    let Ok(offer) = Offer::read(fields) else { return };
    assert_eq!(offer.accept().len(), 28, "a hash of 20 bytes in base64");
    let protocols: Vec<&str> = offer.protocols().collect();
    for (index, protocol) in protocols.iter().enumerate() {
        assert!(protocol.bytes().all(|byte| byte.is_ascii_graphic() && byte != b','));
        assert!(!protocols[..index].contains(protocol), "each once");
    }
    let Some(agreed) = agree(offer.extensions(), kind & 1 == 0) else { return };
    let asked = Asked::new([7; 16], []).with_deflate();
    let own: Vec<(&str, String)> = asked.fields().collect();
    let own = Offer::read(own.iter().map(|(name, value)| (*name, value.as_bytes())));
    let accept = own.expect("a client asks as it must");
    let answer = agreed.answer();
    let answer = [
        ("upgrade", b"websocket".as_slice()),
        ("connection", b"upgrade"),
        ("sec-websocket-accept", accept.accept().as_bytes()),
        ("sec-websocket-extensions", answer.as_bytes()),
    ];
    let checked = asked.check(springtide::StatusCode::SWITCHING_PROTOCOLS, answer);
    let found = checked.expect("a server agrees on what was offered").deflate;
    assert_eq!(found.map(|found| found.server), Some(agreed.server));
}

/// Reads frames, whole and in steps of the second byte's length, on the side that the first one chooses,
/// and answers what is to be answered.
///
/// # Panics
/// When a cut makes a difference, more is held than has come, or text is none.
pub fn frames(bytes: &[u8]) {
    let [kind, step, input @ ..] = bytes else { return };
    let (whole, length) = (read(*kind, input, usize::MAX, false), usize::from(*step).max(1));
    for lends in [false, true] {
        assert_eq!(whole, read(*kind, input, length, lends), "in steps of {step}, lent: {lends}");
    }
}

/// What is said of an input, and what is sent back. What is to come of a frame may go into lent memory.
fn read(kind: u8, input: &[u8], step: usize, lends: bool) -> (Vec<String>, Vec<u8>) {
    let limits = Limits {
        socket_message_bytes_max: BYTES_MAX as u64,
        socket_fragments_max: 5,
        socket_controls_max: 9,
        ..Limits::default()
    };
    let (mut machine, key) = match kind & 1 {
        0 => (Machine::server(0), None),
        _ => (Machine::client(0), Some([1, 2, 3, 4])),
    };
    if kind & 2 > 0 {
        machine.accept_compressed();
    }
    let (mut said, mut outbox, mut waiting) = (Vec::new(), Outbox::new(), Vec::new());
    for mut piece in input.chunks(step.min(input.len().max(1))) {
        loop {
            let is_free = lends && waiting.is_empty() && !piece.is_empty();
            let received = match is_free.then(|| machine.lend(kind.into())).flatten() {
                Some(memory) => fill(&mut machine, memory, &mut piece),
                None => {
                    waiting.extend_from_slice(std::mem::take(&mut piece));
                    machine.receive(&waiting, 0, &limits)
                }
            };
            let consumed = match received {
                Ok(Received::NeedBytes { at_least }) => {
                    assert!(at_least > waiting.len());
                    break;
                }
                Ok(Received::Closed) => break,
                Ok(Received::Taken { consumed }) => consumed,
                Ok(Received::Message { consumed, kind, is_compressed, payload }) => {
                    let is_text = kind == Kind::Text && !is_compressed;
                    assert!(!is_text || std::str::from_utf8(&payload).is_ok());
                    said.push(format!("{kind:?} {is_compressed} {payload:?}"));
                    consumed
                }
                Ok(Received::Part { .. }) => panic!("parts were not asked for"),
                Ok(Received::Ping { consumed, payload }) => {
                    let _ = machine.send_pong(&payload, key, &mut outbox);
                    consumed
                }
                Ok(Received::Pong { consumed, payload }) => {
                    said.push(format!("pong {payload:?}"));
                    consumed
                }
                Ok(Received::Close { consumed, frame }) => {
                    machine.answer_close(&frame, 0, key, &mut outbox);
                    said.push(format!("{frame:?}"));
                    consumed
                }
                Err(refusal) => {
                    machine.refuse(refusal, 0, key, &mut outbox);
                    said.push(refusal.to_string());
                    0
                }
            };
            // None of them waited that went into lent memory.
            waiting.drain(..consumed.min(waiting.len()));
        }
        assert!(machine.bytes_held() <= BYTES_MAX, "{} bytes are held", machine.bytes_held());
    }
    let mut pieces = Vec::new();
    outbox.take_pieces(&mut pieces);
    (said, pieces.iter().flat_map(|piece| piece.as_slice().to_vec()).collect())
}

/// Puts what it can of a piece into lent memory.
fn fill(
    machine: &mut Machine,
    mut memory: Vec<u8>,
    piece: &mut &[u8],
) -> Result<Received, Refusal> {
    let (before, left) = (memory.len(), usize::try_from(machine.payload_left()).unwrap());
    let (now, later) = piece.split_at(piece.len().min(left).min(memory.capacity() - before));
    assert!(!now.is_empty(), "memory is lent with room");
    memory.extend_from_slice(now);
    *piece = later;
    machine.receive_lent(memory, before, 0)
}

/// Inflates the bytes as they are; deflates them, twice over one window, and inflates that.
///
/// # Panics
/// When more is inflated than may be, or something else than was deflated.
pub fn deflate(bytes: &[u8]) {
    let [kind, input @ ..] = bytes else { return };
    let window = Window { bits: 9 + kind % 7, takes_over: kind & 8 > 0 };
    for bytes_max in [0, 1, BYTES_MAX as u64] {
        if let Ok(inflated) = Inflater::new(window).inflate(input, bytes_max) {
            assert!(inflated.len() as u64 <= bytes_max);
        }
    }
    let own = if window.takes_over { window } else { Window { bits: 15, takes_over: false } };
    let (mut deflater, mut inflater) = (Deflater::new(own), Inflater::new(window));
    for message in [input, &input.repeat(3), input] {
        if let Some(deflated) = deflater.deflate(message, window) {
            assert!(deflated.len() < message.len());
            let inflated = inflater.inflate(&deflated, message.len() as u64);
            assert_eq!(inflated.as_deref(), Ok(message));
        }
    }
}

/// Checks text in steps of the first byte's length, and asks std of all that has come.
///
/// # Panics
/// When the two disagree, or a bad byte is not known at once.
pub fn utf8(bytes: &[u8]) {
    let [step, input @ ..] = bytes else { return };
    let (mut check, mut come) = (Utf8Check::new(), 0);
    for piece in input.chunks(usize::from(*step).max(1)) {
        come += piece.len();
        let known = std::str::from_utf8(&input[..come]);
        let is_wrong = known.is_err_and(|error| error.error_len().is_some());
        assert_eq!(check.accepts(piece), !is_wrong);
        if is_wrong {
            return;
        }
        assert_eq!(check.is_whole(), known.is_ok());
    }
}
