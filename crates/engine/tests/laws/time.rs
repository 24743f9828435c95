//! Time: timeouts in their order and never early, and a wait that any thread can end.
//! On a real clock lateness is not judged: other programs run here too.

use std::time::Duration;

use springtide_engine::{Completion, Handle, Key, Op, OpKind, Outcome};

use crate::shard::{Patience, Random, Shard, Watchdog, assert_cancelled};
use crate::stage::Stage;

/// Timeouts come in order, to the millisecond and never early; cancelled ones do not expire.
pub(crate) fn timeouts_come_in_order<S: Stage>(stage: &S) {
    let mut random = Random(0x7171_7171_1717_1717);
    let mut shard = Shard::new(stage);
    let start = shard.engine.now();
    let mut left: Vec<(Key, u64)> = (0..500)
        .map(|index| {
            let ms = u64::try_from(1 + random.below(300)).unwrap();
            let at = start + Duration::from_millis(ms);
            (shard.submit(Op::Timeout { at }, index), ms)
        })
        .collect();
    // Before any turn, so that none of them can have come.
    let mut cancelled: Vec<Key> = left.drain(..50).map(|(key, _)| key).collect();
    cancelled.iter().for_each(|key| shard.cancel(*key));
    let mut last = 0;
    let patience = Patience::until("every timeout comes");
    while !left.is_empty() {
        let completions = shard.turn();
        let passed = shard.engine.now().since(start);
        for completion in completions {
            if let Some(own) = cancelled.iter().position(|key| *key == completion.key) {
                cancelled.swap_remove(own);
                assert_cancelled(&completion.outcome, OpKind::Timeout);
                continue;
            }
            assert!(matches!(completion.outcome, Outcome::Expired));
            let own = left.iter().position(|(key, _)| *key == completion.key).unwrap();
            let (_, ms) = left.swap_remove(own);
            assert!(passed >= Duration::from_millis(ms), "{ms} ms came after {passed:?}");
            assert!(!S::IS_SIMULATED || passed == Duration::from_millis(ms), "late: {passed:?}");
            assert!(ms >= last, "{ms} ms came behind {last} ms");
            last = ms;
        }
        patience.spend();
    }
    assert!(cancelled.is_empty(), "a cancelled timeout completes too (law 4)");
}

/// A waker ends a wait without a deadline, from another thread, also when it was used before.
pub(crate) fn a_waker_ends_a_wait<S: Stage>(stage: &S) {
    let mut shard = Shard::new(stage);
    shard.listen();
    let _watchdog = Watchdog::over("a waker ends a wait");
    for _ in 0..20 {
        let waker = shard.engine.waker();
        let thread = std::thread::spawn(move || waker.wake());
        let mut fresh = Vec::new();
        shard.engine.turn(None, &mut fresh).unwrap();
        assert!(fresh.is_empty());
        thread.join().unwrap();
    }
    shard.engine.waker().wake();
    shard.engine.turn(None, &mut Vec::new()).unwrap();
}

/// A wait without a deadline ends when timeouts come, also those that are sooner than what was
/// waited for before, and again after one has come.
pub(crate) fn a_wait_ends_with_far_timeouts<S: Stage>(stage: &S) {
    let mut shard = Shard::new(stage);
    let _watchdog = Watchdog::over("a wait ends with far timeouts");
    let start = shard.engine.now();
    let mut expired = Vec::new();
    let mut turn = |shard: &mut Shard| {
        let mut completions = Vec::new();
        shard.engine.turn(None, &mut completions).unwrap();
        let passed = shard.engine.now().since(start);
        for Completion { token: ms, outcome, .. } in completions {
            if matches!(outcome, Outcome::Expired) {
                assert!(passed >= Duration::from_millis(ms), "{ms} ms came after {passed:?}");
                expired.push(ms);
            }
        }
    };
    for round in [[90, 60, 30], [400, 380, 350]] {
        // If the first one ended the waits they would last for an hour.
        let keys = [3_600_000].into_iter().chain(round).map(|ms| {
            let at = start + Duration::from_millis(ms);
            let key = shard.engine.submit(Op::Timeout { at }, ms);
            // It waits for nothing, but what is due is told to the system already.
            shard.engine.waker().wake();
            turn(&mut shard);
            key
        });
        let keys: Vec<Key> = keys.collect();
        while shard.engine.in_flight() > 1 {
            turn(&mut shard);
        }
        shard.engine.cancel(keys[0]);
        turn(&mut shard);
    }
    assert_eq!(expired, [30, 60, 90, 350, 380, 400]);
}
