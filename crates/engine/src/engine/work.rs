//! Operations on files that every mechanism would hand to threads, or do by a call: they are the
//! engine's own. What the system has in memory is done at once; nothing waits for a disk but a thread.
//!
//! io_uring does each of them on a thread of the kernel's, but for opening and reading: a direct call
//! that does not wait costs less, and the engine's own threads have a bound and can be withdrawn from.

use std::ffi::CString;
use std::os::fd::{IntoRawFd, OwnedFd};

use super::Engine;
use crate::backend::end_open;
use crate::completion::{Listing, Metadata, Outcome};
use crate::error::OpKind;
use crate::ledger::Ledger;
use crate::op::{Op, OpenOptions, Piece};
use crate::slots::Key;
use crate::system::{self, EAGAIN, ECANCELED};

/// What a thread has done. Memory is its operation's, which had none meanwhile.
pub(crate) enum Worked {
    Opened(Result<OwnedFd, i32>),
    Listed(Result<Listing, i32>),
    Described(Result<Metadata, i32>),
    Done(Result<(), i32>),
    Filled(Vec<Vec<u8>>, Result<usize, i32>),
    Written(Vec<Piece>, Result<usize, i32>),
}

/// What is called on a thread.
type Call<T> = Box<dyn FnOnce() -> Result<T, i32> + Send>;

impl Engine {
    pub(super) fn start_work(&mut self, key: Key) {
        if self.backend.has_own_files() {
            return self.backend.submit(&mut self.ledger, key);
        }
        let Some(slot) = self.ledger.slots.get(key) else { return };
        match &mut slot.op {
            Op::OpenFile { path, options } => {
                let (path, options) = (path.clone(), *options);
                self.start_open(key, path, options);
            }
            Op::Describe { path } => match system::describe(path, true) {
                Ok(metadata) => self.ledger.end(key, |_| Outcome::Described(metadata)),
                Err(EAGAIN) => {
                    let path = path.clone();
                    self.start_call(key, Worked::Described, move || system::describe(&path, false));
                }
                Err(errno) => self.ledger.fail_errno(key, OpKind::Describe, errno),
            },
            Op::ReadVectored { file, memories, offset } => {
                let (file, offset) = (file.number(), *offset);
                match system::read_vectors(file, memories, offset, true) {
                    Err(EAGAIN) => {
                        let memories = std::mem::take(memories);
                        self.start_read(key, file, memories, offset);
                    }
                    read => end_filled(&mut self.ledger, key, read),
                }
            }
            Op::Write { file, pieces, offset } => {
                let (file, offset) = (file.number(), *offset);
                match system::write_vectors(file, pieces, offset, true) {
                    Err(EAGAIN) => {
                        let pieces = std::mem::take(pieces);
                        self.start_write(key, file, pieces, offset);
                    }
                    written => end_written(&mut self.ledger, key, written),
                }
            }
            Op::List { directory, entries_max } => {
                // Names are read from where the descriptor stands: this one has a place of its own.
                let (own, entries_max) = (system::open_again(directory.number()), *entries_max);
                let list = move || system::list(&own?, entries_max);
                self.start_call(key, Worked::Listed, list);
            }
            op => {
                if let Some(call) = call_of(op) {
                    self.start_call(key, Worked::Done, call);
                }
            }
        }
    }

    fn start_open(&mut self, key: Key, path: CString, options: OpenOptions) {
        match system::open_file(&path, options, true) {
            Ok(file) => end_open(&mut self.ledger, key, file.into_raw_fd()),
            Err(errno) if errno != EAGAIN => self.ledger.fail_errno(key, OpKind::Open, errno),
            Err(_) => {
                let open = move || system::open_file(&path, options, false);
                self.start_call(key, Worked::Opened, open);
            }
        }
    }

    fn start_read(&mut self, key: Key, file: i32, mut memories: Vec<Vec<u8>>, offset: u64) {
        self.workers.start(key, move |is_wanted| {
            let read = match is_wanted {
                true => system::read_vectors(file, &mut memories, offset, false),
                false => Err(ECANCELED),
            };
            Worked::Filled(memories, read)
        });
    }

    fn start_write(&mut self, key: Key, file: i32, pieces: Vec<Piece>, offset: u64) {
        self.workers.start(key, move |is_wanted| {
            let written = match is_wanted {
                true => system::write_vectors(file, &pieces, offset, false),
                false => Err(ECANCELED),
            };
            Worked::Written(pieces, written)
        });
    }

    /// Hands a call to a thread.
    fn start_call<T: 'static>(
        &mut self,
        key: Key,
        worked: fn(Result<T, i32>) -> Worked,
        call: impl FnOnce() -> Result<T, i32> + Send + 'static,
    ) {
        self.workers
            .start(key, move |is_wanted| worked(if is_wanted { call() } else { Err(ECANCELED) }));
    }

    /// Ends what the threads have done.
    pub(super) fn end_work(&mut self) {
        while let Some((key, worked)) = self.workers.next_ended() {
            self.end_worked(key, worked);
        }
    }

    fn end_worked(&mut self, key: Key, worked: Worked) {
        let ledger = &mut self.ledger;
        let slot = ledger.slots.get(key).expect("an operation lives until its job has ended");
        let (kind, op) = (slot.op.kind(), &mut slot.op);
        match (worked, op) {
            (Worked::Opened(Ok(file)), _) => end_open(ledger, key, file.into_raw_fd()),
            (Worked::Listed(Ok(listing)), _) => ledger.end(key, |_| Outcome::Listed(listing)),
            (Worked::Described(Ok(known)), _) => ledger.end(key, |_| Outcome::Described(known)),
            (Worked::Done(Ok(())), _) => ledger.end(key, |_| Outcome::Done),
            (Worked::Filled(own, read), Op::ReadVectored { memories, .. }) => {
                *memories = own;
                end_filled(ledger, key, read);
            }
            (Worked::Written(own, written), Op::Write { pieces, .. }) => {
                *pieces = own;
                end_written(ledger, key, written);
            }
            (
                Worked::Opened(Err(errno))
                | Worked::Listed(Err(errno))
                | Worked::Described(Err(errno))
                | Worked::Done(Err(errno)),
                _,
            ) => ledger.fail_errno(key, kind, errno),
            (Worked::Filled(..) | Worked::Written(..), _) => {
                unreachable!("only reads and writes have memory")
            }
        }
    }
}

/// The call that an operation without memory is. It changes what is on a disk, and waits for it.
fn call_of(op: &Op) -> Option<Call<()>> {
    Some(match op {
        Op::Sync { file, data_only } => {
            let (file, data_only) = (file.number(), *data_only);
            Box::new(move || system::sync(file, data_only))
        }
        Op::Truncate { file, length } => {
            let (file, length) = (file.number(), *length);
            Box::new(move || system::truncate(file, length))
        }
        Op::Remove { path, is_directory } => {
            let (path, is_directory) = (path.clone(), *is_directory);
            Box::new(move || system::remove(&path, is_directory))
        }
        Op::Rename { from, to } => {
            let (from, to) = (from.clone(), to.clone());
            Box::new(move || system::rename(&from, &to))
        }
        Op::CreateDirectory { path, mode } => {
            let (path, mode) = (path.clone(), *mode);
            Box::new(move || system::create_directory(&path, mode))
        }
        _ => return None,
    })
}

/// The end of a vectored read whose memory is back.
pub(crate) fn end_filled(ledger: &mut Ledger, key: Key, read: Result<usize, i32>) {
    match read {
        Ok(count) => ledger.end(key, |op| match op {
            Op::ReadVectored { memories, .. } => Outcome::FilledAll(memories, count),
            _ => unreachable!("only vectored reads fill several buffers"),
        }),
        Err(errno) => ledger.fail_errno(key, OpKind::Read, errno),
    }
}

/// The end of a write whose pieces are back.
pub(crate) fn end_written(ledger: &mut Ledger, key: Key, written: Result<usize, i32>) {
    match written {
        Ok(count) => ledger.end(key, |op| match op {
            Op::Write { pieces, .. } => Outcome::Written(pieces, count),
            _ => unreachable!("only writes are written"),
        }),
        Err(errno) => ledger.fail_errno(key, OpKind::Write, errno),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;
    use crate::engine::{EngineOptions, Mechanism};

    /// A disk may not answer any more: then the engine leaves the call alone, and all that it works on.
    #[test]
    fn a_call_that_hangs_keeps_no_drop() {
        let mut engine = Engine::new(Mechanism::Poll, EngineOptions::default()).unwrap();
        let op = Op::CreateDirectory { path: c"never".into(), mode: 0 };
        let (key, _) = engine.ledger.enter(op, 1, false);
        let ((begun, has_begun), (go, may_end)) = (channel(), channel::<()>());
        engine.start_call(key, Worked::Done, move || {
            begun.send(()).unwrap();
            may_end.recv().map_err(|_| ECANCELED)
        });
        has_begun.recv().unwrap();
        drop(engine);
        drop(go);
    }
}
