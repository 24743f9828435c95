//! The server of these histories: handlers that do what their peers ask for, and write down what they
//! were told and said.
//! They never look at what they were not told.

use std::time::Duration;

use springtide::{
    Bytes, CloseFrame, CloseReason, Compression, Failure, Message, MessageParts, Messages,
    Overflow, Request, Response, Server, Socket, Subscribed, WebSocket, WebSockets, sleep,
};

use super::marks::Mark;
use super::script::{NAMES, TOPICS, Verb, Way};
use super::told::{By, Told};

/// How messages of a route are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Coding {
    Plain,
    Shared,
    Dedicated,
}

/// What a peer asks for in its handshake.
#[derive(Clone, Copy, Debug)]
pub(super) struct Route {
    pub(super) way: Way,
    pub(super) overflow: Overflow,
    pub(super) coding: Coding,
}

/// All policies.
pub(super) const OVERFLOWS: [Overflow; 4] =
    [Overflow::Close, Overflow::DropNewest, Overflow::DropOldest, Overflow::KeepLatest];
const WAYS: [Way; 3] = [Way::Called, Way::Awaited, Way::InParts];
const CODINGS: [Coding; 3] = [Coding::Plain, Coding::Shared, Coding::Dedicated];
/// So much of a message is a part.
const PART_BYTES_MIN: u32 = 500;

impl Route {
    pub(super) fn target(self, number: u32) -> String {
        let overflow = OVERFLOWS.iter().position(|own| *own == self.overflow);
        let overflow = overflow.unwrap_or_default();
        format!("/{}/{overflow}/{}?n={number}", self.way as u8, self.coding as u8)
    }

    fn of(request: &Request) -> Option<(Self, u32)> {
        let number = |name: &str| request.param(name).parse::<usize>().ok();
        let route = Self {
            way: *WAYS.get(number("way")?)?,
            overflow: *OVERFLOWS.get(number("overflow")?)?,
            coding: *CODINGS.get(number("coding")?)?,
        };
        Some((route, request.query_value("n")?.parse().ok()?))
    }
}

/// A server that writes down what happens.
pub(super) fn server(told: &Told) -> Server {
    let told = told.clone();
    Server::new().get("/{way}/{overflow}/{coding}", move |request: Request| {
        match Route::of(&request) {
            Some((route, number)) => answer(&request, route, number, told.clone()),
            None => panic!("a peer asks for what is"),
        }
    })
}

fn answer(request: &Request, route: Route, number: u32, told: Told) -> Response {
    let sockets = match route.way {
        Way::Called => WebSockets::new(Called { number, told }),
        Way::Awaited => WebSockets::new_async(async move |socket, messages| {
            serve(socket, messages, number, told.clone()).await
        }),
        Way::InParts => WebSockets::in_parts(PART_BYTES_MIN, async move |socket, parts| {
            serve_parts(socket, parts, number, told.clone()).await
        }),
    };
    let sockets = sockets.overflow(route.overflow).compress_bytes_min(64);
    request.websocket(match route.coding {
        Coding::Plain => sockets,
        Coding::Shared => sockets.compress(Compression::Shared),
        Coding::Dedicated => sockets.compress(Compression::Dedicated),
    })
}

/// The callbacks of one connection.
struct Called {
    number: u32,
    told: Told,
}

impl WebSocket for Called {
    fn opened(&self, socket: Socket) {
        self.told.open(self.number, socket.id());
    }

    fn message(&self, socket: Socket, message: Message) {
        let Some((verb, id)) = self.told.hear(self.number, &message) else { return };
        assert!(verb != Verb::Fail, "on purpose");
        obey(socket, self.number, &self.told, verb, id, message);
    }

    fn pong(&self, _: Socket, payload: Bytes) {
        self.told.pong(self.number, &payload);
    }

    fn closed(&self, _: Socket, reason: CloseReason) {
        self.told.close(self.number, Some(reason));
    }
}

/// Does what needs no waiting.
fn obey(socket: Socket, number: u32, told: &Told, verb: Verb, id: usize, message: Message) {
    match verb {
        Verb::Echo => {
            told.echo(number, id, &message);
            socket.send(message);
        }
        Verb::Send(count, len) => {
            for _ in 0..count {
                socket.send(told.say(number, By::Handler, len));
            }
        }
        Verb::Subscribe(name) => {
            let is_taken = socket.subscribe(NAMES[name]) == Subscribed::Yes;
            told.subscribe(number, name, is_taken);
        }
        Verb::Unsubscribe(name) => {
            told.unsubscribe(number, name, socket.unsubscribe(NAMES[name]));
        }
        Verb::Publish { topic, count, len, to_others } => {
            for _ in 0..count {
                let except = to_others.then_some(number);
                let (at, message) = told.publish(number, topic, len, except, Vec::new());
                let refused = match to_others {
                    true => socket.publish_to_others(TOPICS[topic], message),
                    false => socket.publish(TOPICS[topic], message),
                };
                told.refuse(at, refused);
            }
        }
        Verb::Ping => socket.ping(told.ping(number)),
        Verb::Remote => told.log().arrive(number, socket.remote()),
        Verb::Close(code) => {
            told.closing(number);
            socket.close_with(CloseFrame::new(code, "as asked").unwrap_or_default());
        }
        Verb::Nothing | Verb::Stream(..) | Verb::Wait(_) | Verb::Fail | Verb::Return => {}
    }
}

/// Whether a future goes on.
enum Flow {
    On,
    Done,
}

/// The same for futures.
async fn obey_later(
    socket: Socket,
    number: u32,
    told: &Told,
    message: Message,
) -> Result<Flow, Failure> {
    let Some((verb, id)) = told.hear(number, &message) else { return Ok(Flow::On) };
    match verb {
        Verb::Fail => return Err(std::io::Error::other("on purpose").into()),
        Verb::Return => return Ok(Flow::Done),
        Verb::Wait(ms) => sleep(Duration::from_millis(ms)).await,
        Verb::Stream(pieces, len) => stream(socket, number, told, pieces, len).await,
        verb => {
            obey(socket, number, told, verb, id, message);
            if id.is_multiple_of(2) {
                // Who is not there any more is told so with the next message.
                let _ = socket.ready().await;
            }
        }
    }
    Ok(Flow::On)
}

/// Sends a message in pieces, unless the connection ends before.
async fn stream(socket: Socket, number: u32, told: &Told, pieces: usize, len: usize) {
    let message = told.say(number, By::Streamed, pieces * len);
    let mut writer = socket.stream();
    match message.as_text() {
        Some(text) => {
            let mut rest = text;
            while !rest.is_empty() {
                let bounds = (len..rest.len()).find(|at| rest.is_char_boundary(*at));
                let (piece, behind) = rest.split_at(bounds.unwrap_or(rest.len()));
                rest = behind;
                if writer.write(piece).await.is_err() {
                    return;
                }
            }
        }
        None => {
            for piece in message.as_bytes().chunks(len) {
                if writer.write(piece.to_vec()).await.is_err() {
                    return;
                }
            }
        }
    }
    if writer.finish().await.is_ok() {
        told.mark(Mark::Streamed);
    }
}

async fn serve(
    socket: Socket,
    mut messages: Messages,
    number: u32,
    told: Told,
) -> Result<(), Failure> {
    let _future = told.begin(number, socket.id());
    loop {
        match messages.next().await {
            Ok(Some(message)) => match obey_later(socket, number, &told, message).await? {
                Flow::On => {}
                Flow::Done => return Ok(()),
            },
            Ok(None) => {
                told.close(number, messages.reason());
                return Ok(());
            }
            Err(reason) => {
                told.close(number, Some(reason));
                return Ok(());
            }
        }
    }
}

/// The same, from parts.
async fn serve_parts(
    socket: Socket,
    mut parts: MessageParts,
    number: u32,
    told: Told,
) -> Result<(), Failure> {
    let _future = told.begin(number, socket.id());
    let (mut bytes, mut is_text) = (Vec::new(), false);
    loop {
        let part = match parts.next().await {
            Ok(Some(part)) => part,
            Ok(None) => {
                told.close(number, parts.reason());
                return Ok(());
            }
            Err(reason) => {
                told.close(number, Some(reason));
                return Ok(());
            }
        };
        is_text |= part.piece.as_text().is_some();
        bytes.extend_from_slice(part.piece.as_bytes());
        if !part.is_last {
            continue;
        }
        let whole = std::mem::take(&mut bytes);
        let message = match std::mem::take(&mut is_text) {
            true => Message::from(String::from_utf8_lossy(&whole).into_owned()),
            false => Message::from(whole),
        };
        match obey_later(socket, number, &told, message).await? {
            Flow::On => {}
            Flow::Done => return Ok(()),
        }
    }
}
