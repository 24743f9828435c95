//! Checks on the house as a stranger finds it: its papers, their lengths, links that lead somewhere
//! and nothing that only its builders can see. Never judges what a text says.

use super::{Finding, Repository};

/// The papers that a reader of the repository expects, with the most lines each may have.
const PAPERS: [(&str, usize); 12] = [
    ("README.md", 80),
    ("ARCHITECTURE.md", 350),
    ("CHANGELOG.md", usize::MAX),
    ("CONTRIBUTING.md", 200),
    ("SECURITY.md", 80),
    ("LICENSE-APACHE", usize::MAX),
    ("LICENSE-MIT", usize::MAX),
    ("Cargo.lock", usize::MAX),
    ("deny.toml", usize::MAX),
    ("rustfmt.toml", usize::MAX),
    ("clippy.toml", usize::MAX),
    (".ci/run", 20),
];
const FILE_BYTES_MAX: u64 = 200 * 1024;

pub(super) fn papers(repository: &Repository) -> Vec<Finding> {
    let mut found = Vec::new();
    for (path, lines_max) in PAPERS {
        let Some(text) = repository.text(path) else {
            found.push(Finding::new("paper", path, 1, "write this file: a reader looks for it"));
            continue;
        };
        let lines = text.lines().count();
        if lines > lines_max {
            let advice = format!("{lines} lines are past {lines_max}: say it in fewer");
            found.push(Finding::new("paper", path, lines_max + 1, &advice));
        }
    }
    found
}

/// ARCHITECTURE.md is the map: a crate that it does not name cannot be found.
pub(super) fn map<'a>(text: &str, folders: impl Iterator<Item = &'a str>) -> Vec<Finding> {
    let path = "ARCHITECTURE.md";
    let is_word = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_');
    let names = |folder: &str| {
        text.match_indices(folder).any(|(at, _)| {
            let ends_before = !text[..at].ends_with(|c: char| is_word(c) || c == '/');
            ends_before && !text[at + folder.len()..].starts_with(is_word)
        })
    };
    folders
        .filter(|folder| !names(folder))
        .map(|folder| Finding::new("map", path, 1, &format!("say what `{folder}` is")))
        .collect()
}

/// Large files make every clone slow for ever.
pub(super) fn size(path: &str, bytes: u64) -> Vec<Finding> {
    if bytes <= FILE_BYTES_MAX {
        return Vec::new();
    }
    let advice = format!(
        "{} KB are past {} KB: make it from something smaller",
        bytes / 1024,
        FILE_BYTES_MAX / 1024
    );
    vec![Finding::new("size", path, 1, &advice)]
}

/// Places and papers that a stranger does not have.
pub(super) fn outside(path: &str, text: &str) -> Vec<Finding> {
    let private = [
        concat!("/wo", "rk/"),
        concat!("/ro", "ot/"),
        concat!("/ho", "me/"),
        concat!("/tmp/", "wt"),
        concat!("DES", "IGN.md"),
        concat!("STY", "LE.md"),
        concat!("DES", "IGN §"),
        concat!("STY", "LE §"),
    ];
    let mut found = Vec::new();
    for (index, line) in text.lines().enumerate() {
        for name in private.iter().filter(|name| line.contains(**name)) {
            let advice = format!("`{name}` is not in the repository: say it here, or leave it out");
            found.push(Finding::new("outside", path, index + 1, &advice));
        }
    }
    found
}

/// Links of a Markdown file to other files of the repository.
pub(super) fn links(path: &str, text: &str, exists: impl Fn(&str) -> bool) -> Vec<Finding> {
    let mut found = Vec::new();
    for (index, line) in text.lines().enumerate() {
        for after in line.split("](").skip(1) {
            let Some((target, _)) = after.split_once(')') else { continue };
            let file = target.split('#').next().unwrap_or_default();
            let is_foreign = file.is_empty() || file.contains(':');
            if !is_foreign && !exists(&joined(path, file)) {
                let advice = format!("the link to `{file}` leads nowhere");
                found.push(Finding::new("link", path, index + 1, &advice));
            }
        }
    }
    found
}

/// `target` as seen from the file at `path`, relative to the repository.
fn joined(path: &str, target: &str) -> String {
    let mut parts: Vec<&str> = path.split('/').collect();
    parts.pop();
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            name => parts.push(name),
        }
    }
    parts.join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_map_names_every_folder() {
        let folders = || ["crates/engine", "xtask"].into_iter();
        assert_eq!(map("`crates/engine` and `xtask`", folders()).len(), 0);
        assert_eq!(map("crates/engine  operations, cargo xtask", folders()).len(), 0);
        assert_eq!(map("my/crates/engine, crates/engine-x and xtasks", folders()).len(), 2);
    }

    #[test]
    fn large_files_are_found() {
        assert_eq!(size("a.bin", 200 * 1024).len(), 0);
        assert_eq!(size("a.bin", 200 * 1024 + 1).len(), 1);
    }

    #[test]
    fn what_a_stranger_lacks_is_found() {
        for bad in [concat!("see /wo", "rk/main"), concat!("as DES", "IGN §2 says")] {
            assert_eq!(outside("a.md", bad).len(), 1, "{bad}");
        }
        assert_eq!(outside("a.md", "the design is in ARCHITECTURE.md; work/root; DESIGN").len(), 0);
    }

    #[test]
    fn links_lead_somewhere() {
        let exists = |path: &str| path == "docs/a.md" || path == "b";
        for good in ["[a](a.md#x)", "[b](../b)", "[c](https://c.example)", "[d](#d)"] {
            assert_eq!(links("docs/x.md", good, exists).len(), 0, "{good}");
        }
        assert_eq!(links("docs/x.md", "[a](a.md) and [b](b)", exists).len(), 1);
    }
}
