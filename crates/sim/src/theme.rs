//! What a history is about besides what all are: handlers that stream or wait, requests that the server
//! asks of itself, limits on addresses and on memory.
//! It is drawn apart from all else, so that histories that found bugs stay what they are.

use springtide::Limits;

use crate::ask::{Ask, Inner, Manner, Upload};
use crate::chance::Chance;
use crate::model::StillFile;

/// What a history is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Theme {
    /// Nothing besides.
    Plain,
    /// Bodies are taken and given piece by piece, by futures.
    Streams,
    /// The same, and the futures take their time.
    Slow,
    /// The server passes requests on to itself.
    Proxy,
    /// One address may have so many connections and requests only.
    Capped,
    /// There is a budget of memory.
    Short,
}

impl Theme {
    /// That of a seed.
    pub(crate) fn of(seed: u64) -> Self {
        let mut chance = Chance::new(seed ^ SALT);
        if !chance.percent(30) {
            return Self::Plain;
        }
        chance.pick(&[Self::Streams, Self::Slow, Self::Proxy, Self::Capped, Self::Short])
    }

    /// Its limits.
    pub(crate) fn limit(self, seed: u64, peers: usize, limits: &mut Limits) {
        let mut chance = Chance::new(seed.rotate_left(17) ^ SALT);
        match self {
            Self::Plain | Self::Streams | Self::Slow | Self::Proxy => {}
            Self::Capped => {
                if chance.percent(60) {
                    limits.connections_per_address_max = chance.between(1, peers);
                }
                limits.requests_per_address_rate = chance.pick(&[2, 20, 200]);
                limits.requests_per_address_burst = chance.pick(&[1, 5, 40]);
            }
            Self::Short => limits.memory_max = chance.pick(&[2 << 10, 16 << 10, 64 << 10]),
        }
    }

    /// A request of its own, at times, in place of one that any history has.
    pub(crate) fn change(self, ask: &mut Ask, manner: Manner, chance: &mut Chance) {
        if self == Self::Plain || !chance.percent(40) {
            return;
        }
        let ms = if self == Self::Slow { chance.pick(&[0, 1, 20, 150]) } else { 0 };
        // Of an older client a body without a length ends with the connection.
        let is_new = matches!(manner, Manner::Usual | Manner::Last);
        *ask = match chance.below(100) {
            _ if self == Self::Proxy => Ask::Proxied(draw_inner(chance)),
            0..35 => Ask::Late(ms),
            35..65 => {
                let is_sized = !is_new || chance.percent(30);
                Ask::Drip { len: chance.between(0, 9_000), ms: ms / 10, is_sized }
            }
            65..85 if is_new => Ask::Relay(Upload::draw(chance)),
            _ => Ask::Taken(Upload::draw(chance), ms / 10),
        };
    }
}

fn draw_inner(chance: &mut Chance) -> Inner {
    match chance.below(100) {
        0..40 => Inner::Hello,
        40..60 => Inner::Size(chance.between(0, 20_000)),
        60..85 => Inner::Echo(Upload::draw(chance)),
        85..92 => Inner::Missing,
        _ => Inner::File(chance.pick(&StillFile::ALL)),
    }
}

/// What sets its draws apart; with it no seed of those that found bugs has a theme.
const SALT: u64 = 0x7F24;
