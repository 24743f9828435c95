//! Routers: routes that belong together, mounted by a server or by another router.
//! A router only collects what it is told; what does not fit is found out when the server listens.

mod verbs;

pub(crate) use verbs::verbs;

use http::Method;

use crate::files::Files;
use crate::handler::{AnyHandler, Handler};
use crate::middleware::AnyWrap;

/// Routes that belong together. A router is mounted beneath a path ([`Router::nest`]) or for a
/// host ([`Server::host`](crate::Server::host)).
///
/// ```
/// use springtide::{Request, Router, Server};
///
/// let notes = Router::new()
///     .get("/", |request: Request| format!("the notes of {}", request.param("user")))
///     .get("/{number}", |request: Request| {
///         format!("note {} of {}", request.param("number"), request.param("user"))
///     })
///     .fallback(|| "no such note");
/// let server = Server::new().nest("/users/{user}/notes", notes);
/// # let mut world = springtide::test::World::new(1);
/// # world.serve(server);
/// # let mut peer = world.connect();
/// # let _ = peer.write(b"GET /users/7/notes/3 HTTP/1.1\r\nHost: a\r\n\r\n");
/// # world.settle();
/// # assert_eq!(peer.reply().unwrap().body(), b"note 3 of 7");
/// ```
#[derive(Default)]
pub struct Router {
    /// What was added and is not mounted yet.
    pub(crate) entries: Vec<Entry>,
    pub(crate) fallback: Option<AnyHandler>,
    /// The outermost first.
    pub(crate) wraps: Vec<AnyWrap>,
}

/// One thing that was added to a router.
pub(crate) enum Entry {
    /// A handler for a method, or for every method that has none.
    Handler { method: Option<Method>, pattern: String, handler: AnyHandler },
    /// A directory.
    Files { prefix: String, files: Files },
    /// Another router.
    Nest { prefix: String, router: Router },
}

impl Router {
    /// A router without routes.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    const fn root(&mut self) -> &mut Self {
        self
    }

    pub(crate) fn add<Kind>(
        &mut self,
        method: Option<Method>,
        pattern: &str,
        handler: impl Handler<Kind>,
    ) {
        let (pattern, handler) = (pattern.to_owned(), handler.into_any());
        self.entries.push(Entry::Handler { method, pattern, handler });
    }

    verbs!();
}

impl std::fmt::Debug for Router {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Router").field("entries", &self.entries.len()).finish_non_exhaustive()
    }
}
