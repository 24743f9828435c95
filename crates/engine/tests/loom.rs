//! The sleeping flag under every interleaving: no message is left behind by a sleeping shard.
//! Built with `--cfg loom` only; without it there is nothing here.
#![cfg(loom)]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use loom::sync::Arc;
use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::thread;
use springtide_engine::Signal;

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
