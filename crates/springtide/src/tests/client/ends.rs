//! How answers end: by a reset behind them while their reader is slow, and by a failure of the request's
//! own body.

use std::io::Write;
use std::net::TcpListener;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use super::super::futures::{Desk, until_waiting};
use super::super::{Backend, Stage, over_system_backends};
use super::upstream::{accept, answer, said};
use crate::{HttpClient, Request, Server};

over_system_backends!(a_whole_answer_outlives_a_reset, a_failed_upload_fails_for_good);

/// More than waits for a reader, and less than that and what waits in front of it.
const LENGTH: usize = 100_000;

fn stage(
    backend: Backend,
    ask: impl AsyncFn(HttpClient, String) -> String + Clone + Send + Sync + 'static,
) -> (Stage, TcpListener) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let client = HttpClient::new();
    let server =
        Server::new().get("/", async move |_: Request| ask(client.clone(), url.clone()).await);
    (Stage::new(backend, server), listener)
}

/// What was received is whole, whatever becomes of its connection; what is not whole is none.
fn a_whole_answer_outlives_a_reset(backend: Backend) {
    for (missing, expected) in [(0, "100000~"), (1, "the connection broke")] {
        let desk: Arc<Desk> = Arc::default();
        let own = Arc::clone(&desk);
        let (mut stage, listener) = stage(backend, async move |client, url| {
            let answer = client.get(&url).send().await.unwrap();
            own.wait(0).await;
            match answer.bytes().await {
                Ok(bytes) => format!("{}~", bytes.len()),
                Err(error) => format!("{error}~"),
            }
        });
        let mut peer = stage.connect();
        assert!(peer.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n") > 0);
        let mut stream = accept(&mut stage, &listener);
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {LENGTH}\r\n\r\n");
        answer(&mut stage, &mut stream, &head);
        let before = stage.counts().bytes_received;
        stream.set_nonblocking(false).unwrap();
        stream.write_all(&vec![b'x'; LENGTH - missing]).unwrap();
        let whole = (LENGTH - missing) as u64;
        until_waiting(&mut stage, &desk, 1);
        stage.until(|stage| (stage.counts().bytes_received >= before + whole).then_some(()));
        socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO)).unwrap();
        drop(stream);
        (0..50).for_each(|_| stage.turn());
        desk.let_go(0).wake();
        let said = said(&mut stage, &mut peer, "~");
        assert!(said.contains(&format!("\r\n\r\n{expected}")), "{said}");
        stage.until(|stage| (stage.at_desk() == [0; 4]).then_some(()));
    }
}

/// A body that breaks when its future ends.
struct Breaking(Pin<Box<dyn Future<Output = ()>>>);

impl futures_core::Stream for Breaking {
    type Item = Result<bytes::Bytes, std::io::Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.as_mut().poll(context).map(|()| Some(Err(std::io::Error::other("a storm"))))
    }
}

/// The answer has begun when the request's own body breaks: nothing ends well from there on.
fn a_failed_upload_fails_for_good(backend: Backend) {
    let desk: Arc<Desk> = Arc::default();
    let own = Arc::clone(&desk);
    let (mut stage, listener) = stage(backend, async move |client, url| {
        let own = Arc::clone(&own);
        let broken = Breaking(Box::pin(async move { own.wait(0).await }));
        let answer = client.put(&url).body_stream(broken, None).send().await.unwrap();
        let (mut body, mut said) = (answer.into_body(), String::new());
        for _ in 0..3 {
            said.push_str(&match body.next().await {
                Ok(Some(piece)) => format!("{}, ", String::from_utf8_lossy(&piece)),
                Ok(None) => "the end, ".to_owned(),
                Err(error) => format!("{error}, "),
            });
        }
        said + "~"
    });
    let mut peer = stage.connect();
    assert!(peer.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n") > 0);
    let mut stream = accept(&mut stage, &listener);
    answer(&mut stage, &mut stream, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhalf");
    until_waiting(&mut stage, &desk, 1);
    (0..50).for_each(|_| stage.turn());
    desk.let_go(0).wake();
    let said = said(&mut stage, &mut peer, "~");
    let storm = "the request's own body: a storm";
    assert!(said.ends_with(&format!("\r\n\r\nhalf, {storm}, {storm}, ~")), "{said}");
}
