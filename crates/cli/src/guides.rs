//! The pages of `docs/`, held against the program: their command lines and configuration files are
//! parsed, and what their tables name as keys must be keys. Nothing is served.

use std::path::{Path, PathBuf};

use crate::arguments::command;
use crate::config::{self, keys};

/// Every page, with its name.
fn pages() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let entries = std::fs::read_dir(root.join("docs")).unwrap();
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.push(root.join("README.md"));
    let pages: Vec<_> = paths
        .iter()
        .filter(|path| path.extension().is_some_and(|extension| extension == "md"))
        .map(|path| (path.display().to_string(), std::fs::read_to_string(path).unwrap()))
        .collect();
    assert!(pages.len() > 8, "the pages stand in docs/");
    pages
}

/// The blocks of a page in a language.
fn blocks<'a>(page: &'a str, language: &str) -> Vec<&'a str> {
    let opening = format!("\n```{language}\n");
    let behind = page.split(opening.as_str()).skip(1);
    behind.map(|text| text.split("\n```").next().unwrap_or_default()).collect()
}

/// The words of a command line, as far as these pages quote: `'…'` is one word.
fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    for (number, part) in line.split('\'').enumerate() {
        match number % 2 {
            0 => words.extend(part.split_whitespace().map(str::to_owned)),
            _ => words.push(part.to_owned()),
        }
    }
    words
}

#[test]
fn command_lines_are_those_of_the_program() {
    let mut seen = 0;
    for (name, page) in pages() {
        let lines = blocks(&page, "sh").into_iter().flat_map(str::lines);
        for line in lines.filter(|line| line.starts_with("springtide ")) {
            let parsed = command(false).try_get_matches_from(words(line));
            assert!(parsed.is_ok(), "{name}: {line}\n{}", parsed.unwrap_err());
            seen += 1;
        }
    }
    assert!(seen > 8, "the pages have command lines: {seen}");
}

/// Flags of Docker and of `cargo xtask`, which pages name too.
const OF_OTHERS: [&str; 3] = ["ulimit", "security-opt", "write"];

/// In the middle of a sentence too.
#[test]
fn flags_are_those_of_the_program() {
    let serve = command(false).find_subcommand("serve").unwrap().clone();
    let has = |flag: &str| serve.get_arguments().any(|arg| arg.get_long() == Some(flag));
    for (name, page) in pages().into_iter().filter(|(name, _)| !name.ends_with("README.md")) {
        let spans = page.split('`').filter(|span| span.starts_with("--"));
        for flag in
            spans.flat_map(|span| span.split(' ')).filter_map(|word| word.strip_prefix("--"))
        {
            assert!(has(flag) || OF_OTHERS.contains(&flag), "{name}: there is no --{flag}");
        }
    }
}

#[test]
fn configuration_files_are_those_of_the_program() {
    let mut seen = 0;
    for (name, page) in pages() {
        for block in blocks(&page, "toml") {
            let parsed = config::parse(block);
            assert!(parsed.is_ok(), "{name}: {parsed:?}\n{block}");
            seen += 1;
        }
    }
    assert!(seen > 1, "the pages have configuration files: {seen}");
}

/// The second column of the tables of limits is keys, and the third begins with the default.
#[test]
fn tables_name_keys_and_defaults() {
    let (_, page) = pages().into_iter().find(|(name, _)| name.ends_with("from-nginx.md")).unwrap();
    let serve = command(false).find_subcommand("serve").unwrap().clone();
    let behind = page.split_once("## Limits and timeouts").unwrap().1;
    let table = behind.split("\n## ").next().unwrap();
    let rows: Vec<&str> = table.lines().filter(|line| line.contains("| `")).collect();
    assert!(rows.len() > 12, "{table}");
    for row in rows {
        let [_, _, key, default, _] = row.split('|').collect::<Vec<_>>()[..] else {
            panic!("{row} has three columns")
        };
        let key = key.trim().trim_matches('`');
        assert!(keys().contains(&(key.to_owned(), true)), "{key} is no limit");
        let arg = serve.get_arguments().find(|arg| arg.get_id() == key).unwrap();
        let own = arg.get_default_values()[0].to_string_lossy();
        let said = default.trim().trim_start_matches('`').split(['`', ',']).next().unwrap();
        assert_eq!(said, own, "{key}");
    }
}

/// Each row names tests that exist, and one at least that runs over io_uring and epoll.
#[test]
fn attacks_are_shown_by_tests() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let page = std::fs::read_to_string(root.join("docs/attacks.md")).unwrap();
    let rows: Vec<&str> = page.lines().filter(|line| line.starts_with("| ")).skip(1).collect();
    assert_eq!(rows.len(), 18, "as many attacks as are known");
    for (number, row) in rows.into_iter().enumerate() {
        let columns: Vec<&str> = row.split(" | ").collect();
        assert_eq!(columns[0], format!("| {}", number + 1));
        if columns[2] == "not served yet" {
            continue;
        }
        let (mut text, mut is_over_both) = (String::new(), false);
        for name in columns[3].split('`').skip(1).step_by(2) {
            if name.ends_with(".rs") {
                text = std::fs::read_to_string(root.join(name)).unwrap();
                continue;
            }
            let makes = text.split("over_").any(|part| is_made_in(part, name));
            let is_there = text.contains(&format!("fn {name}(")) || makes;
            assert!(is_there, "row {}: there is no {name}", number + 1);
            is_over_both |= makes || text.contains("Engine::Uring, Engine::Epoll");
        }
        assert!(is_over_both, "row {} is not shown over io_uring and epoll", number + 1);
    }
}

/// Whether a part of a file behind `over_` is a macro's call that makes this test.
fn is_made_in(part: &str, name: &str) -> bool {
    let is_call = ["all_backends!(", "still_backends!(", "system_backends!(", "engines! {"];
    let Some(call) = is_call.iter().find_map(|start| part.strip_prefix(start)) else {
        return false;
    };
    let end = call.find([')', '}']).unwrap_or(call.len());
    call[..end].split(|c: char| !c.is_alphanumeric() && c != '_').any(|word| word == name)
}
