//! The raw session: what came is given to pulls, what was pushed is sent, and tasks are told.
//! It reads nothing into bytes, and takes no more than is asked for.

mod bulk;
mod ending;
mod pushes;
mod want;

pub(crate) use want::Want;

use std::collections::VecDeque;

use bytes::Bytes;
use springtide_engine::CHUNK_BYTES;

use super::{Share, Source, Step, Who};
use crate::limits::place_of;
use crate::peer::{Peer, Reason};
use crate::room::Room;
use crate::table::Place;
use crate::task::{Ended, Ready, Tasks, Told};
use want::Look;

/// The session.
pub(crate) struct Peered {
    /// What is told of the first pull, where any bytes will do and nobody holds its task.
    callback: Option<Told>,
    /// The task of the first pull, if there is one.
    first: Place,
    /// What only a session has that has more to do than to wait for bytes.
    busy: Option<Box<Busy>>,
    share: Share,
    /// When bytes came or went last, in seconds.
    seen_s: u32,
    end: End,
    /// The callback of the first pull is told of its end, however that is.
    takes_end: bool,
    /// The peer has ended its stream, or the server stops.
    is_at_end: bool,
    /// The stream to the peer has ended.
    is_shut: bool,
}

const _: () = assert!(size_of::<Peered>() <= 104, "an idle connection holds one of these");

#[derive(Default)]
struct Busy {
    /// What the first pull wants, where it is held.
    want: Option<Want>,
    /// The pulls behind the first.
    pulls: VecDeque<(Place, Want)>,
    /// What was pushed and has not been sent.
    pushes: VecDeque<Entry>,
    /// How many of them are being sent.
    poured: usize,
    /// Bytes of those that are not.
    waiting_bytes: usize,
    /// A long message, as far as it has come.
    bulk: Vec<u8>,
    /// Tasks that end when what was pushed has been sent.
    closing: Vec<Place>,
    shutting: Vec<Place>,
    /// The future that has the connection.
    future: Option<Place>,
    reason: Option<Reason>,
}

/// Bytes that were pushed; the task that is told, if any.
struct Entry {
    task: Option<Place>,
    bytes: Bytes,
}

/// How far it is from its end.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Open,
    /// What was pushed is sent, and then it ends.
    Closing,
    /// It ends at once, and its peer is to notice.
    Broken,
    /// Everybody has been told.
    Over,
}

impl Peered {
    pub(crate) fn new(room: &Room) -> Self {
        Self {
            callback: None,
            first: Place::NONE,
            busy: None,
            share: Share::default(),
            seen_s: seconds(room.now_ms),
            end: End::Open,
            takes_end: false,
            is_at_end: false,
            is_shut: false,
        }
    }

    pub(super) fn receive(&mut self, source: &Source<'_>, who: Who, room: &Room) -> (usize, Step) {
        if self.end != End::Open {
            return (0, Step::Closed);
        }
        self.share.renew(room.turn);
        let bytes = source.bytes();
        if !bytes.is_empty() {
            self.seen_s = seconds(room.now_ms);
        }
        let mut consumed = 0;
        let step = loop {
            let rest = &bytes[consumed..];
            if !self.is_pulled(&room.requests.tasks) {
                break Step::Paused;
            }
            if rest.is_empty() {
                break Step::NeedBytes;
            }
            if self.share.is_spent(consumed) {
                break Step::More;
            }
            let is_chunk = consumed == 0 && matches!(source, Source::Chunk(_));
            if is_chunk && rest.len() == CHUNK_BYTES && self.takes_bulk() {
                // More lies behind it.
                let mut bulk = Vec::with_capacity(bulk::BYTES_MIN);
                bulk.extend_from_slice(rest);
                self.busy().bulk = bulk;
                consumed += rest.len();
                break Step::NeedBytes;
            }
            match self.serve(rest, who, room) {
                Some(taken) => consumed += taken,
                None => break Step::NeedBytes,
            }
        };
        self.share.add_bytes(consumed);
        (consumed, step)
    }

    /// Whether somebody waits for bytes.
    fn is_pulled(&self, tasks: &Tasks) -> bool {
        self.callback.is_some() || tasks.is_pending(self.first)
    }

    /// Whether the first pull takes whatever comes.
    fn takes_bulk(&self) -> bool {
        let want = self.busy.as_ref().and_then(|busy| busy.want.as_ref());
        self.callback.is_some() || matches!(want, Some(Want::Some))
    }

    /// Gives the first pull what it wants; how many bytes that were, or none when it needs more.
    fn serve(&mut self, bytes: &[u8], who: Who, room: &Room) -> Option<usize> {
        let taken = match self.callback {
            Some(_) => bytes.len(),
            None => match self.busy.as_mut()?.want.as_mut()?.look(bytes) {
                Look::Takes(count) => count,
                Look::NeedsMore => return None,
                Look::Exceeds => {
                    self.end_first(who, room, Ended::Failed(Reason::Limit("bytes_max")));
                    return Some(0);
                }
            },
        };
        self.share.add_exchange();
        self.end_first(who, room, Ended::Bytes(Bytes::copy_from_slice(&bytes[..taken])));
        Some(taken)
    }

    /// The first pull ends; the next takes its place, unless what came for the first waits to be taken.
    fn end_first(&mut self, who: Who, room: &Room, ended: Ended) {
        let tasks = &room.requests.tasks;
        if let Some(callback) = self.callback.take() {
            tasks.tell(Ready::Call(callback, Peer::new(who.id, who.place), ended));
        } else {
            tasks.end(self.first, || ended);
            if tasks.is_wanted(self.first) {
                return;
            }
        }
        self.advance(room);
    }

    /// The next pull takes the first place.
    fn advance(&mut self, room: &Room) {
        self.first = Place::NONE;
        let Some(busy) = &mut self.busy else { return };
        busy.want = None;
        let Some((task, want)) = busy.pulls.pop_front() else { return self.rest() };
        let is_followed = !busy.pulls.is_empty();
        self.place_first(task, want, room);
        if is_followed {
            room.requests.tasks.follow(task);
        }
    }

    fn place_first(&mut self, task: Place, want: Want, room: &Room) {
        self.first = task;
        if matches!(want, Want::Some)
            && let Some((callback, takes_end)) = room.requests.tasks.take_callback(task)
        {
            (self.callback, self.takes_end) = (Some(callback), takes_end);
            return self.rest();
        }
        self.busy().want = Some(want);
    }

    /// Whether what came for the first pull was taken, or nobody wants it.
    fn is_first_gone(&self, tasks: &Tasks) -> bool {
        self.callback.is_none() && !tasks.is_wanted(self.first)
    }

    /// What only busy sessions have.
    fn busy(&mut self) -> &mut Busy {
        self.busy.get_or_insert_default()
    }

    /// Somebody wants bytes.
    pub(crate) fn pull(&mut self, task: Place, want: Want, room: &Room) {
        let tasks = &room.requests.tasks;
        if !tasks.is_wanted(task) {
            return;
        }
        let limits = &room.limits;
        if let Some(reason) = self.refusal().or_else(|| want.refusal(limits.pull_bytes_max)) {
            tasks.end(task, || Ended::Failed(reason));
            return;
        }
        self.go_on(room);
        if self.first == Place::NONE {
            return self.place_first(task, want, room);
        }
        let first = self.first;
        let busy = self.busy();
        if busy.pulls.len() >= limits.pulls_waiting_max {
            room.met.count(const { place_of("pulls_waiting_max") });
            tasks.end(task, || Ended::Failed(Reason::Limit("pulls_waiting_max")));
            return;
        }
        busy.pulls.push_back((task, want));
        tasks.follow(first);
    }

    /// Why nothing more can be asked.
    fn refusal(&self) -> Option<Reason> {
        match self.end {
            End::Open => None,
            End::Closing | End::Broken | End::Over => Some(self.reason()),
        }
    }

    fn reason(&self) -> Reason {
        let told = self.busy.as_ref().and_then(|busy| busy.reason);
        told.unwrap_or(if self.is_at_end { Reason::PeerClosed } else { Reason::Closed })
    }

    /// What came for the first pull was taken, or given back: the next may be served.
    pub(crate) fn go_on(&mut self, room: &Room) {
        while self.first != Place::NONE && self.is_first_gone(&room.requests.tasks) {
            self.advance(room);
        }
    }

    /// Gives memory back where nothing is in it.
    fn rest(&mut self) {
        let is_idle = self.busy.as_ref().is_some_and(|busy| busy.is_idle());
        if is_idle {
            self.busy = None;
        }
    }

    /// A task is not wanted any more by who asked for it; it still ends.
    pub(crate) fn cancel(&mut self, task: Place, who: Who, room: &Room) {
        let tasks = &room.requests.tasks;
        let cancelled = || Ended::Failed(Reason::Cancelled);
        if self.first == task {
            if self.is_pulled(tasks) {
                self.end_first(who, room, cancelled());
            }
            return;
        }
        let Some(busy) = &mut self.busy else { return };
        if let Some(index) = busy.pulls.iter().position(|(own, _)| *own == task) {
            busy.pulls.remove(index);
            tasks.end(task, cancelled);
            return;
        }
        let is_it = |entry: &Entry| entry.task == Some(task);
        let waiting = busy.pushes.iter().skip(busy.poured).position(is_it);
        if let Some(entry) = waiting.and_then(|index| busy.pushes.remove(busy.poured + index)) {
            busy.waiting_bytes -= entry.bytes.len();
            tasks.end(task, cancelled);
        }
    }

    pub(super) fn bytes_held(&self) -> usize {
        self.busy.as_ref().map_or(0, |busy| busy.waiting_bytes + busy.bulk.len())
    }
}

impl Busy {
    fn is_idle(&self) -> bool {
        self.want.is_none()
            && self.pulls.is_empty()
            && self.pushes.is_empty()
            && self.bulk.is_empty()
            && self.closing.is_empty()
            && self.shutting.is_empty()
            && self.future.is_none()
            && self.reason.is_none()
    }
}

#[expect(clippy::cast_possible_truncation, reason = "136 years")]
const fn seconds(ms: u64) -> u32 {
    (ms / 1000) as u32
}
