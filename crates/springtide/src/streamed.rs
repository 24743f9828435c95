//! Handlers that say how they want their bodies: piece by piece, or up to a length of their own.
//! They only mark a handler; what the marks mean is the session's business.

use crate::handler::{AnyHandler, Awaited, Handler, Shape};
use crate::request::Request;
use crate::response::IntoResponse;

/// Calls an async handler as soon as the head of a request has come, which then takes the body while
/// it arrives: [`Request::take_body`] piece by piece, [`Request::body`] whole.
///
/// A handler that takes the body slowly holds its client up: no more is received than
/// [`Limits::inbox_bytes_max`](crate::Limits::inbox_bytes_max) ahead of it. A client that sent
/// `Expect: 100-continue` is told to go on when the handler asks for the body, and never when it does
/// not. What a handler leaves of a body is thrown away, up to a limit beyond which the connection ends
/// behind the reply. The length is bounded as on other routes; [`body_max`] allows more.
///
/// ```
/// use springtide::{BodyError, Request, Server, body_max, streamed};
///
/// async fn upload(mut request: Request) -> Result<String, BodyError> {
///     let (mut body, mut bytes) = (request.take_body(), 0);
///     while let Some(piece) = body.next().await? {
///         bytes += piece.len();
///     }
///     Ok(format!("{bytes} bytes"))
/// }
///
/// let server = Server::new().post("/upload", body_max(1 << 30, streamed(upload)));
/// ```
pub const fn streamed<F, R>(handler: F) -> Streamed<F>
where
    F: AsyncFn(Request) -> R + Send + Sync + 'static,
    R: IntoResponse,
{
    Streamed(handler)
}

/// A handler that takes bodies while they arrive; see [`streamed`].
#[derive(Debug)]
pub struct Streamed<F>(F);

/// The shape of [`streamed`].
#[derive(Debug)]
pub struct InPieces;

#[diagnostic::do_not_recommend]
impl<F, R> Handler<InPieces> for Streamed<F>
where
    F: AsyncFn(Request) -> R + Send + Sync + 'static,
    R: IntoResponse,
{
    fn into_any(self) -> AnyHandler {
        let AnyHandler(shape) = Handler::<Awaited>::into_any(self.0);
        AnyHandler(match shape {
            Shape::Awaited { make, to_the_end, .. } => {
                Shape::Awaited { make, to_the_end, is_streamed: true }
            }
            other => other,
        })
    }
}

/// Allows the bodies of one handler so many bytes, more or less than
/// [`Limits::body_bytes_max`](crate::Http1Limits::body_bytes_max); a longer one is answered
/// `413 Content Too Large`.
///
/// ```
/// use springtide::{Request, Server, body_max};
/// let server = Server::new()
///     .post("/note", body_max(140, |request: Request| request.text().map(str::to_owned)));
/// # let mut world = springtide::test::World::new(1);
/// # world.serve(server);
/// # let mut peer = world.connect();
/// # let _ = peer.write(b"POST /note HTTP/1.1\r\nHost: a\r\nContent-Length: 141\r\n\r\n");
/// # world.settle();
/// # assert_eq!(peer.reply().unwrap().status(), 413);
/// ```
pub const fn body_max<Kind, H: Handler<Kind>>(bytes_max: u64, handler: H) -> BodyMax<H> {
    BodyMax { bytes_max, handler }
}

/// A handler with a limit of its own; see [`body_max`].
#[derive(Debug)]
pub struct BodyMax<H> {
    bytes_max: u64,
    handler: H,
}

/// The shape of [`body_max`] around another shape.
#[derive(Debug)]
pub struct Bounded<Kind>(std::marker::PhantomData<Kind>);

#[diagnostic::do_not_recommend]
impl<Kind, H: Handler<Kind>> Handler<Bounded<Kind>> for BodyMax<H> {
    fn into_any(self) -> AnyHandler {
        let AnyHandler(shape) = self.handler.into_any();
        AnyHandler(Shape::Limited { body_bytes_max: self.bytes_max, shape: Box::new(shape) })
    }
}
