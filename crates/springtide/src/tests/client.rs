//! Requests that handlers send, here mostly to their own server, on the same shard: over every
//! backend, while nothing but turns goes on.

mod deadlines;
mod ends;
mod forwarding;
mod passing;
mod upstream;
mod worlds;

use std::sync::{Arc, OnceLock};

use super::{Backend, Peer, Stage, over_still_backends};
use crate::{
    ClientError, ClientLimits, HttpClient, Limits, Request, Response, Server, StatusCode, body_max,
    streamed,
};

/// What URLs of the server begin with, once it listens.
type Origin = Arc<OnceLock<String>>;

/// How long the bodies are that are longer than every buffer.
const LONG: usize = 8 << 20;

fn url(origin: &Origin, path: &str) -> String {
    format!("{}{path}", origin.get().unwrap())
}

/// What is asked, and how: the answers end in `~`.
fn server(client: &HttpClient, origin: &Origin) -> Server {
    let (fetches, passes) = (client.clone(), client.clone());
    let (own, other) = (Arc::clone(origin), Arc::clone(origin));
    let limits = Limits { inbox_bytes_max: 10_000, ..Limits::default() };
    Server::new()
        .limits(limits)
        .get("/plain", || "plain~")
        .post("/echo", |request: Request| Response::new(request.bytes().to_vec()))
        .get("/empty", Response::no_content)
        .get("/moved/{status}/{to}", |request: Request| {
            let status = StatusCode::from_bytes(request.param("status").as_bytes()).unwrap();
            let to = format!("/{}", request.param("to"));
            Response::empty(status).header("location", to)
        })
        .get("/long", || {
            Response::stream(async |mut sink| {
                for _ in 0..LONG / 1024 {
                    sink.send([b'x'; 1024].as_slice()).await?;
                }
                sink.trailer("x-sum", "7")?;
                Ok(())
            })
        })
        .get("/broken", || {
            Response::stream(async |mut sink| {
                sink.send("half of it").await?;
                Err(crate::Failure::new("a storm"))
            })
        })
        .put(
            "/count",
            body_max(
                1 << 30,
                streamed(async |mut request: Request| {
                    let (mut body, mut count) = (request.take_body(), 0);
                    while let Some(piece) = body.next().await? {
                        count += piece.len();
                    }
                    Ok::<_, crate::BodyError>(format!("{count}~"))
                }),
            ),
        )
        .put("/refuse", body_max(1 << 30, streamed(refuse)))
        .get("/fetch/{*path}", async move |request: Request| -> Result<String, ClientError> {
            let answer = fetches.get(&url(&own, &format!("/{}", request.param("path")))).send();
            let answer = answer.await?;
            let status = answer.status().as_u16();
            Ok(format!("{status} {}~", answer.text().await?))
        })
        .get("/pass/{*path}", pass(&passes, &other))
        .put("/pass/{*path}", body_max(1 << 30, pass(&passes, &other)))
        .post("/pass/{*path}", pass(&passes, &other))
}

async fn refuse(_: Request) -> (StatusCode, &'static str) {
    (StatusCode::FORBIDDEN, "no~")
}

/// Passes a request on to the server itself, without the first part of its path.
fn pass(client: &HttpClient, origin: &Origin) -> impl crate::Handler<crate::InPieces> + use<> {
    let (client, origin) = (client.clone(), Arc::clone(origin));
    streamed(async move |mut request: Request| {
        let path = request.param("path").into_owned();
        let own = client.pass_on(&mut request, "http://unused");
        own.url(&url(&origin, &format!("/{path}"))).send().await
    })
}

fn stage(backend: Backend, client: &HttpClient) -> Stage {
    let origin = Origin::default();
    let stage = Stage::new(backend, server(client, &origin));
    origin.set(stage.origin()).unwrap();
    stage
}

fn get(path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n").into_bytes()
}

/// Sends and reads until an answer ends in `~`.
fn ask(stage: &mut Stage, peer: &mut Peer, request: &[u8]) -> String {
    let (mut rest, mut received) = (request, Vec::new());
    stage.until(|stage| {
        let sent = peer.write(rest);
        rest = &rest[sent..];
        stage.turn();
        peer.read(&mut received);
        (received.ends_with(b"~") || peer.is_ended()).then_some(())
    });
    String::from_utf8_lossy(&received).into_owned()
}

over_still_backends!(
    a_handler_asks_its_own_server,
    connections_are_kept_and_bounded,
    what_fails_is_named,
    redirects_are_followed_as_far_as_told,
    a_dropped_request_leaves_nothing,
);

fn a_handler_asks_its_own_server(backend: Backend) {
    let mut stage = stage(backend, &HttpClient::new());
    let mut peer = stage.connect();
    for (path, answer) in
        [("/fetch/plain", "200 plain~~"), ("/fetch/empty", "204 ~"), ("/fetch/nowhere", "404 ")]
    {
        let said = ask(&mut stage, &mut peer, &get(path));
        assert!(said.contains(&format!("\r\n\r\n{answer}")), "{path}: {said}");
    }
    // One connection, which was kept, for the three of them.
    assert_eq!(stage.counts().connections_total, 2);
    assert_eq!(stage.at_desk(), [1, 0, 1, 0]);
}

fn connections_are_kept_and_bounded(backend: Backend) {
    let limits = ClientLimits { idle_per_host_max: 2, ..ClientLimits::default() };
    let mut stage = stage(backend, &HttpClient::new().limits(limits));
    let mut peers: Vec<Peer> = (0..5).map(|_| stage.connect()).collect();
    for peer in &mut peers {
        assert!(peer.write(&get("/fetch/plain")) > 0);
    }
    for peer in &mut peers {
        let said = ask(&mut stage, peer, b"");
        assert!(said.ends_with("200 plain~~"), "{said}");
    }
    stage.until(|stage| {
        stage.turn();
        (stage.at_desk() == [2, 0, 2, 0]).then_some(())
    });
}

fn what_fails_is_named(backend: Backend) {
    let client =
        HttpClient::new().limits(ClientLimits { connections_max: 0, ..ClientLimits::default() });
    let open = HttpClient::new();
    let server = Server::new()
        .get("/full", async move || {
            client.get("http://127.0.0.1:1/").send().await.unwrap_err().to_string()
        })
        .get("/{kind}", async move |request: Request| {
            let url = match &*request.param("kind") {
                "refused" => "http://127.0.0.1:1/",
                "secure" => "https://127.0.0.1/",
                "target" => "http://127.0.0.1/\u{e9}",
                _ => "nonsense",
            };
            open.get(url).send().await.unwrap_err().to_string()
        });
    let mut stage = Stage::new(backend, server);
    for (path, expected) in [
        ("/full", "connections_max of the client is spent"),
        ("/refused", "127.0.0.1:1: connect: Connection refused (os error 111)"),
        ("/secure", "the URL cannot be asked: https is not spoken, only http"),
        ("/nonsense", "the URL cannot be asked: it does not begin with http://"),
    ] {
        let mut peer = stage.connect();
        let request = format!("GET {path} HTTP/1.0\r\n\r\n");
        let said = stage.talk_to_end(&mut peer, request.as_bytes());
        assert!(said.ends_with(expected), "{path}: {said}");
    }
    assert_eq!(stage.at_desk(), [0; 4]);
}

fn redirects_are_followed_as_far_as_told(backend: Backend) {
    for (redirects_max, path, expected) in [
        (0, "/fetch/moved/302/plain", "302 ~"),
        (1, "/fetch/moved/302/plain", "200 plain~~"),
        (1, "/fetch/moved/308/plain", "200 plain~~"),
        (1, "/fetch/moved/304/plain", "304 ~"),
        (10, "/fetch/moved/307/nowhere", "404 "),
    ] {
        let limits = ClientLimits { redirects_max, ..ClientLimits::default() };
        let mut stage = stage(backend, &HttpClient::new().limits(limits));
        let mut peer = stage.connect();
        let said = ask(&mut stage, &mut peer, &get(path));
        assert!(said.contains(&format!("\r\n\r\n{expected}")), "{path}: {said}");
    }
}

/// The client of a handler goes while that waits: its connection upstream goes, too.
fn a_dropped_request_leaves_nothing(backend: Backend) {
    let mut stage = stage(backend, &HttpClient::new());
    for turns in 0..12 {
        let mut peer = stage.connect();
        assert!(peer.write(&get("/pass/long")) > 0);
        (0..turns).for_each(|_| stage.turn());
        peer.reset();
        stage.until(|stage| {
            stage.turn();
            let counts = stage.counts();
            (stage.at_desk() == [0; 4] && counts.connections_open == 0).then_some(())
        });
    }
}
