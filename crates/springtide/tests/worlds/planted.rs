//! Bugs of applications, planted: tests over many worlds find them, and nothing where they are mended.
//! Nothing here waits in real time.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use springtide::test::{Fault, Faults, World, for_each_seed};
use springtide::{Server, StatusCode};

use super::{SECOND, ask, say};

/// What a test fails with in the first of many worlds in which it does.
fn found(test: impl FnMut(&mut World)) -> Option<&'static str> {
    let panic = catch_unwind(AssertUnwindSafe(|| for_each_seed(100, test))).err()?;
    Some(panic.downcast_ref::<&str>().expect("an assertion's own words"))
}

/// One ticket for all. The bug: who looks first sells it, however long ago that was.
fn tickets(sold: &Arc<AtomicU32>, is_mended: bool) -> Server {
    let (left, sold) = (sold.clone(), sold.clone());
    Server::new().get("/left", move || (1 - left.load(Ordering::Relaxed).min(1)).to_string()).post(
        "/buy",
        move || {
            if is_mended {
                let bought = sold.compare_exchange(0, 1, Ordering::Relaxed, Ordering::Relaxed);
                return bought.map_or(StatusCode::CONFLICT, |_| StatusCode::OK);
            }
            sold.fetch_add(1, Ordering::Relaxed);
            StatusCode::OK
        },
    )
}

/// Two visitors look whether a ticket is left and buy it, in any order.
fn two_visitors(world: &mut World, is_mended: bool) {
    let sold = Arc::new(AtomicU32::new(0));
    world.serve(tickets(&sold, is_mended));
    let mut visitors = [(world.connect(), "GET /left"), (world.connect(), "GET /left")];
    for _ in 0..8 {
        let (visitor, next) = &mut visitors[world.below(2)];
        if next.is_empty() {
            continue;
        }
        say(visitor, next);
        world.settle();
        let is_left = visitor.reply().expect("an answer").body() == b"1";
        *next = if *next == "GET /left" && is_left { "POST /buy" } else { "" };
    }
    assert!(sold.load(Ordering::Relaxed) <= 1, "the ticket was sold twice");
}

#[test]
fn requests_that_interleave_find_a_bug() {
    assert_eq!(found(|world| two_visitors(world, false)), Some("the ticket was sold twice"));
    assert_eq!(found(|world| two_visitors(world, true)), None);
}

/// A desk that lends its only key. The bug: it waits for it for ever.
fn desk(is_mended: bool) -> Server {
    let lent = Arc::new((AtomicBool::new(false), Mutex::new(0_u32)));
    let (take, give) = (lent.clone(), lent);
    Server::new()
        .post("/take", move || {
            // The mended one gives a new key after three that asked in vain.
            let mut refused = take.1.lock().unwrap();
            if !take.0.swap(true, Ordering::Relaxed) || (is_mended && *refused == 3) {
                *refused = 0;
                return StatusCode::OK;
            }
            *refused += 1;
            StatusCode::CONFLICT
        })
        .post("/give", move || give.0.store(false, Ordering::Relaxed))
}

/// One peer takes the key and gives it back, unless it goes away; then another one comes.
fn who_goes_away(world: &mut World, is_mended: bool) {
    world.serve(desk(is_mended));
    world.set_faults(Faults::all(0.1).with(Fault::Reset, 0.0).with(Fault::Stalled, 0.0));
    let mut first = world.connect();
    say(&mut first, "POST /take");
    world.pass(SECOND);
    if world.below(2) == 0 {
        first.reset();
    } else {
        say(&mut first, "POST /give");
    }
    world.pass(SECOND * 60);
    world.set_faults(Faults::default());
    let mut second = world.connect();
    let is_lent = (0..4).any(|_| ask(world, &mut second, "POST /take") == StatusCode::OK);
    assert!(is_lent, "the key never came back");
}

#[test]
fn peers_that_go_away_find_a_bug() {
    assert_eq!(found(|world| who_goes_away(world, false)), Some("the key never came back"));
    assert_eq!(found(|world| who_goes_away(world, true)), None);
}
