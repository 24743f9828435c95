//! A chat in rooms, over WebSockets: what one says, everybody in the same room reads.
//! `cargo run --release -p springtide --example rooms`, then open <http://127.0.0.1:8080/> several times.

use springtide::{
    CloseReason, Error, IntoResponse, Message, Overflow, Request, Response, Server, Socket,
    StatusCode, Topics, WebSocket, WebSockets,
};

mod common;

/// Somebody in a room.
struct Guest {
    name: String,
    room: String,
    topics: Topics,
}

impl WebSocket for Guest {
    fn opened(&self, socket: Socket) {
        socket.subscribe(&self.room);
        let count = self.topics.topic(&self.room).subscribers;
        socket.publish(&self.room, format!("{} has come; {count} are here", self.name));
    }

    fn message(&self, socket: Socket, message: Message) {
        if let Message::Text(text) = message {
            socket.publish(&self.room, format!("{}: {text}", self.name));
        }
    }

    fn closed(&self, socket: Socket, _: CloseReason) {
        socket.publish(&self.room, format!("{} has left", self.name));
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

fn main() -> Result<(), Error> {
    let server = Server::new();
    let topics = server.topics();
    let enter = move |request: Request| {
        let Some(name) = request.query_value("name") else {
            return StatusCode::BAD_REQUEST.into_response();
        };
        let room = format!("room.{}", request.param("room"));
        let guest = Guest { name: name.to_string(), room, topics: topics.clone() };
        // Who reads too slowly misses what was said first.
        request.websocket(WebSockets::new(guest).overflow(Overflow::DropOldest))
    };
    let server = server.get("/", || Response::html(PAGE)).get("/rooms/{room}", enter);
    let running = common::with_flags(server, "127.0.0.1:8080")?.start()?;
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
