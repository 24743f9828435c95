//! Handlers on threads of their own: work that takes long, or waits for what is not of the shard.
//! Nothing of a shard is lent to them: a request goes as a copy, and its reply comes back by bell.

mod detached;
mod pool;

pub(crate) use detached::Detached;
pub(crate) use pool::{Job, Pool};

use std::sync::Arc;

use crate::handler::{AnyHandler, Handler, Shape};
use crate::request::Request;
use crate::response::{IntoResponse, Response};

/// Runs a handler on a pool of threads that all shards of the server share, so that it may compute
/// for long, or wait for a file or a database, and holds up nobody else.
///
/// How many threads there are, and how many requests may wait for one, are
/// [`Limits::offload_threads`](crate::Limits::offload_threads) and
/// [`Limits::offload_waiting_max`](crate::Limits::offload_waiting_max); beyond them a request is
/// answered `503 Service Unavailable` with `Retry-After` at once. When the client goes the handler
/// runs on, and its reply is discarded. A panic is a 500 for this request.
///
/// ```
/// use springtide::{Request, Server, offload};
///
/// fn render(year: &str) -> String {
///     format!("the tides of {year}, after long thought")
/// }
///
/// let server =
///     Server::new().get("/report/{year}", offload(|request| render(&request.param("year"))));
/// # let mut world = springtide::test::World::new(1);
/// # world.serve(server);
/// # let mut peer = world.connect();
/// # let _ = peer.write(b"GET /report/1953 HTTP/1.1\r\nHost: a\r\n\r\n");
/// # world.settle();
/// # assert!(peer.reply().unwrap().body().starts_with(b"the tides of 1953"));
/// ```
pub const fn offload<F, R>(handler: F) -> Offload<F>
where
    F: Fn(Request) -> R + Send + Sync + 'static,
    R: IntoResponse,
{
    Offload(handler)
}

/// A handler that runs on the pool; see [`offload`].
#[derive(Debug)]
pub struct Offload<F>(F);

/// The shape of [`offload`].
#[derive(Debug)]
pub struct OnPool;

/// A handler as the pool calls it.
pub(crate) type PoolHandler = Arc<dyn Fn(Request) -> Response + Send + Sync>;

#[diagnostic::do_not_recommend]
impl<F, R> Handler<OnPool> for Offload<F>
where
    F: Fn(Request) -> R + Send + Sync + 'static,
    R: IntoResponse,
{
    fn into_any(self) -> AnyHandler {
        let Self(handler) = self;
        AnyHandler(Shape::OnPool(Arc::new(move |request| handler(request).into_response())))
    }
}
