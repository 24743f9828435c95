//! `springtide serve`: starts a server, says what it does, and stops it when told to.
//! Signals are the program's choice; the library never touches them.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use signal_hook::consts::{SIGINT, SIGTERM, SIGUSR1};
use signal_hook::iterator::Signals;
use springtide::{AccessLog, Address, Error, Running, Server};

use crate::arguments::Serve;
use crate::log::{LogFile, Reopen};
use crate::site::{self, Bundle};

/// What a process ends with when a second signal stops it at once.
const EXIT_AT_ONCE: i32 = 130;

/// Why the program ends with an error.
#[derive(Debug)]
pub(crate) enum Failure {
    Server(Error),
    Signals(std::io::Error),
    NoBundle,
    Log(PathBuf, std::io::Error),
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Server(error) => error.fmt(f),
            Self::Signals(error) => write!(f, "cannot wait for signals: {error}"),
            Self::Log(path, error) => {
                write!(f, "cannot open the access log {}: {error}", path.display())
            }
            Self::NoBundle => f.write_str(
                "the bundled site is not where the program was built; name a directory: \
                 springtide serve DIRECTORY",
            ),
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Server(error)
    }
}

/// Serves until a signal ends it.
pub(crate) fn serve(options: &Serve) -> Result<(), Failure> {
    let started = site::Started::default();
    let mut server = Server::new()
        .engine(options.engine.into())
        .latency(options.latency)
        .limits(options.limits.limits());
    if let Some(count) = options.workers {
        server = server.workers(usize::from(count));
    }
    server = match &options.directory {
        Some(directory) => server.files("/", options.files(directory)),
        None => {
            let bundle = Bundle::find().ok_or(Failure::NoBundle)?;
            site::bundled(server, &bundle, &started, options)
        }
    };
    for address in &options.listen {
        server = server.listen(address)?;
    }
    for address in &options.admin {
        server = server.admin(address)?;
    }
    let reopen = Reopen::default();
    if let Some(path) = &options.access_log {
        let log = access_log(path, reopen.clone())?;
        server = server.access_log(log.format(options.log_format.into()));
    }
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGUSR1]).map_err(Failure::Signals)?;
    let running = Arc::new(server.start()?);
    started.get_or_init(|| Arc::downgrade(&running));
    greet(&running, options);
    let (own, handle) = (running.clone(), signals.handle());
    let watcher = std::thread::spawn(move || heed_signals(&mut signals, &own, &reopen));
    let ended = running.join();
    handle.close();
    // The watcher has nothing left to wait for.
    let _ = watcher.join();
    ended?;
    println!("stopped: {} requests answered", running.metrics().counts().requests_total);
    Ok(())
}

fn access_log(path: &Path, reopen: Reopen) -> Result<AccessLog, Failure> {
    if path == Path::new("-") {
        return Ok(AccessLog::new(std::io::stdout()));
    }
    let file = LogFile::open(path, reopen);
    file.map(AccessLog::new).map_err(|error| Failure::Log(path.to_owned(), error))
}

fn heed_signals(signals: &mut Signals, running: &Running, reopen: &Reopen) {
    let mut stops = signals.forever().filter(|signal| {
        if *signal == SIGUSR1 {
            reopen.ask();
        }
        *signal != SIGUSR1
    });
    if stops.next().is_none() {
        return;
    }
    let open = running.metrics().counts().connections_open;
    println!(
        "stopping: {open} connections are open; requests that have begun get {} s (again to stop \
         at once)",
        running.drain_timeout().as_secs()
    );
    running.drain();
    if stops.next().is_some() {
        std::process::exit(EXIT_AT_ONCE);
    }
}

/// Says what runs, where, how, within which limits, and how to stop it.
fn greet(running: &Running, options: &Serve) {
    let what = options.directory.as_deref().map_or("the bundled site", as_text);
    println!("springtide {} serves {what}", env!("CARGO_PKG_VERSION"));
    for address in running.addresses() {
        match address {
            Address::Internet(address) => println!("  http://{address}"),
            other => println!("  {other}"),
        }
    }
    for address in running.admin_addresses() {
        println!("  admin    {address}");
    }
    let limits = options.limits.limits().http1;
    println!("  engine   {} ({})", running.engine(), running.engine_reason());
    println!("  workers  {}", running.workers());
    println!(
        "  limits   {} connections, heads {} KiB and {} fields in {} s, bodies {} KiB, idle {} s",
        running.connections_max(),
        limits.head_bytes_max >> 10,
        limits.fields_max,
        limits.head_timeout_ms / 1000,
        limits.body_bytes_max >> 10,
        limits.idle_timeout_ms / 1000,
    );
    println!("  stop     Ctrl-C, or: kill {}", std::process::id());
}

fn as_text(path: &Path) -> &str {
    path.to_str().unwrap_or("a directory")
}
