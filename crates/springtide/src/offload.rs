//! Handlers on threads of their own: work that takes long, or waits for what is not of the shard.
//! Nothing of a shard is lent to them: a request goes as a copy, and its reply comes back by bell.

mod detached;
mod pool;

pub(crate) use detached::Detached;
pub(crate) use pool::{Job, Pool};

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::handler::{AnyHandler, Handler, Shape};
use crate::request::Request;
use crate::response::{IntoResponse, Response};

/// Runs a handler on a pool of threads that all shards of the server share, so that it may compute
/// for long, or wait for a file or a database, and holds up nobody else.
///
/// How many threads there are, and how many requests may wait for one, are
/// [`Limits::offload_threads`](crate::Limits::offload_threads) and
/// [`Limits::offload_waiting_max`](crate::Limits::offload_waiting_max): with none, what comes while
/// no thread is idle is refused. Beyond them a request is answered `503 Service Unavailable` with
/// `Retry-After` at once. When the client goes the handler runs on, and its reply is discarded. A
/// panic is a 500 for this request.
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
    Offload { handler, waiting_max: usize::MAX, priority: Priority::Normal }
}

/// A handler that runs on the pool; see [`offload`].
#[derive(Debug)]
pub struct Offload<F> {
    handler: F,
    waiting_max: usize,
    priority: Priority,
}

/// Which of the requests that wait for a thread of the pool is next. Of equal ones it is the first;
/// lower ones wait as long as there are higher ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Priority {
    /// Before all others.
    High,
    /// In between.
    #[default]
    Normal,
    /// When nothing else waits.
    Low,
}

impl<F> Offload<F> {
    /// How many requests for this handler may wait at a time while no thread is idle, beside the limit for all
    /// ([`Limits::offload_waiting_max`](crate::Limits::offload_waiting_max)); one more is answered
    /// 503. So a slow handler does not take the places of all others.
    ///
    /// ```
    /// use springtide::{Priority, Server, offload};
    ///
    /// let server = Server::new()
    ///     .get("/report", offload(|_| "after long thought").waiting_max(8).priority(Priority::Low))
    ///     .get("/login", offload(|_| "a hash of a password").priority(Priority::High));
    /// ```
    #[must_use]
    pub fn waiting_max(self, count: usize) -> Self {
        Self { waiting_max: count, ..self }
    }

    /// Before which others its requests get a thread.
    #[must_use]
    pub fn priority(self, priority: Priority) -> Self {
        Self { priority, ..self }
    }
}

/// The shape of [`offload`].
#[derive(Debug)]
pub struct OnPool;

/// A handler as the pool calls it.
#[derive(Clone)]
pub(crate) struct PoolHandler {
    pub(crate) call: Arc<Call>,
    pub(crate) bound: Arc<Bound>,
}

type Call = dyn Fn(Request) -> Response + Send + Sync;

/// How many requests of one handler wait for a thread.
#[derive(Debug)]
pub(crate) struct Bound {
    waiting: AtomicUsize,
    waiting_max: usize,
    pub(crate) priority: Priority,
}

impl Bound {
    /// One request more waits, if it may.
    fn enter(&self) -> bool {
        let before = self.waiting.fetch_add(1, Ordering::Relaxed);
        if before >= self.waiting_max {
            self.leave();
        }
        before < self.waiting_max
    }

    /// A request waits no more.
    fn leave(&self) {
        self.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}

impl PoolHandler {
    /// The same with a function around it.
    pub(crate) fn surrounded(
        self,
        around: impl Fn(&dyn Fn(Request) -> Response, Request) -> Response + Send + Sync + 'static,
    ) -> Self {
        let Self { call, bound } = self;
        Self { call: Arc::new(move |request| around(&*call, request)), bound }
    }
}

#[diagnostic::do_not_recommend]
impl<F, R> Handler<OnPool> for Offload<F>
where
    F: Fn(Request) -> R + Send + Sync + 'static,
    R: IntoResponse,
{
    fn into_any(self) -> AnyHandler {
        let Self { handler, waiting_max, priority } = self;
        let bound = Arc::new(Bound { waiting: AtomicUsize::new(0), waiting_max, priority });
        let call = Arc::new(move |request| handler(request).into_response());
        AnyHandler(Shape::OnPool(PoolHandler { call, bound }))
    }
}
