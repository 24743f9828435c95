//! Messages as applications have them: text or bytes, shared by reference count.
//! Text here is always valid UTF-8.

use std::fmt;
use std::ops::Deref;

use bytes::Bytes;
use springtide_proto::websocket::Kind;

/// A message of a WebSocket. Cloning it copies nothing.
///
/// ```
/// use springtide::Message;
/// let message = Message::from("high tide");
/// assert_eq!(message.as_text(), Some("high tide"));
/// assert_eq!(Message::from(vec![1, 2]).as_bytes(), &[1, 2]);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// Text.
    Text(Text),
    /// Any bytes.
    Binary(Bytes),
}

/// Text that came or goes as a message: bytes that are UTF-8, shared by reference count.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Text(Bytes);

impl Text {
    /// The text of bytes that were checked.
    pub(crate) const fn checked(bytes: Bytes) -> Self {
        Self(bytes)
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).expect("text was checked when it came")
    }

    /// Its bytes.
    #[must_use]
    pub fn into_bytes(self) -> Bytes {
        self.0
    }
}

impl Deref for Text {
    type Target = str;

    fn deref(&self) -> &str {
        self.as_str()
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_str().fmt(f)
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self)
    }
}

impl From<String> for Text {
    fn from(text: String) -> Self {
        Self(text.into())
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        Self(Bytes::copy_from_slice(text.as_bytes()))
    }
}

impl Message {
    #[inline]
    pub(crate) fn of(kind: Kind, payload: Vec<u8>) -> Self {
        Self::shared(kind, payload.into())
    }

    /// A message of bytes that are UTF-8 where it is text.
    #[inline]
    pub(crate) const fn shared(kind: Kind, payload: Bytes) -> Self {
        match kind {
            Kind::Text => Self::Text(Text::checked(payload)),
            Kind::Binary => Self::Binary(payload),
        }
    }

    #[inline]
    pub(crate) fn into_parts(self) -> (Kind, Bytes) {
        match self {
            Self::Text(text) => (Kind::Text, text.0),
            Self::Binary(bytes) => (Kind::Binary, bytes),
        }
    }

    /// Its text, where it is text.
    #[must_use]
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Binary(_) => None,
        }
    }

    /// Its bytes, of either kind.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Text(text) => &text.0,
            Self::Binary(bytes) => bytes,
        }
    }

    /// How many bytes it has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.as_bytes().len()
    }

    /// Whether it has none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

macro_rules! from_text {
    ($($text:ty),*) => {$(
        impl From<$text> for Message {
            fn from(text: $text) -> Self {
                Self::Text(text.into())
            }
        }
    )*};
}
from_text!(&str, String);

macro_rules! from_bytes {
    ($($bytes:ty),*) => {$(
        impl From<$bytes> for Message {
            fn from(bytes: $bytes) -> Self {
                Self::Binary(bytes.into())
            }
        }
    )*};
}
from_bytes!(Vec<u8>, Bytes, &'static [u8]);

impl From<Text> for Message {
    fn from(text: Text) -> Self {
        Self::Text(text)
    }
}
