//! Socket operations of the readiness backend: done at once, or when the selector says so.
//! None of them blocks, and none goes beyond its share of a turn (law 9).

use super::Readiness;
use crate::backend::{connect_unix, datagrams, send_directly};
use crate::chunk::CHUNK_BYTES;
use crate::completion::Outcome;
use crate::error::OpKind;
use crate::ledger::Ledger;
use crate::op::{Descriptor, Op};
use crate::options::Address;
use crate::slots::{Key, receiving};
use crate::system;

/// The most reads of one connection in a turn: 128 KB (law 9).
const READS_MAX: usize = 32;
/// The most connections that one event of a listener gives.
const ACCEPTS_MAX: usize = 64;

impl Readiness {
    pub(super) fn flush(&mut self, ledger: &mut Ledger) {
        let mut sends = std::mem::take(&mut self.sends);
        for key in sends.drain(..) {
            if ledger.waits_for_room(key) {
                self.await_room(ledger, key);
            } else {
                self.send(ledger, key);
            }
        }
        self.sends = sends;
    }

    fn await_room(&mut self, ledger: &mut Ledger, key: Key) {
        let Some(slot) = ledger.slots.get(key) else { return };
        let Op::Send { socket, .. } = slot.op else { return };
        self.wait_writable(ledger, socket, key);
    }

    pub(super) fn send(&mut self, ledger: &mut Ledger, key: Key) {
        let Some(slot) = ledger.slots.get(key) else { return };
        let Op::Send { socket, .. } = &slot.op else { return };
        let socket = *socket;
        self.counts.sends_direct += 1;
        match send_directly(ledger, key) {
            Ok(true) => {
                ledger.end_sent(key);
                self.stop_writing(ledger, socket, key);
            }
            Ok(false) | Err(system::EAGAIN | system::EINTR) => {
                self.wait_writable(ledger, socket, key);
            }
            Err(errno) => {
                ledger.fail_errno(key, OpKind::Send, errno);
                self.stop_writing(ledger, socket, key);
            }
        }
    }

    pub(super) fn send_to(&mut self, ledger: &mut Ledger, socket: Descriptor, key: Key) {
        if datagrams::send_to(ledger, key) {
            self.stop_writing(ledger, socket, key);
        }
    }

    pub(super) fn stop_writing(&mut self, ledger: &mut Ledger, socket: Descriptor, key: Key) {
        let watch = self.watch(socket.number());
        if watch.writer() == key.index() {
            watch.set_writer(super::NOBODY);
            self.tell(ledger, socket.number());
        }
    }

    pub(super) fn connect(&mut self, ledger: &mut Ledger, key: Key) {
        if connect_unix(ledger, key) {
            return;
        }
        let Some(slot) = ledger.slots.get(key) else { return };
        let Op::Connect { route } = &slot.op else { return };
        let Address::Internet(address) = route.address else { return };
        let socket = match system::socket_for(address, route.local) {
            Ok(socket) => system::into_descriptor(socket),
            Err(error) => return ledger.fail(key, error),
        };
        match system::connect(socket.number(), &address.into()) {
            Ok(()) => ledger.end(key, |_| Outcome::Connected(socket)),
            Err(system::EINPROGRESS) => {
                slot.progress = u32::try_from(socket.number()).expect("a fresh descriptor");
                self.wait_writable(ledger, socket, key);
            }
            Err(errno) => {
                system::close(socket.number());
                ledger.fail_errno(key, OpKind::Connect, errno);
            }
        }
    }

    pub(super) fn connected(&mut self, ledger: &mut Ledger, socket: Descriptor, key: Key) {
        self.stop_writing(ledger, socket, key);
        match system::take_socket_error(socket.number()) {
            None => ledger.end(key, |_| Outcome::Connected(socket)),
            Some(errno) => {
                self.close(socket);
                ledger.fail_errno(key, OpKind::Connect, errno);
            }
        }
    }

    pub(super) fn accept(&mut self, ledger: &mut Ledger, listener: Descriptor, key: Key) {
        for _ in 0..ACCEPTS_MAX {
            match system::accept(listener.number()) {
                Ok(fd) => ledger.deliver(key, Outcome::Accepted(Descriptor(fd))),
                Err(system::EAGAIN) => return,
                Err(errno) if system::is_passing(errno) => {}
                Err(errno) => {
                    self.forget_reader(listener);
                    return ledger.fail_errno(key, OpKind::Accept, errno);
                }
            }
        }
    }

    #[inline]
    pub(super) fn receive(
        &mut self,
        ledger: &mut Ledger,
        socket: Descriptor,
        key: Key,
        token: u64,
        is_first: bool,
    ) {
        for _ in 0..if is_first { 1 } else { READS_MAX } {
            let Some(buffer) = ledger.chunks.take() else {
                self.counts.starved += 1;
                self.forget_reader(socket);
                self.starved.push(key);
                return;
            };
            let target = buffer.address().as_ptr();
            // SAFETY: the buffer is ours and has room for CHUNK_BYTES bytes.
            let received = unsafe { system::receive(socket.number(), target, CHUNK_BYTES) };
            match received {
                Ok(count) if count > 0 => {
                    let chunk = ledger.chunks.lend(buffer, count, 0, key);
                    ledger.deliver_to(key, token, Outcome::Received(chunk));
                    if is_first && let Some(slot) = ledger.slots.get(key) {
                        slot.progress = receiving::ALONE;
                    }
                    if count < CHUNK_BYTES {
                        return;
                    }
                }
                other => {
                    ledger.chunks.put(buffer);
                    match other {
                        Ok(_) => ledger.end(key, |_| Outcome::EndOfStream),
                        Err(system::EAGAIN | system::EINTR) => return,
                        Err(errno) => ledger.fail_errno(key, OpKind::Receive, errno),
                    }
                    return self.forget_reader(socket);
                }
            }
        }
    }
}
