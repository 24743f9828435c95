//! Sockets that were open when the program began (sd_listen_fds(3)): which there are, who takes them.
//! It never touches what the program opened itself.

use std::ffi::OsString;
use std::fmt;
use std::io;
use std::os::fd::{BorrowedFd, FromRawFd, OwnedFd, RawFd};

use nix::fcntl::{FcntlArg, FdFlag, fcntl};

/// The first descriptor that is passed; those before it are the standard ones.
const FIRST: RawFd = 3;
/// How many may be passed.
const PASSED_MAX: RawFd = 253;
const VARIABLES: [&str; 3] = ["LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES"];

/// What a supervisor says that it passed, and nobody has taken yet.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Passed(Vec<Descriptor>);

/// One of them.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Descriptor {
    number: RawFd,
    name: Option<String>,
}

/// Why an open socket cannot be had.
#[derive(Debug)]
pub(crate) enum PassedError {
    /// `LISTEN_FDS` is no number, or too large.
    Count(OsString),
    /// None of this name was passed.
    Name(String),
    /// Nothing that was passed has this number.
    Number(RawFd, io::Error),
}

impl fmt::Display for PassedError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Count(text) => {
                write!(f, "LISTEN_FDS is {text:?}: it is a number up to {PASSED_MAX}")
            }
            Self::Name(name) => write!(
                f,
                "cannot listen on fd:{name}: no socket of this name was passed (LISTEN_FDNAMES)"
            ),
            Self::Number(number, error) => write!(f, "cannot listen on fd:{number}: {error}"),
        }
    }
}

impl Passed {
    /// What was passed to this process. The variables are removed: a process that this one starts
    /// must not take them for its own.
    ///
    /// # Errors
    /// They say something that cannot be.
    pub(crate) fn take() -> Result<Self, PassedError> {
        let passed = Self::of(|name| std::env::var_os(name));
        for name in VARIABLES {
            // SAFETY: the program has one thread until it starts its server, which comes later.
            unsafe { std::env::remove_var(name) };
        }
        passed
    }

    fn of(variable: impl Fn(&str) -> Option<OsString>) -> Result<Self, PassedError> {
        let [count, process, names] = VARIABLES.map(variable);
        let own = std::process::id().to_string();
        let (Some(count), true) = (count, process.is_some_and(|process| process == *own)) else {
            return Ok(Self::default());
        };
        let number = count.to_str().and_then(|text| text.parse::<RawFd>().ok());
        let Some(number) = number.filter(|number| (0..=PASSED_MAX).contains(number)) else {
            return Err(PassedError::Count(count));
        };
        let names = names.and_then(|names| names.into_string().ok()).unwrap_or_default();
        let names = names.split(':').map(|name| Some(name).filter(|name| !name.is_empty()));
        let names = names.chain(std::iter::repeat(None));
        let all = (FIRST..FIRST + number).zip(names);
        let all = all.map(|(number, name)| Descriptor { number, name: name.map(str::to_owned) });
        Ok(Self(all.collect()))
    }

    /// How each is asked for, by its number.
    pub(crate) fn names(&self) -> Vec<String> {
        self.0.iter().map(|own| own.number.to_string()).collect()
    }

    /// Takes those that a number or a name stands for. A number may also be that of a descriptor
    /// which somebody other than a supervisor left open.
    ///
    /// # Errors
    /// There is none, or it has been taken.
    pub(crate) fn claim(&mut self, name: &str) -> Result<Vec<OwnedFd>, PassedError> {
        let numbers = match name.parse::<RawFd>() {
            Ok(number) => vec![number],
            Err(_) => self.named(name)?,
        };
        self.0.retain(|own| !numbers.contains(&own.number));
        let claimed = numbers.into_iter();
        claimed.map(|number| own(number).map_err(|e| PassedError::Number(number, e))).collect()
    }

    fn named(&self, name: &str) -> Result<Vec<RawFd>, PassedError> {
        let fits = |own: &&Descriptor| own.name.as_deref() == Some(name);
        let numbers: Vec<RawFd> = self.0.iter().filter(fits).map(|own| own.number).collect();
        if numbers.is_empty() { Err(PassedError::Name(name.to_owned())) } else { Ok(numbers) }
    }
}

/// Makes a passed descriptor our own, under a number that is closed when a program is started.
/// Everything that this program opens is closed then: what is not was passed to it.
fn own(number: RawFd) -> io::Result<OwnedFd> {
    if number < FIRST {
        return Err(io::Error::other("0, 1 and 2 are the standard input, output and error"));
    }
    // SAFETY: it is passed on to the system only, which says so where nothing is open (EBADF).
    let passed = unsafe { BorrowedFd::borrow_raw(number) };
    if fcntl(passed, FcntlArg::F_GETFD)? & FdFlag::FD_CLOEXEC.bits() != 0 {
        return Err(io::Error::other("it was not passed to the program"));
    }
    let own = passed.try_clone_to_owned()?;
    // SAFETY: it was passed, see above, and nobody else here takes what was passed.
    drop(unsafe { OwnedFd::from_raw_fd(number) });
    Ok(own)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(count: &str, process: &str, names: &str) -> Result<Passed, PassedError> {
        Passed::of(|name| match name {
            "LISTEN_FDS" => Some(count.into()),
            "LISTEN_PID" => Some(process.into()),
            _ => Some(names.into()),
        })
    }

    #[test]
    fn sockets_have_numbers_and_names() {
        let own = std::process::id().to_string();
        let passed = of("3", &own, "web::web").unwrap();
        assert_eq!(passed.names(), ["3", "4", "5"]);
        assert_eq!(passed.named("web").unwrap(), [3, 5]);
        assert!(passed.named("").is_err() && passed.named("admin").is_err());
        assert_eq!(of("1", &own, "").unwrap().names(), ["3"]);
        assert_eq!(of("2", "1", "").unwrap(), Passed::default(), "they are another process's");
        assert_eq!(Passed::of(|_| None).unwrap(), Passed::default());
        for wrong in ["-1", "two", "254", ""] {
            assert!(matches!(of(wrong, &own, ""), Err(PassedError::Count(_))), "{wrong}");
        }
    }

    /// What this process has opened itself is never taken for something passed.
    #[test]
    fn what_is_ours_cannot_be_claimed() {
        use std::os::fd::AsRawFd;
        let file = std::fs::File::open("/dev/null").unwrap();
        for (name, reason) in [
            (file.as_raw_fd().to_string(), "it was not passed"),
            ("1".to_owned(), "0, 1 and 2 are the standard"),
            ("1000000".to_owned(), "Bad file descriptor"),
            ("-1".to_owned(), "0, 1 and 2"),
            ("web".to_owned(), "no socket of this name"),
        ] {
            let error = Passed::default().claim(&name).unwrap_err().to_string();
            assert!(error.contains(reason), "{error}");
        }
        assert!(file.metadata().is_ok());
    }
}
