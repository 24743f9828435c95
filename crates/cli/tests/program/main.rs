//! The program from its command line: what it says, serves, refuses, and how it ends.
//! `curl` is the client: what it shows is what users see.

mod browser;
mod process;

use std::process::Command;

use process::{Program, run};

const ENGINES: [&str; 3] = ["uring", "epoll", "poll"];

fn curl(arguments: &[&str]) -> String {
    let output = Command::new(process::tool("SPRINGTIDE_CURL", "curl"))
        .args(["--silent", "--show-error", "--max-time", "20", "--path-as-is"])
        .args(arguments)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn curl_sees_the_bundled_site() {
    for engine in ENGINES {
        let program = Program::serve(&["--engine", engine]);
        let url = |path: &str| format!("{}{path}", program.url);
        assert!(program.greeting.contains(&format!("  engine   {engine} (asked for)")));
        assert!(curl(&[&url("/")]).contains("<title>Springtide"));
        assert_eq!(curl(&[&url("/plaintext")]), "Hello, World!");
        assert_eq!(curl(&[&url("/json")]), r#"{"message":"Hello, World!"}"#);
        assert!(curl(&[&url("/api/counters")]).contains("\"requests_total\":"));
        assert!(curl(&[&url("/api/examples")]).contains("\"name\":\"hello\""));
        assert!(curl(&[&url("/examples/hello.rs")]).contains("fn main()"));
        let head = curl(&["--head", &url("/style.css")]);
        assert!(head.contains("HTTP/1.1 200 OK") && head.contains("text/css"), "{head}");
        let tag = head.lines().find_map(|line| line.strip_prefix("etag: ")).unwrap().trim();
        let status = ["--output", "/dev/null", "--write-out", "%{http_code}"];
        let condition = format!("If-None-Match: {tag}");
        let style = url("/style.css");
        let cached = [&status[..], &["--header", &condition, &style]].concat();
        assert_eq!(curl(&cached), "304");
        assert_eq!(curl(&["--range", "0-14", &url("/")]), "<!doctype html>");
        for path in ["/../Cargo.toml", "/%2e%2e/Cargo.toml", "/.gitignore", "/nothing"] {
            assert_eq!(curl(&[&status[..], &[&url(path)]].concat()), "404", "{path}");
        }
    }
}

#[test]
fn curl_sees_a_directory() {
    let program = Program::serve(&[env!("CARGO_MANIFEST_DIR"), "--workers", "1"]);
    let text = curl(&[&format!("{}/Cargo.toml", program.url)]);
    assert!(text.contains("name = \"springtide-cli\""));
    assert!(program.greeting.contains("  workers  1\n"));
}

#[test]
fn signals_stop_it() {
    for engine in ENGINES {
        let program = Program::serve(&["--engine", engine, "--grace", "5"]);
        program.signal("TERM");
        let (code, said) = program.end();
        assert_eq!(code, Some(0), "{said}");
        assert!(said.contains("stopping: 0 connections are open"), "{said}");
        assert!(said.contains("stopped: 0 requests answered"), "{said}");
    }
}

#[test]
fn a_second_signal_stops_it_at_once() {
    use std::io::{Read, Write};
    let program = Program::serve(&["--workers", "1"]);
    let address = program.url.strip_prefix("http://").unwrap();
    let mut stuck = std::net::TcpStream::connect(address).unwrap();
    stuck.write_all(b"GET /plaintext HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nHo").unwrap();
    assert!(stuck.read(&mut [0; 1000]).unwrap() > 0);
    program.signal("INT");
    program.signal("TERM");
    let (code, said) = program.end();
    assert_eq!(code, Some(130), "{said}");
}

#[test]
fn mistakes_get_one_clear_line() {
    let taken = Program::serve(&["--workers", "1"]);
    let address = taken.url.strip_prefix("http://").unwrap();
    let in_use = format!("springtide: cannot listen on {address}: Address already in use");
    for (arguments, code, line) in [
        (
            &["serve", "no/such/place"][..],
            1,
            "springtide: cannot serve the directory no/such/place",
        ),
        (&["serve", "--listen", address], 1, &in_use),
        (
            &["serve", "--listen", "localhost"],
            1,
            "springtide: cannot listen on \"localhost\": a port",
        ),
        (
            &["serve", "--listen", "192.0.2.1:80"],
            1,
            "springtide: cannot listen on 192.0.2.1:80: Cannot",
        ),
        (&["serve", "--engine", "magic"], 2, "error: invalid value 'magic' for '--engine"),
        (&["serve", "--workers", "0"], 2, "error: invalid value '0' for '--workers"),
        (&["serve", "--wrong"], 2, "error: unexpected argument '--wrong'"),
    ] {
        let output = run(arguments);
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{said}");
        assert!(said.starts_with(line), "{said}");
        assert!(code == 2 || said.lines().count() == 1, "{said}");
        assert!(output.stdout.is_empty());
    }
}

#[test]
fn help_tells_how_to_use_it() {
    let help = String::from_utf8(run(&["serve", "--help"]).stdout).unwrap();
    for word in ["--listen", "--workers", "--engine", "--latency", "--hidden", "--grace", "unix:"] {
        assert!(help.contains(word), "{word} is missing");
    }
    let version = String::from_utf8(run(&["--version"]).stdout).unwrap();
    assert_eq!(version.trim(), concat!("springtide ", env!("CARGO_PKG_VERSION")));
}
