//! Connections that come to listeners of the application: accepted while somebody asks, and given to who
//! asked first.
//! None that the system has delivered is lost: what nobody takes waits for the next who asks.

use std::time::Duration;

use springtide_engine::{Completion, Error, Op, Outcome};

use super::{CLOSE_TOKEN, Shard};
use crate::limits::place_of;
use crate::peer::{Peer, Reason};
use crate::standalone::{Came, Lobby, LobbyAsk, Waiting};
use crate::table::PLACE_BITS;
use crate::task::{Ended, Stands, Waiter};

/// Tokens of accepts, and of the timeouts behind which they are tried again.
pub(super) const LOBBY_TOKEN: u64 = 15 << PLACE_BITS;
/// How long accepting pauses when descriptors are spent.
const PAUSE: Duration = Duration::from_millis(100);

impl Shard {
    /// What was asked of a listener.
    pub(super) fn obey_listener(
        &mut self,
        number: u64,
        ask: LobbyAsk,
        serial: u64,
        waiter: Waiter,
    ) {
        let (shared, is_stopping) = (&self.room.requests, self.standing.stopping.is_some());
        match (ask, shared.lobbies.find(number)) {
            (LobbyAsk::Open(socket), _) if !is_stopping => {
                // Where it cannot be taken over, who asks finds no listener.
                let adopted = shared.engine.borrow_mut().adopt(socket);
                if let Ok(listener) = adopted {
                    shared.lobbies.open(number, listener);
                }
            }
            (LobbyAsk::Accept, Some(mut own)) if !is_stopping => {
                own.waiting.push_back(Waiting { serial, waiter });
            }
            (LobbyAsk::Accept, own) => {
                drop(own);
                let reason = if is_stopping { Reason::Stopped } else { Reason::Stale };
                Waiting { serial, waiter }.fail(reason, &shared.tasks);
            }
            (LobbyAsk::TakeBack(id, place), Some(mut own)) => {
                own.came.push_front(Came::GivenBack(Peer::new(id, place)));
            }
            (LobbyAsk::TakeBack(id, place), None) => shared.tasks.close(Peer::new(id, place)),
            (LobbyAsk::Close, Some(own)) => {
                drop(own);
                self.close_lobby(number, Reason::Closed);
            }
            (LobbyAsk::Open(_) | LobbyAsk::Close, _) => {}
        }
        self.serve_lobby(number);
    }

    /// Gives what has come to who waits for it, and accepts more where that is not enough.
    fn serve_lobby(&mut self, number: u64) {
        while let Some((asked, came)) = self.next_pair(number) {
            let peer = match came {
                Came::Accepted(socket) => {
                    self.room.requests.desk.enter();
                    self.open_outgoing(socket)
                }
                Came::GivenBack(peer) => self.room.requests.tasks.places.find(peer),
            };
            let ended = Ended::Connected(Stands(peer.id(), peer.place(), Some(number)));
            self.room.requests.tasks.end(peer, asked.waiter, ended);
        }
        if let Some(mut own) = self.room.requests.lobbies.find(number) {
            self.accept_on(&mut own, number);
        }
    }

    fn next_pair(&self, number: u64) -> Option<(Waiting, Came)> {
        let shared = &self.room.requests;
        shared.lobbies.find(number).and_then(|mut own| own.pair(&shared.tasks))
    }

    /// Accepts while somebody waits, unless that is done already.
    fn accept_on(&self, own: &mut Lobby, number: u64) {
        if own.accept.is_none() && !own.waiting.is_empty() {
            let op = Op::Accept { listener: own.listener };
            own.accept = Some(self.room.submit(op, LOBBY_TOKEN | number));
        }
    }

    /// Somebody has come, or nobody can for the present.
    pub(super) fn lobby_completed(&mut self, completion: Completion) {
        let number = completion.token & !LOBBY_TOKEN;
        let outcome = self.absorb_accepted(completion);
        if let Some(mut own) = self.room.requests.lobbies.find(number) {
            match outcome {
                Some(Outcome::Failed(error, _))
                    if error.is_exhausted() || matches!(error, Error::Limit(_)) =>
                {
                    let at = self.room.requests.engine.borrow().now() + PAUSE;
                    let timeout = self.room.submit(Op::Timeout { at }, LOBBY_TOKEN | number);
                    own.accept = Some(timeout);
                }
                Some(Outcome::Failed(error, _)) if error != Error::Cancelled => {
                    let waiting = std::mem::take(&mut own.waiting);
                    drop(own);
                    for asked in waiting {
                        asked.fail(Reason::of(error), &self.room.requests.tasks);
                    }
                }
                _ => {}
            }
        }
        self.serve_lobby(number);
    }

    /// Keeps what an accept has brought, also while the shard is being frozen; any other outcome is its
    /// end.
    pub(super) fn absorb_accepted(&self, completion: Completion) -> Option<Outcome> {
        let number = completion.token & !LOBBY_TOKEN;
        let shared = &self.room.requests;
        let Some(mut own) = shared.lobbies.find(number) else {
            if let Outcome::Accepted(descriptor) = completion.outcome {
                self.room.submit(Op::Close { descriptor }, CLOSE_TOKEN);
            }
            return None;
        };
        match completion.outcome {
            Outcome::Accepted(socket) => {
                own.came.push_back(Came::Accepted(socket));
                if own.came.len() >= self.room.limits.accepted_waiting_max
                    && let Some(accept) = own.accept
                {
                    self.room.met.count(const { place_of("accepted_waiting_max") });
                    shared.engine.borrow_mut().cancel(accept);
                }
                None
            }
            outcome => {
                own.accept.take_if(|own| *own == completion.key);
                Some(outcome)
            }
        }
    }

    /// Everything in flight was ended by a freeze: it begins again.
    pub(super) fn lobbies_again(&mut self) {
        for number in self.room.requests.lobbies.numbers() {
            if let Some(mut own) = self.room.requests.lobbies.find(number) {
                own.accept = None;
            }
            self.serve_lobby(number);
        }
    }

    /// The shard stops: nobody is accepted any more.
    pub(super) fn close_lobbies(&self) {
        for number in self.room.requests.lobbies.numbers() {
            self.close_lobby(number, Reason::Stopped);
        }
    }

    fn close_lobby(&self, number: u64, reason: Reason) {
        let shared = &self.room.requests;
        let Some(Lobby { listener, accept, came, waiting }) = shared.lobbies.close(number) else {
            return;
        };
        for asked in waiting {
            asked.fail(reason, &shared.tasks);
        }
        if let Some(accept) = accept {
            shared.engine.borrow_mut().cancel(accept);
        }
        for came in came {
            match came {
                Came::Accepted(descriptor) => {
                    self.room.submit(Op::Close { descriptor }, CLOSE_TOKEN);
                }
                Came::GivenBack(peer) => shared.tasks.close(peer),
            }
        }
        self.room.submit(Op::Close { descriptor: listener }, CLOSE_TOKEN);
    }
}
