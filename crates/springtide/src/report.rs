//! Reports for whoever runs the server: one line on standard error each.
//! It never blocks on anything but standard error, and never prints what a peer sent unescaped.

use std::fmt;

/// Something went wrong that the one who runs the server must know.
pub(crate) fn error(message: fmt::Arguments<'_>) {
    eprintln!("springtide: {message}");
}
