//! axum on tokio's current-thread runtime, with `axum::serve` as its guide shows.
//! It must never use more than one thread for requests.
#![forbid(unsafe_code)]

use axum::extract::DefaultBodyLimit;
use axum::http::{HeaderValue, header};
use axum::routing::{get, post};
use axum::{Json, Router};
use clap::Parser;
use peers::{ECHO_BYTES_MAX, Message, Options, PLAINTEXT, SERVER, listener};
use tower_http::services::ServeDir;
use tower_http::set_header::SetResponseHeaderLayer;

fn main() -> std::io::Result<()> {
    let options = Options::parse();
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(serve(options))
}

async fn serve(options: Options) -> std::io::Result<()> {
    let server = HeaderValue::from_static(SERVER);
    let router = match options.echo {
        true => Router::new().fallback(async |body: axum::body::Bytes| body),
        false => measured(&options),
    };
    let router = router
        .layer(DefaultBodyLimit::max(ECHO_BYTES_MAX))
        .layer(SetResponseHeaderLayer::overriding(header::SERVER, server));
    let listener = tokio::net::TcpListener::from_std(listener(options.listen)?)?;
    axum::serve(listener, router).await
}

fn measured(options: &Options) -> Router {
    Router::new()
        .route("/plaintext", get(async || PLAINTEXT))
        .route("/json", get(async || Json(Message::hello())))
        .route("/echo", post(async |body: axum::body::Bytes| body))
        .nest_service("/file", ServeDir::new(&options.files))
}
