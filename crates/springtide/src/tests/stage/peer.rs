//! The other ends of a stage's connections: simulated, or of the system.
//! They never wait: what cannot be done now is not done.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use springtide_engine::simulated::Client;

/// The other end of a connection; for real ones, the stream and whether its end was read.
pub(crate) enum Peer {
    Simulated(Client),
    Tcp(TcpStream, bool),
    Unix(UnixStream, bool),
}

impl Peer {
    /// Writes what fits.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> usize {
        match self {
            Self::Simulated(client) => client.write(bytes),
            Self::Tcp(stream, _) => stream.write(bytes).unwrap_or(0),
            Self::Unix(stream, _) => stream.write(bytes).unwrap_or(0),
        }
    }

    /// Appends at most so many bytes of what has come; on a simulated stage only.
    pub(crate) fn read_at_most(&mut self, count: usize, into: &mut Vec<u8>) {
        let Self::Simulated(client) = self else { panic!("only simulated peers read slowly") };
        client.read_at_most(count, into);
    }

    /// Appends what has come.
    pub(crate) fn read(&mut self, into: &mut Vec<u8>) {
        match self {
            Self::Simulated(client) => {
                client.read(into);
            }
            Self::Tcp(stream, ended) => *ended |= read_all(stream, into),
            Self::Unix(stream, ended) => *ended |= read_all(stream, into),
        }
    }

    pub(crate) fn shutdown(&mut self) {
        match self {
            Self::Simulated(client) => client.shutdown(),
            Self::Tcp(stream, _) => stream.shutdown(Shutdown::Write).unwrap(),
            Self::Unix(stream, _) => stream.shutdown(Shutdown::Write).unwrap(),
        }
    }

    /// Resets the connection.
    pub(crate) fn reset(self) {
        match self {
            Self::Simulated(client) => client.reset(),
            Self::Tcp(stream, _) => {
                socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO)).unwrap();
            }
            Self::Unix(..) => panic!("a Unix stream knows no reset"),
        }
    }

    /// Whether the server has ended its side, or the connection is gone.
    pub(crate) fn is_ended(&self) -> bool {
        match self {
            Self::Simulated(client) => client.is_ended() || client.is_reset(),
            Self::Tcp(_, ended) | Self::Unix(_, ended) => *ended,
        }
    }

    /// Whether the server has reset the connection.
    pub(crate) fn is_reset(&self) -> bool {
        let mut byte = [0];
        match self {
            Self::Simulated(client) => client.is_reset(),
            Self::Tcp(stream, _) => {
                let peeked = stream.peek(&mut byte);
                peeked.is_err_and(|error| error.kind() == std::io::ErrorKind::ConnectionReset)
            }
            Self::Unix(..) => panic!("a Unix socket knows no reset"),
        }
    }
}

/// Reads what is there; true when that was the end.
fn read_all(stream: &mut impl Read, into: &mut Vec<u8>) -> bool {
    let mut buffer = [0; 65_536];
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => return true,
            Ok(count) => into.extend_from_slice(&buffer[..count]),
            Err(error) => return error.kind() != std::io::ErrorKind::WouldBlock,
        }
    }
}
