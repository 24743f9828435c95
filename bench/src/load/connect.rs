//! Opening connections from as many loopback addresses as their number needs.
//! It must never leave Nagle's algorithm on.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::fd::{AsRawFd, OwnedFd};

use socket2::{Domain, Protocol, Socket, Type};

use crate::system;

/// Connections from one source address, well below the 28,232 ports that Linux offers.
const PER_SOURCE: usize = 4096;
/// 127.0.0.2 and the following.
const SOURCES: usize = 200;

/// Opens one connection; `source` selects the loopback address that it comes from, none for the
/// system's choice. Blocks, which on loopback is the time of the handshake on this core.
pub(super) fn open(target: SocketAddr, source: Option<usize>) -> io::Result<OwnedFd> {
    let socket = Socket::new(Domain::for_address(target), Type::STREAM, Some(Protocol::TCP))?;
    if let (Some(source), IpAddr::V4(address)) = (source, target.ip())
        && address.is_loopback()
    {
        system::bind_without_port(socket.as_raw_fd())?;
        let host = Ipv4Addr::new(127, 0, 0, 2 + (source % SOURCES) as u8);
        socket.bind(&SocketAddr::from((host, 0)).into())?;
    }
    socket.set_tcp_nodelay(true)?;
    socket.connect(&target.into())?;
    Ok(socket.into())
}

/// Opens `count` connections.
pub(super) fn open_all(target: SocketAddr, count: usize) -> io::Result<Vec<OwnedFd>> {
    (0..count).map(|index| open(target, index.checked_div(PER_SOURCE).filter(|n| *n > 0))).collect()
}
