//! What a pull wants, and what it finds in what has come.
//! Nothing is searched twice.

use bytes::Bytes;
use memchr::memmem;

use super::forward::Forwarding;
use crate::peer::Reason;

/// How much a pull wants.
pub(crate) enum Want {
    Some,
    Exact(usize),
    /// Of what waits, so many bytes are known to hold no delimiter.
    Until {
        delimiter: Bytes,
        bytes_max: usize,
        searched: usize,
    },
    /// Everything, for another connection.
    Forward(Box<Forwarding>),
}

/// What a pull finds in what has come.
pub(super) enum Look {
    Takes(usize),
    NeedsMore,
    /// More has come than it may, and no delimiter.
    Exceeds,
}

impl Want {
    /// Why it can never be served.
    pub(super) fn refusal(&self, bytes_max: usize) -> Option<Reason> {
        let is_possible = match self {
            Self::Some | Self::Forward(_) => true,
            Self::Exact(count) => (1..=bytes_max).contains(count),
            Self::Until { delimiter, bytes_max: own, .. } => {
                (1..=*own).contains(&delimiter.len()) && *own <= bytes_max
            }
        };
        (!is_possible).then_some(Reason::Limit("pull_bytes_max"))
    }

    /// Whether it takes whatever comes.
    pub(super) const fn takes_any(&self) -> bool {
        matches!(self, Self::Some | Self::Forward(_))
    }

    /// What was searched stands elsewhere.
    pub(super) const fn look_again(&mut self) {
        if let Self::Until { searched, .. } = self {
            *searched = 0;
        }
    }

    /// Looks at everything that waits; what was searched before is not searched again.
    pub(super) fn look(&mut self, bytes: &[u8]) -> Look {
        match self {
            Self::Some => Look::Takes(bytes.len()),
            // It is not served here.
            Self::Forward(_) => Look::NeedsMore,
            Self::Exact(count) if bytes.len() >= *count => Look::Takes(*count),
            Self::Exact(_) => Look::NeedsMore,
            Self::Until { delimiter, bytes_max, searched } => {
                let end = bytes.len().min(*bytes_max);
                let found = memmem::find(&bytes[*searched..end], delimiter);
                if let Some(at) = found {
                    return Look::Takes(*searched + at + delimiter.len());
                }
                *searched = (end + 1).saturating_sub(delimiter.len()).max(*searched);
                if bytes.len() >= *bytes_max { Look::Exceeds } else { Look::NeedsMore }
            }
        }
    }
}
