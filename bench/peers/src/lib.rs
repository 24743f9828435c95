//! What the peers share: their flags, and the bodies that they serve.
//! It must never make a peer slower or faster than its own documentation would.
#![forbid(unsafe_code)]

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;

use bytes::Bytes;
use clap::Parser;
use serde::Serialize;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The body of /plaintext.
pub const PLAINTEXT: &str = "Hello, World!";
/// The value of the Server header where a peer lets it be chosen.
pub const SERVER: &str = "peer";
/// Longest body of POST /echo.
pub const ECHO_BYTES_MAX: usize = 2 << 20;
/// What a streamed body is made of.
pub static PIECE: [u8; 64 << 10] = [b'x'; 64 << 10];
/// What a raw echo reads at most at once: the longest message that the bench sends.
pub const ECHO_READ_BYTES: usize = 16 << 10;
/// Longest message of a WebSocket.
pub const MESSAGE_BYTES_MAX: usize = 16 << 20;
/// Connections that wait for accept.
pub const BACKLOG: u16 = 4096;

/// One server on one worker thread: /plaintext, /json, POST /echo, /file/NAME where it can; those
/// that know no HTTP send back whatever comes.
#[derive(Debug, Parser)]
pub struct Options {
    /// The address to listen on.
    #[arg(long)]
    pub listen: SocketAddr,
    /// The directory behind /file/.
    #[arg(long, default_value = ".")]
    pub files: PathBuf,
    /// Answer every request with its own body instead, for `cargo xtask conform`; axum and
    /// actix-web only.
    #[arg(long)]
    pub echo: bool,
}

/// The value that /json serializes for each request.
#[derive(Debug, Serialize)]
pub struct Message {
    pub message: &'static str,
}

impl Message {
    /// The message of every bench.
    pub fn hello() -> Message {
        Message { message: PLAINTEXT }
    }
}

/// A listener with the backlog and the socket options that every server of the bench has.
/// Accepted sockets inherit TCP_NODELAY.
pub fn listener(address: SocketAddr) -> std::io::Result<TcpListener> {
    let domain = socket2::Domain::for_address(address);
    let socket = socket2::Socket::new(domain, socket2::Type::STREAM, None)?;
    socket.set_reuse_address(true)?;
    socket.set_tcp_nodelay(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(i32::from(BACKLOG))?;
    Ok(socket.into())
}

/// Who is told what the others say: a channel for each connection, as the chats of examples have.
#[derive(Debug, Default)]
pub struct Audience(RefCell<BTreeMap<u64, UnboundedSender<Bytes>>>);

impl Audience {
    /// One more, by its number.
    pub fn join(&self) -> (u64, UnboundedReceiver<Bytes>) {
        let (sender, receiver) = unbounded_channel();
        let mut all = self.0.borrow_mut();
        let own = all.last_key_value().map_or(0, |(last, _)| last + 1);
        all.insert(own, sender);
        (own, receiver)
    }

    /// Tells all but the one of this number.
    pub fn tell(&self, own: u64, message: &Bytes) {
        for (_, sender) in self.0.borrow().iter().filter(|(number, _)| **number != own) {
            // Who has just gone is told nothing.
            let _ = sender.send(message.clone());
        }
    }

    /// One less.
    pub fn leave(&self, own: u64) {
        self.0.borrow_mut().remove(&own);
    }
}
