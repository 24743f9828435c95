//! How WebSockets end: by either side, by a broken rule, by a panic, a stop or a reset; each is told
//! once, with what happened.

use super::Log;
use super::client::{Client, frame};
use crate::mailbox::Message as Order;
use crate::tests::{Backend, Stage, over_all_backends};
use crate::{CloseFrame, Limits, Message, Server, Socket};

fn ends(log: &Log) -> Vec<String> {
    log.lines().into_iter().filter(|line| line != "opened").collect()
}

fn a_handler_closes_behind_what_it_sent(backend: Backend) {
    for (said, expected) in [
        ("close", "closed here with 1000 (0 sent, 0 dropped)"),
        ("twice", "closed here with 1000 (2 sent, 1 dropped)"),
    ] {
        let log = Log::default();
        let mut stage = Stage::new(backend, log.server());
        let mut client = Client::open(&mut stage);
        client.send(said);
        if said == "twice" {
            assert_eq!(client.messages(&mut stage, 2), [Message::from("one"), "two".into()]);
        }
        client.until_ended(&mut stage);
        assert_eq!(client.closed.as_ref().map(CloseFrame::code), Some(1000));
        assert_eq!(ends(&log), [expected]);
    }
}

fn a_panic_ends_its_own_connection(backend: Backend) {
    let log = Log::default();
    let mut stage = Stage::new(backend, log.server());
    let mut other = Client::open(&mut stage);
    let mut client = Client::open(&mut stage);
    client.send("panic");
    client.until(&mut stage, |client| client.closed.is_some() && client.peer.is_ended());
    assert_eq!(client.closed.map(|frame| frame.code()), Some(1011));
    assert_eq!(stage.counts().panics_total, 1);
    other.send("still here");
    assert_eq!(other.messages(&mut stage, 1), [Message::from("still here")]);
    let expected = "closed here with 1011: the handler failed (0 sent, 0 dropped)";
    assert_eq!(ends(&log), [expected]);
}

fn what_breaks_a_rule_is_told_the_code(backend: Backend) {
    let log = Log::default();
    let long = frame(vec![7; 65_537]);
    for (bytes, code) in [
        (b"\x83\x80\0\0\0\0".as_slice(), 1002),
        (b"\x81\x81\0\0\0\0\xff", 1007),
        (&long[..14], 1009),
    ] {
        let mut stage = Stage::new(backend, log.server());
        let mut client = Client::open(&mut stage);
        client.write(&mut stage, bytes);
        client.until_ended(&mut stage);
        assert_eq!(client.closed.as_ref().map(CloseFrame::code), Some(code));
        assert_eq!(stage.counts().refusals_total, 1);
        let told = ends(&log).pop().unwrap();
        assert!(told.starts_with(&format!("closed here with {code}: ")), "{told}");
        if code == 1009 {
            assert_eq!(stage.met("socket_message_bytes_max"), 1);
            let is_told = |line: &String| line.contains("socket_message_bytes_max = 64KiB");
            assert!(stage.is_moving() || stage.told().iter().any(is_told));
        }
    }
}

/// A route may take longer messages than the server does, or only shorter ones.
fn a_route_has_a_limit_of_its_own(backend: Backend) {
    let sockets = crate::WebSockets::new(Log::default()).message_bytes_max(100_000);
    let mut stage = Stage::new(backend, Server::new().websocket("/", sockets));
    let mut client = Client::open(&mut stage);
    client.send(vec![7; 100_000]);
    assert_eq!(client.messages(&mut stage, 1), [Message::from(vec![7; 100_000])]);
    client.send(vec![7; 100_001]);
    client.until_ended(&mut stage);
    assert_eq!(client.closed.map(|frame| frame.code()), Some(1009));
}

/// Also where messages are longer than 4 GiB: the byte beyond the limit is one too many.
fn a_route_may_take_messages_of_any_length(backend: Backend) {
    let most = 6_u64 << 30;
    let sockets = crate::WebSockets::new(Log::default()).message_bytes_max(most);
    let mut stage = Stage::new(backend, Server::new().websocket("/", sockets));
    for (length, is_refused) in [(most, false), (most + 1, true)] {
        let mut client = Client::open(&mut stage);
        let head = [b"\x82\xff".as_slice(), &length.to_be_bytes(), &[0; 4]].concat();
        client.write(&mut stage, &head);
        let received = stage.counts().bytes_received + 1;
        client.write(&mut stage, b"x");
        stage.until(|stage| {
            stage.turn();
            let counts = stage.counts();
            (counts.bytes_received >= received || counts.refusals_total > 0).then_some(())
        });
        assert_eq!(stage.counts().refusals_total, u64::from(is_refused));
    }
}

fn a_lost_connection_is_told(backend: Backend) {
    let log = Log::default();
    let mut stage = Stage::new(backend, log.server());
    let mut client = Client::open(&mut stage);
    client.send_part("half a mess", false);
    client.flush(&mut stage);
    client.peer.shutdown();
    stage.until(|_| (!ends(&log).is_empty()).then_some(()));
    assert_eq!(ends(&log), ["the peer has ended the connection (0 sent, 0 dropped)"]);
    let client = Client::open(&mut stage);
    client.peer.reset();
    stage.until(|_| (ends(&log).len() == 2).then_some(()));
    assert_eq!(ends(&log)[1], "the peer has reset the connection (0 sent, 0 dropped)");
}

/// A server that stops tells its peers, and waits for their closes.
fn a_server_that_stops_says_so(backend: Backend) {
    let log = Log::default();
    let mut stage = Stage::new(backend, log.server());
    let mut client = Client::open(&mut stage);
    client.send("one");
    assert_eq!(client.messages(&mut stage, 1), [Message::from("one")]);
    stage.send(Order::Drain { within_ms: 1_000_000 });
    client.until(&mut stage, |client| client.closed.is_some());
    assert_eq!(client.closed.as_ref().map(CloseFrame::code), Some(1001));
    client.until_ended(&mut stage);
    let expected = "closed here with 1001: the server stops (1 sent, 0 dropped)";
    assert_eq!(ends(&log), [expected]);
}

/// A flood of pings is told its limit, and costs nobody else anything.
fn a_flood_of_pings_is_refused(backend: Backend) {
    let mut limits = Limits::default();
    limits.websocket.socket_controls_max = 10;
    let mut stage = Stage::new(backend, Log::default().server().limits(limits));
    let mut client = Client::open(&mut stage);
    for _ in 0..11 {
        client.ping(b"");
    }
    client.until_ended(&mut stage);
    assert_eq!(client.closed.map(|frame| frame.code()), Some(1008));
    assert_eq!((client.pongs.len(), stage.met("socket_controls_max")), (10, 1));
}

/// Attack 8: fragments of a byte each that never end are joined, and 64 of them are enough.
fn fragments_that_never_end_are_refused(backend: Backend) {
    let mut stage = Stage::new(backend, Log::default().server());
    let mut client = Client::open(&mut stage);
    for _ in 0..64 {
        client.send_part("x", false);
    }
    client.flush(&mut stage);
    stage.until(|stage| {
        stage.turn();
        (stage.bytes_held() == 64).then_some(())
    });
    client.send_part("x", false);
    client.until_ended(&mut stage);
    assert_eq!(client.closed.map(|frame| frame.code()), Some(1008));
    assert_eq!(stage.met("socket_fragments_max"), 1);
}

/// It is shown with what it speaks.
fn it_is_shown_as_what_it_is(backend: Backend) {
    let mut stage = Stage::new(backend, Log::default().server());
    let mut client = Client::open(&mut stage);
    client.send("x");
    client.messages(&mut stage, 1);
    let (asked, seen) = std::sync::mpsc::channel();
    stage.send(Order::Look(asked));
    let seen = stage.until(|_| seen.try_recv().ok());
    assert_eq!(seen.iter().map(|own| own.protocol).collect::<Vec<_>>(), ["websocket"]);
}

/// What is said in the callback of the end, or through a handle that is gone, goes nowhere.
fn a_function_is_a_handler(backend: Backend) {
    let server =
        Server::new().websocket("/", |socket: Socket, message: Message| socket.send(message));
    let mut stage = Stage::new(backend, server);
    let mut client = Client::open(&mut stage);
    client.send("high");
    assert_eq!(client.messages(&mut stage, 1), [Message::from("high")]);
    client.close(&mut stage);
}

over_all_backends!(
    a_handler_closes_behind_what_it_sent,
    a_panic_ends_its_own_connection,
    what_breaks_a_rule_is_told_the_code,
    a_route_has_a_limit_of_its_own,
    a_route_may_take_messages_of_any_length,
    a_lost_connection_is_told,
    a_server_that_stops_says_so,
    a_flood_of_pings_is_refused,
    fragments_that_never_end_are_refused,
    it_is_shown_as_what_it_is,
    a_function_is_a_handler,
);
