//! What each operation does in a world once it is ready: the one match over operations.
//! It does as much as chance lets it, and never more than its share of a turn (law 9).

use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::State;
use super::chance::Fault;
use super::descriptors::{Entry, Mode};
use super::files::{Found, directory_metadata};
use super::network::ResetCause;
use super::operations::{Simulated, Step};
use crate::backend::datagrams::{DATAGRAMS_MAX, sent_to};
use crate::chunk::CHUNK_BYTES;
use crate::completion::{Metadata, Outcome};
use crate::error::OpKind;
use crate::ledger::Ledger;
use crate::op::{Descriptor, FilePart, Op, Piece, Route, Spliced};
use crate::slots::{Key, receiving};
use crate::system;

/// The most chunks of one connection in a turn: 128 KB (law 9).
const CHUNKS_MAX: usize = 32;
/// The most connections of one listener in a turn.
const ACCEPTS_MAX: usize = 64;

impl Simulated {
    /// Does what an operation that is ready can do.
    pub(super) fn perform(&mut self, ledger: &mut Ledger, key: Key) -> Step {
        if self.fails_as_planned(ledger, key) {
            return Step::Moved;
        }
        let op = ledger.slots.get(key).map(|slot| &mut slot.op);
        let Some(op) = op else { return Step::Moved };
        let kind = op.kind();
        let done = match op {
            Op::Accept { listener } => {
                let listener = *listener;
                return self.accept(ledger, key, listener);
            }
            Op::Receive { socket } => {
                let socket = *socket;
                return self.receive(ledger, key, socket);
            }
            Op::ReceiveInto { socket, .. } => {
                let socket = *socket;
                self.receive_into(ledger, key, socket)
            }
            Op::AwaitBytes { .. } => Ok(Outcome::Done),
            Op::WatchBytes { socket } => {
                let socket = *socket;
                return self.tell(ledger, key, socket);
            }
            Op::Send { socket, .. } => {
                let socket = *socket;
                return self.send(ledger, key, socket);
            }
            Op::ReceiveFrom { socket, bytes_max } => {
                let (socket, bytes_max) = (*socket, *bytes_max);
                return self.receive_from(ledger, key, socket, bytes_max);
            }
            Op::SendTo { socket, datagram } => {
                let State { table, network, chance, .. } = &mut *self.world.state.borrow_mut();
                table.letterbox(*socket).map(|own| {
                    network.send_to(own, datagram.address, &datagram.bytes, chance);
                    Outcome::Done
                })
            }
            Op::Connect { route } => self.connect(route).map(Outcome::Connected),
            Op::Shutdown { socket } => self.shutdown(*socket).map(|()| Outcome::Done),
            Op::Close { descriptor } => self.close(*descriptor).map(|()| Outcome::Done),
            Op::Open { root, path } => {
                let path = Path::new(std::ffi::OsStr::from_bytes(path.as_bytes()));
                self.open(*root, path).map(|(file, metadata)| Outcome::Opened(file, metadata))
            }
            Op::Read { file, offset, .. } => {
                let (file, offset) = (*file, *offset);
                self.read(ledger, key, file, offset)
            }
            Op::Timeout { .. } => unreachable!("they are the engine's"),
            _ => self.perform_on_files(op),
        };
        match done {
            Ok(_) if kind == OpKind::SendTo => ledger.end(key, sent_to),
            Ok(outcome) => ledger.end(key, |_| outcome),
            Err(errno) => ledger.fail_errno(key, kind, errno),
        }
        Step::Moved
    }

    fn accept(&self, ledger: &mut Ledger, key: Key, listener: Descriptor) -> Step {
        for _ in 0..ACCEPTS_MAX {
            let state = &mut *self.world.state.borrow_mut();
            let State { table, network, chance, .. } = state;
            let accepted = table.listener(listener).and_then(|listener| {
                if network.ready_to_accept(listener) == super::network::Ready::Never {
                    return Ok(None);
                }
                if chance.strikes(Fault::NoDescriptors) || !table.has_room() {
                    return Err(system::EMFILE);
                }
                let end = network.accept(listener).expect("one waits");
                table.insert(Entry::Socket(end)).map(Some)
            });
            match accepted {
                Ok(Some(socket)) => ledger.deliver(key, Outcome::Accepted(socket)),
                Ok(None) => break,
                Err(errno) => {
                    ledger.fail_errno(key, OpKind::Accept, errno);
                    break;
                }
            }
        }
        Step::Moved
    }

    fn receive_from(
        &self,
        ledger: &mut Ledger,
        key: Key,
        socket: Descriptor,
        bytes_max: usize,
    ) -> Step {
        for _ in 0..DATAGRAMS_MAX {
            let State { table, network, .. } = &mut *self.world.state.borrow_mut();
            match table.letterbox(socket).map(|own| network.receive_from(own, bytes_max)) {
                Ok(Some(datagram)) => ledger.deliver(key, Outcome::Datagram(Box::new(datagram))),
                Ok(None) => break,
                Err(errno) => {
                    ledger.fail_errno(key, OpKind::ReceiveFrom, errno);
                    break;
                }
            }
        }
        Step::Moved
    }

    fn connect(&self, route: &Route) -> Result<Descriptor, i32> {
        let State { table, network, chance, .. } = &mut *self.world.state.borrow_mut();
        if !table.has_room() {
            return Err(system::EMFILE);
        }
        let end = network.connect(&route.address, route.local, chance)?;
        table.insert(Entry::Socket(end))
    }

    /// Resets a connection by chance.
    fn may_reset(&self, socket: Descriptor) {
        let State { table, network, chance, .. } = &mut *self.world.state.borrow_mut();
        if let Ok(end) = table.socket(socket)
            && chance.strikes(Fault::Reset)
        {
            network.reset(end, ResetCause::Chance);
        }
    }

    /// How many bytes a receive gives: all there is room for, or by chance fewer.
    fn receivable(&self, socket: Descriptor, room: usize) -> Result<usize, i32> {
        let State { table, network, chance, .. } = &mut *self.world.state.borrow_mut();
        let end = table.socket(socket)?;
        let count = network.receivable(end, self.world.now.get()).min(room);
        let fewer = count > 1 && chance.strikes(Fault::ShortReceive);
        if fewer {
            // As if the rest came later.
            network.look_again(end);
        }
        Ok(if fewer { 1 + chance.below(count - 1) } else { count })
    }

    /// The end of a stream of which nothing is left: true, an error, or not yet. That it was reset is
    /// told once, as by a system: from then on it has ended.
    fn is_ended(&self, socket: Descriptor) -> Result<bool, i32> {
        let State { table, network, .. } = &mut *self.world.state.borrow_mut();
        let end = table.socket(socket)?;
        if network.takes_reset(end) {
            return Err(system::ECONNRESET);
        }
        Ok(network.reset_cause(end).is_some() || network.is_ended(end, self.world.now.get()))
    }

    fn receive(&mut self, ledger: &mut Ledger, key: Key, socket: Descriptor) -> Step {
        self.may_reset(socket);
        if self.strikes(Fault::NoBuffers) {
            self.counts.starved += 1;
            return Step::Moved;
        }
        let Some(slot) = ledger.slots.get(key) else { return Step::Moved };
        let is_first = slot.begins_to_receive();
        for _ in 0..if is_first { 1 } else { CHUNKS_MAX } {
            let count = match self.receivable(socket, CHUNK_BYTES) {
                Ok(count) => count,
                Err(errno) => {
                    ledger.fail_errno(key, OpKind::Receive, errno);
                    break;
                }
            };
            if count == 0 {
                self.end_receive(ledger, key, socket);
                break;
            }
            if self.ring_left == 0 || !self.fill_chunk(ledger, key, socket, count) {
                self.counts.starved += 1;
                break;
            }
            if is_first && let Some(slot) = ledger.slots.get(key) {
                slot.progress = receiving::ALONE;
            }
        }
        Step::Moved
    }

    /// Who watches is told that something has come, and for the last time where nothing comes behind it.
    fn tell(&self, ledger: &mut Ledger, key: Key, socket: Descriptor) -> Step {
        let State { table, network, .. } = &mut *self.world.state.borrow_mut();
        match table.socket(socket).map(|end| network.tell(end)) {
            Ok(true) => ledger.end(key, |_| Outcome::Done),
            Ok(false) => ledger.deliver(key, Outcome::Done),
            Err(errno) => ledger.fail_errno(key, OpKind::WatchBytes, errno),
        }
        Step::Moved
    }

    /// Takes what is there at once; see `Backend::receive_now`.
    pub(super) fn take_now(
        &self,
        socket: Descriptor,
        memory: &mut Vec<u8>,
        bytes_max: usize,
    ) -> Result<Option<usize>, i32> {
        self.may_reset(socket);
        let count = self.receivable(socket, bytes_max)?;
        if count == 0 {
            return self.is_ended(socket).map(|is_ended| is_ended.then_some(0));
        }
        let State { table, network, .. } = &mut *self.world.state.borrow_mut();
        let end = table.socket(socket).expect("it was just asked");
        network.receive(end, count, |bytes| memory.extend_from_slice(bytes));
        Ok(Some(count))
    }

    /// Sends what fits at once, or by chance less.
    pub(super) fn give_now(&self, socket: Descriptor, pieces: &[Piece]) -> usize {
        self.may_reset(socket);
        self.transmit(socket, pieces, 0).unwrap_or(0)
    }

    /// Passes what has come on one socket to another, or by chance less; what finds no room there is the
    /// rest.
    pub(super) fn splice(
        &self,
        source: Descriptor,
        sink: Descriptor,
        bytes_max: usize,
        rest: &mut Vec<u8>,
    ) -> Result<Spliced, i32> {
        let mut memory = Vec::new();
        match self.take_now(source, &mut memory, bytes_max)? {
            None => Ok(Spliced::Nothing),
            Some(0) => Ok(Spliced::End),
            Some(count) => {
                let sent = self.give_now(sink, &[Piece::Owned(memory.clone())]);
                rest.extend_from_slice(&memory[sent..]);
                Ok(Spliced::Bytes(count))
            }
        }
    }

    /// Sends what fits of a part of a file at once, or by chance less; none where the file has not so
    /// much, or by chance as if it were not in memory.
    pub(super) fn give_file_now(&self, socket: Descriptor, part: FilePart) -> Result<usize, i32> {
        if self.strikes(Fault::ShortRead) {
            return Ok(0);
        }
        self.may_reset(socket);
        let piece = {
            let state = self.world.state.borrow();
            let file = state.table.file(part.file)?.0;
            let start = usize::try_from(part.offset).map_err(|_| system::EINVAL)?;
            let file = file.borrow();
            let bytes = file.bytes.get(start..start + part.length).ok_or(system::EAGAIN)?;
            Piece::Owned(bytes.to_vec())
        };
        self.transmit(socket, &[piece], 0)
    }

    /// Puts what fits of pieces behind the first `skip` bytes on the network, or by chance less.
    fn transmit(
        &self,
        socket: Descriptor,
        pieces: &[Piece],
        mut skip: usize,
    ) -> Result<usize, i32> {
        let State { table, network, chance, .. } = &mut *self.world.state.borrow_mut();
        let end = table.socket(socket)?;
        let mut left = Ledger::unsent_of(pieces, skip).min(network.sendable(end)?);
        if left > 1 && chance.strikes(Fault::PartialSend) {
            left = 1 + chance.below(left - 1);
        }
        let mut gone = 0;
        for piece in pieces {
            let bytes = piece.as_slice();
            let rest = &bytes[skip.min(bytes.len())..];
            skip = skip.saturating_sub(bytes.len());
            let now = &rest[..rest.len().min(left - gone)];
            if !now.is_empty() {
                network.send(end, now, self.world.now.get(), chance);
            }
            gone += now.len();
        }
        Ok(gone)
    }

    fn end_receive(&self, ledger: &mut Ledger, key: Key, socket: Descriptor) {
        match self.is_ended(socket) {
            Ok(true) => ledger.end(key, |_| Outcome::EndOfStream),
            Ok(false) => {}
            Err(errno) => ledger.fail_errno(key, OpKind::Receive, errno),
        }
    }

    /// Delivers one chunk; false when the budget has none.
    fn fill_chunk(
        &mut self,
        ledger: &mut Ledger,
        key: Key,
        socket: Descriptor,
        count: usize,
    ) -> bool {
        let Some(buffer) = ledger.chunks.take() else { return false };
        let State { table, network, .. } = &mut *self.world.state.borrow_mut();
        let end = table.socket(socket).expect("it was just asked");
        let mut filled = 0;
        network.receive(end, count, |bytes| {
            // SAFETY: the pieces are `count` bytes together, and the buffer has room for
            // CHUNK_BYTES.
            let target = unsafe { buffer.address().add(filled) };
            // SAFETY: the buffer is ours alone (law 3), so it overlaps nothing of the network.
            unsafe { target.as_ptr().copy_from_nonoverlapping(bytes.as_ptr(), bytes.len()) };
            filled += bytes.len();
        });
        self.ring_left -= 1;
        let chunk = ledger.chunks.lend(buffer, count, 0, key);
        ledger.deliver(key, Outcome::Received(chunk));
        true
    }

    fn receive_into(
        &self,
        ledger: &mut Ledger,
        key: Key,
        socket: Descriptor,
    ) -> Result<Outcome, i32> {
        self.may_reset(socket);
        let Some(Op::ReceiveInto { memory, .. }) = ledger.slots.get(key).map(|slot| &mut slot.op)
        else {
            unreachable!("asked for a receive into memory");
        };
        let count = self.receivable(socket, memory.capacity() - memory.len())?;
        if count == 0 {
            self.is_ended(socket)?;
        }
        let State { table, network, .. } = &mut *self.world.state.borrow_mut();
        // Within the capacity, so the memory keeps its address.
        network.receive(table.socket(socket)?, count, |bytes| memory.extend_from_slice(bytes));
        Ok(Outcome::Filled(std::mem::take(memory)))
    }

    fn send(&mut self, ledger: &mut Ledger, key: Key, socket: Descriptor) -> Step {
        self.may_reset(socket);
        let Some(slot) = ledger.slots.get(key) else { return Step::Moved };
        let Op::Send { pieces, .. } = &slot.op else { return Step::Moved };
        let unsent = Ledger::unsent_of(pieces, slot.sent());
        let gone = match self.transmit(socket, pieces, slot.sent()) {
            Ok(gone) => gone,
            Err(errno) => {
                ledger.fail_errno(key, OpKind::Send, errno);
                return Step::Moved;
            }
        };
        self.counts.sends_direct += 1;
        let complete = gone == unsent;
        slot.add_sent(gone);
        if complete && slot.marks.quiet {
            return Step::Untold;
        }
        if complete {
            ledger.end_sent(key);
        }
        Step::Moved
    }

    fn shutdown(&self, socket: Descriptor) -> Result<(), i32> {
        let State { table, network, .. } = &mut *self.world.state.borrow_mut();
        let end = table.socket(socket)?;
        if network.reset_cause(end).is_some() {
            return Err(system::ENOTCONN);
        }
        network.shutdown(end);
        Ok(())
    }

    fn close(&self, descriptor: Descriptor) -> Result<(), i32> {
        let State { table, network, .. } = &mut *self.world.state.borrow_mut();
        table.close(descriptor, network)
    }

    fn open(&self, root: Descriptor, path: &Path) -> Result<(Descriptor, Metadata), i32> {
        let State { table, files, chance, .. } = &mut *self.world.state.borrow_mut();
        if chance.strikes(Fault::NoDescriptors) {
            return Err(system::EMFILE);
        }
        let Entry::Directory(root) = table.get(root)? else { return Err(system::ENOTDIR) };
        let (entry, metadata) = match files.find(root, path)? {
            Found::File(file) => {
                let metadata = file.borrow().metadata();
                (Entry::File(file, Mode::READ), metadata)
            }
            Found::Directory(path) => (Entry::Directory(path), directory_metadata()),
        };
        Ok((table.insert(entry)?, metadata))
    }

    fn read(
        &self,
        ledger: &mut Ledger,
        key: Key,
        file: Descriptor,
        offset: u64,
    ) -> Result<Outcome, i32> {
        let Some(Op::Read { memory, .. }) = ledger.slots.get(key).map(|slot| &mut slot.op) else {
            unreachable!("asked for a read");
        };
        let State { table, chance, .. } = &mut *self.world.state.borrow_mut();
        let file = table.read_file(file)?.borrow();
        let offset = usize::try_from(offset).unwrap_or(usize::MAX);
        let rest = file.bytes.get(offset..).unwrap_or_default();
        let mut count = rest.len().min(memory.capacity() - memory.len());
        if count > 1 && chance.strikes(Fault::ShortRead) {
            count = 1 + chance.below(count - 1);
        }
        memory.extend_from_slice(&rest[..count]);
        Ok(Outcome::Filled(std::mem::take(memory)))
    }
}
