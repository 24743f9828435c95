//! actix-web with one worker, and actix-files for files.
//! It must never use more than one worker.
#![forbid(unsafe_code)]

use actix_web::middleware::DefaultHeaders;
use actix_web::{App, HttpResponse, HttpServer, web};
use clap::Parser;
use peers::{BACKLOG, ECHO_BYTES_MAX, Message, Options, PLAINTEXT, SERVER, listener};

#[actix_web::main]
async fn main() -> std::io::Result<()> {
    let options = Options::parse();
    let files = options.files;
    if options.echo {
        let app = || App::new().default_service(web::route().to(echo));
        return HttpServer::new(app).workers(1).listen(listener(options.listen)?)?.run().await;
    }
    let app = move || {
        App::new()
            .app_data(web::PayloadConfig::new(ECHO_BYTES_MAX))
            .wrap(DefaultHeaders::new().add(("Server", SERVER)))
            .route("/plaintext", web::get().to(plaintext))
            .route("/json", web::get().to(json))
            .route("/echo", web::post().to(echo))
            .service(actix_files::Files::new("/file", &files))
    };
    HttpServer::new(app)
        .workers(1)
        .backlog(u32::from(BACKLOG))
        .max_connections(100_000)
        .listen(listener(options.listen)?)?
        .run()
        .await
}

async fn plaintext() -> HttpResponse {
    HttpResponse::Ok().content_type("text/plain; charset=utf-8").body(PLAINTEXT)
}

async fn json() -> HttpResponse {
    HttpResponse::Ok().json(Message::hello())
}

async fn echo(body: web::Bytes) -> HttpResponse {
    HttpResponse::Ok().body(body)
}
