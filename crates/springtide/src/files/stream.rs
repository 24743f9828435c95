//! Bodies that are read, or passed by the system, piece by piece while they are sent.
//! What is read is given out only when the file was still unchanged after that, and the last pieces
//! always are read: no body is whole that is made of two versions. What is passed is not looked at,
//! so a body that is cut may end with bytes of the other version.

use std::ffi::CString;
use std::rc::Rc;

use springtide_engine::{Descriptor, FilePart, Handle, Op, Outcome};

use super::job::{OpenFile, path_of};
use super::outline::{Outline, PIECE_BYTES_MAX};
use super::service::{Asker, FileEvent, FileService, RootId};
use crate::table::Place;

/// Names a body that is being sent; a stale one is noticed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct StreamId(pub(super) Place);

/// An open file that several streams read from. It is closed when the last one has ended.
#[derive(Debug)]
pub(super) struct SharedFile {
    pub(super) root: RootId,
    pub(super) path: CString,
    pub(super) file: OpenFile,
}

impl SharedFile {
    pub(super) fn new(root: RootId, name: &str, file: OpenFile) -> Rc<Self> {
        Rc::new(Self { root, path: path_of(name), file })
    }
}

/// A body that is being sent. At most one operation is in flight for it.
#[derive(Debug)]
pub(super) struct Stream {
    pub(super) asker: Asker,
    pub(super) file: Rc<SharedFile>,
    /// What has not been given out yet.
    pub(super) left: Outline,
    pub(super) stage: Stage,
    /// The last bytes were passed, and more are to be when there is room.
    pub(super) is_passing: bool,
    pub(super) is_abandoned: bool,
}

#[derive(Debug)]
pub(super) enum Stage {
    /// Nobody has asked for the next piece.
    Idle,
    Reading,
    /// The file is looked up by its name once more, to see whether it has changed.
    Checking(Vec<u8>),
}

impl Stream {
    pub(super) const fn new(asker: Asker, file: Rc<SharedFile>, left: Outline) -> Self {
        let (is_passing, is_abandoned) = (false, false);
        Self { asker, file, left, stage: Stage::Idle, is_passing, is_abandoned }
    }
}

/// How a stream goes on when an operation has completed.
enum Next {
    /// Another operation is in flight.
    Wait,
    /// The piece may be given out.
    Piece(Vec<u8>),
    Broken,
}

impl FileService {
    /// Asks for the next piece of a body, which comes as [`FileEvent::Piece`] later. While one is
    /// under way this does nothing: back-pressure is the caller's, a call for a piece.
    pub(crate) fn next_piece(&mut self, engine: &mut dyn Handle, stream: StreamId) {
        let Some(state) = self.streams.get_mut(stream.0) else { return };
        let next = state.left.next(PIECE_BYTES_MAX);
        if let (Stage::Idle, Some((memory, offset))) = (&state.stage, next) {
            let file = state.file.file.descriptor;
            engine.submit(Op::Read { file, memory, offset }, self.tokens.stream(stream.0));
            state.stage = Stage::Reading;
        }
    }

    /// Whether a piece is to be read: not while more may be passed as soon as there is room.
    pub(crate) fn is_due(&mut self, stream: StreamId) -> bool {
        self.streams.get_mut(stream.0).is_some_and(|state| !state.is_passing)
    }

    /// Nothing more is passed: the next piece is read, until [`Self::pass`] is called again.
    pub(crate) fn stop_passing(&mut self, stream: StreamId) {
        if let Some(state) = self.streams.get_mut(stream.0) {
            state.is_passing = false;
        }
    }

    /// Passes what fits of a body from the system's memory to a socket on which nothing else waits,
    /// and gives how many bytes that were: then it is called again when there is room. None while a
    /// piece is under way, and when the next bytes are to be read, the last bytes always: so a change
    /// of the file is seen before its body is whole.
    pub(crate) fn pass(
        &mut self,
        engine: &mut dyn Handle,
        stream: StreamId,
        socket: Descriptor,
    ) -> usize {
        let Some(state) = self.streams.get_mut(stream.0) else { return 0 };
        state.is_passing = false;
        let (Stage::Idle, Some((offset, length))) = (&state.stage, state.left.passable()) else {
            return 0;
        };
        let part = FilePart { file: state.file.file.descriptor, offset, length };
        let bytes = engine.send_file_now(socket, part);
        state.left.pass(bytes);
        state.is_passing = bytes > 0;
        bytes
    }

    /// Ends a body that nobody wants any more. The file is closed when the operation in flight
    /// has ended; no event follows. A body that has ended is left alone.
    pub(crate) fn abandon(&mut self, engine: &mut dyn Handle, stream: StreamId) {
        let Some(state) = self.streams.get_mut(stream.0) else { return };
        state.is_abandoned = true;
        if let Stage::Idle = state.stage {
            self.end_stream(engine, stream.0);
            self.close_when_ended(engine);
        }
    }

    /// The operation of a stream has completed.
    pub(super) fn complete_stream(
        &mut self,
        engine: &mut dyn Handle,
        index: u32,
        outcome: Outcome,
        events: &mut Vec<FileEvent>,
    ) {
        let place = self.streams.place_of(index);
        let place = place.expect("a stream lives until its operation has completed");
        let next = self.step_stream(engine, place, outcome);
        let state = self.streams.get_mut(place).expect("it is there, see above");
        let asker = state.asker;
        match next {
            Next::Wait => return,
            _ if state.is_abandoned => {}
            Next::Piece(mut bytes) => {
                state.left.take(&mut bytes);
                let is_last = state.left.is_empty();
                events.push(FileEvent::Piece { asker, bytes, is_last });
                if !is_last {
                    return;
                }
            }
            Next::Broken => events.push(FileEvent::Broken { asker }),
        }
        self.end_stream(engine, place);
    }

    fn step_stream(&mut self, engine: &mut dyn Handle, place: Place, outcome: Outcome) -> Next {
        let tokens = self.tokens;
        let state = self.streams.get_mut(place).expect("the caller has looked");
        let file = &state.file;
        match (std::mem::replace(&mut state.stage, Stage::Idle), outcome) {
            // Nothing read before the end: the file was truncated.
            (Stage::Reading, Outcome::Filled(bytes)) if state.left.is_unread(&bytes) => {
                Next::Broken
            }
            (Stage::Reading, Outcome::Filled(_)) if state.is_abandoned => Next::Broken,
            (Stage::Reading, Outcome::Filled(bytes)) => {
                let (root, path) = (self.roots[file.root.0].descriptor, file.path.clone());
                engine.submit(Op::Open { root, path }, tokens.stream(place));
                state.stage = Stage::Checking(bytes);
                Next::Wait
            }
            (Stage::Checking(bytes), Outcome::Opened(descriptor, metadata)) => {
                engine.submit(Op::Close { descriptor }, tokens.nobody());
                let first = &file.file.metadata;
                // Another file under the name has taken the place of this one, which nobody can
                // change by its name any more: it is sent to its end.
                let same = metadata == *first || metadata.inode != first.inode;
                if same { Next::Piece(bytes) } else { Next::Broken }
            }
            (Stage::Checking(bytes), Outcome::Failed(error, _)) if error.is_not_found() => {
                Next::Piece(bytes)
            }
            _ => Next::Broken,
        }
    }

    fn end_stream(&mut self, engine: &mut dyn Handle, place: Place) {
        if let Some(state) = self.streams.remove(place) {
            self.release(engine, state.file);
        }
    }

    /// Closes a file if this was its last user.
    pub(super) fn release(&self, engine: &mut dyn Handle, file: Rc<SharedFile>) {
        if let Some(file) = Rc::into_inner(file) {
            let descriptor = file.file.descriptor;
            engine.submit(Op::Close { descriptor }, self.tokens.nobody());
        }
    }
}
