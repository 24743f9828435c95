//! The admin address: metrics, health and open connections, on a shard of its own.
//! No shard that serves takes part in it, but to tell of its connections when it is asked.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock, mpsc};
use std::time::Duration;

use http::StatusCode;
use springtide_engine::Address;

use crate::mailbox::{Message, Neighbour};
use crate::metrics::{EngineCounts, MEDIA_TYPE, Metrics};
use crate::response::{IntoResponse, Response};
use crate::server::{Engine, Server};
use crate::topic::Topics;

/// One open connection, as it was when its shard was asked.
#[derive(Debug, Clone, serde::Serialize)]
#[non_exhaustive]
pub struct OpenConnection {
    /// Its name for its whole life, whatever shard it moves to.
    pub id: u64,
    /// The number of the shard that has it.
    pub shard: usize,
    /// The address of the other end, as text; none when that is gone or has no name.
    pub address: Option<String>,
    /// What is spoken on it.
    pub protocol: &'static str,
    /// What it is doing.
    pub status: ConnectionStatus,
    /// How old it is, in milliseconds.
    pub age_ms: u64,
    /// Bytes that it holds now: received and not handled, of a body, and not sent.
    pub bytes_held: usize,
}

/// What a connection is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ConnectionStatus {
    /// Between two requests.
    Idle,
    /// A head or a body is coming.
    Reading,
    /// A request waits for its reply.
    Handling,
    /// Something is being sent.
    Sending,
    /// Nothing more is read, and it ends.
    Closing,
}

/// How long a shard is waited for that is asked something.
const ANSWER_WITHIN: Duration = Duration::from_secs(1);

/// What a running server tells of itself.
#[derive(Default)]
pub(crate) struct Status {
    pub(crate) shards: OnceLock<Vec<Neighbour>>,
    pub(crate) is_draining: AtomicBool,
}

impl std::fmt::Debug for Status {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Status").field("is_draining", &self.is_draining).finish_non_exhaustive()
    }
}

impl Status {
    /// Every shard's connections.
    pub(crate) fn connections(&self) -> Vec<OpenConnection> {
        let mut all: Vec<OpenConnection> = self.ask(Message::Look).into_iter().flatten().collect();
        all.sort_by_key(|connection| connection.id);
        all
    }

    /// What the engines of all shards did.
    pub(crate) fn engine_counts(&self) -> EngineCounts {
        self.ask(Message::Count).into_iter().fold(EngineCounts::default(), EngineCounts::plus)
    }

    /// Asks every shard. One that does not answer in time is left out.
    fn ask<T>(&self, question: fn(mpsc::Sender<T>) -> Message) -> Vec<T> {
        let (sender, receiver) = mpsc::channel();
        let shards = self.shards.get().map_or(&[][..], Vec::as_slice);
        let alive = shards.iter().filter(|shard| !shard.counts.has_ended());
        let asked = alive.map(|shard| shard.mailbox.send(question(sender.clone()))).count();
        drop(sender);
        (0..asked).map_while(|_| receiver.recv_timeout(ANSWER_WITHIN).ok()).collect()
    }

    fn health(&self) -> Response {
        match self.is_draining.load(Ordering::Relaxed) {
            false => "serving\n".into_response(),
            true => (StatusCode::SERVICE_UNAVAILABLE, "draining\n").into_response(),
        }
    }
}

/// The server at the admin address.
pub(crate) fn server(status: &Arc<Status>, metrics: Metrics, topics: Topics) -> Server {
    let (health, connections, engines) = (status.clone(), status.clone(), status.clone());
    let fresh = |response: Response| response.header("cache-control", "no-store");
    Server::new()
        .workers(1)
        .engine(Engine::Epoll)
        .get("/healthz", move || fresh(health.health()))
        .get("/metrics", move || {
            let counts = metrics.to_text() + &engines.engine_counts().to_text();
            let text = counts + &topics.to_text();
            fresh(text.into_response().header("content-type", MEDIA_TYPE))
        })
        .get("/connections", move || fresh(Response::json(&connections.connections())))
}

/// The address of a peer, unless it has no name.
pub(crate) fn named(address: Address) -> Option<String> {
    match address {
        Address::Unix(None) => None,
        address => Some(address.to_string()),
    }
}
