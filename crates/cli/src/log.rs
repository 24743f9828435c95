//! The file of the access log, which is opened anew when the program is told to.
//! It never truncates what is there, and goes on with the old file when the new one cannot be had.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::complain;

/// Tells the log that its file was moved.
#[derive(Debug, Clone, Default)]
pub(crate) struct Reopen(Arc<AtomicBool>);

impl Reopen {
    pub(crate) fn ask(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Where the log is written.
pub(crate) struct LogFile {
    path: PathBuf,
    file: File,
    reopen: Reopen,
}

impl LogFile {
    /// # Errors
    /// The file cannot be opened.
    pub(crate) fn open(path: &Path, reopen: Reopen) -> io::Result<Self> {
        Ok(Self { path: path.to_owned(), file: append_to(path)?, reopen })
    }
}

fn append_to(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).open(path)
}

impl Write for LogFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.reopen.0.swap(false, Ordering::Relaxed) {
            match append_to(&self.path) {
                Ok(file) => self.file = file,
                Err(error) => complain(format_args!(
                    "the access log goes on in its old file: cannot open {}: {error}",
                    self.path.display()
                )),
            }
        }
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}
