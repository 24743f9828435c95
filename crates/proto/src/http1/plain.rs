//! The common form of a head, read faster than the general parser reads it.
//! It must never take what that one refuses, nor read it otherwise: it gives up and lets it decide.

use super::head::{Field, Span};
use http::Method;

/// A head in the common form: a method that everybody knows, a target of visible ASCII that begins
/// with a slash, HTTP/1.1, fields `name: value` of visible ASCII and inner blanks, CRLF everywhere.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Plain {
    pub(super) method: Method,
    pub(super) target: Span,
    /// Length of the request line, without its line end.
    pub(super) line_len: usize,
    /// Behind the blank line.
    pub(super) end: usize,
}

/// Reads a whole head at `input[start..]`. None: it is not whole, or not of the common form, and
/// the fields are undefined.
#[inline]
pub(super) fn read(
    input: &[u8],
    start: usize,
    fields_max: usize,
    fields: &mut Vec<Field>,
) -> Option<Plain> {
    fields.clear();
    let offset = |rest: &[u8]| input.len() - rest.len();
    let (method, rest) = split_method(&input[start..])?;
    let target_len = run_len(rest, b'!');
    let (target, rest) = rest.split_at(target_len);
    if target.first() != Some(&b'/') {
        return None;
    }
    let target = Span::new(offset(rest) - target_len, offset(rest));
    let mut rest = rest.strip_prefix(b" HTTP/1.1\r\n")?;
    let line_len = offset(rest) - 2 - start;
    loop {
        if let [b'\r', b'\n', behind @ ..] = rest {
            return Some(Plain { method, target, line_len, end: offset(behind) });
        }
        // Names are short, and their ends are well predicted where eight bytes at a time have to be
        // waited for.
        let name_len = rest.iter().position(|byte| !IS_NAME_BYTE[*byte as usize])?;
        let name = Span::new(offset(rest), offset(rest) + name_len);
        let [b':', b' ', value @ ..] = &rest[name_len..] else { return None };
        let value_len = run_len(value, b' ');
        let (value, behind) = value.split_at(value_len);
        // Blanks around a value are no part of it; the general parser knows which.
        let is_bare = value.first() != Some(&b' ') && value.last() != Some(&b' ');
        if name_len == 0 || value_len == 0 || !is_bare || fields.len() == fields_max {
            return None;
        }
        let value = Span::new(offset(behind) - value_len, offset(behind));
        fields.push(Field { name, value });
        rest = behind.strip_prefix(b"\r\n")?;
    }
}

#[inline]
fn split_method(input: &[u8]) -> Option<(Method, &[u8])> {
    match input {
        [b'G', b'E', b'T', b' ', rest @ ..] => Some((Method::GET, rest)),
        [b'P', b'O', b'S', b'T', b' ', rest @ ..] => Some((Method::POST, rest)),
        [b'H', b'E', b'A', b'D', b' ', rest @ ..] => Some((Method::HEAD, rest)),
        _ => None,
    }
}

/// How many bytes from the beginning on lie between `low` and `~`; eight at a time.
#[inline]
fn run_len(bytes: &[u8], low: u8) -> usize {
    let mut len = 0;
    while let Some(word) = bytes[len..].first_chunk() {
        let found = outside(u64::from_le_bytes(*word), low);
        if found != 0 {
            return len + found.trailing_zeros() as usize / 8;
        }
        len += 8;
    }
    len + bytes[len..].iter().take_while(|byte| (low..=b'~').contains(*byte)).count()
}

/// The high bit of each byte that does not lie between `low` and `~`.
#[inline]
fn outside(word: u64, low: u8) -> u64 {
    const ONES: u64 = u64::from_ne_bytes([1; 8]);
    const HIGH: u64 = 0x80 * ONES;
    let seven = word & !HIGH;
    // The sum of seven bits and at most 0x80 has no carry into the next byte.
    let is_delete = seven + ONES;
    let is_enough = seven + u64::from(0x80 - low) * ONES;
    (word | is_delete | !is_enough) & HIGH
}

/// The bytes of a field's name (RFC 9110 §5.6.2, tchar).
const IS_NAME_BYTE: [bool; 256] = {
    let mut is_name_byte = [false; 256];
    let mut byte = 0;
    while byte < 128 {
        is_name_byte[byte] = (byte as u8).is_ascii_alphanumeric();
        byte += 1;
    }
    let others = b"!#$%&'*+-.^_`|~";
    let mut index = 0;
    while index < others.len() {
        is_name_byte[others[index] as usize] = true;
        index += 1;
    }
    is_name_byte
};

#[cfg(test)]
mod tests {
    use super::{Plain, read, run_len};
    use crate::http1::head::Field;
    use proptest::prelude::*;

    /// Reads with both parsers: where this one takes a head, the other reads the same.
    fn compare(input: &[u8], fields_max: usize) -> bool {
        let mut fields: Vec<Field> = Vec::new();
        let Some(Plain { method, target, line_len, end }) = read(input, 0, fields_max, &mut fields)
        else {
            return false;
        };
        let mut slots = vec![httparse::EMPTY_HEADER; fields_max];
        let mut request = httparse::Request::new(&mut slots);
        assert_eq!(request.parse(input), Ok(httparse::Status::Complete(end)));
        assert_eq!(request.method, Some(method.as_str()));
        assert_eq!(request.path.map(str::as_bytes), Some(target.of(input)));
        assert_eq!(
            (request.version, &input[line_len..line_len + 2]),
            (Some(1), b"\r\n".as_slice())
        );
        assert_eq!(&input[end - 4..end], b"\r\n\r\n");
        assert_eq!(request.headers.len(), fields.len());
        for (theirs, own) in request.headers.iter().zip(&fields) {
            assert_eq!(
                (theirs.name.as_bytes(), theirs.value),
                (own.name.of(input), own.value.of(input))
            );
        }
        true
    }

    #[test]
    fn the_common_form_is_taken_and_nothing_else() {
        for (head, taken) in [
            ("GET / HTTP/1.1\r\n\r\n", true),
            ("GET /a?b HTTP/1.1\r\nHost: a\r\nAccept: */*, b; c=\"d\"\r\n\r\nGET", true),
            ("POST / HTTP/1.1\r\nHost: a\r\n\r\n", true),
            ("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n", true),
            ("GET / HTTP/1.0\r\nHost: a\r\n\r\n", false),
            ("get / HTTP/1.1\r\nHost: a\r\n\r\n", false),
            ("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", false),
            ("GET  / HTTP/1.1\r\nHost: a\r\n\r\n", false),
            ("GET /  HTTP/1.1\r\nHost: a\r\n\r\n", false),
            ("GET http://a/ HTTP/1.1\r\nHost: a\r\n\r\n", false),
            ("GET /\u{e9} HTTP/1.1\r\nHost: a\r\n\r\n", false),
            ("GET / HTTP/1.1\nHost: a\r\n\r\n", false),
            ("GET / HTTP/1.1\r\nHost: a\n\r\n", false),
            ("GET / HTTP/1.1\r\nHost: a\r\n\n", false),
            ("GET / HTTP/1.1\r\nHost: a\r\n b\r\n\r\n", false),
            ("GET / HTTP/1.1\r\nHost : a\r\n\r\n", false),
            ("GET / HTTP/1.1\r\n: a\r\n\r\n", false),
            ("GET / HTTP/1.1\r\nHost:a\r\n\r\n", false),
            ("GET / HTTP/1.1\r\nHost:  a\r\n\r\n", false),
            ("GET / HTTP/1.1\r\nHost: a \r\n\r\n", false),
            ("GET / HTTP/1.1\r\nHost: \r\n\r\n", false),
            ("GET / HTTP/1.1\r\nHost: a\tb\r\n\r\n", false),
            ("GET / HTTP/1.1\r\nHost: a\0\r\n\r\n", false),
            ("GET / HTTP/1.1\r\nHost: a\x7f\r\n\r\n", false),
            ("GET / HTTP/1.1\r\nHost: a\rb\r\n\r\n", false),
            ("GET / HTTP/1.1\r\nA: b\r\nC: d\r\nE: f\r\n\r\n", false),
        ] {
            assert_eq!(compare(head.as_bytes(), 2), taken, "{head:?}");
            for len in 0..head.len() - 3 {
                assert!(!taken || head.ends_with("GET") || !compare(&head.as_bytes()[..len], 2));
            }
        }
    }

    #[test]
    fn every_byte_ends_a_run_or_does_not() {
        for low in [b' ', b'!'] {
            for byte in 0..=u8::MAX {
                for len in 0..20 {
                    let bytes = [vec![b'a'; len], vec![byte], vec![b'~'; 20]].concat();
                    let expected = if (low..=b'~').contains(&byte) { len + 21 } else { len };
                    assert_eq!(run_len(&bytes, low), expected, "{byte} behind {len}");
                }
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4096))]

        #[test]
        fn what_is_taken_is_what_the_general_parser_reads(
            target in "/[ -~\u{e9}]{0,12}",
            fields in prop::collection::vec(("[!-~]{0,4}[A-Za-z-]{0,9}", "(: |:|[:\t ]{1,3})[ -~\t\u{e9}]{0,20}"), 0..5),
            place in any::<prop::sample::Index>(),
            byte in prop::option::of(any::<u8>()),
        ) {
            let lines: String = fields.iter().map(|(name, value)| format!("{name}{value}\r\n")).collect();
            let mut head = format!("GET {target} HTTP/1.1\r\n{lines}\r\n").into_bytes();
            if let Some(byte) = byte {
                let place = place.index(head.len());
                head[place] = byte;
            }
            compare(&head, 4);
        }
    }
}
