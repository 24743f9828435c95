//! Conditions of a request (RFC 9110 §13) against what a file is: the precedence of §13.2.2.
//! It knows neither paths nor bodies.

use std::ops::Range;
use std::time::UNIX_EPOCH;

use super::query::FileQuery;
use super::range::{self, Asked};

/// What tells one version of a file from another.
#[derive(Debug, Clone, Copy)]
pub(super) struct Validators<'a> {
    /// A strong one, with its quotes.
    pub(super) entity_tag: &'a [u8],
    /// In seconds since 1970; none when the time is not to be believed.
    pub(super) modified_seconds: Option<u64>,
    /// In bytes.
    pub(super) length: u64,
}

/// What is to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Decision {
    /// `200`, all of it.
    Whole,
    /// `206`, this part of it.
    Part(Range<u64>),
    /// `206`, these parts of it.
    Parts(Vec<Range<u64>>),
    /// `304`.
    NotModified,
    /// `412`.
    Failed,
    /// `416`.
    Unsatisfiable,
}

/// Decides. `unix_seconds` is the present time; it matters for `If-Range` only.
pub(super) fn decide(
    query: &FileQuery<'_>,
    validators: &Validators<'_>,
    unix_seconds: u64,
) -> Decision {
    if !is_expected(query, validators) {
        return Decision::Failed;
    }
    if is_known(query, validators) {
        return Decision::NotModified;
    }
    let Some(value) = query.range else { return Decision::Whole };
    // Only GET has ranges (§14.2).
    let same = query.if_range.is_none_or(|value| is_same(value, validators, unix_seconds));
    if query.is_head || !same {
        return Decision::Whole;
    }
    match range::read(value, validators.length) {
        Asked::Whole => Decision::Whole,
        Asked::Part(part) => Decision::Part(part),
        Asked::Parts(parts) => Decision::Parts(parts),
        Asked::Unsatisfiable => Decision::Unsatisfiable,
    }
}

/// `If-Match`, or without it `If-Unmodified-Since` (§13.1.1, §13.1.4).
fn is_expected(query: &FileQuery<'_>, validators: &Validators<'_>) -> bool {
    if let Some(list) = query.if_match {
        return names(list, validators.entity_tag, Comparison::Strong);
    }
    let since = query.if_unmodified_since.and_then(seconds_of);
    match (since, validators.modified_seconds) {
        (Some(since), Some(modified)) => modified <= since,
        _ => true,
    }
}

/// `If-None-Match`, or without it `If-Modified-Since` (§13.1.2, §13.1.3).
fn is_known(query: &FileQuery<'_>, validators: &Validators<'_>) -> bool {
    if let Some(list) = query.if_none_match {
        return names(list, validators.entity_tag, Comparison::Weak);
    }
    let since = query.if_modified_since.and_then(seconds_of);
    match (since, validators.modified_seconds) {
        (Some(since), Some(modified)) => modified <= since,
        _ => false,
    }
}

/// `If-Range` (§13.1.5): a date counts only if it is the very same and so old that the file cannot
/// have changed twice within its second (§8.8.2.2).
fn is_same(value: &[u8], validators: &Validators<'_>, unix_seconds: u64) -> bool {
    let value = value.trim_ascii();
    if value.starts_with(b"\"") || value.starts_with(b"W/") {
        return value == validators.entity_tag;
    }
    match (seconds_of(value), validators.modified_seconds) {
        (Some(since), Some(modified)) => since == modified && modified < unix_seconds,
        _ => false,
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Comparison {
    Strong,
    Weak,
}

/// Whether a list of entity tags, or `*`, names the one of the file (§8.8.3). A list is read as far
/// as it is well-formed.
fn names(list: &[u8], entity_tag: &[u8], comparison: Comparison) -> bool {
    let mut rest = list.trim_ascii();
    if rest == b"*" {
        return true;
    }
    while let Some((is_weak, tag, behind)) = next_tag(rest) {
        if tag == entity_tag && !(is_weak && comparison == Comparison::Strong) {
            return true;
        }
        rest = behind;
    }
    false
}

/// The first entity tag of a list: whether it is weak, the tag with its quotes, what is behind.
fn next_tag(list: &[u8]) -> Option<(bool, &[u8], &[u8])> {
    let start = list.iter().position(|byte| !matches!(byte, b' ' | b'\t' | b','))?;
    let (is_weak, quoted) = match &list[start..] {
        [b'W', b'/', quoted @ ..] => (true, quoted),
        quoted => (false, quoted),
    };
    let inside = quoted.strip_prefix(b"\"")?;
    let end = inside.iter().position(|byte| *byte == b'"')?;
    let (tag, behind) = quoted.split_at(end + 2);
    Some((is_weak, tag, behind))
}

/// A date of HTTP in seconds since 1970 (§5.6.7); none when it is none.
fn seconds_of(value: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(value).ok()?.trim();
    let date = httpdate::parse_http_date(text).ok()?;
    date.duration_since(UNIX_EPOCH).ok().map(|since| since.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sun, 06 Nov 1994 08:49:37 GMT.
    const MODIFIED: u64 = 784_111_777;
    const BEFORE: &str = "Sun, 06 Nov 1994 08:49:36 GMT";
    const THEN: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
    const AFTER: &str = "Sun, 06 Nov 1994 08:49:38 GMT";
    const TAG: &str = "\"a-1\"";

    /// The fields of a request as `name: value`.
    fn decided(fields: &[&str]) -> Decision {
        decided_at(fields, MODIFIED + 100, Some(MODIFIED))
    }

    fn decided_at(fields: &[&str], now: u64, modified_seconds: Option<u64>) -> Decision {
        let mut query = FileQuery::default();
        for field in fields {
            let (name, value) = field.split_once(": ").expect("a field has a colon");
            let value = Some(value.as_bytes());
            match name {
                "method" => query.is_head = true,
                "if-match" => query.if_match = value,
                "if-none-match" => query.if_none_match = value,
                "if-modified-since" => query.if_modified_since = value,
                "if-unmodified-since" => query.if_unmodified_since = value,
                "if-range" => query.if_range = value,
                "range" => query.range = value,
                _ => panic!("{name} is no condition"),
            }
        }
        let validators = Validators { entity_tag: TAG.as_bytes(), modified_seconds, length: 10 };
        decide(&query, &validators, now)
    }

    #[test]
    fn lists_of_entity_tags() {
        let table = [
            ("*", true, true),
            (" * ", true, true),
            ("\"a-1\"", true, true),
            ("W/\"a-1\"", false, true),
            ("\"b\", \"a-1\"", true, true),
            ("\"b\",\"a-1\",\"c\"", true, true),
            (" , ,\"a-1\" ,", true, true),
            ("\"b,\", \"a-1\"", true, true),
            ("W/\"b\", W/\"a-1\"", false, true),
            ("W/\"a-1\", \"a-1\"", true, true),
            ("\"b\"", false, false),
            ("\"\"", false, false),
            ("", false, false),
            ("a-1", false, false),
            ("a-1, \"a-1\"", false, false),
            ("\"a-1", false, false),
            ("w/\"a-1\"", false, false),
            ("W/ \"a-1\"", false, false),
            ("\"A-1\"", false, false),
            ("\"x\\\"a-1\"", false, false),
        ];
        for (list, strong, weak) in table {
            let named = |comparison| names(list.as_bytes(), TAG.as_bytes(), comparison);
            assert_eq!(named(Comparison::Strong), strong, "{list:?} strong");
            assert_eq!(named(Comparison::Weak), weak, "{list:?} weak");
        }
    }

    #[test]
    fn single_conditions() {
        use Decision::{Failed, NotModified, Whole};
        let table = [
            ("if-match", TAG, Whole),
            ("if-match", "\"b\"", Failed),
            ("if-match", "W/\"a-1\"", Failed),
            ("if-match", "*", Whole),
            ("if-match", "nonsense", Failed),
            ("if-none-match", TAG, NotModified),
            ("if-none-match", "W/\"a-1\"", NotModified),
            ("if-none-match", "*", NotModified),
            ("if-none-match", "\"b\"", Whole),
            ("if-none-match", "nonsense", Whole),
            ("if-modified-since", BEFORE, Whole),
            ("if-modified-since", THEN, NotModified),
            ("if-modified-since", AFTER, NotModified),
            ("if-modified-since", "Sunday, 06-Nov-94 08:49:37 GMT", NotModified),
            ("if-modified-since", "Sun Nov  6 08:49:37 1994", NotModified),
            ("if-modified-since", "nonsense", Whole),
            ("if-modified-since", "", Whole),
            ("if-unmodified-since", BEFORE, Failed),
            ("if-unmodified-since", THEN, Whole),
            ("if-unmodified-since", AFTER, Whole),
            ("if-unmodified-since", "nonsense", Whole),
        ];
        for (name, value, decision) in table {
            assert_eq!(decided(&[&format!("{name}: {value}")]), decision, "{name}: {value}");
        }
    }

    #[test]
    fn precedence() {
        use Decision::{Failed, NotModified, Part, Unsatisfiable, Whole};
        let (match_it, match_other) = ("if-match: \"a-1\"", "if-match: \"b\"");
        let (none_it, none_other) = ("if-none-match: \"a-1\"", "if-none-match: \"b\"");
        let modified = &*format!("if-modified-since: {BEFORE}");
        let unmodified = &*format!("if-modified-since: {THEN}");
        let unmodified_fails = &*format!("if-unmodified-since: {BEFORE}");
        let (range, far) = ("range: bytes=2-4", "range: bytes=20-");
        let table: &[(&[&str], Decision)] = &[
            (&[match_it, unmodified_fails], Whole),
            (&[match_other, none_it], Failed),
            (&[match_it, none_it], NotModified),
            (&[unmodified_fails, none_it], Failed),
            (&[none_other, unmodified], Whole),
            (&[none_it, modified], NotModified),
            (&[none_it, range], NotModified),
            (&[match_other, range], Failed),
            (&[none_other, range], Part(2..5)),
            (&[unmodified, range], NotModified),
            (&[modified, far], Unsatisfiable),
            (&[match_other, far], Failed),
            (&[range, "method: HEAD"], Whole),
            (&[far, "method: HEAD"], Whole),
            (&[none_it, "method: HEAD"], NotModified),
        ];
        for (fields, decision) in table {
            assert_eq!(decided(fields), *decision, "{fields:?}");
        }
    }

    #[test]
    fn ranges_on_condition() {
        let table = [
            (TAG, true),
            (" \"a-1\" ", true),
            ("\"b\"", false),
            ("W/\"a-1\"", false),
            ("\"a-1\", \"b\"", false),
            ("*", false),
            (THEN, true),
            (BEFORE, false),
            (AFTER, false),
            ("nonsense", false),
        ];
        for (value, same) in table {
            let if_range = format!("if-range: {value}");
            let expected = if same { Decision::Part(0..1) } else { Decision::Whole };
            assert_eq!(decided(&["range: bytes=0-0", &if_range]), expected, "{value:?}");
            assert_eq!(decided(&[&if_range]), Decision::Whole, "{value:?} without a range");
            let unsatisfiable = if same { Decision::Unsatisfiable } else { Decision::Whole };
            assert_eq!(decided(&["range: bytes=10-", &if_range]), unsatisfiable, "{value:?}");
        }
    }

    #[test]
    fn dates_that_are_not_to_be_believed() {
        let then = format!("if-modified-since: {THEN}");
        let before = format!("if-unmodified-since: {BEFORE}");
        let same = format!("if-range: {THEN}");
        let range = "range: bytes=0-0";
        assert_eq!(decided_at(&[&then], MODIFIED, None), Decision::Whole);
        assert_eq!(decided_at(&[&before], MODIFIED, None), Decision::Whole);
        assert_eq!(decided_at(&[&same, range], MODIFIED + 9, None), Decision::Whole);
        // Within its second the file may have changed twice.
        assert_eq!(decided_at(&[&same, range], MODIFIED, Some(MODIFIED)), Decision::Whole);
        let later = decided_at(&[&same, range], MODIFIED + 1, Some(MODIFIED));
        assert_eq!(later, Decision::Part(0..1));
    }
}
