//! ntex 3.12 on its own runtime over io_uring (feature `neon-uring`), one worker.
//! It must never run on the polling driver: the feature is chosen at compile time.

use clap::Parser;
use ntex::util::Bytes;
use ntex::web::{self, App, HttpResponse};
use peers::{BACKLOG, ECHO_BYTES_MAX, Message, Options, PLAINTEXT, SERVER, listener};

#[ntex::main]
async fn main() -> std::io::Result<()> {
    let options = Options::parse();
    let app = async || {
        App::new()
            .state(web::types::PayloadConfig::new(ECHO_BYTES_MAX))
            .route("/plaintext", web::get().to(plaintext))
            .route("/json", web::get().to(json))
            .route("/echo", web::post().to(echo))
    };
    web::HttpServer::new(app)
        .workers(1)
        .backlog(i32::from(BACKLOG))
        .maxconn(100_000)
        .listen(listener(options.listen)?)?
        .run()
        .await
}

async fn plaintext() -> HttpResponse {
    HttpResponse::Ok()
        .header("Server", SERVER)
        .content_type("text/plain; charset=utf-8")
        .body(PLAINTEXT)
}

async fn json() -> HttpResponse {
    HttpResponse::Ok().header("Server", SERVER).json(&Message::hello())
}

async fn echo(body: Bytes) -> HttpResponse {
    HttpResponse::Ok().header("Server", SERVER).body(body)
}
