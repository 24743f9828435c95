//! What threads share, under every interleaving: no message is left behind by a shard that sleeps or has
//! ended, and nobody waits for what has come.
//! Built with `--cfg loom` only; without it there is nothing here.
#![cfg(loom)]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use loom::sync::Arc;
use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::thread;
use springtide_engine::{Intake, Phase, Promise, Signal};

/// The shard's side: takes what was sent until it has `count`; `event` stands for the eventfd.
fn receive(signal: &Signal, sent: &AtomicUsize, event: &loom::sync::Notify, count: usize) {
    loop {
        if signal.prepare_sleep() {
            event.wait();
        }
        signal.awake();
        if sent.load(Ordering::Relaxed) == count {
            return;
        }
    }
}

fn send(signal: &Signal, sent: &AtomicUsize, event: &loom::sync::Notify) {
    sent.fetch_add(1, Ordering::Relaxed);
    if signal.notify() {
        event.notify();
    }
}

fn no_message_is_missed(senders: usize, preemption_bound: Option<usize>) {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = preemption_bound;
    model.check(move || {
        let signal = Arc::new(Signal::new());
        let sent = Arc::new(AtomicUsize::new(0));
        let event = Arc::new(loom::sync::Notify::new());
        let threads: Vec<_> = (0..senders)
            .map(|_| {
                let (signal, sent, event) = (signal.clone(), sent.clone(), event.clone());
                thread::spawn(move || send(&signal, &sent, &event))
            })
            .collect();
        receive(&signal, &sent, &event, senders);
        for thread in threads {
            thread.join().unwrap();
        }
    });
}

#[test]
fn a_sleeping_shard_misses_no_message() {
    no_message_is_missed(1, None);
}

/// All interleavings of two take minutes: those with at most three preemptions find what there is.
#[test]
fn a_sleeping_shard_misses_none_of_two_messages() {
    no_message_is_missed(2, Some(3));
}

/// What is handed in is taken, comes back, or is found by whoever closes: exactly one of the three.
#[test]
fn nothing_is_left_in_a_closed_intake() {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(3);
    model.check(|| {
        let intake = Arc::new(Intake::new());
        let (event, refused) = (Arc::new(loom::sync::Notify::new()), Arc::new(AtomicUsize::new(0)));
        let threads: Vec<_> = (0..2)
            .map(|number| {
                let (intake, event, refused) = (intake.clone(), event.clone(), refused.clone());
                thread::spawn(move || match intake.push(number) {
                    Ok(true) => event.notify(),
                    Ok(false) => {}
                    Err(_) => _ = refused.fetch_add(1, Ordering::Relaxed),
                })
            })
            .collect();
        let mut taken = 0;
        while taken == 0 {
            // It is told of the first, or this waits for ever.
            event.wait();
            taken = intake.take().len();
        }
        let found = intake.close().len();
        for thread in threads {
            thread.join().unwrap();
        }
        assert_eq!(taken + found + refused.load(Ordering::Relaxed), 2);
        assert!(intake.take().is_empty());
    });
}

/// Who waits is woken, whatever comes first.
#[test]
fn a_promise_wakes_whoever_waits() {
    loom::model(|| {
        let promise = Arc::new(Promise::<u8, ()>::new());
        let own = promise.clone();
        let waiting = thread::spawn(move || own.wait(None));
        assert!(promise.end(|_| Some(7)));
        assert!(matches!(waiting.join().unwrap(), Phase::Ended(7)));
    });
}

/// A value goes to whoever listens, to whoever leaves, or back to whoever gives it: once.
#[test]
fn a_promise_is_kept_once() {
    loom::model(|| {
        let promise = Arc::new(Promise::<u8, u8>::new());
        let (own, told) = (promise.clone(), Arc::new(AtomicUsize::new(0)));
        let count = told.clone();
        let ending = thread::spawn(move || {
            let is_kept = own.end(|listener| match listener {
                Some(_) => {
                    count.fetch_add(1, Ordering::Relaxed);
                    None
                }
                None => Some(7),
            });
            usize::from(!is_kept)
        });
        let listened = matches!(promise.listen(1), Err((Some(7), _)));
        let left = matches!(promise.leave(), Phase::Ended(7));
        let given_back = ending.join().unwrap();
        let taken = usize::from(listened) + usize::from(left);
        assert_eq!(taken + given_back + told.load(Ordering::Relaxed), 1);
    });
}
