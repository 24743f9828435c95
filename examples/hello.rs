//! Hello, World: the smallest server, with a parameter in a path.
//! It keeps nothing between requests.
//!
//! `cargo run --release -p springtide --example hello`, then `curl http://127.0.0.1:8080/users/7`

use springtide::{Error, Request, Server};

mod common;

fn main() -> Result<(), Error> {
    let server = Server::new()
        .get("/", |_: Request| "Hello, World!")
        .get("/plaintext", || "Hello, World!")
        .get("/users/{id}", |request: Request| format!("user {}", request.param("id")));
    let running = common::with_flags(server, "127.0.0.1:8080")?.start()?;
    for address in running.addresses() {
        println!("hello on http://{address} by {}", running.engine());
    }
    running.join()
}
