//! The handshake of a WebSocket and the frames of a message, both ways (RFC 6455).
//! It must never take a connection for upgraded whose server has not proved that it read the request.

use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;

use socket2::SockRef;

use super::options::Options;
use super::plan::PROBE_TIMEOUT;

/// The key of RFC 6455 §1.3, and what a server has to make of it.
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";
const HEAD_BYTES_MAX: usize = 4096;

/// FIN and the opcode of a binary message.
const BINARY: u8 = 0x82;
const MASKED: u8 = 0x80;
/// Any key will do: what it costs to take it off does not depend on it.
const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// The frame of a message from a client.
pub(super) fn asked(payload: &[u8]) -> Vec<u8> {
    let mut frame = head(payload.len(), MASKED);
    frame.extend(MASK);
    frame.extend(payload.iter().zip(MASK.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    frame
}

/// The frame of the same message from a server.
pub(super) fn answered(payload: &[u8]) -> Vec<u8> {
    let mut frame = head(payload.len(), 0);
    frame.extend(payload);
    frame
}

fn head(length: usize, mask: u8) -> Vec<u8> {
    match u16::try_from(length) {
        Ok(length @ ..126) => vec![BINARY, mask | length as u8],
        Ok(length) => [&[BINARY, mask | 126], &length.to_be_bytes()[..]].concat(),
        Err(_) => [&[BINARY, mask | 127], &(length as u64).to_be_bytes()[..]].concat(),
    }
}

/// Upgrades connections, one after the other. They block.
pub(super) fn upgrade_all(connections: &[OwnedFd], options: &Options) -> io::Result<()> {
    let extension = match options.deflate {
        true => {
            "Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover; \
             client_no_context_takeover\r\n"
        }
        false => "",
    };
    let request = format!(
        "GET {} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {KEY}\r\n{extension}\r\n",
        options.path
    );
    connections.iter().try_for_each(|connection| upgrade(connection, &request, options.deflate))
}

fn upgrade(connection: &OwnedFd, request: &str, deflates: bool) -> io::Result<()> {
    let socket = SockRef::from(connection);
    socket.set_read_timeout(Some(PROBE_TIMEOUT))?;
    (&*socket).write_all(request.as_bytes())?;
    let mut head = Vec::new();
    while !head.windows(4).any(|bytes| bytes == b"\r\n\r\n") {
        let mut part = [0; 512];
        let count = (&*socket).read(&mut part)?;
        head.extend_from_slice(&part[..count]);
        if count == 0 || head.len() > HEAD_BYTES_MAX {
            break;
        }
    }
    let head = String::from_utf8_lossy(&head);
    let is_right = head.starts_with("HTTP/1.1 101 ")
        && head.contains(ACCEPT)
        && head.contains("permessage-deflate") == deflates
        && head.find("\r\n\r\n") == Some(head.len() - 4);
    if !is_right {
        return Err(io::Error::other(format!("the upgrade was answered by {head:?}")));
    }
    socket.set_read_timeout(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_those_of_the_standard() {
        // RFC 6455 §5.7, but for the kind.
        assert_eq!(asked(b"Hello")[2..], [0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58]);
        assert_eq!(answered(b"Hello"), *b"\x82\x05Hello");
        assert_eq!(answered(&[0; 126])[..4], [0x82, 126, 0, 126]);
        assert_eq!(asked(&[0; 65_536])[..10], [0x82, 0xff, 0, 0, 0, 0, 0, 1, 0, 0]);
    }
}
