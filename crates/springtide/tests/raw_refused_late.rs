//! Raw connections of a server whose io_uring is refused while it runs: callbacks and futures that wait
//! go on where they were, on the thread of their shard.

#[path = "common/filter.rs"]
mod filter;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::rc::Rc;
use std::time::Duration;

use filter::refuse_calls;
use springtide::{Address, Engine, Peer, Server};

/// What io_uring needs while it runs.
const RING: [i64; 2] = [libc::SYS_io_uring_enter, libc::SYS_io_uring_register];

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    stream
}

fn talk(stream: &mut TcpStream, words: &str) {
    stream.write_all(words.as_bytes()).unwrap();
    let mut received = vec![0; words.len()];
    stream.read_exact(&mut received).unwrap();
    assert_eq!(received, words.as_bytes());
}

/// What a callback holds here cannot go to another thread.
fn echo(peer: Peer, count: Rc<usize>) {
    peer.pull().then(move |peer, bytes| {
        if &bytes[..] == b"refuse" {
            refuse_calls(&RING, libc::EPERM);
        }
        peer.push(bytes).then(move |peer, _| echo(peer, Rc::new(*count + 1)));
    });
}

fn goes_on(server: Server) {
    let server = server.engine(Engine::Uring).workers(1).listen("127.0.0.1:0").unwrap();
    let running = server.start().unwrap();
    let Address::Internet(address) = running.addresses()[0].clone() else { panic!("TCP") };
    let mut streams: Vec<TcpStream> = (0..8).map(|_| connect(address)).collect();
    for (index, stream) in streams.iter_mut().enumerate() {
        talk(stream, &format!("before {index}"));
    }
    talk(&mut streams[3], "refuse");
    for (index, stream) in streams.iter_mut().enumerate() {
        talk(stream, &format!("behind {index}"));
    }
    talk(&mut connect(address), "new");
    running.stop(Duration::ZERO);
    running.join().unwrap();
}

#[test]
fn callbacks_go_on() {
    goes_on(Server::new().raw(|peer| echo(peer, Rc::new(0))));
}

#[test]
fn futures_go_on() {
    goes_on(Server::new().raw_async(async |peer: Peer| {
        while let Some(bytes) = peer.pull().await? {
            if &bytes[..] == b"refuse" {
                refuse_calls(&RING, libc::EPERM);
            }
            peer.push(bytes).await?;
        }
        Ok(())
    }));
}
