//! fastwebsockets behind hyper on tokio's current-thread runtime, as its example of an echo server does;
//! with its halves apart where messages are relayed to all others.
//! It must never use more than one thread.
#![forbid(unsafe_code)]

use std::convert::Infallible;
use std::io;
use std::rc::Rc;

use clap::Parser;
use fastwebsockets::upgrade::{UpgradeFut, upgrade};
use fastwebsockets::{FragmentCollector, FragmentCollectorRead, Frame, OpCode, Payload};
use fastwebsockets::{WebSocket, WebSocketError};
use http_body_util::Empty;
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use peers::{Audience, MESSAGE_BYTES_MAX, Options, listener};
use tokio::net::TcpListener;
use tokio::task::{LocalSet, spawn_local, unconstrained};

fn main() -> io::Result<()> {
    let options = Options::parse();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    LocalSet::new().block_on(&runtime, serve(options))
}

async fn serve(options: Options) -> io::Result<()> {
    let listener = TcpListener::from_std(listener(options.listen)?)?;
    let audience = Rc::new(Audience::default());
    loop {
        let (stream, _) = listener.accept().await?;
        let audience = Rc::clone(&audience);
        spawn_local(async move {
            let answer = service_fn(move |request| answer(request, Rc::clone(&audience)));
            let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), answer);
            // One that breaks is its client's to tell of.
            let _ = connection.with_upgrades().await;
        });
    }
}

async fn answer(
    mut request: Request<Incoming>,
    audience: Rc<Audience>,
) -> Result<Response<Empty<Bytes>>, WebSocketError> {
    let (response, upgraded) = upgrade(&mut request)?;
    match request.uri().path() {
        "/bc" => _ = spawn_local(unconstrained(relay(upgraded, audience))),
        _ => _ = spawn_local(unconstrained(echo(upgraded))),
    }
    Ok(response)
}

async fn echo(upgraded: UpgradeFut) -> Result<(), WebSocketError> {
    let mut socket = upgraded.await?;
    socket.set_max_message_size(MESSAGE_BYTES_MAX);
    let mut socket = FragmentCollector::new(socket);
    loop {
        let frame = socket.read_frame().await?;
        match frame.opcode {
            OpCode::Close => return Ok(()),
            OpCode::Text | OpCode::Binary => socket.write_frame(frame).await?,
            _ => {}
        }
    }
}

async fn relay(upgraded: UpgradeFut, audience: Rc<Audience>) -> Result<(), WebSocketError> {
    let (reader, mut writer) = WebSocket::split(upgraded.await?, tokio::io::split);
    let (own, mut heard) = audience.join();
    spawn_local(unconstrained(async move {
        while let Some(message) = heard.recv().await {
            let payload = Payload::Borrowed(&message);
            writer.write_frame(Frame::binary(payload)).await?;
        }
        Ok::<(), WebSocketError>(())
    }));
    let mut reader = FragmentCollectorRead::new(reader);
    loop {
        let frame = reader.read_frame(&mut async |_| Ok::<(), Infallible>(())).await?;
        match frame.opcode {
            OpCode::Close => break,
            _ => audience.tell(own, &Bytes::copy_from_slice(&frame.payload)),
        }
    }
    audience.leave(own);
    Ok(())
}
