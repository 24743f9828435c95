//! The simulated backend: a world of virtual time and seeded chance, with no system beneath it.
//! It offers the contract of the real ones, and every fault that they may show.

use super::Backend;
use crate::engine::EngineOptions;

/// A world.
#[derive(Debug)]
pub struct World;

impl World {
    pub(crate) fn backend(&self, _: &EngineOptions) -> Box<dyn Backend> {
        unimplemented!()
    }
}
