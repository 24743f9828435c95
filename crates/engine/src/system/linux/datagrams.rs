//! Datagrams: sockets bound to an address, and what is sent and received on them, none of it waiting.
//! What cannot be delivered is lost without a word, as UDP has it.

use std::io;
use std::mem::{ManuallyDrop, MaybeUninit};
use std::net::SocketAddr;
use std::os::fd::{FromRawFd, OwnedFd, RawFd};

use socket2::{Domain, Protocol, SockAddr, Socket, Type};

use super::sockets::bind;
use super::{EINTR, EIO, Sharing};
use crate::op::{DATAGRAM_BYTES_MAX, Datagram};

/// A UDP socket at an address; how it shares its port is as with listeners of TCP.
pub(crate) fn bind_udp(address: SocketAddr, sharing: Sharing) -> io::Result<OwnedFd> {
    let kind = Type::DGRAM.nonblocking().cloexec();
    let socket = Socket::new(Domain::for_address(address), kind, Some(Protocol::UDP))?;
    bind(&socket, address, sharing)?;
    Ok(socket.into())
}

/// A socket that somebody else has.
pub(super) fn borrowed(fd: RawFd) -> ManuallyDrop<Socket> {
    // SAFETY: the descriptor is open; the socket is not dropped, so it stays open.
    ManuallyDrop::new(unsafe { Socket::from_raw_fd(fd) })
}

fn errno(error: &io::Error) -> i32 {
    error.raw_os_error().unwrap_or(EIO)
}

/// Receives one datagram, so many bytes of it at most; the rest is gone, and its length tells that.
pub(crate) fn receive_from(fd: RawFd, bytes_max: usize) -> Result<Datagram, i32> {
    let mut memory = [const { MaybeUninit::<u8>::uninit() }; DATAGRAM_BYTES_MAX];
    let target = &mut memory[..bytes_max.min(DATAGRAM_BYTES_MAX)];
    let flags = libc::MSG_DONTWAIT | libc::MSG_TRUNC;
    let received = borrowed(fd).recv_from_with_flags(target, flags);
    let (length, from) = received.map_err(|error| errno(&error))?;
    let filled = &target[..length.min(target.len())];
    // SAFETY: the system has filled that much.
    let bytes = unsafe { &*(std::ptr::from_ref(filled) as *const [u8]) }.to_vec();
    let address = from.as_socket().ok_or(EIO)?;
    Ok(Datagram { address, bytes, length })
}

/// Sends one datagram; EAGAIN when there is no room for it.
pub(crate) fn send_to(fd: RawFd, bytes: &[u8], address: SocketAddr) -> Result<(), i32> {
    let (socket, address) = (borrowed(fd), SockAddr::from(address));
    let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
    loop {
        match socket.send_to_with_flags(bytes, &address, flags) {
            Ok(_) => return Ok(()),
            // What another datagram has met is told once, at any call.
            Err(error) if matches!(errno(&error), EINTR | libc::ECONNREFUSED) => {}
            Err(error) => return Err(errno(&error)),
        }
    }
}

/// Errors that concern one datagram that was sent, and never the socket.
pub(crate) fn is_passing_on_datagrams(errno: i32) -> bool {
    errno == libc::ECONNREFUSED || (errno != libc::EAGAIN && super::is_passing(errno))
}
