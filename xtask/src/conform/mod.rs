//! `cargo xtask conform`: the request cases of other projects, asked of a running server on the
//! loopback, and of others beside it. Copies no case into the repository: what is written down is
//! names and judgements.

mod ask;
pub(crate) mod autobahn;
mod cases;
mod peers;
mod report;
mod suites;

use crate::cargo::target_folder;
use crate::child::{Killed, lines_of};
use crate::error::Error;
use ask::{Outcome, ask};
use cases::Case;
use peers::Peer;
use report::{Judged, Scores};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::time::Duration;

/// Ask a running server the request cases of gunicorn and llhttp, and axum, actix-web and nginx
/// besides, and print a scorecard
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Another server to ask besides, by its name and address: `nginx=127.0.0.1:8081`. It is up
    /// to you to start it.
    #[arg(long = "peer", value_parser = peer)]
    peers: Vec<(String, SocketAddr)>,
    /// Write the judgements to docs/conformance.md; with --websocket those of all its groups, of other
    /// servers too, to docs/autobahn.md
    #[arg(long)]
    write: bool,
    /// Ask Autobahn's cases of WebSocket instead: these groups, `1,2,3,4,5,6,7,10` where none is said
    #[arg(long, num_args = 0..=1, default_missing_value = autobahn::GROUPS)]
    websocket: Option<String>,
}

const STARTED_WITHIN: Duration = Duration::from_secs(10);

pub(crate) fn run(root: &Path, options: &Options) -> Result<ExitCode, Error> {
    let folder = target_folder(root).join("conform");
    match &options.websocket {
        Some(_) if options.write => return autobahn::write(root),
        Some(groups) => return autobahn::run(root, groups),
        None => {}
    }
    let cases = suites::fetch(&folder)?;
    let (_server, address) = start(root, "echo", &[])?;
    let mut peers = peers::start(root)?;
    let named = options.peers.iter().map(|(name, address)| Peer::started(name.clone(), *address));
    peers.extend(named);
    let judge_peer = |peer: &Peer| Ok((peer.name.clone(), judge(&cases, peer.address)?));
    let others = peers.iter().map(judge_peer).collect::<Result<_, Error>>()?;
    let scores = Scores { ours: judge(&cases, address)?, others };
    println!("{}", scores.card());
    let unexplained = report::unexplained(&scores.ours);
    for judged in &unexplained {
        println!("accepted, and nobody says why: {} {}", judged.case.suite, judged.case.name);
    }
    let path = root.join("docs/conformance.md");
    if options.write {
        let wrap = |source| Error::Write { path: path.clone(), source };
        std::fs::write(&path, scores.page()).map_err(wrap)?;
    } else if !scores.is_in(&std::fs::read_to_string(&path).unwrap_or_default()) {
        println!("docs/conformance.md says otherwise: look at `cargo xtask conform --write`");
        return Ok(ExitCode::FAILURE);
    }
    Ok(if unexplained.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn judge(cases: &[Case], address: SocketAddr) -> Result<Vec<Judged<'_>>, Error> {
    let judge = |case| Ok(Judged { case, outcome: ask(address, case)? });
    cases.iter().map(judge).collect()
}

/// Builds an example, such as the server that reads every body and answers everything, and starts it on a
/// free port.
fn start(root: &Path, example: &str, arguments: &[&str]) -> Result<(Killed, SocketAddr), Error> {
    let mut cargo = Command::new("cargo");
    cargo.args(["build", "-p", "springtide", "--example", example]).current_dir(root);
    let program = format!("cargo build --example {example}");
    match cargo.status() {
        Ok(status) if status.success() => {}
        Ok(status) => return Err(Error::Refused { program, said: status.to_string() }),
        Err(source) => return Err(Error::Spawn { program, source }),
    }
    let mut command = Command::new(target_folder(root).join("debug/examples").join(example));
    command.args(["--listen", "127.0.0.1:0"]).args(arguments);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let wrap = |source| Error::Spawn { program: example.to_owned(), source };
    let mut server = Killed(command.spawn().map_err(wrap)?);
    let line = lines_of(&mut server.0).recv_timeout(STARTED_WITHIN).unwrap_or_default();
    let address = line.split_once("http://").and_then(|(_, rest)| rest.split(' ').next());
    let address = address.and_then(|address| address.parse().ok());
    let expected = "the address that the example listens on";
    address.map(|address| (server, address)).ok_or(Error::Reply { expected, got: line })
}

fn peer(text: &str) -> Result<(String, SocketAddr), String> {
    let (name, address) = text.split_once('=').ok_or("a name, `=` and an address")?;
    let address = address.parse().map_err(|_| format!("`{address}` is no address with a port"))?;
    Ok((name.to_owned(), address))
}
