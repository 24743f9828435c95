//! Unified diffs, applied by what stands in them. It must never guess: lines that are not there, or
//! stand in several places, are an error. Line numbers say nothing, so that edits elsewhere in a
//! file leave its patches as they are.

/// The changes to one file.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct FilePatch {
    /// Relative to the repository.
    pub(super) path: String,
    hunks: Vec<Hunk>,
}

/// Lines that take the place of others.
#[derive(Debug, Default, PartialEq, Eq)]
struct Hunk {
    old: Vec<String>,
    new: Vec<String>,
}

/// Reads what stands behind the head of a patch.
pub(super) fn parse(text: &str) -> Result<Vec<FilePatch>, String> {
    let mut files: Vec<FilePatch> = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if let Some(path) = line.strip_prefix("--- a/") {
            if lines.next().and_then(|line| line.strip_prefix("+++ b/")) != Some(path) {
                return Err(format!("`+++ b/{path}` does not follow `--- a/{path}`"));
            }
            files.push(FilePatch { path: path.to_owned(), hunks: Vec::new() });
            continue;
        }
        let file = files.last_mut().ok_or("the diff begins with `--- a/PATH`")?;
        if line.starts_with("@@") {
            file.hunks.push(Hunk::default());
            continue;
        }
        let hunk = file.hunks.last_mut().ok_or("a hunk begins with `@@`")?;
        let (mark, rest) = line.split_at_checked(1).unwrap_or((" ", ""));
        match mark {
            " " => {
                hunk.old.push(rest.to_owned());
                hunk.new.push(rest.to_owned());
            }
            "-" => hunk.old.push(rest.to_owned()),
            "+" => hunk.new.push(rest.to_owned()),
            _ => return Err(format!("a line of a diff begins with ` `, `-` or `+`: {line}")),
        }
    }
    match files.iter().all(|file| !file.hunks.is_empty()) && !files.is_empty() {
        true => Ok(files),
        false => Err("there is nothing to apply".to_owned()),
    }
}

impl FilePatch {
    /// The file as it is with the changes.
    pub(super) fn apply(&self, text: &str) -> Result<String, String> {
        let mut lines: Vec<&str> = text.lines().collect();
        for hunk in &self.hunks {
            let at = hunk.find(&lines)?;
            lines.splice(at..at + hunk.old.len(), hunk.new.iter().map(String::as_str));
        }
        Ok(lines.join("\n") + "\n")
    }
}

impl Hunk {
    /// Where its old lines stand.
    fn find(&self, lines: &[&str]) -> Result<usize, String> {
        let length = self.old.len().max(1);
        let mut found = (0..).zip(lines.windows(length)).filter(|(_, window)| *window == self.old);
        let shown = self.old.join("\n");
        match (found.next(), found.next()) {
            (Some((at, _)), None) => Ok(at),
            (None, _) => Err(format!("these lines are not there any more:\n{shown}")),
            (Some(_), Some(_)) => Err(format!("these lines stand there several times:\n{shown}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "a\nb\nc\nd\nb\n";

    fn applied(diff: &str) -> Result<String, String> {
        parse(diff)?.iter().try_fold(FILE.to_owned(), |text, file| file.apply(&text))
    }

    #[test]
    fn lines_are_found_wherever_they_stand() {
        for number in [1, 7, 100] {
            let diff = format!("--- a/x\n+++ b/x\n@@ -{number} +{number} @@\n b\n-c\n+C\n+E\n d\n");
            assert_eq!(applied(&diff).unwrap(), "a\nb\nC\nE\nd\nb\n");
        }
        let two = "--- a/x\n+++ b/x\n@@\n-a\n b\n@@\n d\n+x\n";
        assert_eq!(applied(two).unwrap(), "b\nc\nd\nx\nb\n");
    }

    #[test]
    fn what_does_not_apply_is_an_error() {
        for (diff, said) in [
            ("--- a/x\n+++ b/x\n@@\n-e\n", "not there"),
            ("--- a/x\n+++ b/x\n@@\n-b\n", "several times"),
            ("--- a/x\n+++ b/x\n@@\n+b\n", "not there"),
            ("--- a/x\n+++ b/y\n@@\n-c\n", "does not follow"),
            ("--- a/x\n+++ b/x\n-c\n", "begins with `@@`"),
            ("--- a/x\n+++ b/x\n@@\n?c\n", "begins with ` `"),
            ("--- a/x\n+++ b/x\n", "nothing to apply"),
            ("@@\n-c\n", "`--- a/PATH`"),
            ("", "nothing to apply"),
        ] {
            let error = applied(diff).unwrap_err();
            assert!(error.contains(said), "{diff}: {error}");
        }
    }
}
