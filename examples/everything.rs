//! One port for HTTP, WebSockets and a protocol of one's own, and one value that hears of everything there.
//! `cargo run --release --example everything`, then `nc 127.0.0.1 7000`, `curl localhost:7000/any`, or a
//! WebSocket to `ws://localhost:7000/live`.

use springtide::events::{self, Events, Failed, Protocol};
use springtide::{
    Bytes, CloseReason, Error, IntoResponse, Message, Peer, PeerId, Reason, Request, Response,
    Server, Socket,
};

/// Says back what comes, whatever it comes by, and tells of it on standard output.
struct Everything;

impl Events for Everything {
    fn accepted(&self, peer: Peer, protocol: Protocol) {
        println!("{}: {protocol:?}", peer.id());
    }

    fn raw_read(&self, peer: Peer, bytes: Bytes) {
        peer.push(bytes).detach();
    }

    fn request(&self, request: Request) -> Response {
        format!("you have asked for {}\n", request.path()).into_response()
    }

    fn message(&self, socket: Socket, message: Message) {
        socket.send(message);
    }

    fn raw_written(&self, peer: Peer, bytes: usize) {
        println!("{}: {bytes} bytes are gone", peer.id());
    }

    fn raw_closed(&self, peer: Peer, reason: Reason) {
        println!("{}: {reason}", peer.id());
    }

    fn http_closed(&self, id: PeerId, reason: Reason) {
        println!("{id}: {reason}");
    }

    fn websocket_closed(&self, socket: Socket, reason: CloseReason) {
        println!("{}: {reason}", socket.id());
    }

    fn failed(&self, failed: Failed) {
        println!("{failed}");
    }
}

fn main() -> Result<(), Error> {
    Server::new()
        .raw(events::pull)
        .fallback(events::answer)
        .websocket("/live", |_: Socket, _: Message| {})
        .events(Everything)
        .listen("127.0.0.1:7000")?
        .run()
}
