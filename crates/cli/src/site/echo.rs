//! The echo playground: every message comes back as it is.
//! Only the text `ping` does not: it asks the server to ping the page, which no script can do.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use springtide::{Bytes, Message, Socket, WebSocket, WebSockets};

use super::Started;

/// The longest message that comes back.
const MESSAGE_BYTES_MAX: u64 = 256 << 10;

/// What handles the socket of one more page.
pub(super) fn socket(clock: Started) -> WebSockets {
    WebSockets::new(Echo { clock, pinged: Mutex::default() }).message_bytes_max(MESSAGE_BYTES_MAX)
}

/// One page, and when it was pinged.
struct Echo {
    clock: Started,
    pinged: Mutex<Option<Duration>>,
}

impl Echo {
    fn pinged(&self) -> MutexGuard<'_, Option<Duration>> {
        self.pinged.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl WebSocket for Echo {
    fn message(&self, socket: Socket, message: Message) {
        if message.as_text() != Some("ping") {
            return socket.send(message);
        }
        *self.pinged() = Some(self.clock.uptime());
        socket.ping("tide");
    }

    fn pong(&self, socket: Socket, _: Bytes) {
        // One that nobody asked for here answers the server's own ping.
        if let Some(pinged) = self.pinged().take() {
            let us = self.clock.uptime().saturating_sub(pinged).as_micros();
            socket.send(format!("pong after {us} µs, measured by the server"));
        }
    }
}
