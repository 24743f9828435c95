//! Passing bytes from socket to socket through the one pipe of the engine.
//! The pipe is empty whenever nothing is being passed: what found no room is read out of it at once, so
//! that no descriptor is held for a connection, and nothing lies where a freeze would not find it.

use super::Engine;
use crate::error::{Error, OpKind};
use crate::handle::Handle;
use crate::op::{Descriptor, Spliced};
use crate::system::{self, Pipe};

/// What an engine has to pass bytes by.
#[derive(Default)]
pub(super) struct Splicer {
    /// Made when it is needed first.
    pipe: Option<Pipe>,
    /// The system does not allow it.
    is_refused: bool,
}

impl Engine {
    /// Passes what has come on one socket to another, unless an operation is about to.
    pub(super) fn splice(
        &mut self,
        source: Descriptor,
        sink: Descriptor,
        bytes_max: usize,
        rest: &mut Vec<u8>,
    ) -> Result<Spliced, Error> {
        if self.ledger.is_receiving(source) || self.ledger.is_sending(sink) {
            return Err(Error::Misuse("a splice passes no receive and no send in flight (law 5)"));
        }
        if !self.splices() {
            return Ok(Spliced::Refused);
        }
        let before = rest.len();
        let spliced = match self.backend.pass_own(source, sink, bytes_max, rest) {
            Some(passed) => passed.map_err(|errno| Error::system(OpKind::Receive, errno))?,
            None => self.splicer.splice(source, sink, bytes_max, rest)?,
        };
        if let Spliced::Bytes(count) = spliced {
            self.stats.spliced_bytes += (count - (rest.len() - before)) as u64;
        }
        Ok(spliced)
    }
}

impl Splicer {
    pub(super) const fn is_refused(&self) -> bool {
        self.is_refused
    }

    /// See `Handle::splice_now`.
    fn splice(
        &mut self,
        source: Descriptor,
        sink: Descriptor,
        bytes_max: usize,
        rest: &mut Vec<u8>,
    ) -> Result<Spliced, Error> {
        // There is no flag against the signal of a connection that is gone.
        if bytes_max == 0 || !system::is_broken_pipe_ignored() {
            return Ok(Spliced::Refused);
        }
        let Some(pipe) = self.pipe() else { return Ok(Spliced::Refused) };
        let received = match pipe.fill(source.number(), bytes_max) {
            Ok(0) => return Ok(Spliced::End),
            Ok(count) => count,
            Err(system::EAGAIN | system::EINTR) => return Ok(Spliced::Nothing),
            Err(errno) if is_refusal(errno) => {
                self.is_refused = errno != system::EINVAL;
                return Ok(Spliced::Refused);
            }
            Err(errno) => return Err(Error::system(OpKind::Receive, errno)),
        };
        let sent = pipe.drain(sink.number(), received);
        if sent < received
            && let Err(errno) = pipe.read_out(rest, received - sent)
        {
            // Bytes of the stream are lost: it cannot go on, and its pipe is not used again.
            self.pipe = None;
            return Err(Error::system(OpKind::Receive, errno));
        }
        Ok(Spliced::Bytes(received))
    }

    /// The pipe; none where there is no descriptor for one just now, or never.
    fn pipe(&mut self) -> Option<&Pipe> {
        if self.pipe.is_none() {
            match Pipe::open() {
                Ok(pipe) => self.pipe = Some(pipe),
                Err(errno) => {
                    self.is_refused = is_refusal(errno);
                    return None;
                }
            }
        }
        self.pipe.as_ref()
    }
}

/// Whether a filter forbids it, or this kind of socket has none of it.
fn is_refusal(errno: i32) -> bool {
    matches!(errno, system::EPERM | system::EINVAL | system::ENOSYS)
}
