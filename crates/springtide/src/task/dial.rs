//! Where a connection is to lead, and how long it may take to be made.
//! It is data; the shard tries it.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use springtide_engine::Address;

use crate::peer::Reason;

/// What is tried, one after the other, until a connection stands.
#[derive(Clone, Debug, Default)]
pub(crate) struct Dial {
    pub(crate) targets: VecDeque<Target>,
    /// From where; the system's choice where nothing is said.
    pub(crate) local: Option<SocketAddr>,
    /// For all of them together; the shard's own limit where nothing is said.
    pub(crate) timeout: Option<Duration>,
    /// How long to wait before, at most: half of it at least, by chance.
    pub(crate) back_off: Duration,
}

/// One address, or a name that may have several.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    Address(Address),
    Name(String, u16),
}

impl Dial {
    pub(crate) fn to(address: Address) -> Box<Self> {
        Box::new(Self { targets: VecDeque::from([Target::Address(address)]), ..Self::default() })
    }
}

impl Target {
    /// `127.0.0.1:7000`, `[::1]:7000`, `name:7000`, or `unix:` and a path.
    ///
    /// # Errors
    /// It is none of them.
    pub(crate) fn parse(text: &str) -> Result<Self, Reason> {
        if let Ok(address) = text.parse() {
            return Ok(Self::Address(address));
        }
        let (name, port) = text.rsplit_once(':').ok_or(Reason::Address)?;
        let port = port.parse().map_err(|_| Reason::Address)?;
        let is_name = !name.is_empty() && !name.contains([':', '[', ']', '/', ' ']);
        if is_name { Ok(Self::Name(name.to_owned(), port)) } else { Err(Reason::Address) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_names_are_told_apart() {
        for text in ["192.0.2.1:7000", "[2001:db8::1]:800"] {
            assert_eq!(Target::parse(text), Ok(Target::Address(text.parse().unwrap())), "{text}");
        }
        for path in ["/run/tide.sock", "@tide"] {
            let parsed = Target::parse(&format!("unix:{path}"));
            assert_eq!(parsed, Ok(Target::Address(Address::unix(path))));
        }
        for (text, name, port) in [("ship:1", "ship", 1), ("a.b-c:65535", "a.b-c", 65535)] {
            assert_eq!(Target::parse(text), Ok(Target::Name(name.to_owned(), port)), "{text}");
        }
        for text in ["", "here", ":80", "here:", "here:65536", "2001::1:80", "[2001::1:80", "a b:1"]
        {
            assert_eq!(Target::parse(text), Err(Reason::Address), "{text}");
        }
    }
}
