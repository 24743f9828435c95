//! Unix sockets: named, bound and connected to, and the files that some of them have.
//! No file is taken away but a socket that nobody listens on.

use std::ffi::OsStr;
use std::fs::{self, Permissions};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use socket2::{Domain, SockAddr, Socket, Type};

use super::EADDRINUSE;
use crate::options::Address;

/// A path, or an abstract name behind a NUL byte, as the system takes it: 107 bytes at most.
fn name_of(path: &Path) -> io::Result<SockAddr> {
    SockAddr::unix(path).map_err(|_| io::Error::from_raw_os_error(libc::ENAMETOOLONG))
}

/// The address of a Unix socket.
pub(super) fn unix_address(address: &SockAddr) -> Address {
    let file = address.as_pathname().map(Path::to_path_buf);
    Address::Unix(file.or_else(|| {
        let name = address.as_abstract_namespace()?;
        Some(PathBuf::from(OsStr::from_bytes(&[b"\0", name].concat())))
    }))
}

/// A listening Unix socket. A socket file that nobody listens on any more is replaced; any other file
/// is left alone, and the address is in use. So it is while another program does the same with this
/// path: between its looking and its listening, its file would seem to be left behind.
pub(crate) fn listen_unix(path: &Path, backlog: i32, mode: Option<u32>) -> io::Result<OwnedFd> {
    let address = name_of(path)?;
    let _turn = address.as_pathname().map(take_turn).transpose()?;
    let socket = Socket::new(Domain::UNIX, Type::STREAM.nonblocking().cloexec(), None)?;
    match socket.bind(&address) {
        Err(error) if error.raw_os_error() == Some(EADDRINUSE) => {
            if !is_left_behind(path, &address) {
                return Err(error);
            }
            fs::remove_file(path)?;
            socket.bind(&address)?;
        }
        bound => bound?,
    }
    let begun = begin_to_listen(&socket, &address, backlog, mode);
    if let (Err(_), Some(path)) = (&begun, address.as_pathname()) {
        let _ = fs::remove_file(path);
    }
    begun.map(|()| socket.into())
}

fn begin_to_listen(
    socket: &Socket,
    address: &SockAddr,
    backlog: i32,
    mode: Option<u32>,
) -> io::Result<()> {
    if let (Some(mode), Some(path)) = (mode, address.as_pathname()) {
        fs::set_permissions(path, Permissions::from_mode(mode))?;
    }
    socket.listen(backlog)
}

/// The turn to take a path, until it is dropped: an abstract name, which needs no file and goes with
/// its process. It is of the directory, however that is written.
fn take_turn(path: &Path) -> io::Result<Socket> {
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    let directory = fs::metadata(directory.unwrap_or_else(|| Path::new(".")))?;
    let mut hasher = DefaultHasher::new();
    path.file_name().hash(&mut hasher);
    let (dev, ino, file) = (directory.dev(), directory.ino(), hasher.finish());
    let turn = Socket::new(Domain::UNIX, Type::DGRAM.cloexec(), None)?;
    turn.bind(&SockAddr::unix(format!("\0springtide-listens-{dev:x}-{ino:x}-{file:x}"))?)?;
    Ok(turn)
}

/// The file of a listening Unix socket: removed when this is dropped, unless another file has taken its
/// place by then.
#[derive(Debug)]
pub struct SocketFile {
    path: PathBuf,
    identity: Identity,
}

/// Device, inode and birth: a number is given to the next file when its file is gone.
type Identity = (u64, u64, Option<SystemTime>);

fn identity(path: &Path) -> Option<Identity> {
    let file = fs::symlink_metadata(path).ok()?;
    Some((file.dev(), file.ino(), file.created().ok()))
}

impl SocketFile {
    /// That of an address, which a socket of this process has just been bound to; none where it has none.
    pub fn of(address: &Address) -> Option<Self> {
        let path = address.file()?;
        // Where the process may stand somewhere else by then.
        let path = std::path::absolute(path).ok()?;
        Some(Self { identity: identity(&path)?, path })
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if identity(&self.path).is_some_and(|now| now == self.identity) {
            // Whoever may not remove it leaves it to the next start, which replaces it.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Whether a file is a socket that nobody listens on.
fn is_left_behind(path: &Path, address: &SockAddr) -> bool {
    let is_socket = fs::symlink_metadata(path).is_ok_and(|file| file.file_type().is_socket());
    let refuses = |probe: Socket| {
        let connected = probe.connect(address);
        connected.is_err_and(|error| error.kind() == io::ErrorKind::ConnectionRefused)
    };
    // It does not wait: a listener with a full backlog is one.
    let kind = Type::STREAM.nonblocking().cloexec();
    is_socket && Socket::new(Domain::UNIX, kind, None).is_ok_and(refuses)
}

/// A connection to a Unix listener, which stands at once or never: a full backlog is EAGAIN.
pub(crate) fn connect_unix(path: &Path) -> io::Result<OwnedFd> {
    let address = name_of(path)?;
    let socket = Socket::new(Domain::UNIX, Type::STREAM.nonblocking().cloexec(), None)?;
    socket.connect(&address)?;
    Ok(socket.into())
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;
    use std::thread;

    use super::*;

    /// A path of a test's own, where a program has left its file.
    fn left_behind(name: &str) -> PathBuf {
        let path = std::env::temp_dir().join(format!("springtide-{name}-{}", std::process::id()));
        drop(listen_unix(&path, 8, None).unwrap());
        assert!(path.exists());
        path
    }

    /// None takes the file of the other away, who listens already or is about to.
    #[test]
    fn one_of_two_that_start_at_once_listens() {
        for _ in 0..200 {
            let (path, start) = (left_behind("at-once"), Barrier::new(2));
            let listen = || {
                start.wait();
                listen_unix(&path, 8, None).ok()
            };
            let listeners = thread::scope(|scope| {
                let other = scope.spawn(listen);
                [listen(), other.join().unwrap()]
            });
            assert_eq!(listeners.iter().flatten().count(), 1);
            assert!(connect_unix(&path).is_ok());
            fs::remove_file(path).unwrap();
        }
    }
}
