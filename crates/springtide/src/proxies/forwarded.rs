//! What proxies write of where a request came from, read from the right: the nearest first.
//! It judges nobody; what cannot be read ends the list.

use std::net::{IpAddr, SocketAddr};

use springtide_proto::http1::is_host;

/// The fields of a request, each with all its lines joined.
pub(crate) enum Fields<'a> {
    X { chain: &'a str, scheme: &'a str, host: &'a str },
    Standard(&'a str),
}

/// What one proxy says of whom it had the request from.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Hop {
    /// None where it hides that.
    pub(crate) address: Option<IpAddr>,
    /// In small letters.
    pub(crate) scheme: Option<String>,
    pub(crate) host: Option<String>,
}

/// The hops, the nearest first, each read when it is asked for: mostly it is one, of however many a
/// client has made up in front of it.
pub(crate) fn hops<'a>(fields: &Fields<'a>) -> Box<dyn Iterator<Item = Hop> + 'a> {
    match *fields {
        Fields::Standard(value) => {
            // An empty element is none (RFC 9110 §5.6.1).
            let elements = quoted_from_the_right(value).filter(|own| !own.trim().is_empty());
            Box::new(elements.map_while(hop_of_element))
        }
        Fields::X { chain, scheme, host } => Box::new(hops_of_lists(chain, scheme, host)),
    }
}

/// The lists go side by side from the right. Where one is shorter, some proxy has replaced it by
/// what it knew itself, and its first element stands for what lies further out.
fn hops_of_lists<'a>(
    chain: &'a str,
    scheme: &'a str,
    host: &'a str,
) -> impl Iterator<Item = Hop> + 'a {
    let (mut addresses, mut schemes, mut hosts) =
        (from_the_right(chain), from_the_right(scheme), from_the_right(host));
    let (mut scheme, mut host, mut is_first) = (None, None, true);
    std::iter::from_fn(move || {
        let address = addresses.next();
        if address.is_none() && !is_first {
            return None;
        }
        is_first = false;
        (scheme, host) = (schemes.next().or(scheme), hosts.next().or(host));
        Some(Hop {
            address: address.and_then(address_of),
            scheme: scheme.and_then(scheme_of),
            host: host.and_then(host_of),
        })
    })
}

/// The elements of a list, the last one first; an empty one is none (RFC 9110 §5.6.1).
fn from_the_right(list: &str) -> impl Iterator<Item = &str> {
    list.rsplit(',').map(str::trim).filter(|element| !element.is_empty())
}

/// The same where commas in quotes separate nothing. A quote that a client has left open is in its own
/// element only: what proxies wrote behind it is read all the same.
fn quoted_from_the_right(list: &str) -> impl Iterator<Item = &str> {
    let mut rest = Some(list);
    std::iter::from_fn(move || {
        let text = rest?;
        let mut is_quoted = false;
        for (at, byte) in text.bytes().enumerate().rev() {
            match byte {
                b'"' if !is_escaped(&text.as_bytes()[..at]) => is_quoted = !is_quoted,
                b',' if !is_quoted => {
                    rest = Some(&text[..at]);
                    return Some(&text[at + 1..]);
                }
                _ => {}
            }
        }
        rest.take()
    })
}

/// Whether what stands behind these bytes is escaped by the last of them.
fn is_escaped(before: &[u8]) -> bool {
    before.iter().rev().take_while(|byte| **byte == b'\\').count() % 2 == 1
}

/// One element of `Forwarded` (RFC 7239 §4); none when it is malformed.
fn hop_of_element(element: &str) -> Option<Hop> {
    let mut hop = Hop::default();
    for pair in split_quoted(element, b';')? {
        let (name, value) = pair.split_once('=')?;
        let value = unquoted(value.trim())?;
        match name.trim().to_ascii_lowercase().as_str() {
            "for" => hop.address = address_of(&value),
            "proto" => hop.scheme = scheme_of(&value),
            "host" => hop.host = host_of(&value),
            _ => {}
        }
    }
    Some(hop)
}

/// Cuts at a separator that stands in no quotes; none when a quote is left open.
fn split_quoted(text: &str, separator: u8) -> Option<Vec<&str>> {
    let (mut parts, mut start) = (Vec::new(), 0);
    let (mut is_quoted, mut is_escaped) = (false, false);
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' if is_quoted => is_escaped = true,
            b'"' => is_quoted = !is_quoted,
            _ if byte == separator && !is_quoted => {
                parts.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&text[start..]);
    (!is_quoted).then_some(parts)
}

/// A token, or what a quoted string says (RFC 9110 §5.6.4).
fn unquoted(value: &str) -> Option<String> {
    let Some(rest) = value.strip_prefix('"') else { return Some(value.to_owned()) };
    let mut said = String::with_capacity(rest.len());
    let mut letters = rest.strip_suffix('"')?.chars();
    while let Some(letter) = letters.next() {
        said.push(if letter == '\\' { letters.next()? } else { letter });
    }
    Some(said)
}

/// An address, with a port or without, IPv6 in brackets or bare.
fn address_of(text: &str) -> Option<IpAddr> {
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    let alone = bare.parse::<IpAddr>().ok();
    let address = alone.or_else(|| text.parse::<SocketAddr>().ok().map(|with_port| with_port.ip()));
    address.map(|address| address.to_canonical())
}

/// A host with its port: what would be one in a request's own `Host`.
fn host_of(text: &str) -> Option<String> {
    is_host(text.as_bytes()).then(|| text.to_owned())
}

/// A scheme's name in small letters (RFC 3986 §3.1).
fn scheme_of(text: &str) -> Option<String> {
    let is_valid = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
    (is_valid && !text.is_empty()).then(|| text.to_ascii_lowercase())
}
