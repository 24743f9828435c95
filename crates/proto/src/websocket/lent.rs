//! A long message received straight into its own memory, which is lent for that: nothing is copied.
//! It must never lend room for more than three times what has come, or 1 KiB, and a few bytes, unless more is
//! asked for.

use super::machine::{Machine, Received, State};
use super::refusal::Refusal;

impl Machine {
    /// How many bytes of the payload of the frame that is arriving are to come; 0 between frames, and where
    /// its message is given in parts or thrown away.
    #[inline]
    #[must_use]
    pub fn payload_left(&self) -> u64 {
        let payload = self.arriving.as_ref().and_then(|own| own.payload.as_ref());
        let is_lent = self.state == State::Open && self.part_bytes_min == 0;
        payload.filter(|_| is_lent).map_or(0, |payload| payload.rest)
    }

    /// Lends the memory of the message that is arriving, with what has come of it and with room behind
    /// that; what is received there, at most [`payload_left`](Self::payload_left) bytes, is read by
    /// [`receive_lent`](Self::receive_lent), which is to be called next. None where nothing is left. There is room
    /// for three times what has come, or 1 KiB; for more where the message is `likely` to have so many bytes,
    /// as the one before it had; and never for more than a few bytes behind its frame.
    ///
    /// ```
    /// use springtide_proto::websocket::{Kind, Limits, Machine, Received};
    ///
    /// let mut server = Machine::server(0);
    /// let begun = server.receive(b"\x81\x84\x01\x02\x03\x04u", 0, &Limits::default())?;
    /// assert_eq!(begun, Received::Taken { consumed: 7 });
    /// let mut memory = server.lend(0).expect("three bytes are to come");
    /// memory.extend_from_slice(b"kga");
    /// let Received::Message { kind, payload, .. } = server.receive_lent(memory, 1, 0)? else {
    ///     panic!("it has come as a whole");
    /// };
    /// assert_eq!((kind, payload.as_slice()), (Kind::Text, b"tide".as_slice()));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn lend(&mut self, likely: usize) -> Option<Vec<u8>> {
        let rest = self.payload_left();
        self.arriving.as_mut().filter(|_| rest > 0).map(|own| own.lend(rest, likely))
    }

    /// How much memory the message has that is arriving, with its room for what is to come.
    #[must_use]
    pub fn memory_held(&self) -> usize {
        self.arriving.as_ref().map_or(0, |own| own.bytes.capacity())
    }

    /// Takes lent memory back, and reads what has come behind its first `before` bytes, those that it had.
    /// Where the message has been refused or a close was sent meanwhile, that is thrown away.
    ///
    /// # Errors
    /// When it is of text and no UTF-8, as of [`receive`](Self::receive).
    ///
    /// # Panics
    /// If memory was not lent, or more has come than was left of the payload.
    pub fn receive_lent(
        &mut self,
        memory: Vec<u8>,
        before: usize,
        now_ms: u64,
    ) -> Result<Received, Refusal> {
        let own = self.arriving.as_mut().expect("it was lent by a message that is arriving");
        let mut payload = own.payload.take().expect("it was lent for what is left of a payload");
        let count = memory.len().checked_sub(before).expect("what it had is in it");
        assert!(count as u64 <= payload.rest, "{count} bytes for {} of a payload", payload.rest);
        own.bytes = memory;
        if count == 0 {
            own.payload = Some(payload);
            return Ok(Received::Taken { consumed: 0 });
        }
        if self.state != State::Open {
            payload.rest -= count as u64;
            self.hear(now_ms);
            return Ok(self.thrown_away(count, payload));
        }
        let came = own.came(before, &mut payload);
        self.hear(now_ms);
        match came {
            Ok(()) => Ok(self.tell(count, payload)),
            Err(refusal) => {
                self.read_no_more();
                Err(refusal)
            }
        }
    }
}
