//! What handles the messages of connections: callbacks, or a future for each connection.
//! It only holds them; the session calls the one, and the shard polls the other.

use std::sync::Arc;

use http::StatusCode;

use super::messages::Messages;
use super::socket::Socket;
use super::{WebSocket, WebSockets};
use crate::executor::Answering;
use crate::report;
use crate::response::{Failure, Response};
use crate::server::Server;

/// One value for all connections that it is given.
#[derive(Clone)]
pub(crate) enum Handler {
    Called(Arc<dyn WebSocket>),
    Awaited(Arc<Make>),
}

/// Makes the future of a connection; none of its code runs before that is polled.
pub(crate) type Make = dyn Fn(Socket, Messages) -> Answering + Send + Sync;

impl Handler {
    pub(super) fn awaited<F>(handler: F) -> Self
    where
        F: AsyncFn(Socket, Messages) -> Result<(), Failure> + Send + Sync + 'static,
    {
        let handler = Arc::new(handler);
        Self::Awaited(Arc::new(move |socket, messages| {
            let own = Arc::clone(&handler);
            Box::pin(async move { said(socket, own(socket, messages).await) })
        }))
    }
}

/// How a connection's future ended, in the words of the executor.
fn said(socket: Socket, result: Result<(), Failure>) -> Response {
    let Err(failure) = result else { return Response::empty(StatusCode::OK) };
    if socket.is_open() {
        report::error(format_args!("WebSocket {} is closed with 1011: {failure}", socket.id()));
    }
    Response::empty(StatusCode::INTERNAL_SERVER_ERROR)
}

impl Server {
    /// Opens WebSockets on a path with a future for each connection, which stays on its shard and need
    /// not be `Send`: what a connection remembers stands in its variables.
    ///
    /// When it returns, the connection closes normally behind what was sent; when it fails or panics,
    /// with 1011, and what a failure says stands on standard error. When the connection ends before, it
    /// is polled once more where it waits for [`Messages`] or for [`Socket::ready`], with the reason,
    /// and dropped where it waits next. A freeze of its shard changes nothing for it.
    ///
    /// Messages that it does not take hold up what its peer sends, a close among them: that is answered
    /// for it after [`socket_close_timeout`](crate::WebSocketLimits::socket_close_timeout_ms).
    ///
    /// ```
    /// use springtide::{Messages, Server, Socket};
    ///
    /// let server = Server::new().websocket_async("/count", async |socket: Socket, mut messages: Messages| {
    ///     let mut count = 0;
    ///     while let Some(message) = messages.next().await? {
    ///         count += message.len();
    ///         socket.send(format!("{count} bytes so far"));
    ///         socket.ready().await?;
    ///     }
    ///     Ok(())
    /// });
    /// ```
    #[must_use]
    pub fn websocket_async<F>(self, pattern: &str, handler: F) -> Self
    where
        F: AsyncFn(Socket, Messages) -> Result<(), Failure> + Send + Sync + 'static,
    {
        self.websocket(pattern, WebSockets::new_async(handler))
    }
}
