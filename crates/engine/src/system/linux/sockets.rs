//! Sockets: made, bound, accepted, connected, read and written, none of it waiting.
//! What the bytes mean is not looked at.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::time::Duration;

use socket2::{Domain, Protocol, SockAddr, SockRef, Socket, TcpKeepalive, Type};

use super::datagrams::borrowed;
use super::unix::unix_address;
use super::{EIO, PollEntry, check, check_direct};
use crate::error::{Error, OpKind};
use crate::op::Descriptor;
use crate::options::Address;

/// How a TCP listener shares its port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sharing {
    /// A busy port is refused; further listeners of ours may join later.
    First,
    /// Joins the listeners of ours on the same port.
    Joining,
}

/// A listening TCP socket with TCP_NODELAY and its keepalive, which accepted sockets inherit.
///
/// The first one binds without SO_REUSEPORT, so that a port that another process listens on is
/// refused although it allows sharing; the option is set after that, so that others can join.
pub(crate) fn listen_tcp(
    address: SocketAddr,
    backlog: i32,
    sharing: Sharing,
    keepalive: Option<Duration>,
) -> io::Result<OwnedFd> {
    let kind = Type::STREAM.nonblocking().cloexec();
    let socket = Socket::new(Domain::for_address(address), kind, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_tcp_nodelay(true)?;
    if let Some(silence) = keepalive {
        socket.set_tcp_keepalive(&asking_after(silence))?;
    }
    bind(&socket, address, sharing)?;
    socket.listen(backlog)?;
    Ok(socket.into())
}

/// Binds a socket to an address, and says with whom it shares the port: before the bind, or behind it.
pub(super) fn bind(socket: &Socket, address: SocketAddr, sharing: Sharing) -> io::Result<()> {
    if let IpAddr::V6(ip) = address.ip() {
        socket.set_only_v6(!ip.is_unspecified())?;
    }
    if sharing == Sharing::Joining {
        socket.set_reuse_port(true)?;
    }
    socket.bind(&address.into())?;
    if sharing == Sharing::First {
        socket.set_reuse_port(true)?;
    }
    Ok(())
}

/// How often a silent peer is asked before it is given up: as long as it was silent, all together.
const KEEPALIVE_ASKS: u32 = 4;
/// The longest time that the system takes (MAX_TCP_KEEPIDLE).
const KEEPALIVE_MAX: Duration = Duration::from_secs(32_767);

fn asking_after(silence: Duration) -> TcpKeepalive {
    let whole = |time: Duration| Duration::from_secs(time.as_secs().max(1)).min(KEEPALIVE_MAX);
    let keepalive = TcpKeepalive::new().with_time(whole(silence));
    keepalive.with_interval(whole(silence / KEEPALIVE_ASKS)).with_retries(KEEPALIVE_ASKS)
}

/// Has a TCP listener that was opened elsewhere ask after the silent peers of what it accepts; see
/// [`ListenOptions::keepalive`](crate::ListenOptions::keepalive). Unix sockets know nothing of it.
///
/// # Errors
/// It is no socket (ENOTSOCK).
pub fn keep_alive(socket: &impl AsFd, silence: Duration) -> io::Result<()> {
    let socket = SockRef::from(socket);
    if socket.local_addr()?.is_unix() {
        return Ok(());
    }
    socket.set_tcp_keepalive(&asking_after(silence))
}

/// Prepares a listening socket that was opened elsewhere for [`Handle::adopt`](crate::Handle::adopt):
/// it blocks no more, and of TCP it has TCP_NODELAY. Where it listens.
///
/// # Errors
/// It is no socket (ENOTSOCK); or, as [`io::ErrorKind::InvalidInput`] with the reason, none of TCP or
/// Unix streams, or it does not listen.
pub fn prepare_listener(socket: &impl AsFd) -> io::Result<Address> {
    let socket = SockRef::from(socket);
    let refused = |reason: &str| Err(io::Error::new(io::ErrorKind::InvalidInput, reason));
    if socket.r#type()? != Type::STREAM {
        return refused("it is a socket without streams");
    }
    if !socket.is_listener()? {
        return refused("it is a socket that does not listen");
    }
    let address = socket.local_addr()?;
    if let Some(internet) = address.as_socket() {
        socket.set_tcp_nodelay(true)?;
        socket.set_nonblocking(true)?;
        return Ok(Address::Internet(internet));
    }
    if !address.is_unix() {
        return refused("it is neither a TCP nor a Unix socket");
    }
    socket.set_nonblocking(true)?;
    Ok(unix_address(&address))
}

fn address_of(fd: RawFd, peer: bool) -> Result<Address, Error> {
    let socket = borrowed(fd);
    let address = if peer { socket.peer_addr() } else { socket.local_addr() };
    let address = address.map_err(|error| Error::from_io(OpKind::Listen, &error))?;
    Ok(match address.as_socket() {
        Some(internet) => Address::Internet(internet),
        None => unix_address(&address),
    })
}

pub(crate) fn local_address(socket: Descriptor) -> Result<Address, Error> {
    address_of(socket.0, false)
}

pub(crate) fn peer_address(socket: Descriptor) -> Result<Address, Error> {
    address_of(socket.0, true)
}

/// Makes the close of a socket a reset (socket(7), SO_LINGER with no time); a socket that is gone
/// already needs none.
pub(crate) fn reset_on_close(socket: Descriptor) {
    let _ = borrowed(socket.0).set_linger(Some(Duration::ZERO));
}

/// A non-blocking TCP socket for [`connect`], with TCP_NODELAY, bound to a local address where one is
/// given.
pub(crate) fn socket_for(address: SocketAddr, local: Option<SocketAddr>) -> Result<OwnedFd, Error> {
    let kind = Type::STREAM.nonblocking().cloexec();
    let made = Socket::new(Domain::for_address(address), kind, Some(Protocol::TCP));
    let made = made.and_then(|socket| socket.set_tcp_nodelay(true).map(|()| socket));
    let socket = made.map_err(|error| Error::from_io(OpKind::Connect, &error))?;
    if let Some(local) = local {
        let bound = bind_end(&socket, local);
        bound.map_err(|error| Error::from_io(OpKind::Bind, &error))?;
    }
    Ok(socket.into())
}

/// Binds a socket that is to connect. A port that is named may be that of a connection that has ended
/// a moment ago; one that is not is chosen when the socket connects, and so by both of its ends.
fn bind_end(socket: &Socket, local: SocketAddr) -> io::Result<()> {
    if local.port() > 0 {
        socket.set_reuse_address(true)?;
    } else {
        let (on, fd) = (1i32, socket.as_raw_fd());
        let (option, size) = ((&raw const on).cast(), i32::BITS / 8);
        let (level, name) = (libc::SOL_IP, libc::IP_BIND_ADDRESS_NO_PORT);
        // SAFETY: the option is a number that outlives the call, and the descriptor is open.
        let returned = unsafe { libc::setsockopt(fd, level, name, option, size) };
        check(returned as isize).map_err(io::Error::from_raw_os_error)?;
    }
    socket.bind(&local.into())
}

/// Begins to connect; EINPROGRESS says that the socket becomes writable when it is done.
pub(crate) fn connect(fd: RawFd, address: &SockAddr) -> Result<(), i32> {
    // SAFETY: the address is valid for its length and outlives the call.
    let returned = unsafe { libc::connect(fd, address.as_ptr().cast(), address.len()) };
    check(returned as isize).map(drop)
}

/// The pending error of a socket whose connect has ended.
pub(crate) fn take_socket_error(fd: RawFd) -> Option<i32> {
    match borrowed(fd).take_error() {
        Ok(error) => error.map(|error| error.raw_os_error().unwrap_or(EIO)),
        Err(error) => Some(error.raw_os_error().unwrap_or(EIO)),
    }
}

/// Whether a socket is of this machine, where a receive stops at descriptors that were passed (unix(7)).
pub(crate) fn is_unix(fd: RawFd) -> bool {
    borrowed(fd).domain().is_ok_and(|domain| domain == Domain::UNIX)
}

pub(crate) fn accept(listener: RawFd) -> Result<RawFd, i32> {
    let flags = libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
    let none = std::ptr::null_mut();
    // SAFETY: no address is asked for, so no pointer is followed.
    let returned = unsafe { libc::accept4(listener, none, std::ptr::null_mut(), flags) };
    check(returned as isize).map(|_| returned)
}

/// Receives without blocking into `length` bytes at `target`.
///
/// # Safety
/// `target` must be valid for writes of `length` bytes.
pub(crate) unsafe fn receive(fd: RawFd, target: *mut u8, length: usize) -> Result<usize, i32> {
    let (flags, no_address) = (libc::MSG_DONTWAIT, std::ptr::null_mut::<libc::sockaddr>());
    let no_length = std::ptr::null_mut::<libc::socklen_t>();
    // SAFETY: the caller vouches for `target`; no address is asked for.
    check_direct(unsafe {
        libc::syscall(libc::SYS_recvfrom, fd, target, length, flags, no_address, no_length)
    })
}

/// Sends without blocking what fits.
#[inline]
pub(crate) fn send(fd: RawFd, bytes: &[u8]) -> Result<usize, i32> {
    let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
    let (address, length) = (bytes.as_ptr(), bytes.len());
    let nobody = std::ptr::null::<libc::sockaddr>();
    // SAFETY: the slice is valid for reads of its length.
    check_direct(unsafe {
        libc::syscall(libc::SYS_sendto, fd, address, length, flags, nobody, 0_usize)
    })
}

/// Sends without blocking what fits of several slices.
///
/// # Safety
/// Every vector must point to memory valid for reads of its length.
pub(crate) unsafe fn send_vectors(fd: RawFd, vectors: &[libc::iovec]) -> Result<usize, i32> {
    // SAFETY: all zeroes is a valid msghdr.
    let mut header: libc::msghdr = unsafe { std::mem::zeroed() };
    header.msg_iov = vectors.as_ptr().cast_mut();
    // The count is of another type with another C library; PIECES_MAX bounds it.
    header.msg_iovlen = vectors.len() as _;
    let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
    // SAFETY: the header and its vectors outlive the call; the caller vouches for their memory.
    check_direct(unsafe { libc::syscall(libc::SYS_sendmsg, fd, &raw const header, flags) })
}

/// Bytes that were sent and that the peer's system has not acknowledged (tcp(7), SIOCOUTQ); on a
/// Unix socket the memory of what the peer has not read. None where the system does not tell.
pub(crate) fn waiting_bytes(socket: Descriptor) -> u32 {
    let mut waiting: libc::c_int = 0;
    // SAFETY: the call writes one int, which outlives it.
    let returned = unsafe { libc::ioctl(socket.0, libc::TIOCOUTQ, &raw mut waiting) };
    if returned == 0 { u32::try_from(waiting).unwrap_or(0) } else { 0 }
}

/// Whether the peer of a connected socket has gone: it was reset, or both sides have ended. It tells
/// no end of one side, and takes no error away from a receive.
pub(crate) fn is_hung_up(socket: Descriptor) -> bool {
    let mut entries = [PollEntry { fd: socket.0, events: 0, revents: 0 }];
    super::poll(&mut entries, Some(Duration::ZERO)).is_ok_and(|count| count > 0)
}

pub(crate) fn shutdown_write(fd: RawFd) -> Result<(), i32> {
    // SAFETY: shutdown takes no pointers.
    check(unsafe { libc::shutdown(fd, libc::SHUT_WR) } as isize).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_accepted_asks_after_its_peer() {
        let address = SocketAddr::from(([127, 0, 0, 1], 0));
        let minute = Duration::from_millis(60_500);
        let listener = listen_tcp(address, 1, Sharing::First, Some(minute)).unwrap();
        let address = std::net::TcpListener::from(listener.try_clone().unwrap()).local_addr();
        let _outside = std::net::TcpStream::connect(address.unwrap()).unwrap();
        let accepted = SockRef::from(&listener).accept().unwrap().0;
        assert!(accepted.keepalive().unwrap());
        assert_eq!(accepted.tcp_keepalive_time().unwrap(), Duration::from_secs(60));
        assert_eq!(accepted.tcp_keepalive_interval().unwrap(), Duration::from_secs(15));
        assert_eq!(accepted.tcp_keepalive_retries().unwrap(), 4);
        let plain = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        for silence in [Duration::ZERO, Duration::MAX] {
            keep_alive(&plain, silence).unwrap();
        }
        assert_eq!(plain.tcp_keepalive_time().unwrap(), KEEPALIVE_MAX);
        keep_alive(&Socket::new(Domain::UNIX, Type::STREAM, None).unwrap(), minute).unwrap();
    }
}
