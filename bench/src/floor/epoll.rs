//! The epoll floor: level triggered, one read for each event, the response sent at once.
//! It must never read until EAGAIN: a short read says that the socket is empty.

use std::io;
use std::net::TcpListener;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::time::{Duration, Instant};

use super::options::Options;
use super::response::Response;
use crate::system::{self, Epoll};

const EVENTS_MAX: usize = 512;
const READ_BYTES: usize = 64 * 1024;

#[derive(Debug)]
struct Connection {
    fd: OwnedFd,
    /// Received bytes that are not yet a whole request.
    part: usize,
    /// Responses that are owed, the one that is partly sent not counted.
    owed: usize,
    /// What did not fit of the last send.
    unsent: &'static [u8],
    /// Echo: what did not fit.
    unsent_echo: Vec<u8>,
    /// Watched for room to send instead of data.
    blocked: bool,
}

/// What becomes of a connection after an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum After {
    Stay,
    Close,
}

struct Floor<'options> {
    options: &'options Options,
    response: Response,
    epoll: Epoll,
    connections: Vec<Option<Connection>>,
    buffer: Vec<u8>,
}

/// Serves until the process is killed.
pub(super) fn serve(
    options: &Options,
    listener: &TcpListener,
    response: Response,
) -> io::Result<()> {
    let epoll = Epoll::new()?;
    let listener = listener.as_raw_fd();
    epoll.add(listener, libc::EPOLLIN)?;
    let connections = Vec::new();
    let buffer = vec![0; READ_BYTES];
    let mut floor = Floor { options, response, epoll, connections, buffer };
    let mut events = vec![libc::epoll_event { events: 0, u64: 0 }; EVENTS_MAX];
    loop {
        let count = floor.wait(&mut events)?;
        for event in &events[..count] {
            let fd = event.u64 as RawFd;
            if fd == listener {
                floor.accept(listener)?;
            } else if floor.ready(fd).unwrap_or(After::Close) == After::Close {
                floor.connections[fd as usize] = None;
            }
        }
    }
}

impl Floor<'_> {
    fn wait(&self, events: &mut [libc::epoll_event]) -> io::Result<usize> {
        if self.options.spin_us > 0 {
            let end = Instant::now() + Duration::from_micros(self.options.spin_us);
            while Instant::now() < end {
                let count = self.epoll.wait(events, 0)?;
                if count > 0 {
                    return Ok(count);
                }
            }
        }
        self.epoll.wait(events, -1)
    }

    fn accept(&mut self, listener: RawFd) -> io::Result<()> {
        while let Ok(fd) = system::accept_now(listener) {
            let index = fd.as_raw_fd() as usize;
            self.epoll.add(fd.as_raw_fd(), libc::EPOLLIN)?;
            if self.connections.len() <= index {
                self.connections.resize_with(index + 1, || None);
            }
            self.connections[index] = Some(Connection {
                fd,
                part: 0,
                owed: 0,
                unsent: &[],
                unsent_echo: Vec::new(),
                blocked: false,
            });
        }
        Ok(())
    }

    fn ready(&mut self, fd: RawFd) -> io::Result<After> {
        let Some(connection) = &mut self.connections[fd as usize] else { return Ok(After::Stay) };
        if !connection.blocked {
            let count = match system::receive_now(fd, &mut self.buffer) {
                Ok(0) => return Ok(After::Close),
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(After::Stay),
                Err(error) => return Err(error),
            };
            if self.response.echo {
                let sent = sent_of(system::send_now(fd, &self.buffer[..count]))?;
                connection.unsent_echo.extend_from_slice(&self.buffer[sent..count]);
            } else {
                let bytes = connection.part + count;
                connection.owed += bytes / self.options.request_bytes;
                connection.part = bytes % self.options.request_bytes;
            }
        }
        let answered = connection.owed > 0;
        connection.flush(self.response)?;
        let blocked = connection.blocked();
        if self.options.close && answered && !blocked {
            return Ok(After::Close);
        }
        if blocked != connection.blocked {
            connection.blocked = blocked;
            let events = if blocked { libc::EPOLLOUT } else { libc::EPOLLIN };
            self.epoll.change(fd, events)?;
        }
        Ok(After::Stay)
    }
}

impl Connection {
    fn blocked(&self) -> bool {
        !self.unsent.is_empty() || !self.unsent_echo.is_empty()
    }

    fn flush(&mut self, response: Response) -> io::Result<()> {
        let fd = self.fd.as_raw_fd();
        if !self.unsent_echo.is_empty() {
            let sent = sent_of(system::send_now(fd, &self.unsent_echo))?;
            self.unsent_echo.drain(..sent);
            return Ok(());
        }
        loop {
            if self.unsent.is_empty() {
                if self.owed == 0 {
                    return Ok(());
                }
                let (bytes, count) = response.take(self.owed);
                self.owed -= count;
                self.unsent = bytes;
            }
            let sent = sent_of(system::send_now(fd, self.unsent))?;
            self.unsent = &self.unsent[sent..];
            if !self.unsent.is_empty() {
                return Ok(());
            }
        }
    }
}

fn sent_of(result: io::Result<usize>) -> io::Result<usize> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(0),
        other => other,
    }
}
