//! A bounded number of keep-alive requests over plain sockets, counted reply by reply. Not a load
//! generator: it measures nothing but that every reply came.

use crate::error::Error;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

const REQUEST: &[u8] = b"GET /plaintext HTTP/1.1\r\nHost: localhost\r\n\r\n";
const REPLY_TIMEOUT: Duration = Duration::from_secs(10);
const REPLY_BYTES_MAX: usize = 64 * 1024;

/// Every connection sends `pipelined` requests at once, `rounds` times; all of them in each round
/// before the first reply is read.
pub(crate) struct Load {
    pub(crate) connections: usize,
    pub(crate) pipelined: usize,
    pub(crate) rounds: usize,
}

impl Load {
    pub(crate) fn requests(&self) -> usize {
        self.connections * self.pipelined * self.rounds
    }
}

/// Connections that have each had one reply, so that what follows is requests only.
pub(crate) struct Client {
    streams: Vec<TcpStream>,
    reply_bytes: usize,
}

impl Client {
    pub(crate) fn connect(address: SocketAddr, connections: usize) -> Result<Self, Error> {
        let mut client = Self { streams: Vec::new(), reply_bytes: 0 };
        for _ in 0..connections {
            let failed = |source| Error::Network { doing: "connecting to the server", source };
            let mut stream = TcpStream::connect(address).map_err(failed)?;
            stream.set_nodelay(true).map_err(failed)?;
            stream.set_read_timeout(Some(REPLY_TIMEOUT)).map_err(failed)?;
            stream.set_write_timeout(Some(REPLY_TIMEOUT)).map_err(failed)?;
            client.reply_bytes = first_reply(&mut stream)?;
            client.streams.push(stream);
        }
        Ok(client)
    }

    /// Sends the load; every reply must be as long as the first and begin like it.
    pub(crate) fn drive(&mut self, load: &Load) -> Result<(), Error> {
        let burst = REQUEST.repeat(load.pipelined);
        let mut replies = vec![0; self.reply_bytes * load.pipelined];
        for _ in 0..load.rounds {
            for stream in &mut self.streams {
                let failed = |source| Error::Network { doing: "sending requests", source };
                stream.write_all(&burst).map_err(failed)?;
            }
            for stream in &mut self.streams {
                let failed = |source| Error::Network { doing: "waiting for replies", source };
                stream.read_exact(&mut replies).map_err(failed)?;
                for reply in replies.chunks(self.reply_bytes) {
                    if !reply.starts_with(b"HTTP/1.1 200 ") {
                        return Err(strange(reply));
                    }
                }
            }
        }
        Ok(())
    }
}

fn first_reply(stream: &mut TcpStream) -> Result<usize, Error> {
    let failed = |source| Error::Network { doing: "asking for /plaintext", source };
    stream.write_all(REQUEST).map_err(failed)?;
    let mut reply = Vec::new();
    let mut part = [0; 4096];
    while reply.len() < REPLY_BYTES_MAX {
        let count = stream.read(&mut part).map_err(failed)?;
        reply.extend_from_slice(&part[..count]);
        match reply_length(&reply) {
            Some(length) if length == reply.len() => return Ok(length),
            Some(length) if length < reply.len() => return Err(strange(&reply)),
            _ if count == 0 => return Err(strange(&reply)),
            _ => {}
        }
    }
    Err(strange(&reply))
}

/// The length of head and body, once the head is there.
fn reply_length(reply: &[u8]) -> Option<usize> {
    let head_bytes = reply.windows(4).position(|end| end == b"\r\n\r\n")? + 4;
    let head = std::str::from_utf8(&reply[..head_bytes]).ok()?;
    let body_bytes = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
    })?;
    head.starts_with("HTTP/1.1 200 ").then_some(head_bytes + body_bytes)
}

fn strange(reply: &[u8]) -> Error {
    let got = String::from_utf8_lossy(&reply[..reply.len().min(200)]).into_owned();
    Error::Reply { expected: "200 replies of one length with a Content-Length", got }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::BufRead;
    use std::net::TcpListener;

    #[test]
    fn replies_are_measured() {
        let reply = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi";
        assert_eq!(reply_length(reply), Some(reply.len()));
        assert_eq!(reply_length(&reply[..20]), None);
        assert_eq!(reply_length(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"), None);
    }

    /// A server of one connection that answers `answers` requests and then hangs up.
    fn server(answers: usize, reply: &'static [u8]) -> SocketAddr {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            let (stream, _) = listener.accept().unwrap();
            let mut writer = stream.try_clone().unwrap();
            let lines = std::io::BufReader::new(stream).lines();
            let ends = lines.map_while(Result::ok).filter(String::is_empty);
            ends.take(answers).for_each(|_| writer.write_all(reply).unwrap());
        });
        address
    }

    #[test]
    fn every_reply_is_counted() {
        let reply = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi";
        let load = Load { connections: 1, pipelined: 4, rounds: 3 };
        let mut client = Client::connect(server(1 + load.requests(), reply), 1).unwrap();
        client.drive(&load).unwrap();
        let mut client = Client::connect(server(load.requests(), reply), 1).unwrap();
        assert!(client.drive(&load).is_err(), "the last reply never came");
    }

    #[test]
    fn other_replies_are_refused() {
        for reply in [&b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"[..], b"hello"] {
            assert!(Client::connect(server(1, reply), 1).is_err());
        }
    }
}
