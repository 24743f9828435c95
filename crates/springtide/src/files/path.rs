//! Paths: from what stands in a request to the name of a file beneath a root.
//! A segment that the file system reads as anything but a plain name never gets through.

/// The longest name: what open(2) takes (PATH_MAX of Linux), less the NUL.
pub(super) const NAME_BYTES_MAX: usize = 4095;

/// What a root says about names.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rules<'a> {
    /// Whether segments may begin with a dot.
    pub(super) hidden: bool,
    /// The file that stands for its directory.
    pub(super) index: &'a str,
}

/// The path can name nothing that is served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Refused;

/// Whether a path, if it can be served, is itself the name: nothing to decode, no index to add.
pub(super) fn is_plain(encoded: &str) -> bool {
    !is_directory(encoded) && memchr::memchr(b'%', encoded.as_bytes()).is_none()
}

/// Whether a path means the index of a directory.
pub(super) fn is_directory(encoded: &str) -> bool {
    encoded.is_empty() || encoded.ends_with('/')
}

/// Writes the name that a path means to `memory`. The path is percent-encoded (RFC 3986 §2.1),
/// relative to the root and without a slash in front.
pub(super) fn resolve<'a>(
    encoded: &str,
    rules: Rules<'_>,
    memory: &'a mut Vec<u8>,
) -> Result<&'a str, Refused> {
    memory.clear();
    decode(encoded.as_bytes(), memory)?;
    let segments = std::str::from_utf8(memory).map_err(|_| Refused)?;
    let directory = segments.strip_suffix('/').unwrap_or(segments);
    if !segments.is_empty() && !directory.split('/').all(|segment| is_name(segment, rules)) {
        return Err(Refused);
    }
    if is_directory(encoded) {
        memory.extend_from_slice(rules.index.as_bytes());
    }
    if memory.len() > NAME_BYTES_MAX {
        return Err(Refused);
    }
    std::str::from_utf8(memory).map_err(|_| Refused)
}

/// Decodes once. Slashes and backslashes that were encoded would be borders for one reader and
/// part of a name for another: they are refused, as is what is not properly encoded.
fn decode(encoded: &[u8], memory: &mut Vec<u8>) -> Result<(), Refused> {
    if encoded.len() > 3 * NAME_BYTES_MAX {
        return Err(Refused);
    }
    let mut rest = encoded;
    while let [first, behind @ ..] = rest {
        let byte = match (first, behind) {
            (b'%', [high, low, ..]) => {
                rest = &behind[2..];
                let byte = digit(*high)? << 4 | digit(*low)?;
                if byte == b'/' {
                    return Err(Refused);
                }
                byte
            }
            (b'%', _) => return Err(Refused),
            (byte, _) => {
                rest = behind;
                *byte
            }
        };
        if matches!(byte, 0 | b'\\') {
            return Err(Refused);
        }
        memory.push(byte);
    }
    Ok(())
}

fn digit(byte: u8) -> Result<u8, Refused> {
    match byte {
        b'0'..=b'9' => Ok(byte - b'0'),
        b'a'..=b'f' => Ok(byte - b'a' + 10),
        b'A'..=b'F' => Ok(byte - b'A' + 10),
        _ => Err(Refused),
    }
}

fn is_name(segment: &str, rules: Rules<'_>) -> bool {
    match segment {
        "" | "." | ".." => false,
        name => rules.hidden || !name.starts_with('.'),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolved(encoded: &str, hidden: bool) -> Option<String> {
        let mut memory = b"left over".to_vec();
        let rules = Rules { hidden, index: "index.html" };
        resolve(encoded, rules, &mut memory).ok().map(str::to_owned)
    }

    const SERVED: &[(&str, &str)] = &[
        ("", "index.html"),
        ("a", "a"),
        ("a.txt", "a.txt"),
        ("a/", "a/index.html"),
        ("a/b/c.css", "a/b/c.css"),
        ("a/b/", "a/b/index.html"),
        ("a%20b", "a b"),
        ("%61%62", "ab"),
        ("%41%7a%7A", "Azz"),
        ("100%25", "100%"),
        ("%252e%252e/x", "%2e%2e/x"),
        ("%252f", "%2f"),
        ("gr%C3%BC%C3%9Fe", "grüße"),
        ("grüße", "grüße"),
        ("a+b", "a+b"),
        ("a..b", "a..b"),
        ("a.", "a."),
        ("a./b", "a./b"),
        ("a..", "a.."),
        ("a;v=1", "a;v=1"),
        ("a:b", "a:b"),
        ("C:", "C:"),
        ("~root", "~root"),
        ("a%3fb", "a?b"),
        ("a%23b", "a#b"),
        ("%0a", "\n"),
        ("-", "-"),
        ("*", "*"),
    ];

    const REFUSED: &[&str] = &[
        "/",
        "//",
        "/a",
        "/etc/passwd",
        "a//b",
        "a//",
        "a/b//c",
        ".",
        "..",
        "./",
        "../",
        "./a",
        "../a",
        "a/.",
        "a/..",
        "a/./b",
        "a/../b",
        "a/../../b",
        "%2e",
        "%2e%2e",
        "%2E%2e/",
        "%2e./a",
        ".%2e/a",
        "a/%2e%2e/b",
        "a/%2E",
        "%2f",
        "%2F",
        "a%2fb",
        "a%2f..%2fb",
        "..%2f..%2fetc%2fpasswd",
        "%2fetc%2fpasswd",
        "\\",
        "a\\b",
        "..\\a",
        "%5c",
        "a%5Cb",
        "..%5c..%5cwindows",
        "%00",
        "a%00.html",
        "\0",
        "a\0b",
        "%",
        "%2",
        "a%",
        "a%a",
        "%zz",
        "%2g",
        "%+1",
        "% 1",
        "%-1",
        "%ff",
        "%c0%af",
        "%c0%ae%c0%ae/a",
        "%e0%80%af",
        "%ed%a0%80",
        "%f8%80%80%80%af",
        "%C3",
    ];

    const HIDDEN: &[(&str, &str)] = &[
        (".a", ".a"),
        (".git/config", ".git/config"),
        ("a/.b/c", "a/.b/c"),
        ("a/.b/", "a/.b/index.html"),
        ("%2ehtaccess", ".htaccess"),
        ("...", "..."),
        ("..a", "..a"),
        ("a/...", "a/..."),
        ("%2e%2e%2e/a", ".../a"),
    ];

    #[test]
    fn paths_that_name_files() {
        for (encoded, name) in SERVED {
            assert_eq!(resolved(encoded, false).as_deref(), Some(*name), "{encoded:?}");
            assert_eq!(resolved(encoded, true).as_deref(), Some(*name), "{encoded:?} hidden");
        }
    }

    #[test]
    fn paths_that_name_nothing() {
        for encoded in REFUSED {
            assert_eq!(resolved(encoded, false), None, "{encoded:?}");
            assert_eq!(resolved(encoded, true), None, "{encoded:?} hidden");
        }
    }

    #[test]
    fn hidden_names_need_leave() {
        for (encoded, name) in HIDDEN {
            assert_eq!(resolved(encoded, false), None, "{encoded:?}");
            assert_eq!(resolved(encoded, true).as_deref(), Some(*name), "{encoded:?} hidden");
        }
    }

    #[test]
    fn names_have_a_greatest_length() {
        let longest = "a".repeat(NAME_BYTES_MAX);
        assert!(resolved(&longest, false).is_some());
        assert!(resolved(&"%61".repeat(NAME_BYTES_MAX), false).is_some());
        assert_eq!(resolved(&format!("{longest}a"), false), None);
        assert_eq!(resolved(&format!("{}/", &longest[..NAME_BYTES_MAX - 5]), false), None);
        assert_eq!(resolved(&"%61".repeat(NAME_BYTES_MAX + 1), false), None);
    }

    #[test]
    fn a_plain_path_is_its_own_name() {
        for (encoded, name) in SERVED {
            assert!(!is_plain(encoded) || encoded == name, "{encoded:?}");
        }
        assert!(is_plain("a/b.css"));
        assert!(!is_plain("") && !is_plain("a/") && !is_plain("a%20b"));
    }
}
