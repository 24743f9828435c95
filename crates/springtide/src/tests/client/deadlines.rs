//! Limits on time, in virtual time, to the millisecond; and connections at rest.

use std::time::Duration;

use super::super::{Backend, Stage};
use crate::{
    ClientLimits, HttpClient, Limits, Request, Response, Server, body_max, sleep, streamed,
};

/// A server that asks itself for what takes ever so long.
fn stage(limits: ClientLimits) -> Stage {
    let client = HttpClient::new().limits(limits);
    let origin = super::Origin::default();
    let own = origin.clone();
    let server = Server::new()
        .get("/plain", || "plain")
        .get("/never", async || {
            sleep(Duration::from_secs(100_000)).await;
            "late"
        })
        .get("/half", || {
            Response::stream_of(100, async |mut sink| {
                sink.send("half").await?;
                sleep(Duration::from_secs(100_000)).await;
                Ok(())
            })
        })
        .get("/fetch/{path}", async move |request: Request| {
            let url = super::url(&own, &format!("/{}", request.param("path")));
            let answer = match client.get(&url).send().await {
                Ok(answer) => answer.text().await,
                Err(error) => Err(error),
            };
            match answer {
                Ok(text) => Response::new(text),
                Err(error) => (error.status(), error.to_string()).into_response_for_test(),
            }
        });
    let stage = Stage::new(Backend::Simulated, server);
    origin.set(stage.origin()).unwrap();
    stage
}

/// A long body takes its time to go out, and the time for the answer begins behind it.
#[test]
fn a_slow_upload_is_not_a_late_answer() {
    let client = HttpClient::new().limits(limits());
    let origin = super::Origin::default();
    let own = origin.clone();
    let slow = async |mut request: Request| {
        let (mut body, mut count) = (request.take_body(), 0);
        while let Some(piece) = body.next().await? {
            count += piece.len();
            sleep(Duration::from_millis(300)).await;
        }
        Ok::<_, crate::BodyError>(count.to_string())
    };
    let server = Server::new()
        .limits(Limits { inbox_bytes_max: 10_000, ..Limits::default() })
        .put("/slow", body_max(1 << 30, streamed(slow)))
        .get("/send", async move || {
            let answer = client.put(&super::url(&own, "/slow")).body(vec![b'x'; 8 << 20]).send();
            let Ok(answer) = answer.await else { return "late".to_owned() };
            answer.text().await.unwrap_or_else(|error| error.to_string())
        });
    let mut stage = Stage::new(Backend::Simulated, server);
    origin.set(stage.origin()).unwrap();
    let mut peer = stage.connect();
    assert!(peer.write(&super::get("/send")) > 0);
    let mut received = Vec::new();
    for _ in 0..1000 {
        stage.advance(Duration::from_millis(300));
        peer.read(&mut received);
    }
    let said = String::from_utf8(received).unwrap();
    assert!(said.ends_with("\r\n\r\n8388608"), "{said}");
}

trait ForTest {
    fn into_response_for_test(self) -> Response;
}

impl ForTest for (http::StatusCode, String) {
    fn into_response_for_test(self) -> Response {
        crate::IntoResponse::into_response(self)
    }
}

fn limits() -> ClientLimits {
    ClientLimits {
        head_timeout_ms: 5_000,
        body_timeout_ms: 3_000,
        idle_timeout_ms: 2_000,
        ..ClientLimits::default()
    }
}

#[test]
fn what_takes_too_long_is_named() {
    for (limits, path, after_ms, expected) in [
        (limits(), "/never", 5_000, "head_timeout is over"),
        (limits(), "/half", 3_000, "body_timeout is over"),
        (
            ClientLimits { total_timeout_ms: 4_000, ..limits() },
            "/never",
            4_000,
            "total_timeout is over",
        ),
        (
            ClientLimits { total_timeout_ms: 1_000, ..limits() },
            "/half",
            1_000,
            "total_timeout is over",
        ),
    ] {
        let mut stage = stage(limits);
        let mut peer = stage.connect();
        let request = format!("GET /fetch{path} HTTP/1.1\r\nHost: a\r\n\r\n");
        assert_eq!(peer.write(request.as_bytes()), request.len());
        (0..50).for_each(|_| stage.turn());
        stage.advance(Duration::from_millis(after_ms - 1));
        let mut received = Vec::new();
        peer.read(&mut received);
        assert!(received.is_empty(), "{path}");
        stage.advance(Duration::from_millis(1));
        (0..20).for_each(|_| stage.turn());
        peer.read(&mut received);
        let said = String::from_utf8(received).unwrap();
        assert!(said.starts_with("HTTP/1.1 504 "), "{path}: {said}");
        assert!(said.ends_with(expected), "{path}: {said}");
        stage.until(|stage| {
            stage.turn();
            (stage.at_desk() == [0; 4]).then_some(())
        });
    }
}

#[test]
fn connections_at_rest_end_in_time() {
    let mut stage = stage(limits());
    let mut peer = stage.connect();
    let request = b"GET /fetch/plain HTTP/1.1\r\nHost: a\r\n\r\n";
    let said = stage.talk(&mut peer, request, 100);
    assert!(said.ends_with(b"plain"));
    assert_eq!(stage.at_desk(), [1, 0, 1, 0]);
    stage.advance(Duration::from_millis(1_999));
    assert_eq!(stage.at_desk(), [1, 0, 1, 0]);
    stage.advance(Duration::from_millis(1));
    assert_eq!(stage.at_desk(), [0; 4]);
}
