//! Cores that never halt, for rows in which servers and clients sleep.
//! It must never take time from anybody who wants to run.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

use crate::system;

/// Keeps cores awake as long as it lives: a core that halts is given away by a hypervisor, and how long
/// it takes to come back is nothing that a server does.
#[derive(Debug)]
pub(super) struct Awake {
    is_over: Arc<AtomicBool>,
    threads: Vec<JoinHandle<io::Result<()>>>,
}

impl Awake {
    pub(super) fn keep(cores: [usize; 2]) -> Self {
        let is_over = Arc::new(AtomicBool::new(false));
        let threads = cores.map(|core| {
            let is_over = Arc::clone(&is_over);
            thread::spawn(move || {
                // In this order: otherwise it would stand in the way.
                system::go_behind_others()?;
                system::pin_to_core(core)?;
                while !is_over.load(Ordering::Relaxed) {
                    std::hint::spin_loop();
                }
                Ok(())
            })
        });
        Self { is_over, threads: threads.into() }
    }
}

impl Drop for Awake {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            if let Ok(Err(error)) = thread.join() {
                eprintln!("a core was not kept awake: {error}");
            }
        }
    }
}
