//! Futures on the side runtime, over every backend: what they give, how they fail, who drops them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::futures::{ask, read_until};
use super::{Backend, Stage, over_still_backends, over_system_backends};
use crate::{Request, Server, on_tokio};

/// Says that it was dropped.
struct Witness(Arc<AtomicBool>);

impl Drop for Witness {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}

fn what_tokio_gives_is_the_answer(backend: Backend) {
    let server = Server::new().tokio_threads(1).get("/", async |_: Request| {
        let first = on_tokio(async { tokio::task::spawn_blocking(|| "from ").await.unwrap() });
        let second = on_tokio(async {
            tokio::task::yield_now().await;
            "tokio"
        });
        format!("{}{}", first.await, second.await)
    });
    let mut stage = Stage::new(backend, server);
    for _ in 0..3 {
        let mut peer = ask(&stage, "/");
        assert!(read_until(&mut stage, &mut peer, "from tokio").starts_with("HTTP/1.1 200 "));
    }
}

/// A panic there is one of its handler, and only of that.
fn a_panic_is_the_handlers(backend: Backend) {
    let server = Server::new()
        .get("/panic", async |_: Request| -> &'static str {
            on_tokio(async { panic!("on purpose") }).await
        })
        .get("/", async |_: Request| on_tokio(async { "tokio" }).await);
    let mut stage = Stage::new(backend, server);
    let mut peer = ask(&stage, "/panic");
    let said = read_until(&mut stage, &mut peer, "Internal Server Error");
    assert!(said.starts_with("HTTP/1.1 500 "), "{said}");
    assert_eq!(stage.counts().panics_total, 1);
    let mut peer = ask(&stage, "/");
    read_until(&mut stage, &mut peer, "tokio");
}

/// A client that goes takes what runs for it along.
fn who_is_not_waited_for_is_aborted(backend: Backend) {
    let (has_begun, is_gone) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    let (begun, gone) = (has_begun.clone(), is_gone.clone());
    let server = Server::new().get("/", async move |_: Request| {
        let (begun, witness) = (begun.clone(), Witness(gone.clone()));
        on_tokio(async move {
            let _witness = witness;
            begun.store(true, Ordering::Release);
            std::future::pending::<&str>().await
        })
        .await
    });
    let mut stage = Stage::new(backend, server);
    let peer = ask(&stage, "/");
    until(&mut stage, &has_begun);
    peer.reset();
    until(&mut stage, &is_gone);
}

/// What is dropped with its server ends with that.
fn the_runtime_ends_with_its_server(backend: Backend) {
    let (has_begun, is_gone) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    let (begun, gone) = (has_begun.clone(), is_gone.clone());
    let server = Server::new().get("/", async move |_: Request| {
        let (begun, witness) = (begun.clone(), Witness(gone.clone()));
        on_tokio(async move {
            // Nobody who waits for this one would abort it.
            tokio::spawn(async move {
                let _witness = witness;
                begun.store(true, Ordering::Release);
                std::future::pending::<()>().await;
            });
        })
        .await
    });
    let mut stage = Stage::new(backend, server);
    let _peer = ask(&stage, "/");
    until(&mut stage, &has_begun);
    drop(stage);
    while !is_gone.load(Ordering::Acquire) {
        std::thread::yield_now();
    }
}

/// Threads have their own time: so many turns say nothing of it.
fn until(stage: &mut Stage, flag: &AtomicBool) {
    stage.until(|_| {
        std::thread::yield_now();
        flag.load(Ordering::Acquire).then_some(())
    });
}

over_still_backends!(what_tokio_gives_is_the_answer, a_panic_is_the_handlers);

mod on_threads {
    use super::{the_runtime_ends_with_its_server, who_is_not_waited_for_is_aborted};

    super::over_system_backends!(
        who_is_not_waited_for_is_aborted,
        the_runtime_ends_with_its_server
    );
}
