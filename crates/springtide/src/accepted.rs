//! What a client takes, and how gladly: the lists of `Accept` and `Accept-Encoding` (RFC 9110 §12.5).
//! It knows no media type, no content coding, and chooses nothing.

/// One element of such a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Element<'a> {
    /// As it was sent, in any case of letters.
    pub(crate) name: &'a [u8],
    /// From 0, which is refused, to [`GLADLY`].
    pub(crate) weight: u32,
    /// It has parameters beside its weight, as media types may, and codings may not.
    pub(crate) is_special: bool,
}

impl Element<'_> {
    /// Whether it names this.
    pub(crate) fn is(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name.as_bytes())
    }
}

/// The weight 1, which is that of an element without one. The least one, 0.001, is 10: there is room
/// beneath for what is taken without being named.
pub(crate) const GLADLY: u32 = 10_000;

/// The elements of a list in their order. One whose weight is not well-formed counts as nothing.
pub(crate) fn elements(list: &[u8]) -> impl Iterator<Item = Element<'_>> {
    list.split(|byte| *byte == b',').filter_map(|element| {
        let mut parts = element.split(|byte| *byte == b';').map(<[u8]>::trim_ascii);
        let name = parts.next().unwrap_or_default();
        let mut own = Element { name, weight: GLADLY, is_special: false };
        for parameter in parts {
            match parameter {
                [b'q' | b'Q', b'=', weight @ ..] => own.weight = weight_of(weight)?,
                _ => own.is_special = true,
            }
        }
        Some(own)
    })
}

/// The value of a weight (§12.4.2): from 0 to 1, with three decimals at most.
fn weight_of(value: &[u8]) -> Option<u32> {
    let [whole @ (b'0' | b'1'), decimals @ ..] = value else { return None };
    let decimals = match decimals {
        [] => decimals,
        [b'.', decimals @ ..] if decimals.len() <= 3 => decimals,
        _ => return None,
    };
    let mut weight = if *whole == b'1' { GLADLY } else { 0 };
    for (digit, scale) in decimals.iter().zip([1000, 100, 10]) {
        weight += digit.is_ascii_digit().then(|| u32::from(digit - b'0') * scale)?;
    }
    (weight <= GLADLY).then_some(weight)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Name, weight, and whether there is more.
    type Read = (&'static str, u32, bool);

    #[test]
    fn lists_are_read() {
        let table: &[(&str, &[Read])] = &[
            ("", &[("", GLADLY, false)]),
            ("gzip", &[("gzip", GLADLY, false)]),
            (
                "a;q=0.5, b ; Q=1.000,c;q=0",
                &[("a", 5_000, false), ("b", GLADLY, false), ("c", 0, false)],
            ),
            ("a;q=0.001", &[("a", 10, false)]),
            ("a;q=1.", &[("a", GLADLY, false)]),
            ("text/html;level=1;q=0.1", &[("text/html", 1_000, true)]),
            ("text/html;q=0.1;ext", &[("text/html", 1_000, true)]),
            ("a;q=2,b;q=x,c;q=0.1234,d;q=,e;q=1.001,f;q=-1", &[]),
            ("a;,b", &[("a", GLADLY, true), ("b", GLADLY, false)]),
        ];
        for (list, expected) in table {
            let read: Vec<_> = elements(list.as_bytes())
                .map(|own| (std::str::from_utf8(own.name).unwrap(), own.weight, own.is_special))
                .collect();
            assert_eq!(read, *expected, "{list:?}");
        }
        let all: Vec<_> = elements(b"Text/HTML").collect();
        assert!(all[0].is("text/html") && !all[0].is("text/htm"));
    }
}
