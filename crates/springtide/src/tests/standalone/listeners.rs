//! Listeners of the application's own, over every backend: who gets which connection, what becomes of those
//! that nobody takes, and how a listener ends.

use std::pin::Pin;
use std::sync::{Arc, Mutex, mpsc};
use std::task::{Context, Wake, Waker};
use std::time::Duration;

use springtide_engine::simulated::{Fault, Faults};
use springtide_engine::{Address, Mechanism};

use super::{outcome, read};
use crate::standalone::Background;
use crate::tests::{Backend, Peer as Outside, Stage, over_all_backends, over_simulated_backends};
use crate::{
    Accept, Client, Elsewhere, Failure, Limits, Listener, Peer, Reason, Server, Status, Task, Wait,
};

/// A stage whose shard has a listener, which the test holds.
struct Harbour {
    stage: Stage,
    listener: Option<Listener>,
}

impl Harbour {
    fn new(backend: Backend) -> Self {
        Self::within(backend, Limits::default())
    }

    fn within(backend: Backend, limits: Limits) -> Self {
        let (sender, listeners) = mpsc::channel();
        let bind = move |_: Peer| sender.send(Listener::bind("127.0.0.1:0").unwrap()).unwrap();
        let mut stage = Stage::new(backend, Server::new().raw(bind).limits(limits));
        drop(stage.connect());
        let listener = Some(stage.until(|_| listeners.try_recv().ok()));
        Self { stage, listener }
    }

    fn listener(&self) -> &Listener {
        self.listener.as_ref().unwrap()
    }

    fn accept(&self) -> Task<Accept, Elsewhere> {
        self.listener().accept()
    }

    /// Somebody comes and says a name.
    fn arrive(&mut self, name: &str) -> Outside {
        let mut outside = self.stage.connect_to(self.listener().address());
        self.stage.until(|_| (outside.write(name.as_bytes()) > 0).then_some(()));
        outside
    }

    /// The name that a connection says, which comes to a task.
    fn name(&mut self, task: &Task<Accept, Elsewhere>) -> String {
        let client = outcome(&mut self.stage, task).unwrap();
        let said = client.read_exact(1);
        read(&mut self.stage, &said).unwrap()
    }

    fn turns(&mut self, count: usize) {
        (0..count).for_each(|_| self.stage.turn());
    }
}

/// Who asked first is given what came first, whether it came before or behind the question.
fn connections_are_given_in_the_order_of_asking(backend: Backend) {
    let mut harbour = Harbour::new(backend);
    let tasks = [(); 3].map(|()| harbour.accept());
    let _outside = ["a", "b", "c", "d", "e"].map(|name| harbour.arrive(name));
    for (task, name) in tasks.iter().zip(["a", "b", "c"]) {
        assert_eq!(harbour.name(task), name);
    }
    harbour.turns(20);
    for name in ["d", "e"] {
        let task = harbour.accept();
        assert_eq!(harbour.name(&task), name);
    }
}

/// Law 7: whoever is dropped, cancelled or detached takes no connection away, however far it was.
fn what_nobody_takes_is_kept(backend: Backend) {
    let mut harbour = Harbour::new(backend);
    let listen_on = harbour.accept();
    listen_on.cancel();
    assert_eq!(
        outcome(&mut harbour.stage, &listen_on).err(),
        Some(Wait::Failed(Reason::Cancelled))
    );
    for turns in 0..8 {
        let dropped = harbour.accept();
        let _outside = harbour.arrive("a");
        harbour.turns(turns);
        drop(dropped);
        let task = harbour.accept();
        assert_eq!(harbour.name(&task), "a", "behind {turns} turns");
    }
    let (given, cancelled) = (harbour.accept(), harbour.accept());
    let _outside = ["a", "b"].map(|name| harbour.arrive(name));
    harbour.stage.until(|_| (cancelled.status() != Status::Pending).then_some(()));
    cancelled.cancel();
    drop((given, cancelled));
    harbour.turns(20);
    harbour.accept().detach();
    harbour.turns(20);
    let tasks = [(); 2].map(|()| harbour.accept());
    let mut names = tasks.each_ref().map(|task| harbour.name(task));
    names.sort();
    assert_eq!(names, ["a", "b"]);
}

/// Callbacks run on the shard, with the connection as that has it.
fn callbacks_are_given_connections(backend: Backend) {
    let mut harbour = Harbour::new(backend);
    let (sender, names) = mpsc::channel();
    harbour.accept().then(move |peer, client: Client| {
        assert_eq!(peer.id(), client.id());
        peer.pull_exact(1).then(move |peer, name| {
            peer.push("welcome").detach();
            sender.send((name, client)).unwrap();
        });
    });
    let mut outside = harbour.arrive("a");
    let (name, client) = harbour.stage.until(|_| names.try_recv().ok());
    assert_eq!(name, "a");
    assert_eq!(harbour.stage.talk(&mut outside, b"", 7), b"welcome");
    drop(client);
    assert_eq!(harbour.stage.talk_to_end(&mut outside, b""), "", "the last handle closes it");
}

/// Futures of the shard await what comes.
fn futures_accept(backend: Backend) {
    let server = Server::new().raw_async(async |peer: Peer| {
        let listener = Listener::bind("127.0.0.1:0")?;
        let client = Client::connect(listener.address());
        let (there, here) = (listener.accept().await?, client.await?);
        there.write("tide").await?;
        let said = here.read_exact(4).await?.unwrap_or_default();
        peer.push(said).await?;
        Ok::<_, Failure>(())
    });
    let mut stage = Stage::new(backend, server);
    let mut peer = stage.connect();
    assert_eq!(stage.talk_to_end(&mut peer, b""), "tide");
    stage.until(|stage| (stage.at_desk()[0] == 0).then_some(()));
}

/// So many are accepted and kept, and more wait with the system: none is lost.
fn what_waits_is_bounded(backend: Backend) {
    let limits = Limits { accepted_waiting_max: 2, ..Limits::default() };
    let mut harbour = Harbour::within(backend, limits);
    let first = harbour.accept();
    let _outside = [(); 12].map(|()| harbour.arrive("a"));
    assert_eq!(harbour.name(&first), "a");
    harbour.turns(20);
    assert!(harbour.stage.met("accepted_waiting_max") > 0);
    for _ in 0..11 {
        let task = harbour.accept();
        assert_eq!(harbour.name(&task), "a");
    }
}

/// Whoever waits is told, and what nobody has taken ends.
fn a_listener_ends_with_its_handle(backend: Backend) {
    let mut harbour = Harbour::new(backend);
    let first = harbour.accept();
    let mut outside = ["a", "b"].map(|name| harbour.arrive(name));
    assert_eq!(harbour.name(&first), "a");
    harbour.turns(20);
    let address = harbour.listener().address().clone();
    let waiting = [(); 3].map(|()| harbour.accept());
    harbour.stage.until(|_| (waiting[0].status() != Status::Pending).then_some(()));
    harbour.listener = None;
    for task in &waiting[1..] {
        let ended = outcome(&mut harbour.stage, task).err();
        assert_eq!(ended, Some(Wait::Failed(Reason::Closed)));
    }
    drop(waiting);
    harbour.stage.until(|stage| {
        stage.turn();
        outside
            .iter_mut()
            .all(|outside| {
                outside.read(&mut Vec::new());
                outside.is_ended()
            })
            .then_some(())
    });
    // What was armed on it holds it a moment longer.
    let connector = Client::connector().on(harbour.stage.link()).address(address);
    let refused = Some(Wait::Failed(Reason::Refused));
    while outcome(&mut harbour.stage, &connector.connect()).err() != refused {}
}

/// The shard's end is the listener's.
fn a_shard_that_stops_accepts_no_more(backend: Backend) {
    let mut harbour = Harbour::new(backend);
    let given = harbour.accept();
    let _outside = ["a", "b", "c"].map(|name| harbour.arrive(name));
    assert_eq!(harbour.name(&given), "a");
    harbour.turns(20);
    let waiting = [(); 3].map(|()| harbour.accept());
    harbour.stage.until(|_| (waiting[1].status() != Status::Pending).then_some(()));
    harbour.stage.turns_to_end();
    let ended = waiting[2].wait_for(Duration::ZERO).err();
    assert_eq!(ended, Some(Wait::Failed(Reason::Stopped)));
    let Harbour { stage, listener } = harbour;
    drop((waiting, stage));
    let late = listener.unwrap().accept().wait_for(Duration::ZERO).err();
    assert_eq!(late, Some(Wait::Failed(Reason::Stale)));
}

/// Code that still runs while its shard stops listens at nothing: its accept would hold up the end.
fn nobody_listens_on_a_shard_that_stops(backend: Backend) {
    let (sender, bound) = mpsc::channel();
    let closed = move |_: Peer, _: Reason| {
        let listener = Listener::bind("127.0.0.1:0").map(|listener| {
            listener.accept().detach();
            // As somebody has it who lives longer than the shard.
            std::mem::forget(listener);
        });
        sender.send(listener.err()).unwrap();
    };
    let server = Server::new().raw(|peer| peer.push("ready").detach()).closed(closed);
    let mut stage = Stage::new(backend, server);
    let mut peer = stage.connect();
    assert_eq!(stage.talk(&mut peer, b"", 5), b"ready");
    stage.turns_to_end();
    assert_eq!(bound.try_recv(), Ok(Some(Reason::Stopped)));
}

/// Binds a listener when it is woken, as code does that waits in ways of its own.
struct Binding(Mutex<mpsc::Sender<Option<Reason>>>);

impl Wake for Binding {
    fn wake(self: Arc<Self>) {
        let bound = Listener::bind("127.0.0.1:0");
        self.0.lock().unwrap().send(bound.err()).unwrap();
    }
}

/// Who is told of a cancelled accept finds nothing held there.
fn who_is_told_may_bind(backend: Backend) {
    let mut harbour = Harbour::new(backend);
    let (sender, bound) = mpsc::channel();
    let mut accept = harbour.accept();
    let waker = Waker::from(Arc::new(Binding(Mutex::new(sender))));
    assert!(Pin::new(&mut accept).poll(&mut Context::from_waker(&waker)).is_pending());
    harbour.turns(20);
    accept.cancel();
    let ended = harbour.stage.until(|_| bound.try_recv().ok());
    assert_eq!(ended, None);
}

/// No shard waits for names: what the system would have to be asked for is no address there.
fn names_are_not_asked_for_on_a_shard(backend: Backend) {
    let (sender, bound) = mpsc::channel();
    let bind = move |_: Peer| {
        let texts = ["127.1:0", "harbour.invalid:0", "localhost:0", "127.0.0.1:0", "localhost:x"];
        sender.send(texts.map(|text| Listener::bind(text).err())).unwrap();
    };
    let mut stage = Stage::new(backend, Server::new().raw(bind));
    drop(stage.connect());
    let wrong = Some(Reason::Address);
    assert_eq!(stage.until(|_| bound.try_recv().ok()), [wrong, wrong, None, None, wrong]);
}

over_all_backends!(
    connections_are_given_in_the_order_of_asking,
    what_nobody_takes_is_kept,
    callbacks_are_given_connections,
    futures_accept,
    what_waits_is_bounded,
    a_listener_ends_with_its_handle,
    a_shard_that_stops_accepts_no_more,
    nobody_listens_on_a_shard_that_stops,
    who_is_told_may_bind,
    names_are_not_asked_for_on_a_shard,
);

/// What was given back and has ended while it waited is given to nobody.
fn what_has_ended_is_given_to_nobody(backend: Backend) {
    let limits = Limits { raw_idle_timeout_ms: 5_000, ..Limits::default() };
    let mut harbour = Harbour::within(backend, limits);
    let given = harbour.accept();
    let _outside = harbour.arrive("a");
    harbour.stage.until(|_| (given.status() != Status::Pending).then_some(()));
    drop(given);
    harbour.turns(20);
    harbour.stage.until(|stage| {
        stage.advance(Duration::from_secs(6));
        stage.peers().is_empty().then_some(())
    });
    let task = harbour.accept();
    let _outside = harbour.arrive("b");
    assert_eq!(harbour.name(&task), "b");
}

/// Spent descriptors delay who waits, and fail nobody.
fn spent_descriptors_are_waited_for(backend: Backend) {
    let mut harbour = Harbour::new(backend);
    let task = harbour.accept();
    harbour.stage.set_faults(Faults::default().with(Fault::NoDescriptors, 1.0));
    let _outside = harbour.arrive("a");
    for _ in 0..5 {
        harbour.stage.advance(Duration::from_millis(300));
        assert_eq!(task.status(), Status::Pending);
    }
    harbour.stage.set_faults(Faults::default());
    harbour.stage.advance(Duration::from_millis(300));
    assert_eq!(harbour.name(&task), "a");
}

mod late {
    use super::{
        over_simulated_backends, spent_descriptors_are_waited_for,
        what_has_ended_is_given_to_nobody,
    };
    over_simulated_backends!(spent_descriptors_are_waited_for, what_has_ended_is_given_to_nobody);
}

/// Any thread accepts from a listener in the background, which ends with the last handle.
#[test]
fn any_thread_accepts() {
    for mechanism in [Mechanism::Uring, Mechanism::Epoll, Mechanism::Poll] {
        let background = Background::start(Some(mechanism)).unwrap();
        let hatch = background.link().hatch.clone();
        let path = std::env::temp_dir()
            .join(format!("springtide-{}-{mechanism:?}-accept.sock", std::process::id()));
        for address in [Address::Internet(([127, 0, 0, 1], 0).into()), Address::unix(&path)] {
            let listener = Listener::bind_on(background.link(), &address).unwrap();
            let connector = Client::connector().on(background.link());
            let ships = (0..20).map(|_| connector.clone().address(listener.address()).connect());
            let ships: Vec<_> = ships.collect();
            let harbours = [(); 20].map(|()| listener.accept());
            std::thread::scope(|scope| {
                for harbour in harbours {
                    scope.spawn(|| harbour.wait().unwrap().write("tide").wait().unwrap());
                }
                for ship in ships {
                    let said = ship.wait().unwrap().read_exact(4).wait().unwrap();
                    assert_eq!(said.as_deref(), Some(&b"tide"[..]));
                }
            });
            // Whoever finds out whether a path is busy connects to it.
            let busy = Listener::bind_on(background.link(), listener.address());
            assert!(matches!(busy, Err(Reason::System(error)) if error.is_busy_address()));
        }
        assert!(!path.exists(), "its file goes with a listener");
        drop(background);
        while !hatch.has_ended() {
            std::thread::yield_now();
        }
    }
}

#[test]
fn only_addresses_are_listened_at() {
    for text in ["", "here", "127.0.0.1", "127.0.0.1:65536"] {
        assert_eq!(Listener::bind(text).err(), Some(Reason::Address), "{text}");
    }
    // What only the system knows is asked for where nobody's shard waits.
    assert!(Listener::bind("127.1:0").is_ok());
}
