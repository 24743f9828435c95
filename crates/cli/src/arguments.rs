//! The program's flags, with the texts of `--help`.
//! Nothing is done here: a wrong flag never gets further.

use std::path::{Path, PathBuf};

use clap::{Args, Parser, Subcommand, ValueEnum};
use springtide::Files;

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
    Serve(Serve),
}

impl Default for Command {
    fn default() -> Self {
        Self::Serve(Serve::default())
    }
}

/// Serves a directory: index.html for directories, entity tags, ranges, files from memory, and
/// NAME.br, NAME.zst or NAME.gz in place of NAME for who takes them.
///
/// Ctrl-C or SIGTERM stops it: no connection is accepted any more, requests that have begun are
/// answered, and what is left after --grace is cut. A second one stops it at once.
///
/// Examples:
///   springtide serve public
///   springtide serve . --list
///   springtide serve public --listen 0.0.0.0:80 --listen '[::]:80'
///   springtide serve dist --spa index.html --cache-control 'assets/**=max-age=31536000, immutable'
///   springtide serve --listen unix:/run/springtide.sock --workers 1
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Serve {
    /// What to serve; without it, the site that comes with the program
    pub(crate) directory: Option<PathBuf>,

    /// Where to listen: HOST:PORT (port 0 takes a free one) or unix:PATH; may be given several
    /// times
    #[arg(long, value_name = "ADDRESS", default_value = DEFAULT_ADDRESS)]
    pub(crate) listen: Vec<String>,

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

    /// A file of the directory that is sent, with status 200, to browsers that open a page that is
    /// not there: the page of an application with routes of its own
    #[arg(long, value_name = "FILE", value_parser = page)]
    pub(crate) spa: Option<String>,

    /// The Cache-Control of files whose names match: '*.css=max-age=60'. * is anything but a slash,
    /// ** anything; a pattern without a slash is held against the last part of a name. May be given
    /// several times: the first that matches counts
    #[arg(long, value_name = "PATTERN=VALUE", value_parser = cache_control)]
    pub(crate) cache_control: Vec<CacheControl>,

    /// How many seconds requests may take to finish when the server is stopped
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    pub(crate) grace: u64,
}

const DEFAULT_ADDRESS: &str = "127.0.0.1:8080";

impl Default for Serve {
    fn default() -> Self {
        Self {
            directory: None,
            listen: vec![DEFAULT_ADDRESS.to_owned()],
            workers: None,
            engine: EngineName::Auto,
            latency: false,
            hidden: false,
            list: false,
            spa: None,
            cache_control: Vec::new(),
            grace: 30,
        }
    }
}

impl Serve {
    /// The files beneath a directory, served as the flags say.
    pub(crate) fn files(&self, directory: &Path) -> Files {
        let mut files = Files::new(directory).hidden(self.hidden).list(self.list);
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
    use clap::CommandFactory;

    #[test]
    fn the_flags_are_consistent_with_the_defaults() {
        Arguments::command().debug_assert();
        let Some(Command::Serve(given)) = Arguments::parse_from(["springtide", "serve"]).command
        else {
            panic!("serve is a command")
        };
        assert_eq!(format!("{given:?}"), format!("{:?}", Serve::default()));
    }
}
