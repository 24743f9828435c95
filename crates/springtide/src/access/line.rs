//! Lines of the access log: what stands in them, and how what a peer sent is made harmless.
//! It knows no buffer's owner and no clock.

use std::time::{Duration, UNIX_EPOCH};

use springtide_engine::Address;
use springtide_proto::http1::Version;

use super::{LogFormat, part};
use crate::request::RequestData;

/// Something that a peer sent.
pub(super) struct Part<'a>(pub(super) &'a [u8]);

impl Part<'_> {
    /// Writes it with everything escaped that could end the part, the line, or the reader's patience
    /// (nginx CVE-2009-4487).
    fn write(&self, into: &mut Vec<u8>, format: LogFormat) {
        if self.0.iter().all(|byte| is_plain(*byte)) {
            return into.extend_from_slice(self.0);
        }
        for byte in self.0 {
            match byte {
                byte if is_plain(*byte) => into.push(*byte),
                byte if format == LogFormat::Json => {
                    into.extend_from_slice(b"\\u00");
                    into.extend_from_slice(&hexadecimal(*byte));
                }
                byte => {
                    into.extend_from_slice(b"\\x");
                    into.extend_from_slice(&hexadecimal(*byte));
                }
            }
        }
    }
}

const fn is_plain(byte: u8) -> bool {
    matches!(byte, b' '..=b'~') && byte != b'"' && byte != b'\\'
}

const fn hexadecimal(byte: u8) -> [u8; 2] {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    [DIGITS[(byte >> 4) as usize], DIGITS[(byte & 15) as usize]]
}

/// The second as lines write it.
pub(super) struct Clock {
    format: LogFormat,
    second: u64,
    text: Vec<u8>,
}

impl Clock {
    pub(super) const fn new(format: LogFormat) -> Self {
        Self { format, second: u64::MAX, text: Vec::new() }
    }

    #[inline]
    pub(super) fn set(&mut self, unix_seconds: u64) {
        if self.second != unix_seconds {
            self.second = unix_seconds;
            self.write();
        }
    }

    pub(super) fn text(&self) -> &[u8] {
        &self.text
    }

    #[cold]
    fn write(&mut self) {
        const MONTHS: &str = "JanFebMarAprMayJunJulAugSepOctNovDec";
        // Sun, 06 Nov 1994 08:49:37 GMT
        let date = httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(self.second));
        let (day, month, year, time) = (&date[5..7], &date[8..11], &date[12..16], &date[17..25]);
        let number = MONTHS.find(month).map_or(1, |at| at / 3 + 1);
        self.text = match self.format {
            LogFormat::Pretty => format!("{year}-{number:02}-{day} {time}"),
            LogFormat::Common => format!("{day}/{month}/{year}:{time} +0000"),
            LogFormat::Json => format!("{year}-{number:02}-{day}T{time}Z"),
        }
        .into_bytes();
    }
}

/// The name of a peer: its address without the port.
#[derive(Clone, Copy)]
pub(super) struct Name {
    len: u8,
    bytes: [u8; 47],
}

impl Default for Name {
    fn default() -> Self {
        Self { len: 0, bytes: [0; 47] }
    }
}

impl Name {
    pub(super) fn of(address: Option<Address>) -> Self {
        let mut own = Self::default();
        let text = match address {
            Some(Address::Internet(address)) => address.ip().to_canonical().to_string(),
            Some(Address::Unix(_)) => "unix".to_owned(),
            None => "-".to_owned(),
        };
        let len = text.len().min(own.bytes.len());
        own.bytes[..len].copy_from_slice(&text.as_bytes()[..len]);
        own.len = u8::try_from(len).unwrap_or(0);
        own
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }
}

/// The line of a request, up to its answer.
pub(super) fn begin(
    into: &mut Vec<u8>,
    format: LogFormat,
    time: &[u8],
    peer: &[u8],
    data: &RequestData,
) {
    let (method, target) = (data.head.method.as_str().as_bytes(), data.target());
    let version: &[u8] = match data.head.version {
        Version::Http10 => b"HTTP/1.0",
        Version::Http11 => b"HTTP/1.1",
    };
    opening(into, format, time, peer);
    match format {
        LogFormat::Pretty | LogFormat::Common => {
            part(method).write(into, format);
            into.push(b' ');
            part(target).write(into, format);
            if format == LogFormat::Common {
                into.push(b' ');
                into.extend_from_slice(version);
            }
        }
        LogFormat::Json => {
            part(method).write(into, format);
            into.extend_from_slice(b"\",\"target\":\"");
            part(target).write(into, format);
            into.extend_from_slice(b"\",\"version\":\"");
            into.extend_from_slice(version);
            for (key, field) in [("referer", "referer"), ("user_agent", "user-agent")] {
                if let Some(value) = data.only_field(field) {
                    into.extend_from_slice(b"\",\"");
                    into.extend_from_slice(key.as_bytes());
                    into.extend_from_slice(b"\":\"");
                    part(value).write(into, format);
                }
            }
        }
    }
}

/// The line of what was no request, up to its answer.
pub(super) fn nothing(into: &mut Vec<u8>, format: LogFormat, time: &[u8], peer: &[u8]) {
    opening(into, format, time, peer);
    into.push(b'-');
}

fn opening(into: &mut Vec<u8>, format: LogFormat, time: &[u8], peer: &[u8]) {
    let parts: [&[u8]; 5] = match format {
        LogFormat::Pretty => [b"", time, b"  ", peer, b"  "],
        LogFormat::Common => [peer, b" - - [", time, b"] \"", b""],
        LogFormat::Json => [b"{\"time\":\"", time, b"\",\"peer\":\"", peer, b"\",\"method\":\""],
    };
    parts.into_iter().for_each(|part| into.extend_from_slice(part));
}

/// The answer, and the end of the line.
pub(super) fn end(into: &mut Vec<u8>, format: LogFormat, status: u16, bytes: u64, took_ms: u64) {
    let (before, between, behind): (&[u8], &[u8], &[u8]) = match format {
        LogFormat::Pretty => (b"  ", b"  ", b" B  "),
        LogFormat::Common => (b"\" ", b" ", b"\n"),
        LogFormat::Json => (b"\",\"status\":", b",\"bytes\":", b",\"ms\":"),
    };
    let mut digits = itoa::Buffer::new();
    into.extend_from_slice(before);
    into.extend_from_slice(digits.format(status).as_bytes());
    into.extend_from_slice(between);
    into.extend_from_slice(digits.format(bytes).as_bytes());
    into.extend_from_slice(behind);
    let last: &[u8] = match format {
        LogFormat::Pretty => b" ms\n",
        LogFormat::Common => return,
        LogFormat::Json => b"}\n",
    };
    into.extend_from_slice(digits.format(took_ms).as_bytes());
    into.extend_from_slice(last);
}
