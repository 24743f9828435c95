//! Handlers: the functions of the application that answer requests.
//! One trait takes every shape of them; none is called but in a turn.

use crate::request::Request;
use crate::response::{IntoResponse, Response};

/// A function that answers requests: `Fn(Request) -> R` or `Fn() -> R`, where `R` can be sent.
///
/// The parameter `Kind` tells the shapes apart and is always inferred.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a handler",
    note = "a handler is `|request: Request| …` or `|| …`, is `Send + Sync + 'static`, and returns \
            something that implements `IntoResponse`",
    note = "a closure that uses its argument needs the type written out: `|request: Request|`"
)]
pub trait Handler<Kind>: Send + Sync + 'static {
    /// Answers one request.
    fn call(&self, request: Request) -> Response;
}

/// The shape `Fn(Request) -> R`.
#[derive(Debug)]
pub struct Plain;

/// The shape `Fn() -> R`.
#[derive(Debug)]
pub struct NoArgument;

impl<F, R> Handler<Plain> for F
where
    F: Fn(Request) -> R + Send + Sync + 'static,
    R: IntoResponse,
{
    #[inline]
    fn call(&self, request: Request) -> Response {
        self(request).into_response()
    }
}

impl<F, R> Handler<NoArgument> for F
where
    F: Fn() -> R + Send + Sync + 'static,
    R: IntoResponse,
{
    #[inline]
    fn call(&self, _: Request) -> Response {
        self().into_response()
    }
}

/// A handler of any shape, as routes keep it: one value for all shards. The response is written to
/// its place: handed up through every caller it would be moved, word by word, again and again.
pub(crate) type AnyHandler = Box<dyn Fn(Request, &mut Option<Response>) + Send + Sync>;

pub(crate) fn erase<Kind: 'static>(handler: impl Handler<Kind>) -> AnyHandler {
    Box::new(move |request, response| {
        *response = Some(handler.call(request));
    })
}
