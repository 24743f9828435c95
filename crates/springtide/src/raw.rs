//! Raw servers: what the application does with connections whose protocol is its own.
//! It says what is called; the shard calls it, in its turn.

use std::future::ready;
use std::rc::Rc;
use std::sync::Arc;

use http::StatusCode;
use springtide_engine::Address;

use crate::executor::Answering;
use crate::peer::{Peer, Reason};
use crate::report;
use crate::response::{Failure, Response};
use crate::server::Server;

/// What a server does with raw connections.
#[derive(Default)]
pub(crate) struct RawService {
    pub(crate) intro: Option<Intro>,
    pub(crate) closed: Option<Closed>,
    pub(crate) admit: Option<Admit>,
}

/// Is told of the end of each connection.
type Closed = Box<dyn Fn(Peer, Reason) + Send + Sync>;

/// Says whether a connection is wanted.
type Admit = Box<dyn Fn(&Address) -> bool + Send + Sync>;

/// What begins with each connection.
pub(crate) enum Intro {
    Called(Box<dyn Fn(Peer) + Send + Sync>),
    /// Each shard has its own.
    Awaited(Box<dyn Fn() -> AwaitedIntro + Send + Sync>),
}

/// Makes the future of a connection.
pub(crate) type AwaitedIntro = Box<dyn Fn(Peer) -> Answering>;

impl RawService {
    /// What makes the futures of one shard's connections.
    pub(crate) fn awaited(&self) -> AwaitedIntro {
        match &self.intro {
            Some(Intro::Awaited(make)) => make(),
            _ => Box::new(|_| Box::pin(ready(Response::empty(StatusCode::OK)))),
        }
    }
}

impl Server {
    /// Calls `intro` with each connection, on its shard: what is said on it is the application's own.
    /// `intro` begins with a [`pull`](Peer::pull) or a [`push`](Peer::push), and goes on from their
    /// callbacks for as long as it likes, in constant stack and memory.
    ///
    /// A panic in a callback ends its own connection, with [`Reason::Panicked`].
    ///
    /// ```
    /// use springtide::{Peer, Server};
    ///
    /// fn intro(peer: Peer) {
    ///     peer.pull_until("\n", 1024).then(|peer, line| {
    ///         peer.push(line).then(|peer, _| intro(peer));
    ///     });
    /// }
    /// let server = Server::new().raw(intro);
    /// # let mut world = springtide::test::World::new(1);
    /// # world.serve(server);
    /// # let mut peer = world.connect();
    /// # let _ = peer.write(b"low tide\nhi");
    /// # world.settle();
    /// # let mut received = Vec::new();
    /// # peer.read(usize::MAX, &mut received);
    /// # assert_eq!(received, b"low tide\n");
    /// ```
    #[must_use]
    pub fn raw(mut self, intro: impl Fn(Peer) + Send + Sync + 'static) -> Self {
        self.raw_service().intro = Some(Intro::Called(Box::new(intro)));
        self
    }

    /// The same with a future for each connection, which stays on its shard and need not be `Send`.
    /// When it ends the connection is closed behind what was pushed; when it fails or panics it is
    /// reset, and the reason stands on standard error. When the connection ends before, the future is
    /// polled with that once more where it waits for a task, and dropped then.
    ///
    /// ```
    /// use springtide::{Peer, Server};
    ///
    /// let server = Server::new().raw_async(async |peer: Peer| {
    ///     while let Some(bytes) = peer.pull().await? {
    ///         peer.push(bytes).await?;
    ///     }
    ///     Ok(())
    /// });
    /// # let mut world = springtide::test::World::new(1);
    /// # world.serve(server);
    /// # let mut peer = world.connect();
    /// # let _ = peer.write(b"high tide");
    /// # peer.shutdown();
    /// # world.settle();
    /// # let mut received = Vec::new();
    /// # peer.read(usize::MAX, &mut received);
    /// # assert_eq!(received, b"high tide");
    /// # assert!(peer.is_ended());
    /// ```
    #[must_use]
    pub fn raw_async<F>(mut self, intro: F) -> Self
    where
        F: AsyncFn(Peer) -> Result<(), Failure> + Send + Sync + 'static,
    {
        let intro = Arc::new(intro);
        self.raw_service().intro = Some(Intro::Awaited(Box::new(move || {
            let own = Rc::new(Arc::clone(&intro));
            Box::new(move |peer| {
                let own = Rc::clone(&own);
                Box::pin(async move { said(peer, own(peer).await) })
            })
        })));
        self
    }

    /// Tells of the end of each raw connection, exactly once and behind its last callback.
    ///
    /// ```
    /// use springtide::Server;
    /// let server = Server::new()
    ///     .raw(|peer| peer.push("welcome\n").then(|peer, _| peer.close().detach()))
    ///     .closed(|peer, reason| println!("{}: {reason}", peer.id()));
    /// ```
    #[must_use]
    pub fn closed(mut self, closed: impl Fn(Peer, Reason) + Send + Sync + 'static) -> Self {
        self.raw_service().closed = Some(Box::new(closed));
        self
    }

    /// Asks for each connection whether it is wanted, by the address of its other end, before anything
    /// is made for it; others are closed at once. Connections without an address are wanted.
    ///
    /// ```
    /// use springtide::{Address, Server};
    /// let server = Server::new()
    ///     .admit(|address| matches!(address, Address::Internet(own) if own.ip().is_loopback()))
    ///     .get("/", || "only for who is here");
    /// ```
    #[must_use]
    pub fn admit(mut self, admit: impl Fn(&Address) -> bool + Send + Sync + 'static) -> Self {
        self.raw_service().admit = Some(Box::new(admit));
        self
    }
}

/// How a connection's future ended, in the words of the executor.
fn said(peer: Peer, result: Result<(), Failure>) -> Response {
    let status = match result {
        Ok(()) => StatusCode::OK,
        Err(failure) => {
            report::error(format_args!("raw connection {} is reset: {failure}", peer.id()));
            StatusCode::INTERNAL_SERVER_ERROR
        }
    };
    Response::empty(status)
}

/// Why a connection ends whose future has ended so.
pub(crate) fn reason_of(status: Option<StatusCode>) -> Reason {
    match status {
        Some(StatusCode::OK) => Reason::Closed,
        Some(_) => Reason::Failed,
        None => Reason::Panicked,
    }
}
