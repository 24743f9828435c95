//! Forwards over the mechanisms of the system as time goes by: what is passed without a copy is progress,
//! and a sink that takes nothing is cut.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::{Client, Log, Stream, forwarder, meet, pattern};
use crate::Limits;
use crate::tests::freeze::refusal::Refused;
use crate::tests::{Backend, Stage, over_system_backends};

/// A stage whose clock goes on when it is told to, with limits and two connections that have been introduced.
fn timed(backend: Backend, log: &Log, limits: Limits) -> (Stage, Arc<AtomicU64>, Client, Client) {
    let later_ms = Arc::new(AtomicU64::new(0));
    let mut stage = Stage::new(backend, forwarder(log).limits(limits));
    let (first, second) = meet(&mut stage);
    let engine = stage.spare_engine();
    let engine = Refused { later_ms: Arc::clone(&later_ms), ..Refused::over(engine) };
    stage.move_over(Box::new(engine));
    (stage, later_ms, first, second)
}

/// What the system passes is progress: neither end is idle.
fn what_is_passed_is_progress(backend: Backend) {
    let log = Log::default();
    let limits = Limits { raw_idle_timeout_ms: 10_000, ..Limits::default() };
    let (mut stage, later_ms, mut first, mut second) = timed(backend, &log, limits);
    let said = pattern(0, 10 << 20);
    let mut there = Stream::of(&said);
    for round in 1..=10 {
        while there.came.len() < round << 20 {
            let bytes_max = (round << 20) - there.written;
            there.write(&mut first, bytes_max);
            stage.turn();
            second.read(&mut there.came);
        }
        later_ms.fetch_add(6_000, Ordering::Relaxed);
        (0..3).for_each(|_| stage.turn());
        assert_eq!(log.lines(), [""; 0]);
    }
    assert!(stage.spliced_bytes() > 8 << 20);
    later_ms.fetch_add(12_000, Ordering::Relaxed);
    stage.until(|_| (log.lines().len() == 4).then_some(()));
    assert!(log.lines().contains(&r#"closed: TimedOut("raw_idle_timeout")"#.to_owned()));
}

/// A sink that takes nothing is cut in time, and the forward fails with that.
fn a_sink_that_takes_nothing_is_cut(backend: Backend) {
    let log = Log::default();
    let limits = Limits { send_timeout_ms: 8_000, ..Limits::default() };
    let (mut stage, later_ms, mut first, _second) = timed(backend, &log, limits);
    let said = pattern(0, 1 << 20);
    let mut still = 0;
    while still < 300 {
        let written = first.write(&said);
        stage.turn();
        still = if written == 0 { still + 1 } else { 0 };
    }
    assert!(stage.spliced_bytes() > 0);
    for _ in 0..7 {
        later_ms.fetch_add(1_000, Ordering::Relaxed);
        (0..3).for_each(|_| stage.turn());
        assert_eq!(log.lines(), [""; 0]);
    }
    for _ in 0..4 {
        later_ms.fetch_add(1_000, Ordering::Relaxed);
        (0..3).for_each(|_| stage.turn());
    }
    stage.until(|_| (log.lines().len() >= 3).then_some(()));
    assert!(log.lines().iter().any(|line| line.starts_with("there Err")), "{:?}", log.lines());
    assert_eq!(stage.met("send_timeout"), 1);
}

over_system_backends!(what_is_passed_is_progress, a_sink_that_takes_nothing_is_cut);
