//! The program's flags, with the texts of `--help`.
//! Nothing is done here: a wrong flag never gets further.

use std::path::{Path, PathBuf};

use clap::{Args, CommandFactory, Parser, Subcommand, ValueEnum};
use springtide::Files;

use crate::limit_flags::LimitFlags;
use crate::proxy_flags::ProxyFlags;

/// A web server that is simple and fast.
///
/// With no arguments it serves the site that comes with it, at <http://127.0.0.1:8080>.
#[derive(Debug, Parser)]
#[command(name = "springtide", version, propagate_version = true)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Serve a directory, or the site that comes with the program
    Serve(Box<Serve>),
    /// Say what this machine offers a server, what is missing, and how to change it
    Check,
    /// Check a configuration file, or show what is in effect
    #[command(subcommand)]
    Config(Config),
}

#[derive(Debug, Subcommand)]
pub(crate) enum Config {
    /// Check a configuration file without serving anything
    Check {
        /// The file
        file: PathBuf,
    },
    /// Show what `serve` with these flags has in effect, and where each value comes from, as a
    /// configuration file
    Show(Box<Serve>),
}

/// Serves a directory: index.html for directories, entity tags, ranges, files from memory, and
/// NAME.br, NAME.zst or NAME.gz in place of NAME for who takes them.
///
/// Ctrl-C or SIGTERM stops it: no connection is accepted any more, requests that have begun are
/// answered, and what is left after --drain-timeout is cut. A second one stops it at once.
///
/// Every flag is also a variable (--idle-timeout is SPRINGTIDE_IDLE_TIMEOUT) and a key of the file
/// that --config names (idle_timeout in [limits]). A flag goes before a variable, a variable before
/// the file.
///
/// Examples:
///   springtide serve public
///   springtide serve . --list
///   springtide serve public --listen '[::]:80'   (IPv6 and IPv4 both)
///   springtide serve dist --spa index.html --cache-control 'assets/**=max-age=31536000, immutable'
///   springtide serve --listen unix:/run/springtide.sock --workers 1
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Serve {
    /// What to serve; without it, the site that comes with the program
    pub(crate) directory: Option<PathBuf>,

    /// Where to listen: HOST:PORT (port 0 takes a free one), unix:PATH, unix:@NAME (no file), or
    /// fd:NUMBER and fd:NAME, a socket that was passed to the program; may be given several times
    /// [default: all that systemd passed, or else 127.0.0.1:8080]
    #[arg(long, value_name = "ADDRESS", value_delimiter = ',')]
    pub(crate) listen: Vec<String>,

    /// The permissions of the files of Unix sockets, in octal as chmod(1) has them: 660 lets the owner
    /// and the group connect [default: what the umask leaves]
    #[arg(long, value_name = "MODE", value_parser = mode)]
    pub(crate) unix_mode: Option<u32>,

    /// How many shards, each a thread with its own connections [default: one per processor]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1023))]
    pub(crate) workers: Option<u16>,

    /// How to ask the system for input and output
    #[arg(long, value_enum, default_value_t = EngineName::Auto)]
    pub(crate) engine: EngineName,

    /// Spin up to 50 µs before sleeping while requests come in quick succession: lower latency for
    /// more processor time (io_uring only)
    #[arg(long)]
    pub(crate) latency: bool,

    /// Also serve files and directories whose names begin with a dot
    #[arg(long)]
    pub(crate) hidden: bool,

    /// Show directories without an index as pages with their names
    #[arg(long)]
    pub(crate) list: bool,

    /// The file that stands for its directory
    #[arg(long, value_name = "NAME", default_value = "index.html", value_parser = name)]
    pub(crate) index: String,

    /// Compress files of text with gzip for who takes that, anew for each request: those that are kept
    /// in memory (up to 4 MiB) and have no NAME.br, NAME.zst or NAME.gz beside them
    #[arg(long)]
    pub(crate) compress: bool,

    /// A file of the directory that is sent, with status 404, where there is no other
    #[arg(long, value_name = "FILE", value_parser = page)]
    pub(crate) not_found_page: Option<String>,

    /// A file of the directory that is sent, with status 200, to browsers that open a page that is
    /// not there: the page of an application with routes of its own
    #[arg(long, value_name = "FILE", value_parser = page)]
    pub(crate) spa: Option<String>,

    /// The Cache-Control of files whose names match: '*.css=max-age=60'. * is anything but a slash,
    /// ** anything; a pattern without a slash is held against the last part of a name. May be given
    /// several times: the first that matches counts
    #[arg(long, value_name = "PATTERN=VALUE", value_parser = cache_control)]
    pub(crate) cache_control: Vec<CacheControl>,

    /// Where the server tells of itself: /metrics for Prometheus, /healthz, /connections; not for
    /// the open internet. As --listen; may be given several times
    #[arg(long, value_name = "ADDRESS", value_delimiter = ',')]
    pub(crate) admin: Vec<String>,

    /// Where a line for each request goes: a file, to which it is appended and which SIGUSR1 opens
    /// anew, or - for standard output
    #[arg(long, value_name = "FILE")]
    pub(crate) access_log: Option<PathBuf>,

    /// How the lines of the access log look
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t = FormatName::Pretty)]
    pub(crate) log_format: FormatName,

    /// The user, and the group if it is not the user's own, whom root serves as once every address
    /// is bound and the logs are open; names or numbers
    #[arg(long, value_name = "NAME[:GROUP]")]
    pub(crate) user: Option<String>,

    #[command(flatten)]
    pub(crate) proxies: ProxyFlags,

    /// A file with settings; see docs/reference.md
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) limits: LimitFlags,
}

pub(crate) const DEFAULT_ADDRESS: &str = "127.0.0.1:8080";

/// The program's command line; with its variables, unless the environment is not to count.
pub(crate) fn command(with_variables: bool) -> clap::Command {
    let command = Arguments::command();
    if !with_variables {
        return command;
    }
    let named = |serve: clap::Command| {
        serve.mut_args(|arg| match arg.get_id().as_str() {
            "help" | "version" => arg,
            id => {
                let variable = format!("SPRINGTIDE_{}", id.to_uppercase());
                arg.env(variable).hide_env(true)
            }
        })
    };
    let command = command.mut_subcommand("serve", named);
    command.mut_subcommand("config", |config| config.mut_subcommand("show", named))
}

impl Serve {
    /// The files beneath a directory, served as the flags say.
    pub(crate) fn files(&self, directory: &Path) -> Files {
        let mut files = Files::new(directory).hidden(self.hidden).list(self.list);
        files = files.index(&self.index);
        if let Some(page) = &self.not_found_page {
            files = files.not_found_page(page);
        }
        if let Some(page) = &self.spa {
            files = files.fallback_page(page);
        }
        for CacheControl { pattern, value } in &self.cache_control {
            files = files.cache_control_for(pattern, value);
        }
        files
    }
}

/// What files of some names are sent with.
#[derive(Debug, Clone)]
pub(crate) struct CacheControl {
    pattern: String,
    value: String,
}

fn cache_control(text: &str) -> Result<CacheControl, String> {
    let (pattern, value) = text.split_once('=').ok_or("it has no =")?;
    let pattern = relative(pattern)?;
    if !value.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
        return Err("the value has bytes that no field may have".to_owned());
    }
    Ok(CacheControl { pattern, value: value.to_owned() })
}

fn name(text: &str) -> Result<String, String> {
    if text.contains('/') { Err("it is a name: no / in it".to_owned()) } else { relative(text) }
}

fn mode(text: &str) -> Result<u32, String> {
    let mode = u32::from_str_radix(text, 8).ok().filter(|mode| *mode <= 0o777);
    mode.ok_or_else(|| "it is three octal digits, like 660".to_owned())
}

fn page(text: &str) -> Result<String, String> {
    if text.ends_with('/') { Err("it is a file: no / last".to_owned()) } else { relative(text) }
}

/// A name or a pattern within the directory.
fn relative(text: &str) -> Result<String, String> {
    match text {
        "" => Err("it names nothing".to_owned()),
        text if text.starts_with('/') => {
            Err("it is relative to the directory: no / first".to_owned())
        }
        text => Ok(text.to_owned()),
    }
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum EngineName {
    /// The fastest that works here
    Auto,
    /// io_uring (Linux 6.1 and later), or refuse to start
    Uring,
    /// epoll
    Epoll,
    /// poll: works everywhere, costs more the more connections are open
    Poll,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum FormatName {
    /// For eyes
    Pretty,
    /// The Common Log Format
    Common,
    /// A JSON object a line
    Json,
}

impl From<FormatName> for springtide::LogFormat {
    fn from(name: FormatName) -> Self {
        match name {
            FormatName::Pretty => Self::Pretty,
            FormatName::Common => Self::Common,
            FormatName::Json => Self::Json,
        }
    }
}

impl From<EngineName> for springtide::Engine {
    fn from(name: EngineName) -> Self {
        match name {
            EngineName::Auto => Self::Auto,
            EngineName::Uring => Self::Uring,
            EngineName::Epoll => Self::Epoll,
            EngineName::Poll => Self::Poll,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::FromArgMatches;

    #[test]
    fn the_flags_are_consistent() {
        command(true).debug_assert();
    }

    /// Every limit is a flag, and what the flag says is the limit.
    #[test]
    fn limits_are_flags() {
        let words = ["springtide", "serve", "--head-bytes-max", "32KiB", "--connections-max=7"];
        let matches = command(false).try_get_matches_from(words).unwrap();
        let parsed = Arguments::from_arg_matches(&matches).unwrap();
        let Some(Command::Serve(serve)) = parsed.command else { panic!("serve is a command") };
        let limits = serve.limits.limits();
        assert_eq!((limits.http1.head_bytes_max, limits.connections_max), (32 << 10, 7));
        assert_eq!(limits.backlog_max, springtide::Limits::default().backlog_max);
    }
}
