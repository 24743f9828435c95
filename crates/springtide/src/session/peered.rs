//! The raw session: what came is given to pulls, what was pushed is sent, and tasks are told.
//! It reads nothing into bytes, and takes no more than is asked for.

mod bulk;
mod ending;
pub(crate) mod forward;
mod front;
mod published;
mod pushes;
mod want;

pub(crate) use want::Want;

use std::collections::VecDeque;

use bytes::Bytes;
use springtide_engine::CHUNK_BYTES;

use super::{Share, Source, Step, Who};
use crate::events::Happened;
use crate::limits::place_of;
use crate::peer::{Peer, Pushed, Reason};
use crate::room::{LONG_BYTES, Room};
use crate::table::Place;
use crate::task::{Ended, Tasks, Waiter};
use forward::Fed;
use front::Front;
use want::Look;

/// The session.
pub(crate) struct Peered {
    /// The first pull where any bytes will do, and the future that has the connection.
    front: Front,
    /// The serial number of the first pull; none is 0.
    first: u64,
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
    /// What became of the stream to the peer, and who made the connection.
    outward: Outward,
}

const _: () = assert!(size_of::<Peered>() <= 104, "an idle connection holds one of these");

/// Whether the stream to the peer has ended, in a connection that was accepted or made: one byte.
#[derive(Clone, Copy)]
enum Outward {
    Accepted,
    Shut,
    Made,
    MadeAndShut,
}

/// What only busy sessions have.
#[derive(Default)]
pub(crate) struct Busy {
    /// The first pull, where it does not stand in front.
    first: Option<Pulling>,
    /// The pulls behind the first.
    pulls: VecDeque<Pulling>,
    /// What was pushed and has not been sent.
    pushes: VecDeque<Pushing>,
    /// How many of them are being sent, and their bytes.
    poured: usize,
    poured_bytes: usize,
    /// Bytes of those that are not.
    waiting_bytes: usize,
    /// A long message, as far as it has come; without a pull it waits here for the next.
    bulk: Vec<u8>,
    /// Who waits for everything pushed to be sent, and the end of one half or both then.
    closing: Vec<Waiter>,
    shutting: Vec<Waiter>,
    /// Who is told of the end of the connection.
    watching: Vec<Waiter>,
    /// The forwards that lead here.
    fed: Option<Box<Fed>>,
    reason: Option<Reason>,
}

/// A pull.
pub(crate) struct Pulling {
    pub(crate) serial: u64,
    pub(crate) waiter: Waiter,
    pub(crate) want: Want,
}

/// Bytes that were pushed.
pub(crate) struct Pushing {
    pub(crate) serial: u64,
    pub(crate) waiter: Waiter,
    pub(crate) pieces: Pushed,
    /// In bytes: there may be a million of them, and this is asked behind each send.
    len: usize,
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
            front: Front::empty(),
            first: 0,
            busy: None,
            share: Share::default(),
            seen_s: seconds(room.now_ms),
            end: End::Open,
            takes_end: false,
            is_at_end: false,
            outward: Outward::Accepted,
        }
    }

    /// The session of a connection that was made from here.
    pub(crate) fn outgoing(room: &Room) -> Self {
        Self { outward: Outward::Made, ..Self::new(room) }
    }

    pub(crate) const fn is_outgoing(&self) -> bool {
        matches!(self.outward, Outward::Made | Outward::MadeAndShut)
    }

    /// Whether the stream to the peer has ended.
    pub(crate) const fn is_shut(&self) -> bool {
        matches!(self.outward, Outward::Shut | Outward::MadeAndShut)
    }

    /// It ends; false when it had.
    fn set_shut(&mut self) -> bool {
        let before = self.is_shut();
        self.outward = if self.is_outgoing() { Outward::MadeAndShut } else { Outward::Shut };
        !before
    }

    pub(super) fn receive(&mut self, source: &Source<'_>, who: Who, room: &Room) -> (usize, Step) {
        if self.end != End::Open {
            return (0, Step::Closed);
        }
        self.share.renew(room.turn);
        let bytes = source.bytes();
        if let Source::Chunk(_) = source {
            self.heard(room);
        }
        let mut consumed = 0;
        let step = loop {
            let rest = &bytes[consumed..];
            let is_first = consumed == 0 && matches!(source, Source::Chunk(_));
            let is_long = is_first && rest.len() == CHUNK_BYTES;
            let is_pulled = self.is_pulled(&room.requests.tasks);
            if is_long && self.takes_bulk(is_pulled) && !self.share.is_spent(0) {
                // More lies behind it.
                let mut bulk = Vec::with_capacity(LONG_BYTES);
                bulk.extend_from_slice(rest);
                self.busy(&room.requests.tasks).bulk = bulk;
                consumed += rest.len();
                break Step::NeedBytes;
            }
            if !is_pulled || self.offer(rest.len(), &room.requests.tasks) {
                break Step::Paused;
            }
            if rest.is_empty() {
                break Step::NeedBytes;
            }
            if self.share.is_spent(consumed) {
                break Step::More;
            }
            match self.serve(rest, who, room) {
                Some(taken) => consumed += taken,
                None => break Step::NeedBytes,
            }
        };
        self.share.add_bytes(consumed);
        (consumed, step)
    }

    /// The peer has said something: what waits unread is looked at again without that.
    #[inline]
    pub(crate) const fn heard(&mut self, room: &Room) {
        self.seen_s = seconds(room.now_ms);
    }

    /// Whether somebody waits for bytes.
    #[inline]
    fn is_pulled(&self, tasks: &Tasks) -> bool {
        match &self.front {
            Front::Callback(_) => true,
            Front::Quiet { task, .. } if *task != Place::NONE => tasks.is_pending(*task),
            Front::Quiet { .. } => self.busy.as_ref().is_some_and(|busy| busy.is_pulled(tasks)),
        }
    }

    /// Whether a long message is taken as it is: by a first pull that takes whatever comes, or for the
    /// next one, which mostly follows the end of a push.
    fn takes_bulk(&self, is_pulled: bool) -> bool {
        let Some(busy) = &self.busy else { return true };
        let wants_any = busy.first.as_ref().is_none_or(|first| first.want.takes_any());
        busy.bulk.is_empty() && (self.front.has_callback() || !is_pulled || wants_any)
    }

    /// Gives the first pull what it wants; how many bytes that were, or none when it needs more.
    #[inline]
    fn serve(&mut self, bytes: &[u8], who: Who, room: &Room) -> Option<usize> {
        let taken = match self.front.is_pull() {
            true => bytes.len(),
            false => match self.busy.as_mut()?.first.as_mut()?.want.look(bytes) {
                Look::Takes(count) => count,
                Look::NeedsMore => return None,
                Look::Exceeds => {
                    self.end_first(who, room, Ended::Failed(Reason::Limit("bytes_max")));
                    return Some(0);
                }
            },
        };
        self.share.add_exchange();
        self.share.note_message(taken);
        self.end_first(who, room, Ended::Bytes(Bytes::copy_from_slice(&bytes[..taken])));
        Some(taken)
    }

    /// The first pull ends; the next takes its place, unless bytes for the first wait to be taken.
    #[inline]
    fn end_first(&mut self, who: Who, room: &Room, ended: Ended) {
        let tasks = &room.requests.tasks;
        let may_come_back = matches!(ended, Ended::Bytes(_));
        if room.has_events
            && let Ended::Bytes(bytes) = &ended
        {
            room.happens(who.peer(), Happened::Read(bytes.clone()));
        }
        if let Some(callback) = self.front.take_callback() {
            tasks.call_back(callback, who.peer(), ended);
        } else if let Some(task) = self.front.task() {
            if tasks.end_held(task, ended) && may_come_back {
                return;
            }
        } else if let Some(first) = self.busy.as_mut().and_then(|busy| busy.first.take()) {
            if let Waiter::Held(task) = first.waiter {
                if tasks.end_held(task, ended) && may_come_back {
                    self.busy(tasks).first = Some(first);
                    return;
                }
            } else {
                tasks.end(who.peer(), first.waiter, ended);
            }
        }
        self.advance(tasks);
    }

    /// The next pull takes the first place.
    #[inline]
    fn advance(&mut self, tasks: &Tasks) {
        self.first = 0;
        self.front.set_task(Place::NONE);
        if self.busy.is_some() {
            self.advance_busy(tasks);
        }
    }

    #[inline(never)]
    fn advance_busy(&mut self, tasks: &Tasks) {
        let Some(busy) = &mut self.busy else { return };
        busy.first = None;
        let next = loop {
            match busy.pulls.pop_front() {
                // Dropped while it waited behind others.
                Some(next) if !tasks.is_wanted(&next.waiter) => {}
                Some(next) => break next,
                None => return self.rest(tasks),
            }
        };
        let followed = (!busy.pulls.is_empty()).then_some(&next.waiter);
        if let Some(Waiter::Held(task)) = followed {
            tasks.follow(*task);
        }
        self.place_first(next, tasks);
    }

    /// What only busy sessions have.
    #[inline]
    fn busy(&mut self, tasks: &Tasks) -> &mut Busy {
        self.busy.get_or_insert_with(|| tasks.take_busy())
    }

    /// Somebody wants bytes.
    #[inline]
    pub(crate) fn pull(
        &mut self,
        serial: u64,
        want: Want,
        waiter: &mut Waiter,
        peer: Peer,
        room: &Room,
    ) {
        let (tasks, limits) = (&room.requests.tasks, &room.limits);
        if !tasks.is_wanted(waiter) {
            return;
        }
        if let Some(reason) = self.refusal().or_else(|| want.refusal(limits.pull_bytes_max)) {
            return tasks.end(peer, waiter.take(), Ended::Failed(reason));
        }
        self.go_on(tasks);
        let pull = Pulling { serial, waiter: waiter.take(), want };
        match self.first {
            0 => self.place_first(pull, tasks),
            _ => self.follow(pull, peer, room),
        }
    }

    /// A pull waits behind the first.
    #[inline(never)]
    fn follow(&mut self, pull: Pulling, peer: Peer, room: &Room) {
        let (tasks, limits) = (&room.requests.tasks, &room.limits);
        let busy = self.busy(tasks);
        if busy.pulls.len() >= limits.pulls_waiting_max {
            room.met.count(const { place_of("pulls_waiting_max") });
            let reason = Reason::Limit("pulls_waiting_max");
            return tasks.end(peer, pull.waiter, Ended::Failed(reason));
        }
        busy.pulls.push_back(pull);
        let in_busy = busy.waiter().and_then(Waiter::task);
        if let Some(first) = self.front.task().or(in_busy) {
            tasks.follow(first);
        }
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
    #[inline]
    pub(crate) fn go_on(&mut self, tasks: &Tasks) {
        while self.first != 0 && !self.front.has_callback() && self.is_first_gone(tasks) {
            self.advance(tasks);
        }
    }

    /// Whether nobody wants the first pull any more, which has no callback here.
    fn is_first_gone(&self, tasks: &Tasks) -> bool {
        if let Some(task) = self.front.task() {
            return !tasks.is_held(task);
        }
        let first = self.busy.as_ref().and_then(|busy| busy.waiter());
        first.is_none_or(|waiter| !tasks.is_wanted(waiter))
    }

    /// Whether the first pull has ended with nothing, which nobody has looked at: its time was over.
    fn is_first_over(&self, tasks: &Tasks) -> bool {
        let in_busy = self.busy.as_ref().and_then(|busy| busy.waiter()).and_then(Waiter::task);
        self.front.task().or(in_busy).is_some_and(|task| tasks.has_failed(task))
    }

    /// Other bytes stand in front than those that the first pull has searched.
    pub(crate) fn look_again(&mut self) {
        if let Some(first) = self.busy.as_mut().and_then(|busy| busy.first.as_mut()) {
            first.want.look_again();
        }
    }

    /// Gives memory back where nothing is in it.
    #[inline]
    fn rest(&mut self, tasks: &Tasks) {
        if let Some(mut busy) = self.busy.take_if(|busy| busy.is_idle()) {
            busy.fed = None;
            tasks.put_busy(busy);
        }
    }

    /// A task is to end that may still be prevented; it ends in any case.
    pub(crate) fn cancel(&mut self, serial: u64, who: Who, room: &Room) {
        let (tasks, cancelled) = (&room.requests.tasks, Ended::Failed(Reason::Cancelled));
        if self.first == serial {
            if self.is_pulled(tasks) {
                self.end_first(who, room, cancelled);
            } else if self.is_first_over(tasks) {
                self.advance(tasks);
            }
            return;
        }
        let Some(busy) = &mut self.busy else { return };
        if let Some(index) = busy.pulls.iter().position(|pull| pull.serial == serial) {
            if let Some(pull) = busy.pulls.remove(index) {
                tasks.end(who.peer(), pull.waiter, cancelled);
            }
            return;
        }
        let waiting = busy.pushes.iter().skip(busy.poured).position(|own| own.serial == serial);
        if let Some(push) = waiting.and_then(|index| busy.pushes.remove(busy.poured + index)) {
            busy.waiting_bytes -= push.cost();
            tasks.end(who.peer(), push.waiter, cancelled);
        }
    }

    pub(super) fn bytes_held(&self) -> usize {
        self.busy.as_ref().map_or(0, |busy| busy.waiting_bytes + busy.bulk.len())
    }
}

impl Busy {
    /// Whether the first pull waits for bytes.
    fn is_pulled(&self, tasks: &Tasks) -> bool {
        match self.waiter() {
            Some(Waiter::Held(task)) => tasks.is_pending(*task),
            Some(waiter) => tasks.is_wanted(waiter),
            None => false,
        }
    }

    /// Whether somebody waits for the end of what is being sent.
    fn awaits_sent(&self) -> bool {
        !self.pushes.is_empty() || self.fed.as_ref().is_some_and(|fed| fed.is_waited_for())
    }

    fn is_idle(&self) -> bool {
        self.first.is_none()
            && self.pulls.is_empty()
            && self.pushes.is_empty()
            && self.bulk.is_empty()
            && self.closing.is_empty()
            && self.shutting.is_empty()
            && self.watching.is_empty()
            && self.fed.as_ref().is_none_or(|fed| fed.is_over())
            && self.reason.is_none()
    }
}

#[expect(clippy::cast_possible_truncation, reason = "136 years")]
const fn seconds(ms: u64) -> u32 {
    ms.div_ceil(1000) as u32
}
