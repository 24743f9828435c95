//! Time in servers of frames.
//! Nothing here waits: it is the world's time that passes.

use std::time::Duration;

use super::echo;
use crate::Framed;
use crate::tests::{Backend, Stage, over_simulated_backends};

fn half_a_frame_is_cut_in_time(backend: Backend) {
    for (said, timeout_ms) in [("low\nhi", 30_000), ("low\n", 300_000), ("", 300_000)] {
        let mut stage = Stage::new(backend, echo(Framed::lines()));
        let mut peer = stage.connect();
        stage.talk(&mut peer, said.as_bytes(), said.len().min(4));
        stage.advance(Duration::from_millis(timeout_ms - 1));
        assert!(!peer.is_ended(), "{said:?}");
        stage.advance(Duration::from_millis(2));
        assert!(peer.is_ended(), "{said:?}");
        assert_eq!(stage.counts().deadlines_total, 1);
    }
}

over_simulated_backends!(half_a_frame_is_cut_in_time);
