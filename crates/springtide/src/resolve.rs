//! Names to addresses: what is an address already at once, what is a name on a thread of its own.
//! It never blocks a shard; whoever asks bounds how many threads there are at a time.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, ToSocketAddrs};

use springtide_engine::spawn_thread;

/// The address of a host that needs no asking: `localhost` is this host (RFC 6761 §6.3).
pub(crate) fn known(name: &str, port: u16) -> Option<SocketAddr> {
    let own = (name == "localhost").then_some(IpAddr::V4(Ipv4Addr::LOCALHOST));
    own.or_else(|| name.parse().ok()).map(|ip| SocketAddr::new(ip, port))
}

/// Starts a thread that asks the system for the addresses of a name and tells them, or the system's
/// words; it ends when that has answered, whoever waits.
///
/// # Errors
/// The system has no thread left: then nothing is told.
pub(crate) fn ask(
    name: String,
    port: u16,
    tell: impl FnOnce(Result<Vec<SocketAddr>, String>) + Send + 'static,
) -> io::Result<()> {
    let asked = spawn_thread("springtide-names", move || {
        let found = (&*name, port).to_socket_addrs();
        tell(found.map(Iterator::collect).map_err(|error| error.to_string()));
    });
    // Nobody waits for it: it tells.
    asked.map(drop)
}
