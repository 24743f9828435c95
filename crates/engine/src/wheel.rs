//! The timer wheel: deadlines to the millisecond, one 8-byte link each, no kernel timer.
//! It holds indices only: whose deadline it is, and whether it has moved on, its owner knows.
//!
//! Lazy twice over. An owner whose deadline moves later just stores the new one, and schedules
//! again when the wheel reports the old one. And the wheel reports an index whenever the slot it
//! lies in is reached, which for far deadlines is early: the owner compares and schedules again
//! (a deadline 10 s ahead is reported at most three times). So no deadline is stored here.
//!
//! Five levels of 64 slots: an index lies in the level of the highest base-64 digit in which its
//! tick differs from the present one.

use crate::sheet::Sheet;

const DIGIT_BITS: u32 = 6;
const SLOTS: u32 = 1 << DIGIT_BITS;
const LEVELS: u32 = 5;
const HEADS: u32 = LEVELS * SLOTS;
/// The furthest ahead a deadline is filed, in ticks (12 days); later ones are reported then.
const AHEAD_MAX: u64 = (SLOTS as u64 - 1) << (DIGIT_BITS * (LEVELS - 1));
const NEVER: u64 = u64::MAX;

#[derive(Clone, Copy)]
struct Link {
    previous: u32,
    next: u32,
}

const _: () = assert!(size_of::<Link>() == 8, "an idle connection holds one link");

/// Deadlines by index, in milliseconds.
///
/// ```
/// use springtide_engine::Wheel;
/// let mut wheel = Wheel::new(0);
/// wheel.schedule(7, 20);
/// let mut due = Vec::new();
/// wheel.expire(19, &mut due);
/// assert!(due.is_empty());
/// wheel.expire(20, &mut due);
/// assert_eq!(due, [7]);
/// ```
pub struct Wheel {
    /// The heads of all lists, then one link per index; each list is a circle.
    links: Sheet<Link>,
    occupied: [u64; LEVELS as usize],
    now_ms: u64,
    /// When something will be reported next; [`NEVER`] when nothing will.
    next_ms: u64,
    /// Not all that is due at `now_ms` was reported.
    is_behind: bool,
}

impl Wheel {
    /// A wheel that stands at `now_ms`.
    #[must_use]
    pub fn new(now_ms: u64) -> Self {
        let mut wheel = Self {
            links: Sheet::new(alone(0)),
            occupied: [0; LEVELS as usize],
            now_ms,
            next_ms: NEVER,
            is_behind: false,
        };
        wheel.grow(HEADS);
        wheel
    }

    /// Files `index` to be reported at `at_ms` or earlier (see the module), at the next
    /// millisecond at the soonest. Where it was filed before no longer counts.
    #[inline]
    pub fn schedule(&mut self, index: u32, at_ms: u64) {
        self.remove(index);
        let at = at_ms.clamp(self.now_ms + 1, self.now_ms + AHEAD_MAX);
        let differing = at ^ self.now_ms;
        let level = ((63 - differing.leading_zeros()) / DIGIT_BITS).min(LEVELS - 1);
        let slot = digit(at, level);
        self.occupied[level as usize] |= 1 << slot;
        let head = level * SLOTS + slot;
        let link = self.link_of(index);
        let last = self.links[head as usize].previous;
        self.links[link as usize] = Link { previous: last, next: head };
        self.links[last as usize].next = link;
        self.links[head as usize].previous = link;
        // A slot of a higher level is reported when its first tick is reached.
        let start = at >> (level * DIGIT_BITS) << (level * DIGIT_BITS);
        self.next_ms = self.next_ms.min(start);
    }

    /// Takes `index` out, if it is in.
    #[inline]
    pub fn remove(&mut self, index: u32) {
        let link = self.link_of(index);
        let Link { previous, next } = self.links[link as usize];
        if next == link {
            return;
        }
        self.links[previous as usize].next = next;
        self.links[next as usize].previous = previous;
        self.links[link as usize] = Link { previous: link, next: link };
        if previous == next && previous < HEADS {
            self.occupied[(previous / SLOTS) as usize] &= !(1 << (previous % SLOTS));
            self.look_ahead();
        }
    }

    /// The millisecond at which something will be reported next.
    #[must_use]
    pub const fn next_ms(&self) -> Option<u64> {
        if self.next_ms == NEVER { None } else { Some(self.next_ms) }
    }

    fn look_ahead(&mut self) {
        let next = (0..LEVELS).filter_map(|level| self.next_of_level(level)).min();
        self.next_ms = if self.is_behind { self.now_ms } else { next.unwrap_or(NEVER) };
    }

    /// Moves on to `now_ms` and takes out everything whose slot was reached.
    #[inline]
    pub fn expire(&mut self, now_ms: u64, due: &mut Vec<u32>) {
        self.expire_some(now_ms, due, usize::MAX);
    }

    /// The same until so many are due. It moves on no further then: the next call goes on, and
    /// [`next_ms`](Self::next_ms) says that there is more.
    ///
    /// ```
    /// use springtide_engine::Wheel;
    /// let mut wheel = Wheel::new(0);
    /// (0..5).for_each(|index| wheel.schedule(index, 20));
    /// let mut due = Vec::new();
    /// wheel.expire_some(20, &mut due, 3);
    /// assert_eq!((due.len(), wheel.next_ms()), (3, Some(20)));
    /// due.clear();
    /// wheel.expire_some(20, &mut due, 3);
    /// assert_eq!((due.len(), wheel.next_ms()), (2, None));
    /// ```
    #[inline]
    pub fn expire_some(&mut self, now_ms: u64, due: &mut Vec<u32>, due_max: usize) {
        if self.next_ms <= now_ms {
            self.report(now_ms, due, due_max);
        }
        if !self.is_behind {
            self.now_ms = self.now_ms.max(now_ms);
        }
    }

    fn report(&mut self, now_ms: u64, due: &mut Vec<u32>, due_max: usize) {
        while self.next_ms <= now_ms {
            let next = self.next_ms;
            self.now_ms = next;
            self.is_behind = true;
            for level in 0..LEVELS {
                let slot = digit(next, level);
                if next.trailing_zeros() < level * DIGIT_BITS {
                    break;
                }
                if !self.take_list(level * SLOTS + slot, due, due_max) {
                    return;
                }
            }
            self.is_behind = false;
            self.look_ahead();
        }
    }

    /// Whether the list is empty by now.
    fn take_list(&mut self, head: u32, due: &mut Vec<u32>, due_max: usize) -> bool {
        loop {
            let first = self.links[head as usize].next;
            if first == head {
                return true;
            }
            if due.len() >= due_max {
                return false;
            }
            due.push(first - HEADS);
            self.remove(first - HEADS);
        }
    }

    fn next_of_level(&self, level: u32) -> Option<u64> {
        let occupied = self.occupied[level as usize];
        let present = self.now_ms >> (level * DIGIT_BITS);
        let distance = occupied.rotate_right(digit(self.now_ms, level) + 1).trailing_zeros() + 1;
        (occupied != 0).then(|| (present + u64::from(distance)) << (level * DIGIT_BITS))
    }

    #[inline]
    fn link_of(&mut self, index: u32) -> u32 {
        let link = HEADS + index;
        if link as usize >= self.links.len() {
            self.grow(link);
        }
        link
    }

    #[cold]
    fn grow(&mut self, link: u32) {
        self.links.grow(link as usize, alone);
    }
}

/// A link in no list: its own circle.
fn alone(own: usize) -> Link {
    let own = u32::try_from(own).expect("indices fit 32 bits");
    Link { previous: own, next: own }
}

impl std::fmt::Debug for Wheel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Wheel").field("now_ms", &self.now_ms).finish_non_exhaustive()
    }
}

#[inline]
#[expect(clippy::cast_possible_truncation, reason = "masked to six bits")]
const fn digit(tick: u64, level: u32) -> u32 {
    (tick >> (level * DIGIT_BITS)) as u32 & (SLOTS - 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    /// Drives the wheel beside a map of true deadlines, as an owner does.
    struct Owner {
        wheel: Wheel,
        deadlines: BTreeMap<u32, u64>,
        now: u64,
    }

    impl Owner {
        fn new(now: u64) -> Self {
            Self { wheel: Wheel::new(now), deadlines: BTreeMap::new(), now }
        }

        fn set(&mut self, index: u32, at: u64) {
            self.wheel.schedule(index, at);
            self.deadlines.insert(index, at);
        }

        /// Takes what is reported, so many at most.
        fn take_some(&mut self, due_max: usize) {
            let mut reported = Vec::new();
            self.wheel.expire_some(self.now, &mut reported, due_max);
            assert!(reported.len() <= due_max);
            for index in reported {
                let Some(at) = self.deadlines.get(&index).copied() else { panic!("removed index") };
                if at <= self.now {
                    self.deadlines.remove(&index);
                } else {
                    self.wheel.schedule(index, at);
                }
            }
        }

        /// Moves on and checks that everything due is reported and nothing early counts.
        fn advance(&mut self, now: u64) {
            self.now = now;
            self.take_some(usize::MAX);
            self.check();
        }

        fn check(&self) {
            let now = self.now;
            if let Some((index, at)) = self.deadlines.iter().find(|(_, at)| **at <= now) {
                panic!("deadline {at} of {index} was missed at {now}");
            }
            let next = self.wheel.next_ms();
            let earliest = self.deadlines.values().min().copied();
            assert_eq!(next.is_some(), earliest.is_some());
            assert!(next <= earliest.or(next), "the wheel sleeps past a deadline");
        }
    }

    #[test]
    fn every_deadline_is_met_at_any_distance() {
        for start in [0, 1, 63, 64, 4095, 123_456_789, (1 << 30) - 1, 1 << 30] {
            for ahead in [1, 2, 63, 64, 65, 4096, 10_000, 60_000, 3_600_000, 1 << 29, 1 << 31] {
                let mut owner = Owner::new(start);
                owner.set(5, start + ahead);
                while let Some(next) = owner.wheel.next_ms() {
                    owner.advance(next);
                }
                assert_eq!(owner.now, start + ahead, "from {start} ahead {ahead}");
            }
        }
    }

    #[test]
    fn random_schedules_and_removals() {
        let mut state = 0x9E37_79B9_7F4A_7C15_u64;
        let mut random = move |below: u64| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state % below
        };
        let mut owner = Owner::new(random(1 << 40));
        for _ in 0..50_000 {
            let index = u32::try_from(random(300)).unwrap();
            match random(5) {
                0 => owner.advance(owner.now + random(200)),
                // What is left waits behind whatever comes in between.
                4 => {
                    owner.now += random(200);
                    owner.take_some(1 + index as usize % 4);
                }
                1 => {
                    owner.wheel.remove(index);
                    owner.deadlines.remove(&index);
                }
                _ => {
                    let magnitude = random(20);
                    let ahead = 1 + random(1 << magnitude);
                    owner.set(index, owner.now + ahead);
                }
            }
        }
    }
}
