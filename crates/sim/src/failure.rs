//! Why a history has failed, also where code panicked. It plays nothing.

use std::any::Any;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::pace::Outcome;

/// Why a history failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// What is wrong, as a clause.
    pub what: String,
}

impl Failure {
    /// What `play` comes to, also where it panics; `of` says what was played.
    pub(crate) fn of<T>(of: &str, play: impl FnOnce() -> Outcome<T>) -> Result<T, Self> {
        let played = catch_unwind(AssertUnwindSafe(play));
        let played = played.unwrap_or_else(|panic| Err(format!("panic: {}", text_of(&*panic))));
        played.map_err(|what| Self { what: format!("{of}: {what}") })
    }

    /// What is wrong without the numbers, nor what stood how: the same for a smaller history.
    pub(crate) fn kind(&self) -> String {
        let what = self.what.lines().next().unwrap_or_default();
        what.chars().filter(|letter| !letter.is_ascii_digit()).collect()
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

/// What a panic said.
fn text_of(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no text")
}
