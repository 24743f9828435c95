//! What a peer of a WebSocket has been sent, held against what was said to it: each message once at most,
//! to the byte, in the order of whoever made it, and with gaps only where its policy makes them.
//! It knows the server by the log of its handlers alone.

use std::collections::HashMap;

use springtide::{Bytes, Overflow};

use super::due::Due;
use super::marks::Mark;
use super::script::parse;
use super::told::{At, Log, Own, Publisher, Said};

/// What came so far.
#[derive(Debug, Default)]
pub(super) struct Heard {
    /// Where to go on in what its handler said, and in what was said from outside.
    said: [usize; 2],
    /// The same of what each has published to each topic.
    streams: HashMap<(Publisher, usize), usize>,
    pub(super) messages: u64,
    pub(super) has_gap: bool,
    /// While it read nothing: since when, and until when.
    pub(super) clogged: Option<(At, At)>,
    /// Bytes of that time that came later.
    bytes_late: usize,
}

/// What may be on its way to a peer besides what its queue holds: in the network, in the outbox, and in
/// what is being sent.
const ON_THE_WAY_MAX: usize = (160 + 2 * 64) << 10;
/// What a message costs besides its bytes, at most.
const COST_BYTES: usize = 80;

impl Heard {
    /// A message has come.
    pub(super) fn hear(
        &mut self,
        number: u32,
        is_text: bool,
        payload: &[u8],
        log: &mut Log,
        queue_bytes_max: usize,
    ) -> Result<(), String> {
        self.messages += 1;
        let Some((source, id)) = parse(payload) else {
            return Err(format!("peer {number} gets {} bytes that nobody said", payload.len()));
        };
        let own = &log.own[&number];
        let wrong = |what: &str| Err(format!("peer {number} gets {source} {id}, {what}"));
        let (found, at) = match publisher_of(source) {
            Some(stream) => match self.find_published(number, stream, id, own, log) {
                Ok(found) => found,
                Err(what) => return wrong(what),
            },
            None => match self.find_said(source, id, own) {
                Ok(found) => found,
                Err(what) => return wrong(what),
            },
        };
        if found != (is_text, payload) {
            return wrong("with other bytes");
        }
        let len = payload.len() + COST_BYTES;
        if let Some((from, to)) = self.clogged
            && at.position > from.position
            && at.epoch < to.epoch
        {
            self.bytes_late += len;
            if self.bytes_late > queue_bytes_max + ON_THE_WAY_MAX + 3 * LONGEST_BYTES {
                return wrong("which is more than may have waited for it");
            }
        }
        let mark = match source.as_bytes() {
            [b'c', ..] => Some(Mark::Echoed),
            [b'r', ..] => Some(Mark::Remote),
            _ => None,
        };
        mark.into_iter().for_each(|mark| log.mark(mark));
        Ok(())
    }

    fn find_said<'a>(
        &mut self,
        source: &str,
        id: usize,
        own: &'a Own,
    ) -> Result<((bool, &'a [u8]), At), &'static str> {
        let list = usize::from(source.starts_with('r'));
        let said = &own.said[list];
        let next = self.said[list];
        let found = said[next..].iter().position(|said| said.source == source && said.id == id);
        let Some(found) = found.map(|at| next + at) else {
            return Err("which was not said, or before another that came");
        };
        let missed = said[next..found].iter().filter(|said| !said.is_streamed);
        let is_one_call = |other: &&Said| other.call == said[found].call && list == 0;
        let is_wrong = match own.overflow {
            Overflow::Close => missed.count() > 0,
            // Nothing is sent while a handler runs: what fits no more is not followed by what does.
            Overflow::DropNewest => missed
                .filter(is_one_call)
                .any(|missed| missed.payload.len() <= said[found].payload.len()),
            _ => false,
        };
        self.has_gap |= found > next;
        self.said[list] = found + 1;
        let said = &said[found];
        if is_wrong { Err("behind a gap") } else { Ok(((said.is_text, &*said.payload), said.at)) }
    }

    fn find_published<'a>(
        &mut self,
        number: u32,
        stream: (Publisher, usize),
        id: usize,
        own: &Own,
        log: &'a Log,
    ) -> Result<((bool, &'a [u8]), At), &'static str> {
        let published = log.stream(stream.0, stream.1);
        let next = self.streams.get(&stream).copied().unwrap_or(0);
        if id < next || id >= published.len() {
            return Err("which was not published, or before another that came");
        }
        let mut missed = published[next..id].iter().map(|at| &log.publications[*at]);
        let has_gap = missed.any(|missed| own.due(missed, number) == Due::Must);
        let found = &log.publications[published[id]];
        if own.due(found, number) == Due::Not {
            return Err("which is not for it");
        }
        self.has_gap |= has_gap;
        self.streams.insert(stream, id + 1);
        if has_gap && own.overflow == Overflow::Close {
            return Err("behind a gap");
        }
        let payload: &Bytes = &found.payload;
        Ok(((found.is_text, payload), found.at))
    }

    /// Nothing is on its way, and it reads: what its policy keeps has come.
    pub(super) fn check_lull(&self, number: u32, log: &Log) -> Result<(), String> {
        let own = &log.own[&number];
        let missing = self.missing(number, log);
        let wrong = match own.overflow {
            Overflow::Close => missing > 0,
            Overflow::DropNewest => false,
            // The newest of all is never dropped.
            _ => {
                let last = own.said[0].last().filter(|last| {
                    let mut later = log.publications.iter().rev();
                    let mut later =
                        later.by_ref().take_while(|other| other.at.epoch >= last.at.epoch);
                    let is_last = !later.any(|other| own.due(other, number) != Due::Not);
                    let outside = own.said[1].last();
                    is_last && outside.is_none_or(|other| other.at.epoch < last.at.epoch)
                });
                last.is_some_and(|last| !last.is_streamed && self.said[0] < own.said[0].len())
            }
        };
        match wrong {
            true => Err(format!(
                "peer {number} has not come to what must not be dropped, {missing} missing"
            )),
            false => Ok(()),
        }
    }

    /// How many messages have not come that must, behind the last of their kind that has.
    pub(super) fn missing(&self, number: u32, log: &Log) -> usize {
        let own = &log.own[&number];
        let said = own.said.iter().zip(self.said);
        let said: usize = said
            .map(|(said, next)| said[next..].iter().filter(|said| !said.is_streamed).count())
            .sum();
        let published = log.publications.iter().filter(|own_one| {
            let next = self.streams.get(&(own_one.publisher, own_one.topic));
            own_one.id >= next.copied().unwrap_or(0) && own.due(own_one, number) == Due::Must
        });
        said + published.count()
    }
}

/// More than any message of these histories.
const LONGEST_BYTES: usize = 40_000;

/// Who published it, where somebody did, and to what.
fn publisher_of(source: &str) -> Option<(Publisher, usize)> {
    let (publisher, topic) = source.strip_prefix('p')?.split_once('t')?;
    Some((publisher.parse().ok()?, topic.parse().ok()?))
}
