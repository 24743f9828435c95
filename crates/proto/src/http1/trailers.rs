//! The fields behind a chunked body, as they may be handed on (RFC 9110 §6.5).
//! It must never let a field through that would have changed how the request was handled.

use super::limits::FIELDS_MAX;

/// The fields of a trailer section that [`Received::BodyEnd`](super::Received::BodyEnd) told of, in
/// order: name and value. Fields that belong in a head, because they frame, route, condition,
/// authorise or describe the message, are left out (RFC 9110 §6.5.1).
///
/// ```
/// use springtide_proto::http1::trailers;
/// let fields: Vec<_> = trailers(b"Digest: 7\r\nAuthorization: none\r\n\r\n").collect();
/// assert_eq!(fields, [("Digest", &b"7"[..])]);
/// ```
pub fn trailers(section: &[u8]) -> impl Iterator<Item = (&str, &[u8])> {
    let mut slots = [httparse::EMPTY_HEADER; FIELDS_MAX];
    // The machine has read it before: it is whole and has no more fields than that.
    let is_whole =
        httparse::parse_headers(section, &mut slots).is_ok_and(|read| read.is_complete());
    let slots = if is_whole { slots } else { [httparse::EMPTY_HEADER; FIELDS_MAX] };
    let fields = slots.into_iter().map(|field| (field.name, field.value));
    fields.filter(|(name, _)| !name.is_empty() && !is_of_a_head(name))
}

/// Whether a field means something in a head only.
fn is_of_a_head(name: &str) -> bool {
    const NAMES: [&str; 28] = [
        "authorization",
        "cache-control",
        "connection",
        "content-encoding",
        "content-length",
        "content-range",
        "content-type",
        "cookie",
        "expect",
        "forwarded",
        "host",
        "if-match",
        "if-modified-since",
        "if-none-match",
        "if-range",
        "if-unmodified-since",
        "keep-alive",
        "max-forwards",
        "origin",
        "pragma",
        "proxy-authorization",
        "proxy-connection",
        "range",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "x-forwarded-for",
    ];
    NAMES.iter().any(|own| own.eq_ignore_ascii_case(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_of_a_head_are_left_out() {
        for (section, names) in [
            ("\r\n", vec![]),
            ("A: 1\r\nb:\r\nA: 2\r\n\r\n", vec!["A", "b", "A"]),
            ("COOKIE: a=b\r\nDigest: x\r\nX-Forwarded-For: y\r\n\r\n", vec!["Digest"]),
            ("half", vec![]),
        ] {
            let fields = trailers(section.as_bytes()).map(|(name, _)| name);
            assert_eq!(fields.collect::<Vec<_>>(), names, "{section:?}");
        }
    }
}
