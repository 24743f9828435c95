//! The echo playground: every message comes back as it is.
//! Only the text `ping` does not: it asks the server to ping the page, which no script can do.

use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use springtide::{Bytes, Message, Socket, WebSocket, WebSockets};

/// The longest message that comes back.
const MESSAGE_BYTES_MAX: u64 = 256 << 10;

/// What handles the socket of one more page.
pub(super) fn socket() -> WebSockets {
    WebSockets::new(Echo::default()).message_bytes_max(MESSAGE_BYTES_MAX)
}

/// One page, and when it was pinged.
#[derive(Default)]
struct Echo(Mutex<Option<Instant>>);

impl Echo {
    fn swap_pinged(&self, pinged: Option<Instant>) -> Option<Instant> {
        std::mem::replace(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner), pinged)
    }
}

impl WebSocket for Echo {
    fn message(&self, socket: Socket, message: Message) {
        if message.as_text() != Some("ping") {
            return socket.send(message);
        }
        self.swap_pinged(Some(Instant::now()));
        socket.ping("tide");
    }

    fn pong(&self, socket: Socket, _: Bytes) {
        // One that nobody asked for here answers the server's own ping.
        if let Some(pinged) = self.swap_pinged(None) {
            let us = pinged.elapsed().as_micros();
            socket.send(format!("pong after {us} µs, measured by the server"));
        }
    }
}
