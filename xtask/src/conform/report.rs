//! Judgements as a scorecard and as a page. Holds no text of a case, only names, and the reasons
//! for what is accepted although its suite calls it invalid.

use super::{Case, Outcome};
use std::fmt::Write;

pub(super) struct Judged<'a> {
    pub(super) case: &'a Case,
    pub(super) outcome: Outcome,
}

impl Judged<'_> {
    fn is_accepted(&self) -> bool {
        self.outcome == Outcome::Accepted
    }
}

/// What a suite calls invalid and we accept, with the reason: none of it is what an RFC says must be
/// refused.
const ACCEPTED: &[(&str, &str)] = &[
    (
        "invalid/006",
        "a line of 4,096 bytes is past gunicorn's limit; RFC 9112 §3 asks for 8,000 at least",
    ),
    ("invalid/007", LIMIT),
    ("invalid/008", LIMIT),
    (
        "invalid/rfc9112_leading_crlf_02",
        "gunicorn's taste: RFC 9112 §2.2 says to read over one empty line at least, and these are two",
    ),
    ("connection 3: No restart when keep-alive is off (1.0)", BEHIND),
    ("connection 8: CRLF between requests, explicit `close`", BEHIND),
    ("connection 9: CRLF between requests, explicit `close` followed by tab", BEHIND),
    (
        "invalid 4: HTTP protocol and ANNOUNCE method",
        "llhttp has a list of methods; which there are is the application's choice (RFC 9110 §9.1)",
    ),
];
const LIMIT: &str =
    "past gunicorn's limit; how long fields may be is each server's choice (RFC 9110 §5.4)";
const BEHIND: &str = "the first request is answered; what stands behind its end must not be processed \
                      (RFC 9112 §9.6), and only llhttp's strict mode calls it an error";

/// What every server made of every case, in the order of the cases.
pub(super) struct Scores<'a> {
    pub(super) ours: Vec<Judged<'a>>,
    pub(super) others: Vec<(String, Vec<Judged<'a>>)>,
}

fn heading() -> String {
    format!("{:<12} {:>16} {:>18}", "server", "valid, accepted", "invalid, refused")
}

fn line(name: &str, judged: &[Judged<'_>]) -> String {
    let of = |is_valid: bool| judged.iter().filter(move |judged| judged.case.is_valid == is_valid);
    let accepted = of(true).filter(|judged| judged.is_accepted()).count();
    let refused = of(false).filter(|judged| !judged.is_accepted()).count();
    let (valid, invalid) = (of(true).count(), of(false).count());
    format!(
        "{name:<12} {:>16} {:>18}",
        format!("{accepted}/{valid}"),
        format!("{refused}/{invalid}")
    )
}

/// Invalid cases that are accepted without a reason.
pub(super) fn unexplained<'a>(judged: &'a [Judged<'a>]) -> Vec<&'a Judged<'a>> {
    let accepted = judged.iter().filter(|judged| !judged.case.is_valid && judged.is_accepted());
    accepted.filter(|judged| reason(&judged.case.name).is_none()).collect()
}

fn reason(name: &str) -> Option<&'static str> {
    ACCEPTED.iter().find(|(accepted, _)| *accepted == name).map(|(_, reason)| *reason)
}

/// An outcome in a column.
fn word(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Accepted => "accepted".to_owned(),
        Outcome::Refused(status, _) => status.to_string(),
        Outcome::Silent => "ended".to_owned(),
    }
}

const OURS: &str = "springtide";

impl Scores<'_> {
    /// One line for each server.
    pub(super) fn card(&self) -> String {
        let others = self.others.iter().map(|(name, judged)| line(name, judged));
        [heading(), line(OURS, &self.ours)].into_iter().chain(others).collect::<Vec<_>>().join("\n")
    }

    /// Our rows of a table, as far as they are ours.
    fn own_rows(&self, is_valid: bool) -> impl Iterator<Item = (usize, String)> {
        let judged = self.ours.iter().enumerate().filter(move |(_, judged)| {
            judged.case.is_valid == is_valid && judged.is_accepted() != is_valid
        });
        judged.map(|(number, judged)| {
            let name = judged.case.name.replace('|', "\\|");
            let said = match &judged.outcome {
                Outcome::Accepted => reason(&judged.case.name).unwrap_or("?").to_owned(),
                Outcome::Refused(status, reason) => format!("{status} | {reason}"),
                Outcome::Silent => "none | the message is not complete".to_owned(),
            };
            (number, format!("| {} | {name} | {said} |", judged.case.suite))
        })
    }

    fn table(&self, page: &mut String, is_valid: bool, columns: &str) {
        let names: String = self.others.iter().map(|(name, _)| format!(" {name} |")).collect();
        let count = columns.matches('|').count() - 1 + self.others.len();
        let rule = "---|".repeat(count);
        let mut write = |text: &str| {
            writeln!(page, "{text}").expect("a string takes every text");
        };
        write(&format!("\n{columns}{names}\n|{rule}"));
        for (number, own) in self.own_rows(is_valid) {
            let others = self.others.iter().map(|(_, judged)| word(&judged[number].outcome));
            let others: String = others.map(|outcome| format!(" {outcome} |")).collect();
            write(&format!("{own}{others}"));
        }
    }

    /// `docs/conformance.md`.
    pub(super) fn page(&self) -> String {
        let mut page = String::from(INTRODUCTION);
        page.push_str(&format!("```text\n{}\n```\n", self.card()));
        page.push_str("\n## Valid there, refused here\n");
        self.table(&mut page, true, "| suite | case | reply | why |");
        page.push_str("\n## Invalid there, accepted here\n");
        self.table(&mut page, false, "| suite | case | why |");
        page
    }

    /// Whether a page says of us what came out, whatever it says of others: theirs are other
    /// versions on other machines.
    pub(super) fn is_in(&self, page: &str) -> bool {
        let mut own: Vec<String> =
            [true, false].iter().flat_map(|valid| self.own_rows(*valid)).map(|row| row.1).collect();
        let rows = page.lines().filter(|line| line.starts_with("| ")).count();
        // The heads of the two tables are rows as well.
        let is_whole = rows == own.len() + 2;
        own.push(line(OURS, &self.ours));
        is_whole && own.iter().all(|own| page.lines().any(|line| line.starts_with(own.as_str())))
    }
}

const INTRODUCTION: &str = "\
# Conformance

What the server makes of the request cases of other projects, gunicorn 27.0.1 (`tests/requests`)
and llhttp (in aiohttp 3.14.5), and what others make of them: axum and actix-web as `bench/peers`
has them, nginx as Debian has it. `cargo xtask conform` fetches the cases and asks them; `--write`
writes this page. A valid head without `Host` is asked with one. Cases that change a setting of
their own project are left out. A server that ends the connection without a word has refused.

";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_held_against_what_came_out() {
        let case = |name: &str, is_valid| Case {
            suite: "gunicorn",
            name: name.to_owned(),
            bytes: Vec::new(),
            is_valid,
        };
        let cases = [case("valid/1", true), case("invalid/006", false), case("valid/2", true)];
        let refused = || Outcome::Refused(400, "no".to_owned());
        let judged = |outcomes: [Outcome; 3]| {
            let pairs = cases.iter().zip(outcomes);
            pairs.map(|(case, outcome)| Judged { case, outcome }).collect::<Vec<_>>()
        };
        let ours = || judged([refused(), Outcome::Accepted, Outcome::Accepted]);
        let others =
            vec![("nginx".to_owned(), judged([Outcome::Accepted, Outcome::Silent, refused()]))];
        let page = Scores { ours: ours(), others }.page();
        assert!(page.contains("| gunicorn | valid/1 | 400 | no | accepted |\n"), "{page}");
        assert!(page.contains(" ended |\n") && page.contains("\nnginx  "), "{page}");
        let alone = |ours| Scores { ours, others: Vec::new() };
        assert!(alone(ours()).is_in(&page), "whoever else is there");
        let changed = judged([refused(), refused(), Outcome::Accepted]);
        assert!(!alone(changed).is_in(&page));
    }
}
