//! UTF-8 in pieces: text is checked as it comes, and a character may be cut anywhere.
//! It must never accept what `str::from_utf8` refuses, nor wait with a byte that cannot become right.

/// Checks text that comes in pieces. The first byte that no valid text can have there is refused,
/// whatever would follow (RFC 6455 §8.1).
///
/// ```
/// let mut check = springtide_proto::websocket::Utf8Check::default();
/// assert!(check.accepts("tö".as_bytes()) && check.is_whole());
/// assert!(check.accepts(b"\xe2\x82") && !check.is_whole());
/// assert!(check.accepts(b"\xac") && check.is_whole(), "it was a euro");
/// assert!(!check.accepts(b"\xf4\x90"), "beyond the last code point, however it goes on");
/// ```
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Utf8Check {
    /// The beginning of a character whose end has not come.
    cut: [u8; 4],
    length: u8,
}

impl Utf8Check {
    /// A check at the beginning of a text.
    #[must_use]
    pub const fn new() -> Self {
        Self { cut: [0; 4], length: 0 }
    }

    /// Whether this may follow what came before.
    #[must_use]
    #[inline]
    pub fn accepts(&mut self, bytes: &[u8]) -> bool {
        let Some(rest) = self.finish_cut(bytes) else { return false };
        match simdutf8::compat::from_utf8(rest) {
            Ok(_) => true,
            Err(error) if error.error_len().is_some() => false,
            Err(error) => {
                let cut = &rest[error.valid_up_to()..];
                self.cut[..cut.len()].copy_from_slice(cut);
                self.length = u8::try_from(cut.len()).expect("a character has four bytes at most");
                true
            }
        }
    }

    /// Whether text may end here.
    #[must_use]
    #[inline]
    pub const fn is_whole(&self) -> bool {
        self.length == 0
    }

    /// How many bytes stand at the end whose character is not whole.
    pub(super) const fn cut_bytes(&self) -> usize {
        self.length as usize
    }

    /// Takes what belongs to the character that was cut; gives the rest, or none when it is wrong.
    #[inline]
    fn finish_cut<'a>(&mut self, bytes: &'a [u8]) -> Option<&'a [u8]> {
        let mut rest = bytes;
        while self.length > 0
            && let Some((byte, behind)) = rest.split_first()
        {
            let length = usize::from(self.length);
            self.cut[length] = *byte;
            rest = behind;
            match std::str::from_utf8(&self.cut[..=length]) {
                Ok(_) => self.length = 0,
                Err(error) if error.error_len().is_some() => return None,
                Err(_) => self.length += 1,
            }
        }
        Some(rest)
    }
}
