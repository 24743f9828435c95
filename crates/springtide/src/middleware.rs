//! Middleware: what stands around the handlers of a router.
//! A route without any pays nothing for it: what stands around it is put together at the start.

mod basic_auth;
mod cors;
mod next;
mod rate_limit;
mod request_log;
mod security_headers;

pub use basic_auth::BasicAuth;
pub use cors::Cors;
pub use next::{AsyncNext, Next};
pub use rate_limit::RateLimit;
pub use request_log::{Logged, RequestIds, RequestLog};
pub use security_headers::SecurityHeaders;

use std::rc::Rc;
use std::sync::Arc;

use crate::executor::Answering;
use crate::handler::{AnyHandler, Awaited, MakeAwaited, Plain, PlainHandler, Shape};
use crate::request::Request;
use crate::response::{IntoResponse, Response};

/// Sees a request when its head has come, and its reply before that is sent.
///
/// It stands around everything that a router answers, with handlers of any shape, with files, or
/// with an error of the server itself such as `404 Not Found`, and refuses a request before its body
/// is read. It runs on the shard and must not wait. Of the reply to a file it sees the status and the
/// fields; nothing of the file is sent when it puts another reply in its place, or makes an error of
/// it.
///
/// When io_uring is refused to a shard that runs, the shard goes on without it, and what waits for a
/// reply that is to be seen is answered 503 with `Retry-After`, which nothing here sees.
///
/// Mounted with `wrap`. The first one named is the outermost: it sees a request first and a reply
/// last, and the router around a router stands around all of it. Functions that are given to `wrap`
/// stand within all of these.
///
/// ```
/// use springtide::{Middleware, Outcome, Request, Router, StatusCode, IntoResponse};
///
/// /// Lets requests in that know the word, and says so in every reply.
/// struct Word(&'static str);
///
/// impl Middleware for Word {
///     fn begin(&self, request: &Request) -> Outcome {
///         match request.query_value("word") {
///             Some(word) if word == self.0 => Outcome::then(|reply| reply.header("x-word", "known")),
///             _ => Outcome::Answer(StatusCode::FORBIDDEN.into_response()),
///         }
///     }
/// }
///
/// let router = Router::new().wrap(Word("mellon")).get("/", || "come in");
/// # let mut world = springtide::test::World::new(1);
/// # world.serve(springtide::Server::new().nest("/door", router));
/// # let mut peer = world.connect();
/// # let _ = peer.write(b"GET /door HTTP/1.1\r\nHost: a\r\n\r\nGET /door?word=mellon HTTP/1.1\r\nHost: a\r\n\r\n");
/// # world.settle();
/// # assert_eq!(peer.reply().unwrap().status(), 403);
/// # assert_eq!(peer.reply().unwrap().header("x-word"), Some("known"));
/// ```
pub trait Middleware: Send + Sync + 'static {
    /// A request's head has come.
    fn begin(&self, request: &Request) -> Outcome;
}

/// What becomes of a request; see [`Middleware::begin`].
#[expect(missing_debug_implementations, reason = "functions have no form to be shown in")]
pub enum Outcome {
    /// It goes on.
    Pass,
    /// It goes on, and its reply is seen.
    PassThen(Finish),
    /// It is answered so. Whatever stands further out sees the reply.
    Answer(Response),
}

/// Sees a reply before it is sent.
pub type Finish = Box<dyn FnOnce(Response) -> Response>;

impl Outcome {
    /// The request goes on, and the function sees its reply.
    pub fn then(finish: impl FnOnce(Response) -> Response + 'static) -> Self {
        Self::PassThen(Box::new(finish))
    }
}

/// What may be given to `wrap`: a [`Middleware`], or a function around the handlers of a router.
///
/// A function is `|request: Request, next: Next<'_>| { … next.run(request) … }`, which stands around
/// handlers that answer at once or on the pool, or `async |request: Request, next: AsyncNext| { …
/// next.run(request).await … }`, which stands around those that answer at once or by `async`. It
/// does not see files or errors of the server; a [`Middleware`] does.
///
/// The parameter `Kind` tells the shapes apart and is always inferred.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be wrapped around handlers",
    note = "it is a `Middleware`, or `|request: Request, next: Next<'_>| …`, or `async |request: \
            Request, next: AsyncNext| …`, with the types written out, and is `Send + Sync + 'static`"
)]
pub trait Wrap<Kind>: Send + Sync + 'static {
    /// What it is as routers keep it.
    #[doc(hidden)]
    fn into_any(self) -> AnyWrap;
}

/// The shape of a [`Middleware`].
#[derive(Debug)]
pub struct Early;

/// Something of any shape, on its way around handlers.
#[expect(missing_debug_implementations, reason = "nobody but this crate can name it")]
pub struct AnyWrap(pub(crate) AnyShape);

pub(crate) enum AnyShape {
    Early(Arc<dyn Middleware>),
    Around(Around),
}

/// A function around handlers.
#[derive(Clone)]
pub(crate) enum Around {
    Plain(Arc<dyn Fn(Request, Next<'_>) -> Response + Send + Sync>),
    /// Makes each shard its own.
    Awaited(Arc<dyn Fn() -> AwaitedWrap + Send + Sync>),
}

type AwaitedWrap = Box<dyn Fn(Request, AsyncNext) -> Answering>;

impl<M: Middleware> Wrap<Early> for M {
    fn into_any(self) -> AnyWrap {
        AnyWrap(AnyShape::Early(Arc::new(self)))
    }
}

impl<F, R> Wrap<Plain> for F
where
    F: Fn(Request, Next<'_>) -> R + Send + Sync + 'static,
    R: IntoResponse,
{
    fn into_any(self) -> AnyWrap {
        let call = move |request: Request, next: Next<'_>| self(request, next).into_response();
        AnyWrap(AnyShape::Around(Around::Plain(Arc::new(call))))
    }
}

impl<F, R> Wrap<Awaited> for F
where
    F: AsyncFn(Request, AsyncNext) -> R + Send + Sync + 'static,
    R: IntoResponse,
{
    fn into_any(self) -> AnyWrap {
        let function = Arc::new(self);
        let make = move || -> AwaitedWrap {
            let own = Rc::new(Arc::clone(&function));
            Box::new(move |request, next| {
                let own = Rc::clone(&own);
                Box::pin(async move { own(request, next).await.into_response() })
            })
        };
        AnyWrap(AnyShape::Around(Around::Awaited(Arc::new(make))))
    }
}

impl Around {
    /// The handler with this around it.
    ///
    /// # Errors
    /// The shapes do not go together: a sentence that says what does.
    pub(crate) fn put_around(
        &self,
        AnyHandler(shape): AnyHandler,
    ) -> Result<AnyHandler, &'static str> {
        Ok(AnyHandler(match (self.clone(), shape) {
            (Self::Plain(own), Shape::Plain(inner)) => {
                let call = move |request| answer_of(&inner, request);
                Shape::Plain(Box::new(move |request, response| {
                    *response = Some(own(request, Next::new(&call)));
                }))
            }
            (Self::Plain(own), Shape::OnPool(inner)) => {
                Shape::OnPool(inner.surrounded(move |call, request| own(request, Next::new(call))))
            }
            (own, Shape::Limited { body_bytes_max, shape }) => {
                let AnyHandler(shape) = own.put_around(AnyHandler(*shape))?;
                Shape::Limited { body_bytes_max, shape: Box::new(shape) }
            }
            (Self::Awaited(make), Shape::Awaited { make: make_inner, to_the_end, is_streamed }) => {
                let make: MakeAwaited = Box::new(move || {
                    let (own, inner) = (make(), Rc::new(make_inner()));
                    Box::new(move |request| own(request, AsyncNext::new(Rc::clone(&inner))))
                });
                Shape::Awaited { make, to_the_end, is_streamed }
            }
            (Self::Awaited(make), Shape::Plain(inner)) => {
                let inner = Arc::new(inner);
                let make: MakeAwaited = Box::new(move || {
                    let (own, inner) = (make(), Arc::clone(&inner));
                    let next = AsyncNext::new(Rc::new(Box::new(move |request| {
                        Box::pin(std::future::ready(answer_of(&inner, request)))
                    })));
                    Box::new(move |request| own(request, next.again()))
                });
                Shape::Awaited { make, to_the_end: false, is_streamed: false }
            }
            (Self::Plain(_), Shape::Awaited { .. }) => {
                return Err("a function that does not wait cannot stand around an async handler: \
                            write `async |request: Request, next: AsyncNext| …`");
            }
            (Self::Awaited(_), Shape::OnPool(_)) => {
                return Err("an async function cannot stand around an offloaded handler: write \
                            `|request: Request, next: Next<'_>| …`, which runs on the pool");
            }
        }))
    }
}

fn answer_of(handler: &PlainHandler, request: Request) -> Response {
    let mut response = None;
    handler(request, &mut response);
    response.expect("a handler that returns has answered")
}
