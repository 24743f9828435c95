//! What a request is called, and how its errors are said, goes with it from shard to shard.
//! Names are told by replies; nothing here looks into a handoff.

use std::sync::{Arc, Mutex};

use crate::test::World;
use crate::tests::{Backend, Stage};
use crate::{Middleware, Outcome, Request, Router, Server};

/// Writes down what requests are called when their heads have come.
struct Names(Arc<Mutex<Vec<String>>>);

impl Middleware for Names {
    fn begin(&self, request: &Request) -> Outcome {
        self.0.lock().unwrap().push(request.id().into_owned());
        Outcome::Pass
    }
}

const HEAD: &[u8] = b"POST /in/name HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n";

fn name_in_reply(peer: &mut crate::test::Peer) -> String {
    String::from_utf8(peer.reply().expect("an answer").body().to_vec()).unwrap()
}

/// A request is called the same before and after its connection has moved, and no other one is.
#[test]
fn a_request_keeps_its_name() {
    let said = Arc::<Mutex<Vec<String>>>::default();
    let names = Names(said.clone());
    let router =
        Router::new().wrap(names).post("/name", |request: Request| request.id().into_owned());
    let mut world = World::new(1);
    world.serve(Server::new().workers(2).nest("/in", router));
    for (source, target) in [(0, 1), (1, 0), (0, 1)] {
        let mut peers: Vec<_> = (0..4).map(|_| world.connect()).collect();
        for peer in &mut peers {
            assert_eq!(peer.write(HEAD), HEAD.len());
            assert_eq!(peer.write(b"x"), 1);
        }
        world.settle();
        world.share(source, target, 4);
        world.settle();
        for peer in &mut peers {
            assert_eq!(peer.write(b"y"), 1);
        }
        world.settle();
        let mut replies: Vec<_> = peers.iter_mut().map(name_in_reply).collect();
        let mut said = std::mem::take(&mut *said.lock().unwrap());
        replies.sort();
        said.sort();
        assert_eq!(replies, said);
        said.dedup();
        assert_eq!(said.len(), 4, "{said:?}");
    }
}

/// A file that is not there is told as its client prefers, wherever that is found out.
#[test]
fn an_error_keeps_its_form() {
    let server = Server::new().files("/files", "/site");
    let mut stage = Stage::with_world(Backend::MovingSimulated, server, |world| {
        world.write_file("/site/some", b"a file");
    });
    let mut peer = stage.connect();
    let request = "GET /files/none HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\
                   Accept: application/json\r\n\r\n";
    let reply = stage.talk_to_end(&mut peer, request.as_bytes());
    assert!(reply.starts_with("HTTP/1.1 404 "), "{reply}");
    assert!(reply.contains("application/problem+json"), "{reply}");
}
