//! Uploads: what comes is counted and summed while it comes, and kept nowhere.
//! However long one is, it takes no more memory than the pieces that it comes in.

use serde::Serialize;
use springtide::{BodyError, Json, Request};

/// The longest upload.
pub(super) const UPLOAD_BYTES_MAX: u64 = 1 << 30;

/// What has come, so that whoever sent it can tell that it is what was sent.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct Receipt {
    bytes: u64,
    /// CRC-32, as zip and PNG have it: eight digits.
    crc32: String,
}

/// Takes one.
pub(super) async fn take(mut request: Request) -> Result<Json<Receipt>, BodyError> {
    let (mut body, mut sum) = (request.take_body(), Crc32::new());
    let mut bytes = 0;
    while let Some(piece) = body.next().await? {
        sum.add(&piece);
        bytes += piece.len() as u64;
    }
    Ok(Json(Receipt { bytes, crc32: sum.to_text() }))
}

/// CRC-32 with the polynomial of IEEE 802.3, bits reversed.
struct Crc32(u32);

impl Crc32 {
    const fn new() -> Self {
        Self(u32::MAX)
    }

    fn add(&mut self, piece: &[u8]) {
        for byte in piece {
            let [low, ..] = self.0.to_le_bytes();
            self.0 = TABLE[usize::from(low ^ byte)] ^ (self.0 >> 8);
        }
    }

    fn to_text(&self) -> String {
        format!("{:08x}", !self.0)
    }
}

/// The remainder of each byte.
static TABLE: [u32; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let (mut rest, mut bit) = (byte as u32, 0);
        while bit < 8 {
            rest = if rest & 1 == 1 { 0xEDB8_8320 ^ (rest >> 1) } else { rest >> 1 };
            bit += 1;
        }
        table[byte] = rest;
        byte += 1;
    }
    table
};

#[cfg(test)]
mod tests {
    use super::*;

    /// The check value of the catalogue of CRCs, whole and in pieces.
    #[test]
    fn the_sum_is_that_of_zip() {
        for at in 0..=9 {
            let (one, rest) = b"123456789".split_at(at);
            let mut sum = Crc32::new();
            sum.add(one);
            sum.add(rest);
            assert_eq!(sum.to_text(), "cbf43926");
        }
        assert_eq!(Crc32::new().to_text(), "00000000");
    }
}
