//! The bundled site: pages, the examples with their source, two plain replies, and what is live.
//! It uses nothing of the library that any program could not use.

mod beat;
mod chat;
mod dashboard;
mod echo;
mod upload;

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use serde::Serialize;
use springtide::{Files, Json, Request, Response, Running, SecurityHeaders, Server};
use springtide::{body_max, streamed};

use crate::arguments::Serve;
pub(crate) use beat::Beat;
use chat::Chat;

/// What its pages may load: nothing that another server has, and no script that stands in a page.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
                      connect-src 'self'; base-uri 'none'; form-action 'none'; \
                      frame-ancestors 'none'";

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

/// The server that serves the site, once it runs.
#[derive(Clone, Default)]
pub(crate) struct Started {
    running: Arc<OnceLock<Weak<Running>>>,
    /// The server has the chat, which has this for its clock.
    chat: Arc<OnceLock<Weak<Chat>>>,
}

impl Started {
    /// The server runs: from now on the dashboard and the chat beat, until what this gives is dropped.
    pub(crate) fn start(&self, running: &Arc<Running>) -> Beat {
        self.running.get_or_init(|| Arc::downgrade(running));
        let (running, chat) = (running.clone(), self.chat.clone());
        Beat::start(move || {
            dashboard::tell(&running);
            if let Some(chat) = chat.get().and_then(Weak::upgrade) {
                chat.tell_rooms();
            }
        })
    }

    fn running(&self) -> Option<Arc<Running>> {
        self.running.get().and_then(Weak::upgrade)
    }

    /// How long it has been running: the clock of whatever is live here.
    fn uptime(&self) -> Duration {
        self.running().map_or(Duration::ZERO, |running| running.uptime())
    }

    fn uptime_ms(&self) -> u64 {
        u64::try_from(self.uptime().as_millis()).unwrap_or(u64::MAX)
    }
}

/// Adds the routes of the bundled site.
pub(crate) fn bundled(
    server: Server,
    bundle: &Bundle,
    started: &Started,
    options: &Serve,
) -> Server {
    let metrics = server.metrics();
    let examples = examples_of(&bundle.examples);
    let server = add_live(server, started);
    let started = started.clone();
    server
        .wrap(SecurityHeaders::new().content_security_policy(POLICY))
        .get("/plaintext", || "Hello, World!")
        .get("/json", || Json(Greeting { message: "Hello, World!" }))
        .get("/api/counters", move || {
            let counters = Counters::of(&started, metrics.counts());
            Response::json(&counters).header("cache-control", "no-store")
        })
        .get("/api/examples", move || Response::json(&examples))
        .files("/examples", Files::new(&bundle.examples))
        .files("/", options.files(&bundle.site).not_found_page("404.html"))
}

/// Adds the chat, the dashboard, the uploads and the echo.
fn add_live(server: Server, started: &Started) -> Server {
    let chat = Chat::new(server.topics(), started.clone());
    started.chat.get_or_init(|| Arc::downgrade(&chat));
    let clock = started.clone();
    server
        .get("/live/chat", move |request: Request| request.websocket(chat.guest()))
        .websocket("/live/dashboard", dashboard::sockets())
        .get("/live/echo", move |request: Request| request.websocket(echo::socket(clock.clone())))
        .put("/live/upload", body_max(upload::UPLOAD_BYTES_MAX, streamed(upload::take)))
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
    fn of(started: &Started, counts: springtide::Counts) -> Self {
        let running = started.running();
        let running = running.as_deref();
        Self {
            version: env!("CARGO_PKG_VERSION"),
            engine: running.map_or("", Running::engine),
            workers: running.map_or(0, Running::workers),
            uptime_ms: started.uptime_ms(),
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
