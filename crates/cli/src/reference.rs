//! The reference of the program's settings, `docs/reference.md`: made of the flags and the table of
//! limits, and held against what is in the tree. `SPRINGTIDE_WRITE_REFERENCE=1` writes it anew.

use std::fmt::Write as _;
use std::path::Path;

use clap::Arg;

use crate::arguments::command;
use crate::limit_flags::HEADING;

const OPENING: &str = "\
# Settings

Made by `SPRINGTIDE_WRITE_REFERENCE=1 cargo test -p springtide-cli reference`; a test fails when it is
not what the program has.

Everything that `springtide serve` can be told is a flag, a variable and a key of the file that
`--config FILE` names. A flag goes before a variable, a variable before the file, the file before the
default. `springtide config check FILE` names every mistake in a file with its line;
`springtide config show` prints what is in effect and where it comes from, as such a file.

```toml
listen = [\"[::]:8080\"]
directory = \"public\"

[limits]
body_bytes_max = \"16MiB\"
idle_timeout = \"30s\"
```

A size is `100B`, `16KiB`, `4MiB` or `1GiB`; a time `500ms`, `30s`, `5m` or `1h`; `none` is no limit.
";

const LIMITS: &str = "
## Limits

Keys of `[limits]`. In code each is a field of `springtide::Limits` or of its parts `http1` and
`websocket`, times in milliseconds with `_ms` behind the name. What breaks one is counted
(`springtide_limits_met_total` at the admin address), and told on standard error with the limit's name:
one line for each limit and shard in ten seconds. Pauses, idle times and ends that the protocol foresees
are counted only.

| key | default | what it guards |
|---|---|---|
";

fn reference() -> String {
    let command = command(false);
    let serve = command.find_subcommand("serve").unwrap();
    let (limits, others): (Vec<&Arg>, Vec<&Arg>) =
        serve.get_arguments().partition(|arg| arg.get_help_heading() == Some(HEADING));
    let mut text = OPENING.to_owned();
    text.push_str("\n## What is served, and how\n\n| flag | variable | key | default | |\n|---|---|---|---|---|\n");
    for arg in others.iter().filter(|arg| arg.get_id() != "help") {
        let id = arg.get_id().as_str();
        let flag =
            arg.get_long().map_or_else(|| "DIRECTORY".to_owned(), |long| format!("--{long}"));
        let key = if id == "config" { String::new() } else { format!("`{id}`") };
        let variable = format!("SPRINGTIDE_{}", id.to_uppercase());
        let row = (flag, variable, key, default_of(arg), help_of(arg));
        writeln!(text, "| `{}` | `{}` | {} | {} | {} |", row.0, row.1, row.2, row.3, row.4)
            .unwrap();
    }
    text.push_str(LIMITS);
    for arg in limits {
        writeln!(text, "| `{}` | {} | {} |", arg.get_id(), default_of(arg), help_of(arg)).unwrap();
    }
    text
}

fn default_of(arg: &Arg) -> String {
    let values: Vec<_> =
        arg.get_default_values().iter().map(|value| value.to_string_lossy()).collect();
    if values.is_empty() || !arg.get_action().takes_values() {
        return String::new();
    }
    format!("`{}`", values.join(", "))
}

fn help_of(arg: &Arg) -> String {
    arg.get_help().map(ToString::to_string).unwrap_or_default().replace('|', "\\|")
}

#[test]
fn the_reference_is_what_the_program_has() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference.md");
    if std::env::var_os("SPRINGTIDE_WRITE_REFERENCE").is_some() {
        std::fs::write(&path, reference()).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        written == reference(),
        "docs/reference.md is stale: its first lines tell how to make it"
    );
}
