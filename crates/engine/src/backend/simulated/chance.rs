//! Chance in a world: one seeded generator, and the faults it decides on.
//! It asks no system for randomness, so that a seed replays to the bit.

/// What can go wrong in a world, as it does on real systems.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// A receive gives fewer bytes than are there.
    ShortReceive,
    /// A read of a file gives fewer bytes than are there.
    ShortRead,
    /// Some bytes of a send or a write go now, the rest later.
    PartialSend,
    /// A connection is reset.
    Reset,
    /// The system is interrupted (EINTR); the operation is begun again.
    Interrupted,
    /// A receive finds no buffer (ENOBUFS); it is armed again later.
    NoBuffers,
    /// An accept or an open finds no descriptor (EMFILE); a connection stays in the backlog.
    NoDescriptors,
    /// The completion queue is full: most completions come a turn later.
    QueueFull,
    /// The completions of different operations come in another order.
    Reordered,
    /// A cancelled operation completes with its result first.
    CancelRace,
    /// A completion comes some milliseconds late.
    Delayed,
    /// What was sent arrives up to two seconds late.
    Stalled,
    /// A completion that nobody waits for comes some milliseconds later than others.
    LeftBehind,
    /// The engine is refused while it runs: the turn fails with
    /// [`Error::LateRefusal`](crate::Error::LateRefusal).
    Refused,
}

impl Fault {
    /// All of them.
    pub const ALL: [Self; 14] = [
        Self::ShortReceive,
        Self::ShortRead,
        Self::PartialSend,
        Self::Reset,
        Self::Interrupted,
        Self::NoBuffers,
        Self::NoDescriptors,
        Self::QueueFull,
        Self::Reordered,
        Self::CancelRace,
        Self::Delayed,
        Self::Stalled,
        Self::LeftBehind,
        Self::Refused,
    ];
}

/// How probable each fault is, from 0 to 1; none happens by default.
///
/// ```
/// use springtide_engine::simulated::{Fault, Faults};
/// let faults = Faults::all(0.1).with(Fault::Reset, 0.0);
/// assert_eq!(faults.probability(Fault::Reset), 0.0);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Faults([f64; Fault::ALL.len()]);

impl Faults {
    /// Each with the same probability.
    #[must_use]
    pub const fn all(probability: f64) -> Self {
        Self([probability; Fault::ALL.len()])
    }

    /// The same, but for one fault.
    #[must_use]
    pub const fn with(mut self, fault: Fault, probability: f64) -> Self {
        self.0[fault as usize] = probability;
        self
    }

    /// How probable a fault is.
    #[must_use]
    pub const fn probability(&self, fault: Fault) -> f64 {
        self.0[fault as usize]
    }
}

/// How often each fault has happened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FaultCounts([u64; Fault::ALL.len()]);

impl FaultCounts {
    /// How often one has.
    #[must_use]
    pub const fn of(&self, fault: Fault) -> u64 {
        self.0[fault as usize]
    }
}

/// The chance of one world.
pub(super) struct Chance {
    state: u64,
    pub(super) faults: Faults,
    pub(super) counts: FaultCounts,
    /// One world makes all its sends as operations, another as the ring does, a third as a selector.
    pub(super) sends_at_once_max: usize,
}

impl Chance {
    pub(super) fn new(seed: u64) -> Self {
        let sends_at_once_max = [0, 2, usize::MAX][(seed % 3) as usize];
        let (faults, counts) = Default::default();
        Self { state: seed, faults, counts, sends_at_once_max }
    }

    /// The next number (splitmix64).
    pub(super) const fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number from 0 to `end - 1`.
    pub(super) fn below(&mut self, end: usize) -> usize {
        assert!(end > 0, "there is no number below nothing");
        let end = u64::try_from(end).expect("sizes fit 64 bits");
        usize::try_from(self.next() % end).expect("below a size")
    }

    /// Whether a fault happens now; counted.
    pub(super) fn strikes(&mut self, fault: Fault) -> bool {
        let probability = self.faults.probability(fault);
        let strikes = self.happens(probability);
        self.counts.0[fault as usize] += u64::from(strikes);
        strikes
    }

    /// Whether something of this probability happens now.
    pub(super) fn happens(&mut self, probability: f64) -> bool {
        if probability <= 0.0 {
            return false;
        }
        let drawn = f64::from(u32::try_from(self.next() >> 32).expect("32 bits are left"));
        drawn < probability * f64::from(u32::MAX)
    }

    /// Where the generator stands: the same after the same history.
    pub(super) const fn state(&self) -> u64 {
        self.state
    }

    /// Puts things into any order.
    pub(super) fn shuffle<T>(&mut self, things: &mut [T]) {
        for end in (2..=things.len()).rev() {
            let other = self.below(end);
            things.swap(end - 1, other);
        }
    }
}
