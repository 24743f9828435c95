//! The chunked transfer coding (RFC 9112 §7.1), decoded as its bytes come.
//! It must never look at a byte twice, take a bare LF or CR, or believe a size before checking it.

use super::limits::{FIELDS_MAX, Limits};
use super::refusal::Refusal;
use super::scan::{HeadScan, Scanned};

/// What one step through a body found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// The input holds nothing that can be used yet.
    NeedBytes,
    /// Framing was consumed.
    Skipped { consumed: usize },
    /// Framing and then data were consumed: `input[start..consumed]` is the data.
    Data { start: usize, consumed: usize },
    /// The body is complete: `input[start..consumed]` are the lines of its trailer section, with the
    /// empty line behind them.
    End { start: usize, consumed: usize },
}

impl Step {
    /// How many bytes it consumed.
    #[inline]
    pub(crate) const fn consumed(self) -> usize {
        match self {
            Self::NeedBytes => 0,
            Self::Skipped { consumed }
            | Self::Data { consumed, .. }
            | Self::End { consumed, .. } => consumed,
        }
    }
}

/// Where in a chunk the next byte stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Place {
    #[default]
    Size,
    /// Blanks behind a size, which only an extension may follow.
    Blank,
    /// Behind a semicolon, where the name of an extension begins.
    ExtensionName,
    Extension,
    SizeLineFeed,
    Data,
    DataReturn,
    DataLineFeed,
    Trailer,
}

/// How much of a body there is to come.
#[derive(Debug, Default)]
pub(crate) struct Amount {
    /// Bytes still to come: of the body, or of the chunk whose size has been read so far.
    pub(crate) left: u64,
    /// Bytes still allowed.
    pub(crate) room: u64,
}

/// The state between two inputs.
#[derive(Debug, Default)]
pub(crate) struct Chunked {
    extension_bytes: u32,
    extension_bytes_all: u32,
    digits: u8,
    place: Place,
}

/// Sixteen digits fill a `u64`; more would overflow it (RUSTSEC-2026-0181).
const DIGITS_MAX: u8 = 16;

impl Chunked {
    /// Goes on through the body until there is data, an end, or no more input. `scan` searches the
    /// trailer section.
    pub(crate) fn step(
        &mut self,
        input: &[u8],
        amount: &mut Amount,
        scan: &mut HeadScan,
        limits: &Limits,
    ) -> Result<Step, Refusal> {
        for (at, byte) in input.iter().copied().enumerate() {
            match self.place {
                Place::Size => self.size(byte, amount, limits)?,
                Place::Blank => self.blank(byte, limits)?,
                Place::ExtensionName => self.extension_name(byte, limits)?,
                Place::Extension => self.extension(byte, limits)?,
                Place::SizeLineFeed => self.size_line_feed(byte, amount)?,
                Place::Data => return Ok(self.data(at, input.len(), amount)),
                Place::DataReturn => {
                    self.place = expect(byte, b'\r', Place::DataLineFeed)?;
                }
                Place::DataLineFeed => {
                    self.place = expect(byte, b'\n', Place::Size)?;
                }
                Place::Trailer => return trailer(at, input, scan, limits),
            }
        }
        if input.is_empty() {
            return Ok(Step::NeedBytes);
        }
        Ok(Step::Skipped { consumed: input.len() })
    }

    fn size(&mut self, byte: u8, amount: &mut Amount, limits: &Limits) -> Result<(), Refusal> {
        match (char::from(byte).to_digit(16), byte) {
            (Some(digit), _) if self.digits < DIGITS_MAX => {
                amount.left = (amount.left << 4) | u64::from(digit);
                self.digits += 1;
            }
            (None, b';') if self.digits > 0 => self.place = Place::ExtensionName,
            (None, b'\r') if self.digits > 0 => self.place = Place::SizeLineFeed,
            (None, b' ' | b'\t') if self.digits > 0 => {
                self.place = Place::Blank;
                return self.count_extension(limits);
            }
            _ => return Err(Refusal::Chunk),
        }
        Ok(())
    }

    /// Blanks before an extension are read over (RFC 9112 §7.1.1, RFC 9110 §5.6.3). Before a line
    /// end there may be none: others read what follows as part of the size.
    fn blank(&mut self, byte: u8, limits: &Limits) -> Result<(), Refusal> {
        match byte {
            b' ' | b'\t' => self.count_extension(limits),
            b';' => {
                self.place = Place::ExtensionName;
                Ok(())
            }
            _ => Err(Refusal::Chunk),
        }
    }

    /// An extension has a name (RFC 9112 §7.1.1).
    fn extension_name(&mut self, byte: u8, limits: &Limits) -> Result<(), Refusal> {
        match byte {
            b' ' | b'\t' => {}
            b';' | b'=' | b'"' | b'\r' => return Err(Refusal::Chunk),
            _ => self.place = Place::Extension,
        }
        self.extension(byte, limits)
    }

    /// Reads over an extension; nobody uses them. They have no control characters but HTAB.
    fn extension(&mut self, byte: u8, limits: &Limits) -> Result<(), Refusal> {
        match byte {
            b'\r' => {
                self.place = Place::SizeLineFeed;
                Ok(())
            }
            b'\t' | b' '..=b'~' | 0x80.. => self.count_extension(limits),
            _ => Err(Refusal::Chunk),
        }
    }

    fn count_extension(&mut self, limits: &Limits) -> Result<(), Refusal> {
        self.extension_bytes += 1;
        self.extension_bytes_all += 1;
        if self.extension_bytes > limits.chunk_extension_bytes_max
            || self.extension_bytes_all > limits.body_extension_bytes_max
        {
            return Err(Refusal::ChunkExtensionTooLong);
        }
        Ok(())
    }

    fn size_line_feed(&mut self, byte: u8, amount: &mut Amount) -> Result<(), Refusal> {
        self.place = expect(byte, b'\n', Place::Data)?;
        self.digits = 0;
        self.extension_bytes = 0;
        if amount.left == 0 {
            self.place = Place::Trailer;
        }
        amount.room = amount.room.checked_sub(amount.left).ok_or(Refusal::BodyTooLong)?;
        Ok(())
    }

    fn data(&mut self, start: usize, input_len: usize, amount: &mut Amount) -> Step {
        let available = input_len - start;
        let taken = usize::try_from(amount.left).map_or(available, |left| left.min(available));
        amount.left -= taken as u64;
        if amount.left == 0 {
            self.place = Place::DataReturn;
        }
        Step::Data { start, consumed: start + taken }
    }
}

/// Reads the trailer section that begins at `at`: mostly the empty line alone. Its fields are
/// checked (RFC 9110 §6.5.1).
fn trailer(at: usize, input: &[u8], scan: &mut HeadScan, limits: &Limits) -> Result<Step, Refusal> {
    match &input[at..] {
        [b'\r', b'\n', ..] => return Ok(Step::End { start: at, consumed: at + 2 }),
        _ if at > 0 => return Ok(Step::Skipped { consumed: at }),
        [b'\r'] => return Ok(Step::NeedBytes),
        _ => {}
    }
    let trailer_max = limits.trailer_bytes_max.min(limits.head_window());
    let window = &input[..input.len().min(trailer_max)];
    match scan.advance(window) {
        Scanned::End => {
            check_trailer(window, limits).map(|consumed| Step::End { start: 0, consumed })
        }
        Scanned::WrongLineEnd => Err(Refusal::LineEnd),
        Scanned::Partial if window.len() >= trailer_max => Err(Refusal::TrailerTooLong),
        Scanned::Partial => Ok(Step::NeedBytes),
    }
}

fn expect(byte: u8, expected: u8, next: Place) -> Result<Place, Refusal> {
    if byte == expected { Ok(next) } else { Err(Refusal::Chunk) }
}

/// Checks a whole trailer section, in which every LF is known to follow a CR; gives its length.
#[cold]
fn check_trailer(section: &[u8], limits: &Limits) -> Result<usize, Refusal> {
    let mut slots = [httparse::EMPTY_HEADER; FIELDS_MAX];
    match httparse::parse_headers(section, &mut slots[..limits.field_slots()]) {
        Ok(httparse::Status::Complete((consumed, fields))) => {
            let frames = |field: &httparse::Header<'_>| {
                ["content-length", "transfer-encoding", "host"]
                    .iter()
                    .any(|name| field.name.eq_ignore_ascii_case(name))
            };
            if fields.iter().any(frames) { Err(Refusal::Trailer) } else { Ok(consumed) }
        }
        Err(httparse::Error::TooManyHeaders) => Err(Refusal::TooManyFields),
        Ok(httparse::Status::Partial) | Err(_) => Err(Refusal::Trailer),
    }
}
