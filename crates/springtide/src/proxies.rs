//! Trusted proxies: whose word counts on where a request came from (RFC 7239).
//! Nothing that a client could have written itself is believed.

mod forwarded;
mod network;

pub(crate) use forwarded::{Fields, Hop, hops};
pub(crate) use network::Network;

use std::net::IpAddr;

use springtide_engine::Address;

/// Which fields trusted proxies write; see [`Server::trusted_proxies`](crate::Server::trusted_proxies).
///
/// A proxy that writes the one kind hands the other kind through as the client has sent it, so one
/// server believes one kind only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ProxyFields {
    /// `X-Forwarded-For`, `X-Forwarded-Proto` and `X-Forwarded-Host`: most proxies.
    #[default]
    XForwarded,
    /// `Forwarded` (RFC 7239).
    Forwarded,
}

/// Which proxies are trusted, and what they write.
#[derive(Debug, Default)]
pub(crate) struct Proxies {
    pub(crate) networks: Vec<Network>,
    /// Who comes over a Unix socket is trusted.
    pub(crate) trusts_unix: bool,
    pub(crate) fields: ProxyFields,
}

/// Where a request came from, as far as it is known.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Origin {
    pub(crate) address: Option<IpAddr>,
    pub(crate) scheme: Option<String>,
    pub(crate) host: Option<String>,
}

impl Proxies {
    /// Whether anyone is trusted.
    pub(crate) const fn is_any(&self) -> bool {
        self.trusts_unix || !self.networks.is_empty()
    }

    /// Trusts a network (`192.0.2.0/24`), an address, or `unix`; false when it is none of them.
    pub(crate) fn add(&mut self, text: &str) -> bool {
        if text == "unix" {
            self.trusts_unix = true;
            return true;
        }
        let network = Network::parse(text);
        self.networks.extend(network);
        network.is_some()
    }

    pub(crate) fn trusts(&self, peer: &Address) -> bool {
        match peer {
            Address::Internet(address) => self.trusts_ip(address.ip()),
            Address::Unix(_) => self.trusts_unix,
        }
    }

    fn trusts_ip(&self, address: IpAddr) -> bool {
        self.networks.iter().any(|network| network.contains(address))
    }

    /// Where a request came from: from its peer, and as long as the last one known is trusted, from
    /// whom that one names.
    pub(crate) fn origin(&self, peer: Option<&Address>, fields: &Fields<'_>) -> Origin {
        let mut origin = Origin { address: peer.and_then(ip_of), ..Origin::default() };
        if !peer.is_some_and(|peer| self.trusts(peer)) {
            return origin;
        }
        for Hop { address, scheme, host } in hops(fields) {
            origin.scheme = scheme.or(origin.scheme);
            origin.host = host.or(origin.host);
            // Whoever hides an address leaves the proxy that named it as the last one known.
            let Some(address) = address else { break };
            origin.address = Some(address);
            if !self.trusts_ip(address) {
                break;
            }
        }
        origin
    }
}

/// The IP address of a peer, an IPv4 one by itself also where it came over IPv6.
pub(crate) fn ip_of(peer: &Address) -> Option<IpAddr> {
    match peer {
        Address::Internet(address) => Some(address.ip().to_canonical()),
        Address::Unix(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proxies(trusted: &[&str], fields: ProxyFields) -> Proxies {
        let mut proxies = Proxies { fields, ..Proxies::default() };
        assert!(trusted.iter().all(|text| proxies.add(text)));
        proxies
    }

    fn peer(text: &str) -> Address {
        Address::Internet(format!("{text}:0").parse().unwrap())
    }

    /// Address, scheme and host as one line.
    fn line(origin: &Origin) -> String {
        let address = origin.address.map_or_else(|| "-".to_owned(), |address| address.to_string());
        let or_none = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
        format!("{address} {} {}", or_none(&origin.scheme), or_none(&origin.host))
    }

    #[test]
    fn only_trusted_hops_are_followed() {
        let own = proxies(&["192.0.2.0/24", "2001:db8::/32"], ProxyFields::XForwarded);
        for (from, chain, expected) in [
            ("192.0.2.1", "203.0.113.7", "203.0.113.7 https a"),
            ("198.51.100.1", "203.0.113.7", "198.51.100.1 - -"),
            ("192.0.2.1", "10.1.1.1, 203.0.113.7", "203.0.113.7 https a"),
            ("192.0.2.1", "203.0.113.7, 192.0.2.9", "203.0.113.7 https a"),
            ("192.0.2.1", "1.1.1.1, 203.0.113.7, 192.0.2.9", "203.0.113.7 https a"),
            ("192.0.2.1", "192.0.2.8, 192.0.2.9", "192.0.2.8 https a"),
            ("192.0.2.1", "203.0.113.7:4711", "203.0.113.7 https a"),
            ("192.0.2.1", "2001:db8::7", "2001:db8::7 https a"),
            ("192.0.2.1", "9.9.9.9, [2001:db8::7]:80", "9.9.9.9 https a"),
            ("192.0.2.1", "9.9.9.9, unknown", "192.0.2.1 https a"),
            ("192.0.2.1", "", "192.0.2.1 https a"),
            ("[::ffff:192.0.2.1]", "203.0.113.7", "203.0.113.7 https a"),
        ] {
            let fields = Fields::X { chain, scheme: "https", host: "a" };
            let origin = own.origin(Some(&peer(from)), &fields);
            assert_eq!(line(&origin), expected, "{from}: {chain}");
        }
        let fields = Fields::X { chain: "9.9.9.9", scheme: "", host: "" };
        let unix = Address::Unix(None);
        assert_eq!(line(&own.origin(Some(&unix), &fields)), "- - -");
        let own = proxies(&["unix"], ProxyFields::XForwarded);
        assert_eq!(line(&own.origin(Some(&unix), &fields)), "9.9.9.9 - -");
        assert_eq!(line(&own.origin(None, &fields)), "- - -");
    }

    #[test]
    fn lists_of_schemes_go_with_their_hops() {
        let own = proxies(&["192.0.2.0/24"], ProxyFields::XForwarded);
        for (chain, scheme, expected) in [
            ("203.0.113.7", "ftp, https", "203.0.113.7 https -"),
            ("203.0.113.7, 192.0.2.9", "https, http", "203.0.113.7 https -"),
            ("203.0.113.7, 192.0.2.9", "https", "203.0.113.7 https -"),
            ("6.6.6.6, 203.0.113.7", "ftp, https, http", "203.0.113.7 http -"),
        ] {
            let fields = Fields::X { chain, scheme, host: "" };
            assert_eq!(line(&own.origin(Some(&peer("192.0.2.1")), &fields)), expected, "{scheme}");
        }
    }

    /// The host decides which site answers and stands in links: it is one, or it is not taken.
    #[test]
    fn only_hosts_are_hosts() {
        for (host, expected) in [
            ("a.example:8080", "a.example:8080"),
            ("[2001:db8::1]", "[2001:db8::1]"),
            ("evil.example/<script>?x", "-"),
            ("x y@z", "-"),
            ("a:b", "-"),
        ] {
            let own = proxies(&["192.0.2.0/24"], ProxyFields::XForwarded);
            let fields = Fields::X { chain: "203.0.113.7", scheme: "", host };
            let origin = own.origin(Some(&peer("192.0.2.1")), &fields);
            assert_eq!(origin.host.as_deref().unwrap_or("-"), expected);
            let own = proxies(&["192.0.2.0/24"], ProxyFields::Forwarded);
            let value = format!("for=203.0.113.7;host=\"{host}\"");
            let origin = own.origin(Some(&peer("192.0.2.1")), &Fields::Standard(&value));
            assert_eq!(origin.host.as_deref().unwrap_or("-"), expected);
        }
    }

    #[test]
    fn the_standard_field_is_read() {
        let own = proxies(&["192.0.2.0/24"], ProxyFields::Forwarded);
        for (value, expected) in [
            ("for=203.0.113.7;proto=https;host=a", "203.0.113.7 https a"),
            ("For=\"[2001:db8::1]:4711\" ; Proto=HTTPS", "2001:db8::1 https -"),
            ("for=6.6.6.6, for=203.0.113.7;host=\"a\\:80\"", "203.0.113.7 - a:80"),
            ("for=203.0.113.7;proto=https, for=192.0.2.9;by=192.0.2.1", "203.0.113.7 https -"),
            ("for=\"6.6.6.6,for=7.7.7.7\", for=_hidden;proto=http", "192.0.2.1 http -"),
            ("for=6.6.6.6, proto=https", "192.0.2.1 https -"),
            ("for=6.6.6.6, for=\"192.0.2.9", "192.0.2.1 - -"),
            ("for=\", for=203.0.113.7;proto=\"https\"", "203.0.113.7 https -"),
            ("a=\"\\, for=203.0.113.7;host=\"a\\:80\"", "203.0.113.7 - a:80"),
            ("", "192.0.2.1 - -"),
        ] {
            let origin = own.origin(Some(&peer("192.0.2.1")), &Fields::Standard(value));
            assert_eq!(line(&origin), expected, "{value}");
        }
    }
}
