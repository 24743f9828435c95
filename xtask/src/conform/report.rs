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

/// What a suite calls invalid and we accept, with the reason.
const ACCEPTED: &[(&str, &str)] = &[
    ("invalid/006", LIMIT),
    ("invalid/007", LIMIT),
    ("invalid/008", LIMIT),
    (
        "invalid/rfc9112_leading_crlf_02",
        "two empty lines are read over, where RFC 9112 §2.2 asks for one at least",
    ),
    ("connection 3: No restart when keep-alive is off (1.0)", BEHIND),
    ("connection 8: CRLF between requests, explicit `close`", BEHIND),
    ("connection 9: CRLF between requests, explicit `close` followed by tab", BEHIND),
    (
        "invalid 4: HTTP protocol and ANNOUNCE method",
        "which methods there are is the application's choice (RFC 9110 §9.1)",
    ),
];
const LIMIT: &str = "it is above a limit of gunicorn's; ours is higher";
const BEHIND: &str =
    "the first request is answered; what stands behind its end is never read (RFC 9112 §9.6)";

pub(super) fn heading() -> String {
    format!("{:<12} {:>16} {:>18}", "server", "valid, accepted", "invalid, refused")
}

pub(super) fn line(name: &str, judged: &[Judged<'_>]) -> String {
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

/// `docs/conformance.md`.
pub(super) fn page(judged: &[Judged<'_>]) -> String {
    let mut page = String::from(
        "# Conformance\n\nWhat the server makes of the request cases of other projects: gunicorn 27.0.1 \
         (`tests/requests`)\nand llhttp (in aiohttp 3.14.5). `cargo xtask conform` fetches and asks them; \
         `--write` writes this\npage. A valid head without `Host` is asked with one. Cases that change a setting of their own\n\
         project are left out.\n\n",
    );
    let code = format!("```text\n{}\n{}\n```\n", heading(), line("springtide", judged));
    page.push_str(&code);
    page.push_str(
        "\n## Valid there, refused here\n\n| suite | case | reply | why |\n|---|---|---|---|\n",
    );
    for judged in judged.iter().filter(|judged| judged.case.is_valid && !judged.is_accepted()) {
        let (status, why) = match &judged.outcome {
            Outcome::Refused(status, reason) => (status.to_string(), reason.as_str()),
            _ => ("none".to_owned(), "the message is not complete"),
        };
        row(&mut page, judged, &format!("{status} | {why}"));
    }
    page.push_str("\n## Invalid there, accepted here\n\n| suite | case | why |\n|---|---|---|\n");
    for judged in judged.iter().filter(|judged| !judged.case.is_valid && judged.is_accepted()) {
        row(&mut page, judged, reason(&judged.case.name).unwrap_or("?"));
    }
    page
}

fn row(page: &mut String, judged: &Judged<'_>, rest: &str) {
    let name = judged.case.name.replace('|', "\\|");
    let written = writeln!(page, "| {} | {name} | {rest} |", judged.case.suite);
    written.expect("a string takes every text");
}
