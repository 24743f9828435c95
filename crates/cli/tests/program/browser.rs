//! The bundled site in a real browser: pages, styles, scripts and counters that move.
//! The browser is a process of the test's own, without a network beyond loopback.

use std::process::Command;

use crate::process::{self, Program};

/// The page as it stands when its scripts have run for some seconds of the browser's own time.
fn page(url: &str, profile: &str) -> String {
    let unique = format!("springtide-browser-{}-{profile}", std::process::id());
    let directory = std::env::temp_dir().join(unique);
    let output = Command::new(process::tool("SPRINGTIDE_CHROMIUM", "chromium"))
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"])
        .args(["--disable-background-networking", "--disable-component-update", "--disable-sync"])
        .arg("--disable-features=LocalNetworkAccessChecks")
        .arg(format!("--user-data-dir={}", directory.display()))
        .args(["--virtual-time-budget=5000", "--timeout=20000", "--dump-dom", url])
        .output()
        .unwrap();
    // What the browser leaves behind is its own.
    let _ = std::fs::remove_dir_all(&directory);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// The text of the element that shows a count.
fn count(dom: &str, name: &str) -> u64 {
    let mark = format!("data-count=\"{name}\">");
    let behind = dom.split(&mark).nth(1).unwrap_or_else(|| panic!("{name} is not shown"));
    let digits: String = behind.chars().take_while(|next| *next != '<').collect();
    let digits: String = digits.chars().filter(char::is_ascii_digit).collect();
    digits.parse().unwrap_or_else(|_| panic!("{name} has no number"))
}

fn check(engine: &str) {
    let program = Program::serve(&["--engine", engine]);
    let start = page(&program.url, &format!("{engine}-start"));
    assert!(start.contains(&format!("Springtide {} on", env!("CARGO_PKG_VERSION"))), "{start}");
    // The page itself, its style, its script and its icon were requests before the first count.
    assert!(count(&start, "requests_total") >= 4);
    assert!(count(&start, "turns_total") > 0);
    let again = page(&program.url, &format!("{engine}-again"));
    assert!(count(&again, "requests_total") > count(&start, "requests_total"));
    let examples = page(&format!("{}/examples.html", program.url), &format!("{engine}-examples"));
    assert!(examples.contains("hello.rs"), "the examples are not listed");
    assert!(examples.contains("Server") && examples.contains("Hello, World!"));
}

#[test]
fn browser_shows_the_site_over_uring() {
    check("uring");
}

#[test]
fn browser_shows_the_site_over_epoll() {
    check("epoll");
}
