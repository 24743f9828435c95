//! Tests of applications in a simulated world: the whole server on one thread, with virtual time,
//! a seed, and no sockets. It must never touch the real clock, network or files.
//!
//! A [`World`] holds the unchanged server, its shards one after the other in an order by chance,
//! and the peers that talk to it. Time stands still but for [`World::pass`], so a minute costs
//! nothing. The same seed gives the same history to the bit, so a bug found once is found again.
//! [`for_each_seed`] runs a test in as many worlds as are wanted.
//!
//! ```
//! use springtide::Server;
//! use springtide::test::for_each_seed;
//!
//! for_each_seed(10, |world| {
//!     world.serve(Server::new().get("/", || "Hello, World!"));
//!     let mut peer = world.connect();
//!     // The request comes in two parts, cut anywhere.
//!     let request = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
//!     let (first, second) = request.split_at(world.below(request.len()));
//!     for part in [first, second] {
//!         assert_eq!(peer.write(part), part.len());
//!         world.settle();
//!     }
//!     assert_eq!(peer.reply().expect("an answer").body(), b"Hello, World!");
//! });
//! ```
//!
//! # What it finds
//!
//! Handlers keep state between requests: a cart, a lock, a session. What they forget is that the
//! requests of several peers come in any order, and that a peer may go away between two of its own.
//! Here a desk lends its only key and waits for it for ever; the test takes it and goes away, and
//! fails with "the key never came back":
//!
//! ```
//! use std::sync::atomic::{AtomicBool, Ordering};
//! use std::time::Duration;
//! use springtide::{Server, StatusCode};
//! use springtide::test::for_each_seed;
//!
//! fn desk() -> Server {
//!     static LENT: AtomicBool = AtomicBool::new(false);
//!     LENT.store(false, Ordering::Relaxed);
//!     Server::new()
//!         .post("/take", || match LENT.swap(true, Ordering::Relaxed) {
//!             false => StatusCode::OK,
//!             true => StatusCode::CONFLICT,
//!         })
//!         .post("/give", || LENT.store(false, Ordering::Relaxed))
//! }
//!
//! # let failure = std::panic::catch_unwind(|| {
//! for_each_seed(10, |world| {
//!     world.serve(desk());
//!     let take = b"POST /take HTTP/1.1\r\nHost: a\r\n\r\n";
//!     let mut first = world.connect();
//!     let _ = first.write(take);
//!     world.settle();
//!     if world.below(2) == 0 {
//!         let _ = first.write(b"POST /give HTTP/1.1\r\nHost: a\r\n\r\n");
//!     } else {
//!         first.reset();
//!     }
//!     world.pass(Duration::from_secs(3600));
//!     let mut second = world.connect();
//!     let _ = second.write(take);
//!     world.settle();
//!     let reply = second.reply().expect("an answer");
//!     assert!(reply.status() == StatusCode::OK, "the key never came back");
//! });
//! # });
//! # let failure = failure.expect_err("the bug is found");
//! # assert_eq!(failure.downcast_ref::<&str>(), Some(&"the key never came back"));
//! ```
//!
//! The other kind: two visitors look whether a ticket is left, both buy it, and the test fails with
//! "the ticket was sold twice".
//!
//! ```
//! use std::sync::Arc;
//! use std::sync::atomic::{AtomicU32, Ordering};
//! use springtide::Server;
//! use springtide::test::for_each_seed;
//!
//! # let failure = std::panic::catch_unwind(|| {
//! for_each_seed(100, |world| {
//!     let sold = Arc::new(AtomicU32::new(0));
//!     let (left, buys) = (sold.clone(), sold.clone());
//!     let server = Server::new()
//!         .get("/left", move || (1 - left.load(Ordering::Relaxed)).to_string())
//!         .post("/buy", move || buys.fetch_add(1, Ordering::Relaxed).to_string());
//!     world.serve(server);
//!     let mut visitors = [(world.connect(), "GET /left"), (world.connect(), "GET /left")];
//!     for _ in 0..6 {
//!         let (visitor, next) = &mut visitors[world.below(2)];
//!         let request = format!("{next} HTTP/1.1\r\nHost: a\r\n\r\n");
//!         let _ = visitor.write(request.as_bytes());
//!         world.settle();
//!         let answer = visitor.reply().expect("an answer");
//!         if *next == "GET /left" && answer.body() == b"1" {
//!             *next = "POST /buy";
//!         } else {
//!             *next = "GET /left";
//!         }
//!         assert!(sold.load(Ordering::Relaxed) <= 1, "the ticket was sold twice");
//!     }
//! });
//! # });
//! # let failure = failure.expect_err("the bug is found");
//! # assert_eq!(failure.downcast_ref::<&str>(), Some(&"the ticket was sold twice"));
//! ```

mod peer;
mod seeds;
mod view;
mod world;

#[doc(hidden)]
pub use crate::report::be_silent;
pub use peer::{Peer, Reply};
pub use seeds::for_each_seed;
pub use springtide_engine::simulated::{
    Correspondent, Fault, FaultCounts, Faults, PostFaults, ResetCause,
};
#[doc(hidden)]
pub use view::{MARKS, View};
pub use world::World;
