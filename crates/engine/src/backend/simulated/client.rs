//! The outside of a world: ends of connections that no engine has, for tests to act with.
//! They never wait: what cannot be done now is not done.

use super::World;
use super::network::{End, ResetCause};
use crate::options::Address;

/// The outside end of a connection. Dropping it closes it.
#[derive(Debug)]
pub struct Client {
    world: World,
    end: End,
}

impl Client {
    pub(super) fn new(world: World, end: End) -> Self {
        Self { world, end }
    }

    /// Writes what there is room for, and gives how much that was: nothing when the other side is
    /// slow or gone.
    #[must_use]
    pub fn write(&self, bytes: &[u8]) -> usize {
        let state = &mut *self.world.state.borrow_mut();
        let room = state.network.sendable(self.end).unwrap_or(0);
        let count = room.min(bytes.len());
        if count > 0 {
            let now = self.world.now.get();
            state.network.send(self.end, &bytes[..count], now, &mut state.chance);
        }
        count
    }

    /// Appends all bytes that have come; gives how many.
    pub fn read(&self, into: &mut Vec<u8>) -> usize {
        self.read_at_most(usize::MAX, into)
    }

    /// Appends at most `count` bytes.
    pub fn read_at_most(&self, count: usize, into: &mut Vec<u8>) -> usize {
        let state = &mut *self.world.state.borrow_mut();
        let count = state.network.receivable(self.end, self.world.now.get()).min(count);
        if count > 0 {
            state.network.receive(self.end, count, |bytes| into.extend_from_slice(bytes));
        }
        count
    }

    /// Ends the stream to the other side; what it sends still comes.
    pub fn shutdown(&self) {
        self.world.state.borrow_mut().network.shutdown(self.end);
    }

    /// Resets the connection.
    pub fn reset(&self) {
        self.world.state.borrow_mut().network.reset(self.end, ResetCause::Asked);
    }

    /// Whether the other side has ended its stream and all of it was read.
    #[must_use]
    pub fn is_ended(&self) -> bool {
        self.world.state.borrow().network.is_ended(self.end, self.world.now.get())
    }

    /// Whether the connection was reset.
    #[must_use]
    pub fn is_reset(&self) -> bool {
        self.reset_cause().is_some()
    }

    /// Why the connection was reset, if it was.
    #[must_use]
    pub fn reset_cause(&self) -> Option<ResetCause> {
        self.world.state.borrow().network.reset_cause(self.end)
    }

    /// Whether the other side is closed, whatever of it was not read yet.
    #[must_use]
    pub fn is_closed_by_peer(&self) -> bool {
        self.world.state.borrow().network.is_closed_by_peer(self.end)
    }

    /// How many bytes were written and not received by the other side yet.
    #[must_use]
    pub fn unread_by_peer(&self) -> usize {
        self.world.state.borrow().network.on_the_way(self.end)
    }

    /// The address the other side sees.
    #[must_use]
    pub fn address(&self) -> Address {
        self.world.state.borrow().network.addresses(self.end).0
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.world.state.borrow_mut().network.close(self.end);
    }
}

/// A listener outside the engines. Dropping it closes it.
#[derive(Debug)]
pub struct Service {
    world: World,
    listener: usize,
}

impl Service {
    pub(super) fn new(world: World, listener: usize) -> Self {
        Self { world, listener }
    }

    /// The next connection, if one waits.
    #[must_use]
    pub fn accept(&self) -> Option<Client> {
        let end = self.world.state.borrow_mut().network.accept(self.listener)?;
        Some(Client::new(self.world.clone(), end))
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> Address {
        let address = self.world.state.borrow().network.listener_address(self.listener);
        address.expect("a service keeps its listener until it is dropped")
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.world.state.borrow_mut().network.unlisten(self.listener);
    }
}
