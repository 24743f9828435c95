//! Patterns of names: `*.css`, `assets/**`.
//! A pattern takes time by its own length and that of the name, whatever stands in both.

/// What names are matched by.
#[derive(Debug, Clone)]
pub(super) struct Pattern {
    parts: Vec<Part>,
    /// Whether it is held against the whole name, not only against what is behind its last slash.
    is_path: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Byte(u8),
    /// `*`: anything within a segment.
    Segment,
    /// `**`: anything.
    Path,
}

impl Pattern {
    pub(super) fn new(pattern: &str) -> Self {
        let mut parts: Vec<Part> = Vec::new();
        for byte in pattern.bytes() {
            match (byte, parts.last_mut()) {
                (b'*', Some(last @ (Part::Segment | Part::Path))) => *last = Part::Path,
                (b'*', _) => parts.push(Part::Segment),
                (byte, _) => parts.push(Part::Byte(byte)),
            }
        }
        Self { parts, is_path: pattern.contains('/') }
    }

    pub(super) fn matches(&self, name: &str) -> bool {
        let last = name.rsplit_once('/').map_or(name, |(_, last)| last);
        let name = if self.is_path { name } else { last };
        // Which beginnings of the pattern match what has been read of the name.
        let mut reached = vec![false; self.parts.len() + 1];
        reached[0] = true;
        self.skip_empty(&mut reached);
        for byte in name.bytes() {
            let mut next = vec![false; reached.len()];
            for (at, part) in self.parts.iter().enumerate().filter(|(at, _)| reached[*at]) {
                match part {
                    Part::Byte(own) => next[at + 1] |= *own == byte,
                    Part::Segment => next[at] |= byte != b'/',
                    Part::Path => next[at] = true,
                }
            }
            self.skip_empty(&mut next);
            reached = next;
        }
        reached[self.parts.len()]
    }

    /// Stars match nothing, too.
    fn skip_empty(&self, reached: &mut [bool]) {
        for (at, part) in self.parts.iter().enumerate() {
            reached[at + 1] |= reached[at] && !matches!(part, Part::Byte(_));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_by_patterns() {
        for (pattern, matching, other) in [
            (
                "*.css",
                &["a.css", ".css", "a/b.css", "a.b.css"][..],
                &["a.css.map", "css", "a.CSS"][..],
            ),
            ("index.html", &["index.html", "a/index.html"], &["xindex.html", "index.htm"]),
            ("assets/*", &["assets/a", "assets/"], &["assets/a/b", "assets", "x/assets/a"]),
            ("assets/**", &["assets/a", "assets/a/b.css"], &["assets", "x/assets/a"]),
            ("**/*.js", &["a/b.js", "a/b/c.js"], &["b.js", "a/b.jsx"]),
            ("*", &["a", "a/b", ""], &[]),
            ("**", &["a", "a/b"], &[]),
            ("a*b*c", &["abc", "axbxc", "abbcc"], &["acb", "abcd"]),
            ("a/*/c", &["a/b/c", "a//c"], &["a/c", "a/b/b/c"]),
            ("gr*e", &["grüße", "gre"], &["grüß"]),
        ] {
            for name in matching {
                assert!(Pattern::new(pattern).matches(name), "{pattern} and {name}");
            }
            for name in other {
                assert!(!Pattern::new(pattern).matches(name), "{pattern} and {name}");
            }
        }
        let hard = Pattern::new(&"*a".repeat(200));
        assert!(!hard.matches(&"a".repeat(199)) && hard.matches(&"a".repeat(201)));
    }
}
