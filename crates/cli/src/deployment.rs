//! What the tree has for running the program elsewhere, held against the program: its page, its image,
//! its profile of system calls. No container engine is asked.

use std::path::Path;

use serde_json::Value;

use crate::arguments::command;

fn read(path: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path)).unwrap()
}

/// What looks like a flag of the program, with the place where it stands.
fn flags(text: &str) -> Vec<&str> {
    let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '-'));
    words.filter(|word| word.starts_with("--") && !word.ends_with('-')).collect()
}

/// Flags of `docker`, `systemctl`, `apk` and `cargo`, which the page and the image name too.
const OF_OTHERS: [&str; 18] = [
    "--file",
    "--tag",
    "--rm",
    "--read-only",
    "--cap-drop",
    "--stop-timeout",
    "--ulimit",
    "--security-opt",
    "--publish",
    "--volume",
    "--signal",
    "--kill-whom",
    "--no-cache",
    "--from",
    "--release",
    "--locked",
    "--package",
    "--bin",
];

#[test]
fn the_page_and_the_image_name_flags_that_exist() {
    let command = command(false);
    let serve = command.find_subcommand("serve").unwrap();
    for path in ["docs/deploy.md", "deploy/Dockerfile"] {
        let text = read(path);
        for flag in flags(&text) {
            let is_ours = serve.get_arguments().any(|own| own.get_long() == Some(&flag[2..]));
            assert!(is_ours || OF_OTHERS.contains(&flag), "{path} names {flag}");
        }
    }
    let page = read("docs/deploy.md");
    for flag in ["--user", "--listen", "--config", "--admin", "--access-log"] {
        assert!(flags(&page).contains(&flag), "{flag} is missing");
    }
}

/// Calls that the profile allows, whatever their arguments, to processes without capabilities.
fn allowed(profile: &Value) -> Vec<&str> {
    let is_empty = |value: &Value| {
        value.as_array().is_none_or(Vec::is_empty)
            && value.as_object().is_none_or(serde_json::Map::is_empty)
    };
    let rules = profile["syscalls"].as_array().unwrap().iter();
    let rules = rules.filter(|rule| {
        rule["action"] == "SCMP_ACT_ALLOW" && is_empty(&rule["args"]) && is_empty(&rule["includes"])
    });
    rules
        .flat_map(|rule| rule["names"].as_array().unwrap())
        .map(|name| name.as_str().unwrap())
        .collect()
}

#[test]
fn the_profile_allows_io_uring_and_no_way_out() {
    let profile: Value = serde_json::from_str(&read("deploy/seccomp.json")).unwrap();
    assert_eq!(profile["defaultAction"], "SCMP_ACT_ERRNO");
    let allowed = allowed(&profile);
    for call in ["io_uring_setup", "io_uring_enter", "io_uring_register", "epoll_wait", "futex"] {
        assert!(allowed.contains(&call), "{call}");
    }
    for call in ["clone", "unshare", "setns", "mount", "bpf", "kexec_load", "init_module"] {
        assert!(!allowed.contains(&call), "{call}");
    }
}
