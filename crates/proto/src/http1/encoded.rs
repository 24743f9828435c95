//! Fields of replies that are sent again and again, encoded once.
//! What the machine has to look at in a field is never among them.

use http::{HeaderName, HeaderValue};

use super::encode::{Given, given_fields};

/// Further fields of a reply, as the caller has them.
#[derive(Debug, Clone, Copy)]
pub enum Fields<'a> {
    /// Names and values.
    Given(&'a [(HeaderName, HeaderValue)]),
    /// The same, encoded before.
    Encoded(&'a EncodedFields),
}

/// Fields that were encoded once, for every reply that has them: none of them replaces `Server`, `Date` or
/// `Content-Type`, and none is an `Upgrade`. What frames a message has been left out.
///
/// ```
/// use http::{HeaderValue, header};
/// use springtide_proto::http1::EncodedFields;
///
/// let fields = [(header::ETAG, HeaderValue::from_static("\"ebb\""))];
/// let encoded = EncodedFields::of(&fields).expect("nothing of it is the machine's");
/// assert_eq!(encoded.as_bytes(), b"etag: \"ebb\"\r\n");
/// let replaced = [(header::DATE, HeaderValue::from_static("today"))];
/// assert!(EncodedFields::of(&replaced).is_none());
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EncodedFields(Box<[u8]>);

impl EncodedFields {
    /// Encodes fields; none where one of them replaces what the machine says, or offers an upgrade.
    #[must_use]
    pub fn of(fields: &[(HeaderName, HeaderValue)]) -> Option<Self> {
        let Given { server, date, content_type } = Given::new(fields);
        let mut bytes = Vec::new();
        let offers = given_fields(fields, &mut bytes);
        (!(server || date || content_type || offers)).then(|| Self(bytes.into()))
    }

    /// As they stand in a head, each with its line's end.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl<'a> Fields<'a> {
    /// No further field.
    pub const NONE: Self = Self::Given(&[]);

    /// Whether there is none at all.
    #[inline]
    pub(super) const fn is_empty(&self) -> bool {
        matches!(self, Self::Given([]))
    }

    /// The bytes, where they were encoded before.
    #[inline]
    pub(super) const fn encoded(&self) -> Option<&'a [u8]> {
        match self {
            Self::Encoded(fields) => Some(&fields.0),
            Self::Given(_) => None,
        }
    }
}
