//! The common form of a head, read faster than the general parser reads it.
//! It must never take what that one refuses, nor read it otherwise: it gives up and lets it decide.

use super::framing::Framing;
use super::head::{Field, Head, Span, Version};
use super::marks::{Ends, has_space, name_len};
use http::Method;
use std::ops::Range;

/// Reads a head of the common form at `input[start..]` into `head`, and what its fields say about
/// framing: how long its request line is, without its line end. None: it is not whole, or of
/// another form, or to be refused, and head and framing are undefined.
///
/// The common form is a method that everybody knows, a target of visible ASCII that begins with a
/// slash, HTTP/1.1, fields `name: value` with a value of visible ASCII and inner spaces, CRLF
/// everywhere.
#[inline]
pub(super) fn read(
    input: &[u8],
    start: usize,
    fields_max: usize,
    head: &mut Head,
    framing: &mut Framing,
) -> Option<usize> {
    let mut ends = Ends::new(input, start);
    let line_end = ends.next(start)?;
    let target = read_line(input.get(start..line_end)?, &mut head.method)?;
    head.target = Span::new(start + target.start, start + target.end);
    head.version = Version::Http11;
    let first = behind_line_end(input, line_end)?;
    if let Some((said, end)) = head.recalled.recall(input, first, &mut head.fields) {
        *framing = said;
        head.len = end;
        return Some(line_end - start);
    }
    head.begin_fields();
    let mut line = first;
    loop {
        let end = ends.next(line)?;
        let behind = behind_line_end(input, end)?;
        if end == line {
            head.len = behind;
            head.recalled.keep(input, first, behind, *framing);
            return Some(line_end - start);
        }
        let text = input.get(line..end)?;
        let name_len = name_len(&input[line..]);
        let (name, value) = text.split_at_checked(name_len)?;
        let name_end = line + name_len;
        // Blanks around a value are no part of it; the general parser knows which.
        let [b':', b' ', value @ ..] = value else { return None };
        let ([first, ..], [.., last]) = (value, value) else { return None };
        if name.is_empty() || *first == b' ' || *last == b' ' || head.fields.len() == fields_max {
            return None;
        }
        let span = Span::new(name_end + 2, end);
        framing.learn(name, value, span).ok()?;
        head.fields.push(Field { name: Span::new(line, name_end), value: span });
        line = behind;
    }
}

/// Where the next line begins, when a line ends here.
#[inline]
fn behind_line_end(input: &[u8], at: usize) -> Option<usize> {
    let behind = at + 2;
    (*input.get(at..behind)? == *b"\r\n").then_some(behind)
}

/// The method and the range of the target in a request line without control characters.
#[inline]
fn read_line(line: &[u8], method: &mut Method) -> Option<Range<usize>> {
    let (known, start) = if line.starts_with(b"GET /") {
        (Method::GET, 4)
    } else if line.starts_with(b"POST /") {
        (Method::POST, 5)
    } else if line.starts_with(b"HEAD /") {
        (Method::HEAD, 5)
    } else {
        return None;
    };
    *method = known;
    let (before, version) = line.split_last_chunk()?;
    let target = before.get(start..)?;
    (*version == *b" HTTP/1.1" && !has_space(target)).then_some(start..before.len())
}

#[cfg(test)]
mod tests {
    use super::read;
    use crate::http1::framing::Framing;
    use crate::http1::head::Head;
    use proptest::prelude::*;

    /// Reads with both parsers: where this one takes a head, the other reads the same.
    fn compare(input: &[u8], fields_max: usize) -> bool {
        let mut head = Head::new();
        let read = read(input, 0, fields_max, &mut head, &mut Framing::default());
        let Some(line_len) = read else { return false };
        let mut slots = vec![httparse::EMPTY_HEADER; fields_max];
        let mut request = httparse::Request::new(&mut slots);
        assert_eq!(request.parse(input), Ok(httparse::Status::Complete(head.len)));
        assert_eq!(request.method, Some(head.method.as_str()));
        assert_eq!(request.path.map(str::as_bytes), Some(head.target.of(input)));
        assert_eq!(
            (request.version, &input[line_len..line_len + 2]),
            (Some(1), b"\r\n".as_slice())
        );
        assert_eq!(&input[head.len - 4..head.len], b"\r\n\r\n");
        assert_eq!(request.headers.len(), head.fields.len());
        for (theirs, own) in request.headers.iter().zip(&head.fields) {
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
