//! The cases of Autobahn's WebSocket suite, asked of the echo example. The suite runs on Python 2.7 only:
//! pyenv has that where no system does. Nothing of it leaves the folder of what is built.

use super::start;
use crate::child::run_within;
use crate::error::Error;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Duration;

const SUITE: &str = "autobahntestsuite==25.10.1";
/// Everything but what takes minutes: long messages (9) and compressed ones (12, 13).
pub(super) const GROUPS: &str = "1,2,3,4,5,6,7,10";
const AGENT: &str = "springtide";
const INSTALLED_WITHIN: Duration = Duration::from_secs(600);
const DONE_WITHIN: Duration = Duration::from_secs(3600);

/// Asks all cases of these groups. They are well when none is failed, and none is passed by a hair: a bad
/// byte has to be refused at once (6.4).
pub(super) fn run(root: &Path, folder: &Path, groups: &str) -> Result<ExitCode, Error> {
    let wstest = install(folder)?;
    let (_server, address) = start(root, "websocket")?;
    let (reports, spec) = (folder.join("autobahn-reports"), folder.join("autobahn.json"));
    let cases: Vec<String> = groups.split(',').map(|group| format!("\"{group}.*\"")).collect();
    let text = format!(
        "{{\"outdir\": {:?}, \"servers\": [{{\"agent\": \"{AGENT}\", \"url\": \"ws://{address}/echo\"}}], \
         \"cases\": [{}], \"exclude-cases\": [], \"exclude-agent-cases\": {{}}}}",
        reports.display().to_string(),
        cases.join(", "),
    );
    std::fs::write(&spec, text).map_err(|source| Error::Write { path: spec.clone(), source })?;
    let mut ask = Command::new(wstest);
    ask.args(["-m", "fuzzingclient", "-s"]).arg(&spec).current_dir(folder);
    run_within(ask, DONE_WITHIN)?;
    let path = reports.join("index.json");
    let index = std::fs::read_to_string(&path).map_err(|source| Error::Read { path, source })?;
    let mut counts: BTreeMap<&str, u32> = BTreeMap::new();
    for (case, judgement) in judgements(&index) {
        *counts.entry(judgement).or_default() += 1;
        if !is_well(judgement) {
            println!("{case}: {judgement}");
        }
    }
    let counted: Vec<String> =
        counts.iter().map(|(name, count)| format!("{count} {name}")).collect();
    println!("Autobahn, groups {groups}: {}", counted.join(", "));
    let is_all_well = !counts.is_empty() && counts.keys().all(|judgement| is_well(judgement));
    Ok(if is_all_well { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn is_well(judgement: &str) -> bool {
    matches!(judgement, "OK" | "INFORMATIONAL")
}

/// What was judged of each case: of how it went, or, where that was well, of how it closed.
fn judgements(index: &str) -> Vec<(&str, &str)> {
    let (mut case, mut behaviour, mut found) = ("", "", Vec::new());
    for line in index.lines().map(str::trim) {
        let parts: Vec<&str> = line.split('"').collect();
        match parts[..] {
            [_, name, rest] if rest.ends_with('{') => case = name,
            [_, "behavior", _, value, _] => behaviour = value,
            [_, "behaviorClose", _, close, _] => {
                found.push((
                    case,
                    if is_well(behaviour) && !is_well(close) { close } else { behaviour },
                ));
            }
            _ => {}
        }
    }
    found
}

/// The suite's program, in an environment of its own.
fn install(folder: &Path) -> Result<PathBuf, Error> {
    let (tools, own) = (folder.join("virtualenv"), folder.join("autobahn"));
    let wstest = own.join("bin/wstest");
    if wstest.is_file() {
        return Ok(wstest);
    }
    std::fs::create_dir_all(folder)
        .map_err(|source| Error::Write { path: folder.to_owned(), source })?;
    let mut pyenv = Command::new("pyenv");
    pyenv.arg("root");
    let pyenv = run_within(pyenv, INSTALLED_WITHIN)?;
    let python = Path::new(pyenv.trim()).join("versions/2.7.18/bin/python2.7");
    if !python.is_file() {
        let expected = "Python 2.7.18, which `pyenv install 2.7.18` builds";
        return Err(Error::Shape { path: python, expected });
    }
    let mut venv = Command::new("python3");
    venv.args(["-m", "venv"]).arg(&tools);
    // The last virtualenv that knows Python 2.7.
    let mut virtualenv = Command::new(tools.join("bin/pip"));
    virtualenv.args(["install", "--quiet", "virtualenv<20.22"]);
    let mut environment = Command::new(tools.join("bin/virtualenv"));
    environment.args(["--quiet", "-p"]).arg(&python).arg(&own);
    let mut suite = Command::new(own.join("bin/pip"));
    suite.args(["install", "--quiet", SUITE]);
    for command in [venv, virtualenv, environment, suite] {
        run_within(command, INSTALLED_WITHIN)?;
    }
    Ok(wstest)
}

#[cfg(test)]
mod tests {
    use super::judgements;

    #[test]
    fn judgements_are_read() {
        let index = r#"{
   "springtide": {
      "1.1.1": {
         "behavior": "OK",
         "behaviorClose": "OK",
         "duration": 2
      },
      "6.4.3": {
         "behavior": "NON-STRICT",
         "behaviorClose": "OK"
      },
      "7.1.1": {
         "behavior": "OK",
         "behaviorClose": "FAILED"
      }
   }
}"#;
        let expected = [("1.1.1", "OK"), ("6.4.3", "NON-STRICT"), ("7.1.1", "FAILED")];
        assert_eq!(judgements(index), expected);
    }
}
