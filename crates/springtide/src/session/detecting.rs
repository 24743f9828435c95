//! What comes before a session where a port has HTTP and another protocol: the first bytes decide.
//! It takes none of them: who has the connection then reads them as they came.

use springtide_proto::Outbox;
use springtide_proto::detect::Decision;

use super::http1::Http1;
use super::peered::Peered;
use super::{Framed, Other, Session, Source, Step, Who};
use crate::limits::place_of;
use crate::peer::PeerStatus;
use crate::room::Room;
use crate::task::Ready;

/// A connection of which it is not known what is spoken on it.
#[derive(Debug)]
pub(crate) struct Detecting {
    since_ms: u64,
    /// It has said something.
    is_heard: bool,
    /// Nothing more comes: what it has said is all.
    is_at_end: bool,
    /// Nothing is awaited any more.
    is_over: bool,
}

impl Detecting {
    pub(crate) const fn new(now_ms: u64) -> Self {
        Self { since_ms: now_ms, is_heard: false, is_at_end: false, is_over: false }
    }

    /// What is spoken; else how far this came.
    fn receive(&mut self, bytes: &[u8], room: &Room) -> Result<Decision, Step> {
        if self.is_over {
            return Err(Step::Closed);
        }
        self.is_heard |= !bytes.is_empty();
        match room.requests.router.detection.detector.decide(bytes) {
            // A request would be longer.
            Decision::NeedBytes if self.is_at_end && self.is_heard => Ok(Decision::Other),
            Decision::NeedBytes => Err(Step::NeedBytes),
            decision => Ok(decision),
        }
    }

    /// The peer has ended its stream: who has said nothing is asked nothing.
    pub(super) const fn end_of_stream(&mut self, unread: usize) {
        self.is_at_end = true;
        self.is_over |= unread == 0;
    }

    /// Whether what it has said is to be looked at once more.
    pub(crate) const fn looks_again(&self) -> bool {
        self.is_at_end && !self.is_over
    }

    /// Nothing has begun that could be finished.
    pub(super) const fn drain(&mut self) {
        self.is_over = true;
    }

    pub(super) const fn wants_close(&self) -> bool {
        self.is_over
    }

    /// The first bytes have as much time as the head of a request; who is silent may be greeted before.
    pub(super) fn next_deadline_ms(&self, room: &Room) -> Option<u64> {
        let timeout_ms = room.limits.http1.head_timeout_ms;
        let silence_ms = room.requests.router.detection.silence_ms.filter(|_| !self.is_heard);
        let wait_ms = silence_ms.map_or(timeout_ms, |silence_ms| silence_ms.min(timeout_ms));
        (!self.is_over).then(|| self.since_ms.saturating_add(wait_ms))
    }

    /// Whether the other protocol begins, because its server is to speak first.
    fn is_silent(&self, room: &Room) -> bool {
        let is_greeted = room.requests.router.detection.silence_ms.is_some() && !self.is_heard;
        is_greeted && self.is_late(room)
    }

    fn is_late(&self, room: &Room) -> bool {
        self.next_deadline_ms(room).is_some_and(|at_ms| at_ms <= room.now_ms)
    }

    pub(super) fn on_deadline(&mut self, room: &mut Room) {
        if self.is_late(room) {
            room.counts.deadlines_total += 1;
            room.met.count(const { place_of("head_timeout_ms") });
            self.is_over = true;
        }
    }
}

impl Session {
    /// Looks what is spoken, and hands the bytes on as they came.
    pub(super) fn receive_first(
        &mut self,
        source: &Source<'_>,
        who: Who,
        outbox: &mut Outbox,
        room: &mut Room,
    ) -> (usize, Step) {
        let Self::Other(Other::Detecting(session)) = self else { return (0, Step::Closed) };
        match session.receive(source.bytes(), room) {
            Ok(decision) => {
                self.begin_as(decision, who, room);
                self.receive(source, who, outbox, room)
            }
            Err(step) => (0, step),
        }
    }

    /// It is known what is spoken.
    fn begin_as(&mut self, decision: Decision, who: Who, room: &Room) {
        *self = match decision {
            Decision::Http => Self::Http1(Http1::new(room)),
            _ if room.requests.router.framed.is_some() => {
                Self::Other(Other::Framed(Box::new(Framed::new(room))))
            }
            _ => Self::Other(Other::Peered(Peered::new(room))),
        };
        room.met.counts().begin(self.spoken());
        if room.has_events {
            room.tell_accepted(who, self.spoken());
        }
        self.introduce(who, room);
    }

    /// Tells the application of a raw connection that was accepted.
    pub(crate) fn introduce(&self, who: Who, room: &Room) {
        if let Self::Other(Other::Peered(session)) = self
            && !session.is_outgoing()
        {
            let tasks = &room.requests.tasks;
            tasks.places.stand(who.peer(), PeerStatus::Open);
            tasks.tell(Ready::Intro(who.peer()));
        }
    }

    /// The other protocol begins where the peer has said nothing for a while, if it is to.
    pub(super) fn greet_the_silent(&mut self, who: Who, room: &Room) {
        if let Self::Other(Other::Detecting(session)) = self
            && session.is_silent(room)
        {
            self.begin_as(Decision::Other, who, room);
        }
    }
}
