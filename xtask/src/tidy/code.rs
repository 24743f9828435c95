//! Checks on how code is written: headers, `cfg` in bodies, unfinished work, sleeping and fixed
//! ports, names. Never looks at more than one file.

use super::Finding;
use super::source::{Kind, Source, Token};

/// Rule 1: a reader learns from the first line what the file is.
pub(super) fn header(source: &Source) -> Vec<Finding> {
    if source.text.starts_with("//!") {
        return Vec::new();
    }
    let advice = "begin the file with `//!`: one sentence what it is, one what it must never do";
    vec![Finding::new("header", &source.path, 1, advice)]
}

/// Rule 16: the platform is chosen by folder, so that a reader of a function sees all of it.
pub(super) fn cfg_in_bodies(source: &Source) -> Vec<Finding> {
    if !source.path.starts_with("crates/") {
        return Vec::new();
    }
    let patterns: [&[&str]; 4] =
        [&["#", "[", "cfg"], &["#", "[", "cfg_attr"], &["#", "!", "[", "cfg"], &["cfg", "!"]];
    let advice = "move what depends on the platform into a file of its own, chosen at its `mod`";
    let found = patterns.iter().flat_map(|pattern| source.runs(pattern));
    findings("cfg-in-body", source, found.filter(|token| token.in_body), advice)
}

/// Rule 23: what is not finished is not in main.
pub(super) fn unfinished(source: &Source) -> Vec<Finding> {
    let advice = "finish it, or leave it out and file an issue";
    let macros = ["todo", "unimplemented"];
    let runs: Vec<[&str; 2]> = macros.iter().map(|name| [*name, "!"]).collect();
    let calls = runs.iter().flat_map(|run| source.runs(run));
    let mut found = findings("unfinished", source, calls, advice);
    let notes = [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X")];
    for (index, line) in source.text.lines().enumerate() {
        let mut words = line.split(|c: char| !(c.is_alphanumeric() || c == '_'));
        if words.any(|word| notes.contains(&word)) {
            found.push(Finding::new("unfinished", &source.path, index + 1, advice));
        }
    }
    found
}

/// Rule 24: a test that does not run proves nothing.
pub(super) fn ignored_tests(source: &Source) -> Vec<Finding> {
    let advice = "make the test run everywhere, or name it after the tool that it needs \
                  (`browser_…`), so that `cargo xtask test` can say that it did not run";
    findings("ignored-test", source, source.runs(&["#", "[", "ignore"]), advice)
}

/// Rule 24: a sleep is a guess. The load generator may sleep for the length of a measurement; that
/// is no guess about anybody else.
pub(super) fn sleeps(source: &Source) -> Vec<Finding> {
    if source.path.starts_with("bench/src/") {
        return Vec::new();
    }
    let advice = "wait for what must have happened, with a deadline: a channel's `recv_timeout`, \
                  a read with a timeout, a task's `wait_for`";
    let sleeps = source.runs(&["thread", "::", "sleep"]).chain(source.runs(&["sleep_ms"]));
    findings("sleep", source, sleeps, advice)
}

/// Rule 24: two tests, or a test and a service of the machine, may not want the same port. The
/// machines of `proto` open no socket, so addresses in their tests are only text.
pub(super) fn fixed_ports(source: &Source) -> Vec<Finding> {
    if source.path.starts_with("crates/proto/") {
        return Vec::new();
    }
    let advice = "listen on port 0 and ask for the address; where an address is only data, \
                  write one of 192.0.2.0/24";
    let tokens = &source.tokens;
    let found = tokens.iter().enumerate().filter(|(at, token)| {
        let next = |offset: usize| tokens.get(at + offset).map_or("", |token| token.text.as_str());
        let names_this_machine = is_own_host(unquoted(&token.text)) || token.text == "LOCALHOST";
        token.in_test
            && (is_fixed_address(unquoted(&token.text))
                || (names_this_machine && next(1) == "," && is_port(next(2))))
    });
    findings("fixed-port", source, found.map(|(_, token)| token), advice)
}

/// Rule 6: words that say nothing, and a `get_` that says less than none.
pub(super) fn names(source: &Source) -> Vec<Finding> {
    let mut found = Vec::new();
    for pair in source.tokens.windows(2) {
        let [keyword, name] = pair else { continue };
        if keyword.kind != Kind::Word || name.kind != Kind::Word {
            continue;
        }
        let is_type =
            matches!(keyword.text.as_str(), "struct" | "enum" | "union" | "trait" | "type" | "mod");
        if is_type && says_nothing(&name.text) {
            let advice = format!("say what `{}` is or does; the word says neither", name.text);
            found.push(Finding::new("name", &source.path, name.line, &advice));
        }
        // Beside a `get`, the standard library's word for the same by `&mut` is the clearest.
        let is_getter = name.text.starts_with("get_") && name.text != "get_mut";
        if keyword.text == "fn" && is_getter {
            let advice = format!("call it `{}`", name.text.trim_start_matches("get_"));
            found.push(Finding::new("name", &source.path, name.line, &advice));
        }
    }
    found
}

/// Says whether a type's or module's name has one of the empty words as a word of its own.
fn says_nothing(name: &str) -> bool {
    let mut words: Vec<String> = Vec::new();
    for c in name.chars() {
        if c.is_uppercase() || words.is_empty() || c == '_' {
            words.push(String::new());
        }
        if let Some(word) = words.last_mut().filter(|_| c != '_') {
            word.extend(c.to_lowercase());
        }
    }
    let empty = ["manager", "helper", "helpers", "util", "utils"];
    words.iter().any(|word| empty.contains(&word.as_str()))
}

fn is_own_host(text: &str) -> bool {
    matches!(text, "127.0.0.1" | "localhost" | "0.0.0.0" | "::1" | "::" | "[::1]" | "[::]")
}

/// Port 0 is the system's choice, and port 1 where a test may count on nobody.
fn is_port(text: &str) -> bool {
    text.parse::<u16>().is_ok_and(|port| port > 1)
}

/// `127.0.0.1:8080`, alone or as the value of an option.
fn is_fixed_address(text: &str) -> bool {
    let address = text.rsplit('=').next().unwrap_or(text);
    address.rsplit_once(':').is_some_and(|(host, port)| is_own_host(host) && is_port(port))
}

fn unquoted(literal: &str) -> &str {
    literal.trim_start_matches(['b', 'c', 'r', '#']).trim_end_matches('#').trim_matches('"')
}

pub(super) fn findings<'a>(
    rule: &'static str,
    source: &Source,
    tokens: impl Iterator<Item = &'a Token>,
    advice: &str,
) -> Vec<Finding> {
    tokens.map(|token| Finding::new(rule, &source.path, token.line, advice)).collect()
}

#[cfg(test)]
mod tests {
    use super::super::tests::{clean, found};
    use super::*;

    const HERE: &str = "crates/engine/src/x.rs";
    const TEST: &str = "crates/engine/tests/x.rs";

    #[test]
    fn a_file_needs_a_header() {
        found(header, HERE, &["// x", "use a;", "\n//! x"]);
        clean(header, HERE, &["//! What it is.\nuse a;"]);
    }

    #[test]
    fn cfg_stays_out_of_bodies() {
        let bad = [
            "fn a() { #[cfg(unix)] b(); }",
            "fn a() { #[cfg_attr(unix, inline)] fn c() {} }",
            "fn a() { if cfg!(unix) { b() } }",
            "impl A { fn a() { B { #[cfg(unix)] c: 1 } } }",
        ];
        found(cfg_in_bodies, HERE, &bad);
        let good = [
            "#[cfg(unix)] mod a; #[cfg(unix)] fn a() {} impl A { #[cfg(unix)] fn b() {} }",
            "const A: bool = cfg!(debug_assertions);",
            "fn a() { /* #[cfg(unix)] */ b(\"cfg!(unix)\") }",
        ];
        clean(cfg_in_bodies, HERE, &good);
        clean(cfg_in_bodies, "bench/src/x.rs", &bad);
    }

    #[test]
    fn unfinished_work_is_found() {
        let notes = [concat!("// TO", "DO: x"), concat!("/* FIX", "ME */"), concat!("// XX", "X")];
        found(unfinished, HERE, &notes);
        found(unfinished, HERE, &["fn a() { todo!() }", "fn a() { unimplemented!(\"b\") }"]);
        clean(unfinished, HERE, &["// mkstemp(\"XXXXXX\")\nfn todo() { todo(); } // todo list"]);
    }

    #[test]
    fn ignored_tests_are_found() {
        found(ignored_tests, TEST, &["#[ignore] fn a() {}", "#[ignore = \"b\"] fn a() {}"]);
        clean(ignored_tests, TEST, &["fn ignore() {} // #[ignore]"]);
    }

    #[test]
    fn sleeps_are_found() {
        let bad = ["fn a() { std::thread::sleep(b); }", "use std::thread::sleep;"];
        found(sleeps, TEST, &bad);
        found(sleeps, HERE, &bad);
        found(sleeps, "bench/tests/x.rs", &bad);
        clean(sleeps, "bench/src/x.rs", &bad);
        clean(sleeps, TEST, &["fn a() { self.sleep(b); thread::spawn(c); }"]);
    }

    #[test]
    fn fixed_ports_are_found_in_tests() {
        let bad = [
            "fn a() { listen(\"127.0.0.1:8080\"); }",
            "fn a() { arg(\"--listen=[::1]:80\"); }",
            "fn a() { listen((\"localhost\", 7000)); }",
            "fn a() { listen((Ipv4Addr::LOCALHOST, 7000)); }",
        ];
        found(fixed_ports, TEST, &bad);
        clean(fixed_ports, HERE, &bad);
        clean(fixed_ports, "crates/proto/tests/x.rs", &bad);
        found(fixed_ports, HERE, &["#[cfg(test)] mod t { fn a() { listen(\"0.0.0.0:80\"); } }"]);
        let good = [
            "fn a() { listen(\"127.0.0.1:0\"); listen((\"localhost\", 0)); connect(\"127.0.0.1:1\"); }",
            "fn a() { parse(\"192.0.2.1:80\"); send(\"Host: 127.0.0.1:8080\\r\\n\"); }",
        ];
        clean(fixed_ports, TEST, &good);
    }

    #[test]
    fn empty_names_are_found() {
        let bad = [
            "struct SocketManager;",
            "trait PathHelper {}",
            "mod util;",
            "mod test_helpers {}",
            "enum Utils {}",
            "fn get_length() {}",
        ];
        found(names, HERE, &bad);
        let good = [
            "struct Managed; mod utility; fn get() {} fn get_mut() {} fn target() {} fn a() { get_b() }",
        ];
        clean(names, HERE, &good);
    }
}
