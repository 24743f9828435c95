//! Runs the program as a user does: a process, its output, its end.
//! What it starts it stops, by the process's own number.

use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Output, Stdio};

/// The program, serving.
pub(crate) struct Program {
    child: Child,
    output: BufReader<ChildStdout>,
    pub(crate) url: String,
    /// What it said at its start.
    pub(crate) greeting: String,
}

pub(crate) fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_springtide"));
    command.args(arguments);
    command
}

/// Runs it to its end, which must come by itself.
pub(crate) fn run(arguments: &[&str]) -> Output {
    command(arguments).output().unwrap()
}

impl Program {
    /// Starts `springtide serve` on a free port.
    pub(crate) fn serve(arguments: &[&str]) -> Self {
        let mut command = command(&["serve", "--listen", "127.0.0.1:0"]);
        command.args(arguments);
        Self::start(&mut command)
    }

    /// Starts what has been prepared, and waits until it serves.
    pub(crate) fn start(command: &mut Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let mut greeting = String::new();
        while !greeting.contains("  stop ") {
            assert!(output.read_line(&mut greeting).unwrap() > 0, "it ended: {greeting}");
        }
        let line = greeting.lines().find(|line| line.trim().starts_with("http://")).unwrap();
        let url = line.trim().to_owned();
        Self { child, output, url, greeting }
    }

    pub(crate) fn id(&self) -> String {
        self.child.id().to_string()
    }

    pub(crate) fn signal(&self, name: &str) {
        let killed = Command::new("kill").args(["-s", name, &self.id()]).status().unwrap();
        assert!(killed.success());
    }

    /// Waits for its end; the exit code and what it said last.
    pub(crate) fn end(mut self) -> (Option<i32>, String) {
        let mut rest = String::new();
        while self.output.read_line(&mut rest).unwrap() > 0 {}
        (self.child.wait().unwrap().code(), rest)
    }

    /// The same, with what it said of errors, which its command must have piped.
    pub(crate) fn end_with_errors(mut self) -> (Option<i32>, String) {
        let mut said = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        (self.end().0, said)
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An installed tool, by its name or the variable that names it.
pub(crate) fn tool(variable: &str, name: &str) -> PathBuf {
    std::env::var_os(variable).map_or_else(|| PathBuf::from(name), PathBuf::from)
}
