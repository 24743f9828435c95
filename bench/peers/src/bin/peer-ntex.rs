//! ntex 3.12 on its own runtime over io_uring (feature `neon-uring`), one worker, on its plain
//! HTTP service: routes matched by hand cost less than those of `ntex::web::App`.
//! It must never run on the polling driver: the feature is chosen at compile time.
#![forbid(unsafe_code)]

use std::io;

use clap::Parser;
use ntex::http::header::{CONTENT_TYPE, HeaderValue, SERVER};
use ntex::http::{HttpService, Request, Response};
use ntex::util::BytesMut;
use peers::{BACKLOG, Message, Options, PLAINTEXT, listener};

const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");
const JSON: HeaderValue = HeaderValue::from_static("application/json");
const NAME: HeaderValue = HeaderValue::from_static(peers::SERVER);

#[ntex::main]
async fn main() -> io::Result<()> {
    let options = Options::parse();
    ntex::server::build()
        .workers(1)
        .backlog(i32::from(BACKLOG))
        .maxconn(100_000)
        .listen("bench", listener(options.listen)?, async |_| HttpService::new(respond))?
        .run()
        .await
}

async fn respond(mut request: Request) -> io::Result<Response> {
    let mut response = Response::Ok();
    response.header(SERVER, NAME);
    match request.path() {
        "/plaintext" => Ok(response.header(CONTENT_TYPE, TEXT).body(PLAINTEXT)),
        "/json" => {
            let body = serde_json::to_vec(&Message::hello())?;
            Ok(response.header(CONTENT_TYPE, JSON).body(body))
        }
        "/echo" => {
            let mut body = BytesMut::new();
            while let Some(part) = request.payload().recv().await {
                body.extend_from_slice(&part.map_err(io::Error::other)?);
            }
            Ok(response.body(body.freeze()))
        }
        _ => Ok(Response::NotFound().finish()),
    }
}
