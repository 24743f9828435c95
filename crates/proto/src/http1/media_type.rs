//! Media types as fields carry them.
//! It knows no registry: any text that cannot break a head is one.

/// A media type (RFC 9110 §8.3) that stands in `Content-Type` as it is: looked at once, when it is
/// made, and not again with every reply.
///
/// ```
/// use springtide_proto::http1::MediaType;
/// const TEXT: MediaType = MediaType::new("text/plain; charset=utf-8");
/// assert_eq!(TEXT.as_str(), "text/plain; charset=utf-8");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MediaType<'text>(&'text str);

impl<'text> MediaType<'text> {
    /// The media type of this text.
    ///
    /// # Panics
    /// When the text has a control character that no field may have (RFC 9110 §5.5: all but the
    /// tab). In a constant it fails to compile.
    #[inline]
    #[must_use]
    pub const fn new(text: &'text str) -> Self {
        let bytes = text.as_bytes();
        let mut index = 0;
        while index < bytes.len() {
            let is_control = (bytes[index] < b' ' && bytes[index] != b'\t') || bytes[index] == 0x7f;
            assert!(!is_control, "a media type has no control characters");
            index += 1;
        }
        Self(text)
    }

    /// The text.
    #[inline]
    #[must_use]
    pub const fn as_str(self) -> &'text str {
        self.0
    }

    /// Whether its text lies where that of another one does: then they are the same.
    #[inline]
    pub(super) fn is_at(self, other: MediaType<'_>) -> bool {
        std::ptr::eq(self.0, other.0)
    }
}
