//! The future that tells that a client is gone.
//! It keeps nothing of the request alive.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use super::Alarm;

/// Ends when the client has gone; see [`Request::closed`](crate::Request::closed).
#[must_use = "a future does nothing unless it is awaited"]
pub struct Closed {
    alarm: Option<Arc<Alarm>>,
}

impl Closed {
    pub(crate) const fn new(alarm: Option<Arc<Alarm>>) -> Self {
        Self { alarm }
    }
}

impl Future for Closed {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let Some(alarm) = &self.alarm else { return Poll::Pending };
        if alarm.is_gone() {
            return Poll::Ready(());
        }
        alarm.listen(context.waker().clone());
        // The shard may have told who listened before that, as this may be another thread.
        if alarm.is_gone() { Poll::Ready(()) } else { Poll::Pending }
    }
}

impl fmt::Debug for Closed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Closed").finish_non_exhaustive()
    }
}
