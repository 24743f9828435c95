//! Raw connections that have subscribed: they are sent the bytes of what is published, whatever their
//! peers say meanwhile; who does not take them misses the newest, and each is counted.

use crate::tests::{Backend, Stage, over_all_backends};
use crate::{Limits, Peer, Server, Topics};

/// Everybody hears what the others say.
fn intro(peer: Peer) {
    peer.subscribe("talk");
    read(peer);
}

fn read(peer: Peer) {
    peer.pull().then(|peer, bytes| {
        assert_eq!(peer.publish_to_others("talk", bytes), 0);
        read(peer);
    });
}

fn stage(backend: Backend, name: &str, limits: Limits) -> (Stage, Topics) {
    let server = Server::new().raw(intro).limits(limits);
    let topics = server.topics();
    let stage = match backend.is_simulated() {
        true => Stage::new(backend, server),
        false => Stage::on_unix(backend, server, name),
    };
    (stage, topics)
}

fn raw_peers_hear_each_other(backend: Backend) {
    let (mut stage, topics) = stage(backend, "talk", Limits::default());
    let mut peers = [(); 3].map(|()| stage.connect());
    stage.until(|stage| {
        stage.turn();
        (topics.topic("talk").subscribers == 3).then_some(())
    });
    let mut heard = [const { Vec::new() }; 3];
    for round in 0..6 {
        let said = format!("said {round};");
        assert_eq!(peers[round % 3].write(said.as_bytes()), said.len());
        topics.publish("talk", "by all;");
        stage.until(|stage| {
            stage.turn();
            peers.iter_mut().zip(&mut heard).for_each(|(peer, heard)| peer.read(heard));
            let counts = stage.counts();
            (counts.deliveries_total == (round as u64 + 1) * 5).then_some(())
        });
    }
    stage.until(|stage| {
        stage.turn();
        peers.iter_mut().zip(&mut heard).for_each(|(peer, heard)| peer.read(heard));
        heard.iter().all(|heard| heard.len() == 6 * 7 + 4 * 7).then_some(())
    });
    for (own, heard) in heard.iter().enumerate() {
        let heard = String::from_utf8(heard.clone()).unwrap();
        let said = heard.split(';').filter_map(|said| said.strip_prefix("said "));
        let others = (0..6).filter(|round| round % 3 != own).map(|round| round.to_string());
        assert!(said.eq(others), "{heard}");
    }
    drop(peers);
    stage.until(|stage| {
        stage.turn();
        (stage.counts().connections_open == 0).then_some(())
    });
    assert_eq!(topics.all(), []);
}

fn a_raw_peer_that_is_behind_misses_the_newest(backend: Backend) {
    const SAID: u64 = 3_000;
    let limits = Limits { outbox_bytes_max: 100_000, ..Limits::default() };
    let (mut stage, topics) = stage(backend, "behind", limits);
    let mut peer = stage.connect();
    stage.until(|stage| {
        stage.turn();
        (topics.topic("talk").subscribers == 1).then_some(())
    });
    for number in 0..SAID {
        topics.publish("talk", [number.to_be_bytes().as_slice(), &[7; 992]].concat());
        if number % 10 == 9 {
            stage.turn();
            // The limit, and the send that is under way.
            assert!(stage.bytes_held() < 100_000 + (1 << 20) + 10_000);
        }
    }
    let counts = topics.topic("talk");
    let mut heard = Vec::new();
    stage.until(|stage| {
        stage.turn();
        peer.read(&mut heard);
        let counts = stage.counts();
        let is_all = counts.deliveries_total + counts.deliveries_dropped == SAID;
        (is_all && heard.len() as u64 == counts.deliveries_total * 1_000).then_some(())
    });
    assert!(counts.dropped > 100, "{counts:?}");
    let numbers = heard.chunks(1_000).map(|said| u64::from_be_bytes(*said.first_chunk().unwrap()));
    assert!(numbers.is_sorted());
}

over_all_backends!(raw_peers_hear_each_other, a_raw_peer_that_is_behind_misses_the_newest);
