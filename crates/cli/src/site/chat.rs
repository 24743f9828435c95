//! The chat: guests in rooms, who hear what is said there and how many are present.
//! The rules stand in [`rooms`]; here is only how they meet sockets.

mod pace;
mod rooms;
#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};
use springtide::{CloseReason, Message, Socket, Topics, WebSocket, WebSockets};

use super::Started;
use pace::Pace;
use rooms::{Line, Listed, Refusal, Rooms};

/// The longest message of a guest: a line of 500 characters, each written as two escapes of six.
const MESSAGE_BYTES_MAX: u64 = 8 << 10;
/// Where every guest hears which rooms there are, and how many are in them.
const LOBBY: &str = "chat";

/// What a guest asks for, as JSON: `{"do":"say","text":"high tide"}`.
#[derive(Deserialize)]
#[serde(tag = "do", rename_all = "snake_case")]
enum Ask {
    Enter { room: String, name: String },
    Say { text: String },
}

/// What guests are told, as JSON: `{"kind":"refused","why":"There is nothing in that line."}`.
#[derive(Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
enum Told<'a> {
    /// All rooms, with how many are in them. Of two lists the one with the greater number is newer:
    /// shards may overtake each other.
    Rooms {
        number: u64,
        rooms: Vec<Listed>,
    },
    /// The guest has entered, so long after the server was started: pages have clocks of their own.
    Entered {
        room: &'a str,
        name: &'a str,
        now_ms: u64,
        lines: Vec<Line>,
    },
    /// Somebody has said something in the guest's room.
    Said {
        room: &'a str,
        line: &'a Line,
    },
    Refused {
        why: String,
    },
}

impl From<Told<'_>> for Message {
    fn from(told: Told<'_>) -> Self {
        serde_json::to_string(&told).expect("text and numbers are JSON").into()
    }
}

/// The chat of the site.
pub(super) struct Chat {
    rooms: Mutex<Rooms>,
    topics: Topics,
    clock: Started,
}

impl Chat {
    pub(super) fn new(topics: Topics, clock: Started) -> Arc<Self> {
        Arc::new(Self { rooms: Mutex::new(Rooms::new()), topics, clock })
    }

    /// What handles the socket of one more guest.
    pub(super) fn guest(self: &Arc<Self>) -> WebSockets {
        let guest = Guest { chat: self.clone(), seat: Mutex::default(), pace: Mutex::default() };
        WebSockets::new(guest).message_bytes_max(MESSAGE_BYTES_MAX)
    }

    fn rooms(&self) -> MutexGuard<'_, Rooms> {
        self.rooms.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn list(&self) -> Message {
        let rooms = self.rooms();
        Told::Rooms { number: rooms.number(), rooms: rooms.list() }.into()
    }

    /// Tells everybody of the rooms, if somebody listens and something has changed. Only the beat does
    /// this: however quickly guests come and go, the others hear of it a few times a second.
    pub(super) fn tell_rooms(&self) {
        if self.topics.topic(LOBBY).subscribers == 0 {
            return;
        }
        let mut rooms = self.rooms();
        if let Some(list) = rooms.news() {
            let told = Told::Rooms { number: rooms.number(), rooms: list };
            drop(rooms);
            self.topics.publish(LOBBY, told);
        }
    }
}

/// A socket, and where whoever is behind it has sat down.
struct Guest {
    chat: Arc<Chat>,
    seat: Mutex<Option<Seat>>,
    pace: Mutex<Pace>,
}

struct Seat {
    room: String,
    name: String,
}

impl Guest {
    fn seat(&self) -> MutexGuard<'_, Option<Seat>> {
        self.seat.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn obey(&self, socket: Socket, message: &Message) -> Result<(), Refusal> {
        let now_ms = self.chat.clock.uptime_ms();
        self.pace.lock().unwrap_or_else(PoisonError::into_inner).ask(now_ms)?;
        match serde_json::from_slice(message.as_bytes()).map_err(|_| Refusal::NotAsked)? {
            Ask::Enter { room, name } => self.enter(socket, room, &name),
            Ask::Say { text } => self.say(&text),
        }
    }

    fn enter(&self, socket: Socket, room: String, name: &str) -> Result<(), Refusal> {
        let name = rooms::guest(name)?;
        self.chat.rooms().enter(&room)?;
        self.leave(socket);
        // Heard from before the lines are read: none falls in between, and numbers tell doubles.
        socket.subscribe(topic(&room));
        let lines = self.chat.rooms().lines(&room);
        let now_ms = self.chat.clock.uptime_ms();
        socket.send(Told::Entered { room: &room, name: &name, now_ms, lines });
        *self.seat() = Some(Seat { room, name });
        // Whoever has entered sees it at once, the others with the next beat.
        socket.send(self.chat.list());
        Ok(())
    }

    fn say(&self, text: &str) -> Result<(), Refusal> {
        let seat = self.seat();
        let Seat { room, name } = seat.as_ref().ok_or(Refusal::NoRoom)?;
        let line = self.chat.rooms().say(room, name, text, self.chat.clock.uptime_ms())?;
        self.chat.topics.publish(topic(room), Told::Said { room, line: &line });
        Ok(())
    }

    fn leave(&self, socket: Socket) {
        if let Some(seat) = self.seat().take() {
            socket.unsubscribe(topic(&seat.room));
            self.chat.rooms().leave(&seat.room);
        }
    }
}

impl WebSocket for Guest {
    fn opened(&self, socket: Socket) {
        socket.subscribe(LOBBY);
        socket.send(self.chat.list());
    }

    fn message(&self, socket: Socket, message: Message) {
        if let Err(refusal) = self.obey(socket, &message) {
            socket.send(Told::Refused { why: refusal.to_string() });
        }
    }

    fn closed(&self, socket: Socket, _: CloseReason) {
        self.leave(socket);
    }
}

/// What is published to a room's guests.
fn topic(room: &str) -> String {
    format!("{LOBBY}.{room}")
}
