//! Messages that are sent in pieces, and every way in which their writer hears that one is not.

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;

use super::Log;
use super::awaited::{lines, opened};
use crate::limits::STREAM_LOW_BYTES;
use crate::tests::{Backend, over_all_backends};
use crate::{CloseFrame, Message, Messages, Server, Socket};

/// A close of this side, or of a server that stops, goes behind the message that is being sent in pieces
/// and what was said before it; nothing begins behind it.
fn a_close_waits_for_the_message_in_pieces(backend: Backend) {
    const PIECES: usize = 400;
    for code in [4000, 1001] {
        let server =
            Server::new().websocket_async("/", async move |socket: Socket, _: Messages| {
                let mut message = socket.stream();
                message.write("first ").await?;
                socket.send("between");
                if code == 4000 {
                    socket.close_with(CloseFrame::new(code, "").unwrap());
                }
                for _ in 0..PIECES {
                    message.write("x".repeat(10_000)).await?;
                }
                message.finish().await?;
                assert!(socket.stream().write("late").await.is_err());
                Ok(())
            });
        let (mut stage, mut client) = opened(backend, server);
        (0..200).for_each(|_| stage.turn());
        if code == 1001 {
            stage.send(crate::mailbox::Message::Drain { within_ms: 30_000 });
        }
        (0..20).for_each(|_| stage.turn());
        client.until_ended(&mut stage);
        assert_eq!(client.closed.as_ref().map(CloseFrame::code), Some(code));
        let read = client.messages(&mut stage, 2);
        assert_eq!(read[0].len(), "first ".len() + 10_000 * PIECES);
        assert_eq!(read[1..], [Message::from("between")]);
        assert_eq!((stage.counts().messages_sent, stage.counts().messages_dropped), (2, 0));
    }
}

/// A message whose first piece was cancelled while it waited for its turn is none, and says so.
fn a_message_that_was_cancelled_before_its_turn_is_none(backend: Backend) {
    let server = Server::new().websocket_async("/", async |socket: Socket, _: Messages| {
        let (mut first, mut second) = (socket.stream(), socket.stream());
        first.write("first").await?;
        {
            let mut lost = std::pin::pin!(second.write("lost"));
            poll_fn(|context| {
                assert!(lost.as_mut().poll(context).is_pending());
                Poll::Ready(())
            })
            .await;
        }
        first.finish().await?;
        assert_eq!(second.write("more").await, Err(crate::Reason::Cancelled));
        assert_eq!(second.finish().await, Err(crate::Reason::Cancelled));
        socket.send("last");
        Ok(())
    });
    let (mut stage, mut client) = opened(backend, server);
    assert_eq!(client.messages(&mut stage, 2), [Message::from("first"), "last".into()]);
    client.until_ended(&mut stage);
    assert_eq!(client.closed.as_ref().map(CloseFrame::code), Some(1000));
}

/// Who finishes a message to a connection that is gone hears of that.
fn a_message_to_nobody_is_not_finished(backend: Backend) {
    let log = Log::default();
    let own = log.clone();
    let server =
        Server::new().websocket_async("/", async move |socket: Socket, mut messages: Messages| {
            let mut message = socket.stream();
            message.write("half").await?;
            own.add(messages.next().await.is_err().to_string());
            own.add(message.finish().await.is_err().to_string());
            Ok(())
        });
    let (mut stage, client) = opened(backend, server);
    (0..50).for_each(|_| stage.turn());
    client.peer.reset();
    lines(&mut stage, &log, &["true", "true"]);
}

/// Messages that are whole when they begin go out as others do: as much at a time as is sent soon.
#[test]
fn many_that_begin_do_not_go_at_once() {
    const MESSAGES: usize = 40_000;
    let done = Arc::new(AtomicUsize::new(0));
    let own = Arc::clone(&done);
    let server = Server::new().websocket_async("/", async move |socket: Socket, _: Messages| {
        let mut first = socket.stream();
        first.write("first").await?;
        let mut others: Vec<_> =
            (0..MESSAGES).map(|_| Box::pin(socket.stream().finish())).collect();
        poll_fn(|context| {
            let are_waiting = others.iter_mut().all(|own| own.as_mut().poll(context).is_pending());
            assert!(are_waiting, "they wait for the first");
            Poll::Ready(())
        })
        .await;
        first.finish().await?;
        for other in others {
            other.await?;
            own.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    });
    let (mut stage, mut client) = opened(Backend::Simulated, server);
    let mut most = 0;
    while done.load(Ordering::Relaxed) < MESSAGES {
        let before = done.load(Ordering::Relaxed);
        client.step(&mut stage);
        most = most.max(done.load(Ordering::Relaxed) - before);
    }
    // A frame without bytes has two.
    assert!((1..=STREAM_LOW_BYTES / 4 / 2).contains(&most), "{most} in a turn");
}

over_all_backends!(
    a_close_waits_for_the_message_in_pieces,
    a_message_that_was_cancelled_before_its_turn_is_none,
    a_message_to_nobody_is_not_finished,
);
