//! The beat: twice a second, those who look at what is live are told what is new.
//! It knows nothing of what is told.

use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread::JoinHandle;
use std::time::Duration;

/// How often everybody is told.
const BEAT: Duration = Duration::from_millis(500);

/// The thread that tells, until it is dropped.
pub(crate) struct Beat {
    end: Option<mpsc::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Beat {
    pub(super) fn start(tell: impl Fn() + Send + 'static) -> Self {
        let (end, ended) = mpsc::channel();
        let thread = std::thread::spawn(move || {
            while ended.recv_timeout(BEAT) == Err(RecvTimeoutError::Timeout) {
                tell();
            }
        });
        Self { end: Some(end), thread: Some(thread) }
    }
}

impl Drop for Beat {
    fn drop(&mut self) {
        drop(self.end.take());
        // It cannot have ended otherwise, and nothing depends on how it did.
        let _ = self.thread.take().map(JoinHandle::join);
    }
}
