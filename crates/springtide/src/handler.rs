//! Handlers: the functions of the application that answer requests.
//! One trait takes every shape of them; none is called but in a turn, or by the pool.

use std::rc::Rc;
use std::sync::Arc;

use crate::executor::Answering;
use crate::offload::PoolHandler;
use crate::request::Request;
use crate::response::{IntoResponse, Response};

/// A function that answers requests: `Fn(Request) -> R` or `Fn() -> R`, or `async` in front of
/// either, where `R` can be sent.
///
/// An async handler's future stays on the shard that received the request, so it need not be
/// `Send`. It is dropped at its next suspension when its client goes.
///
/// The parameter `Kind` tells the shapes apart and is always inferred.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a handler",
    note = "a handler is `|request: Request| …`, `|| …` or `async |request: Request| …`, is `Send + \
            Sync + 'static`, and returns something that implements `IntoResponse`",
    note = "a closure that uses its argument needs the type written out: `|request: Request|`",
    note = "an async closure that captures anything is `async move |request: Request| …`, and what \
            it returns must not borrow from the request"
)]
pub trait Handler<Kind>: Send + Sync + 'static {
    /// The handler as routes keep it.
    #[doc(hidden)]
    fn into_any(self) -> AnyHandler;
}

/// The shape `Fn(Request) -> R`.
#[derive(Debug)]
pub struct Plain;

/// The shape `Fn() -> R`.
#[derive(Debug)]
pub struct NoArgument;

/// The shape `AsyncFn(Request) -> R`.
#[derive(Debug)]
pub struct Awaited;

/// The shape `AsyncFn() -> R`.
#[derive(Debug)]
pub struct AwaitedNoArgument;

impl<F, R> Handler<Plain> for F
where
    F: Fn(Request) -> R + Send + Sync + 'static,
    R: IntoResponse,
{
    fn into_any(self) -> AnyHandler {
        AnyHandler(Shape::Plain(Box::new(move |request, response| {
            *response = Some(self(request).into_response());
        })))
    }
}

impl<F, R> Handler<NoArgument> for F
where
    F: Fn() -> R + Send + Sync + 'static,
    R: IntoResponse,
{
    fn into_any(self) -> AnyHandler {
        Handler::<Plain>::into_any(move |_: Request| self())
    }
}

impl<F, R> Handler<Awaited> for F
where
    F: AsyncFn(Request) -> R + Send + Sync + 'static,
    R: IntoResponse,
{
    fn into_any(self) -> AnyHandler {
        awaited(self, |handler, request| {
            Box::pin(async move { handler(request).await.into_response() })
        })
    }
}

impl<F, R> Handler<AwaitedNoArgument> for F
where
    F: AsyncFn() -> R + Send + Sync + 'static,
    R: IntoResponse,
{
    fn into_any(self) -> AnyHandler {
        awaited(self, |handler, _| Box::pin(async move { handler().await.into_response() }))
    }
}

/// Every shard has its own, behind a count of its own: the other would bounce between cores.
fn awaited<F: Send + Sync + 'static>(
    handler: F,
    call: fn(Rc<Arc<F>>, Request) -> Answering,
) -> AnyHandler {
    let handler = Arc::new(handler);
    AnyHandler(Shape::Awaited(Box::new(move || {
        let own = Rc::new(Arc::clone(&handler));
        Box::new(move |request| call(Rc::clone(&own), request))
    })))
}

/// A handler of any shape, on its way into a route.
#[expect(missing_debug_implementations, reason = "nobody but this crate can name it")]
pub struct AnyHandler(pub(crate) Shape);

pub(crate) enum Shape {
    Plain(PlainHandler),
    Awaited(MakeAwaited),
    /// The same, begun before its body has come.
    Streamed(MakeAwaited),
    OnPool(PoolHandler),
    /// Any of these, whose bodies have a limit of their own.
    Limited {
        body_bytes_max: u64,
        shape: Box<Shape>,
    },
}

/// One value for all shards. The response is written to its place: handed up through every caller
/// it would be moved, word by word, again and again.
pub(crate) type PlainHandler = Box<dyn Fn(Request, &mut Option<Response>) + Send + Sync>;

/// Makes each shard its own.
pub(crate) type MakeAwaited = Box<dyn Fn() -> AwaitedHandler + Send + Sync>;

/// An async handler on its shard.
pub(crate) type AwaitedHandler = Box<dyn Fn(Request) -> Answering>;
