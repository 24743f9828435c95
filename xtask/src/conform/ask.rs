//! One case on a connection of its own, and what came back. Waits for no server longer than a case
//! may take.

use super::cases::Case;
use crate::error::Error;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

/// What a server made of a case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It answered, and refused nothing.
    Accepted,
    /// It answered with this status, and with this text for a reason.
    Refused(u16, String),
    /// It ended the connection, or said nothing.
    Silent,
}

/// Statuses that say that the message itself is wrong, or more than the server wants; every other
/// one is the answer to a request that was understood.
const REFUSALS: [u16; 9] = [400, 408, 411, 413, 414, 417, 431, 501, 505];
const QUIET: Duration = Duration::from_millis(1500);
const REPLY_BYTES_MAX: usize = 1 << 20;

/// Sends a case, ends the stream, and reads to the server's end.
pub(super) fn ask(address: SocketAddr, case: &Case) -> Result<Outcome, Error> {
    let failed = |source| Error::Network { doing: "asking a case", source };
    let mut stream = TcpStream::connect(address).map_err(failed)?;
    stream.set_read_timeout(Some(QUIET)).map_err(failed)?;
    stream.set_write_timeout(Some(QUIET)).map_err(failed)?;
    // A server that refuses early resets: what it said before counts.
    let _ = stream.write_all(&case.bytes).and_then(|()| stream.shutdown(Shutdown::Write));
    let (mut said, mut part) = (Vec::new(), [0; 4096]);
    while said.len() < REPLY_BYTES_MAX {
        match stream.read(&mut part) {
            Ok(0) => break,
            Ok(count) => said.extend_from_slice(&part[..count]),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(_) => break,
        }
    }
    Ok(outcome(&said))
}

/// The first refusal among the replies, or acceptance when there is any reply.
fn outcome(said: &[u8]) -> Outcome {
    let text = String::from_utf8_lossy(said);
    let mut is_answered = false;
    // Some answer a request of HTTP/1.0 by its own version.
    for reply in text.split("HTTP/1.").skip(1) {
        let Some(status) = reply.get(2..5).and_then(|digits| digits.parse::<u16>().ok()) else {
            continue;
        };
        if REFUSALS.contains(&status) {
            let reason = reply.split_once("\r\n\r\n").map_or("", |(_, body)| body);
            return Outcome::Refused(status, reason.lines().next().unwrap_or_default().to_owned());
        }
        is_answered |= status >= 200;
    }
    if is_answered { Outcome::Accepted } else { Outcome::Silent }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replies_are_judged() {
        let ok = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
        let refused = "HTTP/1.1 400 Bad Request\r\nContent-Length: 3\r\n\r\nbad";
        assert_eq!(outcome(b""), Outcome::Silent);
        assert_eq!(outcome(b"HTTP/1.1 100 Continue\r\n\r\n"), Outcome::Silent);
        assert_eq!(outcome(ok.as_bytes()), Outcome::Accepted);
        assert_eq!(outcome(b"HTTP/1.1 404 Not Found\r\n\r\n"), Outcome::Accepted);
        assert_eq!(outcome(b"HTTP/1.0 200 OK\r\n\r\n"), Outcome::Accepted);
        assert_eq!(
            outcome(format!("{ok}{refused}").as_bytes()),
            Outcome::Refused(400, "bad".into())
        );
    }
}
