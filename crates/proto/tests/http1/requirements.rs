//! What RFC 9110 §5 to §9 and RFC 9112 §2 to §9 ask of a server, and what shows that it is done.
//! It must never name a section without a proof or the reason why there is none.

mod messages;
mod representations;
mod semantics;
mod transfer;

use crate::driver::{DATE, Driver, check, reply, run};
use springtide_proto::http1::{Limits, ReplyBody};
use std::collections::BTreeSet;
use std::path::Path;

/// One MUST or MUST NOT, or a section that has none.
struct Requirement {
    /// `9112 2.2`
    section: &'static str,
    /// What is asked, in own words.
    asks: &'static str,
    shown: &'static [Shown],
}

/// What shows that a requirement is kept.
enum Shown {
    /// These bytes make the machine say this, whole, at every split and byte by byte.
    Says(&'static str, &'static str),
    /// The reply with this status and body to these bytes is this; `{D}` stands for `Date`.
    Sends(&'static str, u16, Given, &'static str),
    /// A test of the workspace: its file and its function.
    Test(&'static str, &'static str),
    /// There is none, because of this.
    Not(&'static str),
}

/// What a handler gives for a body.
#[derive(Clone, Copy)]
enum Given {
    Nothing,
    Full(&'static str),
    Chunked(&'static str),
}

const fn asks(section: &'static str, asks: &'static str, shown: &'static [Shown]) -> Requirement {
    Requirement { section, asks, shown }
}

/// A section without a MUST for a server.
const fn none(section: &'static str, reason: &'static str) -> Requirement {
    asks(section, reason, &[Shown::Not("the section asks nothing that a server must do")])
}

fn all() -> impl Iterator<Item = &'static Requirement> {
    let tables = [
        semantics::REQUIREMENTS,
        representations::REQUIREMENTS,
        messages::REQUIREMENTS,
        transfer::REQUIREMENTS,
    ];
    tables.into_iter().flatten()
}

#[test]
fn cases_are_kept() {
    let mut cases = 0;
    for requirement in all() {
        for shown in requirement.shown {
            match shown {
                Shown::Says(input, said) => check(input, said),
                Shown::Sends(input, status, given, sent) => {
                    let expected = sent.replace("{D}", &date());
                    let what = format!("{}: {}", requirement.section, requirement.asks);
                    assert_eq!(answered(input, *status, *given), expected, "{what}");
                }
                Shown::Test(..) | Shown::Not(_) => continue,
            }
            cases += 1;
        }
    }
    assert!(cases >= 140, "{cases} cases are left");
}

fn date() -> String {
    format!("Date: {}\r\n", std::str::from_utf8(DATE).unwrap())
}

/// What is sent when every request among these bytes is answered alike.
fn answered(input: &str, status: u16, given: Given) -> String {
    let mut driver = Driver::new(Limits::default());
    driver.feed(input.as_bytes());
    for exchange in driver.exchanges.clone() {
        if !driver.machine.awaits_reply(exchange) {
            continue;
        }
        let body = match given {
            Given::Nothing => ReplyBody::None,
            Given::Full(text) => ReplyBody::Full(text.into()),
            Given::Chunked(_) => ReplyBody::Chunked,
        };
        driver.machine.send_reply(exchange, &reply(status), body, &mut driver.outbox);
        if let Given::Chunked(text) = given {
            driver.machine.send_body(exchange, text.into(), &mut driver.outbox);
            driver.machine.end_body(exchange, &mut driver.outbox);
        }
        driver.read();
    }
    driver.sent()
}

/// Whether this file of the repository has a test of this name.
#[allow(clippy::disallowed_methods, reason = "tests are named by their files, which are read")]
fn has_test(file: &str, name: &str) -> bool {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(file);
    let text = std::fs::read_to_string(path);
    text.is_ok_and(|text| text.contains(&format!("fn {name}(")))
}

#[test]
fn named_tests_exist() {
    for shown in all().flat_map(|requirement| requirement.shown) {
        let Shown::Test(file, name) = shown else { continue };
        assert!(has_test(file, name), "{file} has no {name}");
    }
}

/// The sections of both ranges, each with the number of its last subsection.
const SECTIONS: &[(&str, u32)] = &[
    ("9112 2", 3),
    ("9112 3", 3),
    ("9112 3.2", 4),
    ("9112 4", 0),
    ("9112 5", 2),
    ("9112 6", 3),
    ("9112 7", 4),
    ("9112 7.1", 3),
    ("9112 8", 0),
    ("9112 9", 8),
    ("9112 9.3", 2),
    ("9110 5", 6),
    ("9110 5.6", 7),
    ("9110 5.6.1", 2),
    ("9110 6", 6),
    ("9110 6.4", 2),
    ("9110 6.5", 2),
    ("9110 6.6", 2),
    ("9110 7", 8),
    ("9110 7.3", 3),
    ("9110 7.6", 3),
    ("9110 8", 8),
    ("9110 8.3", 3),
    ("9110 8.4", 1),
    ("9110 8.4.1", 3),
    ("9110 8.5", 1),
    ("9110 8.8", 3),
    ("9110 8.8.2", 2),
    ("9110 8.8.3", 3),
    ("9110 9", 3),
    ("9110 9.2", 3),
    ("9110 9.3", 8),
];

#[test]
fn every_section_occurs() {
    let own = |section: &str, last: u32| {
        let below = (1..=last).map(|number| format!("{section}.{number}"));
        below.chain([section.to_owned()]).collect::<Vec<_>>()
    };
    let expected: BTreeSet<String> =
        SECTIONS.iter().flat_map(|(section, last)| own(section, *last)).collect();
    let found: BTreeSet<String> = all().map(|each| each.section.to_owned()).collect();
    assert_eq!(expected.difference(&found).collect::<Vec<_>>(), Vec::<&String>::new(), "missing");
    assert_eq!(found.difference(&expected).collect::<Vec<_>>(), Vec::<&String>::new(), "unknown");
    for requirement in all() {
        assert!(!requirement.shown.is_empty(), "{} is shown by nothing", requirement.section);
        assert!(requirement.asks.len() > 8, "{} asks something", requirement.section);
        for shown in requirement.shown {
            let Shown::Not(reason) = shown else { continue };
            assert!(reason.len() > 20, "{}: {reason:?} is a reason", requirement.section);
        }
    }
}

/// A case that says nothing would pass for every input that the machine waits behind.
#[test]
fn every_case_says_something() {
    for shown in all().flat_map(|requirement| requirement.shown) {
        if let Shown::Says(input, said) = shown {
            assert!(!said.is_empty() && !run(input.as_bytes(), &[], &Limits::default()).is_empty());
        }
    }
}
