//! Forwards that other threads ask for.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::tests::{Backend, Stage, over_all_backends};
use crate::{Reason, Server, Status, Wait};

/// Other threads ask for one, of two connections of one shard.
fn other_threads_ask_for_it(backend: Backend) {
    let remotes = Arc::new(Mutex::new(Vec::new()));
    let own = remotes.clone();
    let server = || {
        let own = own.clone();
        Server::new().raw(move |peer| own.lock().unwrap().push(peer.remote()))
    };
    let (mut stage, mut elsewhere) = (Stage::new(backend, server()), Stage::new(backend, server()));
    let (mut first, mut second) = (stage.connect(), None);
    stage.until(|stage| match remotes.lock().unwrap().len() {
        0 => None,
        1 => {
            second.get_or_insert_with(|| stage.connect());
            None
        }
        _ => Some(()),
    });
    let mut second = second.unwrap();
    let _third = elsewhere.connect();
    elsewhere.until(|_| (remotes.lock().unwrap().len() == 3).then_some(()));
    let remotes = std::mem::take(&mut *remotes.lock().unwrap());
    let refused = remotes[0].forward(&remotes[2]).wait_for(Duration::ZERO);
    assert_eq!(refused, Err(Wait::Failed(Reason::Elsewhere)));
    let forward = remotes[0].forward(&remotes[1]);
    let behind = remotes[0].pull();
    assert!(stage.talk(&mut first, b"high tide", 0).is_empty());
    assert_eq!(stage.talk(&mut second, b"", 9), b"high tide");
    first.shutdown();
    stage.until(|_| (behind.status() != Status::Pending).then_some(()));
    assert_eq!(forward.wait_for(Duration::ZERO), Ok(9));
    assert_eq!(behind.wait_for(Duration::ZERO), Ok(None));
}

over_all_backends!(other_threads_ask_for_it);
