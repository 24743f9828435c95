//! Clients without a server, over every mechanism: threads that wait, and a shard in the background that
//! ends with the last handle. Peers are sockets of std on the test's thread.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use springtide_engine::Mechanism;

use crate::standalone::Background;
use crate::task::Hatch;
use crate::{Client, Connector, PeerStatus, Reason, Wait};

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
        assert!(!hatch.has_ended(), "there is another handle");
        two.write("y").wait().unwrap();
        let read = two.read();
        drop(two);
        second.write_all(b"z").unwrap();
        assert_eq!(read.wait().unwrap().as_deref(), Some(&b"z"[..]), "a task is a handle");
        received.clear();
        second.read_to_end(&mut received).unwrap();
        assert_eq!(received, b"y");
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
