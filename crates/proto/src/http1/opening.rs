//! What replies begin with, written once for all of them until the date changes.
//! It knows no reply: which of them begin so is decided where they are encoded.

use super::media_type::MediaType;

pub(super) const STATUS_OK: &[u8] = b"HTTP/1.1 200 OK\r\n";
pub(super) const TYPE: &[u8] = b"Content-Type: ";
/// Between the media type and the length of the body.
pub(super) const LENGTH: &[u8] = b"\r\nContent-Length: ";
const DATE: &[u8] = b"Date: ";

/// What all replies of one second begin with, written once for all of them: `200 OK`, `Server`,
/// `Date`. The caller keeps one for many connections and gives it the date.
///
/// ```
/// use springtide_proto::http1::{MediaType, Opening};
/// static TEXT: MediaType = MediaType::new("text/plain");
/// let mut opening = Opening::new(b"springtide", b"Sun, 06 Nov 1994 08:49:37 GMT").with_types(&[TEXT]);
/// opening.set_date(b"Sun, 06 Nov 1994 08:49:38 GMT");
/// ```
#[derive(Debug, Clone)]
pub struct Opening {
    /// All of it, and the name of the field behind it.
    bytes: Vec<u8>,
    date_start: usize,
    len: usize,
    types: Vec<Typed>,
}

/// An opening that goes on up to the length of the body.
#[derive(Debug, Clone)]
struct Typed {
    media_type: MediaType<'static>,
    bytes: Vec<u8>,
}

impl Opening {
    /// The opening with this `Server` field, which is left out when it is empty, and this date in
    /// the form `Sun, 06 Nov 1994 08:49:37 GMT` (RFC 9110 §5.6.7).
    ///
    /// # Panics
    /// When the name of the server has control characters.
    #[must_use]
    pub fn new(server: &[u8], date: &[u8; 29]) -> Self {
        assert!(
            server.iter().all(|byte| *byte >= b' '),
            "a server's name has no control characters"
        );
        let mut bytes = STATUS_OK.to_vec();
        if !server.is_empty() {
            bytes.extend_from_slice(b"Server: ");
            bytes.extend_from_slice(server);
            bytes.extend_from_slice(b"\r\n");
        }
        let date_start = bytes.len();
        bytes.extend_from_slice(DATE);
        bytes.extend_from_slice(date);
        bytes.extend_from_slice(b"\r\n");
        let len = bytes.len();
        bytes.extend_from_slice(TYPE);
        Self { bytes, date_start, len, types: Vec::new() }
    }

    /// The same, gone on with for each of a few media types: what is sent with one of them costs
    /// less. They are told by where their text lies, so they and those of replies must be copies of
    /// one `static`; any other reply is the same, and written as if its type was not known.
    #[must_use]
    pub fn with_types(mut self, types: &[MediaType<'static>]) -> Self {
        let types = types.iter().map(|media_type| {
            let bytes = [&self.bytes, media_type.as_str().as_bytes(), LENGTH].concat();
            Typed { media_type: *media_type, bytes }
        });
        self.types = types.collect();
        self
    }

    /// Replaces the date.
    pub fn set_date(&mut self, date: &[u8; 29]) {
        let start = self.date_start + DATE.len();
        let typed = self.types.iter_mut().map(|typed| &mut typed.bytes);
        for bytes in typed.chain([&mut self.bytes]) {
            bytes[start..start + date.len()].copy_from_slice(date);
        }
    }

    /// The whole opening, and the name of the field of the media type.
    #[inline]
    pub(super) fn up_to_type(&self) -> &[u8] {
        &self.bytes
    }

    /// The whole opening with this media type, up to where the length of the body is written.
    #[inline]
    pub(super) fn up_to_length(&self, media_type: MediaType<'_>) -> Option<&[u8]> {
        let mut types = self.types.iter();
        types.find(|typed| typed.media_type.is_at(media_type)).map(|typed| typed.bytes.as_slice())
    }

    /// The `Server` field, or nothing.
    pub(super) fn server(&self) -> &[u8] {
        &self.bytes[STATUS_OK.len()..self.date_start]
    }

    /// The `Date` field.
    pub(super) fn date(&self) -> &[u8] {
        &self.bytes[self.date_start..self.len]
    }
}
