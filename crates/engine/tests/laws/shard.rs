//! A shard for the laws: an engine whose every completion is checked against laws 1 and 2.
//! It never waits for long: whoever loops spends patience.

use std::collections::HashMap;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use springtide_engine::{
    Address, Chunk, Completion, Descriptor, Engine, EngineOptions, Handle, Key, ListenOptions, Op,
    OpKind, Outcome, Piece,
};

use crate::stage::Stage;

/// How long any one thing may take, in real time.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long a turn waits at most.
const TURN: Duration = Duration::from_millis(5);

/// The token of accepts made here.
pub(crate) const ACCEPT: u64 = u64::MAX - 1;

/// Bounds a loop in real time, so that a law that does not hold fails instead of hanging.
pub(crate) struct Patience {
    end: Instant,
    what: &'static str,
}

impl Patience {
    pub(crate) fn until(what: &'static str) -> Self {
        Self { end: Instant::now() + PATIENCE, what }
    }

    pub(crate) fn spend(&self) {
        assert!(Instant::now() < self.end, "it never came to this: {}", self.what);
    }
}

/// Ends the process loudly when a wait without a deadline does not end; harmless once dropped.
pub(crate) struct Watchdog {
    _alive: mpsc::Sender<()>,
}

impl Watchdog {
    pub(crate) fn over(what: &'static str) -> Self {
        let (alive, gone) = mpsc::channel::<()>();
        std::thread::spawn(move || {
            if gone.recv_timeout(PATIENCE) == Err(mpsc::RecvTimeoutError::Timeout) {
                eprintln!("it never came to this: {what}");
                std::process::abort();
            }
        });
        Self { _alive: alive }
    }
}

/// A listener with its accept.
pub(crate) struct Port {
    pub(crate) listener: Descriptor,
    pub(crate) address: Address,
    pub(crate) accept: Key,
}

pub(crate) struct Shard {
    pub(crate) engine: Engine,
    live: HashMap<Key, u64>,
    /// Came while something else was waited for.
    stash: Vec<Completion>,
    pub(crate) turns: usize,
}

impl Shard {
    pub(crate) fn new<S: Stage>(stage: &S) -> Self {
        Self::with(stage, &EngineOptions::default())
    }

    pub(crate) fn with<S: Stage>(stage: &S, options: &EngineOptions) -> Self {
        Self::over(stage.engine(options))
    }

    pub(crate) fn over(engine: Engine) -> Self {
        Self { engine, live: HashMap::new(), stash: Vec::new(), turns: 0 }
    }

    pub(crate) fn submit(&mut self, op: Op, token: u64) -> Key {
        let key = self.engine.submit(op, token);
        if key != Key::NONE {
            assert!(self.live.insert(key, token).is_none(), "a key names one operation");
        }
        key
    }

    pub(crate) fn cancel(&mut self, key: Key) {
        self.engine.cancel(key);
    }

    pub(crate) fn in_flight(&self) -> usize {
        self.live.len()
    }

    pub(crate) fn receive(&mut self, socket: Descriptor, token: u64) -> Key {
        self.submit(Op::Receive { socket }, token)
    }

    pub(crate) fn send(&mut self, socket: Descriptor, bytes: Vec<u8>, token: u64) -> Key {
        self.submit(Op::Send { socket, pieces: vec![Piece::Owned(bytes)] }, token)
    }

    /// A send whose good end nobody waits for.
    pub(crate) fn send_quietly(&mut self, socket: Descriptor, bytes: &[u8], token: u64) -> Key {
        let op = Op::Send { socket, pieces: vec![Piece::Owned(bytes.to_vec())] };
        let key = self.engine.submit_quiet(op, token);
        self.live.insert(key, token);
        key
    }

    pub(crate) fn close(&mut self, descriptor: Descriptor, token: u64) -> Key {
        self.submit(Op::Close { descriptor }, token)
    }

    /// One turn of at most a few milliseconds.
    pub(crate) fn turn(&mut self) -> Vec<Completion> {
        let soon = self.engine.now() + TURN;
        let mut fresh = Vec::new();
        self.engine.turn(Some(soon), &mut fresh).unwrap();
        self.turns += 1;
        self.check(&fresh);
        let mut all = std::mem::take(&mut self.stash);
        all.append(&mut fresh);
        all
    }

    /// The same, and whether it took all its time: nothing has cut its wait short.
    pub(crate) fn turn_to_its_end(&mut self) -> (Vec<Completion>, bool) {
        let soon = self.engine.now() + TURN;
        let came = self.turn();
        (came, self.engine.now() >= soon)
    }

    /// A turn whose completions the next one gives.
    pub(crate) fn turn_on(&mut self) {
        let came = self.turn();
        self.stash = came;
    }

    /// Law 1 for what a turn gave.
    pub(crate) fn check(&mut self, fresh: &[Completion]) {
        for completion in fresh {
            let Completion { key, token, more, .. } = completion;
            if *key == Key::NONE {
                assert!(!more, "what was never entered ends at once");
                continue;
            }
            let known = if *more { self.live.get(key).copied() } else { self.live.remove(key) };
            assert_eq!(known, Some(*token), "a completion of a live operation: {completion:?}");
        }
    }

    /// Turns until `wanted` has taken its completion; others wait for the next `turn`.
    pub(crate) fn wait<T>(
        &mut self,
        what: &'static str,
        mut wanted: impl FnMut(&Completion) -> Option<T>,
    ) -> T {
        let patience = Patience::until(what);
        let mut others = Vec::new();
        loop {
            let mut found = None;
            for completion in self.turn() {
                match found.is_none().then(|| wanted(&completion)).flatten() {
                    Some(value) => found = Some(value),
                    None => others.push(completion),
                }
            }
            if let Some(found) = found {
                self.stash = others;
                return found;
            }
            patience.spend();
        }
    }

    /// Turns until the last completion of an operation; gives it.
    pub(crate) fn last(&mut self, key: Key) -> Outcome {
        let patience = Patience::until("the last completion of an operation");
        let mut others = Vec::new();
        loop {
            let mut found = None;
            for completion in self.turn() {
                if completion.key == key && !completion.more {
                    found = Some(completion.outcome);
                } else {
                    others.push(completion);
                }
            }
            if let Some(found) = found {
                self.stash = others;
                return found;
            }
            patience.spend();
        }
    }

    pub(crate) fn listen(&mut self) -> Port {
        self.listen_at(&Address::Internet(([127, 0, 0, 1], 0).into()), false)
    }

    pub(crate) fn listen_at(&mut self, address: &Address, joining: bool) -> Port {
        let options =
            ListenOptions { address, backlog: 4096, joining, keepalive: None, mode: None };
        let listener = self.engine.listen(&options).unwrap();
        let address = self.engine.local_address(listener).unwrap();
        let accept = self.submit(Op::Accept { listener }, ACCEPT);
        Port { listener, address, accept }
    }

    /// A connection: this end's socket and the outside end.
    pub(crate) fn meet<S: Stage>(&mut self, stage: &S, port: &Port) -> (Descriptor, S::Outside) {
        let outside = stage.connect(&port.address);
        let accept = port.accept;
        let socket = self.wait("an accepted connection", |completion| {
            (completion.key == accept).then_some(())?;
            accepted(completion)
        });
        (socket, outside)
    }

    /// Ends everything; what came on the way.
    pub(crate) fn quiesce(&mut self) -> Vec<Completion> {
        let mut fresh = Vec::new();
        self.engine.quiesce(&mut fresh).unwrap();
        self.check(&fresh);
        assert_eq!(self.live.len(), 0, "every operation has completed");
        let mut all = std::mem::take(&mut self.stash);
        all.append(&mut fresh);
        all
    }
}

pub(crate) fn accepted(completion: &Completion) -> Option<Descriptor> {
    if let Outcome::Accepted(socket) = completion.outcome { Some(socket) } else { None }
}

pub(crate) fn received(completion: &Completion) -> Option<&Chunk> {
    if let Outcome::Received(chunk) = &completion.outcome { Some(chunk) } else { None }
}

/// Fails unless an operation ended as cancelled.
#[track_caller]
pub(crate) fn assert_cancelled(outcome: &Outcome, kind: OpKind) {
    let cancelled = matches!(outcome, Outcome::Failed(springtide_engine::Error::Cancelled, _));
    assert!(cancelled, "{kind:?} ended as {outcome:?}");
}

/// Bytes of a stream that tell where they stand in it.
pub(crate) fn pattern(from: usize, count: usize) -> Vec<u8> {
    (from..from + count).map(pattern_at).collect()
}

pub(crate) fn pattern_at(index: usize) -> u8 {
    let mixed = index.wrapping_mul(0x9E37_79B9).wrapping_add(index >> 8);
    mixed.to_le_bytes()[1]
}

/// Fails unless `bytes` are those of the pattern at `from`.
#[track_caller]
pub(crate) fn assert_pattern(from: usize, bytes: &[u8]) {
    let wrong = bytes.iter().zip(from..).position(|(byte, index)| *byte != pattern_at(index));
    assert_eq!(wrong, None, "the stream is wrong behind byte {from}");
}

/// A small generator for tests.
pub(crate) struct Random(pub u64);

impl Random {
    pub(crate) fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 16).unwrap() % end
    }
}
