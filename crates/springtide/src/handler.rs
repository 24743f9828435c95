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
/// `Send`. It is dropped at its next suspension when its client has gone; see
/// [`Request::closed`] for what that is.
///
/// The parameter `Kind` tells the shapes apart and is always inferred.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a handler",
    label = "this cannot answer a request",
    note = "a handler is `|request: Request| …`, `|| …` or `async |request: Request| …`, with the type \
            of the request written out and the request taken by value; a function of such a shape; \
            or `offload(|request| …)` around one that takes long",
    note = "it returns what implements `IntoResponse`: a string, bytes, a `StatusCode`, `Json(value)`, \
            a `Response`, a pair `(StatusCode, body)`, `()`, an `Option` or a `Result` of such; for \
            errors of any kind that is `Result<_, Failure>`",
    note = "it is `Send + Sync + 'static`: what it captures is moved in, `move |request: Request| …` or \
            `async move |request: Request| …`, and what it returns must not borrow from the request"
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
            put(response, self(request).into_response());
        })))
    }
}

/// Puts a response where none stands. Dropping what is not there would cost a call.
#[inline]
fn put(place: &mut Option<Response>, response: Response) {
    let before = place.replace(response);
    debug_assert!(before.is_none(), "a handler answers once");
    std::mem::forget(before);
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

/// An async handler whose future runs to its end also when its client has gone: its reply is then
/// discarded. For what must not stop half-way, such as an order that was paid for.
///
/// [`Request::closed`] tells of the client's going all the same. A server that stops waits for such
/// futures as long as it has patience. One that was refused io_uring in the middle goes on without
/// them: what must survive that is written down before it begins.
///
/// Where as many run on without their clients as
/// [`Limits::futures_alone_max`](crate::Limits::futures_alone_max) says, further requests for such
/// handlers are answered 503 with `Retry-After`.
///
/// ```
/// use std::time::Duration;
/// use springtide::{Request, Server, sleep, to_the_end};
///
/// let server = Server::new().post("/orders", to_the_end(async |request: Request| {
///     sleep(Duration::from_secs(1)).await;
///     format!("ordered {}", request.bytes().len())
/// }));
/// ```
pub const fn to_the_end<F>(handler: F) -> ToTheEnd<F> {
    ToTheEnd(handler)
}

/// A handler that runs to its end; see [`to_the_end`].
#[derive(Debug)]
pub struct ToTheEnd<F>(F);

/// The shape of [`to_the_end`], around the shape of the handler.
#[derive(Debug)]
pub struct Ending<Kind>(std::marker::PhantomData<Kind>);

#[diagnostic::do_not_recommend]
impl<Kind, F: Handler<Kind>> Handler<Ending<Kind>> for ToTheEnd<F> {
    fn into_any(self) -> AnyHandler {
        let AnyHandler(shape) = self.0.into_any();
        AnyHandler(match shape {
            Shape::Awaited { make, is_streamed, .. } => {
                Shape::Awaited { make, to_the_end: true, is_streamed }
            }
            // At once, or on the pool: both run to their end anyway.
            shape => shape,
        })
    }
}

/// Every shard has its own, behind a count of its own: the other would bounce between cores.
fn awaited<F: Send + Sync + 'static>(
    handler: F,
    call: fn(Rc<Arc<F>>, Request) -> Answering,
) -> AnyHandler {
    let handler = Arc::new(handler);
    let make: MakeAwaited = Box::new(move || {
        let own = Rc::new(Arc::clone(&handler));
        Box::new(move |request| call(Rc::clone(&own), request))
    });
    AnyHandler(Shape::Awaited { make, to_the_end: false, is_streamed: false })
}

/// A handler of any shape, on its way into a route.
#[expect(missing_debug_implementations, reason = "nobody but this crate can name it")]
pub struct AnyHandler(pub(crate) Shape);

pub(crate) enum Shape {
    Plain(PlainHandler),
    /// Its future runs on without its client where it is to run to the end, and begins before the body
    /// has come where it takes that piece by piece.
    Awaited {
        make: MakeAwaited,
        to_the_end: bool,
        is_streamed: bool,
    },
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
