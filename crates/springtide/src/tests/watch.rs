//! Callbacks that hold up their shard are found, named and counted.
//! A stand-in's clock goes as far ahead of its turn as handlers say: no time passes.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::freeze::refusal::Refused;
use super::{Backend, Stage};
use crate::{Request, Server};

fn server(ahead_ms: &Arc<AtomicU64>) -> Server {
    let (plain, awaited) = (ahead_ms.clone(), ahead_ms.clone());
    let take = |clock: &AtomicU64, request: &Request| {
        let ms = request.param("ms").parse().unwrap();
        clock.fetch_add(ms, Ordering::Relaxed);
    };
    Server::new()
        .get("/plain/{ms}", move |request: Request| take(&plain, &request))
        .get("/awaited/{ms}", async move |request: Request| take(&awaited, &request))
}

/// Asks all at once, so that they are handled in one turn; how many more are counted as slow.
fn ask(stage: &mut Stage, ahead_ms: &AtomicU64, paths: &[&str]) -> u64 {
    let before = stage.counts();
    let mut peer = stage.connect();
    let requests: String =
        paths.iter().map(|path| format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n")).collect();
    assert_eq!(peer.write(requests.as_bytes()), requests.len());
    let answered = before.requests_total + paths.len() as u64;
    stage.until(|stage| (stage.counts().requests_total == answered).then_some(()));
    ahead_ms.store(0, Ordering::Relaxed);
    stage.counts().callbacks_slow - before.callbacks_slow
}

fn stage(ahead_ms: &Arc<AtomicU64>) -> Stage {
    let mut stage = Stage::new(Backend::Simulated, server(ahead_ms));
    let engine = stage.spare_engine();
    let ahead_ms = ahead_ms.clone();
    stage.move_over(Box::new(Refused { ahead_ms, ..Refused::over(engine) }));
    stage
}

#[test]
fn slow_callbacks_are_counted() {
    for slow in ["/plain/50", "/awaited/50"] {
        for quick in ["/plain/49", "/awaited/49", "/plain/0"] {
            let ahead_ms = Arc::default();
            let mut stage = stage(&ahead_ms);
            for _ in 0..2 {
                assert_eq!(ask(&mut stage, &ahead_ms, &[quick, quick, quick]), 0, "{quick}");
                assert_eq!(ask(&mut stage, &ahead_ms, &[quick, slow, quick, slow]), 2, "{slow}");
            }
        }
    }
}

/// Behind a thousand quick ones nothing is timed, until a turn is late.
#[test]
fn a_late_turn_begins_a_watch() {
    let ahead_ms = Arc::default();
    let mut stage = stage(&ahead_ms);
    for _ in 0..64 {
        assert_eq!(ask(&mut stage, &ahead_ms, &["/plain/0"; 16]), 0);
    }
    assert_eq!(ask(&mut stage, &ahead_ms, &["/plain/50"]), 0);
    stage.advance(Duration::from_millis(49));
    assert_eq!(ask(&mut stage, &ahead_ms, &["/plain/50", "/awaited/50"]), 0);
    stage.advance(Duration::from_millis(50));
    assert_eq!(ask(&mut stage, &ahead_ms, &["/plain/50", "/awaited/50"]), 2);
}
