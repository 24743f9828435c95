//! Prints what one pipelined request costs in the machine: parse and reply, in nanoseconds.
//! It must never be taken for a benchmark of the server: there is no socket and no route.

use springtide_proto::Outbox;
use springtide_proto::http1::{Fields, Head, Limits, Machine, MediaType, Opening, Received, Reply};
use std::hint::black_box;
use std::time::Instant;

const PIPELINED: usize = 16;
const ROUNDS: usize = 2_000;

fn main() {
    let plain = "GET /plaintext HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let short = "GET / HTTP/1.1\r\nHost: localhost\r\nAccept: */*\r\n\r\n";
    let browser = "GET /plaintext HTTP/1.1\r\nHost: localhost:8080\r\nUser-Agent: curl/8.5.0\r\n\
         Accept: text/html,*/*;q=0.8\r\nAccept-Language: en\r\nAccept-Encoding: gzip\r\n\
         Connection: keep-alive\r\n\r\n";
    let post = "POST /sea HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\n\r\ntide";
    for (name, request) in
        [("1 field", plain), ("2 fields", short), ("6 fields", browser), ("sized body", post)]
    {
        let input = request.repeat(PIPELINED).into_bytes();
        let best_ns = (0..200).map(|_| measure(&input)).fold(f64::INFINITY, f64::min);
        println!("{name:>10}: {:>4} bytes, {best_ns:.1} ns per request", request.len());
    }
}

#[expect(clippy::disallowed_methods, reason = "a program that measures reads the clock")]
/// Nanoseconds per request over many rounds of one pipelined input.
fn measure(input: &[u8]) -> f64 {
    let limits = Limits { requests_max: u32::MAX, ..Default::default() };
    let mut machine = Machine::server(0, &limits);
    let mut head = Head::new();
    let mut outbox = Outbox::with_tail(Vec::with_capacity(16 * 1024));
    let opening = Opening::new(b"springtide", b"Sun, 06 Nov 1994 08:49:37 GMT");
    let reply = Reply {
        status: http::StatusCode::OK,
        content_type: Some(MediaType::new("text/plain; charset=utf-8")),
        fields: Fields::NONE,
        opening: &opening,
    };
    let started = Instant::now();
    for _ in 0..ROUNDS {
        let mut rest = black_box(input);
        loop {
            match machine.receive(rest, 1, &limits, &mut head).expect("the requests are valid") {
                Received::Head { consumed, exchange } => {
                    rest = &rest[consumed..];
                    machine.send_copied(exchange, &reply, b"Hello, World!", &mut outbox);
                }
                Received::Body { consumed, .. } | Received::BodyEnd { consumed, .. } => {
                    rest = &rest[consumed..];
                }
                _ => break,
            }
        }
        black_box(outbox.tail_mut()).clear();
    }
    started.elapsed().as_nanos() as f64 / (ROUNDS * PIPELINED) as f64
}
