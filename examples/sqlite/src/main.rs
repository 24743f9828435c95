//! Notes in SQLite: handlers that wait for a library of tokio, on the runtime beside the shards.
//! Nothing of SQLite runs on a shard, which never waits for a disk.
//!
//! `cargo run --release -p springtide-example-sqlite -- notes.db 127.0.0.1:8080`, then
//! `curl -d 'high water at six' http://127.0.0.1:8080/notes` and `curl http://127.0.0.1:8080/notes/1`
#![forbid(unsafe_code)]

mod notes;

use notes::Notes;
use springtide::{Failure, Request, Response, Server, StatusCode, on_tokio};

fn main() -> Result<(), Failure> {
    let mut arguments = std::env::args().skip(1);
    let path = arguments.next().unwrap_or_else(|| "notes.db".to_owned());
    let address = arguments.next().unwrap_or_else(|| "127.0.0.1:8080".to_owned());
    let running = server(Notes::open(&path)?).listen(&address)?.start()?;
    for address in running.addresses() {
        println!("listening on {address}");
    }
    Ok(running.join()?)
}

fn server(notes: Notes) -> Server {
    Server::new().state(notes).post("/notes", add).get("/notes/{id}", show)
}

async fn add(request: Request) -> Result<Response, Failure> {
    let (notes, text) = (request.state::<Notes>().clone(), request.text().unwrap_or_default());
    let id = on_tokio(notes.add(text.to_owned())).await?;
    let created = Response::text(format!("{id}\n")).status(StatusCode::CREATED);
    Ok(created.header("location", format!("/notes/{id}")))
}

async fn show(request: Request) -> Result<Option<String>, Failure> {
    let Ok(id) = request.param("id").parse() else { return Ok(None) };
    let notes = request.state::<Notes>().clone();
    on_tokio(notes.text(id)).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use springtide::test::World;

    /// What is written is read again, from a world, where nothing waits for a thread.
    #[test]
    fn notes_are_kept() {
        let mut world = World::new(1);
        world.serve(server(Notes::open(":memory:").unwrap()));
        let mut peer = world.connect();
        let mut ask = |said: &str| {
            assert_eq!(peer.write(said.as_bytes()), said.len());
            world.settle();
            let reply = peer.reply().expect("an answer");
            (reply.status().as_u16(), String::from_utf8_lossy(reply.body()).into_owned())
        };
        let post = "POST /notes HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhigh water";
        assert_eq!(ask(post), (201, "1\n".to_owned()));
        assert_eq!(ask(post), (201, "2\n".to_owned()));
        let get = |id: &str| format!("GET /notes/{id} HTTP/1.1\r\nHost: a\r\n\r\n");
        assert_eq!(ask(&get("2")), (200, "high water".to_owned()));
        assert_eq!(ask(&get("3")).0, 404);
        assert_eq!(ask(&get("x")).0, 404);
    }
}
