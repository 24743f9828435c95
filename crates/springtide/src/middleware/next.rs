//! What comes next behind a function that stands around a handler.
//! It is called once at most, and not calling it is an answer too.

use std::fmt;
use std::rc::Rc;

use crate::handler::AwaitedHandler;
use crate::request::Request;
use crate::response::Response;

/// What a function stands around that does not wait: the handler, or the next function.
///
/// ```
/// use springtide::{Next, Request, Response, Server};
///
/// let server = Server::new()
///     .wrap(|request: Request, next: Next<'_>| -> Response {
///         let response = next.run(request);
///         response.header("x-tide", "high")
///     })
///     .get("/", || "water");
/// # let mut world = springtide::test::World::new(1);
/// # world.serve(server);
/// # let mut peer = world.connect();
/// # let _ = peer.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n");
/// # world.settle();
/// # assert_eq!(peer.reply().unwrap().header("x-tide"), Some("high"));
/// ```
pub struct Next<'a> {
    call: &'a dyn Fn(Request) -> Response,
}

impl<'a> Next<'a> {
    pub(super) const fn new(call: &'a dyn Fn(Request) -> Response) -> Self {
        Self { call }
    }

    /// The answer of what comes next.
    #[must_use]
    pub fn run(self, request: Request) -> Response {
        (self.call)(request)
    }
}

impl fmt::Debug for Next<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Next").finish_non_exhaustive()
    }
}

/// What an async function stands around: the handler, or the next function.
///
/// ```
/// use std::time::Duration;
/// use springtide::{AsyncNext, Request, Server, sleep};
///
/// let server = Server::new()
///     .wrap(async |request: Request, next: AsyncNext| {
///         sleep(Duration::from_secs(1)).await;
///         next.run(request).await
///     })
///     .get("/", || "a second later");
/// # let mut world = springtide::test::World::new(1);
/// # world.serve(server);
/// # let mut peer = world.connect();
/// # let _ = peer.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n");
/// # world.pass(Duration::from_secs(1));
/// # assert_eq!(peer.reply().unwrap().body(), b"a second later");
/// ```
pub struct AsyncNext {
    handler: Rc<AwaitedHandler>,
}

impl AsyncNext {
    pub(super) const fn new(handler: Rc<AwaitedHandler>) -> Self {
        Self { handler }
    }

    pub(super) fn again(&self) -> Self {
        Self { handler: Rc::clone(&self.handler) }
    }

    /// The answer of what comes next.
    pub async fn run(self, request: Request) -> Response {
        (self.handler)(request).await
    }
}

impl fmt::Debug for AsyncNext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AsyncNext").finish_non_exhaustive()
    }
}
