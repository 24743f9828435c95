//! A mutant as its file tells it: what it breaks, what it stands for, who must find it. Its patch is
//! applied to texts only; nothing here touches the tree.

use super::finder::Finder;
use super::patch::{self, FilePatch};
use crate::error::Error;
use std::path::Path;

/// Where the patches lie, one mutant each.
pub(super) const FOLDER: &str = "crates/sim/mutants";

/// A bug that somebody could write, as a patch.
pub(super) struct Mutant {
    pub(super) name: String,
    /// In a sentence.
    pub(super) breaks: String,
    pub(super) stands_for: StandsFor,
    pub(super) finder: Finder,
    pub(super) files: Vec<FilePatch>,
}

/// What of ARCHITECTURE.md the mutant is a breach of.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum StandsFor {
    /// Words of the first column of the table of pitfalls.
    Pitfall(String),
    /// A number from the list of laws.
    Law(String),
}

impl Mutant {
    /// Reads the head (a sentence, an empty line, `pitfall: …` or `law: N`, `found-by: …`) and the
    /// patch behind it.
    pub(super) fn parse(name: &str, text: &str) -> Result<Self, String> {
        let diff = text.find("\n--- a/").ok_or("there is no diff")?;
        let (head, diff) = text.split_at(diff + 1);
        let (breaks, keys) = head.split_once("\n\n").ok_or("an empty line ends the sentence")?;
        let (mut stands_for, mut finder) = (None, None);
        for line in keys.lines().filter(|line| !line.is_empty()) {
            match line.split_once(": ") {
                Some(("pitfall", words)) => stands_for = Some(StandsFor::Pitfall(words.to_owned())),
                Some(("law", number)) => stands_for = Some(StandsFor::Law(number.to_owned())),
                Some(("found-by", who)) => finder = Some(Finder::parse(who)?),
                _ => return Err(format!("this says nothing: {line}")),
            }
        }
        Ok(Self {
            name: name.to_owned(),
            breaks: breaks.split_whitespace().collect::<Vec<_>>().join(" "),
            stands_for: stands_for.ok_or("`pitfall: …` or `law: …` is missing")?,
            finder: finder.ok_or("`found-by: …` is missing")?,
            files: patch::parse(diff)?,
        })
    }

    /// Applies it to the files of a tree; each file that it changes, with its new text.
    pub(super) fn apply(&self, root: &Path) -> Result<Vec<(&str, String)>, String> {
        let mut changed = Vec::new();
        for file in &self.files {
            let text = std::fs::read_to_string(root.join(&file.path));
            let text = text.map_err(|error| format!("{}: {error}", file.path))?;
            let new = file.apply(&text).map_err(|why| format!("{}: {why}", file.path))?;
            changed.push((file.path.as_str(), new));
        }
        Ok(changed)
    }
}

/// All mutants of a tree by name, and what is wrong with the others.
pub(super) fn read_all(root: &Path) -> Result<(Vec<Mutant>, Vec<String>), Error> {
    let folder = root.join(FOLDER);
    let wrap = |source| Error::Read { path: folder.clone(), source };
    let (mut mutants, mut wrong) = (Vec::new(), Vec::new());
    for entry in std::fs::read_dir(&folder).map_err(wrap)? {
        let path = entry.map_err(wrap)?.path();
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        if path.extension().is_none_or(|extension| extension != "patch") {
            wrong.push(format!("{FOLDER}: {} is no patch", path.display()));
            continue;
        }
        let text = std::fs::read_to_string(&path);
        let text = text.map_err(|source| Error::Read { path: path.clone(), source })?;
        match Mutant::parse(&name, &text) {
            Ok(mutant) => mutants.push(mutant),
            Err(why) => wrong.push(format!("{name}: {why}")),
        }
    }
    mutants.sort_by(|a, b| a.name.cmp(&b.name));
    wrong.sort();
    Ok((mutants, wrong))
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIFF: &str = "\n--- a/x\n+++ b/x\n@@\n-a\n+b\n";

    #[test]
    fn a_head_says_what_and_who() {
        let head = "It breaks\na thing.\n\npitfall: two sends\nfound-by: laws sends_keep\n";
        let mutant = Mutant::parse("m", &format!("{head}{DIFF}")).unwrap();
        assert_eq!(mutant.breaks, "It breaks a thing.");
        assert_eq!(mutant.stands_for, StandsFor::Pitfall("two sends".to_owned()));
        assert_eq!(mutant.finder, Finder::parse("laws sends_keep").unwrap());
        assert_eq!(mutant.files.len(), 1);
    }

    #[test]
    fn a_head_that_lacks_something_is_an_error() {
        for (head, said) in [
            ("It breaks.", "an empty line"),
            ("It breaks.\n\nlaw: 1\n", "found-by"),
            ("It breaks.\n\nfound-by: sim\n", "pitfall"),
            ("It breaks.\n\nlaw: 1\nfound-by: nobody\n", "nobody"),
            ("It breaks.\n\nlaw: 1\nfound-by: sim\nby: me\n", "says nothing"),
        ] {
            let error = Mutant::parse("m", &format!("{head}{DIFF}")).err();
            assert!(error.as_ref().is_some_and(|error| error.contains(said)), "{head}: {error:?}");
        }
    }
}
