//! poll(2), level-triggered: where the system has nothing better.
//! Its cost grows with what is watched, not with what is ready; nothing here allocates in a wait.

use std::collections::VecDeque;

use super::{Interest, Ready, Selector};
use crate::backend::Until;
use crate::system::{self, PollEntry};

/// No place among the entries.
const NOWHERE: u32 = u32::MAX;

/// The selector: a dense array of entries, and for each descriptor its place there.
#[derive(Default)]
pub(crate) struct Poll {
    entries: Vec<PollEntry>,
    places: Vec<u32>,
}

impl Poll {
    fn place(&mut self, fd: i32) -> &mut u32 {
        let index = usize::try_from(fd).expect("descriptors are not negative");
        if index >= self.places.len() {
            self.places.resize(index + 1, NOWHERE);
        }
        &mut self.places[index]
    }

    fn add(&mut self, fd: i32, events: i16) {
        let last = u32::try_from(self.entries.len()).expect("fewer entries than descriptors");
        *self.place(fd) = last;
        self.entries.push(PollEntry { fd, events, revents: 0 });
    }

    /// The last entry takes the place of the one that goes.
    fn remove(&mut self, place: u32) {
        let gone = self.entries.swap_remove(place as usize);
        if let Some(moved) = self.entries.get(place as usize) {
            let moved = moved.fd;
            *self.place(moved) = place;
        }
        *self.place(gone.fd) = NOWHERE;
    }
}

impl Selector for Poll {
    fn name(&self) -> &'static str {
        "poll"
    }

    fn change(&mut self, fd: i32, _: Interest, to: Interest) -> Result<(), i32> {
        let mut events = 0;
        if to.readable {
            events |= system::POLL_READABLE;
        }
        if to.writable {
            events |= system::POLL_WRITABLE;
        }
        match *self.place(fd) {
            NOWHERE if to.is_none() => {}
            NOWHERE => self.add(fd, events),
            place if to.is_none() => self.remove(place),
            place => self.entries[place as usize].events = events,
        }
        Ok(())
    }

    fn closing(&mut self, fd: i32) {
        let place = *self.place(fd);
        if place != NOWHERE {
            self.remove(place);
        }
    }

    fn wait(&mut self, until: Until, ready: &mut VecDeque<Ready>) -> Result<(), i32> {
        let mut left = system::poll(&mut self.entries, until.timeout())?;
        for entry in &self.entries {
            if left == 0 {
                break;
            }
            if entry.revents == 0 {
                continue;
            }
            left -= 1;
            let failed = entry.revents & system::POLL_FAILED != 0;
            ready.push_back(Ready {
                fd: entry.fd,
                readable: failed || entry.revents & system::POLL_READABLE != 0,
                writable: failed || entry.revents & system::POLL_WRITABLE != 0,
            });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const READ: Interest = Interest { readable: true, writable: false };
    const BOTH: Interest = Interest { readable: true, writable: true };
    const NONE: Interest = Interest { readable: false, writable: false };

    fn watched(poll: &Poll) -> Vec<(i32, i16)> {
        let mut all: Vec<_> = poll.entries.iter().map(|entry| (entry.fd, entry.events)).collect();
        all.sort_unstable();
        for (place, entry) in poll.entries.iter().enumerate() {
            let known = poll.places[usize::try_from(entry.fd).unwrap()];
            assert_eq!(known as usize, place, "descriptor {} is where it is said", entry.fd);
        }
        all
    }

    #[test]
    fn the_array_stays_dense() {
        let mut poll = Poll::default();
        for fd in [3, 9, 4, 7] {
            poll.change(fd, NONE, READ).unwrap();
        }
        poll.change(9, READ, BOTH).unwrap();
        poll.change(3, READ, NONE).unwrap();
        poll.closing(4);
        poll.closing(4);
        poll.change(100, NONE, NONE).unwrap();
        let (read, both) = (system::POLL_READABLE, system::POLL_READABLE | system::POLL_WRITABLE);
        assert_eq!(watched(&poll), [(7, read), (9, both)]);
        poll.change(3, NONE, READ).unwrap();
        poll.closing(7);
        poll.closing(9);
        assert_eq!(watched(&poll), [(3, read)]);
    }
}
