//! Which keys a pattern fits.

use super::example::glob::fits;

#[test]
fn patterns() {
    for (pattern, fitting, other) in [
        ("*", &["", "tide"][..], &[][..]),
        ("t?de", &["tide", "tode"], &["tde", "tiide"]),
        ("h[ae]llo", &["hallo", "hello"], &["hillo", "hllo"]),
        ("h[^e]llo", &["hallo"], &["hello"]),
        ("[b-d]*", &["b", "cold"], &["a", "east"]),
        ("*a*b", &["ab", "xaybab"], &["ba", "xaybac"]),
        ("\\*[\\]x]", &["*]", "*x"], &["a]", "**"]),
        ("low*:[0-9]", &["low:1", "lower:tide:2"], &["low:x", "low"]),
    ] {
        for (keys, expected) in [(fitting, true), (other, false)] {
            for key in keys {
                let fits = fits(pattern.as_bytes(), key.as_bytes());
                assert_eq!(fits, expected, "{pattern} and {key}");
            }
        }
    }
    assert!(!fits(&b"*a".repeat(50), &[b'a'; 49]), "in moments");
}
