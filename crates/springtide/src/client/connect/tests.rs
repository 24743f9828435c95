//! Addresses that do not answer, and connections that nobody waits for any more, in virtual time.

use std::net::SocketAddr;
use std::time::Duration;

use springtide_engine::Address;
use springtide_engine::simulated::Service;

use super::*;
use crate::client::{ClientLimits, HttpClient};
use crate::mailbox::Message;
use crate::tests::{Backend, Stage};
use crate::{Request, Server, current, to_the_end};

const OPEN: [u8; 4] = [192, 0, 2, 1];
const SILENT: [u8; 4] = [192, 0, 2, 2];
const REFUSED: [u8; 4] = [192, 0, 2, 3];
const TIMEOUT_MS: u64 = 9_000;

fn address(ip: [u8; 4]) -> SocketAddr {
    (ip, 80).into()
}

fn limits() -> ClientLimits {
    ClientLimits { connect_timeout_ms: TIMEOUT_MS, ..ClientLimits::default() }
}

/// What connecting to these addresses comes to, in words.
async fn outcome(addresses: &[SocketAddr]) -> String {
    let shared = current::shard().expect("a handler runs on its shard");
    let settings = Settings::new(limits());
    let origin = Origin { host: "a.example".to_owned(), port: 80 };
    let until = ends(TIMEOUT_MS, &shared);
    let connecting = connect_in_turn(addresses, until, &origin, &settings, &shared);
    match within(TIMEOUT_MS, "connect_timeout", connecting).await {
        Ok(line) => {
            line.give_up();
            "connected".to_owned()
        }
        Err(error) => error.to_string(),
    }
}

/// A stage in a world where one address listens, one never answers and any other refuses.
fn stage(server: Server) -> (Stage, [Service; 2]) {
    let mut services = None;
    let stage = Stage::with_world(Backend::Simulated, server, |world| {
        let open = world.serve(&Address::Internet(address(OPEN))).unwrap();
        let silent = world.swallow(&Address::Internet(address(SILENT))).unwrap();
        services = Some([open, silent]);
    });
    (stage, services.unwrap())
}

#[test]
fn an_address_that_does_not_answer_leaves_the_others_their_share() {
    for (addresses, after_ms, expected) in [
        (&[OPEN, SILENT][..], 0, "connected"),
        (&[REFUSED, OPEN], 0, "connected"),
        (&[SILENT, OPEN], TIMEOUT_MS / 2, "connected"),
        (&[SILENT, SILENT, OPEN], TIMEOUT_MS / 3 * 2, "connected"),
        (&[REFUSED, SILENT, OPEN], TIMEOUT_MS / 2, "connected"),
        (&[SILENT, REFUSED], TIMEOUT_MS / 2, "192.0.2.3:80: connect: Connection refused"),
        (&[SILENT, SILENT], TIMEOUT_MS, "connect_timeout is over"),
        (&[SILENT], TIMEOUT_MS, "connect_timeout is over"),
    ] {
        let own: Vec<SocketAddr> = addresses.iter().map(|ip| address(*ip)).collect();
        let server = Server::new().get("/", async move |_: Request| outcome(&own).await);
        let (mut stage, _services) = stage(server);
        let (mut peer, mut received) = (stage.connect(), Vec::new());
        assert!(peer.write(b"GET / HTTP/1.0\r\n\r\n") > 0);
        (0..20).for_each(|_| stage.turn());
        for _ in 0..after_ms {
            assert!(received.is_empty(), "{addresses:?}");
            stage.advance(Duration::from_millis(1));
            peer.read(&mut received);
        }
        (0..20).for_each(|_| stage.turn());
        peer.read(&mut received);
        let said = String::from_utf8(received).unwrap();
        assert!(said.contains(&format!("\r\n\r\n{expected}")), "{addresses:?}: {said}");
        let at_rest = usize::from(expected == "connected");
        assert_eq!(stage.at_desk(), [at_rest, 0, at_rest, 0], "{addresses:?}");
    }
}

/// A future that runs on without its client waits for an address that never answers: patience with
/// it ends when that with the shard does.
#[test]
fn a_connect_holds_up_no_stop() {
    let client = HttpClient::new()
        .limits(ClientLimits { connect_timeout_ms: u64::MAX, ..ClientLimits::default() });
    let ask = async move |_: Request| {
        while client.get("http://192.0.2.2/").send().await.is_err() {
            sleep(Duration::from_millis(1)).await;
        }
        "never"
    };
    let (mut stage, _services) = stage(Server::new().get("/", to_the_end(ask)));
    let mut peer = stage.connect();
    assert!(peer.write(b"GET / HTTP/1.0\r\n\r\n") > 0);
    (0..20).for_each(|_| stage.turn());
    assert_eq!(stage.at_desk(), [1, 1, 0, 0]);
    peer.reset();
    (0..20).for_each(|_| stage.turn());
    stage.send(Message::Drain { within_ms: 1_000 });
    (0..20).for_each(|_| assert!(!stage.is_over(), "it is waited for"));
    stage.advance(Duration::from_millis(1_000));
    assert!((0..20).any(|_| stage.is_over()), "it is waited for without end");
}

/// A handler that asks, and then does not want to know.
#[test]
fn what_stands_when_nobody_waits_any_more_rests() {
    for (idle_max, expected) in [(1, [1, 0, 1, 0]), (0, [0; 4])] {
        let limits = ClientLimits { idle_max, ..ClientLimits::default() };
        let client = HttpClient::new().limits(limits);
        let server = Server::new().get("/", async move || {
            let mut sending = pin!(client.get("http://192.0.2.1/").send());
            poll_fn(|context| {
                let _ = sending.as_mut().poll(context);
                Poll::Ready(())
            })
            .await;
            sleep(Duration::from_millis(10)).await;
            "never mind"
        });
        let (mut stage, _services) = stage(server);
        let mut peer = stage.connect();
        assert!(peer.write(b"GET / HTTP/1.0\r\n\r\n") > 0);
        (0..20).for_each(|_| stage.turn());
        assert_eq!(stage.at_desk(), [1, 0, 0, 0], "it stands");
        stage.advance(Duration::from_millis(10));
        (0..20).for_each(|_| stage.turn());
        assert_eq!(stage.at_desk(), expected, "with room for {idle_max}");
    }
}
