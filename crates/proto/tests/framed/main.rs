//! Machines for frames from outside: tables of inputs, each given whole, at every split and byte by
//! byte, in both directions. It must never look inside a machine, so that the tests survive a rewrite.
#![allow(clippy::unwrap_used, reason = "a test may unwrap, its helpers too")]

mod cases;
mod client;
mod costs;
mod driver;
mod freezing;
mod order;
mod own;
mod properties;
mod times;
