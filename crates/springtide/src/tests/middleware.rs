//! Middleware over every backend: its order, what it sees, and what it may not do.
//! Who was there is written into a field of the reply, never told by a clock.

mod ready;

use super::files::Directory;
use super::{Backend, Stage, over_still_backends};
use crate::test::World;
use crate::{
    AsyncNext, IntoResponse, Middleware, Next, Outcome, Request, Response, Router, Server,
    StatusCode, body_max, offload,
};

/// Writes its name into replies, and answers by itself where it is asked to.
struct Mark(&'static str);

impl Middleware for Mark {
    fn begin(&self, request: &Request) -> Outcome {
        let name = self.0;
        match request.query_value("stop") {
            Some(stop) if stop == name => {
                Outcome::Answer(format!("stopped by {name}").into_response())
            }
            Some(stop) if stop == "panic" => panic!("on purpose"),
            Some(stop) if stop == "late-panic" && name == "b" => {
                Outcome::then(|_| panic!("on purpose"))
            }
            _ => Outcome::then(move |response| response.header("x-by", name)),
        }
    }
}

/// A directory with this file in it, on every backend.
const FILES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/tests");

fn stage(backend: Backend) -> Stage {
    Stage::with_world(backend, server(), |world| {
        world.write_file(format!("{FILES}/middleware.rs"), b"a file");
    })
}

fn inner() -> Router {
    Router::new()
        .wrap(Mark("c"))
        .get("/now", || "now")
        .get("/later", async |_: Request| "later")
        .get("/away", offload(|_| "away"))
        .post("/echo", |request: Request| request.bytes().clone())
        .get("/panic", || -> &'static str { panic!("on purpose") })
        .get("/later-panic", async || -> &'static str { panic!("on purpose") })
        .files("/files", FILES)
}

fn server() -> Server {
    Server::new().wrap(Mark("a")).wrap(Mark("b")).get("/", || "root").nest("/in", inner())
}

fn ask(stage: &mut Stage, request: &str) -> String {
    let mut peer = stage.connect();
    stage.talk_to_end(
        &mut peer,
        request.replace("\r\n\r\n", "\r\nHost: a\r\nConnection: close\r\n\r\n").as_bytes(),
    )
}

fn get(stage: &mut Stage, path: &str) -> String {
    ask(stage, &format!("GET {path} HTTP/1.1\r\n\r\n"))
}

/// The status, and who has seen the reply, in that order.
fn seen(reply: &str) -> (&str, String) {
    let by = reply.lines().filter_map(|line| line.strip_prefix("x-by: "));
    (&reply[9..12], by.collect())
}

/// Every kind of reply is seen, by the innermost first.
fn everything_of_a_router_is_seen(backend: Backend) {
    let mut stage = stage(backend);
    for (path, expected) in [
        ("/", ("200", "ba")),
        ("/in/now", ("200", "cba")),
        ("/in/later", ("200", "cba")),
        ("/in/away", ("200", "cba")),
        ("/in/panic", ("500", "cba")),
        ("/in/later-panic", ("500", "cba")),
        ("/in/files/middleware.rs", ("200", "cba")),
        ("/in/files/none", ("404", "cba")),
        ("/in/none", ("404", "cba")),
        ("/none", ("404", "ba")),
        ("/in/echo", ("405", "cba")),
        ("/in/now?stop=a", ("200", "")),
        ("/in/now?stop=b", ("200", "a")),
        ("/in/later?stop=c", ("200", "ba")),
        ("/in/now?stop=panic", ("500", "")),
        ("/in/now?stop=late-panic", ("500", "a")),
    ] {
        let reply = get(&mut stage, path);
        let (status, by) = seen(&reply);
        assert_eq!((status, &*by), expected, "{path}: {reply}");
    }
    let reply = ask(&mut stage, "OPTIONS /in/now HTTP/1.1\r\n\r\n");
    assert_eq!(seen(&reply), ("204", "cba".to_owned()));
    assert_eq!(stage.counts().panics_total, 4);
}

/// A reply that stands in place of a file's brings nothing of the file along, wherever its bytes are:
/// in memory, in parts or behind a stream. What only adds to the reply leaves them.
fn what_replaces_a_file_has_nothing_of_it(backend: Backend) {
    struct Replace;
    impl Middleware for Replace {
        fn begin(&self, request: &Request) -> Outcome {
            match request.query_value("by").as_deref() {
                Some("denied") => {
                    Outcome::then(|_| Response::new("denied").status(StatusCode::FORBIDDEN))
                }
                Some("bare") => Outcome::then(|seen| seen.status(StatusCode::FORBIDDEN)),
                Some("other") => Outcome::then(|_| Response::new("other")),
                Some("panic") => Outcome::then(|_| panic!("on purpose")),
                _ => Outcome::then(|seen| seen.header("x-by", "a")),
            }
        }
    }
    let large = b"SECRET".repeat(500_000);
    let files: [(&str, &[u8]); 2] = [("small.txt", &large[..9000]), ("large.txt", &large)];
    let directory = Directory::new(backend, "replaced", &files);
    let served = crate::Files::new(&directory.0).memory_bytes_max(1 << 20);
    let server = Server::new().wrap(Replace).files("/", served);
    let mut stage = Stage::with_world(backend, server, |world| {
        for (file, bytes) in &files {
            world.write_file(directory.0.join(file), bytes);
        }
    });
    for range in ["", "Range: bytes=0-9\r\n", "Range: bytes=0-9,2000-2009\r\n"] {
        for name in ["small", "small", "large"] {
            for (by, status, text) in [
                ("denied", "403", "denied"),
                ("bare", "403", ""),
                ("other", "200", "other"),
                ("panic", "500", "Internal Server Error"),
            ] {
                if by == "bare" && name == "small" && !range.contains(',') {
                    // It is a reply like any other, whose body stays.
                    continue;
                }
                let request = format!("GET /{name}.txt?by={by} HTTP/1.1\r\n{range}\r\n");
                let reply = ask(&mut stage, &request.replace("\r\n\r\n\r\n", "\r\n\r\n"));
                let (head, body) = reply.split_once("\r\n\r\n").unwrap();
                assert_eq!((&head[9..12], body), (status, text), "{by} {name} {range}");
            }
            let reply = ask(&mut stage, &format!("GET /{name}.txt HTTP/1.1\r\n{range}\r\n"));
            assert!(reply.contains("x-by: a") && reply.contains("SECRET"), "{name} {range}");
        }
    }
    stage.until(|stage| (stage.counts().connections_open == 0).then_some(()));
}

/// Middleware reads the parameters of the route that was found, and of no other.
fn what_has_no_route_has_no_parameters(backend: Backend) {
    struct Tell;
    impl Middleware for Tell {
        fn begin(&self, request: &Request) -> Outcome {
            let user = request.param("user").into_owned();
            Outcome::then(move |response| response.header("x-by", user))
        }
    }
    let server = Server::new()
        .wrap(Tell)
        .nest("/{user}", Router::new().get("/x", || "x"))
        .files("/files", FILES);
    let mut stage = Stage::with_world(backend, server, |world| {
        world.write_file(format!("{FILES}/middleware.rs"), b"a file");
    });
    for (path, expected) in
        [("/kate/x", ("200", "kate")), ("/files/middleware.rs", ("500", "")), ("/a/b", ("500", ""))]
    {
        let reply = get(&mut stage, path);
        let (status, by) = seen(&reply);
        assert_eq!((status, &*by), expected, "{path}: {reply}");
    }
}

/// A body is read when everybody lets it pass, and thrown away otherwise.
fn bodies_wait_for_middleware(backend: Backend) {
    let mut stage = stage(backend);
    let post = |query: &str, rest: &str| {
        let head = format!("POST /in/echo{query} HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n");
        format!("{head}{rest}\r\n\r\ntide")
    };
    let requests = post("", "X: y") + &post("?stop=c", "X: y") + &post("", "Connection: close");
    let mut peer = stage.connect();
    let replies = stage.talk_to_end(&mut peer, requests.as_bytes());
    let by: String = replies.lines().filter_map(|line| line.strip_prefix("x-by: ")).collect();
    assert_eq!(by, "cbabacba", "{replies}");
    assert_eq!(replies.matches("\r\n\r\ntide").count(), 2, "{replies}");
    assert!(replies.contains("stopped by c") && replies.ends_with("tide"), "{replies}");
    // Who waits for `100 Continue` is not asked for a body that nobody wants.
    let mut peer = stage.connect();
    let request = post("?stop=b", "Expect: 100-continue").replace("tide", "");
    let reply = stage.talk(&mut peer, request.as_bytes(), 60);
    assert!(reply.starts_with(b"HTTP/1.1 200 "), "{}", String::from_utf8_lossy(&reply));
}

fn around(name: &'static str) -> impl Fn(Request, Next<'_>) -> Response + Send + Sync {
    move |request: Request, next: Next<'_>| {
        if request.query_value("stop").is_some_and(|stop| stop == name) {
            return (StatusCode::FORBIDDEN, name).into_response();
        }
        next.run(request).header("x-by", name)
    }
}

/// Functions stand within all middleware, the first one named outside.
fn functions_stand_around_handlers(backend: Backend) {
    let late = Router::new()
        .wrap(async |request: Request, next: AsyncNext| {
            let response = next.run(request).await;
            response.header("x-by", "1")
        })
        .wrap(async |_: Request, _: AsyncNext| ("x".repeat(3)).into_response())
        .get("/skipped", || "never");
    let awaited = Router::new()
        .wrap(async |request: Request, next: AsyncNext| next.run(request).await.header("x-by", "1"))
        .wrap(async |request: Request, next: AsyncNext| next.run(request).await.header("x-by", "2"))
        .get("/now", || "now")
        .get("/later", async |request: Request| request.path().to_owned());
    let plain = Router::new()
        .wrap(around("1"))
        .wrap(around("2"))
        .wrap(Mark("m"))
        .get("/now", || "now")
        .get("/away", offload(|_| "away"))
        .nest("/in", Router::new().wrap(around("3")).get("/", || "in").fallback(|| "none"));
    let server = Server::new().nest("/plain", plain).nest("/async", awaited).nest("/late", late);
    let mut stage = Stage::new(backend, server);
    for (path, expected) in [
        ("/plain/now", ("200", "21m")),
        ("/plain/away", ("200", "21m")),
        ("/plain/now?stop=2", ("403", "1m")),
        ("/plain/in", ("200", "321m")),
        ("/plain/in/x", ("200", "321m")),
        ("/plain/x", ("404", "m")),
        ("/async/now", ("200", "21")),
        ("/async/later", ("200", "21")),
        ("/late/skipped", ("200", "1")),
    ] {
        let reply = get(&mut stage, path);
        let (status, by) = seen(&reply);
        assert_eq!((status, &*by), expected, "{path}: {reply}");
    }
}

#[test]
fn shapes_that_do_not_fit_are_reported() {
    let refused = |router: Router| {
        let server = Server::new().nest("/in", router);
        server.listen("127.0.0.1:0").expect_err("it does not fit").to_string()
    };
    let later = refused(Router::new().wrap(around("1")).get("/x", async || "later"));
    assert!(later.contains("/in/x") && later.contains("async |request: Request"), "{later}");
    let away = Router::new()
        .wrap(async |request: Request, next: AsyncNext| next.run(request).await)
        .fallback(offload(|_| "away"));
    let away = refused(away);
    assert!(away.contains("/in/…") && away.contains("runs on the pool"), "{away}");
}

/// What waits for a reply that middleware is to see cannot be frozen: it is refused, and nothing leaves
/// that lacks what middleware does to it. Its connection stays meanwhile.
fn what_waits_is_refused_by_a_frozen_shard(backend: Backend) {
    let mut stage = stage(backend);
    let mut peer = stage.connect();
    let head =
        "POST /in/echo HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nConnection: close\r\n\r\nti";
    assert_eq!(peer.write(head.as_bytes()), head.len());
    for _ in 0..5 {
        stage.turn();
    }
    stage.move_to(backend);
    let reply = stage.talk_to_end(&mut peer, b"de");
    assert!(reply.starts_with("HTTP/1.1 503 ") && reply.ends_with("\r\n\r\nService Unavailable"));
    assert!(reply.contains("retry-after: 1\r\n"), "{reply}");
}

over_still_backends!(
    what_replaces_a_file_has_nothing_of_it,
    everything_of_a_router_is_seen,
    what_has_no_route_has_no_parameters,
    bodies_wait_for_middleware,
    functions_stand_around_handlers,
    what_waits_is_refused_by_a_frozen_shard,
);

/// Middleware may answer with a body that is produced, wherever it stands.
#[test]
fn middleware_answers_with_streams() {
    struct Streams(bool);
    impl Middleware for Streams {
        fn begin(&self, _: &Request) -> Outcome {
            let stream = || Response::stream(async |mut sink| Ok(sink.send("low tide").await?));
            if self.0 { Outcome::Answer(stream()) } else { Outcome::then(move |_| stream()) }
        }
    }
    let inner = |is_first| {
        let router = Router::new().wrap(Streams(is_first)).get("/x", || "x");
        router.post("/short", body_max(3, |_: Request| "x"))
    };
    let server = Server::new().nest("/first", inner(true)).nest("/last", inner(false));
    let mut world = World::new(1);
    world.serve(server);
    let get = |path| format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n");
    let post = |path| {
        format!(
            "POST {path} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n4\r\ntide\r\n"
        )
    };
    for request in [
        get("/first/x"),
        get("/last/x"),
        get("/first/none"),
        get("/last/none"),
        post("/first/short"),
        post("/last/short"),
    ] {
        let mut peer = world.connect();
        assert_eq!(peer.write(request.as_bytes()), request.len());
        world.settle();
        let reply = peer.reply().expect("an answer");
        assert_eq!(reply.body(), b"low tide", "{request}");
    }
}
