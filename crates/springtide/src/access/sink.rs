//! Where the lines of all shards go: a thread that writes, behind a queue with an end.
//! No shard waits for it, and nothing is lost but what is counted.

use std::io::{self, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use springtide_engine::spawn_thread;

use super::{AccessLog, BUFFER_BYTES, LogFormat};

/// Buffers that may wait for the thread: some megabytes.
const WAITING_MAX: usize = 64;

/// Where lines go.
pub(crate) struct Sink {
    format: LogFormat,
    way: Way,
    counts: Arc<Counts>,
}

/// Lines that are lost.
#[derive(Default)]
struct Counts {
    /// They found no room, and nothing was told of them yet.
    untold: AtomicU64,
    /// They could not be written, and no shard has counted them yet.
    unwritten: AtomicU64,
}

enum Way {
    /// Written where they are handed over: a world has no threads.
    Here(Mutex<Output>),
    Thread {
        buffers: SyncSender<Option<Vec<u8>>>,
        thread: Mutex<Option<JoinHandle<()>>>,
    },
}

impl std::fmt::Debug for Sink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sink").field("format", &self.format).finish_non_exhaustive()
    }
}

impl Sink {
    pub(crate) fn without_thread(log: AccessLog) -> Self {
        let way = Way::Here(Mutex::new(Output::new(log.writer)));
        Self { format: log.format, way, counts: Arc::default() }
    }

    /// # Errors
    /// The system has no thread left.
    pub(crate) fn start(log: AccessLog) -> std::io::Result<Self> {
        let (buffers, written) = sync_channel(WAITING_MAX);
        let counts = Arc::<Counts>::default();
        let (own, mut output) = (Arc::clone(&counts), Output::new(log.writer));
        let thread =
            spawn_thread("springtide-log", move || write_all(&written, &mut output, &own))?;
        let way = Way::Thread { buffers, thread: Mutex::new(Some(thread)) };
        Ok(Self { format: log.format, way, counts })
    }

    pub(crate) const fn format(&self) -> LogFormat {
        self.format
    }

    /// Takes a buffer of so many whole lines, and leaves an empty one. Gives how many lines are lost
    /// that nobody has counted yet: these, if there is no room, and those that could not be written.
    pub(crate) fn take(&self, buffer: &mut Vec<u8>, lines: u64) -> u64 {
        match &self.way {
            Way::Here(writer) => {
                let lost = writer.lock().unwrap_or_else(PoisonError::into_inner).write(buffer);
                buffer.clear();
                lost
            }
            Way::Thread { buffers, .. } => {
                let full = std::mem::replace(buffer, Vec::with_capacity(BUFFER_BYTES + 4096));
                let unwritten = self.counts.unwritten.swap(0, Ordering::Relaxed);
                match buffers.try_send(Some(full)) {
                    Ok(()) => unwritten,
                    Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {
                        self.counts.untold.fetch_add(lines, Ordering::Relaxed);
                        unwritten + lines
                    }
                }
            }
        }
    }

    /// Waits until everything that was handed over is written. What comes then is dropped.
    pub(crate) fn close(&self) {
        let Way::Thread { buffers, thread } = &self.way else { return };
        if let Some(thread) = thread.lock().unwrap_or_else(PoisonError::into_inner).take() {
            // It fails when the thread has ended already.
            let _ = buffers.send(None);
            let _ = thread.join();
        }
    }
}

fn write_all(written: &Receiver<Option<Vec<u8>>>, output: &mut Output, counts: &Counts) {
    while let Ok(Some(buffer)) = written.recv() {
        counts.unwritten.fetch_add(output.write(&buffer), Ordering::Relaxed);
        let dropped = counts.untold.swap(0, Ordering::Relaxed);
        if dropped > 0 {
            crate::report::error(format_args!(
                "{dropped} lines of the access log were dropped: it is not written fast enough"
            ));
        }
    }
}

/// A writer, and how far it came.
struct Output {
    writer: Box<dyn Write + Send>,
    /// The last line was cut: the next one must not go on with it.
    is_cut: bool,
    /// Lines lost since it was told that it fails; none while it does not.
    failing: Option<u64>,
}

impl Output {
    const fn new(writer: Box<dyn Write + Send>) -> Self {
        Self { writer, is_cut: false, failing: None }
    }

    /// Writes whole lines. Gives how many of them were not: all from the first that was cut.
    fn write(&mut self, lines: &[u8]) -> u64 {
        let mut rest = lines;
        let written = self.try_write(&mut rest);
        let lost = rest.iter().filter(|byte| **byte == b'\n').count() as u64;
        self.tell(written, lost);
        lost
    }

    fn try_write(&mut self, rest: &mut &[u8]) -> io::Result<()> {
        if self.is_cut {
            self.writer.write_all(b"\n")?;
            self.is_cut = false;
        }
        while !rest.is_empty() {
            let count = match self.writer.write(rest) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            self.is_cut = rest[count - 1] != b'\n';
            *rest = &rest[count..];
        }
        self.writer.flush()
    }

    /// Says when it begins to fail, and when that is over: a full disk is no reason for a line of
    /// complaint for each block of lines.
    fn tell(&mut self, written: io::Result<()>, lost: u64) {
        match (written, &mut self.failing) {
            (Ok(()), None) => {}
            (Err(_), Some(before)) => *before += lost,
            (Err(error), None) => {
                self.failing = Some(lost);
                crate::report::error(format_args!("the access log cannot be written: {error}"));
            }
            (Ok(()), Some(before)) => {
                let count = *before;
                self.failing = None;
                crate::report::error(format_args!(
                    "the access log is written again: {count} of its lines were lost"
                ));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::{Sender, channel};

    /// A writer that tells when it begins a write, and ends it when it is let.
    struct Slow {
        began: Sender<usize>,
        may_end: Receiver<()>,
    }

    impl Write for Slow {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            let _ = self.began.send(bytes.len());
            let _ = self.may_end.recv();
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    /// A writer that takes so many bytes and fails then, until it is told otherwise.
    #[derive(Clone, Default)]
    struct Spent(Arc<Mutex<(usize, Vec<u8>)>>);

    impl Write for Spent {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            let mut own = self.0.lock().unwrap();
            let count = bytes.len().min(own.0);
            own.0 -= count;
            own.1.extend_from_slice(&bytes[..count]);
            match count {
                0 => Err(std::io::ErrorKind::StorageFull.into()),
                count => Ok(count),
            }
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    /// Lines that could not be written are counted, and a cut one is not joined with the next.
    #[test]
    fn what_cannot_be_written_is_counted() {
        let writer = Spent::default();
        writer.0.lock().unwrap().0 = 6;
        let sink = Sink::without_thread(AccessLog::new(writer.clone()));
        assert_eq!(sink.take(&mut b"one\ntwo\nthree\n".to_vec(), 3), 2);
        assert_eq!(sink.take(&mut b"four\n".to_vec(), 1), 1);
        writer.0.lock().unwrap().0 = 100;
        assert_eq!(sink.take(&mut b"five\n".to_vec(), 1), 0);
        assert_eq!(writer.0.lock().unwrap().1, b"one\ntw\nfive\n");
    }

    /// The same behind the queue: it is told with what is handed over next.
    #[test]
    fn what_the_thread_cannot_write_is_counted() {
        let (writer, (began, begins), (let_end, may_end)) =
            (Spent::default(), channel(), channel());
        let sink = Sink::start(AccessLog::new(Both(writer.clone(), Slow { began, may_end })));
        let sink = sink.unwrap();
        assert_eq!(sink.take(&mut b"one\ntwo\n".to_vec(), 2), 0);
        drop(let_end);
        begins.recv().unwrap();
        writer.0.lock().unwrap().0 = 100;
        sink.close();
        assert_eq!(sink.take(&mut b"late\n".to_vec(), 1), 3, "two that failed and one too late");
    }

    /// A writer that fails as the first says, and tells when as the second does.
    struct Both(Spent, Slow);

    impl Write for Both {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            let written = self.0.write(bytes);
            self.1.write(bytes)?;
            written
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    /// A writer that stands still costs lines, not time, and the rest is written.
    #[test]
    fn a_full_queue_drops_and_counts() {
        let ((began, begins), (let_end, may_end)) = (channel(), channel());
        let sink = Sink::start(AccessLog::new(Slow { began, may_end })).unwrap();
        assert_eq!(sink.take(&mut b"first\n".to_vec(), 1), 0);
        assert_eq!(begins.recv(), Ok(6), "the thread is in its first write");
        for _ in 0..WAITING_MAX {
            assert_eq!(sink.take(&mut b"line\n".to_vec(), 1), 0);
        }
        let mut buffer = b"one\ntwo\n".to_vec();
        assert_eq!(sink.take(&mut buffer, 2), 2, "there is no room, and nobody waits");
        assert!(buffer.is_empty());
        drop(let_end);
        sink.close();
        assert_eq!(begins.iter().count(), WAITING_MAX, "everything else was written");
        assert_eq!(sink.take(&mut b"late\n".to_vec(), 1), 1);
    }
}
