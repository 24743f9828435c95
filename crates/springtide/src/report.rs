//! Reports for whoever runs the server: one line on standard error each.
//! It never blocks on anything but standard error, and never prints what a peer sent unescaped.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};

static IS_SILENT: AtomicBool = AtomicBool::new(false);

/// Something went wrong that the one who runs the server must know.
pub(crate) fn error(message: fmt::Arguments<'_>) {
    if !IS_SILENT.load(Ordering::Relaxed) {
        eprintln!("springtide: {message}");
    }
}

/// From now on nothing is told: the simulator's histories break every limit on purpose.
pub fn be_silent() {
    IS_SILENT.store(true, Ordering::Relaxed);
}
