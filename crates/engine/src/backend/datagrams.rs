//! Datagrams on sockets of the system: calls that never wait, made when a poll or a selector says so.
//! A share of a turn is bounded (law 9), and an error of one datagram is never the socket's.

use crate::completion::Outcome;
use crate::error::OpKind;
use crate::ledger::Ledger;
use crate::op::Op;
use crate::slots::Key;
use crate::system;

/// The most datagrams of one socket in a turn.
pub(crate) const DATAGRAMS_MAX: usize = 32;

/// Takes what has come; false when the operation has ended.
pub(crate) fn receive_from(ledger: &mut Ledger, key: Key) -> bool {
    let op = ledger.slots.get(key).map(|slot| &slot.op);
    let Some(Op::ReceiveFrom { socket, bytes_max }) = op else { return false };
    let (fd, bytes_max) = (socket.number(), *bytes_max);
    for _ in 0..DATAGRAMS_MAX {
        match system::receive_from(fd, bytes_max) {
            Ok(datagram) => ledger.deliver(key, Outcome::Datagram(Box::new(datagram))),
            Err(system::EAGAIN) => break,
            Err(errno) if system::is_passing_on_datagrams(errno) => {}
            Err(errno) => {
                ledger.fail_errno(key, OpKind::ReceiveFrom, errno);
                return false;
            }
        }
    }
    true
}

/// Sends a datagram; false when there is no room for it yet.
pub(crate) fn send_to(ledger: &mut Ledger, key: Key) -> bool {
    let op = ledger.slots.get(key).map(|slot| &slot.op);
    let Some(Op::SendTo { socket, datagram }) = op else { return true };
    match system::send_to(socket.number(), &datagram.bytes, datagram.address) {
        Ok(()) => ledger.end(key, sent_to),
        Err(system::EAGAIN) => return false,
        Err(errno) => ledger.fail_errno(key, OpKind::SendTo, errno),
    }
    true
}

/// The end of a datagram that has gone.
pub(crate) fn sent_to(op: Op) -> Outcome {
    match op {
        Op::SendTo { datagram, .. } => Outcome::SentTo(datagram),
        _ => unreachable!("only datagrams end as sent to somebody"),
    }
}
