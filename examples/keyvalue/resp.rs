//! RESP2, the protocol of Redis: where a command ends, its arguments, and replies.
//! It must never know a command.

use springtide::Bytes;
use springtide::framed::{Codec, Fault, Progress, Refusal, Scan};

/// The longest inline command, as Redis has it.
pub(crate) const INLINE_BYTES_MAX: usize = 64 << 10;
/// The most arguments of one command.
const ARGUMENTS_MAX: usize = 1 << 20;

/// Commands in either form: `SET tide low\r\n`, or an array of bulk strings.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Resp {
    /// The longest command with everything around its arguments.
    pub(crate) command_bytes_max: usize,
}

impl Codec for Resp {
    fn read(&self, input: &[u8], progress: &mut Progress) -> Result<Scan, Refusal> {
        if input[0] != b'*' {
            return inline(input, progress);
        }
        if progress.left == 0 {
            let Some((count, at)) = number(input, 1)? else { return more(input) };
            match count {
                ..=0 => return Ok(Scan::Skipped { consumed: at }),
                _ if count > ARGUMENTS_MAX as i64 => return refuse("invalid multibulk length"),
                _ => *progress = Progress { at, left: count as usize },
            }
        }
        while progress.left > 0 {
            let at = progress.at;
            match input.get(at) {
                None => return more(input),
                Some(b'$') => {}
                Some(_) => return refuse("expected '$'"),
            }
            let Some((len, start)) = number(input, at + 1)? else { return more(input) };
            let end = usize::try_from(len).ok().and_then(|len| start.checked_add(len));
            let Some(end) = end.filter(|end| *end <= self.command_bytes_max) else {
                return refuse("invalid bulk length");
            };
            match input.get(end..end + 2) {
                None => return Ok(Scan::NeedBytes { at_least: end + 2 }),
                Some(b"\r\n") => *progress = Progress { at: end + 2, left: progress.left - 1 },
                Some(_) => return refuse("a bulk string ends in CR LF"),
            }
        }
        Ok(Scan::Whole { consumed: progress.at, payload: 0..progress.at })
    }

    fn answer_to(&self, fault: &Fault) -> Option<Bytes> {
        Some(match fault {
            Fault::Dropped => Bytes::from_static(b"-ERR the command was given up\r\n"),
            Fault::Refused(refusal) => {
                let mut reply = Vec::new();
                error(&format!("ERR Protocol error: {refusal}"), &mut reply);
                Bytes::from(reply)
            }
        })
    }
}

/// A command of one line.
fn inline(input: &[u8], progress: &mut Progress) -> Result<Scan, Refusal> {
    match input[progress.at..].iter().position(|byte| *byte == b'\n') {
        Some(found) => {
            let consumed = progress.at + found + 1;
            Ok(match input[..consumed].trim_ascii().is_empty() {
                true => Scan::Skipped { consumed },
                false => Scan::Whole { consumed, payload: 0..consumed },
            })
        }
        None if input.len() > INLINE_BYTES_MAX => refuse("too big inline request"),
        None => {
            progress.at = input.len();
            more(input)
        }
    }
}

fn more(input: &[u8]) -> Result<Scan, Refusal> {
    Ok(Scan::NeedBytes { at_least: input.len() + 1 })
}

const fn refuse(reason: &'static str) -> Result<Scan, Refusal> {
    Err(Refusal::Codec(reason))
}

/// The number of a line that begins at `at`, and where the next one does; none if it is not whole.
fn number(input: &[u8], at: usize) -> Result<Option<(i64, usize)>, Refusal> {
    /// As many digits as a number of 64 bits has, and its sign.
    const DIGITS_MAX: usize = 20;
    let line = &input[at..input.len().min(at + DIGITS_MAX + 2)];
    let Some(end) = line.iter().position(|byte| *byte == b'\n') else {
        let is_short = line.len() < DIGITS_MAX + 2;
        return if is_short { Ok(None) } else { Err(Refusal::Codec("invalid length")) };
    };
    let digits = line[..end].strip_suffix(b"\r").unwrap_or_default();
    let number = integer(digits).ok_or(Refusal::Codec("invalid length"))?;
    Ok(Some((number, at + end + 1)))
}

/// A number as it is written without ado.
pub(crate) fn integer(digits: &[u8]) -> Option<i64> {
    let below_zero = digits.strip_prefix(b"-");
    let digits = below_zero.unwrap_or(digits);
    // Below zero there is one number more than above.
    let number = digits.iter().try_fold(0_i64, |number, byte| {
        let digit = byte.is_ascii_digit().then(|| i64::from(byte - b'0'))?;
        number.checked_mul(10)?.checked_sub(digit)
    })?;
    match (digits.is_empty(), below_zero) {
        (true, _) => None,
        (false, Some(_)) => Some(number),
        (false, None) => number.checked_neg(),
    }
}

/// The arguments of a command that [`Resp`] has found whole.
pub(crate) fn arguments(command: &[u8]) -> Vec<&[u8]> {
    if command.first() != Some(&b'*') {
        let words = command.split(u8::is_ascii_whitespace);
        return words.filter(|word| !word.is_empty()).collect();
    }
    let Ok(Some((count, mut at))) = number(command, 1) else { return Vec::new() };
    let mut arguments = Vec::with_capacity(usize::try_from(count).unwrap_or(0));
    while let Some(b'$') = command.get(at)
        && let Ok(Some((len, start))) = number(command, at + 1)
    {
        let end = start + usize::try_from(len).unwrap_or(0);
        arguments.push(&command[start..end]);
        at = end + 2;
    }
    arguments
}

/// `+OK`, on its line.
pub(crate) fn simple(text: &str, into: &mut Vec<u8>) {
    into.extend_from_slice(b"+");
    into.extend_from_slice(text.as_bytes());
    into.extend_from_slice(b"\r\n");
}

/// An error, on its line: what would end that is left out.
pub(crate) fn error(text: &str, into: &mut Vec<u8>) {
    into.push(b'-');
    into.extend(text.bytes().map(|byte| if byte < b' ' { b' ' } else { byte }));
    into.extend_from_slice(b"\r\n");
}

fn line(kind: u8, number: i64, into: &mut Vec<u8>) {
    into.push(kind);
    if (0..10).contains(&number) {
        into.push(b'0' + number as u8);
    } else {
        into.extend_from_slice(number.to_string().as_bytes());
    }
    into.extend_from_slice(b"\r\n");
}

/// A number.
pub(crate) fn int(number: i64, into: &mut Vec<u8>) {
    line(b':', number, into);
}

/// Any bytes; none stand for what is not there.
pub(crate) fn bulk(bytes: Option<&[u8]>, into: &mut Vec<u8>) {
    let Some(bytes) = bytes else { return into.extend_from_slice(b"$-1\r\n") };
    line(b'$', bytes.len() as i64, into);
    into.extend_from_slice(bytes);
    into.extend_from_slice(b"\r\n");
}

/// The beginning of so many replies that are one.
pub(crate) fn array(count: usize, into: &mut Vec<u8>) {
    line(b'*', count as i64, into);
}
