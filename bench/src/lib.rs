//! What the load generator, the floor servers and the driver share.
//! It must never reach into the engine: what is measured here is measured from outside.

pub mod buffers;
pub mod driver;
pub mod floor;
pub mod histogram;
pub mod load;
pub mod report;
pub mod ring;
pub mod system;
pub mod template;
