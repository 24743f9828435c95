//! Patterns of keys: `*`, `?`, `[a-z]`, `[^a]` and `\` before what is meant as it is.
//! It must never take more steps than the pattern is long for each byte of a key.

/// Whether a pattern fits a whole key.
pub(crate) fn fits(pattern: &[u8], key: &[u8]) -> bool {
    let (mut at, mut start) = (0, 0);
    // Where the last star stands, and how much of the key it takes.
    let mut star = None;
    loop {
        match pattern.get(at) {
            Some(b'*') => {
                star = Some((at, start));
                at += 1;
                continue;
            }
            Some(_) if start < key.len() => {
                let (is_fitting, next) = one(pattern, at, key[start]);
                if is_fitting {
                    (at, start) = (next, start + 1);
                    continue;
                }
            }
            None if start == key.len() => return true,
            _ => {}
        }
        match star {
            Some((behind, taken)) if taken < key.len() => {
                star = Some((behind, taken + 1));
                (at, start) = (behind + 1, taken + 1);
            }
            _ => return false,
        }
    }
}

/// Whether what stands at `at` fits a byte, and where the pattern goes on.
fn one(pattern: &[u8], at: usize, byte: u8) -> (bool, usize) {
    match pattern[at] {
        b'?' => (true, at + 1),
        b'[' => class(pattern, at + 1, byte),
        b'\\' if at + 1 < pattern.len() => (pattern[at + 1] == byte, at + 2),
        own => (own == byte, at + 1),
    }
}

fn class(pattern: &[u8], mut at: usize, byte: u8) -> (bool, usize) {
    let is_negated = pattern.get(at) == Some(&b'^');
    at += usize::from(is_negated);
    let mut is_in = false;
    while let Some(&first) = pattern.get(at).filter(|first| **first != b']') {
        let is_range = pattern.get(at + 1) == Some(&b'-') && at + 2 < pattern.len();
        let (low, high) = match first {
            b'\\' if at + 1 < pattern.len() => {
                at += 1;
                (pattern[at], pattern[at])
            }
            _ if is_range => {
                at += 2;
                (first.min(pattern[at]), first.max(pattern[at]))
            }
            _ => (first, first),
        };
        is_in |= (low..=high).contains(&byte);
        at += 1;
    }
    (is_in != is_negated, (at + 1).min(pattern.len()))
}
