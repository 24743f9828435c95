//! The cases of Autobahn's WebSocket suite, asked of our own servers over each engine, and of others beside
//! them. The suite runs on Python 2.7 only: pyenv has that where no system does. Nothing of it leaves the
//! folder of what is built.

mod agents;
mod index;

use crate::cargo::target_folder;
use crate::child::run_within;
use crate::error::Error;
use crate::instructions::Outcome;
use agents::Agent;
use index::{Judgement, Scores};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Duration;

const SUITE: &str = "autobahntestsuite==25.10.1";
/// Everything but what takes minutes: long messages (9) and compressed ones (12, 13).
pub(super) const GROUPS: &str = "1,2,3,4,5,6,7,10";
/// Those as well.
const ALL: &str = "1,2,3,4,5,6,7,10,9,12,13";
const INSTALLED_WITHIN: Duration = Duration::from_secs(600);
const DONE_WITHIN: Duration = Duration::from_secs(3600);

/// Asks the cases of these groups. They are well when none of ours is failed, and none is passed by a
/// hair: a bad byte has to be refused at once (6.4).
pub(super) fn run(root: &Path, groups: &str) -> Result<ExitCode, Error> {
    let folder = target_folder(root).join("conform");
    let wstest = install(&folder)?;
    let judged = ask(&wstest, &folder, groups, &agents::ours(root, &numbers(groups))?)?;
    Ok(if tell(&judged) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// What a full test asks, where Python 2.7 is.
pub(crate) fn check(root: &Path) -> Result<Outcome, Error> {
    let folder = target_folder(root).join("conform");
    let agents = agents::ours(root, &numbers(GROUPS))?;
    let has_failed = !tell(&ask(&install(&folder)?, &folder, GROUPS, &agents)?);
    Ok(Outcome { has_failed, left_out: Vec::new() })
}

/// Asks all cases of everybody, which takes a quarter of an hour, and writes the scorecard.
pub(super) fn write(root: &Path) -> Result<ExitCode, Error> {
    let folder = target_folder(root).join("conform");
    let wstest = install(&folder)?;
    let mut all = Vec::new();
    for groups in [GROUPS, "9", "12,13"] {
        let mut agents = agents::ours(root, &numbers(groups))?;
        agents.extend(agents::others(root)?);
        all.extend(ask(&wstest, &folder, groups, &agents)?);
    }
    let is_well = tell(&all);
    let path = root.join("docs/autobahn.md");
    let page = Scores::of(&all).page(&numbers(ALL));
    std::fs::write(&path, page).map_err(|source| Error::Write { path, source })?;
    Ok(if is_well { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn numbers(groups: &str) -> Vec<&str> {
    groups.split(',').map(str::trim).collect()
}

/// Prints what was not well, and how many of each there were; whether all of ours are well.
fn tell(judged: &[Judgement]) -> bool {
    for one in judged.iter().filter(|one| one.is_ours() && !one.is_well()) {
        println!("{}, {}: {}", one.agent, one.case, one.word);
    }
    print!("{}", Scores::of(judged).card());
    let mut ours = judged.iter().filter(|one| one.is_ours()).peekable();
    ours.peek().is_some() && ours.all(Judgement::is_well)
}

fn ask(
    wstest: &Path,
    folder: &Path,
    groups: &str,
    agents: &[Agent],
) -> Result<Vec<Judgement>, Error> {
    let (reports, spec) = (folder.join("autobahn-reports"), folder.join("autobahn.json"));
    let cases: Vec<String> =
        numbers(groups).into_iter().map(|group| format!("\"{group}.*\"")).collect();
    let servers: Vec<String> = agents
        .iter()
        .map(|agent| format!("{{\"agent\": {:?}, \"url\": {:?}}}", agent.name, agent.url))
        .collect();
    let text = format!(
        "{{\"outdir\": {:?}, \"servers\": [{}], \"cases\": [{}], \"exclude-cases\": [], \
         \"exclude-agent-cases\": {{}}}}",
        reports.display().to_string(),
        servers.join(", "),
        cases.join(", "),
    );
    std::fs::write(&spec, text).map_err(|source| Error::Write { path: spec.clone(), source })?;
    let mut ask = Command::new(wstest);
    ask.args(["-m", "fuzzingclient", "-s"]).arg(&spec).current_dir(folder);
    run_within(ask, DONE_WITHIN)?;
    let path = reports.join("index.json");
    let index = std::fs::read_to_string(&path).map_err(|source| Error::Read { path, source })?;
    Ok(index::read(&index))
}

/// Where pyenv has Python 2.7, or would have it.
pub(crate) fn python() -> Result<PathBuf, Error> {
    let mut pyenv = Command::new("pyenv");
    pyenv.arg("root");
    let root = run_within(pyenv, INSTALLED_WITHIN)?;
    let path = Path::new(root.trim()).join("versions/2.7.18/bin/python2.7");
    if path.is_file() {
        return Ok(path);
    }
    Err(Error::Shape { path, expected: "Python 2.7.18, which `pyenv install 2.7.18` builds" })
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
    let python = python()?;
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
