//! The beat: twice a second, those who look at what is live are told what is new.
//! It knows nothing of what is told.

use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use crate::complain;

/// How often everybody is told.
const BEAT: Duration = Duration::from_millis(500);

/// The thread that tells, until it is dropped.
pub(crate) struct Beat {
    end: Option<mpsc::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Beat {
    /// Where the system gives no thread, that is reported, and everything goes on without a beat.
    pub(super) fn start(tell: impl Fn() + Send + 'static) -> Self {
        Self::start_by(Builder::new().name("beat".to_owned()), tell)
    }

    fn start_by(builder: Builder, tell: impl Fn() + Send + 'static) -> Self {
        let (end, ended) = mpsc::channel();
        let beat = move || {
            while ended.recv_timeout(BEAT) == Err(RecvTimeoutError::Timeout) {
                tell();
            }
        };
        let refused = |error| {
            complain(format_args!("no thread for what is live on the site: {error}"));
        };
        Self { end: Some(end), thread: builder.spawn(beat).map_err(refused).ok() }
    }
}

impl Drop for Beat {
    fn drop(&mut self) {
        drop(self.end.take());
        // It cannot have ended otherwise, and nothing depends on how it did.
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_beats_until_it_is_dropped() {
        let (sender, told) = mpsc::channel();
        let beat = Beat::start(move || sender.send(()).unwrap());
        assert_eq!(told.recv(), Ok(()));
        drop(beat);
        assert_eq!(told.iter().count(), 0, "its thread has ended");
    }

    #[test]
    fn where_no_thread_is_given_everything_goes_on() {
        let more_than_there_is = Builder::new().stack_size(1 << 60);
        let beat = Beat::start_by(more_than_there_is, || ());
        assert!(beat.thread.is_none());
        drop(beat);
    }
}
