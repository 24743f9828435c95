//! Protocols of frames: a codec tells them apart, a handler gets each request with what answers it.
//! Nothing here touches a connection: answers wait on a desk until their session takes them.

mod desk;
mod reply;

pub(crate) use desk::{Answer, Answered, Desk};
pub use reply::{RemoteReply, Reply};
pub use springtide_proto::Piece;
pub use springtide_proto::framed::{
    Codec, Fault, Limits, PayloadError, Progress, Refusal, Scan, Tag,
};

use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;
use http::StatusCode;

use crate::executor::Answering;
use crate::response::Response;
use crate::server::Server;

/// What a server of frames does, for all shards.
pub(crate) struct Service {
    pub(crate) codec: Box<dyn Codec + Send + Sync>,
    pub(crate) handler: Handler,
}

/// What is called for each request.
pub(crate) enum Handler {
    Plain(Box<dyn Fn(Bytes, Reply) + Send + Sync>),
    /// Makes each connection its own.
    Awaited(Box<dyn Fn() -> AwaitedHandler + Send + Sync>),
}

/// A handler that is waited for.
pub(crate) type AwaitedHandler = Box<dyn Fn(Bytes, Reply) -> Answering>;

impl Server {
    /// Speaks a protocol of frames in place of HTTP: `handler` is called for each request as soon as
    /// it is whole, with its [`Reply`]. Requests are pipelined: replies may be given in any order,
    /// also later, and leave in the order of the requests, or by the ids that they carry
    /// ([`Framed::tagged`](crate::Framed::tagged)). How many may be in flight, and the times that a
    /// peer has, stand in [`Limits::framed`](crate::Limits::framed); what a codec refuses ends the
    /// connection behind the replies before it.
    ///
    /// A handler that panics has dropped its reply, no more; a codec must not panic. A reply that is
    /// given to a shard which has gone on over another engine, as io_uring was refused to it, counts
    /// as dropped.
    ///
    /// ```
    /// use springtide::{Bytes, Framed, Reply, Server};
    ///
    /// let server = Server::new()
    ///     .framed(Framed::u32_be(), |request: Bytes, reply: Reply| reply.send(request));
    /// # let mut world = springtide::test::World::new(1);
    /// # world.serve(server);
    /// # let mut peer = world.connect();
    /// # let _ = peer.write(b"\0\0\0\x04tide");
    /// # world.settle();
    /// # let mut received = Vec::new();
    /// # peer.read(usize::MAX, &mut received);
    /// # assert_eq!(received, b"\0\0\0\x04tide");
    /// ```
    #[must_use]
    pub fn framed(
        self,
        codec: impl Codec + Send + Sync + 'static,
        handler: impl Fn(Bytes, Reply) + Send + Sync + 'static,
    ) -> Self {
        self.serve_frames(codec, Handler::Plain(Box::new(handler)))
    }

    /// The same with a handler that is awaited, on the connection's own shard, where it may wait for
    /// whatever async handlers of HTTP may. It is dropped where it waits when its peer has gone.
    ///
    /// ```
    /// use std::time::Duration;
    /// use springtide::{Bytes, Framed, Reply, Server, sleep};
    ///
    /// let server = Server::new().framed_async(Framed::lines(), async |request: Bytes, reply: Reply| {
    ///     sleep(Duration::from_secs(request.len() as u64)).await;
    ///     reply.send(request);
    /// });
    /// # let mut world = springtide::test::World::new(1);
    /// # world.serve(server);
    /// # let mut peer = world.connect();
    /// # let _ = peer.write(b"tide\nlow\n");
    /// # world.pass(Duration::from_secs(3));
    /// # let mut received = Vec::new();
    /// # assert_eq!(peer.read(usize::MAX, &mut received), 0);
    /// # world.pass(Duration::from_secs(1));
    /// # peer.read(usize::MAX, &mut received);
    /// # assert_eq!(received, b"tide\nlow\n");
    /// ```
    #[must_use]
    pub fn framed_async(
        self,
        codec: impl Codec + Send + Sync + 'static,
        handler: impl AsyncFn(Bytes, Reply) + Send + Sync + 'static,
    ) -> Self {
        let handler = Arc::new(handler);
        let make = move || -> AwaitedHandler {
            let own = Rc::new(Arc::clone(&handler));
            Box::new(move |request, reply| {
                let own = Rc::clone(&own);
                Box::pin(async move {
                    own(request, reply).await;
                    // Nobody's: what was to be said went through the reply.
                    Response::empty(StatusCode::OK)
                })
            })
        };
        self.serve_frames(codec, Handler::Awaited(Box::new(make)))
    }

    fn serve_frames(mut self, codec: impl Codec + Send + Sync + 'static, handler: Handler) -> Self {
        self.routes.framed = Some(Service { codec: Box::new(codec), handler });
        self
    }
}
