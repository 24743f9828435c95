//! Stages: where the laws are tried, one per backend, each with its outside ends.
//! A stage acts between turns from the same thread, and never waits.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use springtide_engine::simulated::{Client, World};
use springtide_engine::{Address, Descriptor, Engine, EngineOptions, Handle, Mechanism, Op};

/// One backend with everything around it.
pub(crate) trait Stage: Sized {
    const IS_SIMULATED: bool;
    const IS_URING: bool = false;
    type Outside: Outside;

    fn open() -> Self;

    /// Another engine here.
    fn engine(&self, options: &EngineOptions) -> Engine;

    /// A connection from outside.
    fn connect(&self, address: &Address) -> Self::Outside;

    /// A directory of its own.
    fn root(&self) -> &Path;

    /// Writes a file beneath the root.
    fn write_file(&self, name: &str, bytes: &[u8]);

    /// Makes a symbolic link beneath the root, where there are such.
    fn link(&self, target: &str, name: &str);

    /// Takes a file out of the system's memory, as far as it can be.
    fn cool(&self, name: &str);

    /// How many descriptors are open.
    fn descriptors_open(&self) -> usize;

    /// Closes a descriptor that an engine has left.
    fn close(&self, descriptor: Descriptor);
}

/// The outside end of a connection. Dropping it closes it.
pub(crate) trait Outside {
    /// Writes what fits.
    fn write(&mut self, bytes: &[u8]) -> usize;

    /// Appends what has come, at most a megabyte.
    fn read(&mut self, into: &mut Vec<u8>) -> usize;

    fn shutdown(&mut self);

    fn reset(self);

    /// The end of the stream was read.
    fn is_ended(&mut self) -> bool;

    /// The other end has reset the connection, as a read or a write has told.
    fn is_reset(&self) -> bool;
}

pub(crate) struct Simulated {
    pub(crate) world: World,
}

impl Stage for Simulated {
    const IS_SIMULATED: bool = true;
    type Outside = Client;

    fn open() -> Self {
        let world = World::new(1);
        world.write_file("/site/there", b"there");
        Self { world }
    }

    fn engine(&self, options: &EngineOptions) -> Engine {
        Engine::simulated(&self.world, options)
    }

    fn connect(&self, address: &Address) -> Client {
        self.world.connect(address).unwrap()
    }

    fn root(&self) -> &Path {
        Path::new("/site")
    }

    fn write_file(&self, name: &str, bytes: &[u8]) {
        self.world.write_file(Path::new("/site").join(name), bytes);
    }

    fn link(&self, _: &str, _: &str) {}

    fn cool(&self, _: &str) {}

    fn descriptors_open(&self) -> usize {
        self.world.descriptors_open()
    }

    fn close(&self, descriptor: Descriptor) {
        let mut engine = self.engine(&EngineOptions::default());
        engine.submit(Op::Close { descriptor }, 0);
        engine.quiesce(&mut Vec::new()).unwrap();
    }
}

impl Outside for Client {
    fn write(&mut self, bytes: &[u8]) -> usize {
        Self::write(self, bytes)
    }

    fn read(&mut self, into: &mut Vec<u8>) -> usize {
        Self::read(self, into)
    }

    fn shutdown(&mut self) {
        Self::shutdown(self);
    }

    fn reset(self) {
        Self::reset(&self);
    }

    fn is_ended(&mut self) -> bool {
        Self::is_ended(self)
    }

    fn is_reset(&self) -> bool {
        Self::is_reset(self)
    }
}

/// A real backend, over the loopback and a directory of its own.
pub(crate) struct Real<const MECHANISM: usize> {
    root: PathBuf,
}

const MECHANISMS: [Mechanism; 3] = [Mechanism::Uring, Mechanism::Epoll, Mechanism::Poll];

pub(crate) type Uring = Real<0>;
pub(crate) type Epoll = Real<1>;
pub(crate) type Poll = Real<2>;

impl<const MECHANISM: usize> Stage for Real<MECHANISM> {
    const IS_SIMULATED: bool = false;
    const IS_URING: bool = matches!(MECHANISMS[MECHANISM], Mechanism::Uring);
    type Outside = Remote;

    fn open() -> Self {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("springtide-laws-{}-{number}", std::process::id());
        let root = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&root).unwrap();
        Self { root }
    }

    fn engine(&self, options: &EngineOptions) -> Engine {
        let engine = Engine::new(MECHANISMS[MECHANISM], options.clone());
        engine.expect("the system offers this mechanism")
    }

    fn connect(&self, address: &Address) -> Remote {
        let Address::Internet(address) = address else { panic!("not an address of TCP") };
        let socket = TcpStream::connect(address).unwrap();
        socket.set_nonblocking(true).unwrap();
        socket.set_nodelay(true).unwrap();
        Remote { socket, ended: false, reset: false }
    }

    fn root(&self) -> &Path {
        &self.root
    }

    fn write_file(&self, name: &str, bytes: &[u8]) {
        let path = self.root.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }

    fn link(&self, target: &str, name: &str) {
        std::os::unix::fs::symlink(target, self.root.join(name)).unwrap();
    }

    fn cool(&self, name: &str) {
        let file = std::fs::File::open(self.root.join(name)).unwrap();
        file.sync_all().unwrap();
        // SAFETY: posix_fadvise takes no pointers; what it cannot do, it does not.
        unsafe { libc::posix_fadvise(file.as_raw_fd(), 0, 0, libc::POSIX_FADV_DONTNEED) };
    }

    fn descriptors_open(&self) -> usize {
        std::fs::read_dir("/proc/self/fd").unwrap().count()
    }

    fn close(&self, descriptor: Descriptor) {
        // SAFETY: the engine that had it is gone, and nobody else names it.
        drop(unsafe { OwnedFd::from_raw_fd(descriptor.number()) });
    }
}

impl<const MECHANISM: usize> Drop for Real<MECHANISM> {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.root).unwrap();
    }
}

pub(crate) struct Remote {
    socket: TcpStream,
    ended: bool,
    reset: bool,
}

impl Outside for Remote {
    fn write(&mut self, bytes: &[u8]) -> usize {
        match self.socket.write(bytes) {
            Ok(count) => count,
            Err(error) if error.kind() == ErrorKind::WouldBlock => 0,
            Err(_) => {
                self.reset = true;
                0
            }
        }
    }

    fn read(&mut self, into: &mut Vec<u8>) -> usize {
        let mut buffer = [0; 16 * 1024];
        let mut count = 0;
        while count < 1 << 20 {
            match self.socket.read(&mut buffer) {
                Ok(0) => {
                    self.ended = true;
                    break;
                }
                Ok(read) => {
                    into.extend_from_slice(&buffer[..read]);
                    count += read;
                }
                Err(error) => {
                    self.reset |= error.kind() != ErrorKind::WouldBlock;
                    break;
                }
            }
        }
        count
    }

    fn shutdown(&mut self) {
        self.socket.shutdown(Shutdown::Write).unwrap();
    }

    fn reset(self) {
        socket2::SockRef::from(&self.socket).set_linger(Some(Duration::ZERO)).unwrap();
    }

    fn is_ended(&mut self) -> bool {
        let mut byte = [0];
        self.ended |= matches!(self.socket.peek(&mut byte), Ok(0));
        self.ended
    }

    fn is_reset(&self) -> bool {
        self.reset
    }
}
