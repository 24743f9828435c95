//! The driver: not yet.
fn main() {}
