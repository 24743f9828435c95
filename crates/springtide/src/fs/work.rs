//! What is asked of a file or a path, as the operations that it takes: short reads and writes are
//! gone on with, and a whole file is opened, gone through and closed.
//! It is a machine: it asks nobody, and closes nothing by itself.

use std::ffi::CString;

use bytes::Bytes;
use springtide_engine::{
    Descriptor, Error as EngineError, Handle, Memory, Op, OpenOptions, Outcome, PIECES_MAX, Piece,
};

use super::{DirEntry, Metadata};
use crate::limits::Limits;
use crate::peer::Reason;
use crate::task::Ended;

/// Something asked.
pub(crate) enum Work {
    Open {
        path: CString,
        options: OpenOptions,
    },
    Read(Reading),
    Write(Writing),
    Sync {
        data_only: bool,
    },
    Truncate {
        length: u64,
    },
    /// What is known of an open file.
    Look,
    List {
        entries_max: usize,
    },
    Describe {
        path: CString,
    },
    Remove {
        path: CString,
        is_directory: bool,
    },
    Rename {
        from: CString,
        to: CString,
    },
    CreateDirectory {
        path: CString,
    },
    /// Opens a file, does something with it, and closes it.
    Whole(Box<Whole>),
}

/// Bytes of a file, fewer than asked for only at its end.
pub(crate) struct Reading {
    /// As many buffers as were asked for; none before it begins and while an operation has them.
    memories: Vec<Vec<u8>>,
    offset: u64,
    filled: usize,
    extent: Extent,
    is_end: bool,
}

/// How much is read.
enum Extent {
    /// One buffer.
    One(usize),
    /// Several of these lengths, until their buffers are made, and so many bytes together.
    Several { lengths: Vec<usize>, sum: usize },
    /// All that there is, up to a limit, and how much it was expected to be.
    Rest { bytes_max: usize },
}

/// Bytes to a file, all of them.
pub(crate) struct Writing {
    pub(super) pieces: Vec<Bytes>,
    /// It comes back as one.
    pub(super) is_one: bool,
    pub(super) offset: u64,
    pub(super) appends: bool,
    gone: usize,
    /// So many go at a time: a shard writes what the system takes without waiting.
    bytes_max: usize,
}

/// A file from its opening to its close.
pub(crate) struct Whole {
    path: CString,
    options: OpenOptions,
    file: Option<Descriptor>,
    inner: Work,
    /// What came of it: the file is closed then.
    ended: Option<Ended>,
}

/// What is done next.
pub(crate) enum Next {
    Do(Op),
    End(Ended),
}

/// What came of an operation.
pub(crate) enum Step {
    /// There is more to do.
    Again,
    /// A file is open.
    Opened(Descriptor),
    End(Ended),
}

impl Work {
    /// Something with a file of its own.
    pub(super) fn whole(path: CString, options: OpenOptions, inner: Self) -> Self {
        Self::Whole(Box::new(Whole { path, options, file: None, inner, ended: None }))
    }

    /// The limit that it breaks; what has no bound of its own gets that of the shard.
    pub(crate) fn bound(&mut self, limits: &Limits) -> Result<(), &'static str> {
        match self {
            Self::Read(reading) => reading.bound(limits.file_read_bytes_max),
            Self::Write(writing) if writing.pieces.len() > PIECES_MAX => Err("PIECES_MAX"),
            Self::Write(writing) => {
                writing.bytes_max = limits.file_write_bytes_max;
                Ok(())
            }
            Self::Whole(whole) => whole.inner.bound(limits),
            Self::List { entries_max } => {
                *entries_max = limits.directory_entries_max;
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Whether it is a write for a file that is written to at its end; none where it is no write.
    pub(crate) const fn appends(&self) -> Option<bool> {
        match self {
            Self::Write(writing) => Some(writing.appends),
            _ => None,
        }
    }

    /// Whether it opens a file that is written to at its end.
    pub(crate) const fn opens_to_append(&self) -> bool {
        matches!(self, Self::Open { options: OpenOptions { append: true, .. }, .. })
    }

    /// The descriptor that is its own.
    pub(crate) fn own_file(&self) -> Option<Descriptor> {
        match self {
            Self::Whole(whole) => whole.file,
            _ => None,
        }
    }

    /// What is done next, with a file where it is about an open one.
    pub(crate) fn next(&mut self, file: Option<Descriptor>, engine: &dyn Handle) -> Next {
        Next::Do(match self {
            Self::Open { path, options } => Op::OpenFile { path: path.clone(), options: *options },
            Self::Describe { path } => Op::Describe { path: path.clone() },
            Self::Remove { path, is_directory } => {
                Op::Remove { path: path.clone(), is_directory: *is_directory }
            }
            Self::Rename { from, to } => Op::Rename { from: from.clone(), to: to.clone() },
            Self::CreateDirectory { path } => {
                Op::CreateDirectory { path: path.clone(), mode: 0o777 }
            }
            Self::Whole(whole) => return whole.next(engine),
            own => match file {
                Some(file) => return own.next_with(file, engine),
                None => return Next::End(Ended::Failed(Reason::Stale)),
            },
        })
    }

    fn next_with(&mut self, file: Descriptor, engine: &dyn Handle) -> Next {
        Next::Do(match self {
            Self::Read(reading) => return reading.next(file, engine),
            Self::Write(writing) => return writing.next(file),
            Self::Sync { data_only } => Op::Sync { file, data_only: *data_only },
            Self::Truncate { length } => Op::Truncate { file, length: *length },
            Self::List { entries_max } => Op::List { directory: file, entries_max: *entries_max },
            Self::Look => {
                return Next::End(match engine.metadata(file) {
                    Ok(known) => Ended::Known(Box::new(Metadata(known))),
                    Err(error) => Ended::Failed(said(error)),
                });
            }
            _ => unreachable!("what has no file was asked before"),
        })
    }

    /// What came of the operation that [`next`](Self::next) gave. One that was cancelled although nobody
    /// asked for that begins again.
    pub(crate) fn take(&mut self, outcome: Outcome, is_cut: bool) -> Step {
        match (self, outcome) {
            (Self::Whole(whole), outcome) => whole.take(outcome, is_cut),
            (Self::Read(reading), outcome) => reading.take(outcome, is_cut),
            (_, Outcome::Failed(EngineError::Cancelled, _)) if !is_cut => Step::Again,
            (_, Outcome::Failed(error, _)) => Step::End(Ended::Failed(said(error))),
            (Self::Write(writing), Outcome::Written(_, count)) => {
                writing.gone += count;
                match is_cut && !writing.is_done() {
                    true => Step::End(Ended::Failed(Reason::Cancelled)),
                    false => Step::Again,
                }
            }
            (Self::Open { .. }, Outcome::Opened(file, _)) => Step::Opened(file),
            (_, Outcome::Described(known)) => Step::End(Ended::Known(Box::new(Metadata(known)))),
            (_, Outcome::Listed(listing)) if listing.is_cut => {
                Step::End(Ended::Failed(Reason::Limit("directory_entries_max")))
            }
            (_, Outcome::Listed(listing)) => {
                let entries = listing.entries.into_iter().map(DirEntry::new);
                Step::End(Ended::Names(entries.collect()))
            }
            _ => Step::End(Ended::Done),
        }
    }
}

impl Reading {
    pub(super) fn one(length: usize, offset: u64) -> Self {
        Self::new(vec![Vec::new()], offset, Extent::One(length))
    }

    /// No buffer is made before it begins, within its limits; one length too many is told as such.
    pub(super) fn several(lengths: &[usize], offset: u64) -> Self {
        let sum = lengths.iter().fold(0_usize, |sum, length| sum.saturating_add(*length));
        let lengths = lengths.iter().take(PIECES_MAX + 1).copied().collect();
        Self::new(Vec::new(), offset, Extent::Several { lengths, sum })
    }

    pub(super) fn rest() -> Self {
        Self::new(vec![Vec::new()], 0, Extent::Rest { bytes_max: 0 })
    }

    const fn new(memories: Vec<Vec<u8>>, offset: u64, extent: Extent) -> Self {
        Self { memories, offset, filled: 0, extent, is_end: false }
    }

    fn bound(&mut self, limit: usize) -> Result<(), &'static str> {
        match &mut self.extent {
            Extent::One(bytes) | Extent::Several { sum: bytes, .. } if *bytes > limit => {
                return Err("file_read_bytes_max");
            }
            Extent::Several { lengths, .. } if lengths.len() > PIECES_MAX => {
                return Err("PIECES_MAX");
            }
            Extent::Rest { bytes_max } => *bytes_max = limit,
            Extent::One(_) | Extent::Several { .. } => {}
        }
        Ok(())
    }

    fn next(&mut self, file: Descriptor, engine: &dyn Handle) -> Next {
        let offset = self.offset.saturating_add(self.filled as u64);
        if let Extent::Several { lengths, .. } = &mut self.extent
            && !lengths.is_empty()
        {
            self.memories = std::mem::take(lengths).into_iter().map(Vec::with_capacity).collect();
        }
        match self.extent {
            Extent::Rest { bytes_max } if self.filled > bytes_max => {
                return Next::End(Ended::Failed(Reason::Limit("file_read_bytes_max")));
            }
            Extent::One(length) | Extent::Several { sum: length, .. } if self.filled >= length => {
                return self.end();
            }
            _ if self.is_end => return self.end(),
            Extent::Several { .. } => {
                let memories = std::mem::take(&mut self.memories);
                return Next::Do(Op::ReadVectored { file, memories, offset });
            }
            Extent::One(_) | Extent::Rest { .. } => {}
        }
        let mut memory = self.memories.pop().unwrap_or_default();
        match self.extent {
            Extent::Rest { bytes_max } if memory.is_empty() => {
                // One more than there is: what is full is not at its end.
                let known = engine.metadata(file).map_or(0, |known| known.length);
                let known = usize::try_from(known).unwrap_or(usize::MAX).min(bytes_max);
                memory.reserve_exact(known.saturating_add(1));
            }
            Extent::One(length) => memory.reserve_exact(length - self.filled),
            Extent::Rest { .. } | Extent::Several { .. } => memory.reserve(1),
        }
        Next::Do(Op::Read { file, memory, offset })
    }

    fn end(&mut self) -> Next {
        let mut pieces = std::mem::take(&mut self.memories).into_iter().map(Bytes::from);
        Next::End(match self.extent {
            Extent::Several { .. } => Ended::Pieces(pieces.collect()),
            Extent::One(_) | Extent::Rest { .. } => Ended::Bytes(pieces.next().unwrap_or_default()),
        })
    }

    fn take(&mut self, outcome: Outcome, is_cut: bool) -> Step {
        let (memories, is_failed) = match outcome {
            Outcome::Filled(memory) => (vec![memory], false),
            Outcome::FilledAll(memories, _) => (memories, false),
            Outcome::Failed(EngineError::Cancelled, Memory::Buffer(memory)) => (vec![memory], true),
            Outcome::Failed(EngineError::Cancelled, Memory::Buffers(memories)) => (memories, true),
            Outcome::Failed(error, _) => return Step::End(Ended::Failed(said(error))),
            _ => return Step::End(Ended::Failed(Reason::Stale)),
        };
        let filled = memories.iter().map(Vec::len).sum();
        (self.is_end, self.filled) = (!is_failed && filled == self.filled, filled);
        self.memories = memories;
        let is_done = match self.extent {
            Extent::One(length) | Extent::Several { sum: length, .. } => filled >= length,
            Extent::Rest { .. } => false,
        };
        match is_cut && !is_done && !self.is_end {
            true => Step::End(Ended::Failed(Reason::Cancelled)),
            false => Step::Again,
        }
    }
}

impl Writing {
    pub(super) const fn new(pieces: Vec<Bytes>, is_one: bool, offset: u64, appends: bool) -> Self {
        Self { pieces, is_one, offset, appends, gone: 0, bytes_max: usize::MAX }
    }

    fn is_done(&self) -> bool {
        self.gone == self.pieces.iter().map(Bytes::len).sum::<usize>()
    }

    fn next(&mut self, file: Descriptor) -> Next {
        if self.is_done() {
            let mut pieces = std::mem::take(&mut self.pieces);
            return Next::End(match self.is_one {
                true => Ended::Bytes(pieces.pop().unwrap_or_default()),
                false => Ended::Pieces(pieces),
            });
        }
        let (mut skip, mut room, mut next) = (self.gone, self.bytes_max, Vec::new());
        for piece in &self.pieces {
            let from = skip.min(piece.len());
            skip -= from;
            let count = room.min(piece.len() - from);
            room -= count;
            if count > 0 {
                next.push(Piece::Shared(piece.slice(from..from + count)));
            }
        }
        let offset = self.offset.saturating_add(self.gone as u64);
        Next::Do(Op::Write { file, pieces: next, offset })
    }
}

impl Whole {
    fn next(&mut self, engine: &dyn Handle) -> Next {
        let Some(file) = self.file else {
            return match self.ended.take() {
                Some(ended) => Next::End(ended),
                None => Next::Do(Op::OpenFile { path: self.path.clone(), options: self.options }),
            };
        };
        if self.ended.is_none() {
            match self.inner.next(Some(file), engine) {
                Next::Do(op) => return Next::Do(op),
                Next::End(ended) => self.ended = Some(ended),
            }
        }
        Next::Do(Op::Close { descriptor: file })
    }

    fn take(&mut self, outcome: Outcome, is_cut: bool) -> Step {
        match (self.file, outcome) {
            (None, Outcome::Opened(file, _)) => {
                self.file = Some(file);
                if is_cut {
                    self.ended = Some(Ended::Failed(Reason::Cancelled));
                }
            }
            (None, Outcome::Failed(EngineError::Cancelled, _)) if !is_cut => {}
            (None, Outcome::Failed(error, _)) => return Step::End(Ended::Failed(said(error))),
            // A close that found no room among the operations did not happen.
            (Some(_), Outcome::Failed(EngineError::Limit(_), _)) if self.ended.is_some() => {}
            // Otherwise the descriptor is free, whatever the system says of it.
            (Some(_), _) if self.ended.is_some() => self.file = None,
            (_, outcome) => {
                if let Step::End(ended) = self.inner.take(outcome, is_cut) {
                    self.ended = Some(ended);
                }
            }
        }
        Step::Again
    }
}

/// What an error of the system says of a file.
pub(super) fn said(error: EngineError) -> Reason {
    match error {
        EngineError::Cancelled => Reason::Cancelled,
        EngineError::Limit(name) => Reason::Limit(name),
        error => Reason::System(error),
    }
}
