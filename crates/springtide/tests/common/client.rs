//! A client over TCP that reads reply by reply, each of which must be 200.
//! What it asks for is up to each test.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use springtide::{Address, Running};

/// What a reply may take.
const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) struct Client(pub(crate) BufReader<TcpStream>);

impl Client {
    pub(crate) fn new(running: &Running) -> Self {
        let Address::Internet(address) = &running.addresses()[0] else { panic!("it is TCP") };
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        Self(BufReader::new(stream))
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) {
        self.0.get_mut().write_all(bytes).unwrap();
    }

    pub(crate) fn ask(&mut self, path: &str) {
        self.write(format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n").as_bytes());
    }

    /// The head of a reply; how long its body is.
    pub(crate) fn head(&mut self) -> usize {
        self.head_with("200 OK")
    }

    /// The same, of a reply with another status.
    pub(crate) fn head_with(&mut self, status: &str) -> usize {
        let first = format!("HTTP/1.1 {status}\r\n");
        let mut length = 0;
        for number in 0.. {
            let mut line = String::new();
            assert!(self.0.read_line(&mut line).unwrap() > 0, "the connection is lost");
            assert!(number > 0 || line == first, "{line:?}");
            if let Some(value) = line.strip_prefix("Content-Length: ") {
                length = value.trim().parse().unwrap();
            }
            if line == "\r\n" {
                break;
            }
        }
        length
    }

    pub(crate) fn bytes(&mut self, length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        self.0.read_exact(&mut bytes).unwrap();
        bytes
    }

    pub(crate) fn reply(&mut self) -> Vec<u8> {
        let length = self.head();
        self.bytes(length)
    }

    /// What a path answers, in words.
    pub(crate) fn words(&mut self, path: &str) -> String {
        self.ask(path);
        String::from_utf8(self.reply()).unwrap()
    }
}
