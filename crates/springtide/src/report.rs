//! Reports for whoever runs the server: one line on standard error each.
//! It never blocks on anything but standard error, and never prints what a peer sent unescaped.
//! Nobody fails because it cannot be written.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};

static IS_SILENT: AtomicBool = AtomicBool::new(false);

/// Something went wrong that the one who runs the server must know.
pub(crate) fn error(message: fmt::Arguments<'_>) {
    if !IS_SILENT.load(Ordering::Relaxed) {
        // In one piece: other threads write too.
        say(&format!("springtide: {message}\n"));
    }
}

/// Where it cannot be written, nobody can be told.
#[cfg(not(test))]
fn say(line: &str) {
    use std::io::Write;
    let _ = std::io::stderr().write_all(line.as_bytes());
}

/// This crate's own tests say it where it is shown of those that fail.
#[cfg(test)]
fn say(line: &str) {
    eprint!("{line}");
}

/// From now on nothing is told: the simulator's histories break every limit on purpose.
pub fn be_silent() {
    IS_SILENT.store(true, Ordering::Relaxed);
}
