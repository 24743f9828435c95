//! The example of a client, as it stands, and clients of the one background that all share.

#[allow(dead_code, unreachable_pub, reason = "its `main` is for the program")]
#[path = "../../../examples/client.rs"]
mod example;

use std::io::{Read, Write};
use std::net::TcpListener;

use springtide::{Client, Reason};

/// It says hello, takes an answer or the lack of one, and closes.
#[test]
fn the_example_says_hello() {
    for answer in ["hello to you", ""] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let talking = std::thread::spawn(move || example::hello(&address));
        let (mut stream, _) = listener.accept().unwrap();
        stream.write_all(answer.as_bytes()).unwrap();
        let mut received = String::new();
        stream.read_to_string(&mut received).unwrap();
        assert_eq!(received, "hello");
        talking.join().unwrap().unwrap();
    }
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    assert_eq!(example::hello(&nobody), Err(Reason::Refused));
}

/// Threads that come and go share a background, or find a new one: none of them is left without.
#[test]
fn a_background_is_there_for_whoever_comes() {
    const THREADS: usize = 8;
    const CLIENTS: usize = 40;
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let threads: Vec<_> = (0..THREADS)
        .map(|_| {
            std::thread::spawn(move || {
                for _ in 0..CLIENTS {
                    let client = Client::connect(address).wait().unwrap();
                    let read = client.read_exact(4);
                    client.write("tide").wait().unwrap();
                    assert_eq!(read.wait().unwrap().as_deref(), Some(&b"tide"[..]));
                }
            })
        })
        .collect();
    for _ in 0..THREADS * CLIENTS {
        let (mut stream, _) = listener.accept().unwrap();
        let mut bytes = [0; 4];
        stream.read_exact(&mut bytes).unwrap();
        stream.write_all(&bytes).unwrap();
    }
    for thread in threads {
        thread.join().unwrap();
    }
}
