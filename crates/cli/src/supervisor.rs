//! Tells the supervisor how the program stands (sd_notify(3)): ready, alive, stopping.
//! A supervisor that cannot be told never keeps the program from serving.

use std::ffi::OsString;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

/// How long a supervisor may take to take a message, as sd_notify(3) has it.
const TELL_WITHIN: Duration = Duration::from_secs(5);

/// Whoever started the program and wants to hear of it; or nobody.
#[derive(Debug, Default)]
pub(crate) struct Supervisor {
    address: Option<SocketAddr>,
    /// Without a word for so long, the program is taken for stuck.
    watchdog: Option<Duration>,
}

impl Supervisor {
    /// The supervisor that variables name: `NOTIFY_SOCKET`, a path or `@NAME`, and `WATCHDOG_USEC`,
    /// which counts when `WATCHDOG_PID` names this process or nobody.
    ///
    /// # Errors
    /// The socket's name is none.
    pub(crate) fn of(variable: impl Fn(&str) -> Option<OsString>) -> io::Result<Self> {
        let Some(name) = variable("NOTIFY_SOCKET") else { return Ok(Self::default()) };
        let address = match name.as_bytes() {
            [b'@', name @ ..] => SocketAddr::from_abstract_name(name)?,
            [b'/', ..] => SocketAddr::from_pathname(&name)?,
            _ => return Err(io::Error::other("NOTIFY_SOCKET is neither a path nor @NAME")),
        };
        let number = |name| variable(name)?.to_str()?.parse::<u64>().ok();
        let is_ours = match variable("WATCHDOG_PID") {
            Some(_) => number("WATCHDOG_PID") == Some(std::process::id().into()),
            None => true,
        };
        let watchdog = number("WATCHDOG_USEC").filter(|micros| is_ours && *micros > 0);
        Ok(Self { address: Some(address), watchdog: watchdog.map(Duration::from_micros) })
    }

    /// Tells lines of `KEY=VALUE`; nothing where nobody listens.
    ///
    /// # Errors
    /// The supervisor is gone, or does not take it within 5 s.
    pub(crate) fn tell(&self, lines: &str) -> io::Result<()> {
        let Some(address) = &self.address else { return Ok(()) };
        let socket = UnixDatagram::unbound()?;
        socket.set_write_timeout(Some(TELL_WITHIN))?;
        socket.send_to_addr(lines.as_bytes(), address).map(drop)
    }

    /// Tells the supervisor twice in its time that the program is alive, each time that it answers,
    /// until the other side of `ended` is dropped. `answers` gets the time that is left for it.
    pub(crate) fn watch(&self, ended: &Receiver<()>, mut answers: impl FnMut(Duration) -> bool) {
        let Some(whole) = self.watchdog else { return };
        let half = whole / 2;
        loop {
            if answers(half) {
                // A supervisor that misses it does what it was told to do then.
                let _ = self.tell("WATCHDOG=1");
            }
            if ended.recv_timeout(half) != Err(RecvTimeoutError::Timeout) {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    /// A socket as a supervisor has it, and the program's side as these variables say.
    fn pair(name: &str, others: &[(&str, &str)]) -> (UnixDatagram, io::Result<Supervisor>) {
        let name = format!("@springtide-supervisor-{}-{name}", std::process::id());
        let address = SocketAddr::from_abstract_name(&name[1..]).unwrap();
        let socket = UnixDatagram::bind_addr(&address).unwrap();
        socket.set_nonblocking(true).unwrap();
        let supervisor = Supervisor::of(|asked| match asked {
            "NOTIFY_SOCKET" => Some(OsString::from(&name)),
            asked => others.iter().find(|(own, _)| *own == asked).map(|(_, value)| value.into()),
        });
        (socket, supervisor)
    }

    /// What has come, a message each; a message is there as soon as it was told.
    fn told(socket: &UnixDatagram) -> Vec<String> {
        let mut bytes = [0; 200];
        let next = || socket.recv(&mut bytes).ok().map(|length| bytes[..length].to_vec());
        std::iter::from_fn(next).map(|bytes| String::from_utf8(bytes).unwrap()).collect()
    }

    #[test]
    fn a_supervisor_is_told() {
        let (socket, supervisor) = pair("told", &[]);
        let supervisor = supervisor.unwrap();
        supervisor.tell("READY=1\nSTATUS=here").unwrap();
        assert_eq!(told(&socket), ["READY=1\nSTATUS=here"]);
        drop(socket);
        assert!(supervisor.tell("STOPPING=1").is_err());
        assert!(Supervisor::default().tell("READY=1").is_ok());
    }

    #[test]
    fn a_name_of_another_kind_is_refused() {
        for name in ["vsock:2:1234", "relative", ""] {
            let of = Supervisor::of(|asked| (asked == "NOTIFY_SOCKET").then(|| name.into()));
            assert!(of.is_err(), "{name}");
        }
        assert!(Supervisor::of(|_| None).unwrap().address.is_none());
    }

    #[test]
    fn a_watchdog_is_for_one_process() {
        let own = std::process::id().to_string();
        let is_watched = |others: &[(&str, &str)]| {
            let (_, supervisor) = pair("process", others);
            supervisor.unwrap().watchdog
        };
        let second = ("WATCHDOG_USEC", "1000000");
        assert_eq!(is_watched(&[second]), Some(Duration::from_secs(1)));
        assert_eq!(is_watched(&[second, ("WATCHDOG_PID", &own)]), Some(Duration::from_secs(1)));
        assert_eq!(is_watched(&[second, ("WATCHDOG_PID", "1")]), None);
        assert_eq!(is_watched(&[second, ("WATCHDOG_PID", "own")]), None);
        assert_eq!(is_watched(&[("WATCHDOG_USEC", "0")]), None);
        assert_eq!(is_watched(&[]), None);
    }

    /// A ping for each answer, and none for what does not answer.
    #[test]
    fn what_does_not_answer_is_not_alive() {
        let (socket, supervisor) = pair("alive", &[("WATCHDOG_USEC", "2000")]);
        let (end, ended) = mpsc::channel();
        let mut end = Some(end);
        let mut answers = [true, false, false, true].into_iter();
        supervisor.unwrap().watch(&ended, |within| {
            assert_eq!(within, Duration::from_millis(1));
            let next = answers.next().expect("it was told to end");
            if answers.len() == 0 {
                end = None;
            }
            next
        });
        assert_eq!(told(&socket), ["WATCHDOG=1"; 2]);
        let (_, unwatched) = pair("alive-not", &[]);
        unwatched.unwrap().watch(&ended, |_| panic!("nobody wants to know"));
    }
}
