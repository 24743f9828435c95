//! What a server tells of itself: its connections, and the pages of the admin address.
//! The admin's own server stands in a stage too: nothing of it needs threads.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use super::{Backend, Stage, over_all_backends};
use crate::admin::{self, Status};
use crate::mailbox::Message;
use crate::metrics::Metrics;
use crate::{ConnectionStatus, Framed, OpenConnection, Server, Topics};

fn look(stage: &mut Stage) -> Vec<OpenConnection> {
    let (sender, receiver) = mpsc::channel();
    stage.send(Message::Look(sender));
    stage.until(|_| receiver.try_recv().ok())
}

/// Each connection is told with what it does and holds.
fn connections_are_told(backend: Backend) {
    let server = Server::new().post("/", || "posted").get("/large", || "x".repeat(8 << 20));
    let mut stage = Stage::new(backend, server);
    assert!(look(&mut stage).is_empty());
    let (mut idle, mut reading, mut sending) = (stage.connect(), stage.connect(), stage.connect());
    stage.talk(&mut idle, b"POST / HTTP/1.1\r\nHost: a\r\n\r\n", 60);
    let body = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9000\r\n\r\nabc";
    assert_eq!(reading.write(body), body.len());
    let request = b"GET /large HTTP/1.1\r\nHost: a\r\n\r\n";
    assert_eq!(sending.write(request), request.len());
    let all = stage.until(|stage| {
        let all = look(stage);
        let is_there = |status| all.iter().any(|own| own.status == status);
        let wanted = [ConnectionStatus::Idle, ConnectionStatus::Reading, ConnectionStatus::Sending];
        (all.len() == 3 && wanted.into_iter().all(is_there)).then_some(all)
    });
    for own in &all {
        assert_eq!((own.protocol, own.shard), ("http/1.1", 0));
        assert!(own.address.as_ref().is_some_and(|text| text.starts_with("127.0.0.1:")), "{own:?}");
        match own.status {
            ConnectionStatus::Idle => assert_eq!(own.bytes_held, 0),
            ConnectionStatus::Reading => assert!((3..20_000).contains(&own.bytes_held), "{own:?}"),
            _ => assert!(own.bytes_held > 1 << 20, "{own:?}"),
        }
    }
}

/// Raw connections and frames are told of as well: what is unread, unsent and unanswered.
fn connections_of_other_protocols_are_told(backend: Backend) {
    let raw = Server::new().raw(|peer| {
        peer.pull_exact(1).then(|peer, first| {
            if first == "s" {
                peer.push(vec![b'x'; 8 << 20]).detach();
            }
        });
    });
    let held = Mutex::new(Vec::new());
    let framed = Server::new().framed(Framed::lines(), move |_, reply| {
        held.lock().unwrap().push(reply.detach());
    });
    let [idle, handling, sending] =
        [ConnectionStatus::Idle, ConnectionStatus::Handling, ConnectionStatus::Sending];
    let cases = [
        (
            raw,
            "raw",
            [(&b""[..], idle, 0..1), (b"uhello", idle, 5..6), (b"s", sending, 1 << 20..9 << 20)],
        ),
        (
            framed,
            "framed",
            [(b"", idle, 0..1), (b"half", idle, 4..5), (b"asked\n", handling, 0..64)],
        ),
    ];
    for (server, protocol, says) in cases {
        let (mut stage, mut others) = (Stage::new(backend, server), Vec::new());
        for (said, status, held) in says {
            let mut peer = stage.connect();
            assert_eq!(peer.write(said), said.len());
            let own = stage.until(|stage| {
                let own = look(stage).into_iter().max_by_key(|own| own.id)?;
                let is_so = own.status == status && held.contains(&own.bytes_held);
                is_so.then_some(own)
            });
            assert_eq!((own.protocol, own.shard), (protocol, 0));
            assert!(own.address.is_some_and(|text| text.starts_with("127.0.0.1:")));
            others.push(peer);
        }
    }
}

over_all_backends!(connections_are_told, engine_counts_are_told);

mod others {
    use super::connections_of_other_protocols_are_told;
    crate::tests::over_still_backends!(connections_of_other_protocols_are_told);
}

/// What the engine did is told when it is asked, on every backend, and only grows.
fn engine_counts_are_told(backend: Backend) {
    let mut stage = Stage::new(backend, Server::new().get("/", || "here"));
    let count = |stage: &mut Stage| {
        let (sender, receiver) = mpsc::channel();
        stage.send(Message::Count(sender));
        stage.until(|_| receiver.try_recv().ok())
    };
    let before = count(&mut stage);
    assert_eq!(before.shards, 1);
    assert!(before.operations_in_flight > 0, "it accepts: {before:?}");
    let mut peer = stage.connect();
    stage.talk(&mut peer, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", 60);
    let after = count(&mut stage);
    assert!(after.submissions_total > before.submissions_total, "{before:?} {after:?}");
    assert!(after.completions_total >= before.completions_total + 2, "{before:?} {after:?}");
    let text = after.plus(before).to_text();
    let sum = after.completions_total + before.completions_total;
    let line = format!("\nspringtide_engine_completions_total {sum}\n");
    assert!(text.contains(&line), "{text}");
}

#[test]
fn a_connection_has_its_age() {
    let mut stage = Stage::new(Backend::Simulated, Server::new().get("/", || ""));
    let _peer = stage.connect();
    stage.advance(Duration::ZERO);
    stage.advance(Duration::from_secs(7));
    assert_eq!(look(&mut stage)[0].age_ms, 7000);
}

#[test]
fn the_pages_tell_of_the_server() {
    let (status, metrics) = (Arc::new(Status::default()), Metrics::default());
    let _ = status.shards.set(Vec::new());
    metrics.add_shard().meet(0);
    let server = admin::server(&status, metrics, Topics::default());
    let mut stage = Stage::new(Backend::Simulated, server);
    let get = |stage: &mut Stage, path: &str| {
        let mut peer = stage.connect();
        stage.talk_to_end(
            &mut peer,
            format!("GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").as_bytes(),
        )
    };
    let text = get(&mut stage, "/metrics");
    assert!(text.contains("content-type: text/plain; version=0.0.4; charset=utf-8"), "{text}");
    assert!(text.contains("springtide_limits_met_total{limit=\"outbox_bytes_max\"} 1\n"), "{text}");
    assert!(text.contains("\nspringtide_engine_enters_total 0\n"), "{text}");
    assert!(get(&mut stage, "/connections").ends_with("[]"));
    assert!(get(&mut stage, "/healthz").starts_with("HTTP/1.1 200 OK"));
    status.is_draining.store(true, Ordering::Relaxed);
    assert!(get(&mut stage, "/healthz").starts_with("HTTP/1.1 503 "));
}
