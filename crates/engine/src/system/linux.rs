//! Linux: the system calls that no backend owns: sockets, files, events, limits, threads.
//! It keeps no state and never blocks, but for what its name says.

use std::ffi::CStr;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsRawFd, FromRawFd, IntoRawFd, OwnedFd, RawFd};
use std::path::Path;

use socket2::{Domain, Protocol, SockAddr, Socket, Type};

use crate::completion::Metadata;
use crate::error::{Error, OpKind};
use crate::op::Descriptor;
use crate::options::Address;

pub(crate) const EIO: i32 = libc::EIO;
pub(crate) const ECANCELED: i32 = libc::ECANCELED;
pub(crate) const EAGAIN: i32 = libc::EAGAIN;
pub(crate) const ENOBUFS: i32 = libc::ENOBUFS;
pub(crate) const EINTR: i32 = libc::EINTR;
pub(crate) const EADDRINUSE: i32 = libc::EADDRINUSE;
pub(crate) const EINPROGRESS: i32 = libc::EINPROGRESS;
pub(crate) const EPIPE: i32 = libc::EPIPE;
pub(crate) const ECONNRESET: i32 = libc::ECONNRESET;
pub(crate) const ECONNREFUSED: i32 = libc::ECONNREFUSED;
pub(crate) const ENOENT: i32 = libc::ENOENT;
pub(crate) const EMFILE: i32 = libc::EMFILE;
pub(crate) const EXDEV: i32 = libc::EXDEV;
pub(crate) const ENOTCONN: i32 = libc::ENOTCONN;
pub(crate) const ENOTDIR: i32 = libc::ENOTDIR;
pub(crate) const ENOTSOCK: i32 = libc::ENOTSOCK;
pub(crate) const EINVAL: i32 = libc::EINVAL;
pub(crate) const EBADF: i32 = libc::EBADF;
pub(crate) const EISDIR: i32 = libc::EISDIR;

pub(crate) fn is_peer_gone(errno: i32) -> bool {
    matches!(
        errno,
        libc::ECONNRESET | libc::EPIPE | libc::ETIMEDOUT | libc::ECONNABORTED | libc::ENOTCONN
    )
}

pub(crate) fn is_exhausted(errno: i32) -> bool {
    matches!(errno, libc::EMFILE | libc::ENFILE | libc::ENOBUFS | libc::ENOMEM)
}

/// Accept errors that concern one connection, or none, and never the listener.
pub(crate) fn is_passing(errno: i32) -> bool {
    matches!(errno, libc::EINTR | libc::ECONNABORTED | libc::EPROTO | libc::EPERM | libc::EAGAIN)
}

pub(crate) fn is_not_found(errno: i32) -> bool {
    matches!(
        errno,
        libc::ENOENT
            | libc::ENOTDIR
            | libc::EXDEV
            | libc::ELOOP
            | libc::EACCES
            | libc::ENAMETOOLONG
            | libc::EISDIR
            | libc::ENXIO
    )
}

/// What a system call returned, as a count or an errno.
pub(crate) fn check(returned: isize) -> Result<usize, i32> {
    usize::try_from(returned).map_err(|_| io::Error::last_os_error().raw_os_error().unwrap_or(EIO))
}

pub(crate) fn monotonic_ns() -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is a valid timespec that outlives the call.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut time) };
    u64::try_from(time.tv_sec).unwrap_or(0) * 1_000_000_000
        + u64::try_from(time.tv_nsec).unwrap_or(0)
}

/// An eventfd(2): a counter that ends a wait.
#[derive(Debug)]
pub(crate) struct Event(OwnedFd);

impl Event {
    pub(crate) fn new() -> io::Result<Self> {
        // SAFETY: eventfd takes no pointers.
        let fd = unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the descriptor is fresh and ours.
        Ok(Self(unsafe { OwnedFd::from_raw_fd(fd) }))
    }

    /// Adds one. A full counter means that the wait will end anyway.
    pub(crate) fn trigger(&self) {
        let one = 1u64;
        // SAFETY: eight bytes are read from `one`, which outlives the call.
        unsafe { libc::write(self.0.as_raw_fd(), (&raw const one).cast(), 8) };
    }

    /// Takes the count, so that the event is quiet again.
    pub(crate) fn drain(&self) {
        let mut count = 0u64;
        // SAFETY: eight bytes are written to `count`, which outlives the call.
        unsafe { libc::read(self.0.as_raw_fd(), (&raw mut count).cast(), 8) };
    }

    pub(crate) fn descriptor(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

/// Closes a descriptor at once. Its errors say nothing that could be acted upon.
pub(crate) fn close(fd: RawFd) {
    // SAFETY: close takes no pointers; the engine owns the descriptor (law 3).
    unsafe { libc::close(fd) };
}

/// How a TCP listener shares its port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sharing {
    /// A busy port is refused; further listeners of ours may join later.
    First,
    /// Joins the listeners of ours on the same port.
    Joining,
}

/// A listening TCP socket with TCP_NODELAY, which accepted sockets inherit.
///
/// The first one binds without SO_REUSEPORT, so that a port that another process listens on is
/// refused although it allows sharing; the option is set after that, so that others can join.
pub(crate) fn listen_tcp(
    address: SocketAddr,
    backlog: i32,
    sharing: Sharing,
) -> io::Result<OwnedFd> {
    let kind = Type::STREAM.nonblocking().cloexec();
    let socket = Socket::new(Domain::for_address(address), kind, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_tcp_nodelay(true)?;
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
    socket.listen(backlog)?;
    Ok(socket.into())
}

/// A listening Unix socket. A socket file that nobody listens on any more is replaced.
pub(crate) fn listen_unix(path: &Path, backlog: i32) -> io::Result<OwnedFd> {
    let address = SockAddr::unix(path)?;
    let kind = Type::STREAM.nonblocking().cloexec();
    let socket = Socket::new(Domain::UNIX, kind, None)?;
    match socket.bind(&address) {
        Err(error) if error.raw_os_error() == Some(EADDRINUSE) => {
            let probe = Socket::new(Domain::UNIX, Type::STREAM.cloexec(), None)?;
            match probe.connect(&address) {
                Err(refused) if refused.kind() == io::ErrorKind::ConnectionRefused => {
                    std::fs::remove_file(path)?;
                    socket.bind(&address)?;
                }
                _ => return Err(error),
            }
        }
        bound => bound?,
    }
    socket.listen(backlog)?;
    Ok(socket.into())
}

fn address_of(fd: RawFd, peer: bool) -> Result<Address, Error> {
    // SAFETY: the descriptor is open; the socket is not dropped, so it stays open.
    let socket = std::mem::ManuallyDrop::new(unsafe { Socket::from_raw_fd(fd) });
    let address = if peer { socket.peer_addr() } else { socket.local_addr() };
    let address = address.map_err(|error| Error::from_io(OpKind::Listen, &error))?;
    Ok(match address.as_socket() {
        Some(internet) => Address::Internet(internet),
        None => Address::Unix(address.as_pathname().map(Path::to_path_buf)),
    })
}

pub(crate) fn local_address(socket: Descriptor) -> Result<Address, Error> {
    address_of(socket.0, false)
}

pub(crate) fn peer_address(socket: Descriptor) -> Result<Address, Error> {
    address_of(socket.0, true)
}

/// A non-blocking TCP socket for [`connect`], with TCP_NODELAY.
pub(crate) fn socket_for(address: SocketAddr) -> io::Result<OwnedFd> {
    let kind = Type::STREAM.nonblocking().cloexec();
    let socket = Socket::new(Domain::for_address(address), kind, Some(Protocol::TCP))?;
    socket.set_tcp_nodelay(true)?;
    Ok(socket.into())
}

/// Begins to connect; EINPROGRESS says that the socket becomes writable when it is done.
pub(crate) fn connect(fd: RawFd, address: &SockAddr) -> Result<(), i32> {
    // SAFETY: the address is valid for its length and outlives the call.
    let returned = unsafe { libc::connect(fd, address.as_ptr().cast(), address.len()) };
    check(returned as isize).map(drop)
}

/// The pending error of a socket whose connect has ended.
pub(crate) fn take_socket_error(fd: RawFd) -> Option<i32> {
    // SAFETY: the descriptor is open; the socket is not dropped, so it stays open.
    let socket = std::mem::ManuallyDrop::new(unsafe { Socket::from_raw_fd(fd) });
    match socket.take_error() {
        Ok(error) => error.map(|error| error.raw_os_error().unwrap_or(EIO)),
        Err(error) => Some(error.raw_os_error().unwrap_or(EIO)),
    }
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
    // SAFETY: the caller vouches for `target`.
    check(unsafe { libc::recv(fd, target.cast(), length, libc::MSG_DONTWAIT) })
}

/// Sends without blocking what fits.
#[inline]
pub(crate) fn send(fd: RawFd, bytes: &[u8]) -> Result<usize, i32> {
    let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
    // SAFETY: the slice is valid for reads of its length.
    check(unsafe { libc::send(fd, bytes.as_ptr().cast(), bytes.len(), flags) })
}

/// Sends without blocking what fits of several slices.
///
/// # Safety
/// Every vector must point to memory valid for reads of its length.
pub(crate) unsafe fn send_vectors(fd: RawFd, vectors: &[libc::iovec]) -> Result<usize, i32> {
    // SAFETY: all zeroes is a valid msghdr.
    let mut header: libc::msghdr = unsafe { std::mem::zeroed() };
    header.msg_iov = vectors.as_ptr().cast_mut();
    header.msg_iovlen = vectors.len();
    // SAFETY: the header and its vectors outlive the call; the caller vouches for their memory.
    check(unsafe { libc::sendmsg(fd, &raw const header, libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL) })
}

pub(crate) fn shutdown_write(fd: RawFd) -> Result<(), i32> {
    // SAFETY: shutdown takes no pointers.
    check(unsafe { libc::shutdown(fd, libc::SHUT_WR) } as isize).map(drop)
}

/// The `open_how` of a file beneath a root: regular reading, no way out, no terminal, no waiting
/// for the writer of a pipe.
pub(crate) fn open_how(cached: bool) -> libc::open_how {
    // SAFETY: all zeroes is a valid open_how.
    let mut how: libc::open_how = unsafe { std::mem::zeroed() };
    how.flags = flags_of(libc::O_RDONLY | libc::O_CLOEXEC | libc::O_NOCTTY | libc::O_NONBLOCK);
    how.resolve = libc::RESOLVE_BENEATH | libc::RESOLVE_NO_MAGICLINKS;
    if cached {
        how.resolve |= libc::RESOLVE_CACHED;
    }
    how
}

fn flags_of(flags: i32) -> u64 {
    u64::try_from(flags).expect("open flags are not negative")
}

/// Opens beneath a root. With `cached`, answers EAGAIN instead of waiting for the disk.
pub(crate) fn open_beneath(root: RawFd, path: &CStr, cached: bool) -> Result<RawFd, i32> {
    let how = open_how(cached);
    let size = size_of::<libc::open_how>();
    // SAFETY: the path ends in NUL and `how` is valid for its size; both outlive the call.
    let returned =
        unsafe { libc::syscall(libc::SYS_openat2, root, path.as_ptr(), &raw const how, size) };
    let fd = check(isize::try_from(returned).unwrap_or(-1))?;
    RawFd::try_from(fd).map_err(|_| EIO)
}

pub(crate) fn open_directory(path: &Path) -> Result<OwnedFd, Error> {
    use std::os::unix::fs::OpenOptionsExt;
    let mut options = std::fs::OpenOptions::new();
    options.read(true).custom_flags(libc::O_DIRECTORY | libc::O_CLOEXEC);
    let file = options.open(path).map_err(|error| Error::from_io(OpKind::Open, &error))?;
    Ok(file.into())
}

/// What is known of an open file. Never waits: the inode of an open file is in memory.
pub(crate) fn metadata(fd: RawFd) -> Result<Metadata, i32> {
    // SAFETY: all zeroes is a valid stat.
    let mut stat: libc::stat = unsafe { std::mem::zeroed() };
    // SAFETY: `stat` is valid for writes and outlives the call.
    check(unsafe { libc::fstat(fd, &raw mut stat) } as isize)?;
    let kind = stat.st_mode & libc::S_IFMT;
    Ok(Metadata {
        length: u64::try_from(stat.st_size).unwrap_or(0),
        modified_ns: i128::from(stat.st_mtime) * 1_000_000_000 + i128::from(stat.st_mtime_nsec),
        inode: stat.st_ino,
        is_directory: kind == libc::S_IFDIR,
        is_file: kind == libc::S_IFREG,
    })
}

/// Reads from a file at an offset; with `cached`, answers EAGAIN instead of waiting for the disk.
///
/// # Safety
/// `target` must be valid for writes of `length` bytes.
pub(crate) unsafe fn read_at(
    fd: RawFd,
    target: *mut u8,
    length: usize,
    offset: u64,
    cached: bool,
) -> Result<usize, i32> {
    let vector = libc::iovec { iov_base: target.cast(), iov_len: length };
    let offset = libc::off_t::try_from(offset).map_err(|_| libc::EINVAL)?;
    let flags = if cached { libc::RWF_NOWAIT } else { 0 };
    // SAFETY: one vector, whose memory the caller vouches for.
    let read = check(unsafe { libc::preadv2(fd, &raw const vector, 1, offset, flags) });
    match read {
        // Some file systems cannot say whether they would wait: then it is not cached.
        Err(libc::EOPNOTSUPP) if cached => Err(EAGAIN),
        other => other,
    }
}

/// Raises the limit of open descriptors to what the system allows; gives the limit in force.
///
/// # Errors
/// When the system refuses to tell its limits (getrlimit(2)).
pub fn descriptors_max_raise() -> io::Result<u64> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `limit` is valid for writes and outlives the call.
    if unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) } != 0 {
        return Err(io::Error::last_os_error());
    }
    let raised = libc::rlimit { rlim_cur: limit.rlim_max, rlim_max: limit.rlim_max };
    // SAFETY: `raised` is valid for reads and outlives the call.
    let set = unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const raised) };
    Ok(if set == 0 { raised.rlim_cur } else { limit.rlim_cur })
}

/// Starts a thread: the only place of the house where threads begin.
///
/// # Errors
/// When the system has no thread left (pthread_create(3)).
pub fn spawn_thread<F>(name: &str, body: F) -> io::Result<std::thread::JoinHandle<()>>
where
    F: FnOnce() + Send + 'static,
{
    std::thread::Builder::new().name(name.to_owned()).spawn(body)
}

/// How many processors this process may use.
#[must_use]
pub fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Gives a descriptor up as plain data.
pub(crate) fn into_descriptor(fd: OwnedFd) -> Descriptor {
    Descriptor(fd.into_raw_fd())
}
