//! What handlers of WebSockets were told and said, in order, whichever shard they ran on, and who is
//! therefore to get what.
//! It sends nothing, and calls nobody.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use springtide::{Bytes, CloseReason, Message, Overflow, PeerId, RemoteSocket};

use super::marks::{Counts, Mark};
use super::script::{Say, TOPICS, Verb, Way, payload};

/// When something was said: nothing is on its way any more from one epoch to the next.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct At {
    pub(super) position: u64,
    pub(super) turn: u64,
    pub(super) epoch: u64,
    pub(super) ms: u64,
}

/// A message for one connection.
pub(super) struct Said {
    /// Who made it, as it says of itself, and which of his it is.
    pub(super) source: String,
    pub(super) id: usize,
    pub(super) is_text: bool,
    pub(super) payload: Bytes,
    pub(super) at: At,
    /// How many messages its handler had had.
    pub(super) call: usize,
    /// It goes in pieces: it counts when all have gone.
    pub(super) is_streamed: bool,
}

/// Who published something.
pub(super) type Publisher = u32;

/// The player, who is no connection.
pub(super) const PLAYER: Publisher = 999;
/// What is sent to connections by their names is of no topic.
pub(super) const BY_NAME: usize = TOPICS.len();

/// A message for many.
pub(super) struct Publication {
    pub(super) publisher: Publisher,
    pub(super) topic: usize,
    pub(super) id: usize,
    pub(super) is_text: bool,
    pub(super) payload: Bytes,
    pub(super) at: At,
    /// The shard of who published it.
    pub(super) shard: Option<usize>,
    pub(super) except: Option<u32>,
    /// The connections that are named.
    pub(super) named: Vec<u32>,
    /// Some shard had no room for it.
    pub(super) is_refused: bool,
}

/// One name by which a connection has subscribed.
pub(super) struct Subscription {
    pub(super) name: usize,
    pub(super) from: At,
    pub(super) to: Option<At>,
}

/// What is known of one connection.
pub(super) struct Own {
    pub(super) way: Way,
    pub(super) overflow: Overflow,
    /// What its peer says.
    says: Vec<Say>,
    /// How many of that it was told.
    pub(super) heard: usize,
    pub(super) id: Option<PeerId>,
    pub(super) shard: Option<usize>,
    /// What its handler said, and what a thread outside did.
    pub(super) said: [Vec<Said>; 2],
    pub(super) remote: Option<RemoteSocket>,
    pub(super) subscriptions: Vec<Subscription>,
    pings: usize,
    pongs: usize,
    /// Its handler has closed it.
    pub(super) closing: Option<At>,
    /// Its end was told, or its future has ended.
    pub(super) closed: Option<(At, Option<CloseReason>)>,
}

/// Everything.
#[derive(Default)]
pub(super) struct Log {
    pub(super) now: At,
    /// Which shard turns.
    pub(super) turning: Option<usize>,
    pub(super) own: BTreeMap<u32, Own>,
    pub(super) publications: Vec<Publication>,
    streams: HashMap<(Publisher, usize), Vec<usize>>,
    /// Deliveries that queues between shards refused.
    pub(super) refused: u64,
    pub(super) futures: u64,
    mistakes: Vec<String>,
    pub(super) marks: Counts,
}

/// The log, and how many messages of it are held.
#[derive(Clone, Default)]
pub(super) struct Told {
    log: Arc<Mutex<Log>>,
    held: Arc<AtomicUsize>,
}

/// A payload that is counted while somebody holds it.
struct Held(Bytes, Arc<AtomicUsize>);

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.1.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A future of a connection, whose end is told.
pub(super) struct Future(Told, u32);

impl Drop for Future {
    fn drop(&mut self) {
        let mut log = self.0.log();
        log.futures -= 1;
        let at = log.step();
        log.of(self.1).closed.get_or_insert((at, None));
    }
}

impl Told {
    pub(super) fn log(&self) -> MutexGuard<'_, Log> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many messages are held somewhere.
    pub(super) fn held(&self) -> usize {
        self.held.load(Ordering::Relaxed)
    }

    fn message(&self, is_text: bool, payload: &Bytes) -> Message {
        if is_text {
            return String::from_utf8_lossy(payload).into_owned().into();
        }
        self.held.fetch_add(1, Ordering::Relaxed);
        Bytes::from_owner(Held(payload.clone(), Arc::clone(&self.held))).into()
    }

    /// A connection is opened; where it has a future, what tells of its end.
    pub(super) fn open(&self, number: u32, id: PeerId) {
        let mut log = self.log();
        let shard = log.turning;
        let own = log.of(number);
        if own.id.replace(id).is_some() {
            log.mistake(format!("peer {number} is opened twice"));
        } else {
            own.shard = shard;
            let way = own.way;
            log.mark(match way {
                Way::Called => Mark::Called,
                Way::Awaited => Mark::Awaited,
                Way::InParts => Mark::InParts,
            });
        }
    }

    pub(super) fn begin(&self, number: u32, id: PeerId) -> Future {
        self.open(number, id);
        self.log().futures += 1;
        Future(self.clone(), number)
    }

    /// A message has come: what it asks for, and its name.
    pub(super) fn hear(&self, number: u32, message: &Message) -> Option<(Verb, usize)> {
        let mut log = self.log();
        let own = log.of(number);
        let is_open = own.id.is_some() && own.closed.is_none();
        let is_text = message.as_text().is_some();
        let (at, say) = (own.heard, own.says.get(own.heard));
        let told = say
            .filter(|say| is_open && say.is_text == is_text && say.payload == message.as_bytes());
        let told = told.map(|say| (say.verb, say.id));
        own.heard += 1;
        if told.is_none() {
            let len = message.len();
            log.mistake(format!(
                "peer {number}: message {at}, of {len} bytes, is another ({is_open})"
            ));
        }
        told
    }

    /// A pong has come.
    pub(super) fn pong(&self, number: u32, payload: &[u8]) {
        let mut log = self.log();
        let own = log.of(number);
        if !payload.is_empty() && payload != b"unasked" {
            let next = format!("ping {}", own.pongs);
            own.pongs += 1;
            if payload != next.as_bytes() || own.pongs > own.pings || own.closed.is_some() {
                log.mistake(format!("peer {number}: another pong than to {next}"));
            }
        }
        log.mark(Mark::PongTold);
    }

    /// A ping of a handler's own.
    pub(super) fn ping(&self, number: u32) -> String {
        let mut log = self.log();
        let own = log.of(number);
        own.pings += 1;
        format!("ping {}", own.pings - 1)
    }

    /// A message is sent to a connection, made here; `by` says by whom.
    pub(super) fn say(&self, number: u32, by: By, len: usize) -> Message {
        let mut log = self.log();
        let at = log.step();
        let own = log.of(number);
        let letter = if by == By::Outside { "r" } else { "o" };
        let (source, id) = (format!("{letter}{number}"), own.said[by.list()].len());
        let (is_text, payload) = payload(&source, id, len);
        let payload = Bytes::from(payload);
        let message = self.message(is_text, &payload);
        let (call, is_streamed) = (own.heard, by == By::Streamed);
        let said = Said { source, id, is_text, payload, at, call, is_streamed };
        own.said[by.list()].push(said);
        message
    }

    /// A message of its peer is sent back.
    pub(super) fn echo(&self, number: u32, id: usize, message: &Message) {
        let mut log = self.log();
        let at = log.step();
        let own = log.of(number);
        let (source, call) = (format!("c{number}"), own.heard);
        let payload = Bytes::copy_from_slice(message.as_bytes());
        let is_text = message.as_text().is_some();
        own.said[0].push(Said { source, id, is_text, payload, at, call, is_streamed: false });
    }

    /// The last thing that was said from outside was not: nobody is there.
    pub(super) fn unsay(&self, number: u32) {
        self.log().of(number).said[1].pop();
    }

    /// A message is published, or sent to those that are named.
    pub(super) fn publish(
        &self,
        publisher: Publisher,
        topic: usize,
        len: usize,
        except: Option<u32>,
        named: Vec<u32>,
    ) -> (usize, Message) {
        let mut log = self.log();
        let at = log.step();
        let shard = log.turning;
        let number = log.publications.len();
        let stream = log.streams.entry((publisher, topic)).or_default();
        let id = stream.len();
        stream.push(number);
        let (is_text, payload) = payload(&format!("p{publisher}t{topic}"), id, len);
        let payload = Bytes::from(payload);
        let message = self.message(is_text, &payload);
        let is_refused = false;
        log.publications.push(Publication {
            publisher,
            topic,
            id,
            is_text,
            payload,
            at,
            shard,
            except,
            named,
            is_refused,
        });
        (number, message)
    }

    /// So many deliveries of a publication were refused.
    pub(super) fn refuse(&self, publication: usize, count: usize) {
        if count > 0 {
            let mut log = self.log();
            log.publications[publication].is_refused = true;
            log.refused += count as u64;
            log.mark(Mark::QueueFull);
        }
    }

    pub(super) fn subscribe(&self, number: u32, name: usize, is_taken: bool) {
        let mut log = self.log();
        let at = log.step();
        let own = log.of(number);
        if !is_taken {
            if own.closing.is_none() && own.closed.is_none() && own.way == Way::Called {
                log.mistake(format!("peer {number} may not subscribe"));
            }
            return;
        }
        if !own.subscriptions.iter().any(|own| own.name == name && own.to.is_none()) {
            own.subscriptions.push(Subscription { name, from: at, to: None });
        }
        log.mark(Mark::Subscribed);
    }

    pub(super) fn unsubscribe(&self, number: u32, name: usize, had: bool) {
        let mut log = self.log();
        let at = log.step();
        let own = log.of(number);
        let mut open = own.subscriptions.iter_mut().filter(|own| own.to.is_none());
        match open.find(|own| own.name == name) {
            Some(own) if had => {
                own.to = Some(at);
                log.mark(Mark::Unsubscribed);
            }
            None if !had => {}
            // A connection may be gone that its future does not know to be.
            Some(_) if own.way != Way::Called => {}
            _ => log.mistake(format!("peer {number} had not subscribed, or had")),
        }
    }

    /// Its handler closes it.
    pub(super) fn closing(&self, number: u32) {
        let mut log = self.log();
        let at = log.step();
        log.of(number).closing.get_or_insert(at);
    }

    /// Its handler is told of its end.
    pub(super) fn close(&self, number: u32, reason: Option<CloseReason>) {
        let mut log = self.log();
        let at = log.step();
        let own = log.of(number);
        if own.closed.replace((at, reason)).is_some() {
            log.mistake(format!("the end of peer {number} is told twice"));
        }
    }

    pub(super) fn mark(&self, mark: Mark) {
        self.log().mark(mark);
    }
}

/// By whom something is said to a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum By {
    Handler,
    Streamed,
    Outside,
}

impl By {
    const fn list(self) -> usize {
        match self {
            Self::Handler | Self::Streamed => 0,
            Self::Outside => 1,
        }
    }
}

impl Log {
    fn step(&mut self) -> At {
        self.now.position += 1;
        self.now
    }

    pub(super) fn add(&mut self, number: u32, way: Way, overflow: Overflow, says: Vec<Say>) {
        let (heard, id, shard, said, remote, subscriptions) = Default::default();
        let (pings, pongs, closing, closed) = Default::default();
        let own = Own {
            way,
            overflow,
            says,
            heard,
            id,
            shard,
            said,
            remote,
            subscriptions,
            pings,
            pongs,
            closing,
            closed,
        };
        self.own.insert(number, own);
    }

    fn of(&mut self, number: u32) -> &mut Own {
        self.own.get_mut(&number).expect("only peers of the history have a number")
    }

    pub(super) fn mark(&mut self, mark: Mark) {
        self.marks.0[mark as usize] += 1;
    }

    pub(super) fn mistake(&mut self, what: String) {
        self.mistakes.push(what);
    }

    /// A connection is a thread's outside, too.
    pub(super) fn arrive(&mut self, number: u32, remote: RemoteSocket) {
        self.of(number).remote = Some(remote);
    }

    /// The first thing that must not be.
    pub(super) fn check(&self) -> Result<(), String> {
        self.mistakes.first().map_or(Ok(()), |what| Err(what.clone()))
    }

    /// What somebody has published to a topic, in order.
    pub(super) fn stream(&self, publisher: Publisher, topic: usize) -> &[usize] {
        self.streams.get(&(publisher, topic)).map_or(&[], Vec::as_slice)
    }

    /// How many messages its peer says in all.
    pub(super) fn says(&self, number: u32) -> usize {
        self.own[&number].says.len()
    }
}
