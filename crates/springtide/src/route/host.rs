//! Hosts as sites are named by, and as requests name them (RFC 9110 §7.2).
//! Letters are compared regardless of case, and a port is nobody's name.

/// A host that has a router of its own, or all hosts beneath one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct HostPattern {
    /// In small letters; of a wildcard what stands behind the asterisk.
    name: String,
    is_wildcard: bool,
}

impl HostPattern {
    /// `example.org`, `*.example.org`, `[::1]`; none for anything else, a port among it.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (is_wildcard, rest) = match text.strip_prefix('*') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let bare = if is_wildcard { rest.strip_prefix('.')? } else { rest };
        let is_valid = bare
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_'))
            || (bare.starts_with('[') && bare.ends_with(']'));
        let is_valid = is_valid && !bare.is_empty() && !bare.starts_with('.');
        let name = rest.trim_end_matches('.').to_ascii_lowercase();
        is_valid.then_some(Self { name, is_wildcard })
    }

    /// How well a host in its normal form fits, if it does: better by itself than by a wildcard,
    /// and the better the longer the wildcard is.
    pub(super) fn rank(&self, host: &str) -> Option<usize> {
        if !self.is_wildcard {
            return self.name.eq_ignore_ascii_case(host).then_some(usize::MAX);
        }
        let start = host.len().checked_sub(self.name.len()).filter(|start| *start > 0)?;
        let end = host.get(start..)?;
        end.eq_ignore_ascii_case(&self.name).then_some(self.name.len())
    }
}

/// A host as it is compared: without port and without the root's dot.
pub(super) fn normal(host: &[u8]) -> Option<&str> {
    let host = std::str::from_utf8(host).ok()?.trim_ascii();
    let name = match host.strip_prefix('[') {
        Some(rest) => &host[..=rest.find(']')? + 1],
        None => host.split_once(':').map_or(host, |(name, _)| name),
    };
    let name = name.strip_suffix('.').unwrap_or(name);
    (!name.is_empty()).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_compared_in_their_normal_form() {
        for (host, expected) in [
            ("example.org", Some("example.org")),
            ("EXAMPLE.org:8080", Some("EXAMPLE.org")),
            ("example.org.", Some("example.org")),
            ("example.org.:80", Some("example.org")),
            ("[2001:db8::7]:80", Some("[2001:db8::7]")),
            ("[2001:DB8::1]", Some("[2001:DB8::1]")),
            ("[::1", None),
            (":80", None),
            ("", None),
        ] {
            assert_eq!(normal(host.as_bytes()), expected, "{host}");
        }
    }

    #[test]
    fn patterns_rank_hosts() {
        for (pattern, host, rank) in [
            ("Example.ORG", "eXample.org", Some(usize::MAX)),
            ("example.org", "www.example.org", None),
            ("*.example.org", "www.example.org", Some(12)),
            ("*.example.org", "a.b.EXAMPLE.org", Some(12)),
            ("*.example.org", "example.org", None),
            ("*.example.org", "badexample.org", None),
            ("[::1]", "[::1]", Some(usize::MAX)),
        ] {
            let parsed = HostPattern::parse(pattern).unwrap();
            assert_eq!(parsed.rank(host), rank, "{pattern} {host}");
        }
        for bad in ["", "*", "*.", "*example.org", "a:80", "a/b", "..", "a b", "a.*.b"] {
            assert_eq!(HostPattern::parse(bad), None, "{bad:?}");
        }
    }
}
