//! Who listens to what: sockets by topic.
//! It never calls a handler: what is published is handed to the shards of its sockets.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use springtide::{Message, RemoteSocket, Socket};

/// Topics with their sockets. Clones are the same.
#[derive(Clone, Default)]
pub(super) struct Hub(Arc<Mutex<HashMap<String, Vec<RemoteSocket>>>>);

impl Hub {
    pub(super) fn subscribe(&self, socket: Socket, topic: &str) {
        self.lock().entry(topic.to_owned()).or_default().push(socket.remote());
    }

    pub(super) fn unsubscribe(&self, socket: Socket, topic: &str) {
        let mut topics = self.lock();
        if let Some(sockets) = topics.get_mut(topic) {
            sockets.retain(|own| own.id() != socket.id());
            if sockets.is_empty() {
                topics.remove(topic);
            }
        }
    }

    pub(super) fn publish(&self, topic: &str, message: &Message) {
        for socket in self.lock().get(topic).into_iter().flatten() {
            // One that is gone hears nothing.
            let _ = socket.send(message.clone());
        }
    }

    /// Whether anybody listens.
    pub(super) fn is_heard(&self, topic: &str) -> bool {
        self.lock().contains_key(topic)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Vec<RemoteSocket>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
