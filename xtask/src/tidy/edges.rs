//! Checks on the workspace's manifests: which crate may know which, that all of them share the
//! lints, and where foreign crates come from. Never resolves anything: it reads what is written.

use super::Finding;
use toml::{Table, Value};

/// A package of the house, its folder, and the packages of the house that it depends on: these and
/// no others, for tests and build scripts too.
struct Package {
    name: &'static str,
    folder: &'static str,
    edges: &'static [&'static str],
}

const PACKAGES: [Package; 10] = [
    Package { name: "springtide-engine", folder: "crates/engine", edges: &[] },
    Package { name: "springtide-proto", folder: "crates/proto", edges: &[] },
    Package {
        name: "springtide",
        folder: "crates/springtide",
        edges: &["springtide-engine", "springtide-proto"],
    },
    Package {
        name: "springtide-sim",
        folder: "crates/sim",
        edges: &["springtide", "springtide-engine", "springtide-proto"],
    },
    Package { name: "springtide-cli", folder: "crates/cli", edges: &["springtide"] },
    Package { name: "xtask", folder: "xtask", edges: &[] },
    Package { name: "bench", folder: "bench", edges: &["springtide"] },
    Package {
        name: "springtide-example-sqlite",
        folder: "examples/sqlite",
        edges: &["springtide"],
    },
    // Workspaces of their own, which cannot share the lints.
    Package { name: "bench-peers", folder: "bench/peers", edges: &[] },
    Package {
        name: "springtide-fuzz",
        folder: "fuzz",
        edges: &["springtide", "springtide-engine", "springtide-proto"],
    },
];
/// The only package that `cargo run` may choose by itself.
const THE_PROGRAM: &str = "springtide-cli";
const OWN_WORKSPACES: [&str; 2] = ["bench/peers", "fuzz"];
/// The only runtime beside the engine's own, and who may know it: the crate with its feature `tokio`,
/// which nobody turns on but who needs a library of tokio in a handler.
const SIDE_RUNTIME: &str = "tokio";
const KNOW_SIDE_RUNTIME: [&str; 2] = ["springtide", "springtide-example-sqlite"];

/// The folders whose packages are members of the workspace.
pub(super) fn member_folders() -> impl Iterator<Item = &'static str> {
    PACKAGES.iter().map(|p| p.folder).filter(|folder| !OWN_WORKSPACES.contains(folder))
}

/// The edges of one manifest at `path`, relative to the repository.
pub(super) fn manifest(path: &str, manifest: &Table) -> Vec<Finding> {
    let Some(name) = manifest.get("package").and_then(|p| p.get("name")).and_then(Value::as_str)
    else {
        return Vec::new();
    };
    let finding = |advice: String| Finding::new("edge", path, 1, &advice);
    let folder = path.strip_suffix("/Cargo.toml").unwrap_or_default();
    let Some(package) = PACKAGES.iter().find(|package| package.folder == folder) else {
        let advice = "no package of the house lives here: add it to the table of edges in xtask";
        return vec![finding(advice.to_owned())];
    };
    let mut found = Vec::new();
    let is_member = !OWN_WORKSPACES.contains(&folder);
    if is_member && package.name != name {
        found.push(finding(format!("call the package `{}`, as the house does", package.name)));
    }
    let shares_lints = manifest.get("lints").and_then(|lints| lints.get("workspace"));
    if is_member && shares_lints != Some(&Value::Boolean(true)) {
        found.push(finding("write `[lints] workspace = true`".to_owned()));
    }
    let default_run = manifest.get("package").and_then(|package| package.get("default-run"));
    if is_member && default_run.is_some() && name != THE_PROGRAM {
        let advice = "leave `default-run` out: `cargo run` from the root starts the program";
        found.push(finding(advice.to_owned()));
    }
    let depends_on = dependencies(manifest);
    for dependency in &depends_on {
        let is_edge = package.edges.contains(&dependency.name.as_str());
        if (dependency.is_ours() || dependency.is_path) && !is_edge {
            found.push(finding(format!(
                "`{}` may not know `{}`: its edges are {:?}",
                package.name, dependency.name, package.edges
            )));
        }
    }
    for edge in package.edges.iter().filter(|_| is_member) {
        if !depends_on.iter().any(|dependency| dependency.name == *edge) {
            found.push(finding(format!("the edge to `{edge}` is missing")));
        }
    }
    found
}

struct Dependency {
    name: String,
    is_path: bool,
}

impl Dependency {
    fn is_ours(&self) -> bool {
        PACKAGES.iter().any(|package| package.name == self.name)
    }
}

/// Every dependency of every table, for every target, under the name of its package.
fn dependencies(manifest: &Table) -> Vec<Dependency> {
    let targets = manifest.get("target").and_then(Value::as_table);
    let platforms = targets.into_iter().flat_map(Table::values).filter_map(Value::as_table);
    let mut found = Vec::new();
    for tables in std::iter::once(manifest).chain(platforms) {
        for kind in ["dependencies", "dev-dependencies", "build-dependencies"] {
            let Some(table) = tables.get(kind).and_then(Value::as_table) else { continue };
            found.extend(table.iter().map(|(key, value)| Dependency {
                name: value.get("package").and_then(Value::as_str).unwrap_or(key).to_owned(),
                is_path: value.get("path").is_some(),
            }));
        }
    }
    found
}

/// Foreign crates come from crates.io; none of them is another asynchronous runtime.
pub(super) fn lock(path: &str, lock: &Table) -> Vec<Finding> {
    let runtimes = ["async-std", "smol", "async-executor", "monoio", "compio", "glommio"];
    let packages = lock.get("package").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let mut found = Vec::new();
    for package in packages {
        let name = package.get("name").and_then(Value::as_str).unwrap_or_default();
        let source = package.get("source").and_then(Value::as_str);
        if source.is_some_and(|s| s != "registry+https://github.com/rust-lang/crates.io-index") {
            let advice = format!("`{name}` does not come from crates.io: use a published version");
            found.push(Finding::new("dependency", path, 1, &advice));
        }
        let depends_on = package.get("dependencies").and_then(Value::as_array);
        let mut depends_on = depends_on.into_iter().flatten().filter_map(Value::as_str);
        let is_beside = KNOW_SIDE_RUNTIME.contains(&name);
        if !is_beside && depends_on.any(|own| own.split(' ').next() == Some(SIDE_RUNTIME)) {
            let advice = format!("`{name}` needs {SIDE_RUNTIME}: only {KNOW_SIDE_RUNTIME:?} may");
            found.push(Finding::new("dependency", path, 1, &advice));
        }
        if runtimes.contains(&name) {
            let advice =
                format!("`{name}` is another runtime: find out who needs it and do without");
            found.push(Finding::new("dependency", path, 1, &advice));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(folder: &str, text: &str) -> usize {
        let lints = "[lints]\nworkspace = true\n";
        manifest(&format!("{folder}/Cargo.toml"), &format!("{lints}{text}").parse().unwrap()).len()
    }

    #[test]
    fn edges_are_exact() {
        let engine = "[package]\nname = \"springtide-engine\"\n";
        let good = [
            ("crates/engine", format!("{engine}[dependencies]\nbytes = \"1\"")),
            (
                "crates/cli",
                "[package]\nname = \"springtide-cli\"\n[dependencies]\nspringtide.workspace = true"
                    .to_owned(),
            ),
            (
                "bench/peers",
                "[package]\nname = \"peers\"\n[dependencies]\ntokio = \"1\"".to_owned(),
            ),
        ];
        for (folder, text) in good {
            assert_eq!(count(folder, &text), 0, "{text}");
        }
        let bad = [
            ("crates/engine", format!("{engine}[dependencies]\nspringtide-proto.workspace = true")),
            ("crates/engine", format!("{engine}[dev-dependencies]\nspringtide.workspace = true")),
            ("crates/engine", format!("{engine}[build-dependencies]\nx = {{ path = \"../x\" }}")),
            (
                "crates/engine",
                format!(
                    "{engine}[target.'cfg(unix)'.dependencies]\na = {{ package = \"springtide\" }}"
                ),
            ),
            ("crates/engine", "[package]\nname = \"engine\"".to_owned()),
            ("crates/cli", "[package]\nname = \"springtide-cli\"".to_owned()),
            ("crates/other", "[package]\nname = \"springtide-other\"".to_owned()),
            (
                "xtask",
                "[package]\nname = \"xtask\"\n[dependencies]\nspringtide.workspace = true"
                    .to_owned(),
            ),
            (
                "bench/peers",
                "[package]\nname = \"peers\"\n[dependencies]\nspringtide = \"0\"".to_owned(),
            ),
        ];
        for (folder, text) in bad {
            assert_eq!(count(folder, &text), 1, "{text}");
        }
    }

    #[test]
    fn one_package_is_run_by_default() {
        let text = |name: &str| format!("[package]\nname = \"{name}\"\ndefault-run = \"x\"\n");
        assert_eq!(count("xtask", &text("xtask")), 1);
        let cli = text("springtide-cli") + "[dependencies]\nspringtide.workspace = true";
        assert_eq!(count("crates/cli", &cli), 0);
    }

    #[test]
    fn lints_are_shared() {
        let text = "[package]\nname = \"xtask\"".parse().unwrap();
        assert_eq!(manifest("xtask/Cargo.toml", &text).len(), 1);
    }

    #[test]
    fn dependencies_come_from_one_place() {
        let registry = "registry+https://github.com/rust-lang/crates.io-index";
        let entry = |name: &str, source: &str| {
            format!("[[package]]\nname = \"{name}\"\nsource = \"{source}\"")
        };
        let count = |text: String| lock("Cargo.lock", &text.parse().unwrap()).len();
        assert_eq!(count(entry("bytes", registry)), 0);
        assert_eq!(count("[[package]]\nname = \"springtide\"".to_owned()), 0);
        assert_eq!(count(entry("bytes", "git+https://example.org/bytes")), 1);
        assert_eq!(count(entry("smol", registry)), 1);
        let needs_tokio =
            |name: &str| format!("[[package]]\nname = \"{name}\"\ndependencies = [\"tokio\"]");
        assert_eq!(count(needs_tokio("springtide")), 0);
        assert_eq!(count(needs_tokio("springtide-engine")), 1);
    }

    /// Who does not ask for the feature has no tokio: neither the crate, nor the program.
    #[test]
    fn tokio_comes_with_its_feature_only() {
        let root = crate::tidy::repository_root();
        let tree = |package: &str, features: &str| {
            let mut cargo = std::process::Command::new(env!("CARGO"));
            cargo.args(["tree", "--offline", "--prefix", "none", "--format", "{p}"]);
            cargo.args(["-e", "normal,build", "-p", package, "--features", features]);
            let output = cargo.current_dir(&root).output().unwrap();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            let said = String::from_utf8(output.stdout).unwrap();
            said.lines().any(|line| line.starts_with("tokio "))
        };
        assert!(tree("springtide", "tokio"));
        assert!(!tree("springtide", ""));
        assert!(!tree("springtide-cli", ""));
    }
}
