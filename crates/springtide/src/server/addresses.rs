//! What an address in words stands for.
//! It binds nothing.

use std::net::{SocketAddr, ToSocketAddrs};

use springtide_engine::Address;

use crate::error::Error;

/// The addresses a text stands for.
pub(super) fn addresses(address: &str) -> Result<Vec<Address>, Error> {
    match address.strip_prefix("unix:") {
        Some(name) => Ok(vec![Address::unix(name)]),
        None => Ok(resolve(address)?.map(Address::Internet).collect()),
    }
}

/// The socket addresses a text stands for; a host with several names the first of each family.
fn resolve(address: &str) -> Result<impl Iterator<Item = SocketAddr> + use<>, Error> {
    let wrong = |reason: String| Error::Address { address: address.to_owned(), reason };
    if let Ok(plain) = address.parse::<SocketAddr>() {
        return Ok(vec![plain].into_iter());
    }
    if !address.contains(':') {
        return Err(wrong("a port is missing: write HOST:PORT".to_owned()));
    }
    let all: Vec<SocketAddr> =
        address.to_socket_addrs().map_err(|error| wrong(error.to_string()))?.collect();
    let mut firsts: Vec<SocketAddr> = Vec::new();
    for candidate in all {
        if !firsts.iter().any(|first| first.is_ipv4() == candidate.is_ipv4()) {
            firsts.push(candidate);
        }
    }
    // With port 0 the two families would get two ports: one is enough.
    if firsts.iter().any(|first| first.port() == 0) {
        firsts.truncate(1);
    }
    if firsts.is_empty() {
        Err(wrong("it names no address".to_owned()))
    } else {
        Ok(firsts.into_iter())
    }
}
