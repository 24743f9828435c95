//! The bundled site: pages, the examples with their source, live counters, two plain replies.
//! It uses nothing of the library that any program could not use.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock, Weak};

use serde::Serialize;
use springtide::{Files, Json, Response, Running, Server};

use crate::arguments::Serve;

/// Where the bundled site lies.
pub(crate) struct Bundle {
    site: PathBuf,
    examples: PathBuf,
}

impl Bundle {
    /// Finds the site in the tree that the program was built in.
    pub(crate) fn find() -> Option<Self> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2)?;
        let (site, examples) = (root.join("site"), root.join("examples"));
        (site.is_dir() && examples.is_dir()).then_some(Self { site, examples })
    }
}

/// The server, once it runs, for the page that shows its counters.
pub(crate) type Started = Arc<OnceLock<Weak<Running>>>;

/// Adds the routes of the bundled site.
pub(crate) fn bundled(
    server: Server,
    bundle: &Bundle,
    started: &Started,
    options: &Serve,
) -> Server {
    let (metrics, started) = (server.metrics(), started.clone());
    let examples = examples_of(&bundle.examples);
    server
        .get("/plaintext", || "Hello, World!")
        .get("/json", || Json(Greeting { message: "Hello, World!" }))
        .get("/api/counters", move || {
            let counters =
                Counters::of(started.get().and_then(Weak::upgrade).as_deref(), metrics.counts());
            Response::json(&counters).header("cache-control", "no-store")
        })
        .get("/api/examples", move || Response::json(&examples))
        .files("/examples", Files::new(&bundle.examples))
        .files("/", options.files(&bundle.site).not_found_page("404.html"))
}

#[derive(Serialize)]
struct Greeting {
    message: &'static str,
}

#[derive(Serialize)]
struct Counters {
    version: &'static str,
    engine: &'static str,
    workers: usize,
    uptime_ms: u64,
    #[serde(flatten)]
    counts: springtide::Counts,
}

impl Counters {
    fn of(running: Option<&Running>, counts: springtide::Counts) -> Self {
        let uptime = running.map_or(0, |running| running.uptime().as_millis());
        Self {
            version: env!("CARGO_PKG_VERSION"),
            engine: running.map_or("", Running::engine),
            workers: running.map_or(0, Running::workers),
            uptime_ms: u64::try_from(uptime).unwrap_or(u64::MAX),
            counts,
        }
    }
}

#[derive(Serialize)]
struct Example {
    name: String,
    /// The first sentence of the file's own words.
    title: String,
    source: String,
}

/// The example that the page shows first.
const FIRST: &str = "hello";

/// The examples in a directory, the simplest first and then by name. What cannot be read is left out:
/// the page shows the rest.
fn examples_of(directory: &Path) -> Vec<Example> {
    let Ok(entries) = std::fs::read_dir(directory) else { return Vec::new() };
    let paths = entries.filter_map(|entry| entry.ok().map(|entry| entry.path()));
    let mut examples: Vec<Example> = paths.filter_map(|path| example(&path)).collect();
    let place = |example: &Example| (example.name != FIRST, example.name.clone());
    examples.sort_by_key(place);
    examples
}

fn example(path: &Path) -> Option<Example> {
    if path.extension()? != "rs" {
        return None;
    }
    let name = path.file_stem()?.to_str()?.to_owned();
    let source = std::fs::read_to_string(path).ok()?;
    let title = source.lines().next()?.trim_start_matches("//!").trim();
    Some(Example { title: title.trim_end_matches('.').to_owned(), name, source })
}
