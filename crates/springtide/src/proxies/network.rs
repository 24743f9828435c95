//! Networks of addresses, as they are written: `192.0.2.0/24`.
//! An IPv4 address is the same whether it came over IPv4 or IPv6.

use std::net::IpAddr;

/// A network of addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Network {
    /// An IPv4 one as mapped into IPv6.
    bits: u128,
    mask: u128,
}

/// The bits in front of an IPv4 address that is mapped into IPv6.
const MAPPED_BITS: u32 = 96;

impl Network {
    /// An address, or one with the bits that count behind a slash.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (address, count) = match text.split_once('/') {
            Some((address, count)) => (address, Some(count.parse::<u32>().ok()?)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().ok()?;
        let (before, count_max) = if address.is_ipv4() { (MAPPED_BITS, 32) } else { (0, 128) };
        let count = before + count.or(Some(count_max)).filter(|count| *count <= count_max)?;
        let mask = if count == 0 { 0 } else { u128::MAX << (u128::BITS - count) };
        Some(Self { bits: bits_of(address) & mask, mask })
    }

    pub(crate) fn contains(&self, address: IpAddr) -> bool {
        bits_of(address) & self.mask == self.bits
    }
}

fn bits_of(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped().to_bits(),
        IpAddr::V6(address) => address.to_bits(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_contain_their_addresses() {
        for (network, address, expected) in [
            ("192.0.2.0/24", "192.0.2.255", true),
            ("192.0.2.7/24", "192.0.2.1", true),
            ("192.0.2.0/24", "192.0.3.0", false),
            ("192.0.2.0/24", "::ffff:192.0.2.9", true),
            ("192.0.2.7", "192.0.2.7", true),
            ("192.0.2.7", "192.0.2.6", false),
            ("0.0.0.0/0", "203.0.113.7", true),
            ("0.0.0.0/0", "2001:db8::1", false),
            ("::/0", "203.0.113.7", true),
            ("2001:db8::/33", "2001:db8:7fff::1", true),
            ("2001:db8::/33", "2001:db8:8000::1", false),
            ("2001:db8::1/128", "2001:db8::1", true),
        ] {
            let network = Network::parse(network).unwrap();
            assert_eq!(network.contains(address.parse().unwrap()), expected, "{address}");
        }
        for bad in [
            "",
            "192.0.2.0/33",
            "2001:db8::/129",
            "192.0.2/24",
            "192.0.2.0/",
            "a/8",
            "/8",
            "10.0.0.0/4294967200",
        ] {
            assert_eq!(Network::parse(bad), None, "{bad:?}");
        }
    }
}
