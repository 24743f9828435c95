//! The opening of replies with its `Date`, written once a second.
//! It reads no clock: the engine's turn tells the time.

use std::time::{Duration, UNIX_EPOCH};

use springtide_engine::{Handle, Moment};
use springtide_proto::http1::Opening;

use crate::response::common_types;

/// What replies name as their server.
const SERVER: &[u8] = b"springtide";

/// What replies begin with, its date an IMF-fixdate (RFC 9110 §5.6.7), and until when it holds.
pub(crate) struct Date {
    opening: Opening,
    until: Moment,
}

impl Date {
    pub(crate) fn new(engine: &dyn Handle) -> Self {
        let opening = Opening::new(SERVER, &[b' '; 29]).with_types(&common_types());
        let mut own = Self { opening, until: engine.now() };
        own.refresh(engine);
        own
    }

    #[inline]
    pub(crate) const fn opening(&self) -> &Opening {
        &self.opening
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
        self.opening.set_date(text.as_bytes().first_chunk().expect("a date has 29 letters"));
        // The second may be nearly over: a tenth of a second is how late a date may be.
        self.until = engine.now() + Duration::from_millis(100);
    }
}
