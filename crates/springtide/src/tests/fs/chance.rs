//! Files by chance: tasks heard, dropped, cancelled and detached, while reads and writes are short,
//! late and interrupted, and shards are frozen. What a log holds at the end is what it may hold.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use springtide_engine::simulated::{Fault, Faults};

use crate::fs::{self, OpenOptions};
use crate::tests::{Backend, Stage, over_simulated_backends};
use crate::{Failure, Peer, Reason, Server};

/// What became of one record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Written,
    Detached,
    /// Wholly there or not at all.
    Dropped,
    /// Some of its first bytes may be there.
    Cancelled,
}

/// A connection lingers for two seconds, and what is late comes within some milliseconds.
const TURNS_MAX: usize = 4000;

type Fates = Arc<Mutex<Vec<Fate>>>;

/// Different in every record, so that nothing of one can be taken for another's.
fn record(number: usize) -> Vec<u8> {
    vec![u8::try_from(number).unwrap(); 1 + number * 7 % 23]
}

/// splitmix64.
fn below(state: &mut u64, end: u64) -> u64 {
    *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mixed = (*state ^ (*state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    (mixed ^ (mixed >> 27)) % end
}

async fn write_records(mut state: u64, fates: Fates) -> Result<(), Failure> {
    let options = OpenOptions::new().append(true).create(true);
    let log = fs::open("/log", options).await?;
    let mut held = Vec::new();
    for number in 0..60 {
        let task = log.append(record(number));
        let fate = match below(&mut state, 6) {
            0 => {
                drop(task);
                Fate::Dropped
            }
            1 => {
                task.detach();
                Fate::Detached
            }
            2 => {
                held.push((number, task));
                Fate::Dropped
            }
            3 => {
                // It may have begun meanwhile.
                log.metadata().await?;
                task.cancel();
                let ended = task.await;
                if ended == Err(Reason::Cancelled) { Fate::Cancelled } else { Fate::Written }
            }
            _ => {
                task.await?;
                Fate::Written
            }
        };
        fates.lock().unwrap().push(fate);
        if below(&mut state, 3) == 0 && !held.is_empty() {
            let (number, task) = held.swap_remove(0);
            if below(&mut state, 2) == 0 {
                task.await?;
                fates.lock().unwrap()[number] = Fate::Written;
            }
        }
    }
    Ok(())
}

/// Takes what is there of each record off the front.
fn check(mut there: &[u8], fates: &[Fate]) {
    for (number, fate) in fates.iter().enumerate() {
        let record = record(number);
        let count = there.iter().take_while(|byte| usize::from(**byte) == number).count();
        match fate {
            Fate::Written | Fate::Detached => assert_eq!(count, record.len(), "{number} {fate:?}"),
            Fate::Dropped => assert!(count == 0 || count == record.len(), "{number} {fate:?}"),
            Fate::Cancelled => assert!(count <= record.len(), "{number} {fate:?}"),
        }
        there = &there[count..];
    }
    assert!(there.is_empty(), "{there:?}");
}

fn a_log_holds_what_was_written(backend: Backend) {
    for seed in 0..20 {
        let fates = Fates::default();
        let own = fates.clone();
        let server = Server::new().raw_async(async move |peer: Peer| {
            write_records(seed, own.clone()).await?;
            peer.push("done").await?;
            Ok(())
        });
        let mut own_world = None;
        let mut stage = Stage::with_world(backend, server, |world| {
            let faults = [
                Fault::ShortRead,
                Fault::PartialSend,
                Fault::Interrupted,
                Fault::QueueFull,
                Fault::Reordered,
                Fault::CancelRace,
                Fault::Delayed,
            ];
            let faults = faults.iter().fold(Faults::default(), |all, one| all.with(*one, 0.2));
            world.set_faults(faults);
            own_world = Some(world.clone());
        });
        stage.turn();
        let before = stage.held_by_engine();
        let mut peer = stage.connect();
        let mut said = Vec::new();
        let mut is_done = false;
        // Time passes, or what is late never comes.
        for _ in 0..TURNS_MAX {
            stage.turn();
            stage.advance(Duration::from_millis(1));
            peer.read(&mut said);
            is_done = said == b"done" && stage.held_by_engine() == before;
            if is_done {
                break;
            }
        }
        assert!(is_done, "seed {seed}: {said:?}");
        drop(peer);
        let world = own_world.unwrap();
        check(&world.read_file("/log").unwrap(), &fates.lock().unwrap());
    }
}

over_simulated_backends!(a_log_holds_what_was_written);
