//! The program as a service: what it tells its supervisor.
//! The supervisor is the test: a socket that it made, and the variables that name it.

use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

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
fn the_manager_hears_of_start_life_and_end() {
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
fn a_manager_that_is_gone_is_no_reason_to_end() {
    for (name, reason) in [("/no/such/socket", "No such file"), ("vsock:2:1", "neither a path")] {
        let mut command = command(&["serve", "--listen", "127.0.0.1:0", "--workers", "1"]);
        command.env("NOTIFY_SOCKET", name).stderr(std::process::Stdio::piped());
        let program = Program::start(&mut command);
        program.signal("TERM");
        let (code, said) = program.end_with_errors();
        assert_eq!(code, Some(0));
        assert!(said.starts_with("springtide: cannot tell the supervisor: "), "{said}");
        assert!(said.contains(reason) && said.lines().count() == 1, "{said}");
    }
}
