//! Sends back what it receives, directly on the engine: what a connection costs with nothing on it.
//! It keeps no state of a protocol, only what waits to be sent.
//!
//! `cargo run --release -p springtide-engine --example engine_echo -- --listen 127.0.0.1:7000 --engine uring`

use std::net::SocketAddr;

use springtide_engine::{
    Address, Choice, Completion, Descriptor, Engine, EngineOptions, Error, Handle, ListenOptions,
    Mechanism, Op, Outcome, Piece, descriptors_max_raise,
};

/// One connection, named by its descriptor's number.
struct Connection {
    socket: Descriptor,
    /// Received and not yet handed to a send.
    waiting: Vec<u8>,
    sending: bool,
    /// The peer has ended its stream, or is gone: close when all is sent.
    ended: bool,
    closing: bool,
}

/// Buffers above this are not kept for the next send.
const SPARE_BYTES_MAX: usize = 64 * 1024;

struct Echo {
    engine: Engine,
    connections: Vec<Option<Connection>>,
    /// Connections to look at when the turn's completions are through.
    dirty: Vec<u64>,
    /// Piece lists with their buffers, as sends gave them back.
    spare: Vec<Vec<Piece>>,
}

const LISTENER: u64 = u64::MAX;

impl Echo {
    fn handle(&mut self, completion: Completion) -> Result<(), Error> {
        let token = completion.token;
        let connection = match completion.outcome {
            Outcome::Accepted(socket) => {
                self.open(socket);
                return Ok(());
            }
            Outcome::Failed(error, _) if token == LISTENER => return Err(error),
            _ => usize::try_from(token).ok().and_then(|index| self.connections[index].as_mut()),
        };
        let Some(connection) = connection else { return Ok(()) };
        match completion.outcome {
            Outcome::Received(chunk) => connection.waiting.extend_from_slice(chunk.as_slice()),
            Outcome::EndOfStream => connection.ended = true,
            Outcome::Sent(pieces) => {
                connection.sending = false;
                self.spare.push(pieces);
            }
            Outcome::Failed(..) => {
                connection.sending = false;
                connection.ended = true;
                connection.waiting.clear();
            }
            Outcome::Done => {
                self.connections[usize::try_from(token).expect("a descriptor's number")] = None;
                return Ok(());
            }
            _ => {}
        }
        self.dirty.push(token);
        Ok(())
    }

    fn open(&mut self, socket: Descriptor) {
        let token = u64::try_from(socket.number()).expect("descriptors are not negative");
        let index = usize::try_from(token).expect("a descriptor's number");
        if index >= self.connections.len() {
            self.connections.resize_with(index + 1, || None);
        }
        let (sending, ended, closing) = (false, false, false);
        let fresh = Connection { socket, waiting: Vec::new(), sending, ended, closing };
        self.connections[index] = Some(fresh);
        self.engine.submit(Op::Receive { socket }, token);
    }

    /// What a turn brought to one connection leaves in one send.
    fn flush(&mut self) {
        for token in self.dirty.drain(..) {
            let index = usize::try_from(token).expect("a descriptor's number");
            let Some(connection) = &mut self.connections[index] else { continue };
            if connection.sending || connection.closing {
                continue;
            }
            let socket = connection.socket;
            if connection.waiting.is_empty() {
                if connection.ended {
                    connection.closing = true;
                    self.engine.submit(Op::Close { descriptor: socket }, token);
                }
                continue;
            }
            let mut pieces = self.spare.pop().unwrap_or_default();
            let mut buffer = match pieces.pop() {
                Some(Piece::Owned(buffer)) if buffer.capacity() <= SPARE_BYTES_MAX => buffer,
                _ => Vec::new(),
            };
            buffer.clear();
            std::mem::swap(&mut buffer, &mut connection.waiting);
            pieces.push(Piece::Owned(buffer));
            connection.sending = true;
            self.engine.submit(Op::Send { socket, pieces }, token);
        }
    }
}

fn main() {
    if let Err(message) = run() {
        eprintln!("echo: {message}");
        std::process::exit(1);
    }
}

fn run() -> Result<(), Box<dyn std::error::Error>> {
    let (mut listen, mut asked) = ("127.0.0.1:7000".to_owned(), None);
    let mut arguments = std::env::args().skip(1);
    while let Some(flag) = arguments.next() {
        let value = arguments.next().ok_or_else(|| format!("{flag} needs a value"))?;
        match (flag.as_str(), value.as_str()) {
            ("--listen", _) => listen = value,
            ("--engine", "auto") => asked = None,
            ("--engine", "uring") => asked = Some(Mechanism::Uring),
            ("--engine", "epoll") => asked = Some(Mechanism::Epoll),
            ("--engine", "poll") => asked = Some(Mechanism::Poll),
            _ => {
                return Err(format!(
                    "--listen ADDRESS, --engine auto|uring|epoll|poll; not {flag} {value}"
                )
                .into());
            }
        }
    }
    descriptors_max_raise()?;
    let choice = Choice::probe(asked)?;
    let mut engine = Engine::new(choice.mechanism, EngineOptions::default())?;
    let address = Address::Internet(listen.parse::<SocketAddr>()?);
    let options = ListenOptions {
        address: &address,
        backlog: 4096,
        joining: false,
        keepalive: None,
        mode: None,
    };
    let listener = engine.listen(&options)?;
    println!(
        "echo on {} by {} ({})",
        engine.local_address(listener)?,
        engine.name(),
        choice.reason
    );
    engine.submit(Op::Accept { listener }, LISTENER);
    let (connections, dirty, spare) = Default::default();
    let mut echo = Echo { engine, connections, dirty, spare };
    let mut completions = Vec::new();
    loop {
        echo.engine.turn(None, &mut completions)?;
        for completion in completions.drain(..) {
            echo.handle(completion)?;
        }
        echo.flush();
    }
}
