//! A site as sites are: a public part, an interface for programs, a part for those who know a
//! password, errors in its own words, and middleware around all of it.
//! What handlers share is given to the server once, and asked for by its type.
//!
//! `cargo run --release -p springtide --example middleware`, then
//! `curl -i http://127.0.0.1:8080/api/berths/3`, and `curl -u kate:tide http://127.0.0.1:8080/office`

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use springtide::{
    BasicAuth, Cors, Error, Json, Next, Priority, RateLimit, Request, RequestIds, RequestLog,
    Response, Router, SecurityHeaders, Server, ServerError, StatusCode, offload,
};

mod common;

/// Who lies at which berth.
struct Berths(Mutex<[Option<String>; 8]>);

impl Berths {
    fn with<T>(&self, act: impl FnOnce(&mut [Option<String>; 8]) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The number in the path, if there is such a berth.
fn berth(request: &Request) -> Result<usize, StatusCode> {
    let number = request.param("number").parse().ok().filter(|number| *number < 8);
    number.ok_or(StatusCode::NOT_FOUND)
}

fn who(request: &Request) -> Result<Json<Option<String>>, StatusCode> {
    let number = berth(request)?;
    Ok(Json(request.state::<Berths>().with(|berths| berths[number].clone())))
}

fn moor(request: &Request) -> Result<StatusCode, Response> {
    let number = berth(request).map_err(Response::empty)?;
    let ship = request.text()?.to_owned();
    let before = request.state::<Berths>().with(|berths| berths[number].replace(ship));
    Ok(if before.is_some() { StatusCode::OK } else { StatusCode::CREATED })
}

/// The interface for programs, which pages of one other site may use too.
fn api() -> Router {
    Router::new()
        .wrap(Cors::origins(["https://example.org"]).methods(["GET", "PUT"]))
        .wrap(RateLimit::new(100, Duration::from_secs(60)))
        .get("/berths/{number}", |request: Request| who(&request))
        .put("/berths/{number}", |request: Request| moor(&request))
        .get("/report", offload(|_| "after long thought\n").waiting_max(4).priority(Priority::Low))
}

/// The part behind a password. Nothing of it is kept by caches.
fn office() -> Router {
    Router::new()
        .wrap(BasicAuth::new("the harbour office").user("kate", "tide"))
        .wrap(|request: Request, next: Next<'_>| {
            next.run(request).header("cache-control", "no-store")
        })
        .get("/", |request: Request| {
            let taken = |berths: &mut [Option<String>; 8]| berths.iter().flatten().count();
            format!("{} of 8 berths are taken\n", request.state::<Berths>().with(taken))
        })
}

fn error_page(error: &ServerError) -> Response {
    if !error.prefers_html() {
        return error.default_reply();
    }
    let status = error.status();
    Response::html(format!("<h1>Low tide: {status}</h1><p>Say {} when you ask.</p>", error.id()))
}

fn server() -> Server {
    Server::new()
        .state(Berths(Mutex::default()))
        .trusted_proxies(["127.0.0.0/8"])
        .wrap(RequestIds)
        .wrap(RequestLog::new(|logged| println!("{logged}")))
        .wrap(SecurityHeaders::new().content_security_policy("default-src 'self'"))
        .error_page(error_page)
        .nest("/api", api())
        .nest("/office", office())
        .files("/", concat!(env!("CARGO_MANIFEST_DIR"), "/../../site"))
}

fn main() -> Result<(), Error> {
    let running = common::with_flags(server(), "127.0.0.1:8080")?.start()?;
    for address in running.addresses() {
        println!("the harbour on http://{address} by {}", running.engine());
    }
    running.join()
}
