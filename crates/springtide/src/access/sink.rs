//! Where the lines of all shards go: a thread that writes, behind a queue with an end.
//! No shard waits for it, and nothing is lost but what is counted.

use std::io::Write;
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
    /// Lines that found no room, and of which nothing was told yet.
    untold: Arc<AtomicU64>,
}

enum Way {
    /// Written where they are handed over: a world has no threads.
    Here(Mutex<Box<dyn Write + Send>>),
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
        let way = Way::Here(Mutex::new(log.writer));
        Self { format: log.format, way, untold: Arc::default() }
    }

    /// # Errors
    /// The system has no thread left.
    pub(crate) fn start(log: AccessLog) -> std::io::Result<Self> {
        let (buffers, written) = sync_channel(WAITING_MAX);
        let untold = Arc::new(AtomicU64::new(0));
        let (own, mut writer) = (Arc::clone(&untold), log.writer);
        let thread =
            spawn_thread("springtide-log", move || write_all(&written, &mut writer, &own))?;
        let way = Way::Thread { buffers, thread: Mutex::new(Some(thread)) };
        Ok(Self { format: log.format, way, untold })
    }

    pub(crate) const fn format(&self) -> LogFormat {
        self.format
    }

    /// Takes a buffer of so many whole lines, and leaves an empty one. Gives how many found no room:
    /// all of them or none.
    pub(crate) fn take(&self, buffer: &mut Vec<u8>, lines: u64) -> u64 {
        match &self.way {
            Way::Here(writer) => {
                let mut writer = writer.lock().unwrap_or_else(PoisonError::into_inner);
                tell_failure(writer.write_all(buffer).and_then(|()| writer.flush()));
                buffer.clear();
                0
            }
            Way::Thread { buffers, .. } => {
                let full = std::mem::replace(buffer, Vec::with_capacity(BUFFER_BYTES + 4096));
                match buffers.try_send(Some(full)) {
                    Ok(()) => 0,
                    Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {
                        self.untold.fetch_add(lines, Ordering::Relaxed);
                        lines
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

fn write_all(
    written: &Receiver<Option<Vec<u8>>>,
    writer: &mut Box<dyn Write + Send>,
    untold: &AtomicU64,
) {
    while let Ok(Some(buffer)) = written.recv() {
        tell_failure(writer.write_all(&buffer).and_then(|()| writer.flush()));
        let dropped = untold.swap(0, Ordering::Relaxed);
        if dropped > 0 {
            crate::report::error(format_args!(
                "{dropped} lines of the access log were dropped: it is not written fast enough"
            ));
        }
    }
}

fn tell_failure(written: std::io::Result<()>) {
    if let Err(error) = written {
        crate::report::error(format_args!("the access log cannot be written: {error}"));
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
