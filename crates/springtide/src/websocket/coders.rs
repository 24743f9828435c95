//! What compresses and inflates the messages of a shard's WebSockets: one of each for all, and a bounded
//! number of others.
//! It must never take memory for a connection that has nothing to compress.

use std::rc::Rc;

use springtide_proto::websocket::handshake::Agreed;
use springtide_proto::websocket::{Deflater, Inflater, Kind, Refusal, Utf8Check, Window};

use super::options::Options;
use crate::limits::Limits;

/// The coders of a shard.
#[derive(Default)]
pub(crate) struct Coders {
    deflater: Option<Deflater>,
    inflater: Option<Inflater>,
    /// Counted by the compressors of single connections.
    dedicated: Rc<()>,
}

/// A window that lasts for one message.
const SINGLE: Window = Window { bits: 15, takes_over: false };

impl Coders {
    /// Inflates a message, whose text is checked.
    pub(crate) fn inflate(
        &mut self,
        kind: Kind,
        payload: &[u8],
        bytes_max: u64,
    ) -> Result<Vec<u8>, Refusal> {
        let inflater = self.inflater.get_or_insert_with(|| Inflater::new(SINGLE));
        let inflated = inflater.inflate(payload, bytes_max)?;
        let mut check = Utf8Check::new();
        let is_right = kind == Kind::Binary || (check.accepts(&inflated) && check.is_whole());
        if is_right { Ok(inflated) } else { Err(Refusal::Utf8) }
    }

    /// Deflates a message for all who take it so; none where it does not gain by it.
    pub(crate) fn deflate_alone(&mut self, payload: &[u8]) -> Option<Vec<u8>> {
        self.deflater.get_or_insert_with(|| Deflater::new(SINGLE)).deflate(payload, SINGLE)
    }

    /// A compressor of a connection's own, if there is memory for one more.
    fn one_more(&self, window: Window, limits: &Limits) -> Option<Dedicated> {
        let taken = (Rc::strong_count(&self.dedicated) - 1) * Deflater::BYTES;
        let has_room = taken + Deflater::BYTES <= limits.socket_compress_bytes_max;
        has_room.then(|| Box::new((Deflater::new(window), Rc::clone(&self.dedicated))))
    }
}

/// A compressor of one connection, and what counts it.
pub(crate) type Dedicated = Box<(Deflater, Rc<()>)>;

/// How one connection's messages are compressed.
#[derive(Clone, Copy)]
pub(crate) struct Compressing {
    window: Window,
    /// As far as it fits.
    bytes_min: u32,
}

const _: () = assert!(size_of::<Option<Compressing>>() <= 8, "an idle WebSocket holds one");

impl Compressing {
    pub(crate) fn new(agreed: Agreed, options: Options) -> Self {
        let bytes_min = u32::try_from(options.compress_bytes_min).unwrap_or(u32::MAX);
        Self { window: agreed.server, bytes_min }
    }

    /// Whether a message of so many bytes is compressed by this connection's own compressor, if that
    /// finds memory.
    pub(crate) const fn is_dedicated_for(&self, message_bytes: usize) -> bool {
        self.window.takes_over && message_bytes >= self.bytes_min as usize
    }

    /// Whether one is taken as it is compressed for any connection: what lies in the window as a whole is
    /// never referred to from beyond it.
    pub(crate) const fn is_shared_for(&self, message_bytes: usize) -> bool {
        let fits = self.window.bits == SINGLE.bits || message_bytes <= 1 << self.window.bits;
        !self.window.takes_over && fits && message_bytes >= self.bytes_min as usize
    }

    /// Deflates a message for all who take it so, if it is long enough; none where it is to be sent as it
    /// is.
    pub(crate) fn deflate_shared(self, payload: &[u8], coders: &mut Coders) -> Option<Vec<u8>> {
        if self.window.takes_over || payload.len() < self.bytes_min as usize {
            return None;
        }
        let shared = coders.deflater.get_or_insert_with(|| Deflater::new(SINGLE));
        shared.deflate(payload, self.window)
    }

    /// Deflates a message by the connection's own compressor, which it gets with the first; none where it
    /// is to be sent as it is.
    pub(crate) fn deflate_dedicated(
        self,
        own: &mut Option<Dedicated>,
        payload: &[u8],
        coders: &Coders,
        limits: &Limits,
    ) -> Option<Vec<u8>> {
        if own.is_none() {
            *own = coders.one_more(self.window, limits);
        }
        own.as_mut().and_then(|own| own.0.deflate(payload, self.window))
    }
}
