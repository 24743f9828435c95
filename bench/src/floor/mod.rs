//! Canned responders: the least that a server can cost which sends the same bytes.
//! They must never parse: a request is a number of bytes, given as a flag.

mod epoll;
pub mod options;
mod response;
mod uring;

use std::io;
use std::net::{SocketAddr, TcpListener};

use socket2::{Domain, Protocol, Socket, Type};

use crate::system;
use options::{Kind, Options};
use response::Response;

const BACKLOG: i32 = 4096;

/// Serves until the process is killed.
pub fn run(options: &Options) -> io::Result<()> {
    system::raise_open_files()?;
    if let Some(core) = options.core {
        system::pin_to_core(core)?;
    }
    let listener = listen(options.listen)?;
    eprintln!("floor {:?} on {}", options.kind, listener.local_addr()?);
    serve(options, &listener)
}

/// Serves connections of a listener that `listen` made.
pub fn serve(options: &Options, listener: &TcpListener) -> io::Result<()> {
    let response = Response::prepare(options)?;
    match options.kind {
        Kind::Uring => uring::serve(options, listener, response),
        Kind::Epoll => epoll::serve(options, listener, response),
    }
}

/// A listener whose connections have TCP_NODELAY, with a backlog of 4,096.
pub fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    // Accepted sockets inherit it.
    socket.set_tcp_nodelay(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}
