//! The first bytes of connections, as they come: what is said of them once is not taken back.
//! What it holds the detector against must never share code with it.

use springtide_proto::detect::{BYTES_MAX, Decision, Detector};
use springtide_proto::http1::{Head, Limits, Machine, Received};

/// The first byte chooses how many bytes of the rest are a prefix of the other protocol; the others come
/// one by one.
///
/// # Panics
/// When a decision comes too late or is taken back, a request of HTTP is taken for something else, or a
/// prefix for HTTP.
pub fn detect(bytes: &[u8]) {
    let [choice, rest @ ..] = bytes else { return };
    let (prefix, input) = rest.split_at(usize::from(choice % 32).min(rest.len()));
    let mut detector = Detector::default();
    detector.add_prefix(prefix);
    let said = decide(&detector, input);
    if prefix.is_empty() {
        let is_request = is_read(input);
        assert!(!is_request || said != Decision::Other, "{}", input.escape_ascii());
    } else {
        let prefix = &prefix[..prefix.len().min(BYTES_MAX)];
        let expected = match () {
            () if input.starts_with(prefix) => Decision::Other,
            () if prefix.starts_with(input) => Decision::NeedBytes,
            () => Decision::Http,
        };
        assert_eq!(said, expected, "{}", input.escape_ascii());
    }
}

fn decide(detector: &Detector, input: &[u8]) -> Decision {
    let mut said = Decision::NeedBytes;
    for end in 0..=input.len() {
        let now = detector.decide(&input[..end]);
        assert!(said == Decision::NeedBytes || said == now, "it is taken back");
        said = now;
    }
    assert!(said != Decision::NeedBytes || input.len() < BYTES_MAX, "it comes too late");
    said
}

/// Whether a server reads a request in them as clients write it: right at the beginning, its method in
/// capitals and one space before its target, which is of no scheme but http and https.
fn is_read(input: &[u8]) -> bool {
    let limits = Limits::default();
    let method = input.split(|byte| *byte == b' ').next().unwrap_or_default();
    let is_usual = method.len() < BYTES_MAX - 1
        && method.first().is_some_and(u8::is_ascii_uppercase)
        && method.iter().all(|byte| byte.is_ascii_uppercase() || *byte == b'-');
    let read = Machine::server(0, &limits).receive(input, 0, &limits, &mut Head::new());
    let target = input.get(method.len() + 1..).unwrap_or_default();
    let has_scheme = target.get(..4).is_some_and(|scheme| scheme.eq_ignore_ascii_case(b"http"));
    let is_ours = has_scheme || target.starts_with(b"/") || target.starts_with(b"*");
    is_usual && is_ours && matches!(read, Ok(Received::Head { .. }))
}
