//! The few system calls that the standard library does not wrap, as safe functions.
//! It must never keep state: every function is one call.

use std::fs;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::process::CommandExt;
use std::process::Command;

fn check(result: libc::c_int) -> io::Result<libc::c_int> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

/// Pins the calling thread, and what it starts from now on, to one core.
pub fn pin_to_core(core: usize) -> io::Result<()> {
    assert!(core < libc::CPU_SETSIZE as usize, "a core that a cpu_set_t can name");
    // SAFETY: a cpu_set_t is plain bits; all zeroes is the empty set.
    let mut set: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    // SAFETY: the core is within the set.
    unsafe { libc::CPU_SET(core, &mut set) };
    // SAFETY: the set lives through the call and has the size that is passed.
    check(unsafe { libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &set) }).map(drop)
}

/// Puts the calling thread, and what it starts from now on, before everything that has no priority
/// of its own (SCHED_FIFO at its lowest), or back among it. Needs CAP_SYS_NICE: sched(7).
pub fn go_before_others(is_wanted: bool) -> io::Result<()> {
    let policy = if is_wanted { libc::SCHED_FIFO } else { libc::SCHED_OTHER };
    let priority = libc::sched_param { sched_priority: i32::from(is_wanted) };
    // SAFETY: the struct lives through the call.
    check(unsafe { libc::sched_setscheduler(0, policy, &raw const priority) }).map(drop)
}

/// Lets the calling thread run only where nobody else wants to (SCHED_IDLE): sched(7).
pub fn go_behind_others() -> io::Result<()> {
    let priority = libc::sched_param { sched_priority: 0 };
    // SAFETY: the struct lives through the call.
    check(unsafe { libc::sched_setscheduler(0, libc::SCHED_IDLE, &raw const priority) }).map(drop)
}

/// Raises the soft limit of open files to the hard one and returns it.
pub fn raise_open_files() -> io::Result<u64> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the struct lives through the call.
    check(unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) })?;
    limit.rlim_cur = limit.rlim_max;
    // SAFETY: the struct lives through the call.
    check(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &limit) })?;
    Ok(limit.rlim_cur)
}

/// Timers of this thread fire when they are due, not up to 50 µs later.
pub fn exact_timers() {
    // SAFETY: PR_SET_TIMERSLACK takes one number of nanoseconds.
    unsafe { libc::prctl(libc::PR_SET_TIMERSLACK, 1) };
}

/// Makes the kernel kill the child when the thread that starts it goes.
pub fn die_with_parent(command: &mut Command) {
    let ask = || {
        // SAFETY: PR_SET_PDEATHSIG takes one signal number.
        check(unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) }).map(drop)
    };
    // SAFETY: the closure makes one system call and allocates nothing.
    unsafe { command.pre_exec(ask) };
}

/// Sends at once what fits; never waits, never raises SIGPIPE.
pub fn send_now(fd: RawFd, bytes: &[u8]) -> io::Result<usize> {
    let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
    // SAFETY: the slice lives through the call.
    let sent = unsafe { libc::send(fd, bytes.as_ptr().cast(), bytes.len(), flags) };
    if sent < 0 { Err(io::Error::last_os_error()) } else { Ok(sent as usize) }
}

/// Receives what is there; never waits.
pub fn receive_now(fd: RawFd, into: &mut [u8]) -> io::Result<usize> {
    let flags = libc::MSG_DONTWAIT;
    // SAFETY: the slice lives through the call.
    let got = unsafe { libc::recv(fd, into.as_mut_ptr().cast(), into.len(), flags) };
    if got < 0 { Err(io::Error::last_os_error()) } else { Ok(got as usize) }
}

/// Ends both directions of a connection; one that is gone already is fine.
pub fn shutdown(fd: RawFd) {
    // SAFETY: no memory is passed.
    unsafe { libc::shutdown(fd, libc::SHUT_RDWR) };
}

/// A bind to port 0 leaves the choice of the port to the connect, which may then reuse ports
/// across destinations and need not search twice.
pub fn bind_without_port(fd: RawFd) -> io::Result<()> {
    let on: libc::c_int = 1;
    let (level, option) = (libc::IPPROTO_IP, libc::IP_BIND_ADDRESS_NO_PORT);
    let size = size_of::<libc::c_int>() as libc::socklen_t;
    // SAFETY: the value lives through the call and has the size that is passed.
    check(unsafe { libc::setsockopt(fd, level, option, (&raw const on).cast(), size) }).map(drop)
}

/// Accepts one waiting connection without asking for its address.
pub fn accept_now(listener: RawFd) -> io::Result<OwnedFd> {
    let flags = libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
    let null = std::ptr::null_mut();
    // SAFETY: null pointers ask for no address.
    let fd = check(unsafe { libc::accept4(listener, null, null.cast(), flags) })?;
    // SAFETY: the descriptor is new and belongs to nobody else.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Takes over a descriptor that a completion delivered.
pub fn own(fd: RawFd) -> OwnedFd {
    assert!(fd >= 0, "a descriptor");
    // SAFETY: an accept completion hands over a new descriptor, once.
    unsafe { OwnedFd::from_raw_fd(fd) }
}

/// An epoll instance.
#[derive(Debug)]
pub struct Epoll(OwnedFd);

impl Epoll {
    pub fn new() -> io::Result<Epoll> {
        // SAFETY: no memory is passed.
        let fd = check(unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) })?;
        Ok(Epoll(own(fd)))
    }

    /// Watches `fd` for `events`, level triggered.
    pub fn add(&self, fd: RawFd, events: i32) -> io::Result<()> {
        self.control(libc::EPOLL_CTL_ADD, fd, events)
    }

    /// Changes what `fd` is watched for.
    pub fn change(&self, fd: RawFd, events: i32) -> io::Result<()> {
        self.control(libc::EPOLL_CTL_MOD, fd, events)
    }

    /// Waits for events; `timeout_ms` below zero waits for ever.
    pub fn wait(&self, events: &mut [libc::epoll_event], timeout_ms: i32) -> io::Result<usize> {
        let room = events.len() as libc::c_int;
        // SAFETY: the slice lives through the call and has `room` places.
        let count =
            unsafe { libc::epoll_wait(self.0.as_raw_fd(), events.as_mut_ptr(), room, timeout_ms) };
        match check(count) {
            Ok(count) => Ok(count as usize),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(0),
            Err(error) => Err(error),
        }
    }

    fn control(&self, what: libc::c_int, fd: RawFd, events: i32) -> io::Result<()> {
        let mut event = libc::epoll_event { events: events as u32, u64: fd as u64 };
        // SAFETY: the event lives through the call.
        check(unsafe { libc::epoll_ctl(self.0.as_raw_fd(), what, fd, &mut event) }).map(drop)
    }
}

/// Nanoseconds of CPU that a process has used, from the scheduler's accounting.
///
/// The same counters as in /proc/PID/task/*/schedstat, but up to date for threads that run right
/// now and with the threads that have ended (kernel workers of io_uring come and go).
pub fn cpu_nanoseconds(process: u32) -> io::Result<u64> {
    let mut clock: libc::clockid_t = 0;
    // SAFETY: the clock's number lives through the call.
    let result = unsafe { libc::clock_getcpuclockid(process as libc::pid_t, &mut clock) };
    if result != 0 {
        return Err(io::Error::from_raw_os_error(result));
    }
    let mut used = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the timespec lives through the call.
    check(unsafe { libc::clock_gettime(clock, &mut used) })?;
    Ok(used.tv_sec as u64 * 1_000_000_000 + used.tv_nsec as u64)
}

/// Resident bytes of a process, exactly (statm may lag by some hundred KB).
pub fn resident_bytes(process: u32) -> io::Result<u64> {
    let text = fs::read_to_string(format!("/proc/{process}/smaps_rollup"))?;
    let line = text.lines().find_map(|line| line.strip_prefix("Rss:"));
    Ok(first_number(line.unwrap_or(""))? * 1024)
}

/// Bytes of the kernel's own objects: slabs, in which sockets and operations in flight are kept.
/// Exact by object where the reader may see that (/proc/slabinfo), by page otherwise.
pub fn slab_bytes() -> io::Result<u64> {
    match fs::read_to_string("/proc/slabinfo") {
        Ok(text) => Ok(text.lines().filter_map(bytes_of_slab).sum()),
        Err(_) => {
            let text = fs::read_to_string("/proc/meminfo")?;
            let line = text.lines().find_map(|line| line.strip_prefix("Slab:"));
            Ok(first_number(line.unwrap_or(""))? * 1024)
        }
    }
}

/// A line of /proc/slabinfo: name, objects in use, objects, bytes of each (slabinfo(5)).
fn bytes_of_slab(line: &str) -> Option<u64> {
    let mut words = line.split_ascii_whitespace().skip(1);
    let active: u64 = words.next()?.parse().ok()?;
    let size: u64 = words.nth(1)?.parse().ok()?;
    Some(active * size)
}

/// How many descriptors a process has open.
pub fn open_descriptors(process: u32) -> io::Result<usize> {
    Ok(fs::read_dir(format!("/proc/{process}/fd"))?.count())
}

fn first_number(text: &str) -> io::Result<u64> {
    let word = text.split_ascii_whitespace().next().unwrap_or("");
    word.parse().map_err(|_| io::Error::other(format!("not a number in /proc: {text:?}")))
}
