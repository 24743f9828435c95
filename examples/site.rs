//! A web site: files of a directory, a handler beside them, a page of its own for what is missing.
//! What a handler answers goes before a file of the same name.
//!
//! `cargo run --release -p springtide --example site`, then open http://127.0.0.1:8080

use springtide::{Error, Files, Request, Response, Server};

mod common;

fn main() -> Result<(), Error> {
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/../../site");
    let files = Files::new(directory).not_found_page("404.html").cache_control("max-age=60");
    let server = Server::new()
        .get("/tide/{hour}", |request: Request| match request.param("hour").parse::<f64>() {
            Ok(hour) => {
                let height = 2.0 + 1.5 * (hour * std::f64::consts::TAU / 12.42).cos();
                Response::html(format!("<h1>{height:.2} m at {hour} h</h1>"))
            }
            Err(_) => Response::html("<h1>An hour is a number</h1>")
                .status(springtide::StatusCode::BAD_REQUEST),
        })
        .files("/", files);
    let running = common::with_flags(server, "127.0.0.1:8080")?.start()?;
    for address in running.addresses() {
        println!("the site on http://{address} by {}", running.engine());
    }
    running.join()
}
