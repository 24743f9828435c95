//! What was asked and how it was answered, one line a request.
//! It writes nothing by itself: where lines go is the application's choice.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderValue, Method, StatusCode};

use super::{Middleware, Outcome};
use crate::request::Request;

/// Gives every request with its reply to a function, on the shard and before the reply is sent: it
/// must not take long. It is for code of the application; lines of everything that is answered, written on
/// a thread of their own and for less, are [`AccessLog`](crate::AccessLog)'s.
///
/// ```
/// use springtide::{RequestLog, Server};
///
/// let server = Server::new()
///     .wrap(RequestLog::new(|logged| eprintln!("{logged}")))
///     .get("/", || "Hello, World!");
/// ```
#[derive(Clone)]
pub struct RequestLog {
    write: Arc<dyn Fn(&Logged) + Send + Sync>,
}

/// One request and its reply. As text it is one line: address, method, path, status, milliseconds
/// and name.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Logged {
    /// [`Request::id`].
    pub id: String,
    /// [`Request::client_address`].
    pub address: Option<IpAddr>,
    /// The method.
    pub method: Method,
    /// The path as it was sent, without the query.
    pub path: String,
    /// The status of the reply.
    pub status: StatusCode,
    /// From the turn in which the head had come to the turn of the reply.
    pub took: Duration,
}

impl RequestLog {
    /// The function gets every line.
    #[must_use]
    pub fn new(write: impl Fn(&Logged) + Send + Sync + 'static) -> Self {
        Self { write: Arc::new(write) }
    }
}

impl Middleware for RequestLog {
    fn begin(&self, request: &Request) -> Outcome {
        let (began, clock, own) = (request.now(), request.clock(), self.clone());
        let mut logged = Logged {
            id: request.id().into_owned(),
            address: request.client_address(),
            method: request.method().clone(),
            path: request.path().to_owned(),
            status: StatusCode::OK,
            took: Duration::ZERO,
        };
        Outcome::then(move |reply| {
            logged.status = reply.status_code();
            logged.took = clock().since(began);
            (own.write)(&logged);
            reply
        })
    }
}

impl fmt::Display for Logged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { id, address, method, path, status, took } = self;
        let address = address.map_or_else(|| "-".to_owned(), |address| address.to_string());
        let (status, path) = (status.as_u16(), path.escape_debug());
        write!(f, "{address} {method} {path} {status} {} ms {id}", took.as_millis())
    }
}

impl fmt::Debug for RequestLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestLog").finish_non_exhaustive()
    }
}

/// Tells clients what their request is called in logs: `X-Request-Id` in every reply.
///
/// ```
/// use springtide::{RequestIds, Server};
///
/// let server = Server::new().wrap(RequestIds).get("/", || "Hello, World!");
/// # let mut world = springtide::test::World::new(1);
/// # world.serve(server);
/// # let mut peer = world.connect();
/// # let _ = peer.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n");
/// # world.settle();
/// # assert!(peer.reply().unwrap().header("x-request-id").is_some());
/// ```
#[derive(Debug, Clone, Copy)]
pub struct RequestIds;

impl Middleware for RequestIds {
    fn begin(&self, request: &Request) -> Outcome {
        let id = HeaderValue::from_str(&request.id());
        Outcome::then(|reply| match id {
            Ok(id) => reply.header("x-request-id", id),
            Err(_) => reply,
        })
    }
}
