//! Encoded forms beside a file: looked up while the file itself is read, all of them at once.
//! What cannot be opened, for whatever reason, is not there.

use springtide_engine::{Descriptor, Metadata, Moment, Op, Outcome};

use super::coding::{CODINGS, Codings, ENCODED, Wanted};
use super::job::{Means, path_of};

/// What is known of them.
#[derive(Debug, Default)]
pub(super) struct Siblings {
    looked_at: Option<Moment>,
    in_flight: usize,
    /// When each was modified, in the order of [`ENCODED`]; none that is not there.
    modified_ns: [Option<i128>; CODINGS - 1],
}

impl Siblings {
    /// Looks them up, once.
    pub(super) fn look(&mut self, means: &mut Means<'_>, name: &str) {
        if self.looked_at.is_some() {
            return;
        }
        self.looked_at = Some(means.engine.now());
        for (place, coding) in ENCODED.into_iter().enumerate() {
            let (root, path) = (means.root.descriptor, path_of(&Wanted { name, coding }.path()));
            let token = means.tokens.beside(means.token, place);
            means.engine.submit(Op::Open { root, path }, token);
            self.in_flight += 1;
        }
    }

    /// One has been looked up. What is to be closed comes back.
    pub(super) fn looked(&mut self, place: usize, outcome: &Outcome) -> Option<Descriptor> {
        self.in_flight -= 1;
        let Outcome::Opened(descriptor, metadata) = outcome else { return None };
        self.modified_ns[place] = metadata.is_file.then_some(metadata.modified_ns);
        Some(*descriptor)
    }

    pub(super) const fn is_looking(&self) -> bool {
        self.in_flight > 0
    }

    /// What is told of a file that was opened then, is told of this moment.
    pub(super) fn seen_at(&self, opened_at: Moment) -> Moment {
        self.looked_at.map_or(opened_at, |looked_at| looked_at.min(opened_at))
    }

    /// Those that are not older than the file.
    pub(super) fn beside(&self, metadata: &Metadata) -> Codings {
        let mut codings = Codings::default();
        for (coding, modified_ns) in ENCODED.into_iter().zip(self.modified_ns) {
            if modified_ns.is_some_and(|modified_ns| modified_ns >= metadata.modified_ns) {
                codings.add(coding);
            }
        }
        codings
    }
}
