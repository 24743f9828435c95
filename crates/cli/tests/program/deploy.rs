//! The program as a service: what it tells its supervisor, and what it is given by it.
//! The supervisor is the test: sockets that it made, and the variables that name them.

use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram, UnixListener};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::curl;
use crate::process::{Program, command};

const PATIENCE: Duration = Duration::from_secs(30);

/// A supervisor's socket and its name in `NOTIFY_SOCKET`.
fn supervisor(is_abstract: bool) -> (UnixDatagram, String) {
    let name = format!("springtide-service-{}-{is_abstract}", std::process::id());
    let (address, name) = if is_abstract {
        (SocketAddr::from_abstract_name(&name).unwrap(), format!("@{name}"))
    } else {
        let path = std::env::temp_dir().join(name);
        (SocketAddr::from_pathname(&path).unwrap(), path.to_str().unwrap().to_owned())
    };
    let socket = UnixDatagram::bind_addr(&address).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    (socket, name)
}

fn next(socket: &UnixDatagram) -> String {
    let mut bytes = [0; 500];
    let length = socket.recv(&mut bytes).unwrap();
    String::from_utf8(bytes[..length].to_vec()).unwrap()
}

#[test]
fn the_supervisor_hears_of_start_life_and_end() {
    for is_abstract in [true, false] {
        let (socket, name) = supervisor(is_abstract);
        let mut command = command(&["serve", "--listen", "127.0.0.1:0", "--workers", "2"]);
        command.env("NOTIFY_SOCKET", &name).env("WATCHDOG_USEC", "20000");
        let program = Program::start(&mut command);
        let url = &program.url;
        assert_eq!(next(&socket), format!("READY=1\nSTATUS=serves the bundled site at {url}"));
        for _ in 0..3 {
            assert_eq!(next(&socket), "WATCHDOG=1");
        }
        program.signal("TERM");
        let mut said = next(&socket);
        while said == "WATCHDOG=1" {
            said = next(&socket);
        }
        assert_eq!(said, "STOPPING=1\nSTATUS=draining: 0 connections were open");
        assert_eq!(program.end().0, Some(0));
        if !is_abstract {
            std::fs::remove_file(name).unwrap();
        }
    }
}

/// Who cannot be told is named, and the program serves all the same.
#[test]
fn a_supervisor_that_is_gone_is_no_reason_to_end() {
    for (name, reason) in [("/no/such/socket", "No such file"), ("vsock:2:1", "neither a path")] {
        let mut command = command(&["serve", "--listen", "127.0.0.1:0", "--workers", "1"]);
        command.env("NOTIFY_SOCKET", name).stderr(Stdio::piped());
        let program = Program::start(&mut command);
        program.signal("TERM");
        let (code, said) = program.end_with_errors();
        assert_eq!(code, Some(0));
        assert!(said.starts_with("springtide: cannot tell the supervisor: "), "{said}");
        assert!(said.contains(reason) && said.lines().count() == 1, "{said}");
    }
}

/// `springtide serve` as a supervisor starts it, with a socket as the descriptors 3 and 4.
fn activated(socket: impl Into<OwnedFd>, variables: &str, flags: &[&str]) -> Command {
    let begin = format!("exec 3<&0 4<&0 0</dev/null; {variables} exec \"$@\"");
    let mut command = Command::new("sh");
    let program = env!("CARGO_BIN_EXE_springtide");
    command.args(["-c", &begin, "sh", program, "serve", "--workers", "2"]).args(flags);
    command.stdin(Stdio::from(socket.into())).stderr(Stdio::piped());
    command
}

/// O_CLOEXEC.
const CLOSED_LATER: u32 = 0o2_000_000;

/// The descriptors of a process that are sockets.
fn sockets_of(id: &str) -> Vec<String> {
    let entries = std::fs::read_dir(format!("/proc/{id}/fd")).unwrap().map(Result::unwrap);
    let is_socket = |path: PathBuf| path.to_str().unwrap().starts_with("socket:");
    let sockets = entries.filter(|entry| std::fs::read_link(entry.path()).is_ok_and(is_socket));
    sockets.map(|entry| entry.file_name().into_string().unwrap()).collect()
}

fn flags_of(id: &str, descriptor: &str) -> u32 {
    let info = std::fs::read_to_string(format!("/proc/{id}/fdinfo/{descriptor}")).unwrap();
    let flags = info.lines().find_map(|line| line.strip_prefix("flags:")).unwrap();
    u32::from_str_radix(flags.trim(), 8).unwrap()
}

#[test]
fn sockets_that_were_passed_are_listened_on() {
    for (variables, flags) in [
        ("LISTEN_PID=$$ LISTEN_FDS=2", &[][..]),
        ("LISTEN_PID=$$ LISTEN_FDS=2 LISTEN_FDNAMES=a:b", &["--listen", "fd:b,fd:a"]),
        ("", &["--listen", "fd:3", "--listen", "fd:4"]),
    ] {
        let socket = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", socket.local_addr().unwrap());
        let program = Program::start(&mut activated(socket, variables, flags));
        assert_eq!(program.greeting.matches(&url).count(), 2, "{}", program.greeting);
        assert_eq!(curl(&[&format!("{url}/plaintext")]), "Hello, World!");
        let sockets = sockets_of(&program.id());
        assert!(sockets.len() >= 2, "{sockets:?}");
        for number in sockets {
            assert!(flags_of(&program.id(), &number) & CLOSED_LATER != 0, "{number}");
        }
        program.signal("TERM");
        assert_eq!(program.end_with_errors(), (Some(0), String::new()));
    }
}

#[test]
fn a_unix_socket_may_be_passed() {
    let path = std::env::temp_dir().join(format!("springtide-passed-{}", std::process::id()));
    let path = path.to_str().unwrap();
    let socket = UnixListener::bind(path).unwrap();
    let flags = ["--listen", "fd:3,127.0.0.1:0"];
    let program = Program::start(&mut activated(socket, "LISTEN_PID=$$ LISTEN_FDS=2", &flags));
    assert!(program.greeting.contains(&format!("  unix:{path}\n")), "{}", program.greeting);
    assert_eq!(curl(&["--unix-socket", path, "http://a/plaintext"]), "Hello, World!");
    program.signal("TERM");
    let said = "springtide: fd:4 was passed and is not listened on: --listen says others\n";
    assert_eq!(program.end_with_errors(), (Some(0), said.to_owned()));
    std::fs::remove_file(path).unwrap();
}

/// A Unix socket is there with its permissions while the program runs, and gone behind it.
#[test]
fn a_unix_socket_is_served_and_removed() {
    let path = std::env::temp_dir().join(format!("springtide-own-{}", std::process::id()));
    let (log, address) = (path.with_extension("log"), format!("unix:{}", path.display()));
    let flags = ["--listen", &address, "--unix-mode", "600", "--log-format", "common"];
    let program = Program::serve(&[&flags[..], &["--access-log", log.to_str().unwrap()]].concat());
    assert!(program.greeting.contains(&format!("  {address}\n")), "{}", program.greeting);
    let reply = curl(&["--unix-socket", path.to_str().unwrap(), "http://a/plaintext"]);
    assert_eq!(reply, "Hello, World!");
    let mode = std::os::unix::fs::PermissionsExt::mode(&path.metadata().unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);
    program.signal("TERM");
    assert_eq!(program.end().0, Some(0));
    assert!(!path.exists());
    let lines = std::fs::read_to_string(&log).unwrap();
    assert!(lines.starts_with("unix - - ["), "{lines}");
    std::fs::remove_file(log).unwrap();
}

#[test]
fn what_cannot_be_listened_on_is_named() {
    let datagrams = || OwnedFd::from(std::net::UdpSocket::bind("127.0.0.1:0").unwrap());
    let file = || OwnedFd::from(std::fs::File::open("/dev/null").unwrap());
    let passed = "LISTEN_PID=$$ LISTEN_FDS=1 LISTEN_FDNAMES=web";
    for (socket, variables, flags, line) in [
        (datagrams(), passed, &[][..], "fd:3: cannot listen on an open socket: it is a socket w"),
        (file(), "", &["--listen", "fd:4"], "fd:4: cannot listen on an open socket: Socket op"),
        (
            file(),
            "",
            &["--listen", "fd:1000000"],
            "cannot listen on fd:1000000: Bad file descriptor",
        ),
        (file(), passed, &["--listen", "fd:api"], "cannot listen on fd:api: no socket of this"),
        (file(), "LISTEN_PID=$$ LISTEN_FDS=many", &[], "LISTEN_FDS is \"many\": it is a number"),
    ] {
        let output = activated(socket, variables, flags).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.starts_with(&format!("springtide: {line}")), "{said}");
        assert_eq!(said.lines().count(), 1, "{said}");
    }
}

fn is_root() -> bool {
    std::os::unix::fs::MetadataExt::uid(&std::fs::metadata("/proc/self").unwrap()) == 0
}

/// What each thread of a process says of itself in a line of `/proc`.
fn threads_say(id: &str, field: &str) -> Vec<String> {
    let threads = std::fs::read_dir(format!("/proc/{id}/task")).unwrap().map(Result::unwrap);
    let status = threads.map(|thread| std::fs::read_to_string(thread.path().join("status")));
    let line = |status: String| {
        let value = status.lines().find_map(|line| line.strip_prefix(field)).unwrap();
        value.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    status.map(|status| line(status.unwrap())).collect()
}

/// The addresses and the log are root's; who answers is not, in any thread.
#[test]
fn root_is_given_up_in_every_thread() {
    if !is_root() {
        return eprintln!("skipped: only root can be given up");
    }
    let log = std::env::temp_dir().join(format!("springtide-user-{}", std::process::id()));
    let log = log.to_str().unwrap();
    for engine in ["uring", "epoll", "poll"] {
        let flags = ["--engine", engine, "--workers", "2", "--access-log", log];
        let others = ["--user", "54321:54322", "--admin", "127.0.0.1:0"];
        let program = Program::serve(&[&flags[..], &others].concat());
        assert_eq!(curl(&[&format!("{}/plaintext", program.url)]), "Hello, World!");
        for (field, value) in [
            ("Uid:", "54321 54321 54321 54321"),
            ("Gid:", "54322 54322 54322 54322"),
            ("Groups:", "54322"),
            ("CapEff:", "0000000000000000"),
            ("CapPrm:", "0000000000000000"),
        ] {
            let said = threads_say(&program.id(), field);
            assert!(said.len() >= 4 && said.iter().all(|own| own == value), "{field} {said:?}");
        }
        program.signal("TERM");
        assert_eq!(program.end().0, Some(0));
        assert!(std::fs::read_to_string(log).unwrap().contains("/plaintext"));
        std::fs::remove_file(log).unwrap();
    }
}

#[test]
fn who_cannot_be_served_as_is_named() {
    for (user, reason) in [("root", "root is root"), ("no-such-user", "there is no user")] {
        let output = command(&["serve", "--listen", "127.0.0.1:0", "--user", user]).output();
        let output = output.unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{said}");
        let line = format!("springtide: cannot serve as another user: {reason}");
        assert!(said.starts_with(&line) && said.lines().count() == 1, "{said}");
    }
}

#[test]
fn only_root_can_serve_as_another_user() {
    if !is_root() {
        return eprintln!("skipped: a user to start as is root's to choose");
    }
    let mut command = command(&["serve", "--listen", "127.0.0.1:0", "--user", "54321:54322"]);
    let started = std::os::unix::process::CommandExt::uid(&mut command, 54323);
    let said = String::from_utf8(started.output().unwrap().stderr).unwrap();
    assert!(said.contains("only root can (start it as root, or leave out --user)"), "{said}");
}

/// Nobody reads what it says, as with a pipe whose reader has gone: it serves on, and ends when it is
/// told to.
#[test]
fn who_is_not_heard_serves_all_the_same() {
    use std::io::{Read, Write};
    let socket_name = format!("springtide-unheard-{}", std::process::id());
    let address = SocketAddr::from_abstract_name(&socket_name).unwrap();
    let socket = UnixDatagram::bind_addr(&address).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let full = || Stdio::from(std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap());
    let mut child = command(&["serve", "--listen", "127.0.0.1:0", "--workers", "1"])
        .env("NOTIFY_SOCKET", format!("@{socket_name}"))
        .stdout(full())
        .stderr(full())
        .spawn()
        .unwrap();
    let ready = next(&socket);
    let address = ready.rsplit("http://").next().unwrap().to_owned();
    let talk = |request: &str| {
        let mut stream = std::net::TcpStream::connect(&address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut status = [0; 12];
        stream.read_exact(&mut status).map(|()| String::from_utf8(status.to_vec()).unwrap())
    };
    let long = format!("GET / HTTP/1.1\r\nHost: a\r\nA: {}", "x".repeat(20 << 10));
    assert_eq!(talk(&long).unwrap(), "HTTP/1.1 431", "a limit is told of");
    assert_eq!(talk("GET /plaintext HTTP/1.1\r\nHost: a\r\n\r\n").unwrap(), "HTTP/1.1 200");
    let id = child.id().to_string();
    assert!(Command::new("kill").args(["-s", "TERM", &id]).status().unwrap().success());
    assert!(next(&socket).starts_with("STOPPING=1"));
    assert_eq!(child.wait().unwrap().code(), Some(0));
}
