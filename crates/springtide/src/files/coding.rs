//! Content codings (RFC 9110 §8.4.1): in which of its forms a client takes a file.
//! It knows no file, and encodes nothing.

use crate::accepted::{Element, elements};

/// A form in which a file may be there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Coding {
    /// The file itself.
    Identity,
    Brotli,
    Zstandard,
    Gzip,
}

/// How many there are.
pub(super) const CODINGS: usize = 4;

/// Those that have files of their own, the shortest first, as a rule.
pub(super) const ENCODED: [Coding; CODINGS - 1] = [Coding::Brotli, Coding::Zstandard, Coding::Gzip];

impl Coding {
    pub(super) const fn index(self) -> usize {
        self as usize
    }

    /// What its file's name has behind that of the file itself.
    pub(super) const fn suffix(self) -> &'static str {
        match self {
            Self::Identity => "",
            Self::Brotli => ".br",
            Self::Zstandard => ".zst",
            Self::Gzip => ".gz",
        }
    }

    /// Its registered name; none for a file that is not encoded.
    pub(super) const fn name(self) -> Option<&'static str> {
        match self {
            Self::Identity => None,
            Self::Brotli => Some("br"),
            Self::Zstandard => Some("zstd"),
            Self::Gzip => Some("gzip"),
        }
    }

    fn named(element: &Element<'_>) -> Option<Self> {
        let is = |name: &str| element.is(name);
        // RFC 9110 §8.4.1.3 has x-gzip mean the same.
        if is("identity") {
            return Some(Self::Identity);
        }
        if is("x-gzip") {
            return Some(Self::Gzip);
        }
        ENCODED.into_iter().find(|coding| coding.name().is_some_and(is))
    }
}

/// A file's name and the form in which it is wanted.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wanted<'a> {
    pub(super) name: &'a str,
    pub(super) coding: Coding,
}

impl<'a> Wanted<'a> {
    pub(super) const fn itself(name: &'a str) -> Self {
        Self { name, coding: Coding::Identity }
    }

    /// The name of the file that has it.
    pub(super) fn path(&self) -> String {
        format!("{}{}", self.name, self.coding.suffix())
    }
}

/// Whether a file may have encoded siblings: not one that is encoded itself.
pub(super) fn may_be_encoded(name: &str) -> bool {
    !ENCODED.iter().any(|coding| name.ends_with(coding.suffix()))
}

/// A set of encoded forms.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Codings(u8);

impl Codings {
    pub(super) const fn add(&mut self, coding: Coding) {
        self.0 |= 1 << coding.index();
    }

    pub(super) const fn has(self, coding: Coding) -> bool {
        self.0 & 1 << coding.index() != 0
    }

    pub(super) const fn is_empty(self) -> bool {
        self.0 == 0
    }
}

/// The form to send of those that are `there` beside the file itself, by the `Accept-Encoding` of a
/// request (§12.5.3). None when it takes none of them, nor the file itself.
pub(super) fn choose(accepted: Option<&[u8]>, there: Codings) -> Option<Coding> {
    let Some(accepted) = accepted else { return Some(Coding::Identity) };
    // Without a weight the file itself is not refused.
    if there.is_empty() && memchr::memchr(b';', accepted).is_none() {
        return Some(Coding::Identity);
    }
    let weights = Weights::read(accepted);
    let mut best = (0, None);
    for coding in ENCODED.into_iter().filter(|coding| there.has(*coding)) {
        let weight = weights.of(coding);
        if weight > best.0 {
            best = (weight, Some(coding));
        }
    }
    if weights.of(Coding::Identity) > best.0 { Some(Coding::Identity) } else { best.1 }
}

/// Whether a client takes gzip, and not the body as it is more gladly.
pub(crate) fn takes_gzip(accepted: Option<&[u8]>) -> bool {
    let mut there = Codings::default();
    there.add(Coding::Gzip);
    choose(accepted, there) == Some(Coding::Gzip)
}

/// What a client thinks of each form: nothing where it has not said.
struct Weights {
    named: [Option<u32>; CODINGS],
    others: Option<u32>,
}

/// The weight of the file itself where nothing is said of it: it is taken, after everything else.
const LAST: u32 = 1;

impl Weights {
    /// An element with parameters is none of a coding, and counts as nothing.
    fn read(accepted: &[u8]) -> Self {
        let mut own = Self { named: [None; CODINGS], others: None };
        for element in elements(accepted).filter(|element| !element.is_special) {
            match Coding::named(&element) {
                Some(coding) => own.named[coding.index()] = Some(element.weight),
                None if element.is("*") => own.others = Some(element.weight),
                None => {}
            }
        }
        own
    }

    /// 0 is refused.
    fn of(&self, coding: Coding) -> u32 {
        let unsaid = if coding == Coding::Identity { LAST } else { 0 };
        self.named[coding.index()].or(self.others).unwrap_or(unsaid)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Coding::{Brotli, Gzip, Identity, Zstandard};

    fn set(codings: &[Coding]) -> Codings {
        let mut set = Codings::default();
        codings.iter().for_each(|coding| set.add(*coding));
        set
    }

    #[test]
    fn what_a_client_takes() {
        let all: &[Coding] = &[Brotli, Zstandard, Gzip];
        let table: &[(&str, &[Coding], Option<Coding>)] = &[
            ("gzip, deflate, br, zstd", all, Some(Brotli)),
            ("gzip, deflate, br, zstd", &[Zstandard, Gzip], Some(Zstandard)),
            ("gzip", all, Some(Gzip)),
            ("x-gzip", all, Some(Gzip)),
            ("GZip;Q=1", all, Some(Gzip)),
            ("deflate", all, Some(Identity)),
            ("", all, Some(Identity)),
            (",, gzip ,", all, Some(Gzip)),
            ("*", all, Some(Brotli)),
            ("*", &[], Some(Identity)),
            ("*;q=0.5, gzip", all, Some(Gzip)),
            ("*, br;q=0", all, Some(Zstandard)),
            ("br;q=0.5, gzip;q=0.8", all, Some(Gzip)),
            ("br;q=0.001", all, Some(Brotli)),
            ("br;q=0", all, Some(Identity)),
            ("br;q=0.000, gzip ; q=0.2", all, Some(Gzip)),
            ("identity, gzip;q=0.5", all, Some(Identity)),
            ("identity;q=0.5, gzip;q=0.5", all, Some(Gzip)),
            ("identity;q=0, gzip", all, Some(Gzip)),
            ("identity;q=0, gzip", &[Brotli], None),
            ("identity;q=0", &[], None),
            ("*;q=0", all, None),
            ("*;q=0", &[], None),
            ("*;q=0, identity", all, Some(Identity)),
            ("*;q=0, identity;q=0.1", &[], Some(Identity)),
            ("br, *;q=0", &[Gzip], None),
            ("br, *;q=0", all, Some(Brotli)),
            ("gzip;q=2, br;q=x, zstd;q=0.1234", all, Some(Identity)),
            ("gzip;q=1.001, br;q=1.0, zstd;q=", all, Some(Brotli)),
            ("gzip;level=1", all, Some(Identity)),
        ];
        for (accepted, there, chosen) in table {
            let choice = choose(Some(accepted.as_bytes()), set(there));
            assert_eq!(choice, *chosen, "{accepted:?} of {there:?}");
        }
        assert_eq!(choose(None, set(all)), Some(Identity));
    }

    #[test]
    fn encoded_files_have_no_encoded_siblings() {
        assert!(may_be_encoded("a.css") && may_be_encoded("br") && may_be_encoded(""));
        assert!(!may_be_encoded("a.css.br") && !may_be_encoded("a.gz") && !may_be_encoded(".zst"));
    }
}
