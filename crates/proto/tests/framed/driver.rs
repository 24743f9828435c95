//! Feeds a machine in pieces and writes down what it says, in words that do not depend on the cuts.
//! It must never be cleverer than a session: consume what is reported and loop.

use std::fmt::Write;

use springtide_proto::framed::{
    ClientMachine, Codec, Exchange, Limits, Machine, Received, ReplyReceived,
};
use springtide_proto::{Inbox, Outbox};

/// A server's machine with what a connection keeps around it.
pub(crate) struct Driver<C> {
    pub(crate) machine: Machine,
    pub(crate) codec: C,
    pub(crate) limits: Limits,
    pub(crate) inbox: Inbox,
    pub(crate) outbox: Outbox,
    pub(crate) now_ms: u64,
    pub(crate) exchanges: Vec<Exchange>,
    pub(crate) payloads: Vec<Vec<u8>>,
    /// One line for each event.
    pub(crate) said: String,
    /// Whether it waits for replies.
    pub(crate) is_paused: bool,
    is_ended: bool,
}

impl<C: Codec> Driver<C> {
    pub(crate) fn new(codec: C, limits: Limits) -> Self {
        Self {
            machine: Machine::new(0),
            codec,
            limits,
            inbox: Inbox::new(),
            outbox: Outbox::new(),
            now_ms: 0,
            exchanges: Vec::new(),
            payloads: Vec::new(),
            said: String::new(),
            is_paused: false,
            is_ended: false,
        }
    }

    /// Gives the machine more bytes and lets it read until it wants no more.
    pub(crate) fn feed(&mut self, bytes: &[u8]) {
        self.inbox.append(bytes);
        self.read();
    }

    pub(crate) fn read(&mut self) {
        while !self.is_ended && self.step() {}
    }

    /// One event. False when the machine reads no further for now.
    fn step(&mut self) -> bool {
        let input = self.inbox.as_slice();
        self.is_paused = false;
        let consumed = match self.machine.receive(input, self.now_ms, &self.codec, &self.limits) {
            Ok(Received::NeedBytes { at_least }) => {
                assert!(at_least > input.len(), "{at_least} of {}", input.len());
                return false;
            }
            Ok(Received::Frame { consumed, payload, exchange }) => {
                assert_eq!(exchange.number(), self.exchanges.len() as u64);
                self.exchanges.push(exchange);
                let payload = &input[payload];
                writeln!(self.said, "{:?}", String::from_utf8_lossy(payload)).unwrap();
                self.payloads.push(payload.to_vec());
                consumed
            }
            Ok(Received::Skipped { consumed }) => consumed,
            Ok(Received::Paused) => {
                self.is_paused = true;
                return false;
            }
            Ok(Received::Closed) => {
                self.is_ended = true;
                self.said.push_str("closed\n");
                return false;
            }
            Err(refusal) => {
                self.is_ended = true;
                writeln!(self.said, "refused: {refusal}").unwrap();
                self.machine.refuse(refusal, &self.codec, &mut self.outbox);
                return false;
            }
        };
        self.inbox.consume(consumed);
        true
    }

    /// Answers the exchange with this number.
    pub(crate) fn reply(&mut self, number: usize, payload: &[u8]) {
        let exchange = self.exchanges[number];
        let payload = payload.to_vec().into();
        let sent =
            self.machine.send_reply(exchange, payload, self.now_ms, &self.codec, &mut self.outbox);
        assert_eq!(sent, Ok(()));
    }

    pub(crate) fn give_up(&mut self, number: usize) {
        let exchange = self.exchanges[number];
        self.machine.give_up(exchange, self.now_ms, &self.codec, &mut self.outbox);
    }

    /// Everything written since the last call.
    pub(crate) fn sent(&mut self) -> Vec<u8> {
        taken(&mut self.outbox)
    }
}

/// Everything that waits in an outbox, joined.
pub(crate) fn taken(outbox: &mut Outbox) -> Vec<u8> {
    let mut pieces = Vec::new();
    outbox.take_pieces(&mut pieces);
    pieces.iter().flat_map(|piece| piece.as_slice().to_vec()).collect()
}

/// The pieces that these cuts make of an input.
pub(crate) fn pieces<'a>(input: &'a [u8], cuts: &[usize]) -> impl Iterator<Item = &'a [u8]> {
    let ends: Vec<usize> = cuts.iter().copied().chain([input.len()]).collect();
    let mut start = 0;
    ends.into_iter().map(move |end| &input[std::mem::replace(&mut start, end)..end])
}

/// What a server says of an input cut at these offsets.
fn as_server<C: Codec>(codec: C, input: &[u8], cuts: &[usize]) -> String {
    let mut driver = Driver::new(codec, Limits::default());
    pieces(input, cuts).for_each(|piece| driver.feed(piece));
    driver.said
}

/// The same bytes as the replies to enough calls, to a client.
fn as_client<C: Codec>(codec: C, input: &[u8], cuts: &[usize]) -> String {
    let limits = Limits::default();
    let (mut machine, mut inbox) = (ClientMachine::new(), Inbox::new());
    for _ in 0..20 {
        machine.send_call("".into(), &codec, &limits, &mut Outbox::new()).unwrap();
    }
    let (mut said, mut number) = (String::new(), 0);
    for piece in pieces(input, cuts) {
        inbox.append(piece);
        loop {
            let consumed = match machine.receive(inbox.as_slice(), &codec) {
                Ok(ReplyReceived::Reply { consumed, payload, call }) => {
                    assert_eq!(call.number(), number, "replies are matched in order");
                    number += 1;
                    let payload = String::from_utf8_lossy(&inbox.as_slice()[payload]).into_owned();
                    writeln!(said, "{payload:?}").unwrap();
                    consumed
                }
                Ok(ReplyReceived::Skipped { consumed }) => consumed,
                Ok(ReplyReceived::NeedBytes { .. } | ReplyReceived::Closed) => break,
                Err(refusal) => {
                    writeln!(said, "refused: {refusal}").unwrap();
                    break;
                }
            };
            inbox.consume(consumed);
        }
    }
    let left = machine.end();
    assert_eq!(left.len() as u64, 20 - number, "every call has ended");
    assert!(left.iter().map(|call| call.number()).eq(number..20));
    said
}

/// Checks one input whole, at every split and byte by byte, on both sides.
pub(crate) fn check<C: Codec + Copy>(codec: C, input: impl AsRef<[u8]>, expected: &[&str]) {
    let input = input.as_ref();
    let expected: String = expected.iter().map(|line| format!("{line}\n")).collect();
    let every: Vec<usize> = (1..input.len()).collect();
    let splits = (0..input.len()).map(|split| vec![split]);
    for cuts in splits.chain([vec![], every]) {
        let shown = String::from_utf8_lossy(input);
        assert_eq!(as_server(codec, input, &cuts), expected, "{shown:?} cut at {cuts:?}");
        assert_eq!(as_client(codec, input, &cuts), expected, "{shown:?} cut at {cuts:?}, replies");
    }
}
