//! The program from its command line: what it says, serves, refuses, and how it ends.
//! `curl` is the client: what it shows is what users see.

mod browser;
mod chromium;
mod deploy;
mod live;
mod process;
mod profile;

use std::io::{Read, Write};
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

/// What comes is summed, and what is longer than allowed is refused before it comes. No page may load
/// anything from elsewhere.
#[test]
fn curl_uploads_to_the_bundled_site() {
    let site = Site::new("curl-upload", &[("file", "123456789")]);
    let program = Program::serve(&[]);
    let (file, upload) = (format!("{}/file", site.path()), format!("{}/live/upload", program.url));
    assert_eq!(curl(&["--upload-file", &file, &upload]), r#"{"bytes":9,"crc32":"cbf43926"}"#);
    let head = ["--request", "PUT", "--header", "Content-Length: 1073741825"];
    let status = ["--output", "/dev/null", "--write-out", "%{http_code}"];
    assert_eq!(curl(&[&head[..], &status, &[&upload]].concat()), "413");
    let page = curl(&["--head", &format!("{}/chat.html", program.url)]);
    assert!(
        page.contains("content-security-policy: default-src 'none'; script-src 'self';"),
        "{page}"
    );
}

#[test]
fn curl_sees_a_directory() {
    let program = Program::serve(&[env!("CARGO_MANIFEST_DIR"), "--workers", "1"]);
    let text = curl(&[&format!("{}/Cargo.toml", program.url)]);
    assert!(text.contains("name = \"springtide-cli\""));
    assert!(program.greeting.contains("  workers  1\n"));
}

/// A directory with these files, removed in the end.
struct Site(std::path::PathBuf);

impl Site {
    fn new(name: &str, files: &[(&str, &str)]) -> Self {
        let unique = format!("springtide-program-{}-{name}", std::process::id());
        let path = std::env::temp_dir().join(unique);
        for (file, text) in files {
            let file = path.join(file);
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(file, text).unwrap();
        }
        Self(path)
    }

    fn path(&self) -> &str {
        self.0.to_str().unwrap()
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).unwrap();
    }
}

#[test]
fn curl_sees_an_application() {
    let files = [("index.html", "app"), ("assets/a.js", "script"), ("assets/a.js.br", "short")];
    let site = Site::new("application", &files);
    for engine in ENGINES {
        let cache =
            ["--cache-control", "assets/**=max-age=9, immutable", "--cache-control", "*=no-cache"];
        let flags =
            [&[site.path(), "--engine", engine, "--spa", "index.html"][..], &cache].concat();
        let program = Program::serve(&flags);
        let url = |path: &str| format!("{}{path}", program.url);
        let html = ["--include", "--header", "Accept: text/html"];
        let page = curl(&[&html[..], &[&url("/users/7")]].concat());
        assert!(page.starts_with("HTTP/1.1 200") && page.ends_with("\r\n\r\napp"), "{page}");
        assert!(page.contains("cache-control: no-cache\r\n"), "{page}");
        let missing = curl(&["--include", &url("/assets/none.js")]);
        assert!(missing.starts_with("HTTP/1.1 404"), "{missing}");
        let script = url("/assets/a.js");
        let short = curl(&["--include", "--header", "Accept-Encoding: gzip, br", &script]);
        assert!(short.contains("content-encoding: br\r\n") && short.ends_with("short"), "{short}");
        assert!(short.contains("cache-control: max-age=9, immutable\r\n"), "{short}");
        let plain = curl(&["--include", &script]);
        assert!(
            plain.contains("vary: accept-encoding\r\n") && plain.ends_with("script"),
            "{plain}"
        );
    }
}

#[test]
fn curl_sees_the_names_in_a_directory() {
    let site = Site::new("list", &[("b.txt", "b"), ("sub/a&b", "a"), (".hidden", "")]);
    for engine in ENGINES {
        let program = Program::serve(&[site.path(), "--engine", engine, "--list"]);
        let page = curl(&[&format!("{}/", program.url)]);
        let links: Vec<&str> = page.lines().filter(|line| line.starts_with("<li>")).collect();
        let expected =
            ["<li><a href=\"./sub/\">sub/</a></li>", "<li><a href=\"./b.txt\">b.txt</a></li>"];
        assert_eq!(links, expected, "{engine}");
        let page = curl(&["--location", &format!("{}/sub", program.url)]);
        assert!(page.contains("<a href=\"./a%26b\">a&amp;b</a>"), "{page}");
        assert_eq!(curl(&[&format!("{}/sub/a%26b", program.url)]), "a");
    }
}

#[test]
fn curl_asks_for_several_ranges() {
    let text: String = ('a'..='z').cycle().take(2600).collect();
    let site = Site::new("ranges", &[("file.txt", &text)]);
    let program = Program::serve(&[site.path(), "--workers", "1"]);
    let reply =
        curl(&["--include", "--range", "0-4,100-102", &format!("{}/file.txt", program.url)]);
    assert!(reply.starts_with("HTTP/1.1 206"), "{reply}");
    assert!(reply.contains("content-type: multipart/byteranges; boundary="), "{reply}");
    assert!(reply.contains("content-range: bytes 0-4/2600\r\n\r\nabcde\r\n--"), "{reply}");
    assert!(reply.contains("content-range: bytes 100-102/2600\r\n\r\nwxy\r\n--"), "{reply}");
}

#[test]
fn signals_stop_it() {
    for engine in ENGINES {
        let program = Program::serve(&["--engine", engine, "--drain-timeout", "5s"]);
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
        (
            &["serve", "--spa", "/x"],
            2,
            "error: invalid value '/x' for '--spa <FILE>': it is relative",
        ),
        (
            &["serve", "--cache-control", "max-age"],
            2,
            "error: invalid value 'max-age' for '--cache-control <PATTERN=VALUE>': it has no =",
        ),
        (&["serve", "--cache-control", "=x"], 2, "error: invalid value '=x' for '--cache-control"),
        (&["serve", "--cache-control", "*=\u{7f}"], 2, "error: invalid value '*="),
        (
            &["serve", "--head-timeout", "9"],
            2,
            "error: invalid value '9' for '--head-timeout <TIME>': it is a time",
        ),
        (
            &["serve", "--config", "no/such.toml"],
            1,
            "springtide: cannot read no/such.toml: No such",
        ),
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

/// A flag goes before a variable, a variable before the file, the file before the default.
#[test]
fn settings_come_from_four_places() {
    let text = "workers = 1\nlist = true\n\n[limits]\nhead_timeout = \"1s\"\nidle_timeout = \"2s\"\n\
                body_timeout = \"3s\"\n";
    let site = Site::new("settings", &[("springtide.toml", text)]);
    let file = format!("{}/springtide.toml", site.path());
    let mut show = process::command(&["config", "show", "--config", &file, "--head-timeout", "7s"]);
    show.env("SPRINGTIDE_HEAD_TIMEOUT", "8s").env("SPRINGTIDE_IDLE_TIMEOUT", "9s");
    let output = show.output().unwrap();
    let shown = String::from_utf8(output.stdout).unwrap();
    for line in [
        &format!("workers = 1  # {file}:1"),
        &format!("list = true  # {file}:2"),
        "latency = false  # default",
        "head_timeout = \"7s\"  # flag",
        "idle_timeout = \"9s\"  # variable SPRINGTIDE_IDLE_TIMEOUT",
        &format!("body_timeout = \"3s\"  # {file}:7"),
        "head_bytes_max = \"16KiB\"  # default",
    ] {
        assert!(shown.lines().any(|own| own == line), "{line} is missing:\n{shown}");
    }
    // What is shown is a file that says the same.
    std::fs::write(&file, &shown).unwrap();
    let checked = String::from_utf8(run(&["config", "check", &file]).stdout).unwrap();
    assert!(checked.contains("all as they may be"), "{checked}");
}

#[test]
fn mistakes_in_a_file_are_named_with_their_lines() {
    let text = "engine = \"magic\"\n[limits]\nhead_byte_max = \"1KiB\"\n";
    let site = Site::new("mistakes", &[("springtide.toml", text)]);
    let file = format!("{}/springtide.toml", site.path());
    let said = format!(
        "springtide: {file}:1: engine = \"magic\": it is one of auto, uring, epoll, poll\n\
         {file}:3: there is no key limits.head_byte_max; the nearest is limits.head_bytes_max\n"
    );
    for arguments in [&["config", "check", &file][..], &["serve", "--config", &file]] {
        let output = run(arguments);
        assert_eq!(output.status.code(), Some(1));
        assert_eq!(String::from_utf8(output.stderr).unwrap(), said);
    }
}

#[test]
fn check_tells_of_the_machine() {
    let said = String::from_utf8(run(&["check"]).stdout).unwrap();
    for word in
        ["kernel      ", "io_uring    works", "epoll       works", "files       ", "backlog "]
    {
        assert!(said.contains(word), "{word} is missing:\n{said}");
    }
}

/// The admin address tells of the server, and of its end as long as that takes.
#[test]
fn the_admin_address_tells_of_the_server() {
    use std::io::Write;
    let program = Program::serve(&["--workers", "2", "--admin", "127.0.0.1:0"]);
    let admin = program.greeting.lines().find_map(|line| line.strip_prefix("  admin    ")).unwrap();
    let address = program.url.strip_prefix("http://").unwrap();
    let mut slow = std::net::TcpStream::connect(address).unwrap();
    slow.write_all(b"GET / HTTP/1.1\r\n").unwrap();
    curl(&[&program.url]);
    let get = |path: &str| curl(&[&format!("http://{admin}{path}")]);
    let metrics = get("/metrics");
    assert!(metrics.contains("\nhttp_server_requests_total 1\n"), "{metrics}");
    let name = "\nspringtide_engine_completions_total ";
    let completions = metrics.split_once(name).and_then(|(_, rest)| rest.lines().next()).unwrap();
    assert!(completions.parse::<u64>().unwrap() > 1, "{metrics}");
    assert_eq!(get("/healthz"), "serving\n");
    while !get("/connections").contains("\"status\":\"reading\"") {}
    program.signal("TERM");
    while get("/healthz") != "draining\n" {}
    slow.write_all(b"Host: a\r\n\r\n").unwrap();
    let (code, said) = program.end();
    assert_eq!(code, Some(0), "{said}");
}

/// The log has what curl asked, and goes on in a new file when the old one was moved away.
#[test]
fn the_access_log_is_opened_anew() {
    let site = Site::new("log", &[("index.html", "here")]);
    let (log, moved) = (format!("{}/log", site.path()), format!("{}/log.1", site.path()));
    let program = Program::serve(&[site.path(), "--access-log", &log, "--log-format", "common"]);
    let wait_for = |path: &str, count: usize| {
        let read = || std::fs::read_to_string(path).unwrap_or_default();
        let lines = || read().lines().count();
        while lines() < count {
            std::thread::yield_now();
        }
        read()
    };
    curl(&[&format!("{}/", program.url)]);
    let first = wait_for(&log, 1);
    assert!(first.starts_with("127.0.0.1 - - ["), "{first}");
    assert!(first.ends_with("\"GET / HTTP/1.1\" 200 4\n"), "{first}");
    std::fs::rename(&log, &moved).unwrap();
    program.signal("USR1");
    while !std::path::Path::new(&log).exists() {
        curl(&[&format!("{}/nothing", program.url)]);
    }
    assert!(wait_for(&log, 1).contains("\"GET /nothing HTTP/1.1\" 404 "));
    program.signal("TERM");
    let (code, said) = program.end();
    assert_eq!(code, Some(0), "{said}");
    let lines = [&moved, &log].map(|path| wait_for(path, 0).lines().count()).iter().sum::<usize>();
    assert!(said.contains(&format!("stopped: {lines} requests answered")), "{lines}: {said}");
}

/// Whom a trusted proxy names is the client, in the log as well.
#[test]
fn proxies_name_the_client() {
    let site = Site::new("proxied", &[("home.html", "here"), ("none.html", "nothing here")]);
    let pages = [site.path(), "--index", "home.html", "--not-found-page", "none.html"];
    for (flags, said) in [
        (&["--trusted-proxies", "127.0.0.1"][..], "X-Forwarded-For: 192.0.2.7\r\n"),
        (
            &["--trusted-proxies=127.0.0.1,unix", "--proxy-fields=forwarded"],
            "Forwarded: for=192.0.2.7\r\n",
        ),
        (&["--trusted-proxies=127.0.0.0/8", "--proxy-protocol"], ""),
    ] {
        let program = Program::serve(
            &[&pages[..], flags, &["--access-log", "-", "--log-format", "common"]].concat(),
        );
        let address = program.url.strip_prefix("http://").unwrap();
        let mut stream = std::net::TcpStream::connect(address).unwrap();
        if said.is_empty() {
            stream.write_all(b"PROXY TCP4 192.0.2.7 192.0.2.1 4711 80\r\n").unwrap();
        }
        for (path, end) in [("/", "here"), ("/x", "nothing here")] {
            write!(stream, "GET {path} HTTP/1.1\r\nHost: a\r\n{said}\r\n").unwrap();
            let mut received = Vec::new();
            while !received.ends_with(end.as_bytes()) {
                let mut byte = [0];
                stream.read_exact(&mut byte).unwrap();
                received.push(byte[0]);
            }
        }
        program.signal("TERM");
        let (code, log) = program.end();
        assert_eq!(code, Some(0), "{log}");
        assert!(log.contains("192.0.2.7 - - ["), "{flags:?} {log}");
        assert!(log.contains("\"GET /x HTTP/1.1\" 404 12\n"), "{log}");
    }
    let flags = ["serve", site.path(), "--listen", "127.0.0.1:0", "--proxy-protocol"];
    assert_eq!(run(&flags).status.code(), Some(1), "it takes a proxy that is trusted");
}

#[test]
fn help_tells_how_to_use_it() {
    let help = String::from_utf8(run(&["serve", "--help"]).stdout).unwrap();
    let words = ["--listen", "--workers", "--engine", "--latency", "--hidden", "unix:"];
    let more = ["--list", "--spa", "--cache-control", "--drain-timeout", "--head-bytes-max"];
    for word in words.into_iter().chain(more) {
        assert!(help.contains(word), "{word} is missing");
    }
    let version = String::from_utf8(run(&["--version"]).stdout).unwrap();
    assert_eq!(version.trim(), concat!("springtide ", env!("CARGO_PKG_VERSION")));
}
