//! Programs that a task starts: what they print, and their end. Never leaves one behind, and never
//! waits for one without a limit.

use crate::error::Error;
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

/// A child that does not outlive its owner.
pub(crate) struct Killed(pub(crate) Child);

impl Drop for Killed {
    fn drop(&mut self) {
        // It may have ended by itself; either way nothing is left to do.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What the child prints to either output, line by line; ends when it has closed both. The readers
/// go on when nobody listens, so that the child never waits for a full pipe.
pub(crate) fn lines_of(child: &mut Child) -> Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    let outputs: [Option<Box<dyn Read + Send>>; 2] = [
        child.stdout.take().map(|output| Box::new(output) as _),
        child.stderr.take().map(|output| Box::new(output) as _),
    ];
    for output in outputs.into_iter().flatten() {
        let sender = sender.clone();
        std::thread::spawn(move || {
            for line in BufReader::new(output).split(b'\n').map_while(Result::ok) {
                let _ = sender.send(String::from_utf8_lossy(&line).into_owned());
            }
        });
    }
    receiver
}

/// Runs a program to its end and returns what it printed to both outputs. One that fails, or is not
/// done after `limit`, is refused with what it printed until then.
pub(crate) fn run_within(mut command: Command, limit: Duration) -> Result<String, Error> {
    let program = command.get_program().to_string_lossy().into_owned();
    let wrap = |source| Error::Spawn { program: program.clone(), source };
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = Killed(command.spawn().map_err(wrap)?);
    let lines = lines_of(&mut child.0);
    let deadline = Instant::now() + limit;
    let mut said = String::new();
    loop {
        match lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            Ok(line) => said.push_str(&format!("{line}\n")),
            Err(RecvTimeoutError::Disconnected) => break,
            Err(RecvTimeoutError::Timeout) => {
                said.push_str(&format!("not done after {} s", limit.as_secs()));
                return Err(Error::Refused { program, said });
            }
        }
    }
    if child.0.wait().map_err(wrap)?.success() {
        return Ok(said);
    }
    Err(Error::Refused { program, said })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str, limit: Duration) -> Result<String, Error> {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        run_within(command, limit)
    }

    #[test]
    fn a_program_is_heard_to_its_end() {
        let minute = Duration::from_secs(60);
        assert_eq!(shell("echo one; echo two", minute).unwrap(), "one\ntwo\n");
        assert_eq!(shell("echo three >&2", minute).unwrap(), "three\n");
        let failed = shell("echo four; exit 1", minute).unwrap_err();
        assert_eq!(failed.to_string(), "`sh` refused: four");
    }

    #[test]
    fn a_program_that_does_not_end_is_given_up() {
        let late = shell("exec tail -f /dev/null", Duration::ZERO).unwrap_err();
        assert_eq!(late.to_string(), "`sh` refused: not done after 0 s");
    }
}
