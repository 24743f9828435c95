//! axum on tokio's current-thread runtime, with `axum::serve` as its guide shows.
//! It must never use more than one thread for requests.
#![forbid(unsafe_code)]

use axum::body::{Body, Bytes};
use axum::extract::{DefaultBodyLimit, Path};
use axum::http::{HeaderValue, StatusCode, header};
use axum::routing::{get, post};
use axum::{Json, Router};
use clap::Parser;
use futures_util::StreamExt;
use peers::{ECHO_BYTES_MAX, Message, Options, PIECE, PLAINTEXT, SERVER, listener};
use tower_http::services::ServeDir;
use tower_http::set_header::SetResponseHeaderLayer;

fn main() -> std::io::Result<()> {
    let options = Options::parse();
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(serve(options))
}

async fn serve(options: Options) -> std::io::Result<()> {
    let server = HeaderValue::from_static(SERVER);
    let router = match options.echo {
        true => Router::new().fallback(async |body: Bytes| body),
        false => measured(&options),
    };
    let router = router
        .layer(DefaultBodyLimit::max(ECHO_BYTES_MAX))
        .layer(SetResponseHeaderLayer::overriding(header::SERVER, server));
    let listener = tokio::net::TcpListener::from_std(listener(options.listen)?)?;
    axum::serve(listener, router).await
}

/// What the bench asks for.
fn measured(options: &Options) -> Router {
    Router::new()
        .route("/plaintext", get(async || PLAINTEXT))
        .route("/json", get(async || Json(Message::hello())))
        .route("/echo", post(async |body: Bytes| body))
        .route("/count", post(count).layer(DefaultBodyLimit::disable()))
        .route("/stream/{bytes}", get(stream))
        .nest_service("/file", ServeDir::new(&options.files))
}

/// How many bytes a body has, of which nothing is kept.
async fn count(body: Body) -> Result<String, StatusCode> {
    let (mut pieces, mut bytes) = (body.into_data_stream(), 0);
    while let Some(piece) = pieces.next().await {
        bytes += piece.map_err(|_| StatusCode::BAD_REQUEST)?.len();
    }
    Ok(bytes.to_string())
}

/// A body of so many bytes, in the pieces that our own server makes it of.
async fn stream(Path(bytes): Path<usize>) -> Body {
    let sizes = (0..bytes).step_by(PIECE.len()).map(move |start| PIECE.len().min(bytes - start));
    let pieces = sizes.map(|size| Ok::<_, std::io::Error>(Bytes::from_static(&PIECE[..size])));
    Body::from_stream(futures_util::stream::iter(pieces))
}
