//! Tokens of the file service's operations: whose completion it is.
//! They name no operation; the engine's keys do.

use crate::table::Place;

/// Whose operation has completed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Whose {
    /// That of the job at an index.
    Job(u32),
    /// That of the job at an index, for the encoded form at a place beside its file.
    Beside(u32, usize),
    /// That of the stream at an index.
    Stream(u32),
    /// Nobody's: a descriptor was closed.
    Nobody,
}

/// Makes and reads tokens of one kind; the lower 32 bits are the service's.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tokens {
    kind: u64,
}

const OURS: u64 = 0xffff_ffff;
const NOBODY: u64 = OURS;
const STREAM: u64 = 1 << 31;
/// Where a job's token has the place of an encoded form, plus one.
const BESIDE_SHIFT: u32 = 28;

impl Tokens {
    pub(super) const fn new(kind: u64) -> Self {
        assert!(kind & OURS == 0, "the lower 32 bits of a token are the service's");
        Self { kind }
    }

    pub(super) fn job(self, place: Place) -> u64 {
        self.kind | u64::from(place.index())
    }

    /// From the token of a job, that for the encoded form at a place.
    pub(super) const fn beside(self, job: u64, place: usize) -> u64 {
        job | (place as u64 + 1) << BESIDE_SHIFT
    }

    pub(super) fn stream(self, place: Place) -> u64 {
        self.kind | STREAM | u64::from(place.index())
    }

    pub(super) const fn nobody(self) -> u64 {
        self.kind | NOBODY
    }

    pub(super) fn whose(self, token: u64) -> Whose {
        assert!(token & !OURS == self.kind, "the completion is the file service's");
        let index = |token| u32::try_from(token & OURS).expect("it has 32 bits");
        match token & OURS {
            NOBODY => Whose::Nobody,
            ours if ours & STREAM != 0 => Whose::Stream(index(ours & !STREAM)),
            ours => match (ours >> BESIDE_SHIFT, index(ours & ((1 << BESIDE_SHIFT) - 1))) {
                (0, job) => Whose::Job(job),
                (place, job) => Whose::Beside(job, place as usize - 1),
            },
        }
    }
}
