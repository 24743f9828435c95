//! The inbox: received bytes that are not yet consumed, joined to one slice.
//! It must never scan what it holds, and never keep memory while it is empty.

/// Received bytes that no machine has consumed yet.
///
/// Only a message cut by a chunk's border comes here; everything else is parsed in the chunk.
/// Appending and consuming cost amortised constant time for each byte.
///
/// ```
/// let mut inbox = springtide_proto::Inbox::new();
/// inbox.append(b"GET / HT");
/// inbox.append(b"TP/1.1\r\n");
/// inbox.consume(6);
/// assert_eq!(inbox.as_slice(), b"HTTP/1.1\r\n");
/// ```
#[derive(Debug, Default)]
pub struct Inbox {
    bytes: Vec<u8>,
    start: usize,
}

const _: () = assert!(size_of::<Inbox>() <= 32);

impl Inbox {
    /// An inbox that holds nothing, and no memory.
    #[must_use]
    pub const fn new() -> Self {
        Self { bytes: Vec::new(), start: 0 }
    }

    /// How many bytes wait.
    #[inline]
    #[must_use]
    pub fn len(&self) -> usize {
        self.bytes.len() - self.start
    }

    /// Whether nothing waits.
    #[inline]
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The waiting bytes, oldest first.
    #[inline]
    #[must_use]
    pub fn as_slice(&self) -> &[u8] {
        &self.bytes[self.start..]
    }

    /// Adds received bytes behind those that wait.
    ///
    /// The waiting bytes move to the front only when at least as many have been consumed before
    /// them, so every byte moves a bounded number of times.
    #[inline]
    pub fn append(&mut self, received: &[u8]) {
        if self.start > 0 && self.start >= self.len() {
            self.bytes.drain(..self.start);
            self.start = 0;
        }
        self.bytes.extend_from_slice(received);
    }

    /// Puts bytes in front of those that wait: they were taken and are not wanted.
    pub fn put_back(&mut self, bytes: &[u8]) {
        self.bytes.splice(..self.start, bytes.iter().copied());
        self.start = 0;
    }

    /// Forgets the oldest `consumed` bytes; the memory is returned when nothing is left.
    ///
    /// # Panics
    /// When fewer bytes wait.
    #[inline]
    pub fn consume(&mut self, consumed: usize) {
        assert!(consumed <= self.len(), "more bytes consumed than the inbox holds");
        self.start += consumed;
        if self.start == self.bytes.len() {
            *self = Self::new();
        }
    }

    /// Takes every waiting byte away and leaves the inbox empty.
    #[must_use]
    pub fn take(&mut self) -> Vec<u8> {
        let mut inbox = std::mem::take(self);
        if inbox.start > 0 {
            inbox.bytes.drain(..inbox.start);
        }
        inbox.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::Inbox;

    #[test]
    fn bytes_leave_in_the_order_they_came() {
        let mut inbox = Inbox::new();
        let mut expected = std::collections::VecDeque::new();
        for round in 0..1000_usize {
            let received: Vec<u8> = (0..round % 37).map(|byte| (byte * round) as u8).collect();
            inbox.append(&received);
            expected.extend(received);
            let consumed = (round * 7 % 41).min(inbox.len());
            inbox.consume(consumed);
            expected.drain(..consumed);
            assert_eq!(inbox.as_slice(), expected.make_contiguous());
        }
        assert_eq!(inbox.take(), expected.make_contiguous());
        assert!(inbox.is_empty());
    }

    #[test]
    fn what_is_put_back_comes_first() {
        let mut inbox = Inbox::new();
        inbox.append(b"abcdef");
        inbox.consume(3);
        inbox.put_back(b"bc");
        assert_eq!(inbox.as_slice(), b"bcdef");
        inbox.consume(5);
        inbox.put_back(b"x");
        inbox.append(b"y");
        assert_eq!(inbox.take(), b"xy");
    }

    #[test]
    fn an_empty_inbox_holds_no_memory() {
        let mut inbox = Inbox::new();
        inbox.append(&[7; 5000]);
        inbox.consume(5000);
        assert_eq!(inbox.bytes.capacity(), 0);
    }

    #[test]
    fn consumed_bytes_do_not_pile_up() {
        let mut inbox = Inbox::new();
        inbox.append(&[1; 100]);
        for _ in 0..100_000 {
            inbox.append(&[2; 10]);
            inbox.consume(10);
        }
        assert_eq!(inbox.len(), 100);
        assert!(inbox.bytes.capacity() < 1000, "capacity {}", inbox.bytes.capacity());
    }
}
