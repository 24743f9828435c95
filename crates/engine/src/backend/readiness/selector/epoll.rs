//! epoll(7), level-triggered: 240 events a wait.
//! It keeps no table of its own: the kernel's is the table.

use std::collections::VecDeque;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

use super::{Interest, Ready, Selector};
use crate::backend::Until;
use crate::backend::alarm::Alarm;
use crate::clock::Moment;
use crate::error::Error;
use crate::ledger::COMPLETIONS_MAX;
use crate::system::{self, Timer};

/// With the sends of the turn, what a turn delivers when each event gives one completion.
const EVENTS_MAX: usize = COMPLETIONS_MAX / 2;
const ALARM_EVENTS: u32 = bits(libc::EPOLLIN) | libc::EPOLLET.cast_unsigned();
const READABLE: u32 = bits(libc::EPOLLIN | libc::EPOLLRDHUP);
const WRITABLE: u32 = bits(libc::EPOLLOUT);
/// What an event of the alarm's timer says: no descriptor is this number.
const ALARM: u64 = u64::MAX;
const FAILED: u32 = bits(libc::EPOLLERR | libc::EPOLLHUP);

/// Flags that C has as a signed number.
const fn bits(flags: i32) -> u32 {
    assert!(flags >= 0, "no flag used here is the sign bit");
    flags as u32
}

/// The selector.
pub(crate) struct Epoll {
    epoll: OwnedFd,
    events: Vec<libc::epoll_event>,
    alarm: Alarm,
    timer: Option<Timer>,
}

impl Epoll {
    pub(crate) fn new() -> Result<Self, Error> {
        // SAFETY: epoll_create1 takes no pointers.
        let fd = unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) };
        if fd < 0 {
            return Err(Error::from_start(&std::io::Error::last_os_error()));
        }
        // SAFETY: the descriptor is fresh and ours.
        let epoll = unsafe { OwnedFd::from_raw_fd(fd) };
        let events = vec![libc::epoll_event { events: 0, u64: 0 }; EVENTS_MAX];
        Ok(Self { epoll, events, alarm: Alarm::default(), timer: None })
    }

    /// How many milliseconds a wait may take: -1 for ever, also when the alarm ends it in time.
    fn timeout(&mut self, until: Until) -> i32 {
        if let Until::Moment(at) = until {
            let (epoll, timer) = (&self.epoll, &mut self.timer);
            if self.alarm.ends_by(at, |at, _| set(epoll, timer, at).is_ok()) {
                return -1;
            }
        }
        system::milliseconds_up(until.timeout())
    }
}

/// Sets the alarm's timer, which is made and watched when it is first needed. Told once each time it
/// rings, it need not be read.
fn set(epoll: &OwnedFd, timer: &mut Option<Timer>, at: Moment) -> std::io::Result<()> {
    if let Some(timer) = timer {
        return timer.set(at);
    }
    let made = Timer::new()?;
    made.set(at)?;
    let mut event = libc::epoll_event { events: ALARM_EVENTS, u64: ALARM };
    let (epoll, fd) = (epoll.as_raw_fd(), made.descriptor());
    // SAFETY: the event is valid for reads and outlives the call.
    let added = unsafe { libc::epoll_ctl(epoll, libc::EPOLL_CTL_ADD, fd, &raw mut event) };
    system::check(added as isize).map_err(std::io::Error::from_raw_os_error)?;
    *timer = Some(made);
    Ok(())
}

impl Selector for Epoll {
    fn name(&self) -> &'static str {
        "epoll"
    }

    fn change(&mut self, fd: i32, from: Interest, to: Interest) -> Result<(), i32> {
        let operation = match (from.is_none(), to.is_none()) {
            (true, true) => return Ok(()),
            (true, false) => libc::EPOLL_CTL_ADD,
            (false, true) => libc::EPOLL_CTL_DEL,
            (false, false) => libc::EPOLL_CTL_MOD,
        };
        let mut events = 0u32;
        if to.readable {
            events |= READABLE;
        }
        if to.writable {
            events |= WRITABLE;
        }
        let number = u64::try_from(fd).expect("descriptors are not negative");
        let mut event = libc::epoll_event { events, u64: number };
        // SAFETY: the event is valid for reads and outlives the call.
        let changed =
            unsafe { libc::epoll_ctl(self.epoll.as_raw_fd(), operation, fd, &raw mut event) };
        system::check(changed as isize).map(drop)
    }

    /// Closing makes the kernel forget.
    fn closing(&mut self, _: i32) {}

    fn wait(&mut self, until: Until, ready: &mut VecDeque<Ready>) -> Result<(), i32> {
        let milliseconds = self.timeout(until);
        let (epoll, events) = (self.epoll.as_raw_fd(), self.events.as_mut_ptr());
        let no_signals = std::ptr::null::<libc::sigset_t>();
        // SAFETY: the events are valid for writes of EVENTS_MAX elements and outlive the call.
        let count = system::check_direct(unsafe {
            let number = libc::SYS_epoll_pwait;
            libc::syscall(number, epoll, events, EVENTS_MAX, milliseconds, no_signals, 0_usize)
        })?;
        for event in &self.events[..count] {
            let events = event.events;
            let failed = events & FAILED != 0;
            let number = event.u64;
            if number == ALARM {
                self.alarm.rang();
                continue;
            }
            ready.push_back(Ready {
                fd: i32::try_from(number).expect("only descriptors were registered"),
                readable: failed || events & READABLE != 0,
                writable: failed || events & WRITABLE != 0,
            });
        }
        Ok(())
    }
}
