//! Raw connections by chance, over every backend: tasks are heard, held, dropped and cancelled at every
//! callback and await, while peers split what they say, stall, and vanish.
//! The plan is data: a failing one is made small and shown whole.

mod awaited;
mod called;
mod record;

use std::sync::Arc;

use proptest::prelude::*;

use crate::tests::{Backend, Peer as Client, Stage, over_all_backends};
use crate::{Limits, Reason, Server};
use record::{Record, pattern};

/// What a server does with one connection, and its peer with the other end.
#[derive(Clone, Debug)]
struct Plan {
    bursts: Vec<Vec<Step>>,
    /// How many bytes the peer says, and how.
    sent: usize,
    moves: Vec<Move>,
    /// Behind so many bytes the peer resets the connection, if it does.
    reset: Option<usize>,
    inbox_bytes_max: usize,
    outbox_bytes_max: usize,
    pulls_waiting_max: usize,
}

/// One thing that the server does.
#[derive(Clone, Copy, Debug)]
enum Step {
    Pull(Wanted, Fate),
    /// So many bytes behind the head of a frame.
    Push(usize, Fate),
    /// What becomes of a pull, and of a push, that is held: one of them.
    PullHeld(usize, Fate),
    PushHeld(usize, Fate),
    /// Cancels something that is listened to, or has ended long ago.
    CancelHeard(usize),
    /// So many turns pass, where a future does all this.
    Wait(usize),
}

#[derive(Clone, Copy, Debug)]
enum Wanted {
    Some,
    Exact(usize),
    Until(usize),
}

/// What becomes of a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// Somebody hears of its end.
    Heard,
    /// The same, and it is cancelled.
    Cancelled,
    Dropped,
    /// Of pushes: it goes on alone. A pull would take bytes along.
    Detached,
    /// Nobody listens for now.
    Held,
}

/// One round of the peer: it writes so much at most, lets turns pass, and reads or does not.
#[derive(Clone, Copy, Debug)]
struct Move {
    bytes: usize,
    turns: usize,
    reads: bool,
}

/// What ends lines in the stream of a peer.
const DELIMITER: &str = "\n";

fn fate() -> impl Strategy<Value = Fate> {
    use Fate::{Cancelled, Detached, Dropped, Heard, Held};
    prop::sample::select(vec![Heard, Heard, Heard, Cancelled, Dropped, Detached, Held, Held])
}

fn step() -> impl Strategy<Value = Step> {
    let wanted = prop_oneof![
        3 => Just(Wanted::Some),
        2 => (1_usize..300).prop_map(Wanted::Exact),
        1 => (2_000_usize..9_000).prop_map(Wanted::Exact),
        2 => (1_usize..600).prop_map(Wanted::Until),
    ];
    let pushed = prop_oneof![4 => 0_usize..200, 2 => 200_usize..9_000, 1 => 9_000_usize..120_000];
    prop_oneof![
        5 => (wanted, fate()).prop_map(|(wanted, fate)| Step::Pull(wanted, fate)),
        5 => (pushed, fate()).prop_map(|(bytes, fate)| Step::Push(bytes, fate)),
        3 => (0_usize..8, fate()).prop_map(|(which, fate)| Step::PullHeld(which, fate)),
        3 => (0_usize..8, fate()).prop_map(|(which, fate)| Step::PushHeld(which, fate)),
        2 => (0_usize..50).prop_map(Step::CancelHeard),
        2 => (1_usize..12).prop_map(Step::Wait),
    ]
}

fn plan() -> impl Strategy<Value = Plan> {
    let moved =
        (prop_oneof![1_usize..20, 20_usize..3_000, Just(50_000)], 0_usize..6, any::<bool>())
            .prop_map(|(bytes, turns, reads)| Move { bytes, turns, reads });
    let bursts = prop::collection::vec(prop::collection::vec(step(), 1..6), 0..30);
    let moves = prop::collection::vec(moved, 1..12);
    let reset = prop_oneof![3 => Just(None), 1 => (0_usize..20_000).prop_map(Some)];
    let limits = (
        prop_oneof![Just(64 << 10), 64_usize..5_000],
        prop_oneof![Just(1 << 20), 500_usize..40_000],
        prop_oneof![Just(1024), 1_usize..4],
    );
    (bursts, 0_usize..40_000, moves, reset, limits).prop_map(
        |(bursts, sent, moves, reset, (inbox_bytes_max, outbox_bytes_max, pulls_waiting_max))| {
            Plan {
                bursts,
                sent,
                moves,
                reset,
                inbox_bytes_max,
                outbox_bytes_max,
                pulls_waiting_max,
            }
        },
    )
}

/// A server that does what a plan says.
fn server(plan: &Arc<Plan>, record: &Arc<Record>, is_awaited: bool) -> Server {
    let limits = Limits {
        inbox_bytes_max: plan.inbox_bytes_max,
        outbox_bytes_max: plan.outbox_bytes_max,
        pulls_waiting_max: plan.pulls_waiting_max,
        ..Limits::default()
    };
    let (plan, own, gone) = (Arc::clone(plan), Arc::clone(record), Arc::clone(record));
    let server = if is_awaited {
        Server::new().raw_async(async move |peer| awaited::play(peer, &plan, &own).await)
    } else {
        Server::new().raw(move |peer| called::begin(peer, &plan, &own))
    };
    server.limits(limits).closed(move |peer, reason| gone.close(peer, reason))
}

/// Plays the part of the peer: what it has received by the end.
fn converse(stage: &mut Stage, client: Client, plan: &Plan) -> Vec<u8> {
    let sent = pattern(plan.sent);
    let (mut rest, mut received) = (&sent[..], Vec::new());
    let (mut client, mut is_shut) = (Some(client), false);
    for own in plan.moves.iter().cycle() {
        let Some(peer) = &mut client else { break };
        // Byte by byte is enough of a short stream.
        let bytes = own.bytes.max(sent.len() / 500);
        let written = peer.write(&rest[..rest.len().min(bytes)]);
        rest = &rest[written..];
        if plan.reset.is_some_and(|behind| sent.len() - rest.len() >= behind.min(sent.len())) {
            client.take().expect("it is there").reset();
            break;
        }
        if rest.is_empty() && !std::mem::replace(&mut is_shut, rest.is_empty()) {
            peer.shutdown();
        }
        for _ in 0..=own.turns {
            stage.turn();
        }
        // Who has said all reads on, and who cannot go on: the other side may wait for that.
        if own.reads || written == 0 {
            peer.read(&mut received);
        }
        if peer.is_ended() {
            break;
        }
    }
    if let Some(peer) = &mut client {
        peer.read(&mut received);
    }
    received
}

fn prove(backend: Backend, plan: &Plan, is_awaited: bool) -> Result<(), TestCaseError> {
    let (plan, record) = (Arc::new(plan.clone()), Arc::new(Record::default()));
    let own = server(&plan, &record, is_awaited);
    let mut stage = match plan.reset {
        // A Unix socket has small buffers, and knows no reset.
        None if !backend.is_simulated() => {
            let name = if is_awaited { "chance-awaited" } else { "chance-called" };
            Stage::on_unix(backend, own, name)
        }
        _ => Stage::new(backend, own),
    };
    stage.turn();
    let before = stage.held_by_engine();
    let client = stage.connect();
    let received = converse(&mut stage, client, &plan);
    stage.until(|stage| {
        if stage.turns > 100_000 {
            return Some(());
        }
        let is_over = stage.peers().is_empty() && !stage.keeps_tasks();
        (is_over && stage.held_by_engine() <= before && record.has_closed()).then_some(())
    });
    prop_assert!(record.has_closed(), "it is told of the end");
    prop_assert!(!stage.keeps_tasks(), "no task is left");
    prop_assert!(stage.held_by_engine() <= before, "operations and descriptors are back");
    prop_assert_eq!(stage.held().futures, 0);
    let expected = match plan.reset {
        Some(_) => Reason::Reset,
        // Its future had nothing more to say when the peer had not either.
        None if is_awaited => Reason::PeerClosed,
        None => Reason::Closed,
    };
    record.judge(&pattern(plan.sent), &received, expected)?;
    drop(stage);
    prop_assert_eq!(record.kept(), 0, "buffers and captures are given back");
    Ok(())
}

fn whatever_is_dropped_streams_are_exact(backend: Backend) {
    let cases = if backend.is_moving() { 32 } else { 200 };
    let config = ProptestConfig { cases, failure_persistence: None, ..Default::default() };
    proptest!(config, |(plan in plan(), is_awaited in any::<bool>())| {
        prove(backend, &plan, is_awaited)?;
    });
}

over_all_backends!(whatever_is_dropped_streams_are_exact);
