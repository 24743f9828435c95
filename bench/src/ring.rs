//! The client's and the floor's own small io_uring: one thread, batched submission, no retries.
//! It must never become an engine: nothing here tracks the memory of an operation but its caller.

use std::io;
use std::time::Duration;

use io_uring::squeue::{self, Flags};
use io_uring::{CompletionQueue, IoUring, SubmissionQueue, Submitter, cqueue, opcode, types};

use crate::buffers::BufferRing;

const ENTER_GETEVENTS: u32 = 1;
const ENTER_EXT_ARG: u32 = 8;
const RECEIVE_POLL_FIRST: u16 = 1;
const RECEIVE_MULTISHOT: u16 = 2;

/// How many entries the two queues hold.
#[derive(Debug, Clone, Copy)]
pub struct Sizes {
    pub submissions: u32,
    pub completions: u32,
}

/// One completion, copied out of the queue.
#[derive(Debug, Clone, Copy)]
pub struct Completion {
    pub user_data: u64,
    pub result: i32,
    flags: u32,
}

impl Completion {
    /// Whether the operation goes on (multishot) or this was its last completion.
    pub fn more(&self) -> bool {
        cqueue::more(self.flags)
    }

    /// The buffer that the kernel filled, if it took one.
    pub fn buffer(&self) -> Option<u16> {
        cqueue::buffer_select(self.flags)
    }
}

/// How a receive is armed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Receive {
    /// Until the peer ends or the buffers run out.
    Multishot,
    /// Multishot that waits for data before it looks for a buffer (for re-arming on a low ring).
    MultishotPollFirst,
    /// One completion only.
    Once,
}

/// A ring that lives as long as its process, so that its parts may be borrowed for ever.
#[allow(missing_debug_implementations, reason = "the queues of io-uring have no Debug")]
pub struct Ring {
    submitter: Submitter<'static>,
    submissions: SubmissionQueue<'static>,
    completions: CompletionQueue<'static>,
    queued: u32,
    enters: u64,
}

impl Ring {
    /// Creates the ring disabled and enables it on the calling thread, its only issuer from now on.
    pub fn new(sizes: Sizes) -> io::Result<Ring> {
        let ring: &'static mut IoUring = Box::leak(Box::new(build(sizes).map_err(refused)?));
        let (mut submitter, submissions, completions) = ring.split();
        submitter.register_enable_rings()?;
        // A registered ring descriptor saves 70 ns an enter; without it everything still works.
        let _ = submitter.register_ring_fd();
        Ok(Ring { submitter, submissions, completions, queued: 0, enters: 0 })
    }

    /// Registers `buffers` as a group that receives may take from.
    pub fn register(&mut self, buffers: &BufferRing) -> io::Result<()> {
        // SAFETY: the entries of a BufferRing are mapped for the life of the process.
        unsafe {
            self.submitter.register_buf_ring_with_flags(
                buffers.address(),
                buffers.count(),
                buffers.group(),
                0,
            )
        }
    }

    /// How often the kernel was entered.
    pub fn enters(&self) -> u64 {
        self.enters
    }

    pub fn accept(&mut self, listener: i32, user_data: u64) -> io::Result<()> {
        let flags = libc::SOCK_CLOEXEC;
        let entry = opcode::AcceptMulti::new(types::Fd(listener)).flags(flags).build();
        self.push(entry.user_data(user_data))
    }

    pub fn receive(&mut self, fd: i32, how: Receive, group: u16, tag: u64) -> io::Result<()> {
        let ioprio = match how {
            Receive::Multishot => RECEIVE_MULTISHOT,
            Receive::MultishotPollFirst => RECEIVE_MULTISHOT | RECEIVE_POLL_FIRST,
            Receive::Once => 0,
        };
        let entry = opcode::Recv::new(types::Fd(fd), std::ptr::null_mut(), 0)
            .ioprio(ioprio)
            .buf_group(group)
            .build()
            .flags(Flags::BUFFER_SELECT);
        self.push(entry.user_data(tag))
    }

    /// Sends bytes that are never freed.
    pub fn send(&mut self, fd: i32, bytes: &'static [u8], user_data: u64) -> io::Result<()> {
        self.push(send_entry(fd, bytes).user_data(user_data))
    }

    /// Sends the bytes of a buffer that the caller took out of its ring.
    ///
    /// # Safety
    /// The bytes must stay as they are until the send has completed: the buffer may be given
    /// back only then.
    pub unsafe fn send_borrowed(
        &mut self,
        fd: i32,
        bytes: &[u8],
        user_data: u64,
    ) -> io::Result<()> {
        self.push(send_entry(fd, bytes).user_data(user_data))
    }

    /// Sends and then closes; the close is linked, so it runs only after a complete send.
    pub fn send_and_close(
        &mut self,
        fd: i32,
        bytes: &'static [u8],
        tags: [u64; 2],
    ) -> io::Result<()> {
        if self.submissions.capacity() - self.submissions.len() < 2 {
            self.submit()?;
        }
        let close = opcode::Close::new(types::Fd(fd)).build();
        self.push(send_entry(fd, bytes).user_data(tags[0]).flags(Flags::IO_LINK))?;
        self.push(close.user_data(tags[1]))
    }

    /// Submits what is queued and waits for `completions_min` completions or the timeout.
    pub fn enter(&mut self, completions_min: u32, timeout: Option<Duration>) -> io::Result<()> {
        self.submissions.sync();
        self.enters += 1;
        let span = timeout.map(types::Timespec::from);
        let result = match &span {
            None => self.enter_plain(completions_min),
            Some(span) => self.enter_timed(completions_min, span),
        };
        match result {
            Ok(submitted) => self.queued -= submitted as u32,
            Err(error) => match error.raw_os_error() {
                Some(libc::ETIME | libc::EINTR | libc::EBUSY | libc::EAGAIN) => {}
                _ => return Err(error),
            },
        }
        self.completions.sync();
        Ok(())
    }

    /// Moves every waiting completion to `into`.
    pub fn drain(&mut self, into: &mut Vec<Completion>) {
        self.completions.sync();
        into.extend(self.completions.by_ref().map(|entry| Completion {
            user_data: entry.user_data(),
            result: entry.result(),
            flags: entry.flags(),
        }));
        self.completions.sync();
    }

    fn enter_plain(&self, completions_min: u32) -> io::Result<usize> {
        let flags = ENTER_GETEVENTS;
        // SAFETY: no argument is passed; every queued entry keeps the contract of `push`.
        unsafe { self.submitter.enter::<libc::sigset_t>(self.queued, completions_min, flags, None) }
    }

    fn enter_timed(&self, completions_min: u32, span: &types::Timespec) -> io::Result<usize> {
        let arguments = types::SubmitArgs::new().timespec(span);
        let flags = ENTER_GETEVENTS | ENTER_EXT_ARG;
        // SAFETY: SubmitArgs is the kernel's io_uring_getevents_arg and outlives the call.
        unsafe { self.submitter.enter(self.queued, completions_min, flags, Some(&arguments)) }
    }

    fn push(&mut self, entry: squeue::Entry) -> io::Result<()> {
        if self.submissions.is_full() {
            self.submit()?;
        }
        // SAFETY: the callers hand over memory that outlives the operation, or none.
        let pushed = unsafe { self.submissions.push(&entry) };
        pushed.map_err(|_| io::Error::other("the submission queue stayed full"))?;
        self.queued += 1;
        Ok(())
    }

    /// Hands the queued entries over without waiting (a batch larger than the queue).
    fn submit(&mut self) -> io::Result<()> {
        self.enter(0, None)?;
        self.submissions.sync();
        Ok(())
    }
}

fn send_entry(fd: i32, bytes: &[u8]) -> squeue::Entry {
    opcode::Send::new(types::Fd(fd), bytes.as_ptr(), bytes.len() as u32)
        .flags(libc::MSG_WAITALL | libc::MSG_NOSIGNAL)
        .build()
}

/// In the words of the engine, by which `cargo xtask instructions` tells it from a failure.
fn refused(error: io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("io_uring is refused: {error}"))
}

fn build(sizes: Sizes) -> io::Result<IoUring> {
    let base = |builder: &mut io_uring::Builder| {
        builder
            .setup_r_disabled()
            .setup_single_issuer()
            .setup_defer_taskrun()
            .setup_submit_all()
            .setup_cqsize(sizes.completions);
    };
    let mut builder = IoUring::builder();
    base(&mut builder);
    builder.setup_no_sqarray();
    // NO_SQARRAY is 6.6 and later; an older kernel answers EINVAL.
    builder.build(sizes.submissions).or_else(|_| {
        let mut builder = IoUring::builder();
        base(&mut builder);
        builder.build(sizes.submissions)
    })
}
