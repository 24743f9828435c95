//! The middleware that comes with the server, as clients see it.
//! In worlds, where an address is what a trusted proxy says.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::test::{Reply, World};
use crate::{
    BasicAuth, Cors, IntoResponse, Logged, RateLimit, Request, RequestIds, RequestLog, Router,
    SecurityHeaders, Server, offload,
};

/// The replies to requests, each given as its first line and fields.
fn ask(world: &mut World, requests: &[&str]) -> Vec<Reply> {
    let mut peer = world.connect();
    for request in requests {
        let fields: String = request.lines().map(|line| format!("{line}\r\n")).collect();
        let request = fields.replacen("\r\n", " HTTP/1.1\r\nHost: a\r\n", 1) + "\r\n";
        assert_eq!(peer.write(request.as_bytes()), request.len());
    }
    world.settle();
    requests.iter().map(|request| peer.reply().unwrap_or_else(|| panic!("{request}"))).collect()
}

fn serving(server: Server) -> World {
    let mut world = World::new(1);
    world.serve(server);
    world
}

/// The fields of a reply that concern origins, in the order of the standard.
fn origin_fields(reply: &Reply) -> String {
    let names = ["allow-origin", "allow-credentials", "expose-headers", "allow-methods"];
    let names = names.iter().chain(&["allow-headers", "max-age"]);
    let values = names.filter_map(|name| reply.header(&format!("access-control-{name}")));
    values.chain(reply.header("vary")).collect::<Vec<_>>().join(" | ")
}

#[test]
fn pages_of_named_origins_may_read() {
    let named = Cors::origins(["https://a.example", "null"])
        .credentials()
        .methods(["PUT", "DELETE"])
        .headers(["x-tide"])
        .expose(["x-height"])
        .max_age(600);
    let named = Router::new().wrap(named).put("/x", || "put");
    let open = Router::new().wrap(Cors::any_origin()).get("/x", || "open");
    let mut world = serving(Server::new().nest("/named", named).nest("/open", open));
    let preflight =
        "\nAccess-Control-Request-Method: PUT\nAccess-Control-Request-Headers: x-tide, x-b";
    for (path, origin, status, expected) in [
        ("PUT /named/x", "https://a.example", 200, "https://a.example | true | x-height | Origin"),
        ("PUT /named/x", "null", 200, "null | true | x-height | Origin"),
        ("PUT /named/x", "https://a.example.evil.example", 200, "Origin"),
        ("PUT /named/x", "https://A.example", 200, "Origin"),
        ("PUT /named/x", "", 200, "Origin"),
        (
            "PUT /named/none",
            "https://a.example",
            404,
            "https://a.example | true | x-height | Origin",
        ),
        ("GET /open/x", "https://anyone.example", 200, "*"),
        (
            "OPTIONS /named/x",
            "https://a.example",
            204,
            "https://a.example | true | x-height | Origin",
        ),
    ] {
        let field = if origin.is_empty() { String::new() } else { format!("\nOrigin: {origin}") };
        let reply = &ask(&mut world, &[&(path.to_owned() + &field)])[0];
        assert_eq!(origin_fields(reply), expected, "{path} {origin}");
        assert_eq!(reply.status().as_u16(), status, "{path} {origin}");
    }
    for (path, origin, expected) in [
        (
            "/named/x",
            "https://a.example",
            "https://a.example | true | PUT, DELETE | x-tide | 600 | Origin",
        ),
        (
            "/named/none",
            "https://a.example",
            "https://a.example | true | PUT, DELETE | x-tide | 600 | Origin",
        ),
        ("/named/x", "https://b.example", "Origin"),
        ("/open/x", "https://b.example", "* | GET, HEAD, POST | x-tide, x-b"),
    ] {
        let request = format!("OPTIONS {path}\nOrigin: {origin}{preflight}");
        let reply = &ask(&mut world, &[&request])[0];
        assert_eq!(origin_fields(reply), expected, "{path} {origin}");
        assert_eq!(reply.status().as_u16(), 204, "{path} {origin}");
    }
}

#[test]
#[should_panic(expected = "credentials go to origins that are named")]
fn credentials_do_not_go_to_any_origin() {
    let _ = Cors::any_origin().credentials();
}

#[test]
fn names_and_passwords_are_asked_for() {
    let auth = BasicAuth::new("harbour").user("kate", "ebb:flow").user("jo", "");
    let mut world = serving(Server::new().wrap(auth).get("/", || "in").fallback(|| "none"));
    for (field, status) in [
        ("", 401),
        ("Authorization: Basic a2F0ZTplYmI6Zmxvdw==", 200),
        ("Authorization: basic am86", 200),
        ("Authorization: Basic a2F0ZTplYmI=", 401),
        ("Authorization: Basic am8=", 401),
        ("Authorization: Basic !", 401),
        ("Authorization: Bearer a2F0ZTplYmI6Zmxvdw==", 401),
    ] {
        for path in ["/", "/none"] {
            let reply = &ask(&mut world, &[&format!("GET {path}\n{field}")])[0];
            assert_eq!(reply.status().as_u16(), status, "{path} {field}");
            let challenge = (status == 401).then_some(r#"Basic realm="harbour", charset="UTF-8""#);
            assert_eq!(reply.header("www-authenticate"), challenge);
        }
    }
}

#[test]
fn addresses_have_their_own_limit() {
    let server = Server::new()
        .trusted_proxies(["0.0.0.0/0"])
        .wrap(RateLimit::new(2, Duration::from_secs(10)))
        .get("/", || "");
    let mut world = serving(server);
    let statuses = |world: &mut World, address: &str| {
        let request = format!("GET /\nX-Forwarded-For: {address}");
        let replies = ask(world, &[&*request; 3]);
        let waits = replies[2].header("retry-after").map(str::to_owned);
        (replies.iter().map(|reply| reply.status().as_u16()).collect::<Vec<_>>(), waits)
    };
    let spent = (vec![200, 200, 429], Some("5".to_owned()));
    for address in ["2001:db8::1", "2001:db8:0:1::"] {
        assert_eq!(statuses(&mut world, address), spent, "{address}");
    }
    assert_eq!(statuses(&mut world, "2001:db8::2").0, [429; 3], "it is the first one again");
    world.pass(Duration::from_secs(5));
    assert_eq!(statuses(&mut world, "2001:db8::1").0, [200, 429, 429]);
}

#[test]
fn browsers_are_told_what_pages_are_not_for() {
    let headers =
        SecurityHeaders::new().with("x-frame-options", "SAMEORIGIN").strict_transport_security(60);
    let own = || "".into_response().header("referrer-policy", "no-referrer");
    let server = Server::new().trusted_proxies(["0.0.0.0/0"]).wrap(headers).get("/", own);
    let mut world = serving(server);
    for (request, referrer, transport) in [
        ("GET /", "no-referrer", None),
        ("GET /none", "strict-origin-when-cross-origin", None),
        ("GET /\nX-Forwarded-Proto: https", "no-referrer", Some("max-age=60")),
    ] {
        let reply = &ask(&mut world, &[request])[0];
        assert_eq!(reply.header("x-content-type-options"), Some("nosniff"));
        assert_eq!(reply.header("x-frame-options"), Some("SAMEORIGIN"));
        assert_eq!(reply.header("referrer-policy"), Some(referrer));
        assert_eq!(reply.header("strict-transport-security"), transport);
    }
}

#[test]
fn requests_have_names_in_logs_and_replies() {
    let lines = Arc::<Mutex<Vec<Logged>>>::default();
    let written = lines.clone();
    let server = |trusted: &[&str]| {
        let written = written.clone();
        Server::new()
            .trusted_proxies(trusted)
            .wrap(RequestIds)
            .wrap(RequestLog::new(move |logged| written.lock().unwrap().push(logged.clone())))
            .get("/", |request: Request| request.id().into_owned())
            .get("/away", offload(|request| request.id().into_owned()))
            .get("/later", async |request: Request| {
                crate::sleep(Duration::from_millis(30)).await;
                request.id().into_owned()
            })
    };
    let mut world = serving(server(&[]));
    let requests = ["GET /", "GET /away", "GET /?a", "GET /none\nX-Request-Id: mine", "POST /"];
    let replies = ask(&mut world, &requests);
    let names: Vec<String> =
        replies.iter().map(|reply| reply.header("x-request-id").unwrap().to_owned()).collect();
    assert_eq!(names.iter().collect::<std::collections::HashSet<_>>().len(), 5, "{names:?}");
    for (reply, name) in replies.iter().zip(&names).take(3) {
        assert_eq!(reply.body(), name.as_bytes());
    }
    let logged = std::mem::take(&mut *lines.lock().unwrap());
    let mut said: Vec<_> = logged.iter().map(|own| (own.status.as_u16(), &*own.path)).collect();
    said.sort_unstable();
    assert_eq!(said, [(200, "/"), (200, "/"), (200, "/away"), (404, "/none"), (405, "/")]);
    assert!(logged.iter().all(|own| names.contains(&own.id)), "{logged:?}");

    let mut world = serving(server(&["0.0.0.0/0"]));
    let mut peer = world.connect();
    let request = "GET /later HTTP/1.1\r\nHost: a\r\nX-Request-Id: theirs\r\n\r\n";
    assert_eq!(peer.write(request.as_bytes()), request.len());
    world.pass(Duration::from_millis(30));
    let reply = peer.reply().expect("an answer");
    assert_eq!((reply.body(), reply.header("x-request-id")), (&b"theirs"[..], Some("theirs")));
    let logged = lines.lock().unwrap()[0].clone();
    assert_eq!((logged.took, &*logged.id), (Duration::from_millis(30), "theirs"));
    assert!(logged.to_string().ends_with(" GET /later 200 30 ms theirs"), "{logged}");
    let long = format!("GET /\nX-Request-Id: {}", "x".repeat(129));
    for bad in [&*long, "GET /\nX-Request-Id: a b", "GET /\nX-Request-Id: a\nX-Request-Id: b"] {
        let name = ask(&mut world, &[bad])[0].header("x-request-id").unwrap().to_owned();
        assert!(name.len() < 40 && name.contains('-'), "{name}");
    }
}
