//! `springtide serve`: starts a server, says what it does, and stops it when told to.
//! Signals are the program's choice; the library never touches them.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Arc, mpsc};

use signal_hook::consts::{SIGINT, SIGTERM, SIGUSR1};
use signal_hook::iterator::Signals;
use springtide::{AccessLog, Address, Error, Running, Server};

use crate::arguments::{DEFAULT_ADDRESS, Serve};
use crate::complain;
use crate::log::{LogFile, Reopen};
use crate::passed::{Passed, PassedError};
use crate::site::{self, Bundle, Started};
use crate::supervisor::Supervisor;
use crate::user::{User, UserError};

/// What a process ends with when a second signal stops it at once.
const EXIT_AT_ONCE: i32 = 130;

/// Why the program ends with an error.
#[derive(Debug)]
pub(crate) enum Failure {
    Server(Error),
    Signals(std::io::Error),
    Passed(PassedError),
    User(UserError),
    /// What was passed, by its name, is not to be listened on.
    Socket(String, Error),
    NoBundle,
    Log(PathBuf, std::io::Error),
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Server(error) => error.fmt(f),
            Self::Passed(error) => error.fmt(f),
            Self::User(error) => error.fmt(f),
            Self::Socket(name, error) => write!(f, "{name}: {error}"),
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
    let passed = Passed::take().map_err(Failure::Passed)?;
    let user = options.user.as_deref().map(User::find).transpose().map_err(Failure::User)?;
    let supervisor = Arc::new(supervisor());
    let started = Started::default();
    let mut server = Server::new()
        .engine(options.engine.into())
        .latency(options.latency)
        .compress(options.compress)
        .limits(options.limits.limits());
    if let Some(count) = options.workers {
        server = server.workers(usize::from(count));
    }
    if let Some(mode) = options.unix_mode {
        server = server.unix_mode(mode);
    }
    server = match &options.directory {
        Some(directory) => server.files("/", options.files(directory)),
        None => {
            let bundle = Bundle::find().ok_or(Failure::NoBundle)?;
            site::bundled(server, &bundle, &started, options)
        }
    };
    server = listen(options.proxies.put_in_front(server), &options.listen, passed)?;
    for address in &options.admin {
        server = server.admin(address)?;
    }
    let reopen = Reopen::default();
    if let Some(path) = &options.access_log {
        let log = access_log(path, reopen.clone())?;
        server = server.access_log(log.format(options.log_format.into()));
    }
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGUSR1]).map_err(Failure::Signals)?;
    let bound = server.bind()?;
    if let Some(user) = user {
        user.replace_root().map_err(Failure::User)?;
    }
    let running = Arc::new(bound.serve());
    let beat = options.directory.is_none().then(|| started.start(&running));
    greet(&running, options);
    let status = format!("READY=1\nSTATUS=serves {} at {}", what(options), places(&running));
    if let Err(error) = supervisor.tell(&status) {
        complain(format_args!("cannot tell the supervisor: {error}"));
    }
    let (end, ended) = mpsc::channel();
    let (own, told) = (running.clone(), supervisor.clone());
    let watchdog = std::thread::spawn(move || told.watch(&ended, |within| own.answers(within)));
    let (own, handle) = (running.clone(), signals.handle());
    let watcher =
        std::thread::spawn(move || heed_signals(&mut signals, &own, &reopen, &supervisor));
    let joined = running.join();
    drop((end, beat));
    handle.close();
    // They have nothing left to wait for.
    let _ = (watcher.join(), watchdog.join());
    joined?;
    let count = running.metrics().counts().requests_total;
    say(format_args!("stopped: {count} requests answered"));
    Ok(())
}

fn supervisor() -> Supervisor {
    Supervisor::of(|name| std::env::var_os(name)).unwrap_or_else(|error| {
        complain(format_args!("cannot tell the supervisor: {error}"));
        Supervisor::default()
    })
}

/// Listens where it was told to; where nothing was said, on all that was passed, or at the default.
fn listen(mut server: Server, said: &[String], mut passed: Passed) -> Result<Server, Failure> {
    let mut all = said.to_vec();
    if said.is_empty() {
        all.extend(passed.names().into_iter().map(|name| format!("fd:{name}")));
    }
    if all.is_empty() {
        all.push(DEFAULT_ADDRESS.to_owned());
    }
    for address in &all {
        let Some(name) = address.strip_prefix("fd:") else {
            server = server.listen(address)?;
            continue;
        };
        for socket in passed.claim(name).map_err(Failure::Passed)? {
            server = server.listen_on(socket).map_err(|e| Failure::Socket(address.clone(), e))?;
        }
    }
    for name in passed.names() {
        complain(format_args!("fd:{name} was passed and is not listened on: --listen says others"));
    }
    Ok(server)
}

fn access_log(path: &Path, reopen: Reopen) -> Result<AccessLog, Failure> {
    if path == Path::new("-") {
        return Ok(AccessLog::new(std::io::stdout()));
    }
    let file = LogFile::open(path, reopen);
    file.map(AccessLog::new).map_err(|error| Failure::Log(path.to_owned(), error))
}

fn heed_signals(
    signals: &mut Signals,
    running: &Running,
    reopen: &Reopen,
    supervisor: &Supervisor,
) {
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
    running.drain();
    say(format_args!(
        "stopping: {open} connections are open; requests that have begun get {} s (again to stop \
         at once)",
        running.drain_timeout().as_secs()
    ));
    // The next thing that it hears is the end.
    let _ = supervisor.tell(&format!("STOPPING=1\nSTATUS=draining: {open} connections were open"));
    if stops.next().is_some() {
        std::process::exit(EXIT_AT_ONCE);
    }
}

/// Says a line, or says nothing where nobody hears it: that is no reason to end.
fn say(line: std::fmt::Arguments<'_>) {
    let _ = writeln!(std::io::stdout(), "{line}");
}

/// Says what runs, where, how, within which limits, and how to stop it.
fn greet(running: &Running, options: &Serve) {
    say(format_args!("springtide {} serves {}", env!("CARGO_PKG_VERSION"), what(options)));
    for address in running.addresses() {
        say(format_args!("  {}", place(address)));
    }
    for address in running.admin_addresses() {
        say(format_args!("  admin    {address}"));
    }
    let limits = options.limits.limits().http1;
    say(format_args!("  engine   {} ({})", running.engine(), running.engine_reason()));
    say(format_args!("  workers  {}", running.workers()));
    say(format_args!(
        "  limits   {} connections, heads {} KiB and {} fields in {} s, bodies {} KiB, idle {} s",
        running.connections_max(),
        limits.head_bytes_max >> 10,
        limits.fields_max,
        limits.head_timeout_ms / 1000,
        limits.body_bytes_max >> 10,
        limits.idle_timeout_ms / 1000,
    ));
    say(format_args!("  stop     Ctrl-C, or: kill {}", std::process::id()));
}

fn what(options: &Serve) -> &str {
    options.directory.as_deref().map_or("the bundled site", as_text)
}

fn place(address: &Address) -> String {
    match address {
        Address::Internet(address) => format!("http://{address}"),
        other => other.to_string(),
    }
}

fn places(running: &Running) -> String {
    running.addresses().iter().map(place).collect::<Vec<_>>().join(", ")
}

fn as_text(path: &Path) -> &str {
    path.to_str().unwrap_or("a directory")
}
