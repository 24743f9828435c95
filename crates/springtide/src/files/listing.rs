//! The page of a directory: its names as links, directories first, each sorted.
//! No name gets into it but as text and as one segment of a path.

use std::fmt::Write;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use springtide_engine::{Entry, Listing};

/// Names of a directory that are listed.
pub(super) const ENTRIES_MAX: usize = 4096;

/// What stands in a segment as it is (RFC 3986 §2.3).
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The page of a directory, by its name beneath the root with a slash behind: `/` is the root. What
/// can be asked for is listed; names with a dot in front when `hidden` is on.
pub(super) fn page(directory: &str, listing: &Listing, hidden: bool) -> String {
    let mut names: Vec<(bool, &str)> =
        listing.entries.iter().filter_map(|entry| shown(entry, hidden)).collect();
    names.sort_unstable();
    let title = format!("/{}", directory.trim_start_matches('/'));
    let mut page =
        String::from("<!doctype html>\n<html>\n<head>\n<meta charset=\"utf-8\">\n<title>");
    push_text(&mut page, &title);
    page.push_str("</title>\n</head>\n<body>\n<h1>");
    push_text(&mut page, &title);
    page.push_str("</h1>\n<ul>\n");
    if directory != "/" {
        page.push_str("<li><a href=\"../\">../</a></li>\n");
    }
    for (is_file, name) in names {
        let slash = if is_file { "" } else { "/" };
        let encoded = utf8_percent_encode(name, SEGMENT);
        // The dot keeps a colon in a name from being read as a scheme.
        write!(page, "<li><a href=\"./{encoded}{slash}\">").expect("a string takes everything");
        push_text(&mut page, name);
        page.push_str(slash);
        page.push_str("</a></li>\n");
    }
    page.push_str("</ul>\n");
    if listing.is_cut {
        page.push_str("<p>There are more names than are shown.</p>\n");
    }
    page.push_str("</body>\n</html>\n");
    page
}

/// Whether it is no directory, and its name; none that no path can name.
fn shown(entry: &Entry, hidden: bool) -> Option<(bool, &str)> {
    let name = std::str::from_utf8(&entry.name).ok()?;
    let is_shown = !name.contains('\\') && (hidden || !name.starts_with('.'));
    is_shown.then_some((!entry.is_directory, name))
}

fn push_text(page: &mut String, text: &str) {
    for character in text.chars() {
        match character {
            '&' => page.push_str("&amp;"),
            '<' => page.push_str("&lt;"),
            '>' => page.push_str("&gt;"),
            '"' => page.push_str("&quot;"),
            '\'' => page.push_str("&#39;"),
            other => page.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn links(names: &[(&str, bool)], hidden: bool) -> Vec<String> {
        let entry = |(name, is_directory): &(&str, bool)| Entry {
            name: name.as_bytes().to_vec(),
            is_directory: *is_directory,
        };
        let entries = names.iter().map(entry).collect();
        let page = page("/", &Listing { entries, is_cut: false }, hidden);
        let links = page.split("<li><a href=\"").skip(1);
        links.map(|link| link.split_once("</a>").unwrap().0.to_owned()).collect()
    }

    #[test]
    fn directories_first_and_each_sorted() {
        let names = [("b", false), ("d", true), ("a", false), ("c", true), (".x", false)];
        let expected = ["./c/\">c/", "./d/\">d/", "./a\">a", "./b\">b"];
        assert_eq!(links(&names, false), expected);
        let hidden = links(&names, true);
        assert_eq!(hidden[2], "./.x\">.x");
    }

    #[test]
    fn names_are_only_names() {
        let table = [
            (
                "<script>alert(1)</script>",
                "./%3Cscript%3Ealert%281%29%3C",
                "&lt;script&gt;alert(1)&lt;",
            ),
            ("a&b\"c'd", "./a%26b%22c%27d", "a&amp;b&quot;c&#39;d"),
            ("javascript:x", "./javascript%3Ax", "javascript:x"),
            ("a b?#%", "./a%20b%3F%23%25", "a b?#%"),
            ("grüße", "./gr%C3%BC%C3%9Fe", "grüße"),
        ];
        for (name, href, text) in table {
            let name = name.split('/').next().unwrap();
            assert_eq!(links(&[(name, false)], false), [format!("{href}\">{text}")]);
        }
        assert!(links(&[("a\\b", false)], true).is_empty());
        let entries = vec![Entry { name: b"\xff".to_vec(), is_directory: true }];
        let page = page("a<b/", &Listing { entries, is_cut: true }, true);
        assert!(page.contains("<h1>/a&lt;b/</h1>") && page.contains("href=\"../\""), "{page}");
        assert!(page.contains("more names") && !page.contains("href=\"./"), "{page}");
    }
}
