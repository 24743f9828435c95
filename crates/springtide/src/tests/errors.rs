//! Errors that the server answers by itself: in what form, and in whose words.
//! Over every backend, with a handler of each shape and files that are not there.

use super::{Backend, Stage, over_still_backends};
use crate::{
    IntoResponse, Limits, Request, Response, Router, Server, ServerError, StatusCode, offload,
};

const FILES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/tests");

fn routes() -> Router {
    Router::new()
        .get("/panic", || -> &'static str { panic!("on purpose") })
        .get("/later", async |_: Request| -> &'static str { panic!("on purpose") })
        .get("/away", offload(|_| -> &'static str { panic!("on purpose") }))
        .get("/theirs", || (StatusCode::NOT_FOUND, "theirs"))
        .post("/post", |request: Request| request.bytes().clone())
        .files("/files", FILES)
}

fn page(error: &ServerError) -> Response {
    if error.prefers_json() {
        return error.default_reply();
    }
    format!("{} {} {}", error.method(), error.path(), error.detail().unwrap_or("-")).into_response()
}

fn server() -> Server {
    let mut limits = Limits::default();
    limits.http1.body_bytes_max = 10;
    Server::new()
        .limits(limits)
        .nest("/bare", routes())
        .nest("/own", routes().error_page(page))
        .nest(
            "/twice",
            Router::new()
                .error_page(|_: &ServerError| "outer")
                .nest("/in", routes().error_page(page)),
        )
}

fn stage(backend: Backend) -> Stage {
    Stage::with_world(backend, server(), |world| {
        world.write_file(format!("{FILES}/errors.rs"), b"a file");
    })
}

/// Status, type and body of the reply.
fn ask(stage: &mut Stage, request: &str, accept: &str) -> (String, String, String) {
    let (line, body) = request.split_once('\n').unwrap_or((request, ""));
    let length =
        if body.is_empty() { String::new() } else { format!("Content-Length: {}\r\n", body.len()) };
    let accept = if accept.is_empty() { String::new() } else { format!("Accept: {accept}\r\n") };
    let request =
        format!("{line} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{accept}{length}\r\n{body}");
    let mut peer = stage.connect();
    let reply = stage.talk_to_end(&mut peer, request.as_bytes());
    let (head, body) = reply.split_once("\r\n\r\n").expect("a reply");
    let kind = head.lines().find_map(|line| {
        line.to_ascii_lowercase().strip_prefix("content-type: ").map(str::to_owned)
    });
    (head[9..12].to_owned(), kind.unwrap_or_default(), body.to_owned())
}

const LONG: &str = "POST /bare/post\n0123456789a";

/// Text for terminals, pages for browsers, problem details for programs.
fn errors_have_the_form_that_is_asked_for(backend: Backend) {
    let mut stage = stage(backend);
    for (request, status, title, detail) in [
        ("GET /none", "404", "Not Found", None),
        ("DELETE /bare/panic", "405", "Method Not Allowed", None),
        ("GET /bare/files/none", "404", "Not Found", None),
        ("GET /bare/panic", "500", "Internal Server Error", None),
        ("GET /bare/later", "500", "Internal Server Error", None),
        ("GET /bare/away", "500", "Internal Server Error", None),
        (LONG, "413", "Payload Too Large", Some("the body is longer than allowed here")),
    ] {
        let (own, kind, body) = ask(&mut stage, request, "*/*");
        assert_eq!((&*own, &*kind), (status, "text/plain; charset=utf-8"), "{request}");
        assert_eq!(body, detail.unwrap_or(title), "{request}");
        let (own, kind, body) = ask(&mut stage, request, "text/html,*/*;q=0.8");
        assert_eq!((&*own, &*kind), (status, "text/html; charset=utf-8"), "{request}");
        assert!(body.contains(&format!("<h1>{status} {title}</h1>")), "{body}");
        let (own, kind, body) = ask(&mut stage, request, "application/json");
        assert_eq!((&*own, &*kind), (status, "application/problem+json"), "{request}");
        let more = detail.map(|detail| format!(r#","detail":"{detail}""#)).unwrap_or_default();
        assert_eq!(body, format!(r#"{{"title":"{title}","status":{status}{more}}}"#));
    }
    let (_, kind, body) = ask(&mut stage, "GET /bare/theirs", "text/html");
    assert_eq!((&*kind, &*body), ("text/plain; charset=utf-8", "theirs"));
}

/// What the application says of them, as near to the route as it says anything.
fn errors_have_the_words_of_the_application(backend: Backend) {
    let mut stage = stage(backend);
    for (request, expected) in [
        ("GET /own/none", "404 GET /own/none -"),
        ("DELETE /own/panic", "405 DELETE /own/panic -"),
        ("GET /own/files/none", "404 GET /own/files/none -"),
        ("GET /own/panic", "500 GET /own/panic -"),
        ("GET /own/later", "500 GET /own/later -"),
        ("GET /own/away", "500 GET /own/away -"),
        ("POST /own/post\n0123456789a", "413 POST /own/post the body is longer than allowed here"),
        ("GET /own/theirs", "404 theirs"),
        ("GET /twice/none", "404 outer"),
        ("GET /twice/in/none", "404 GET /twice/in/none -"),
        ("GET /none", "404 Not Found"),
    ] {
        let (status, _, body) = ask(&mut stage, request, "");
        assert_eq!(format!("{status} {body}"), expected);
    }
    let (_, kind, body) = ask(&mut stage, "GET /twice/in/none", "application/json");
    assert_eq!(
        (&*kind, &*body),
        ("application/problem+json", r#"{"title":"Not Found","status":404}"#)
    );
}

/// How a request that panicked is told decides nothing of one that comes later.
#[test]
fn a_panic_s_form_is_its_own() {
    let own = Router::new().get("/panic", || -> &'static str { panic!("on purpose") });
    let server = Server::new().nest("/own", own.error_page(page));
    let server = server.get("/interim", || StatusCode::CONTINUE);
    let mut stage = Stage::new(Backend::Simulated, server);
    let (_, kind, _) = ask(&mut stage, "GET /own/panic", "application/json");
    assert_eq!(kind, "application/problem+json");
    let (status, kind, _) = ask(&mut stage, "GET /interim", "");
    assert_eq!((&*status, &*kind), ("500", "text/plain; charset=utf-8"));
}

over_still_backends!(
    errors_have_the_form_that_is_asked_for,
    errors_have_the_words_of_the_application
);
