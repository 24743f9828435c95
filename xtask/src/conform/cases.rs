//! The cases of each suite as bytes, read as the suite's own runner reads them. Leaves out what
//! asks for a setting of the other project, and counts nothing as a case that it cannot read.

use crate::error::Error;
use std::path::{Path, PathBuf};

/// One request, or several, and what the suite says of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Case {
    pub(super) suite: &'static str,
    pub(super) name: String,
    pub(super) bytes: Vec<u8>,
    pub(super) is_valid: bool,
}

fn read(path: &Path) -> Result<Vec<u8>, Error> {
    std::fs::read(path).map_err(|source| Error::Read { path: path.to_owned(), source })
}

/// The files of a folder with this extension, by name.
fn files(folder: &Path, extension: &str) -> Result<Vec<PathBuf>, Error> {
    let wrap = |source| Error::Read { path: folder.to_owned(), source };
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(wrap)? {
        let path = entry.map_err(wrap)?.path();
        if path.extension().is_some_and(|own| own == extension) {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

fn stem(path: &Path) -> String {
    path.file_stem().unwrap_or_default().to_string_lossy().into_owned()
}

/// gunicorn: a file of bytes beside a program that says what to expect; one that changes settings
/// of gunicorn says nothing of others.
pub(super) fn read_gunicorn(folder: &Path, cases: &mut Vec<Case>) -> Result<(), Error> {
    for (kind, is_valid) in [("valid", true), ("invalid", false)] {
        for path in files(&folder.join(kind), "http")? {
            let expectation =
                String::from_utf8_lossy(&read(&path.with_extension("py"))?).into_owned();
            if expectation.contains("cfg.set(") || expectation.contains("cfg =") {
                continue;
            }
            let bytes = with_host(gunicorn_bytes(&read(&path)?), is_valid);
            let name = format!("{kind}/{}", stem(&path));
            cases.push(Case { suite: "gunicorn", name, bytes, is_valid });
        }
    }
    Ok(())
}

/// Lines are joined, and escapes stand for bytes.
fn gunicorn_bytes(text: &[u8]) -> Vec<u8> {
    let text: Vec<u8> = text.iter().copied().filter(|byte| *byte != b'\n').collect();
    unescape(&text)
}

/// Reads `\r`, `\n`, `\t`, `\f`, `\0` to `\377` and `\x00` to `\xff`.
fn unescape(text: &[u8]) -> Vec<u8> {
    let (mut bytes, mut rest) = (Vec::new(), text);
    while let [first, behind @ ..] = rest {
        let (byte, taken) = match (first, behind) {
            (b'\\', [b'r', ..]) => (b'\r', 2),
            (b'\\', [b'n', ..]) => (b'\n', 2),
            (b'\\', [b't', ..]) => (b'\t', 2),
            (b'\\', [b'f', ..]) => (b'\x0c', 2),
            (b'\\', [b'x', high, low, ..]) => match (digit(*high, 16), digit(*low, 16)) {
                (Some(high), Some(low)) => (high << 4 | low, 4),
                _ => (b'\\', 1),
            },
            (b'\\', digits @ [b'0'..=b'7', ..]) => {
                let octal = digits.iter().take(3).map_while(|byte| digit(*byte, 8));
                let count = octal.clone().count();
                (
                    octal.fold(0_u8, |byte, digit| byte.wrapping_mul(8).wrapping_add(digit)),
                    1 + count,
                )
            }
            _ => (*first, 1),
        };
        bytes.push(byte);
        rest = &rest[taken..];
    }
    bytes
}

fn digit(byte: u8, base: u32) -> Option<u8> {
    char::from(byte).to_digit(base).and_then(|digit| u8::try_from(digit).ok())
}

/// Valid heads of HTTP/1.1 without `Host` get one: other suites are older than that rule, or leave
/// it to somebody else.
fn with_host(bytes: Vec<u8>, is_valid: bool) -> Vec<u8> {
    const LINE_END: &[u8] = b" HTTP/1.1\r\n";
    if !is_valid || String::from_utf8_lossy(&bytes).to_lowercase().contains("\nhost:") {
        return bytes;
    }
    let (mut with_hosts, mut rest) = (Vec::new(), &bytes[..]);
    while let Some(at) = rest.windows(LINE_END.len()).position(|end| end == LINE_END) {
        let (line, behind) = rest.split_at(at + LINE_END.len());
        with_hosts.extend_from_slice(line);
        with_hosts.extend_from_slice(b"Host: a\r\n");
        rest = behind;
    }
    with_hosts.extend_from_slice(rest);
    with_hosts
}

/// llhttp: pages in which each case is a heading, a block `http` and a block `log`; one of another
/// type than `request`, or that pauses the parser, asks for a setting of llhttp.
pub(super) fn read_llhttp(folder: &Path, cases: &mut Vec<Case>) -> Result<(), Error> {
    for path in files(folder, "md")? {
        let page = String::from_utf8_lossy(&read(&path)?).replace("\r\n", "\n");
        let (mut heading, mut number) = ("", 0);
        for section in page.split("\n#") {
            let title = section.lines().next().unwrap_or_default().trim_matches(['#', ' ']);
            heading = if title.is_empty() { heading } else { title };
            let Some((bytes, is_valid)) = llhttp_case(section) else { continue };
            number += 1;
            let name = format!("{} {number}: {heading}", stem(&path));
            let bytes = with_host(bytes, is_valid);
            cases.push(Case { suite: "llhttp", name, bytes, is_valid });
        }
    }
    Ok(())
}

fn llhttp_case(section: &str) -> Option<(Vec<u8>, bool)> {
    let meta: String = section.split_once("meta=")?.1.lines().next()?.split(' ').collect();
    let is_plain = meta.starts_with("{\"type\":\"request\"");
    if !is_plain
        || meta.contains("\"pause\"")
        || meta.contains("skipBody")
        || section.contains("${")
    {
        return None;
    }
    let text = block(section, "```http\n")?;
    let text = text.strip_suffix('\n').unwrap_or(text).replace("\\\n", "").replace('\n', "\r\n");
    let log = block(section, "```log\n")?;
    // Codes 21 to 23 pause for an upgrade; they are no errors.
    let errors = log.split("error code=").skip(1);
    let is_valid = errors
        .clone()
        .all(|error| ["21 ", "22 ", "23 "].iter().any(|code| error.starts_with(code)));
    Some((unescape(text.as_bytes()), is_valid))
}

/// What stands between a fence and the next one.
fn block<'a>(section: &'a str, fence: &str) -> Option<&'a str> {
    let (_, rest) = section.split_once(fence)?;
    rest.split_once("```").map(|(block, _)| block)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_read() {
        assert_eq!(gunicorn_bytes(b"GET\\r\\n\n\\t\\0\\xfF\n"), b"GET\r\n\t\0\xff");
        assert_eq!(unescape(b"\\x4z\\101\\q"), b"\\x4zA\\q");
    }

    #[test]
    fn a_page_gives_its_cases() {
        let section = |meta: &str, log: &str| {
            format!(
                " A\n\n<!-- meta={meta} -->\n```http\nGET / HTTP/1.1\nA: \\\nb\n\n\n```\n\n```log\n{log}\n```\n"
            )
        };
        let bytes = b"GET / HTTP/1.1\r\nA: b\r\n\r\n".to_vec();
        let plain = "{\"type\": \"request\"}";
        assert_eq!(llhttp_case(&section(plain, "off=0 ok")), Some((bytes.clone(), true)));
        assert_eq!(
            llhttp_case(&section(plain, "off=0 error code=22 reason=x")),
            Some((bytes.clone(), true))
        );
        assert_eq!(
            llhttp_case(&section(plain, "off=0 error code=2 reason=x")),
            Some((bytes, false))
        );
        assert_eq!(llhttp_case(&section("{\"type\": \"request-lenient-all\"}", "off=0 ok")), None);
    }

    #[test]
    fn a_valid_head_gets_a_host() {
        let head = b"GET / HTTP/1.1\r\nA: b\r\n\r\n".to_vec();
        assert_eq!(with_host(head.clone(), true), b"GET / HTTP/1.1\r\nHost: a\r\nA: b\r\n\r\n");
        assert_eq!(with_host(head.clone(), false), head);
    }
}
