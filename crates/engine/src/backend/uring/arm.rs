//! How each operation becomes an entry of the ring: the one match over operations of this backend.
//! Every pointer in an entry leads into the operation's slot or its boxed work (law 3).

use std::os::fd::{AsRawFd, IntoRawFd};

use io_uring::{opcode, squeue, types};
use socket2::SockAddr;

use super::{Uring, buffers};
use crate::backend::{connect_unix, datagrams};
use crate::completion::Outcome;
use crate::error::OpKind;
use crate::ledger::{Ledger, SpareWork};
use crate::op::{Descriptor, Op};
use crate::options::Address;
use crate::slots::{Asked, Key, Slot, receiving};
use crate::system;

/// What does not fit is asked for again when there is room: a send that waits in the kernel ends up
/// on a thread of its own there, and what it has sent until it ends nobody can tell (`salvage`).
pub(super) const SEND_FLAGS: i32 = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
/// The same, as sendmsg entries have them.
const MESSAGE_FLAGS: u32 = {
    assert!(SEND_FLAGS >= 0, "no flag used here is the sign bit");
    SEND_FLAGS as u32
};

/// The event of a socket with room, as poll entries have it.
const ROOM: u32 = {
    assert!(libc::POLLOUT >= 0, "no event used here is the sign bit");
    libc::POLLOUT as u32
};

/// The event of a socket on which something has come.
const COME: u32 = {
    assert!(libc::POLLIN >= 0, "no event used here is the sign bit");
    libc::POLLIN as u32
};

/// What a poll for room may answer that a send has something to say to: room, or that the
/// connection is gone.
pub(super) const ROOM_OR_GONE: i32 = (libc::POLLOUT | libc::POLLERR | libc::POLLHUP) as i32;

/// What a poll that goes on is asked for. That something has come the system says with all of these, and
/// asked what is there it names urgent bytes by POLLPRI, and nothing by POLLRDBAND.
const NEWS: u32 = COME | (libc::POLLPRI | libc::POLLRDBAND) as u32;

/// What a poll answers besides when nothing more comes: it is told of once, be it together with bytes.
const OVER: i32 = (libc::POLLRDHUP | libc::POLLERR | libc::POLLHUP) as i32;

/// Whether such a poll tells of bytes behind which a take stops, with something to be told behind them: the
/// end, or what follows urgent bytes, where recv(2) stops.
pub(super) const fn has_more_behind(answer: i32) -> bool {
    let news = answer & NEWS as i32;
    answer & OVER != 0 || news == (libc::POLLIN | libc::POLLPRI) as i32
}

/// Whether it tells of anything that can be taken.
pub(super) const fn has_come(answer: i32) -> bool {
    answer & COME as i32 != 0
}

impl Uring {
    /// Starts an operation, or starts it again after the kernel ended it early.
    pub(super) fn arm(&mut self, ledger: &mut Ledger, key: Key) {
        let Some(slot) = ledger.slots.get(key) else { return };
        let op = &mut slot.op;
        let entry = match op {
            // The first bytes may be the only ones: a streaming receive would then have to be
            // cancelled in the kernel, which costs more than beginning it behind the first bytes.
            Op::Receive { socket } if slot.progress == receiving::FRESH => {
                opcode::Recv::new(fd(*socket), std::ptr::null_mut(), 0)
                    .buf_group(buffers::GROUP)
                    .build()
                    .flags(squeue::Flags::BUFFER_SELECT)
            }
            Op::Receive { socket } => opcode::RecvMulti::new(fd(*socket), buffers::GROUP).build(),
            Op::Accept { listener } => {
                self.accept_queued = true;
                opcode::AcceptMulti::new(fd(*listener))
                    .flags(libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK)
                    .build()
            }
            Op::ReceiveInto { socket, memory } => {
                let spare = memory.spare_capacity_mut();
                opcode::Recv::new(fd(*socket), spare.as_mut_ptr().cast(), length(spare.len()))
                    .build()
            }
            Op::AwaitBytes { socket } => opcode::PollAdd::new(fd(*socket), COME).build(),
            Op::WatchBytes { socket } => {
                // What lies behind passed descriptors comes with no news of its own: a new watch looks.
                let is_unix = system::is_unix(socket.number());
                opcode::PollAdd::new(fd(*socket), NEWS).multi(!is_unix).build()
            }
            Op::Read { file, memory, offset } => {
                let spare = memory.spare_capacity_mut();
                opcode::Read::new(fd(*file), spare.as_mut_ptr().cast(), length(spare.len()))
                    .offset(*offset)
                    .build()
            }
            Op::Open { root, path } => {
                opcode::OpenAt2::new(fd(*root), path.as_ptr(), &raw const *self.how).build()
            }
            Op::Shutdown { socket } => {
                // The ring hands every shutdown to a thread of its own; the call never waits.
                return match system::shutdown_write(socket.number()) {
                    Ok(()) => ledger.end(key, |_| Outcome::Done),
                    Err(errno) => ledger.fail_errno(key, OpKind::Shutdown, errno),
                };
            }
            Op::Close { descriptor } => opcode::Close::new(fd(*descriptor)).build(),
            Op::Connect { .. } => return self.arm_connect(ledger, key),
            // Datagrams of any length are received by calls, and no chunk is held for them.
            Op::ReceiveFrom { socket, .. } => opcode::PollAdd::new(fd(*socket), COME).build(),
            Op::SendTo { .. } => return self.send_to(ledger, key),
            // The turn's flush starts sends; all others are the engine's own.
            _ => return,
        };
        slot.marks.asked = Asked::Operation;
        self.push(key, entry);
    }

    /// A send, or what is left of it, through the ring. One without pieces has what it has waited for.
    pub(super) fn arm_send(&mut self, ledger: &mut Ledger, key: Key) {
        let Some(slot) = ledger.slots.get(key) else { return };
        if slot.waits_for_room() {
            return ledger.end_sent(key);
        }
        self.arm_pieces(key, slot, &mut ledger.spare_work);
    }

    /// The pieces of a send, or what is left of them.
    #[inline]
    pub(super) fn arm_pieces(&mut self, key: Key, slot: &mut Slot, spare_work: &mut SpareWork) {
        let Op::Send { socket, pieces } = &slot.op else { return };
        let entry = if let [piece] = pieces.as_slice() {
            let rest = &piece.as_slice()[slot.sent()..];
            opcode::Send::new(fd(*socket), rest.as_ptr(), length(rest.len()))
                .flags(SEND_FLAGS)
                .build()
        } else {
            let work = slot.work.get_or_insert_with(|| spare_work.pop().unwrap_or_default());
            work.aim(pieces, slot.progress as usize);
            // SAFETY: all zeroes is a valid msghdr.
            let header = work.header.insert(unsafe { std::mem::zeroed() });
            header.msg_iov = work.vectors.as_mut_ptr();
            // The count is of another type with another C library; PIECES_MAX bounds it.
            header.msg_iovlen = work.vectors.len() as _;
            opcode::SendMsg::new(fd(*socket), &raw const *header).flags(MESSAGE_FLAGS).build()
        };
        slot.marks.asked = Asked::Operation;
        self.push(key, entry);
    }

    /// Asks to be told when a send can go on.
    pub(super) fn await_room(&mut self, ledger: &mut Ledger, key: Key) {
        self.ask_for_room(ledger, key, false);
    }

    /// Asks for room on a socket whose peer has ended its own side. A poll of the ring always asks
    /// for that too, and it is always so; one that goes on tells it at once, but then what is new.
    pub(super) fn await_room_again(&mut self, ledger: &mut Ledger, key: Key) {
        self.ask_for_room(ledger, key, true);
    }

    fn ask_for_room(&mut self, ledger: &mut Ledger, key: Key, goes_on: bool) {
        let Some(slot) = ledger.slots.get(key) else { return };
        let Op::Send { socket, .. } = &slot.op else { return };
        let entry = opcode::PollAdd::new(fd(*socket), ROOM).multi(goes_on).build();
        slot.marks.asked = Asked::Room;
        self.push(key, entry);
    }

    /// Sends a datagram, or asks to be told when there is room for it.
    pub(super) fn send_to(&mut self, ledger: &mut Ledger, key: Key) {
        if datagrams::send_to(ledger, key) {
            return;
        }
        let Some(slot) = ledger.slots.get(key) else { return };
        let Op::SendTo { socket, .. } = &slot.op else { return };
        let entry = opcode::PollAdd::new(fd(*socket), ROOM).build();
        slot.marks.asked = Asked::Room;
        self.push(key, entry);
    }

    fn arm_connect(&mut self, ledger: &mut Ledger, key: Key) {
        // Such a call never waits.
        if connect_unix(ledger, key) {
            return;
        }
        let mut work = ledger.take_work();
        let Some(slot) = ledger.slots.get(key) else { return };
        let Op::Connect { route } = &slot.op else { return };
        let Address::Internet(address) = route.address else { return };
        let socket = match system::socket_for(address, route.local) {
            Ok(socket) => socket,
            Err(error) => return ledger.fail(key, error),
        };
        let address = work.address.insert(SockAddr::from(address));
        let (pointer, size) = (address.as_ptr().cast(), address.len());
        let entry = opcode::Connect::new(types::Fd(socket.as_raw_fd()), pointer, size).build();
        slot.progress = u32::try_from(socket.into_raw_fd()).expect("a fresh descriptor");
        slot.work = Some(work);
        slot.marks.asked = Asked::Operation;
        self.push(key, entry);
    }

    #[inline]
    fn push(&mut self, key: Key, mut entry: squeue::Entry) {
        entry.set_user_data(key.raw());
        // SAFETY: whatever the entry points to belongs to the operation's slot, its boxed work or
        // this backend, none of which moves or goes before the last completion (law 3).
        unsafe { self.ring.push(&entry) };
    }
}

/// How files are opened, the same for all.
pub(super) fn how() -> types::OpenHow {
    let how = system::open_how(false);
    types::OpenHow::new().flags(how.flags).resolve(how.resolve)
}

pub(super) fn fd(descriptor: Descriptor) -> types::Fd {
    types::Fd(descriptor.number())
}

/// The kernel takes 32 bits; more is done in several rounds.
pub(super) fn length(bytes: usize) -> u32 {
    u32::try_from(bytes).unwrap_or(u32::MAX)
}
