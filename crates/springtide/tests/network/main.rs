//! Packets that are lost, connections that are reset, and buffers of 4 KB: all bytes are exact, both
//! ways. Every test has a network of its own, which needs root, `ip` and `nft`.

mod client;
mod namespace;
mod site;

use std::net::SocketAddr;
use std::time::Duration;

use client::{Ask, talk, talk_and_reset};
use namespace::{Namespace, Trouble};
use site::{Chance, FILES, Site};
use springtide::{Address, Engine};

const CLIENTS: u64 = 4;
const ROUNDS: usize = 4;
const ASKS_PER_ROUND: usize = 8;
/// Connections that one round may lose before it is whole.
const LOST_MAX: usize = 100;

/// A client's whole visit; how many connections it lost.
fn visit(address: SocketAddr, trouble: Trouble, seed: u64) -> usize {
    let mut chance = Chance(seed);
    // Nothing long comes through in one piece where every packet is short and may be the last.
    let is_short_lived = trouble.has_tiny_buffers && trouble.has_resets;
    let (files, len_max) =
        if is_short_lived { (&FILES[1..], 40_000) } else { (&FILES[..], 200_000) };
    let mut lost = 0;
    for round in 0..ROUNDS {
        let asks: Vec<Ask> =
            (0..ASKS_PER_ROUND).map(|_| Ask::any(&mut chance, files, len_max)).collect();
        let mut rest = &asks[..];
        for lost_before in 0.. {
            if trouble.has_resets && chance.below(3) == 0 {
                talk_and_reset(address, rest, &mut chance);
            }
            let (whole, ended) = talk(address, rest);
            rest = &rest[whole..];
            let Err(error) = ended else { break };
            assert!(trouble.has_resets, "seed {seed}, round {round}: {error}");
            assert!(lost_before < LOST_MAX, "seed {seed}, round {round}: no end: {error}");
            lost += 1;
            if rest.is_empty() {
                break;
            }
        }
    }
    lost
}

fn survive(engine: Engine, name: &str, trouble: Trouble) {
    let namespace = Namespace::enter();
    namespace.set_buffers(trouble);
    let site = Site::start(engine, &format!("{engine:?}-{name}"));
    let Address::Internet(address) = site.running.addresses()[0] else { panic!("it is TCP") };
    assert_eq!(trouble.has_tiny_buffers, client::buffer_bytes(address) <= 8 << 10);
    namespace.begin(trouble, address.port());
    let lost: usize = std::thread::scope(|scope| {
        let visits = (1..=CLIENTS).map(|seed| scope.spawn(move || visit(address, trouble, seed)));
        let visits: Vec<_> = visits.collect();
        visits.into_iter().map(|visit| visit.join().unwrap()).sum()
    });
    let (losses, resets) = namespace.made();
    println!("{engine:?}, {trouble:?}: {losses} packets lost, {resets} reset, {lost} connections");
    assert_eq!(trouble.loss_percent > 0, losses > 10, "packets are lost as asked for: {losses}");
    assert_eq!(trouble.has_resets, resets > 0 && lost > 0, "{resets} resets, {lost} lost");
    site.running.stop(Duration::from_secs(2));
    site.running.join().unwrap();
    let counts = site.running.metrics().counts();
    assert_eq!(counts.connections_open, 0);
    let asked = CLIENTS * (ROUNDS * ASKS_PER_ROUND) as u64;
    assert!(counts.requests_total >= asked, "{counts:?}");
}

macro_rules! over_engines {
    ($($name:ident: $trouble:expr),* $(,)?) => {
        mod uring {
            $(#[test] fn $name() { super::survive(super::Engine::Uring, stringify!($name), $trouble); })*
        }
        mod epoll {
            $(#[test] fn $name() { super::survive(super::Engine::Epoll, stringify!($name), $trouble); })*
        }
    };
}

const CALM: Trouble = Trouble { loss_percent: 0, has_resets: false, has_tiny_buffers: false };

over_engines! {
    netns_one_packet_in_a_hundred_is_lost: super::Trouble { loss_percent: 1, ..super::CALM },
    netns_one_packet_in_twenty_is_lost: super::Trouble { loss_percent: 5, ..super::CALM },
    netns_connections_are_reset: super::Trouble { has_resets: true, ..super::CALM },
    netns_buffers_are_tiny: super::Trouble { has_tiny_buffers: true, ..super::CALM },
    netns_all_at_once: super::Trouble { loss_percent: 5, has_resets: true, has_tiny_buffers: true },
}
