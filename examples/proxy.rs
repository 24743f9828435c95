//! A reverse proxy: every request goes on to one other server, and the answer comes back, both piece
//! by piece as they arrive, so that bodies of any length take no memory to speak of.
//!
//! `cargo run --release -p springtide --example hello -- --listen 127.0.0.1:9000`, then
//! `UPSTREAM=http://127.0.0.1:9000 cargo run --release -p springtide --example proxy` and
//! `curl -v http://127.0.0.1:8080/`

use springtide::{
    ClientResponse, Error, HttpClient, IntoResponse, Request, Response, Server, StatusCode,
    body_max, streamed,
};

mod common;

/// The longest body that is passed on: 16 GiB.
const BODY_BYTES_MAX: u64 = 16 << 30;

async fn pass(
    client: &HttpClient,
    upstream: &str,
    mut request: Request,
) -> Result<ClientResponse, Response> {
    if request.header("upgrade").is_some() {
        let refusal = (StatusCode::NOT_IMPLEMENTED, "this proxy passes no upgrades on\n");
        return Err(refusal.into_response());
    }
    // What fails is a 502, 503 or 504 with its reason.
    Ok(client.pass_on(&mut request, upstream).send().await?)
}

fn main() -> Result<(), Error> {
    let upstream = std::env::var("UPSTREAM").unwrap_or_else(|_| "http://127.0.0.1:9000".to_owned());
    println!("passing on to {upstream}");
    let client = HttpClient::new();
    let handler = async move |request: Request| pass(&client, &upstream, request).await;
    let server = Server::new().fallback(body_max(BODY_BYTES_MAX, streamed(handler)));
    let running = common::with_flags(server, "127.0.0.1:8080")?.start()?;
    for address in running.addresses() {
        println!("a proxy on http://{address} by {}", running.engine());
    }
    running.join()
}
