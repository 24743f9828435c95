//! Random inputs: valid requests cut anywhere give the same events, and no bytes at all panic.
//! It must never depend on the random source: a failing case is shown whole.

use crate::driver::{Driver, reply, run};
use proptest::prelude::*;
use springtide_proto::http1::{Limits, ReplyBody};

#[derive(Debug, Clone)]
enum Body {
    None,
    Sized(Vec<u8>),
    Chunked(Vec<Vec<u8>>),
}

/// One request as bytes, and the line the driver writes for it.
fn request() -> impl Strategy<Value = (Vec<u8>, String)> {
    let method = prop::sample::select(vec!["GET", "POST", "PUT", "HEAD", "OPTIONS", "X-Y"]);
    let fields =
        prop::collection::vec(("X-[A-Za-z0-9!#^_`|~-]{1,12}", "[!-~]([ -~]{0,20}[!-~])?"), 0..8);
    let body = prop_oneof![
        3 => Just(Body::None),
        1 => prop::collection::vec(any::<u8>(), 1..60).prop_map(Body::Sized),
        1 => prop::collection::vec(prop::collection::vec(any::<u8>(), 1..30), 0..4)
            .prop_map(Body::Chunked),
    ];
    (method, "/[a-z0-9/?=&%._~-]{0,30}", fields, body).prop_map(|(method, target, fields, body)| {
        let mut bytes = format!("{method} {target} HTTP/1.1\r\nHost: a.example\r\n").into_bytes();
        let mut line = format!("{method} {target} 1.1 host=a.example");
        let mut shown = String::new();
        for (name, value) in fields {
            bytes.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
            shown += &format!(" {name}={value}");
        }
        let joined = match body {
            Body::None => {
                bytes.extend_from_slice(b"\r\n");
                None
            }
            Body::Sized(data) => {
                line += &format!(" sized={}", data.len());
                bytes.extend_from_slice(
                    format!("Content-Length: {}\r\n\r\n", data.len()).as_bytes(),
                );
                bytes.extend_from_slice(&data);
                Some(data)
            }
            Body::Chunked(chunks) => {
                line += " chunked";
                bytes.extend_from_slice(b"Transfer-Encoding: chunked\r\n\r\n");
                for chunk in &chunks {
                    bytes.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
                    bytes.extend_from_slice(chunk);
                    bytes.extend_from_slice(b"\r\n");
                }
                bytes.extend_from_slice(b"0\r\n\r\n");
                Some(chunks.concat())
            }
        };
        line += &shown;
        if let Some(joined) = joined {
            line += &format!("\nbody {}", String::from_utf8_lossy(&joined));
        }
        (bytes, line + "\n")
    })
}

/// Offsets in the input, in order.
fn cuts(len: usize, raw: &[usize]) -> Vec<usize> {
    let mut cuts: Vec<usize> = raw.iter().map(|cut| cut % (len + 1)).collect();
    cuts.sort_unstable();
    cuts
}

/// What was said up to the status of a refusal.
fn up_to_status(said: &str) -> &str {
    said.find("refused").map_or(said, |start| &said[..start + "refused 400".len()])
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..Default::default() })]

    #[test]
    fn valid_requests_cut_anywhere_say_the_same(
        requests in prop::collection::vec(request(), 1..6),
        raw in prop::collection::vec(any::<usize>(), 0..12),
    ) {
        let input: Vec<u8> = requests.iter().flat_map(|(bytes, _)| bytes.clone()).collect();
        let expected: String = requests.iter().map(|(_, line)| line.as_str()).collect();
        let limits = Limits::default();
        prop_assert_eq!(run(&input, &[], &limits), expected.clone());
        prop_assert_eq!(run(&input, &cuts(input.len(), &raw), &limits), expected);
    }

    /// A valid request with one byte changed: whole and cut agree on what was received and on the
    /// status. One byte can break two rules, and the cut decides which is seen first.
    #[test]
    fn a_changed_byte_gives_one_reading(
        (bytes, _) in request(),
        place in any::<usize>(),
        byte in any::<u8>(),
        raw in prop::collection::vec(any::<usize>(), 1..12),
    ) {
        let mut input = bytes;
        let place = place % input.len();
        input[place] = byte;
        input.extend_from_slice(b"GET /behind HTTP/1.1\r\nHost: a\r\n\r\n");
        let limits = Limits::default();
        let whole = run(&input, &[], &limits);
        let cut = run(&input, &cuts(input.len(), &raw), &limits);
        prop_assert_eq!(up_to_status(&whole), up_to_status(&cut));
    }

    #[test]
    fn random_bytes_never_panic(
        pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..200), 1..8),
    ) {
        let mut driver = Driver::new(Limits::default());
        for piece in pieces {
            driver.feed(&piece);
        }
    }

    /// Bytes that often look like HTTP, answered in a random order while they come.
    #[test]
    fn likely_bytes_never_panic(
        words in prop::collection::vec(prop::sample::select(vec![
            "GET", " ", "/", "HTTP/1.1", "HTTP/1.0", "\r\n", "\r\n\r\n", "\n", "\r", "Host: a\r\n", ":",
            "Content-Length: 3\r\n", "Transfer-Encoding: chunked\r\n", "3\r\n", "abc", "0\r\n\r\n", ";x",
            "Connection: close\r\n", "Connection: upgrade\r\nUpgrade: x\r\n", "Expect: 100-continue\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\n", "POST / HTTP/1.1\r\nHost: a\r\n", "HEAD / HTTP/1.0\r\n",
        ]), 1..60),
        choices in prop::collection::vec(any::<u16>(), 60),
    ) {
        let mut driver = Driver::new(Limits { exchanges_max: 8, ..Default::default() });
        let mut answered = 0;
        let mut exchanges = Vec::new();
        for (word, choice) in words.into_iter().zip(choices) {
            driver.now_ms += u64::from(choice % 7);
            driver.feed(word.as_bytes());
            exchanges.append(&mut driver.exchanges);
            let (machine, outbox) = (&mut driver.machine, &mut driver.outbox);
            if choice % 3 == 0 && !exchanges.is_empty() {
                let exchange = exchanges.swap_remove(usize::from(choice / 3) % exchanges.len());
                match choice % 8 {
                    0 => machine.want_body(exchange, outbox),
                    1 => machine.discard_body(exchange, &driver.limits),
                    _ => {}
                }
                if machine.awaits_reply(exchange) {
                    answered += 1;
                    match choice % 5 {
                        0 => machine.send_reply(exchange, &reply(204), ReplyBody::None, outbox),
                        1 => {
                            machine.send_reply(exchange, &reply(200), ReplyBody::Chunked, outbox);
                            machine.send_body(exchange, "x".into(), outbox);
                            machine.end_body(exchange, outbox);
                        }
                        _ => {
                            let body = ReplyBody::Full("y".into());
                            machine.send_reply(exchange, &reply(200), body, outbox);
                        }
                    }
                }
            }
            driver.read();
        }
        let sent = driver.sent();
        let finals = sent.matches("HTTP/1.1 ").count() - sent.matches("HTTP/1.1 100").count();
        prop_assert!(finals <= answered + 1, "{} finals for {} answers", finals, answered);
    }
}
