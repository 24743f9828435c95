//! Requests and replies over every backend: what goes in, what comes out, in which order.
//! Each case is bytes and an expectation.

use super::{Backend, Stage, over_all_backends};
use crate::{Failure, Limits, Request, Response, Server, StatusCode};

fn server() -> Server {
    Server::new()
        .get("/", || "root")
        .get("/users/{id}", |request: Request| format!("user {}", request.param("id")))
        .get("/query", |request: Request| {
            let first = request.query_value("a").unwrap_or_default().into_owned();
            format!("{first}|{:?}", request.query_value("b"))
        })
        .get("/headers", |request: Request| {
            format!("{:?} {}", request.header("x-tide"), request.headers().count())
        })
        .get("/peer", |request: Request| {
            let address = request.peer_address().map(|address| address.to_string());
            address.unwrap_or_default().starts_with("127.").to_string()
        })
        .get("/panic", || -> &'static str { panic!("on purpose") })
        .get("/continue", || StatusCode::CONTINUE)
        .get("/switch", || StatusCode::SWITCHING_PROTOCOLS)
        .any("/mirror", |request: Request| {
            let kind = request.header("content-type").unwrap_or("text/plain").to_owned();
            Response::new("mirrored").header("content-type", kind)
        })
        .get("/empty", || StatusCode::NO_CONTENT)
        .get("/large", || "x".repeat(300_000))
        .post("/echo", |request: Request| request.bytes().clone())
        .post("/text", |request: Request| request.text().map(str::to_owned))
        .any("/any", |request: Request| request.method().to_string())
        .any("/http", |request: Request| http_of(&request))
        .get("/failure", |request: Request| -> Result<String, Failure> {
            Ok(request.query_value("depth").unwrap_or_default().parse::<u32>()?.to_string())
        })
        .get("/boxed", || -> Result<(), Box<dyn std::error::Error>> { Err("a secret")? })
        .get("/never", |_: Request| -> &str { panic!("on purpose") })
}

/// What is left of a request in another crate's terms.
fn http_of(request: &Request) -> Result<String, Failure> {
    let other = request.to_http()?;
    let (tide, body) = (&other.headers()["x-tide"], other.body());
    Ok(format!("{} {} {:?} {tide:?} {body:?}", other.method(), other.uri(), other.version()))
}

/// The parts of replies that cases tell apart: status, whether it closes, body.
fn replies(received: &str) -> Vec<String> {
    let mut rest = received;
    let mut replies = Vec::new();
    while !rest.is_empty() {
        let (head, behind) = rest.split_once("\r\n\r\n").expect("a whole head");
        let field = |name: &str| {
            let lines = head.lines().skip(1).filter_map(|line| line.split_once(": "));
            let mut lines = lines.filter(|(own, _)| own.eq_ignore_ascii_case(name));
            lines.next().map(|(_, value)| value.to_owned())
        };
        let length = field("content-length").map_or(0, |length| length.parse().unwrap());
        let status = head.split(' ').nth(1).unwrap();
        let close = if field("connection").as_deref() == Some("close") { " close" } else { "" };
        let allow = field("allow").map_or(String::new(), |allow| format!(" [{allow}]"));
        replies.push(format!("{status}{close}{allow} {}", &behind[..length]));
        rest = &behind[length..];
    }
    replies
}

/// Sends `requests` and a last one that closes; checks the replies before that.
fn check(backend: Backend, requests: &str, expected: &[&str]) {
    let mut stage = Stage::new(backend, server());
    let mut peer = stage.connect();
    let last = "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    let received = stage.talk_to_end(&mut peer, format!("{requests}{last}").as_bytes());
    let mut got = replies(&received);
    let is_closed_before = expected.last().is_some_and(|last| last.contains(" close"));
    if !is_closed_before {
        assert_eq!(got.pop().as_deref(), Some("200 close root"), "{requests:?}");
    }
    assert_eq!(got, expected, "{requests:?} on {backend:?}");
}

fn request(line: &str) -> String {
    format!("{line} HTTP/1.1\r\nHost: a\r\n\r\n")
}

fn requests_are_answered(backend: Backend) {
    for (line, expected) in [
        ("GET /", "200 root"),
        ("GET /users/a%20b", "200 user a b"),
        ("GET /query?a=1%2B+2&b", "200 1+ 2|Some(\"\")"),
        ("GET /query", "200 |None"),
        ("GET /peer", "200 true"),
        ("GET /missing", "404 Not Found"),
        ("DELETE /users/7", "405 [GET, HEAD, OPTIONS] Method Not Allowed"),
        ("OPTIONS /users/7", "204 [GET, HEAD, OPTIONS] "),
        ("BREW /any", "200 BREW"),
        ("GET http://a/users/9", "200 user 9"),
        ("GET /panic", "500 Internal Server Error"),
        ("GET /empty", "204 "),
        ("GET /continue", "500 Internal Server Error"),
        ("GET /switch", "500 Internal Server Error"),
        ("GET /failure?depth=7", "200 7"),
        ("GET /failure?depth=x", "500 Internal Server Error"),
        ("GET /boxed", "500 Internal Server Error"),
        ("GET /never", "500 Internal Server Error"),
    ] {
        check(backend, &request(line), &[expected]);
    }
    let headers = "GET /headers HTTP/1.1\r\nHost: a\r\nX-Tide: high\r\n\r\n";
    check(backend, headers, &["200 Some(\"high\") 2"]);
    let all = "POST /http?a=%20b HTTP/1.1\r\nHost: a\r\nX-Tide: high\r\nContent-Length: 1\r\n\r\nx";
    check(backend, all, &["200 POST /http?a=%20b HTTP/1.1 \"high\" b\"x\""]);
}

/// What a handler takes over from a request may hold every byte that a field may hold.
fn handlers_cannot_break_the_shard(backend: Backend) {
    let tab = "GET /mirror HTTP/1.1\r\nHost: a\r\nContent-Type: text/plain;\tx=y\r\n\r\n";
    check(backend, tab, &["200 mirrored"]);
    let offer = "GET /switch HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n";
    check(backend, offer, &["500 Internal Server Error"]);
}

/// A head longer than what the inbox may hold otherwise still arrives, or meets its deadline.
fn a_long_head_arrives(backend: Backend) {
    let mut limits = Limits::default();
    limits.http1.head_bytes_max = 300_000;
    let mut stage = Stage::new(backend, server().limits(limits));
    let mut peer = stage.connect();
    let blank = "x".repeat(200_000);
    let head = format!("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nb: {blank}\r\n\r\n");
    let received = stage.talk_to_end(&mut peer, head.as_bytes());
    assert_eq!(replies(&received), ["200 close root"]);
}

/// Beyond the limit connections wait or are closed, and nobody who is in is harmed.
fn connections_have_a_limit(backend: Backend) {
    let limits = Limits { connections_max: 10, ..Limits::default() };
    let mut stage = Stage::new(backend, server().limits(limits));
    let mut peers: Vec<_> = (0..40).map(|_| stage.connect()).collect();
    stage.until(|stage| (stage.counts().connections_total >= 10).then_some(()));
    let last = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    let mut answered = 0;
    for peer in &mut peers {
        let received = stage.talk_to_end(peer, last);
        assert!(stage.counts().connections_open <= 10);
        answered += replies(&received).len();
    }
    drop(peers);
    let counts = stage.counts();
    assert_eq!(answered as u64, counts.requests_total);
    assert_eq!(answered as u64 + counts.connections_refused, 40, "{counts:?}");
    assert!(answered >= 10);
}

fn bodies_are_whole(backend: Backend) {
    let sized = "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\ntide";
    let chunked = "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n\
                   2\r\nti\r\n2;x=y\r\nde\r\n0\r\nTrailer: x\r\n\r\n";
    let unwanted = "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\ntide";
    let missing = "POST /missing HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\ntide";
    let binary = "POST /text HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\n";
    check(backend, sized, &["200 tide"]);
    check(backend, chunked, &["200 tide"]);
    check(backend, unwanted, &["200 root"]);
    check(backend, missing, &["404 Not Found"]);
    check(
        backend,
        &format!("{sized}{chunked}{missing}"),
        &["200 tide", "200 tide", "404 Not Found"],
    );
    check(backend, &format!("{binary}x"), &["200 x"]);
}

fn wrong_framing_is_refused_once(backend: Backend) {
    for head in [
        "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n",
        "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nContent-Length: 4\r\n\r\n",
        "GET / HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        "GET / HTTP/1.1\nHost: a\n\n",
        "GET / HTTP/1.1\r\nHost : a\r\n\r\n",
        "GET /\u{e9} HTTP/1.1 \r\nHost: a\r\n\r\n",
    ] {
        let mut stage = Stage::new(backend, server());
        let mut peer = stage.connect();
        let received =
            stage.talk_to_end(&mut peer, format!("{head}{}", request("GET /")).as_bytes());
        let got = replies(&received);
        assert_eq!(got.len(), 1, "{head:?} gave {got:?}");
        assert!(got[0].starts_with("400 close"), "{head:?} gave {got:?}");
        assert_eq!(stage.counts().refusals_total, 1);
    }
}

fn limits_have_their_status(backend: Backend) {
    let long_line = format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "x".repeat(9000));
    let many = format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "a: b\r\n".repeat(101));
    let long_head = format!("GET / HTTP/1.1\r\nHost: a\r\nb: {}\r\n\r\n", "x".repeat(17_000));
    let long_body = "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 1048577\r\n\r\n";
    for (requests, status) in
        [(&*long_line, "414"), (&many, "431"), (&long_head, "431"), (long_body, "413")]
    {
        let mut stage = Stage::new(backend, server());
        let mut peer = stage.connect();
        let received = stage.talk_to_end(&mut peer, requests.as_bytes());
        assert!(replies(&received)[0].starts_with(&format!("{status} close")), "{received}");
    }
    let mut limits = Limits::default();
    limits.http1.requests_max = 3;
    let mut stage = Stage::new(backend, server().limits(limits));
    let mut peer = stage.connect();
    let received = stage.talk_to_end(&mut peer, request("GET /").repeat(5).as_bytes());
    assert_eq!(replies(&received), ["200 root", "200 root", "200 close root"]);
}

/// One thousand pipelined requests of all kinds, cut at a prime, come back in order.
fn pipelined_replies_keep_their_order(backend: Backend) {
    let mut stage = Stage::new(backend, server());
    let mut peer = stage.connect();
    let mut requests = String::new();
    let mut expected = Vec::new();
    for number in 0..1000 {
        match number % 3 {
            0 => {
                requests += &request(&format!("GET /users/{number}"));
                expected.push(format!("200 user {number}"));
            }
            1 => {
                let body = format!("body {number}");
                let head =
                    format!("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: {}", body.len());
                requests += &format!("{head}\r\n\r\n{body}");
                expected.push(format!("200 {body}"));
            }
            _ => {
                requests += &request("GET /panic");
                expected.push("500 Internal Server Error".to_owned());
            }
        }
    }
    requests += "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    expected.push("200 close root".to_owned());
    let mut received = Vec::new();
    for piece in requests.as_bytes().chunks(997) {
        let mut rest = piece;
        while !rest.is_empty() {
            rest = &rest[peer.write(rest)..];
            stage.turn();
            peer.read(&mut received);
        }
    }
    stage.until(|_| {
        peer.read(&mut received);
        peer.is_ended().then_some(())
    });
    assert_eq!(replies(std::str::from_utf8(&received).unwrap()), expected);
}

/// A head and a body that come a byte at a time.
fn bytes_may_come_one_by_one(backend: Backend) {
    let mut stage = Stage::new(backend, server());
    let mut peer = stage.connect();
    let requests = "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\ntide\
                    GET /users/1 HTTP/1.0\r\n\r\n";
    let mut received = Vec::new();
    for byte in requests.as_bytes() {
        stage.until(|_| (peer.write(std::slice::from_ref(byte)) == 1).then_some(()));
        stage.turn();
        peer.read(&mut received);
    }
    stage.until(|_| {
        peer.read(&mut received);
        peer.is_ended().then_some(())
    });
    let received = String::from_utf8(received).unwrap();
    assert_eq!(replies(&received), ["200 tide", "200 close user 1"]);
}

/// A peer that ends its side still gets what it asked for; half a request is nobody's.
fn an_end_of_stream_loses_no_reply(backend: Backend) {
    for (requests, expected) in [
        (request("GET /users/5").repeat(40), vec!["200 user 5"; 40]),
        (format!("{}GET /users", request("GET /")), vec!["200 root"]),
        (String::new(), vec![]),
        ("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\ntide".to_owned(), vec![]),
    ] {
        let mut stage = Stage::new(backend, server());
        let mut peer = stage.connect();
        let mut rest = requests.as_bytes();
        while !rest.is_empty() {
            rest = &rest[peer.write(rest)..];
            stage.turn();
        }
        peer.shutdown();
        let received = stage.talk_to_end(&mut peer, b"");
        assert_eq!(replies(&received), expected, "{requests:?}");
        stage.until(|stage| (stage.counts().connections_open == 0).then_some(()));
    }
}

/// A peer that does not read is owed a bounded amount, and gets all of it in the end.
fn a_slow_reader_stops_its_own_requests(backend: Backend) {
    let mut stage = Stage::new(backend, server());
    let mut slow = stage.connect();
    let requests = request("GET /large").repeat(60);
    let mut rest = requests.as_bytes();
    let mut turns_without = 0;
    while turns_without < 50 {
        let sent = slow.write(rest);
        rest = &rest[sent..];
        let before = stage.counts().requests_total;
        stage.turn();
        turns_without = if stage.counts().requests_total > before { 0 } else { turns_without + 1 };
    }
    let answered = stage.counts().requests_total;
    assert!(answered < 60, "all {answered} requests were handled for a peer that reads nothing");
    let mut other = stage.connect();
    let got =
        stage.talk_to_end(&mut other, b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    assert_eq!(replies(&got), ["200 close root"]);
    let mut received = Vec::new();
    slow.write(rest);
    let last = request("GET /empty").replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n");
    let mut last = last.as_bytes();
    stage.until(|_| {
        slow.read(&mut received);
        last = &last[slow.write(last)..];
        slow.is_ended().then_some(())
    });
    let all = replies(std::str::from_utf8(&received).unwrap());
    assert_eq!(all.len(), 61);
}

/// HEAD has the length and not the bytes; 100 Continue comes before the body.
fn interim_and_bodiless_replies(backend: Backend) {
    let mut stage = Stage::new(backend, server());
    let mut peer = stage.connect();
    let received = stage
        .talk_to_end(&mut peer, b"HEAD /users/7 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    assert!(received.contains("Content-Length: 6\r\n") && received.ends_with("\r\n\r\n"));

    let mut peer = stage.connect();
    let head = b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\
                 Connection: close\r\n\r\n";
    let interim = stage.talk(&mut peer, head, 25);
    assert_eq!(interim, b"HTTP/1.1 100 Continue\r\n\r\n");
    let received = stage.talk_to_end(&mut peer, b"tide");
    assert_eq!(replies(&received), ["200 close tide"]);
}

over_all_backends!(
    requests_are_answered,
    handlers_cannot_break_the_shard,
    a_long_head_arrives,
    connections_have_a_limit,
    bodies_are_whole,
    wrong_framing_is_refused_once,
    limits_have_their_status,
    pipelined_replies_keep_their_order,
    bytes_may_come_one_by_one,
    an_end_of_stream_loses_no_reply,
    a_slow_reader_stops_its_own_requests,
    interim_and_bodiless_replies,
);
