//! Commands of Redis and what must come back, in its protocol (RESP2).
//! It must never learn a reply from the server: each is what the protocol says.

use std::io::{self, Read, Write};
use std::net::TcpStream;

use super::options::{Command, Options};
use super::plan::PROBE_TIMEOUT;
use crate::template::Template;

const KEY: &str = "key:000000000001";
const VALUE: &str = "tides";

/// The bytes of a command, and its reply. A GET finds what is set here.
pub(super) fn prepare(options: &Options, command: Command) -> io::Result<(Vec<u8>, Template)> {
    let (request, reply) = exchange(command);
    if command == Command::Get {
        set(options)?;
    }
    Ok((request, Template::exactly(&reply)))
}

fn exchange(command: Command) -> (Vec<u8>, Vec<u8>) {
    match command {
        Command::Ping => (array(&["PING"]), b"+PONG\r\n".to_vec()),
        Command::Set => (array(&["SET", KEY, VALUE]), b"+OK\r\n".to_vec()),
        Command::Get => (array(&["GET", KEY]), bulk(VALUE).into_bytes()),
    }
}

fn set(options: &Options) -> io::Result<()> {
    let (request, reply) = exchange(Command::Set);
    let mut stream = TcpStream::connect_timeout(&options.target, PROBE_TIMEOUT)?;
    stream.set_read_timeout(Some(PROBE_TIMEOUT))?;
    stream.write_all(&request)?;
    let mut received = vec![0; reply.len()];
    stream.read_exact(&mut received)?;
    if received != reply {
        let said = String::from_utf8_lossy(&received);
        return Err(io::Error::other(format!("the key was not set: {said:?}")));
    }
    Ok(())
}

fn array(words: &[&str]) -> Vec<u8> {
    let words: String = [format!("*{}\r\n", words.len())]
        .into_iter()
        .chain(words.iter().map(|word| bulk(word)))
        .collect();
    words.into_bytes()
}

fn bulk(text: &str) -> String {
    format!("${}\r\n{text}\r\n", text.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_arrays_of_texts() {
        let check = |command, request: &str, reply: &str| {
            let (sent, expected) = exchange(command);
            assert_eq!(
                (sent.as_slice(), expected.as_slice()),
                (request.as_bytes(), reply.as_bytes())
            );
        };
        check(Command::Ping, "*1\r\n$4\r\nPING\r\n", "+PONG\r\n");
        let set = "*3\r\n$3\r\nSET\r\n$16\r\nkey:000000000001\r\n$5\r\ntides\r\n";
        check(Command::Set, set, "+OK\r\n");
        let get = "*2\r\n$3\r\nGET\r\n$16\r\nkey:000000000001\r\n";
        check(Command::Get, get, "$5\r\ntides\r\n");
    }
}
