//! Values that handlers ask for by type, over every backend and on the pool.
//! A type nobody gave is the handler's own mistake, and a 500.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::{Backend, Stage, over_all_backends, over_still_backends};
use crate::{Request, Server, offload};

struct Visits(AtomicUsize);

fn visit(request: &Request) -> String {
    format!("{}~", request.state::<Visits>().0.fetch_add(1, Ordering::Relaxed))
}

fn server() -> Server {
    Server::new()
        .state(Visits(AtomicUsize::new(1)))
        .with_shard_state(|| Rc::new(Cell::new(0_usize)))
        .get("/plain", |request: Request| visit(&request))
        .get("/later", async |request: Request| visit(&request))
        .get("/away", offload(|request| visit(&request)))
        .get("/shard", |request: Request| {
            let own = request.shard_state::<Rc<Cell<usize>>>();
            own.set(own.get() + 1);
            format!("{}~", own.get())
        })
        .get("/missing", |request: Request| request.state::<u8>().to_string())
        .get("/shard-missing", |request: Request| request.shard_state::<String>().clone())
        .get("/shard-away", offload(|request| request.shard_state::<String>().clone()))
}

fn ask(stage: &mut Stage, paths: &[&str]) -> Vec<String> {
    let mut peer = stage.connect();
    let get = |path| format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n");
    let requests: String = paths.iter().map(get).collect();
    let last = "GET /none HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    let replies = stage.talk_to_end(&mut peer, (requests + last).as_bytes());
    replies
        .split("HTTP/1.1 ")
        .skip(1)
        .map(|reply| match reply.split_once("\r\n\r\n") {
            Some((_, body)) if reply.starts_with("200") => body.to_owned(),
            _ => reply[..3].to_owned(),
        })
        .collect()
}

fn handlers_share_state(backend: Backend) {
    let mut stage = Stage::new(backend, server());
    let replies = ask(&mut stage, &["/plain", "/plain"]);
    assert_eq!(replies, ["1~", "2~", "404"]);
}

fn every_shape_of_handler_has_state(backend: Backend) {
    let mut stage = Stage::new(backend, server());
    let paths = ["/plain", "/shard", "/missing", "/shard-missing", "/shard-away", "/shard"];
    assert_eq!(ask(&mut stage, &paths), ["1~", "1~", "500", "500", "500", "2~", "404"]);
    assert_eq!(ask(&mut stage, &["/later"])[0], "2~");
    assert_eq!(ask(&mut stage, &["/away"])[0], "3~");
    assert_eq!(stage.counts().panics_total, 3);
    // What is of a shard is made anew where it goes on.
    stage.move_to(backend);
    assert_eq!(ask(&mut stage, &["/shard", "/plain"]), ["1~", "4~", "404"]);
}

#[test]
fn a_type_stands_for_one_value() {
    let two = Server::new().state(1_u8).state(2_u8).listen("127.0.0.1:0");
    let error = two.expect_err("two of a type").to_string();
    assert!(error.contains("the type u8"), "{error}");
    assert!(Server::new().state(1_u8).with_shard_state(|| 2_u8).listen("127.0.0.1:0").is_ok());
}

over_all_backends!(handlers_share_state);
/// A shard that goes on over another engine makes its states again. One that panics then is missing to
/// those that ask for it, and to nobody else.
#[test]
fn a_maker_that_panics_later_ends_nothing() {
    let made = AtomicUsize::new(0);
    let server = Server::new()
        .with_shard_state(move || {
            assert_eq!(made.fetch_add(1, Ordering::Relaxed), 0, "on purpose");
            7_usize
        })
        .with_shard_state(|| 8_u8)
        .get("/first", |request: Request| request.shard_state::<usize>().to_string())
        .get("/second", |request: Request| request.shard_state::<u8>().to_string());
    let mut stage = Stage::new(Backend::Simulated, server);
    assert_eq!(ask(&mut stage, &["/first", "/second"]), ["7", "8", "404"]);
    stage.move_to(Backend::Simulated);
    assert_eq!(ask(&mut stage, &["/first", "/second"]), ["500", "8", "404"]);
}

mod still {
    use super::every_shape_of_handler_has_state;
    super::over_still_backends!(every_shape_of_handler_has_state);
}
