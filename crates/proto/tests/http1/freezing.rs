//! A machine that is frozen and thawed at every border says and sends what one that is not does.
//! Nothing here may know what stands in a frozen machine.

use proptest::prelude::*;
use springtide_proto::http1::{Exchange, Frozen, Limits, Machine, ReplyBody};

use super::driver::{Driver, reply};

/// What a driven machine is asked besides reading.
fn answer(driver: &mut Driver, exchange: Exchange, part: usize) {
    let Driver { machine, outbox, .. } = driver;
    let number = exchange.number();
    if part == 0 && !machine.awaits_reply(exchange) {
        return;
    }
    match (number % 4, part) {
        (0, 0) => machine.send_reply(exchange, &reply(200), ReplyBody::Chunked, outbox),
        (1, 0) => machine.send_reply(exchange, &reply(201), ReplyBody::Sized(6), outbox),
        (2, 0) => machine.want_body(exchange, outbox),
        (_, 0) => {
            let body = ReplyBody::Full(vec![b'x'; 1500].into());
            machine.send_reply(exchange, &reply(404), body, outbox);
        }
        (0 | 1, 1) => machine.send_body(exchange, vec![b'0' + number as u8; 6].into(), outbox),
        (0 | 1, _) => machine.end_body(exchange, outbox),
        (2, 2) if machine.awaits_reply(exchange) => {
            machine.send_reply(exchange, &reply(503), ReplyBody::None, outbox);
        }
        _ => {}
    }
}

/// Reads the input in pieces; each exchange is answered in parts, the newest first, so that replies
/// are held, open and complete at once. Freezes wherever `freezes` says.
fn play(input: &[u8], piece: usize, drains_at: usize, freezes: impl Fn(usize) -> bool) -> String {
    let mut driver = Driver::new(Limits::default());
    let (mut parts, mut step, mut sent) = (Vec::new(), 0, String::new());
    let mut freeze = |driver: &mut Driver| {
        step += 1;
        if freezes(step) {
            let machine =
                std::mem::replace(&mut driver.machine, Machine::server(0, &driver.limits));
            driver.machine = Machine::thaw(machine.freeze());
        }
    };
    for (count, bytes) in input.chunks(piece).enumerate() {
        driver.now_ms += 7;
        driver.feed(bytes);
        freeze(&mut driver);
        if count == drains_at {
            driver.machine.drain();
            freeze(&mut driver);
        }
        parts.resize(driver.exchanges.len(), 0);
        for index in (0..parts.len()).rev().filter(|index| (index + count) % 3 != 0) {
            if parts[index] < 3 {
                let exchange = driver.exchanges[index];
                answer(&mut driver, exchange, parts[index]);
                parts[index] += 1;
                freeze(&mut driver);
            }
        }
        sent += &driver.sent();
        driver.read();
    }
    let end = driver.machine.end_of_stream();
    freeze(&mut driver);
    let deadline = driver.machine.next_deadline_ms(&driver.limits);
    let held = driver.machine.held_bytes();
    format!("{}{sent}{end:?} {deadline:?} {held} {}", driver.said, driver.machine.wants_close())
}

const REQUESTS: [&str; 6] = [
    "GET /a HTTP/1.1\r\nHost: a\r\n\r\n",
    "POST /b HTTP/1.1\r\nHost: a\r\nContent-Length: 11\r\n\r\nhello world",
    "POST /c HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nTransfer-Encoding: chunked\r\n\r\n\
     5;x=y\r\nhello\r\n1\r\n \r\n0\r\nX-Trailer: 1\r\n\r\n",
    "HEAD /d HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET /e HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
    "GET /f HTTP/1.1\r\nHost: a\r\nBroken\r\n\r\n",
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..Default::default() })]
    #[test]
    fn a_frozen_machine_goes_on_as_it_was(
        picks in proptest::collection::vec(0..60_usize, 1..9),
        piece in 1..40_usize,
        drains_at in 0..60_usize,
        seed in any::<u64>(),
    ) {
        // The broken one is rare: nothing is read behind it.
        let pick = |pick: &usize| REQUESTS[if *pick == 59 { 5 } else { pick % 5 }];
        let input: String = picks.iter().map(pick).collect();
        let never = play(input.as_bytes(), piece, drains_at, |_| false);
        let always = play(input.as_bytes(), piece, drains_at, |_| true);
        let sometimes = play(input.as_bytes(), piece, drains_at, |step| (seed >> (step % 64)) & 1 == 1);
        prop_assert_eq!(&never, &always);
        prop_assert_eq!(&never, &sometimes);
    }
}

/// Plain data: it goes to other threads and outlives what it came from.
#[test]
fn a_frozen_machine_is_plain_data() {
    fn is_plain<T: Send + Sync + 'static>() {}
    is_plain::<Frozen>();
}
