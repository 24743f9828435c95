//! tokio-tungstenite on tokio's current-thread runtime: a task for each connection, as its examples of an
//! echo and of a chat server have.
//! It must never use more than one thread.
#![forbid(unsafe_code)]

use std::io;
use std::rc::Rc;

use clap::Parser;
use futures_util::{SinkExt, StreamExt};
use peers::{Audience, Options, listener};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{LocalSet, spawn_local};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::server::{Request, Response};
use tokio_tungstenite::{WebSocketStream, accept_hdr_async};

fn main() -> io::Result<()> {
    let options = Options::parse();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    LocalSet::new().block_on(&runtime, serve(options))
}

async fn serve(options: Options) -> io::Result<()> {
    let listener = TcpListener::from_std(listener(options.listen)?)?;
    let audience = Rc::new(Audience::default());
    loop {
        let (stream, _) = listener.accept().await?;
        spawn_local(answer(stream, Rc::clone(&audience)));
    }
}

async fn answer(stream: TcpStream, audience: Rc<Audience>) {
    let mut relays = false;
    #[allow(clippy::result_large_err, reason = "the type of the callback is the crate's")]
    let look = |request: &Request, response: Response| {
        relays = request.uri().path() == "/bc";
        Ok(response)
    };
    let Ok(socket) = accept_hdr_async(stream, look).await else { return };
    if relays { relay(socket, &audience).await } else { echo(socket).await }
}

async fn echo(mut socket: WebSocketStream<TcpStream>) {
    while let Some(Ok(message)) = socket.next().await {
        let is_data = message.is_text() || message.is_binary();
        if is_data && socket.send(message).await.is_err() {
            return;
        }
    }
}

async fn relay(socket: WebSocketStream<TcpStream>, audience: &Audience) {
    let (mut writer, mut reader) = socket.split();
    let (own, mut heard) = audience.join();
    spawn_local(async move {
        while let Some(message) = heard.recv().await {
            if writer.send(Message::Binary(message)).await.is_err() {
                return;
            }
        }
    });
    while let Some(Ok(message)) = reader.next().await {
        if message.is_binary() {
            audience.tell(own, &message.into_data());
        }
    }
    audience.leave(own);
}
