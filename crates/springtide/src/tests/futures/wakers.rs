//! Wakers of the application that panic: whoever else was to be woken still is.
//! Each panic ends nothing.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use super::{ask, get};
use crate::tests::{Backend, Stage};
use crate::{Request, Server, sleep};

struct Panics;

impl Wake for Panics {
    fn wake(self: Arc<Self>) {
        panic!("on purpose");
    }
}

/// Polls a future once with a waker that panics.
fn poll_badly(future: std::pin::Pin<&mut impl Future>) {
    let waker = Waker::from(Arc::new(Panics));
    assert!(future.poll(&mut Context::from_waker(&waker)).is_pending());
}

#[test]
fn timers_of_others_go_on() {
    const SECOND: Duration = Duration::from_secs(1);
    let server = Server::new()
        .get("/good", async |_: Request| {
            sleep(SECOND).await;
            "woken"
        })
        .get("/bad", async |_: Request| {
            let mut pause = pin!(sleep(SECOND));
            poll_badly(pause.as_mut());
            sleep(SECOND * 9).await;
        });
    let mut stage = Stage::new(Backend::Simulated, server);
    let paths = ["/good", "/bad", "/good", "/bad", "/good"];
    let mut peers: Vec<_> = paths.iter().map(|path| ask(&stage, path)).collect();
    stage.advance(Duration::ZERO);
    stage.advance(SECOND);
    for (peer, path) in peers.iter_mut().zip(paths) {
        let mut received = Vec::new();
        peer.read(&mut received);
        assert_eq!(received.ends_with(b"woken"), path == "/good", "{path}");
    }
}

/// A client goes: a listener that panics keeps the future from no last poll.
#[test]
fn listeners_of_a_client_s_going_are_all_told() {
    let is_told = Arc::new(AtomicBool::new(false));
    let own = is_told.clone();
    let server = Server::new().get("/", async move |request: Request| {
        let (mut bad, mut good) = (pin!(request.closed()), pin!(request.closed()));
        poll_badly(bad.as_mut());
        std::future::poll_fn(|context| good.as_mut().poll(context)).await;
        own.store(true, Ordering::Relaxed);
        std::future::poll_fn(|_| Poll::<()>::Pending).await;
    });
    let mut stage = Stage::new(Backend::Simulated, server);
    let mut peer = stage.connect();
    assert!(peer.write(get("/").as_bytes()) > 0);
    stage.advance(Duration::ZERO);
    peer.reset();
    stage.advance(Duration::ZERO);
    assert!(is_told.load(Ordering::Relaxed));
}

/// A future that has listened and ends first leaves nothing of itself behind.
#[test]
fn who_has_listened_is_forgotten() {
    let server = Server::new().get("/", async |request: Request| {
        let mut closed = pin!(request.closed());
        let first = std::future::poll_fn(|context| Poll::Ready(closed.as_mut().poll(context)));
        assert!(first.await.is_pending());
        "heard nothing"
    });
    let mut stage = Stage::new(Backend::Simulated, server);
    let mut peer = ask(&stage, "/");
    stage.advance(Duration::ZERO);
    let mut received = Vec::new();
    peer.read(&mut received);
    assert!(received.ends_with(b"heard nothing"));
    assert_eq!(stage.held().spare_alarms, 1, "nobody holds what it listened to");
}
