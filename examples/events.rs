//! Server-sent events: a page that shows the tide as it turns, and one that misses nothing when it
//! comes again.
//!
//! `cargo run --release -p springtide --example events`, then open <http://127.0.0.1:8080/> or
//! `curl -N http://127.0.0.1:8080/tides`

use std::time::Duration;

use springtide::{Error, Event, Request, Response, Server, sleep};

mod common;

const PAGE: &str = r#"<!doctype html>
<title>Tides</title>
<h1>Tides</h1>
<ol id="tides"></ol>
<script>
  const tides = new EventSource("/tides");
  tides.addEventListener("depth", (event) => {
    const item = document.createElement("li");
    item.textContent = event.data;
    document.getElementById("tides").append(item);
  });
</script>
"#;

/// How deep the water is after so many seconds, in fathoms.
fn depth(second: u64) -> u64 {
    let phase = second % 24;
    5 + phase.min(24 - phase)
}

/// An event a second, from behind the last one that the client has heard.
fn tides(request: &Request) -> Response {
    let heard = request.header("last-event-id").and_then(|id| id.parse::<u64>().ok());
    Response::events(async move |mut events| {
        events.send(Event::new("").name("hello").retry(Duration::from_secs(1))).await?;
        for second in heard.map_or(0, |heard| heard.saturating_add(1)).. {
            let event = Event::new(format!("second {second}\n{} fathoms", depth(second)));
            events.send(event.name("depth").id(second)).await?;
            sleep(Duration::from_secs(1)).await;
        }
        Ok(())
    })
}

fn main() -> Result<(), Error> {
    let server = Server::new()
        .get("/", || Response::html(PAGE))
        .get("/tides", |request: Request| tides(&request));
    let running = common::with_flags(server, "127.0.0.1:8080")?.start()?;
    for address in running.addresses() {
        println!("tides on http://{address} by {}", running.engine());
    }
    running.join()
}
