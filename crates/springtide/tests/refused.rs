//! A server where io_uring is refused: epoll instead with the reason told, or one clear error.
//! The filter stays with the thread of the test and the threads it starts.

#[path = "common/filter.rs"]
mod filter;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use filter::refuse_calls;
use springtide::{Address, Engine, Server};

#[test]
fn a_server_says_why_it_runs_on_epoll() {
    let test = || {
        refuse_calls(&[libc::SYS_io_uring_setup], libc::ENOSYS);
        let server = Server::new().workers(2).get("/", || "here").listen("127.0.0.1:0").unwrap();
        let running = server.start().unwrap();
        assert_eq!(running.engine(), "epoll");
        let reason = running.engine_reason();
        let (cause, page) = ("io_uring is refused: the kernel has none", "(docs/io_uring.md)");
        assert!(reason.starts_with(cause) && reason.ends_with(page), "{reason}");
        let Address::Internet(address) = running.addresses()[0].clone() else { panic!("TCP") };
        let mut stream = TcpStream::connect(address).unwrap();
        stream.write_all(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").unwrap();
        let mut reply = String::new();
        stream.read_to_string(&mut reply).unwrap();
        assert!(reply.ends_with("\r\n\r\nhere"));
        running.stop(Duration::ZERO);
        running.join().unwrap();
        let server = Server::new().engine(Engine::Uring).listen("127.0.0.1:0").unwrap();
        let error = server.start().unwrap_err().to_string();
        assert_eq!(error, format!("{reason}; the engine auto takes what works"));
    };
    std::thread::spawn(test).join().unwrap();
}
