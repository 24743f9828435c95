//! A WebSocket that sends back what it is sent, and a page to try it.
//! `cargo run --release -p springtide --example websocket`, then open <http://127.0.0.1:8080/>.

use springtide::{CloseReason, Error, Message, Response, Server, Socket, WebSocket};

mod common;

struct Echo;

impl WebSocket for Echo {
    fn message(&self, socket: Socket, message: Message) {
        socket.send(message);
    }

    fn closed(&self, _: Socket, reason: CloseReason) {
        if reason.code() != springtide::close_code::NORMAL {
            eprintln!("{reason}");
        }
    }
}

const PAGE: &str = r#"<!doctype html>
<title>Echo</title>
<form><input autofocus placeholder="say something"></form>
<ol></ol>
<script>
  const socket = new WebSocket(`ws://${location.host}/echo`);
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
  };
</script>
"#;

fn main() -> Result<(), Error> {
    let server = Server::new().get("/", || Response::html(PAGE)).websocket("/echo", Echo);
    let running = common::with_flags(server, "127.0.0.1:8080")?.start()?;
    for address in running.addresses() {
        println!("echo on http://{address} by {}", running.engine());
    }
    running.join()
}
