//! Targets of requests, and the parts they have.
//! Nothing is decoded but what is asked for.

use std::borrow::Cow;
use std::ops::Range;

/// Path and query of a target in origin form, absolute form or `*` (RFC 9112 §3.2).
pub(super) fn split_target(target: &[u8]) -> (&[u8], Option<&[u8]>) {
    let path_start = if target.first() == Some(&b'/') { 0 } else { path_of_absolute(target) };
    let rest = &target[path_start..];
    match memchr::memchr(b'?', rest) {
        Some(mark) => (&rest[..mark], Some(&rest[mark + 1..])),
        None => (rest, None),
    }
}

/// Where the path begins behind `http://authority`; `*` is its own path.
fn path_of_absolute(target: &[u8]) -> usize {
    authority_of_absolute(target).map_or(0, |authority| authority.end)
}

/// Where the authority of a target in absolute form lies.
pub(super) fn authority_of_absolute(target: &[u8]) -> Option<Range<usize>> {
    let is_absolute = !matches!(target.first(), Some(b'/' | b'*'));
    let scheme = target.windows(3).position(|three| is_absolute && three == b"://")?;
    let start = scheme + 3;
    let end = target[start..].iter().position(|byte| matches!(byte, b'/' | b'?'));
    Some(start..end.map_or(target.len(), |end| start + end))
}

/// Decodes a name or value of a query (URL standard, application/x-www-form-urlencoded).
pub(super) fn decode_query(text: &str) -> Cow<'_, str> {
    if !text.contains('+') {
        return percent_encoding::percent_decode_str(text).decode_utf8_lossy();
    }
    let spaced = text.replace('+', " ");
    Cow::Owned(percent_encoding::percent_decode_str(&spaced).decode_utf8_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_split() {
        for (target, path, query) in [
            ("/", "/", None),
            ("/a/b?c=d", "/a/b", Some("c=d")),
            ("/a?", "/a", Some("")),
            ("/a?b?c", "/a", Some("b?c")),
            ("http://host", "", None),
            ("http://host/a?b", "/a", Some("b")),
            ("http://host?b", "", Some("b")),
            ("*", "*", None),
        ] {
            let expected = (path.as_bytes(), query.map(str::as_bytes));
            assert_eq!(split_target(target.as_bytes()), expected, "{target}");
        }
    }

    #[test]
    fn queries_are_decoded() {
        assert_eq!(decode_query("a+b%2Bc"), "a b+c");
        assert_eq!(decode_query("plain"), "plain");
        assert_eq!(decode_query("%e2%82%ac"), "€");
    }
}
