//! tokio's current-thread runtime as a raw echo: a task for each connection that reads and writes,
//! as the example of `TcpListener` and of the crate's first page does.
//! It must never use more than one thread.
#![forbid(unsafe_code)]

use std::io;

use clap::Parser;
use peers::{ECHO_READ_BYTES, Options, listener};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

fn main() -> io::Result<()> {
    let options = Options::parse();
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(serve(options))
}

async fn serve(options: Options) -> io::Result<()> {
    let listener = TcpListener::from_std(listener(options.listen)?)?;
    loop {
        let (stream, _) = listener.accept().await?;
        tokio::spawn(echo(stream));
    }
}

async fn echo(mut stream: TcpStream) -> io::Result<()> {
    let mut buffer = vec![0; ECHO_READ_BYTES];
    loop {
        match stream.read(&mut buffer).await? {
            0 => return Ok(()),
            count => stream.write_all(&buffer[..count]).await?,
        }
    }
}
