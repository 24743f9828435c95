//! The header of the PROXY protocol, versions 1 and 2: who is at the other end of a proxy.
//! It believes whoever sends it: whether that one is to be believed is decided elsewhere.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// The longest header of version 1, its line end among it.
const TEXT_BYTES_MAX: usize = 107;
/// The longest header of version 2 that is taken, whatever it has behind the addresses.
const BINARY_BYTES_MAX: usize = 4096;
const TEXT_BEGINNING: &[u8] = b"PROXY ";
const BINARY_BEGINNING: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
/// Behind the beginning: version and command, family and transport, and a length of two bytes.
const BINARY_FIXED_BYTES: usize = BINARY_BEGINNING.len() + 4;

/// The reading side of one connection until its header has come.
///
/// ```
/// use springtide_proto::proxy::{Machine, Received};
///
/// let mut machine = Machine::new(0);
/// let input = b"PROXY TCP4 192.0.2.7 192.0.2.1 4711 443\r\nGET / HTTP/1.1\r\n";
/// assert_eq!(machine.receive(&input[..20]), Ok(Received::NeedBytes));
/// let source = Some("192.0.2.7:4711".parse().unwrap());
/// assert_eq!(machine.receive(input), Ok(Received::Header { consumed: 41, source }));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Machine {
    began_ms: u64,
}

/// What came of the bytes so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Received {
    /// The header is not whole: call again with more behind the same bytes.
    NeedBytes,
    /// The header is whole.
    Header {
        /// How many bytes it has; what stands behind is the connection's.
        consumed: usize,
        /// The client; none where the proxy speaks for itself (`LOCAL`), does not know, or names
        /// what is no TCP over IP.
        source: Option<SocketAddr>,
    },
}

/// How a peer breaks the protocol: its connection is closed without a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// It begins like no header.
    NoHeader,
    /// An address, a port or the line end is malformed, or a version or command is unknown.
    Malformed,
    /// It is longer than any header, or than 4,096 bytes.
    TooLong,
    /// It did not come in time.
    Timeout,
}

impl Machine {
    /// A connection that was just accepted.
    #[must_use]
    pub const fn new(now_ms: u64) -> Self {
        Self { began_ms: now_ms }
    }

    /// Reads the header from the beginning of all bytes so far.
    ///
    /// # Errors
    /// The peer breaks the protocol.
    pub fn receive(&mut self, input: &[u8]) -> Result<Received, Refusal> {
        let begins =
            |beginning: &[u8]| input.iter().zip(beginning).all(|(own, other)| own == other);
        if begins(TEXT_BEGINNING) {
            return if input.len() < TEXT_BEGINNING.len() {
                Ok(Received::NeedBytes)
            } else {
                text(input)
            };
        }
        if begins(BINARY_BEGINNING) { binary(input) } else { Err(Refusal::NoHeader) }
    }

    /// When [`on_deadline`](Self::on_deadline) is to be called.
    #[must_use]
    pub const fn next_deadline_ms(&self, timeout_ms: u64) -> u64 {
        self.began_ms.saturating_add(timeout_ms)
    }

    /// Whether the header is late.
    ///
    /// # Errors
    /// It is.
    pub fn on_deadline(&mut self, now_ms: u64, timeout_ms: u64) -> Result<(), Refusal> {
        let is_late = now_ms >= self.next_deadline_ms(timeout_ms);
        if is_late { Err(Refusal::Timeout) } else { Ok(()) }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoHeader => "the connection does not begin with a PROXY header",
            Self::Malformed => "the PROXY header is malformed",
            Self::TooLong => "the PROXY header is longer than allowed",
            Self::Timeout => "the PROXY header did not come in time",
        })
    }
}

impl std::error::Error for Refusal {}

/// Version 1: one line.
fn text(input: &[u8]) -> Result<Received, Refusal> {
    let line = &input[..input.len().min(TEXT_BYTES_MAX)];
    let Some(end) = memchr::memchr(b'\n', line) else {
        let is_full = line.len() == TEXT_BYTES_MAX;
        return if is_full { Err(Refusal::TooLong) } else { Ok(Received::NeedBytes) };
    };
    let line = line[..end].strip_suffix(b"\r").ok_or(Refusal::Malformed)?;
    let line =
        std::str::from_utf8(&line[TEXT_BEGINNING.len()..]).map_err(|_| Refusal::Malformed)?;
    let source = source_of_line(line).ok_or(Refusal::Malformed)?;
    Ok(Received::Header { consumed: end + 1, source })
}

/// What a line says; none when it is malformed.
fn source_of_line(line: &str) -> Option<Option<SocketAddr>> {
    let mut words = line.split(' ');
    let is_v6 = match words.next()? {
        // Whatever stands behind it has no meaning.
        "UNKNOWN" => return Some(None),
        "TCP4" => false,
        "TCP6" => true,
        _ => return None,
    };
    let mut address = || words.next()?.parse::<IpAddr>().ok().filter(|own| own.is_ipv6() == is_v6);
    let (source, _) = (address()?, address()?);
    let mut port = || {
        let word = words.next()?;
        word.bytes().all(|byte| byte.is_ascii_digit()).then(|| word.parse::<u16>().ok())?
    };
    let (source_port, _) = (port()?, port()?);
    words.next().is_none().then_some(Some(SocketAddr::new(source, source_port)))
}

/// Version 2: addresses and more as bytes.
fn binary(input: &[u8]) -> Result<Received, Refusal> {
    let Some(fixed) = input.first_chunk::<BINARY_FIXED_BYTES>() else {
        return Ok(Received::NeedBytes);
    };
    let [.., command, family, high, low] = *fixed;
    let length = usize::from(u16::from_be_bytes([high, low]));
    let consumed = BINARY_FIXED_BYTES + length;
    if consumed > BINARY_BYTES_MAX {
        return Err(Refusal::TooLong);
    }
    let is_local = match command {
        0x20 => true,
        0x21 => false,
        _ => return Err(Refusal::Malformed),
    };
    let Some(rest) = input.get(BINARY_FIXED_BYTES..consumed) else {
        return Ok(Received::NeedBytes);
    };
    let source = match family {
        _ if is_local => None,
        0x11 => Some(source_of_v4(rest)?),
        0x21 => Some(source_of_v6(rest)?),
        _ => None,
    };
    Ok(Received::Header { consumed, source })
}

/// Source, target and their ports; what stands behind them is skipped.
fn source_of_v4(rest: &[u8]) -> Result<SocketAddr, Refusal> {
    let [a, b, c, d, _, _, _, _, high, low, _, _, ..] = *rest else {
        return Err(Refusal::Malformed);
    };
    let address = IpAddr::V4(Ipv4Addr::new(a, b, c, d));
    Ok(SocketAddr::new(address, u16::from_be_bytes([high, low])))
}

/// The same for IPv6.
fn source_of_v6(rest: &[u8]) -> Result<SocketAddr, Refusal> {
    let addresses = rest.first_chunk::<36>().ok_or(Refusal::Malformed)?;
    let (source, _) = addresses.split_first_chunk::<16>().ok_or(Refusal::Malformed)?;
    let port = u16::from_be_bytes([addresses[32], addresses[33]]);
    Ok(SocketAddr::new(IpAddr::V6(Ipv6Addr::from(*source)), port))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn binary(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
        let length = u16::try_from(rest.len()).unwrap().to_be_bytes();
        [BINARY_BEGINNING, &[command, family], &length, rest].concat()
    }

    /// What a header says, however it is split, and whatever follows.
    fn check(header: &[u8], expected: Result<Option<&str>, Refusal>) {
        let mut machine = Machine::new(0);
        let shown = String::from_utf8_lossy(header).into_owned();
        let followed = [header, b"\r\nGET / HTTP/1.1\r\n"].concat();
        for end in 0..=followed.len() {
            let received = machine.receive(&followed[..end]);
            let expected = match expected {
                Ok(_) if end < header.len() => Ok(Received::NeedBytes),
                Ok(source) => {
                    let source = source.map(|source| source.parse().unwrap());
                    Ok(Received::Header { consumed: header.len(), source })
                }
                // It is told as soon as it is known, and nothing else is before.
                Err(_) if received == Ok(Received::NeedBytes) && end < header.len() => continue,
                Err(refusal) => Err(refusal),
            };
            assert_eq!(received, expected, "{shown:?} up to {end}");
        }
    }

    #[test]
    fn headers_name_their_source() {
        let v4 = [192, 0, 2, 7, 192, 0, 2, 1, 0x12, 0x67, 0x01, 0xBB];
        let v6: Vec<u8> = (0..36).collect();
        let records = [&v4[..], &[0x04, 0, 3, 1, 2, 3, 0xEE, 0, 0]].concat();
        for (header, source) in [
            (b"PROXY TCP4 192.0.2.7 192.0.2.1 4711 443\r\n".to_vec(), Some("192.0.2.7:4711")),
            (b"PROXY TCP6 2001:db8::7 ::1 1 65535\r\n".to_vec(), Some("[2001:db8::7]:1")),
            (b"PROXY UNKNOWN\r\n".to_vec(), None),
            (b"PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n".to_vec(), None),
            (binary(0x21, 0x11, &v4), Some("192.0.2.7:4711")),
            (binary(0x21, 0x11, &records), Some("192.0.2.7:4711")),
            (binary(0x21, 0x21, &v6), Some("[1:203:405:607:809:a0b:c0d:e0f]:8225")),
            (binary(0x20, 0x11, &v4), None),
            (binary(0x20, 0, &[]), None),
            (binary(0x21, 0, &[1, 2, 3]), None),
            (binary(0x21, 0x31, &[0; 216]), None),
            (binary(0x21, 0x12, &v4), None),
            (binary(0x21, 0x11, &[&v4[..], &[0; 4096 - 28]].concat()), Some("192.0.2.7:4711")),
        ] {
            check(&header, Ok(source));
        }
    }

    #[test]
    fn what_is_no_header_is_refused() {
        let long = [b"PROXY UNKNOWN ".as_slice(), &[b'x'; 100]].concat();
        for (header, refusal) in [
            (b"GET / HTTP/1.1\r\n".to_vec(), Refusal::NoHeader),
            (b"PROXX".to_vec(), Refusal::NoHeader),
            (b"\r\n\r\n\0\r\nQUIT\r".to_vec(), Refusal::NoHeader),
            (long, Refusal::TooLong),
            (b"PROXY TCP4 192.0.2.7 192.0.2.1 4711 443\n".to_vec(), Refusal::Malformed),
            (b"PROXY TCP4 2001:db8::7 ::1 1 2\r\n".to_vec(), Refusal::Malformed),
            (b"PROXY TCP4 192.0.2.7 192.0.2.1 4711\r\n".to_vec(), Refusal::Malformed),
            (b"PROXY TCP4 192.0.2.7 192.0.2.1 +1 2\r\n".to_vec(), Refusal::Malformed),
            (b"PROXY TCP4 192.0.2.7 192.0.2.1 1 65536\r\n".to_vec(), Refusal::Malformed),
            (b"PROXY TCP4 192.0.2.7 192.0.2.1 1 2 3\r\n".to_vec(), Refusal::Malformed),
            (b"PROXY TCP4  192.0.2.7 192.0.2.1 1 2\r\n".to_vec(), Refusal::Malformed),
            (b"PROXY UDP4 192.0.2.7 192.0.2.1 1 2\r\n".to_vec(), Refusal::Malformed),
            (binary(0x11, 0x11, &[0; 12]), Refusal::Malformed),
            (binary(0x22, 0x11, &[0; 12]), Refusal::Malformed),
            (binary(0x21, 0x11, &[0; 11]), Refusal::Malformed),
            (binary(0x21, 0x21, &[0; 35]), Refusal::Malformed),
            (binary(0x21, 0x11, &[0; 4081]), Refusal::TooLong),
        ] {
            check(&header, Err(refusal));
        }
    }

    #[test]
    fn headers_have_a_deadline() {
        let mut machine = Machine::new(5);
        assert_eq!(machine.next_deadline_ms(10), 15);
        assert_eq!(machine.on_deadline(14, 10), Ok(()));
        assert_eq!(machine.on_deadline(15, 10), Err(Refusal::Timeout));
        assert_eq!(machine.next_deadline_ms(u64::MAX), u64::MAX);
    }
}
