//! A client that pipelines what it asks and compares every byte of what comes back.
//! It believes nothing that a reply says of itself.

use std::io::{BufRead, BufReader, Error, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};

use crate::site::{Chance, bytes_of};

/// One request, and the body that must come back.
#[derive(Clone)]
pub(crate) struct Ask {
    request: Vec<u8>,
    expected: Vec<u8>,
}

impl Ask {
    /// One of any kind: one of these files, or a body of up to `len_max` bytes.
    pub(crate) fn any(chance: &mut Chance, files: &[usize], len_max: usize) -> Self {
        let (key, len) = (chance.next(), chance.below(len_max));
        let get = |path: String, expected| Self {
            request: format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n").into(),
            expected,
        };
        match chance.below(6) {
            0 => {
                let len = files[chance.below(files.len())];
                get(format!("/file/{len}"), bytes_of(len as u64, len))
            }
            1 => get(format!("/memory/{key}/{len}"), bytes_of(key, len)),
            2 => get(format!("/stream/{key}/{len}"), bytes_of(key, len)),
            3 => Self::put("/whole", false, bytes_of(key, len), chance),
            4 => Self::put("/arriving", false, bytes_of(key, len), chance),
            _ => Self::put("/arriving", true, bytes_of(key, len), chance),
        }
    }

    fn put(path: &str, is_chunked: bool, body: Vec<u8>, chance: &mut Chance) -> Self {
        let framing = match is_chunked {
            true => "Transfer-Encoding: chunked".to_owned(),
            false => format!("Content-Length: {}", body.len()),
        };
        let head = format!("PUT {path} HTTP/1.1\r\nHost: a\r\n{framing}\r\n\r\n");
        let mut request = head.into_bytes();
        if is_chunked {
            let mut rest = &body[..];
            while !rest.is_empty() {
                let (piece, behind) = rest.split_at(rest.len().min(1 + chance.below(7_000)));
                request.extend_from_slice(format!("{:x}\r\n", piece.len()).as_bytes());
                request.extend_from_slice(piece);
                request.extend_from_slice(b"\r\n");
                rest = behind;
            }
            request.extend_from_slice(b"0\r\n\r\n");
        } else {
            request.extend_from_slice(&body);
        }
        Self { request, expected: body }
    }
}

/// How long a client waits for anything; nothing takes so long where packets are lost only.
const PATIENCE: Duration = Duration::from_secs(30);

fn connect(address: SocketAddr) -> std::io::Result<TcpStream> {
    let stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    // Who was reset behind our back answers when it is asked.
    let second = Duration::from_secs(1);
    let keepalive = TcpKeepalive::new().with_time(second).with_interval(second);
    SockRef::from(&stream).set_tcp_keepalive(&keepalive)?;
    Ok(stream)
}

/// The larger one of the two buffers that a connection of ours has.
pub(crate) fn buffer_bytes(address: SocketAddr) -> usize {
    let stream = connect(address).unwrap();
    let socket = SockRef::from(&stream);
    socket.recv_buffer_size().unwrap().max(socket.send_buffer_size().unwrap())
}

/// Asks all at once on one connection, and compares what comes; how many replies came whole, and
/// what ended the connection if that were not all.
pub(crate) fn talk(address: SocketAddr, asks: &[Ask]) -> (usize, std::io::Result<()>) {
    let stream = match connect(address) {
        Ok(stream) => stream,
        Err(error) => return (0, Err(error)),
    };
    let mut whole = 0;
    let ended = std::thread::scope(|scope| {
        let write = || {
            let all: Vec<u8> = asks.iter().flat_map(|ask| ask.request.clone()).collect();
            (&stream).write_all(&all).and_then(|()| stream.shutdown(Shutdown::Write))
        };
        let writer = scope.spawn(write);
        let mut reader = BufReader::new(&stream);
        let read = asks.iter().try_for_each(|ask| {
            compare(&mut reader, ask)?;
            whole += 1;
            Ok(())
        });
        let read = read.and_then(|()| match reader.read(&mut [0])? {
            0 => Ok(()),
            _ => panic!("a byte more than was asked for"),
        });
        if read.is_err() {
            // It may be gone already; the writer ends either way.
            let _ = stream.shutdown(Shutdown::Both);
        }
        let written = writer.join().unwrap();
        read.and(written)
    });
    (whole, ended)
}

/// Sends the beginning of what is asked, reads some of what comes, and is gone with a reset.
pub(crate) fn talk_and_reset(address: SocketAddr, asks: &[Ask], chance: &mut Chance) {
    let Ok(mut stream) = connect(address) else { return };
    SockRef::from(&stream).set_linger(Some(Duration::ZERO)).unwrap();
    let first = &asks[0].request;
    // As much as the other end takes without us.
    let sent = first.len().min(1 + chance.below(2_000));
    let is_whole = sent == first.len();
    if stream.write_all(&first[..sent]).is_ok() && is_whole && !asks[0].expected.is_empty() {
        let mut some = vec![0; 1 + chance.below(20_000)];
        // Whatever comes of it: the end is the point.
        let _ = stream.read(&mut some);
    }
}

fn torn(what: &str) -> Error {
    Error::new(ErrorKind::UnexpectedEof, what.to_owned())
}

/// One reply, all of it. An error is the connection's; a wrong byte is a panic.
fn compare(reader: &mut impl BufRead, ask: &Ask) -> std::io::Result<()> {
    let status = line(reader)?;
    assert_eq!(status, "HTTP/1.1 200 OK");
    let (mut length, mut is_chunked) = (None, false);
    loop {
        let field = line(reader)?.to_ascii_lowercase();
        if field.is_empty() {
            break;
        }
        if let Some(value) = field.strip_prefix("content-length: ") {
            length = Some(value.parse::<usize>().unwrap());
        }
        is_chunked |= field == "transfer-encoding: chunked";
    }
    match (length, is_chunked) {
        (Some(length), false) => {
            assert_eq!(length, ask.expected.len());
            compare_piece(reader, &ask.expected)
        }
        (None, true) => compare_chunks(reader, &ask.expected),
        other => panic!("how long is it? {other:?}"),
    }
}

fn compare_chunks(reader: &mut impl BufRead, mut expected: &[u8]) -> std::io::Result<()> {
    loop {
        let size = usize::from_str_radix(&line(reader)?, 16).expect("the size of a chunk");
        assert!(size <= expected.len(), "{size} bytes, and {} are due", expected.len());
        let (piece, behind) = expected.split_at(size);
        compare_piece(reader, piece)?;
        assert_eq!(line(reader)?, "", "what ends a chunk");
        if size == 0 {
            assert!(behind.is_empty(), "{} bytes are missing", behind.len());
            return Ok(());
        }
        expected = behind;
    }
}

fn compare_piece(reader: &mut impl BufRead, mut expected: &[u8]) -> std::io::Result<()> {
    while !expected.is_empty() {
        let there = reader.fill_buf()?;
        if there.is_empty() {
            return Err(torn("a body"));
        }
        let count = there.len().min(expected.len());
        assert!(there[..count] == expected[..count], "wrong bytes");
        reader.consume(count);
        expected = &expected[count..];
    }
    Ok(())
}

/// A line without its end.
fn line(reader: &mut impl BufRead) -> std::io::Result<String> {
    let mut line = String::new();
    reader.read_line(&mut line)?;
    match line.strip_suffix("\r\n") {
        Some(line) => Ok(line.to_owned()),
        None => Err(torn("a line")),
    }
}
