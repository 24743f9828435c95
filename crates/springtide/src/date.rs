//! The `Date` of replies, written once a second.
//! It reads no clock: the engine's turn tells the time.

use std::time::{Duration, UNIX_EPOCH};

use springtide_engine::{Handle, Moment};

/// The text of an IMF-fixdate (RFC 9110 §5.6.7), and until when it holds.
pub(crate) struct Date {
    text: [u8; 29],
    until: Moment,
}

impl Date {
    pub(crate) fn new(engine: &dyn Handle) -> Self {
        let mut own = Self { text: [b' '; 29], until: engine.now() };
        own.refresh(engine);
        own
    }

    #[inline]
    pub(crate) const fn text(&self) -> &[u8; 29] {
        &self.text
    }

    /// Writes the date anew when its second is over.
    #[inline]
    pub(crate) fn refresh(&mut self, engine: &dyn Handle) {
        if engine.now() >= self.until {
            self.write(engine);
        }
    }

    #[cold]
    fn write(&mut self, engine: &dyn Handle) {
        let date = UNIX_EPOCH + Duration::from_secs(engine.unix_seconds());
        let text = httpdate::fmt_http_date(date);
        self.text.copy_from_slice(text.as_bytes());
        // The second may be nearly over: a tenth of a second is how late a date may be.
        self.until = engine.now() + Duration::from_millis(100);
    }
}
