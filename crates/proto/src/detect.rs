//! What is spoken on a connection of a port that has HTTP and another protocol: its first bytes tell.
//! It takes none of them, and needs no more than [`BYTES_MAX`].

use std::fmt;

/// So many bytes decide, at the latest.
pub const BYTES_MAX: usize = 24;

/// What the bytes so far say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// Either is possible still: call again with more behind the same bytes.
    NeedBytes,
    /// HTTP/1, a WebSocket's handshake among it.
    Http,
    /// The other protocol.
    Other,
}

/// Says of bytes whether they begin the other protocol; none while that takes more of them.
type Predicate = dyn Fn(&[u8]) -> Option<bool> + Send + Sync;

/// How the two are told apart. Where nothing is known of the other protocol, HTTP is what begins with a
/// method in capitals, a space and the beginning of a target (RFC 9112 §3; where it is absolute, of http or
/// https), and all else is the other: one byte mostly tells. Where it is, all that does not begin like it is HTTP.
///
/// ```
/// use springtide_proto::detect::{Decision, Detector};
///
/// let plain = Detector::default();
/// assert_eq!(plain.decide(b"GET"), Decision::NeedBytes);
/// assert_eq!(plain.decide(b"GET /"), Decision::Http);
/// assert_eq!(plain.decide(b"GET key"), Decision::Other);
/// assert_eq!(plain.decide(b"\x16"), Decision::Other);
///
/// let mut described = Detector::default();
/// described.add_prefix(b"SSH-");
/// assert_eq!(described.decide(b"SSH-2.0"), Decision::Other);
/// assert_eq!(described.decide(b"SEARCH"), Decision::Http);
/// ```
#[derive(Default)]
pub struct Detector {
    prefixes: Vec<Vec<u8>>,
    predicate: Option<Box<Predicate>>,
}

impl Detector {
    /// The other protocol begins so, or with another prefix that was added. Of a longer one the first
    /// [`BYTES_MAX`] bytes count; an empty one is none.
    pub fn add_prefix(&mut self, prefix: &[u8]) {
        let prefix = &prefix[..prefix.len().min(BYTES_MAX)];
        if !prefix.is_empty() {
            self.prefixes.push(prefix.to_vec());
        }
    }

    /// The other protocol begins with what this says yes to, too. It is asked again with each byte that
    /// comes until it has said something.
    pub fn set_predicate(
        &mut self,
        predicate: impl Fn(&[u8]) -> Option<bool> + Send + Sync + 'static,
    ) {
        self.predicate = Some(Box::new(predicate));
    }

    /// What all bytes so far say. Those behind the first [`BYTES_MAX`] change nothing.
    #[must_use]
    pub fn decide(&self, input: &[u8]) -> Decision {
        let first = &input[..input.len().min(BYTES_MAX)];
        if first.is_empty() {
            return Decision::NeedBytes;
        }
        if self.prefixes.is_empty() && self.predicate.is_none() {
            return by_request_line(first);
        }
        let prefixes = self.prefixes.iter().map(|prefix| begins(first, prefix));
        let predicate = self.predicate.iter().map(|predicate| predicate(first));
        let (mut is_open, is_whole) = (false, first.len() == BYTES_MAX);
        for said in prefixes.chain(predicate) {
            match said {
                Some(true) => return Decision::Other,
                Some(false) => {}
                None => is_open = true,
            }
        }
        if is_open && !is_whole { Decision::NeedBytes } else { Decision::Http }
    }
}

impl fmt::Debug for Detector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Detector").field("prefixes", &self.prefixes).finish_non_exhaustive()
    }
}

/// Whether they begin with this; none while that is open.
fn begins(input: &[u8], prefix: &[u8]) -> Option<bool> {
    let is_same = input.iter().zip(prefix).all(|(own, other)| own == other);
    match is_same {
        true if input.len() < prefix.len() => None,
        is_same => Some(is_same),
    }
}

/// Whether they begin a request line, as every client writes it.
fn by_request_line(input: &[u8]) -> Decision {
    let is_method = |byte: &u8| byte.is_ascii_uppercase() || *byte == b'-';
    let length = input.iter().take_while(|byte| is_method(byte)).count();
    let (method, rest) = input.split_at(length);
    match rest {
        _ if !input[0].is_ascii_uppercase() => Decision::Other,
        [] | [b' '] if input.len() < BYTES_MAX => Decision::NeedBytes,
        [b' ', b'/' | b'*' | b'h' | b'H', ..] => Decision::Http,
        // Its target is a host.
        [b' ', _, ..] if method == b"CONNECT" => Decision::Http,
        _ => Decision::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What they say in the end, and with how many bytes at the earliest; nothing before contradicts it.
    fn decided(detector: &Detector, input: &[u8]) -> (Decision, usize) {
        let all = detector.decide(input);
        let at = (0..=input.len()).find(|at| detector.decide(&input[..*at]) == all).unwrap();
        for end in 0..input.len() {
            let expected = if end < at { Decision::NeedBytes } else { all };
            assert_eq!(detector.decide(&input[..end]), expected, "{input:?} at {end}");
        }
        (all, at)
    }

    #[test]
    fn request_lines_at_every_split() {
        let plain = Detector::default();
        for (input, expected) in [
            (b"GET / HTTP/1.1\r\n".as_slice(), (Decision::Http, 5)),
            (b"OPTIONS * HTTP/1.1\r\n", (Decision::Http, 9)),
            (b"GET http://a/ HTTP/1.1\r\n", (Decision::Http, 5)),
            (b"CONNECT a:1 HTTP/1.1\r\n", (Decision::Http, 9)),
            (b"VERSION-CONTROL /a HTTP/1.1\r\n", (Decision::Http, 17)),
            (b"ABCDEFGHIJKLMNOPQRSTUV / HTTP/1.1", (Decision::Http, 24)),
            (b"ABCDEFGHIJKLMNOPQRSTUVW / HTTP/1.1", (Decision::Other, 24)),
            (b"ABCDEFGHIJKLMNOPQRSTUVWXYZ", (Decision::Other, 24)),
            (b"get / HTTP/1.1\r\n", (Decision::Other, 1)),
            (b"-GET / HTTP/1.1\r\n", (Decision::Other, 1)),
            (b"GET\t/", (Decision::Other, 4)),
            (b"GET  /", (Decision::Other, 5)),
            (b"SET key value\r\n", (Decision::Other, 5)),
            (b"SSH-2.0-tide\r\n", (Decision::Other, 5)),
            (b"\x16\x03\x01", (Decision::Other, 1)),
            (b"\r\nGET / HTTP/1.1\r\n", (Decision::Other, 1)),
            (b"GET", (Decision::NeedBytes, 0)),
            (b"", (Decision::NeedBytes, 0)),
        ] {
            assert_eq!(decided(&plain, input), expected, "{}", input.escape_ascii());
        }
    }

    #[test]
    fn what_is_described_leaves_the_rest_to_http() {
        let mut described = Detector::default();
        described.add_prefix(b"");
        described.add_prefix(b"SSH-");
        described.add_prefix(&[7; 40]);
        described.set_predicate(|input| match input {
            [b'S', b'T', ..] => Some(true),
            [b'S'] | [0, ..] => None,
            _ => Some(false),
        });
        for (input, expected) in [
            (b"SSH-2.0\r\n".as_slice(), (Decision::Other, 4)),
            (b"STOP\r\n", (Decision::Other, 2)),
            (b"SEARCH / HTTP/1.1\r\n", (Decision::Http, 2)),
            (b"anything else", (Decision::Http, 1)),
            (&[7; 30], (Decision::Other, 24)),
            // Who cannot decide is not waited for.
            (&[0; 30], (Decision::Http, 24)),
            (b"SS", (Decision::NeedBytes, 0)),
        ] {
            assert_eq!(decided(&described, input), expected, "{}", input.escape_ascii());
        }
    }
}
