//! The transport: a pure stage between chunk and machine, and between outbox and send.
//! Machines never see it. A plain connection has none and pays nothing.

use springtide_engine::Piece;

/// A stage that changes bytes on their way, such as TLS.
pub(crate) trait Stage {
    /// Takes bytes as they came from the peer; what they mean is appended to `plain`.
    fn open(&mut self, received: &[u8], plain: &mut Vec<u8>);

    /// Makes of plain pieces what is to be sent.
    fn seal(&mut self, pieces: &mut Vec<Piece>);

    /// All it must remember to go on elsewhere.
    fn freeze(&self) -> Vec<u8>;

    /// Makes a fresh stage the one that was frozen.
    fn thaw(&mut self, frozen: &[u8]);
}
