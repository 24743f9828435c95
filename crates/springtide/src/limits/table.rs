//! The table of all limits: each with its name, words, default, and how it is set from text.
//! A limit that is not in it does not exist, but those of frames, which no program has by itself: the
//! same macro makes the field and the row.

use std::fmt;

use springtide_proto::{Unit, http1, websocket};

use super::{Limits, text};

/// One limit of the table.
///
/// ```
/// use springtide::{Limit, Limits};
/// let limit = Limit::named("head_timeout").expect("there is one");
/// let mut limits = Limits::default();
/// assert_eq!(limit.show(&limits), "10s");
/// limit.set(&mut limits, "1m").expect("it is a time");
/// assert_eq!(limits.http1.head_timeout_ms, 60_000);
/// assert_eq!(limit.set(&mut limits, "1").unwrap_err().to_string(), "it is a time: 500ms, 30s, 5m or 1h");
/// ```
#[derive(Clone, Copy)]
pub struct Limit {
    /// Its place in the table, and in what counts how often limits are met.
    place: usize,
}

/// How many limits there are.
pub(crate) const LIMITS_COUNT: usize = HTTP1 + websocket::Limits::ROWS.len();
const OWN: usize = Limits::ROWS.len();
/// Where those of HTTP/1.1 end, and those of WebSockets begin.
const HTTP1: usize = OWN + http1::Limits::ROWS.len();

/// Why a limit cannot be what a text says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum LimitError {
    /// The text does not say a number of this unit.
    Unit(Unit),
    /// It is less than makes sense.
    TooLittle {
        /// The least that does.
        least: u64,
        /// Its unit.
        unit: Unit,
    },
    /// It is more than this limit can be; `none` stands for no limit.
    TooMuch,
}

impl fmt::Display for LimitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unit(unit) => f.write_str(text::expected(*unit)),
            Self::TooLittle { least, unit } => {
                write!(f, "it is {} at least", text::show(*unit, *least))
            }
            Self::TooMuch => f.write_str("it is more than this limit can be: write none"),
        }
    }
}

impl std::error::Error for LimitError {}

impl Limits {
    /// All limits, in the order of the reference.
    ///
    /// ```
    /// let limits = springtide::Limits::default();
    /// for limit in springtide::Limits::table() {
    ///     println!("{} = {}", limit.name(), limit.show(&limits));
    /// }
    /// ```
    pub fn table() -> impl ExactSizeIterator<Item = Limit> + Clone {
        (0..LIMITS_COUNT).map(|place| Limit { place })
    }
}

impl Limit {
    /// The limit of this name, as files write it.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Limits::table().find(|limit| limit.name() == name)
    }

    /// That of a place in the table.
    pub(crate) const fn at(place: usize) -> Self {
        assert!(place < LIMITS_COUNT, "places come from the table");
        Self { place }
    }

    /// Its name in files; flags have `-` in place of `_`. Times have no unit in their name: it
    /// stands beside the number.
    #[must_use]
    pub fn name(self) -> &'static str {
        let name = self.field();
        name.strip_suffix("_ms").unwrap_or(name)
    }

    /// What it counts.
    #[must_use]
    pub fn unit(self) -> Unit {
        self.of(|row| row.unit, |row| row.unit, |row| row.unit)
    }

    /// What it guards, and what happens beyond it.
    #[must_use]
    pub fn words(self) -> String {
        let lines = self.of(|row| row.words, |row| row.words, |row| row.words);
        lines.iter().map(|line| line.trim()).collect::<Vec<_>>().join(" ")
    }

    /// What it is, as text: `16KiB`, `30s`, `100` or `none`.
    #[must_use]
    pub fn show(self, limits: &Limits) -> String {
        let value = self.read(limits);
        if value == self.most() { "none".to_owned() } else { text::show(self.unit(), value) }
    }

    /// Sets it from text: `16KiB`, `1500B`, `30s`, `5m`, `100`, or `none` for no limit.
    ///
    /// # Errors
    /// The text says no number of its unit, or one that it cannot be.
    pub fn set(self, limits: &mut Limits, text: &str) -> Result<(), LimitError> {
        let value = self.parse(text)?;
        match self.place {
            place @ ..OWN => (Limits::ROWS[place].write)(limits, value),
            place @ ..HTTP1 => (http1::Limits::ROWS[place - OWN].write)(&mut limits.http1, value),
            place => (websocket::Limits::ROWS[place - HTTP1].write)(&mut limits.websocket, value),
        }
        Ok(())
    }

    fn parse(self, said: &str) -> Result<u64, LimitError> {
        if said == "none" {
            return Ok(self.most());
        }
        let unit = self.unit();
        let value = text::parse(unit, said).ok_or(LimitError::Unit(unit))?;
        let least = self.of(|row| row.least, |row| row.least, |row| row.least);
        if value < least {
            return Err(LimitError::TooLittle { least, unit });
        }
        if value < self.most() { Ok(value) } else { Err(LimitError::TooMuch) }
    }

    fn read(self, limits: &Limits) -> u64 {
        self.of(
            |row| (row.read)(limits),
            |row| (row.read)(&limits.http1),
            |row| (row.read)(&limits.websocket),
        )
    }

    fn most(self) -> u64 {
        self.of(|row| row.most, |row| row.most, |row| row.most)
    }

    /// The name of its field.
    fn field(self) -> &'static str {
        self.of(|row| row.name, |row| row.name, |row| row.name)
    }

    /// Something of its row, whichever table that is in.
    fn of<T>(
        self,
        own: impl FnOnce(&'static springtide_proto::Limit<Limits>) -> T,
        http1: impl FnOnce(&'static springtide_proto::Limit<http1::Limits>) -> T,
        websocket: impl FnOnce(&'static springtide_proto::Limit<websocket::Limits>) -> T,
    ) -> T {
        match self.place {
            place @ ..OWN => own(&Limits::ROWS[place]),
            place @ ..HTTP1 => http1(&http1::Limits::ROWS[place - OWN]),
            place => websocket(&websocket::Limits::ROWS[place - HTTP1]),
        }
    }
}

impl fmt::Debug for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Limit").field(&self.name()).finish()
    }
}

/// The place of a field in the table. Called in a constant, a wrong name does not compile.
pub(crate) const fn place_of(field: &str) -> usize {
    let mut place = 0;
    while place < LIMITS_COUNT {
        let name = match place {
            place @ ..OWN => Limits::ROWS[place].name,
            place @ ..HTTP1 => http1::Limits::ROWS[place - OWN].name,
            place => websocket::Limits::ROWS[place - HTTP1].name,
        };
        if is_same(name, field) {
            return place;
        }
        place += 1;
    }
    panic!("there is no limit of this name")
}

const fn is_same(one: &str, other: &str) -> bool {
    let (one, other) = (one.as_bytes(), other.as_bytes());
    let mut at = 0;
    while at < one.len() && at < other.len() && one[at] == other[at] {
        at += 1;
    }
    at == one.len() && at == other.len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn every_limit_has_one_name_and_words() {
        let names: HashSet<&str> = Limits::table().map(Limit::name).collect();
        assert_eq!(names.len(), Limits::table().len());
        for limit in Limits::table() {
            assert!(limit.words().ends_with('.'), "{limit:?}: {}", limit.words());
            assert_eq!(Limit::named(limit.name()).map(|found| found.place), Some(limit.place));
        }
    }

    /// What a limit says of itself sets it to what it is.
    #[test]
    fn every_limit_can_be_said_and_set() {
        let standard = Limits::default();
        for limit in Limits::table() {
            let mut limits = Limits::default();
            for text in ["none", &limit.show(&standard)] {
                limit.set(&mut limits, text).unwrap_or_else(|error| panic!("{limit:?}: {error}"));
                assert_eq!(limit.show(&limits), text);
            }
            assert_eq!(format!("{limits:?}"), format!("{standard:?}"), "it sets nothing else");
        }
    }

    #[test]
    fn wrong_values_are_named() {
        let mut limits = Limits::default();
        for (name, text, error) in [
            ("head_bytes_max", "16 kB", "it is a size: 100B, 16KiB, 4MiB or 1GiB"),
            ("head_bytes_max", "10B", "it is 64B at least"),
            ("head_timeout", "10", "it is a time: 500ms, 30s, 5m or 1h"),
            ("fields_max", "many", "it is a number"),
            ("fields_max", "0", "it is 1 at least"),
            ("backlog_max", "4294967296", "it is more than this limit can be: write none"),
            ("body_bytes_max", "99999999999GiB", "it is a size: 100B, 16KiB, 4MiB or 1GiB"),
        ] {
            let limit = Limit::named(name).unwrap();
            assert_eq!(limit.set(&mut limits, text).unwrap_err().to_string(), error, "{name}");
        }
    }
}
