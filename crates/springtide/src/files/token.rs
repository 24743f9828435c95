//! Tokens of the file service's operations: whose completion it is.
//! They name no operation; the engine's keys do.

use crate::table::Place;

/// Whose operation has completed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Whose {
    /// That of the job at an index.
    Job(u32),
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

impl Tokens {
    pub(super) const fn new(kind: u64) -> Self {
        assert!(kind & OURS == 0, "the lower 32 bits of a token are the service's");
        Self { kind }
    }

    pub(super) fn job(self, place: Place) -> u64 {
        self.kind | u64::from(place.index())
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
            ours => Whose::Job(index(ours)),
        }
    }
}
