//! A chat in rooms, over WebSockets: what one says, everybody in the same room reads.
//! `cargo run --release -p springtide --example rooms`, then open <http://127.0.0.1:8080/> several times.

use std::sync::atomic::{AtomicBool, Ordering};

use springtide::{
    CloseReason, Error, IntoResponse, Message, Overflow, Request, Response, Server, Socket,
    StatusCode, Subscribed, Topics, WebSocket, WebSockets,
};

mod common;

/// Characters of a room's name.
const ROOM_CHARS_MAX: usize = 32;

/// Whether a room may have this name. It comes from whoever writes the address: `*` would be all rooms.
fn is_room(name: &str) -> bool {
    let is_written = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=ROOM_CHARS_MAX).contains(&name.len()) && name.bytes().all(is_written)
}

/// Somebody in a room, or before its door.
struct Guest {
    name: String,
    room: String,
    topics: Topics,
    is_in: AtomicBool,
}

impl WebSocket for Guest {
    fn opened(&self, socket: Socket) {
        if let Subscribed::Refused(why) = socket.subscribe(&self.room) {
            socket.send(format!("you cannot enter: {why}"));
            return socket.close();
        }
        self.is_in.store(true, Ordering::Relaxed);
        let count = self.topics.topic(&self.room).subscribers;
        socket.publish(&self.room, format!("{} has come; {count} are here", self.name));
    }

    fn message(&self, socket: Socket, message: Message) {
        if let Message::Text(text) = message {
            socket.publish(&self.room, format!("{}: {text}", self.name));
        }
    }

    fn closed(&self, socket: Socket, _: CloseReason) {
        if self.is_in.load(Ordering::Relaxed) {
            socket.publish(&self.room, format!("{} has left", self.name));
        }
    }
}

const PAGE: &str = r##"<!doctype html>
<title>Rooms</title>
<form><input autofocus placeholder="say something"></form>
<ol></ol>
<script>
  const [, room, name] = (location.hash || "#lobby/guest").match(/#([^/]*)\/?(.*)/);
  const socket = new WebSocket(`ws://${location.host}/rooms/${room}?name=${name || "guest"}`);
  const show = (text) => {
    const item = document.createElement("li");
    item.textContent = text;
    document.querySelector("ol").append(item);
  };
  socket.onmessage = (event) => show(event.data);
  socket.onclose = (event) => show(`closed: ${event.code} ${event.reason}`);
  document.querySelector("form").onsubmit = (event) => {
    event.preventDefault();
    socket.send(document.querySelector("input").value);
    event.target.reset();
  };
</script>
"##;

/// The server with its page and its rooms.
pub(crate) fn rooms() -> Server {
    let server = Server::new();
    let topics = server.topics();
    let enter = move |request: Request| {
        let Some(name) = request.query_value("name") else {
            return (StatusCode::BAD_REQUEST, "say who you are: ?name=\n").into_response();
        };
        let room = request.param("room");
        if !is_room(&room) {
            let words = format!("a room has 1 to {ROOM_CHARS_MAX} of a-z, 0-9 and - as its name\n");
            return (StatusCode::NOT_FOUND, words).into_response();
        }
        let (room, name) = (format!("room.{room}"), name.to_string());
        let guest = Guest { name, room, topics: topics.clone(), is_in: AtomicBool::new(false) };
        // Who reads too slowly misses what was said first.
        request.websocket(WebSockets::new(guest).overflow(Overflow::DropOldest))
    };
    server.get("/", || Response::html(PAGE)).get("/rooms/{room}", enter)
}

fn main() -> Result<(), Error> {
    let running = common::with_flags(rooms(), "127.0.0.1:8080")?.start()?;
    for address in running.addresses() {
        println!("rooms on http://{address}/#lobby/name by {}", running.engine());
    }
    // Another thread speaks in every room there is.
    for line in std::io::stdin().lines().map_while(Result::ok) {
        for (room, _) in running.topics().all() {
            running.publish(room, line.as_str());
        }
    }
    running.join()
}
