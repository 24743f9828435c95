//! The fields of a response: its own, or shared with the responses that it is a copy of.
//! Who changes shared ones gets a copy; nothing is ever changed in place.

use std::sync::Arc;

use http::header::{HeaderName, HeaderValue};
use springtide_proto::http1::{EncodedFields, Fields};

/// The fields.
#[derive(Debug, Clone)]
pub(super) enum OwnFields {
    Own(Vec<(HeaderName, HeaderValue)>),
    /// Those of a response that is sent again and again.
    Shared(Arc<Shared>),
}

/// Fields, and what they are on the wire.
#[derive(Debug)]
pub(super) struct Shared {
    fields: Vec<(HeaderName, HeaderValue)>,
    encoded: EncodedFields,
}

impl Default for OwnFields {
    fn default() -> Self {
        Self::Own(Vec::new())
    }
}

impl OwnFields {
    #[inline]
    pub(super) fn as_slice(&self) -> &[(HeaderName, HeaderValue)] {
        match self {
            Self::Own(fields) => fields,
            Self::Shared(shared) => &shared.fields,
        }
    }

    #[inline]
    pub(super) fn sent(&self) -> Fields<'_> {
        match self {
            Self::Own(fields) => Fields::Given(fields),
            Self::Shared(shared) => Fields::Encoded(&shared.encoded),
        }
    }

    /// To be changed: they are its own from here on.
    pub(super) fn to_mut(&mut self) -> &mut Vec<(HeaderName, HeaderValue)> {
        if let Self::Shared(shared) = self {
            *self = Self::Own(shared.fields.clone());
        }
        match self {
            Self::Own(fields) => fields,
            Self::Shared(_) => unreachable!("replaced above"),
        }
    }

    /// Encodes them, once for all copies, unless the machine has to look at one of them.
    pub(super) fn share(&mut self) {
        if let Self::Own(fields) = self
            && let Some(encoded) = EncodedFields::of(fields)
        {
            let fields = std::mem::take(fields);
            *self = Self::Shared(Arc::new(Shared { fields, encoded }));
        }
    }
}
