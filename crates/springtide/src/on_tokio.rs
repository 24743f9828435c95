//! Futures that need tokio, on a runtime of its own beside the shards (feature `tokio`).
//! No shard runs one of them: a shard only waits for what they give, as for anything else.

use std::pin::Pin;
use std::sync::OnceLock;
use std::task::{Context, Poll, ready};

use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinHandle;

use crate::current;
use crate::server::Server;

/// Threads of the runtime, unless the server says how many.
const THREADS: usize = 2;

/// Runs a future on tokio, and gives what it gives: for libraries that want a tokio runtime around
/// them, such as clients of databases. It is awaited in an async handler.
///
/// The future is `Send`, as it runs on another thread; the handler that waits for it stays on its
/// shard and need not be. Each such call costs two changes of threads, some tens of microseconds where
/// the threads sleep. Dropped before its end, as when its client goes, it is aborted at its next
/// suspension; what it gave to `spawn_blocking` runs on. A panic in it is one of the handler, so a 500.
///
/// There is one runtime for a server. The first call starts it, with as many threads as
/// [`Server::tokio_threads`] says, and as many again for `spawn_blocking`; it ends when the server
/// does, without waiting for what still runs.
///
/// In a simulated world ([`test::World`](crate::test::World)) the future runs to its end where it is
/// first awaited, on the world's own thread, so that a reply needs no real waiting in the test; time
/// that it sees is real, and the world's history is only as reproducible as the future.
///
/// ```
/// use springtide::{Request, Server, on_tokio};
///
/// let server = Server::new().get("/", async |_: Request| {
///     on_tokio(async { tokio::task::spawn_blocking(|| "from tokio").await.unwrap() }).await
/// });
/// # let mut world = springtide::test::World::new(1);
/// # world.serve(server);
/// # let mut peer = world.connect();
/// # let _ = peer.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n");
/// # world.settle();
/// # assert_eq!(peer.reply().unwrap().body(), b"from tokio");
/// ```
///
/// # Panics
/// When it is polled anywhere but in an async handler on its shard, or the system has no threads for
/// the runtime.
pub async fn on_tokio<F>(future: F) -> F::Output
where
    F: Future<Output: Send> + Send + 'static,
{
    let task = {
        let shared = current::shard().expect("on_tokio is awaited in an async handler");
        let runtime = shared.router.states.side.runtime();
        let is_in_world = shared.engine.borrow().name() == "simulated";
        if is_in_world {
            return runtime.block_on(future);
        }
        Task(runtime.spawn(future))
    };
    task.await
}

/// A future on its way at the runtime, which is aborted when nobody waits for it any more.
struct Task<T>(JoinHandle<T>);

impl<T> Future for Task<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        match ready!(Pin::new(&mut self.0).poll(context)) {
            Ok(output) => Poll::Ready(output),
            Err(ended) if ended.is_panic() => std::panic::resume_unwind(ended.into_panic()),
            // The runtime has ended, and the server with it.
            Err(_) => Poll::Pending,
        }
    }
}

impl<T> Drop for Task<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// The runtime of a server, once it is needed.
#[derive(Default)]
pub(crate) struct Side {
    threads: Option<usize>,
    runtime: OnceLock<Result<Runtime, String>>,
}

impl Side {
    fn runtime(&self) -> &Runtime {
        let started = self.runtime.get_or_init(|| {
            let threads = self.threads.unwrap_or(THREADS).max(1);
            let mut builder = Builder::new_multi_thread();
            builder.worker_threads(threads).max_blocking_threads(threads);
            builder.thread_name("springtide-tokio").enable_all().build().map_err(|e| e.to_string())
        });
        match started {
            Ok(runtime) => runtime,
            Err(reason) => panic!("the tokio runtime cannot be started: {reason}"),
        }
    }
}

impl Drop for Side {
    fn drop(&mut self) {
        if let Some(Ok(runtime)) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Server {
    /// How many threads the runtime has that [`on_tokio`] uses, and how many further ones at most for
    /// what blocks (`spawn_blocking`); 2 by default.
    ///
    /// ```
    /// let server = springtide::Server::new().tokio_threads(4);
    /// ```
    #[must_use]
    pub fn tokio_threads(mut self, count: usize) -> Self {
        self.routes.states.side.threads = Some(count);
        self
    }
}
