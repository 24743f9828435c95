//! The flags that every server example takes: where to listen, how many workers, which engine.
//! It serves nothing.

use springtide::{Engine, Error, Server};

/// What these flags are, for whoever asks or has written others.
pub(crate) const FLAGS: &str = "--listen ADDRESS, --workers N, --engine auto|uring|epoll|poll";

/// Puts `--listen ADDRESS`, `--workers N` and `--engine auto|uring|epoll|poll` into a server.
#[allow(dead_code, reason = "an example with flags of its own has read them before")]
pub(crate) fn with_flags(server: Server, address: &str) -> Result<Server, Error> {
    with_arguments(server, address, std::env::args().skip(1))
}

/// The same of arguments that are given.
pub(crate) fn with_arguments(
    mut server: Server,
    address: &str,
    mut arguments: impl Iterator<Item = String>,
) -> Result<Server, Error> {
    let mut listen = address.to_owned();
    while let Some(flag) = arguments.next() {
        let value = arguments.next().unwrap_or_default();
        server = match (flag.as_str(), value.parse::<usize>()) {
            ("--listen", _) => {
                listen = value;
                server
            }
            ("--workers", Ok(count)) => server.workers(count),
            ("--engine", _) => server.engine(value.parse::<Engine>()?),
            _ => {
                eprintln!("{FLAGS}; not {flag} {value}");
                std::process::exit(2);
            }
        };
    }
    server.listen(&listen)
}
