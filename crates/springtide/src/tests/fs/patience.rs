//! Files that take their time: long writes, between which others have their turn, and calls that hang.
//! A stop of a server waits for neither beyond its patience.

use std::time::Duration;

use super::{Log, told};
use crate::fs::{self, OpenOptions};
use crate::mailbox::Message;
use crate::tests::freeze::refusal::Refused;
use crate::tests::{Backend, Stage, over_all_backends};
use crate::{Bytes, Limits, Peer, Server};

/// A long write is no single call, of one piece or of several: each turn has its share.
fn long_writes_take_turns(backend: Backend) {
    let limits = Limits { file_write_bytes_max: 10_000, ..Limits::default() };
    let bytes: Bytes = (0..100_000_u32).map(|at| at as u8).collect();
    let known = bytes.clone();
    let log = told(backend, "long", limits, async move |directory, log: Log| {
        let at = directory.join("long");
        let written = fs::write(&at, bytes.clone()).await?;
        let is_same = written.as_ptr() == bytes.as_ptr() && written == bytes;
        let line = format!("{is_same} {}", fs::read(&at).await? == bytes);
        log.lock().unwrap().push(line);
        let file = fs::open(&at, OpenOptions::new().read(true).write(true)).await?;
        let pieces = vec![bytes.slice(..25_000), Bytes::new(), bytes.slice(25_000..)];
        let written = file.write_vectored_at(50_000, pieces.clone()).await?;
        let read = file.read_at(50_000, 200_000).await?;
        log.lock().unwrap().push(format!("{} {}", written == pieces, read == bytes));
        Ok(())
    });
    assert_eq!((log, known.len()), (vec!["true true".to_owned(); 2], 100_000));
}

/// How many turns a write takes, and that others are answered meanwhile.
#[test]
fn others_have_their_turn_within_a_write() {
    let limits = Limits { file_write_bytes_max: 1_000, ..Limits::default() };
    let server = Server::new().limits(limits).raw_async(async |peer: Peer| {
        peer.pull().await?;
        fs::write("/long", vec![b'x'; 100_000]).await?;
        peer.push("written").await?;
        Ok(())
    });
    let mut stage = Stage::new(Backend::Simulated, server);
    let mut peer = stage.connect();
    stage.turn();
    let before = stage.turns;
    assert_eq!(stage.talk(&mut peer, b"begin", 7), b"written");
    assert!(stage.turns - before >= 100, "{} turns", stage.turns - before);
}

/// What hangs in the system keeps no stop: neither who waits for it nor its file.
#[test]
fn a_call_that_hangs_keeps_no_stop() {
    let server = Server::new().raw_async(async |peer: Peer| {
        let file = fs::open("/there", OpenOptions::new().write(true)).await?;
        file.write_at(0, "x").await?;
        peer.push("syncs").await?;
        file.sync_all().await?;
        peer.push("never").await?;
        Ok(())
    });
    let mut stage = Stage::with_world(Backend::Simulated, server, |world| {
        world.write_file("/there", b"was there");
    });
    let engine = stage.spare_engine();
    stage.move_over(Box::new(Refused { hung: Some(0), ..Refused::over(engine) }));
    let mut peer = stage.connect();
    assert_eq!(stage.talk(&mut peer, b"", 5), b"syncs");
    stage.send(Message::Drain { within_ms: 1_000 });
    stage.turn();
    stage.advance(Duration::from_millis(999));
    assert!(!stage.is_over() && !peer.is_ended(), "it is waited for");
    stage.advance(Duration::from_millis(1));
    assert!(!stage.is_over(), "the system has some time for the rest");
    stage.advance(Duration::from_millis(1_999));
    assert!(!stage.is_over());
    stage.advance(Duration::from_millis(1));
    assert!(stage.is_over());
}

over_all_backends!(long_writes_take_turns);
