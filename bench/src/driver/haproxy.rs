//! HAProxy as a peer: one thread that passes bytes on, its configuration made for each start.
//! It must never write outside of the scratch directory.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::Path;

/// Writes the configuration and returns the arguments that name it.
pub(super) fn arguments(
    scratch: &Path,
    address: SocketAddr,
    to: SocketAddr,
    splices: bool,
) -> io::Result<[String; 3]> {
    let path = scratch.join("haproxy.cfg");
    let splice = if splices { "option splice-request\n    option splice-response" } else { "" };
    let configuration = format!(
        r"global
    nbthread 1
    maxconn 4096
defaults
    mode tcp
    timeout connect 5s
    timeout client 60s
    timeout server 60s
    {splice}
listen bench
    bind {address}
    server upstream {to}
"
    );
    fs::write(&path, configuration)?;
    Ok(["-db".into(), "-f".into(), path.display().to_string()])
}
