//! Who may move a world's time on: nobody while an engine that takes turns has something to do.
//! An engine that takes no turns does not hold the clock.

use crate::wake::Waker;

/// What is known of one engine between its turns.
struct Seat {
    waker: Waker,
    turns: u64,
    /// The network's activity at its last turn, when that found nothing to do.
    idle_at: Option<u64>,
    /// When it will have something to do by itself.
    wanted: Option<u64>,
    /// The turns of all engines when this one last found nothing to do.
    turns_seen: Vec<u64>,
    gone: bool,
}

/// What a turn that found nothing to do does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Moves time on to this moment.
    Jump(u64),
    /// Comes back: others have something to do, or nobody ever has.
    Return,
}

/// All engines of a world.
#[derive(Default)]
pub(super) struct Schedule {
    seats: Vec<Seat>,
    pub(super) idle_turns: u64,
    /// Turns do not move time on: whoever drives the world does.
    pub(super) is_held: bool,
}

impl Schedule {
    /// Takes an engine in; gives its place.
    pub(super) fn enter(&mut self, waker: Waker) -> usize {
        let (idle_at, wanted) = (None, None);
        let seat = Seat { waker, turns: 0, idle_at, wanted, turns_seen: Vec::new(), gone: false };
        self.seats.push(seat);
        self.seats.len() - 1
    }

    pub(super) fn leave(&mut self, own: usize) {
        self.seats[own].gone = true;
    }

    /// A turn begins, or found something to do.
    pub(super) fn busy(&mut self, own: usize, turns: u64) {
        self.seats[own].turns += turns;
        self.seats[own].idle_at = None;
    }

    /// A turn found nothing to do before the moment `wanted`.
    pub(super) fn idle(
        &mut self,
        own: usize,
        wanted: Option<u64>,
        activity: u64,
        now: u64,
    ) -> Next {
        self.seats[own].idle_at = Some(activity);
        self.seats[own].wanted = wanted;
        if self.is_held {
            return Next::Return;
        }
        let turns: Vec<u64> = self.seats.iter().map(|seat| seat.turns).collect();
        let seen = std::mem::replace(&mut self.seats[own].turns_seen, turns);
        let mut target = wanted;
        for (index, seat) in self.seats.iter().enumerate() {
            let driven = !seat.gone && seen.get(index).copied() != Some(seat.turns);
            if index == own || !driven {
                continue;
            }
            let due = seat.wanted.is_some_and(|wanted| wanted <= now);
            let idle = seat.idle_at == Some(activity) && !due;
            if !idle || seat.waker.signal().is_notified() {
                return Next::Return;
            }
            target = target.into_iter().chain(seat.wanted).min();
        }
        match target {
            Some(target) => Next::Jump(target.max(now)),
            None => {
                self.idle_turns += 1;
                Next::Return
            }
        }
    }

    /// Whether no engine has anything to do now: each has taken a turn since the last change, and
    /// found nothing.
    pub(super) fn is_quiet(&self, activity: u64, now: u64) -> bool {
        self.seats.iter().filter(|seat| !seat.gone).all(|seat| {
            let is_due = seat.wanted.is_some_and(|wanted| wanted <= now);
            seat.idle_at == Some(activity) && !is_due && !seat.waker.signal().is_notified()
        })
    }

    /// When the first engine will have something to do by itself.
    pub(super) fn next_wanted(&self) -> Option<u64> {
        self.seats.iter().filter(|seat| !seat.gone).filter_map(|seat| seat.wanted).min()
    }
}
