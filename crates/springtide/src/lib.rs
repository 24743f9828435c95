//! Springtide: a network server that is simple and fast.
//! Sessions turn bytes into events here; nothing else in the house does.
#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod accepted;
mod access;
mod admin;
mod caps;
mod client;
mod connection;
mod current;
mod datagram;
mod date;
mod detection;
mod error;
pub mod event;
pub mod events;
mod executor;
mod files;
pub mod framed;
mod freeze;
pub mod fs;
#[cfg(doctest)]
mod guides;
mod handler;
mod limits;
mod listener;
mod mailbox;
mod metrics;
mod middleware;
mod offload;
#[cfg(feature = "tokio")]
mod on_tokio;
mod peer;
mod problem;
mod proxies;
mod rate;
mod raw;
mod report;
mod request;
mod resolve;
mod response;
mod room;
mod route;
mod router;
mod running;
mod server;
mod session;
mod shard;
mod standalone;
mod state;
mod streamed;
mod table;
mod task;
pub mod test;
#[cfg(test)]
mod tests;
mod topic;
mod transport;
mod watch;
mod websocket;

pub use access::{AccessLog, LogFormat};
pub use admin::{ConnectionStatus, OpenConnection};
pub use bytes::Bytes;
pub use client::{
    ClientBody, ClientError, ClientLimits, ClientRequest, ClientResponse, HttpClient,
};
pub use datagram::{Datagram, DatagramSocket};
pub use detection::Detection;
pub use error::Error;
pub use executor::{Closed, Interval, Sleep, Timer, interval, sleep};
pub use files::Files;
pub use framed::{RemoteReply, Reply};
pub use handler::{
    Awaited, AwaitedNoArgument, Ending, Handler, NoArgument, Plain, ToTheEnd, to_the_end,
};
pub use http::{HeaderName, HeaderValue, Method, StatusCode};
pub use limits::{Limit, LimitError, Limits};
pub use metrics::{Counts, EngineCounts, Metrics, ProtocolCounts};
pub use middleware::{
    AsyncNext, BasicAuth, Cors, Early, Finish, Logged, Middleware, Next, Outcome, RateLimit,
    RequestIds, RequestLog, SecurityHeaders, Wrap,
};
pub use offload::{Offload, OnPool, Priority, offload};
#[cfg(feature = "tokio")]
pub use on_tokio::on_tokio;
pub use peer::{Peer, PeerId, PeerStatus, Pieces, Pushed, Reason, RemotePeer};
pub use problem::ServerError;
pub use proxies::ProxyFields;
pub use request::{Body, BodyError, Multipart, Part, Request};
pub use response::{
    Cookie, Event, EventStream, Failure, IntoResponse, Json, Response, SameSite, Sink, StreamError,
    Upgraded,
};
pub use route::RouteError;
pub use router::Router;
pub use running::{Bound, Running};
pub use server::{Accepting, Engine, ProxyProtocol, Server};
pub use springtide_engine::{Address, Error as EngineError};
pub use springtide_proto::Unit;
pub use springtide_proto::framed::Framed;
pub use springtide_proto::http1::Limits as Http1Limits;
pub use standalone::{Client, Connector, FramedClient, Listener, Reconnect, SteadyClient};
pub use streamed::{BodyMax, Bounded, InPieces, Streamed, body_max, streamed};
pub use task::{
    Accept, Call, Canceller, Close, Connect, Elsewhere, Ended, Forward, Here, Linked, MayBlock,
    Operation, Outgoing, Pull, Push, PushAll, ReceiveFrom, RemoteCanceller, SendTo, Stands, Status,
    Task, Timeout, Wait, timeout,
};
pub use topic::{Subscribed, TopicCounts, Topics};
pub use websocket::{
    CloseFrame, CloseFrameError, CloseReason, ClosedBy, Compression, Limits as WebSocketLimits,
    Message, MessagePart, MessageParts, MessageWriter, Messages, Overflow, RemoteSocket, Socket,
    Text, WebSocket, WebSockets, code as close_code,
};
