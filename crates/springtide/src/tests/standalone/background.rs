//! Clients without a server, over every mechanism: threads that wait, and a shard in the background that
//! ends with the last handle. Peers are sockets of std on the test's thread.

use std::collections::VecDeque;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use springtide_engine::Mechanism;

use crate::framed::Limits;
use crate::standalone::Background;
use crate::task::Hatch;
use crate::{Bytes, Client, Connector, Engine, Framed, PeerStatus, Reason, Reply, Server, Wait};

const MECHANISMS: [Mechanism; 3] = [Mechanism::Uring, Mechanism::Epoll, Mechanism::Poll];
const PATIENCE: Duration = Duration::from_secs(30);

/// Somebody to connect to, and a connector of a background that it alone holds.
fn begin(mechanism: Mechanism) -> (TcpListener, Connector, Arc<Hatch>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let background = Background::start(Some(mechanism)).unwrap();
    let connector = Client::connector().on(background.link());
    let hatch = background.link().hatch.clone();
    (listener, connector, hatch)
}

fn connect(listener: &TcpListener, connector: &Connector) -> (Client, TcpStream) {
    let task = connector.clone().address(listener.local_addr().unwrap()).connect();
    let (stream, _) = listener.accept().unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    (task.wait().unwrap(), stream)
}

/// Waits until the background has ended.
fn await_end(hatch: &Hatch) {
    while !hatch.has_ended() {
        std::thread::yield_now();
    }
}

#[test]
fn any_thread_waits_for_what_it_asked() {
    for mechanism in MECHANISMS {
        let (listener, connector, _) = begin(mechanism);
        let (client, mut stream) = connect(&listener, &connector);
        let read = client.read();
        assert_eq!(read.wait_for(Duration::ZERO), Err(Wait::Pending), "{mechanism:?}");
        let waiting = std::thread::spawn(move || read.wait());
        stream.write_all(b"high").unwrap();
        assert_eq!(waiting.join().unwrap().unwrap().as_deref(), Some(&b"high"[..]));
        assert_eq!(client.write("tide").wait_for(PATIENCE).unwrap(), "tide");
        let mut answer = [0; 4];
        stream.read_exact(&mut answer).unwrap();
        assert_eq!(&answer, b"tide");
        drop(stream);
        assert_eq!(client.read().wait(), Ok(None));
        client.close().wait().unwrap();
        assert_eq!(client.status(), PeerStatus::Closed);
        assert_eq!(client.read().wait(), Err(Reason::Stale));
    }
}

/// What was written leaves, then the connection ends, and the shard with it, when the last handle goes.
#[test]
fn the_last_handle_ends_the_background() {
    for mechanism in MECHANISMS {
        let (listener, connector, hatch) = begin(mechanism);
        let [(one, mut first), (two, mut second)] =
            [(); 2].map(|()| connect(&listener, &connector));
        drop(connector);
        let bytes = vec![b'x'; 3 << 20];
        one.write(bytes.clone()).detach();
        drop(one);
        let mut received = Vec::new();
        first.read_to_end(&mut received).unwrap();
        assert!(received == bytes, "{mechanism:?}: {}", received.len());
        drop(first);
        assert!(!hatch.has_ended(), "there is another handle");
        two.write("y").wait().unwrap();
        let read = two.read();
        drop(two);
        second.write_all(b"z").unwrap();
        assert_eq!(read.wait().unwrap().as_deref(), Some(&b"z"[..]), "a task is a handle");
        received.clear();
        second.read_to_end(&mut received).unwrap();
        assert_eq!(received, b"y");
        drop(second);
        await_end(&hatch);
    }
}

/// Everybody shares one, which is started again when it had ended.
#[test]
fn the_background_is_shared_while_somebody_has_it() {
    let [one, two] = [(); 2].map(|()| Background::shared().unwrap());
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    for _ in 0..3 {
        let client = Client::connect(address).wait().unwrap();
        let (mut stream, _) = listener.accept().unwrap();
        client.write("tide").wait().unwrap();
        drop(client);
        let mut received = String::new();
        stream.read_to_string(&mut received).unwrap();
        assert_eq!(received, "tide");
    }
    assert!(Arc::ptr_eq(&one, &two));
}

/// Many threads call over one connection, some of whose calls are dropped or cancelled: every other one
/// gets its own reply, and none waits for ever when the connection goes.
#[test]
fn threads_call_over_one_connection() {
    const THREADS: usize = 6;
    const CALLS: usize = 3_000;
    for (mechanism, engine) in
        MECHANISMS.into_iter().zip([Engine::Uring, Engine::Epoll, Engine::Poll])
    {
        for codec in [Framed::u16_be(), Framed::u16_be().tagged(0, 4)] {
            let answer = |request: Bytes, reply: Reply| reply.send(request);
            let server = Server::new().framed(codec, answer).engine(engine).workers(1);
            let running = server.listen("127.0.0.1:0").unwrap().start().unwrap();
            let background = Background::start(Some(mechanism)).unwrap();
            let connector = Client::connector().on(background.link());
            let address = running.addresses()[0].clone();
            let client = connector.address(address).connect().wait().unwrap();
            let limits = Limits {
                in_flight_max: 100_000,
                in_flight_bytes_max: 64 << 20,
                ..Limits::default()
            };
            let client = client.framed_within(codec, limits);
            let calling = |thread: usize| {
                let client = client.clone();
                move || {
                    let mut waiting = VecDeque::new();
                    for index in 0..CALLS {
                        let request = format!("----{thread} {index}");
                        let call = client.call(request.clone());
                        match index % 5 {
                            0 => drop(call),
                            1 => call.cancel(),
                            _ => waiting.push_back((request, call)),
                        }
                        if waiting.len() > 100
                            && let Some((request, call)) = waiting.pop_front()
                        {
                            assert_eq!(call.wait().unwrap()[4..], request.as_bytes()[4..]);
                        }
                    }
                    waiting
                }
            };
            let threads: Vec<_> =
                (0..THREADS).map(|thread| std::thread::spawn(calling(thread))).collect();
            for thread in threads {
                for (request, call) in thread.join().unwrap() {
                    assert_eq!(call.wait().unwrap()[4..], request.as_bytes()[4..]);
                }
            }
            let last = client.call("----last");
            running.stop(Duration::ZERO);
            running.join().unwrap();
            let ended = last.wait();
            assert!(ended.is_ok() || client.call("----late").wait().is_err(), "{ended:?}");
        }
    }
}
