//! Checks on where things may stand: unsafe code, state of the thread or the process, the clock and
//! the system's calls each have their rooms. Never looks into tests, except for unsafe code.

use super::code::findings;
use super::source::{Kind, Source, Token};
use super::{Finding, UNSAFE_LIST};
use std::collections::BTreeMap;

const CLOCK: &str = "crates/engine/src/clock.rs";
const CURRENT: &str = "crates/springtide/src/current.rs";
const BACKGROUND: &str = "crates/springtide/src/standalone/background.rs";
const SYSTEM: [&str; 4] = [
    "crates/engine/src/backend/uring",
    "crates/engine/src/backend/readiness/selector/epoll.rs",
    "crates/engine/src/backend/readiness/selector/epoll/",
    "crates/engine/src/system/linux/",
];
/// The crates that a later server loads as a library: what they keep outside a shard is lost then.
const MOVABLE: [&str; 3] = ["crates/engine/src/", "crates/proto/src/", "crates/springtide/src/"];

/// Time comes from the engine, so that the simulated backend can give its own.
pub(super) fn clock(source: &Source) -> Vec<Finding> {
    if !source.is_crate_source() || source.path == CLOCK {
        return Vec::new();
    }
    let reads = source
        .runs(&["Instant", "::", "now"])
        .chain(source.runs(&["SystemTime", "::", "now"]))
        .filter(|token| !token.in_test);
    let advice = format!("ask the engine's clock; only {CLOCK} reads the system's");
    findings("clock", source, reads, &advice)
}

/// One place per mechanism of the system, so that another system is another folder.
pub(super) fn system_calls(source: &Source) -> Vec<Finding> {
    if !source.is_crate_source() || SYSTEM.iter().any(|room| source.path.starts_with(room)) {
        return Vec::new();
    }
    let names = ["libc", "io_uring"];
    let uses = source.tokens.windows(3).filter_map(|run| {
        let [before, name, after] = run else { return None };
        let is_use = before.text == "use" || (after.text == "::" && before.text != "::");
        (is_use && names.contains(&name.text.as_str()) && !name.in_test).then_some(name)
    });
    let advice = "call the system from crates/engine/src/backend/uring, the epoll selector or \
                  crates/engine/src/system/linux/, and give the rest a function to call";
    findings("system-call", source, uses, advice)
}

/// What a thread keeps for itself does not survive a freeze.
pub(super) fn thread_locals(source: &Source) -> Vec<Finding> {
    if !source.is_crate_source() || source.path == CURRENT {
        return Vec::new();
    }
    let uses = source.runs(&["thread_local", "!"]).filter(|token| !token.in_test);
    let advice = format!("keep it in the shard; the one thread-local is CURRENT in {CURRENT}");
    findings("thread-local", source, uses, &advice)
}

/// A static that is written has no owner, and a lazy one no order.
pub(super) fn statics(source: &Source) -> Vec<Finding> {
    let mut found = findings(
        "static",
        source,
        source.runs(&["static", "mut"]),
        "give the value an owner: the shard, the server or the caller",
    );
    let is_movable = MOVABLE.iter().any(|room| source.path.starts_with(room));
    if is_movable && source.path != BACKGROUND {
        let statics = source.tokens.iter().enumerate().filter(|(at, token)| {
            let is_lazy = token.text == "lazy_static" && token.kind == Kind::Word;
            !token.in_test && (is_lazy || is_stateful_static(&source.tokens[*at..]))
        });
        let advice = format!(
            "keep state in the shard or the server: a static stays behind when a shard is frozen \
             and thawed elsewhere; the one with state is in {BACKGROUND}"
        );
        found.extend(findings("static", source, statics.map(|(_, token)| token), &advice));
    }
    found
}

fn is_stateful_static(tokens: &[Token]) -> bool {
    let stateful = ["OnceLock", "OnceCell", "LazyLock", "LazyCell", "Once", "Mutex", "RwLock"];
    tokens[0].text == "static"
        && tokens
            .iter()
            .take_while(|token| !matches!(token.text.as_str(), "=" | ";"))
            .any(|token| stateful.contains(&token.text.as_str()))
}

/// Rule 21: every file with unsafe code is listed with the reason, and every listed file has some.
pub(super) fn unsafe_files(sources: &[Source], listed: &BTreeMap<String, String>) -> Vec<Finding> {
    let mut found = Vec::new();
    for source in sources {
        let first = source.tokens.iter().find(|t| t.kind == Kind::Word && t.text == "unsafe");
        match (first, listed.get(&source.path)) {
            (Some(token), None) => {
                let advice = format!(
                    "write it without, or list it in {UNSAFE_LIST}: \"{}\" = \"the reason\"",
                    source.path
                );
                found.push(Finding::new("unsafe", &source.path, token.line, &advice));
            }
            (None, Some(_)) => {
                let advice =
                    format!("it has no unsafe code any more: take it out of {UNSAFE_LIST}");
                found.push(Finding::new("unsafe", &source.path, 1, &advice));
            }
            (Some(_), Some(_)) | (None, None) => {}
        }
    }
    for (path, reason) in listed {
        if !sources.iter().any(|source| source.path == *path) {
            let advice = format!("lists `{path}`, which is not there: take it out");
            found.push(Finding::new("unsafe", UNSAFE_LIST, 1, &advice));
        }
        if reason.split_whitespace().count() < 3 {
            let advice = format!("say in a sentence why `{path}` needs unsafe code");
            found.push(Finding::new("unsafe", UNSAFE_LIST, 1, &advice));
        }
    }
    found
}

/// Rule 21: a crate without a listed file promises so to the compiler.
pub(super) fn forbid_unsafe(sources: &[Source], listed: &BTreeMap<String, String>) -> Vec<Finding> {
    let mut found = Vec::new();
    for source in sources {
        let Some(folder) = crate_root_folder(&source.path) else { continue };
        let has_unsafe = listed.keys().any(|path| path.starts_with(folder));
        let run = ["#", "!", "[", "forbid", "(", "unsafe_code", ")"];
        let forbids = source.runs(&run).next().is_some();
        if !has_unsafe && !forbids {
            let advice = "write `#![forbid(unsafe_code)]` below the header: no file of this crate \
                          is listed as unsafe";
            found.push(Finding::new("unsafe", &source.path, 1, advice));
        }
    }
    found
}

/// The `src/` folder of which this file is a crate's root.
fn crate_root_folder(path: &str) -> Option<&str> {
    let folder = &path[..path.find("src/")? + "src/".len()];
    let rest = &path[folder.len()..];
    let is_root = matches!(rest, "lib.rs" | "main.rs")
        || rest
            .strip_prefix("bin/")
            .is_some_and(|name| !name.contains('/') || name.ends_with("/main.rs"));
    is_root.then_some(folder)
}

#[cfg(test)]
mod tests {
    use super::super::tests::{clean, found};
    use super::*;

    const HERE: &str = "crates/springtide/src/x.rs";

    #[test]
    fn the_clock_has_one_reader() {
        let bad = ["fn a() { Instant::now(); }", "fn a() { std::time::SystemTime::now() }"];
        found(clock, HERE, &bad);
        clean(clock, CLOCK, &bad);
        clean(clock, "crates/springtide/tests/x.rs", &bad);
        clean(clock, "bench/src/x.rs", &bad);
        clean(clock, HERE, &["fn a(now: Instant) { /* Instant::now() */ }"]);
        clean(clock, HERE, &["#[cfg(test)] mod tests { fn a() { Instant::now(); } }"]);
    }

    #[test]
    fn system_calls_have_their_rooms() {
        let bad = ["fn a() { libc::read(b); }", "pub use io_uring::opcode;", "use libc as system;"];
        found(system_calls, HERE, &bad);
        for room in SYSTEM {
            clean(system_calls, &format!("{room}/x.rs"), &bad);
        }
        clean(system_calls, HERE, &["use crate::backend::io_uring::A; fn io_uring() { libc(); }"]);
    }

    #[test]
    fn threads_keep_nothing() {
        let bad = ["thread_local! { static A: Cell<u8> = Cell::new(1); }"];
        found(thread_locals, HERE, &bad);
        clean(thread_locals, CURRENT, &bad);
        clean(thread_locals, HERE, &["// thread_local!"]);
    }

    #[test]
    fn statics_keep_no_state() {
        let bad = [
            "static mut A: u8 = 0;",
            "static A: OnceLock<u8> = OnceLock::new();",
            "fn a() { static B: std::sync::Mutex<u8> = Mutex::new(0); }",
            "lazy_static! { static ref A: u8 = 1; }",
        ];
        found(statics, HERE, &bad);
        found(statics, "bench/src/x.rs", &bad[..1]);
        clean(statics, "bench/src/x.rs", &bad[1..]);
        clean(statics, BACKGROUND, &bad[1..]);
        let good = ["static A: [u8; 3] = *b\"abc\"; fn a(b: &'static Mutex<u8>) {}"];
        clean(statics, HERE, &good);
    }

    fn unsafe_rules(path: &str, text: &str, listed: &[(&str, &str)]) -> usize {
        let sources = [Source::parse(path, text).unwrap()];
        let entry = |(path, reason): &(&str, &str)| ((*path).to_owned(), (*reason).to_owned());
        let listed = listed.iter().map(entry).collect();
        unsafe_files(&sources, &listed).len() + forbid_unsafe(&sources, &listed).len()
    }

    #[test]
    fn unsafe_code_is_listed() {
        let reason = "the ring shares memory with the kernel";
        let code = "fn a() { unsafe { b() } }";
        assert_eq!(unsafe_rules(HERE, code, &[]), 1);
        assert_eq!(unsafe_rules(HERE, code, &[(HERE, reason)]), 0);
        assert_eq!(unsafe_rules(HERE, code, &[(HERE, "because")]), 1);
        assert_eq!(unsafe_rules(HERE, "fn a() {} // unsafe", &[(HERE, reason)]), 1);
        assert_eq!(unsafe_rules(HERE, "fn a() {}", &[("crates/gone.rs", reason)]), 1);
    }

    #[test]
    fn crates_without_unsafe_code_forbid_it() {
        let root = "crates/proto/src/lib.rs";
        assert_eq!(unsafe_rules(root, "mod a;", &[]), 1);
        assert_eq!(unsafe_rules(root, "#![forbid(unsafe_code)] mod a;", &[]), 0);
        assert_eq!(unsafe_rules("bench/src/bin/a.rs", "fn main() {}", &[]), 1);
        assert_eq!(unsafe_rules("crates/proto/src/a.rs", "mod b;", &[]), 0);
    }
}
