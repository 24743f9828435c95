//! The flags that every server example takes: where to listen, how many workers, which engine.
//! It serves nothing.

use springtide::{Engine, Error, Server};

/// Puts `--listen ADDRESS`, `--workers N` and `--engine auto|uring|epoll|poll` into a server.
pub(crate) fn with_flags(mut server: Server, address: &str) -> Result<Server, Error> {
    let mut listen = address.to_owned();
    let mut arguments = std::env::args().skip(1);
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
                eprintln!(
                    "--listen ADDRESS, --workers N, --engine auto|uring|epoll|poll; not {flag} {value}"
                );
                std::process::exit(2);
            }
        };
    }
    server.listen(&listen)
}
