//! Clients over every backend: what they say and hear on the shard that has them, how connections are
//! made for them, and how they end.
//! The shard is turned by the test's thread, which asks between turns.

mod background;
mod calls;
mod listeners;
mod names;
mod reconnect;
mod worlds;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use springtide_engine::{Address, OpKind};

use super::{Backend, Stage, over_all_backends};
use crate::{
    Client, Connector, Elsewhere, EngineError, Operation, Outgoing, Peer, PeerStatus, Pull, Reason,
    Server, Status, Task, Wait,
};

/// A stage whose server sends back what it receives, and tells how its connections ended.
struct Echo {
    stage: Stage,
    ends: Arc<Mutex<Vec<Reason>>>,
}

fn echo(peer: Peer) {
    peer.pull().then_result(|peer, bytes| match bytes {
        Ok(Some(bytes)) => peer.push(bytes).then(|peer, _| echo(peer)),
        Ok(None) => peer.close().detach(),
        Err(_) => {}
    });
}

impl Echo {
    fn new(backend: Backend) -> Self {
        Self::on(|server| Stage::new(backend, server))
    }

    fn on(stage: impl FnOnce(Server) -> Stage) -> Self {
        let ends = Arc::<Mutex<Vec<Reason>>>::default();
        let own = Arc::clone(&ends);
        let server =
            Server::new().raw(echo).closed(move |_, reason| own.lock().unwrap().push(reason));
        Self { stage: stage(server), ends }
    }

    /// Where the server listens.
    fn address(&self) -> String {
        self.stage.origin().replace("http://", "")
    }

    /// A connector on the stage's shard.
    fn connector(&mut self) -> Connector {
        Client::connector().on(self.stage.link())
    }

    fn client(&mut self) -> Client {
        let address = self.address();
        let task = self.connector().address(address).connect();
        outcome(&mut self.stage, &task).unwrap()
    }

    /// Turns until so many connections have ended.
    fn ends(&mut self, count: usize) -> Vec<Reason> {
        let ends = Arc::clone(&self.ends);
        self.stage.until(|_| {
            let ends = ends.lock().unwrap().clone();
            (ends.len() >= count).then_some(ends)
        })
    }
}

/// Turns until a task has ended, and takes what it gives.
fn outcome<O: Operation>(stage: &mut Stage, task: &Task<O, Elsewhere>) -> Result<O::Output, Wait> {
    stage.until(|_| (task.status() != Status::Pending).then_some(()));
    task.wait_for(Duration::ZERO)
}

fn read(stage: &mut Stage, task: &Task<Pull, Elsewhere>) -> Option<String> {
    let bytes = outcome(stage, task).unwrap();
    bytes.map(|bytes| String::from_utf8(bytes.to_vec()).unwrap())
}

/// Why there is no connection.
fn refusal(stage: &mut Stage, task: &Task<Outgoing, Elsewhere>) -> Reason {
    match outcome(stage, task) {
        Err(Wait::Failed(reason)) => reason,
        other => panic!("it fails: {other:?}"),
    }
}

/// What is written comes back, to reads in their order with what each wants; ends are told.
fn what_is_asked_is_done_in_order(backend: Backend) {
    let mut echo = Echo::new(backend);
    let client = echo.client();
    assert_eq!(client.status(), PeerStatus::Open);
    let reads = [client.read_exact(3), client.read_until("\n", 9), client.read_exact(2)];
    client.write("abcline").detach();
    let written = client.write("\nde");
    assert_eq!(outcome(&mut echo.stage, &written).unwrap(), "\nde");
    let got = reads.each_ref().map(|task| read(&mut echo.stage, task).unwrap());
    assert_eq!(got, ["abc", "line\n", "de"]);
    client.write("rest").detach();
    let shut = client.shutdown_write();
    assert_eq!(outcome(&mut echo.stage, &shut), Ok(()));
    let (rest, end) = (client.read_exact(4), client.read());
    assert_eq!(read(&mut echo.stage, &rest).as_deref(), Some("rest"));
    assert_eq!(read(&mut echo.stage, &end), None);
    echo.ends(2);
    assert_eq!(client.status(), PeerStatus::Closed);
    let late = client.write("late");
    assert_eq!(outcome(&mut echo.stage, &late), Err(Wait::Failed(Reason::Stale)));
}

/// A connection ends with the last handle, behind what was written, and not before: a clone and a task
/// are handles too.
fn the_last_handle_closes(backend: Backend) {
    let mut echo = Echo::new(backend);
    let client = echo.client();
    let (other, read_first) = (client.clone(), client.read_exact(4));
    drop(client);
    other.write("tide").detach();
    drop(other);
    assert_eq!(read(&mut echo.stage, &read_first).as_deref(), Some("tide"));
    assert_eq!(echo.ends.lock().unwrap().len(), 0, "the task holds it");
    drop(read_first);
    let mut ends = echo.ends(2);
    ends.sort_by_key(|reason| *reason == Reason::PeerClosed);
    assert!(matches!(ends[..], [Reason::Closed, Reason::PeerClosed | Reason::Closed]), "{ends:?}");
    let mut stage = echo.stage;
    stage.until(|stage| (stage.at_desk()[0] == 0).then_some(()));
}

/// Who drops the task of a connect has no connection, however far it was.
fn a_connect_that_nobody_wants_leaves_nothing(backend: Backend) {
    let mut echo = Echo::new(backend);
    let address = echo.address();
    for turns in 0..6 {
        let task = echo.connector().address(&address).connect();
        for _ in 0..turns {
            echo.stage.turn();
        }
        drop(task);
        echo.connector().address(&address).connect().detach();
        echo.stage.until(|stage| {
            stage.turn();
            (stage.at_desk()[0] == 0 && stage.peers().is_empty()).then_some(())
        });
    }
}

/// Targets are tried in their order until one is reached; why not is told, and whose fault that is.
fn addresses_are_tried_in_order(backend: Backend) {
    let mut echo = Echo::new(backend);
    let (address, nobody) = (echo.address(), "127.0.0.1:1");
    let task = echo.connector().address(nobody).address(nobody).address(&address).connect();
    let client = outcome(&mut echo.stage, &task).unwrap();
    client.write("x").detach();
    let first = client.read();
    assert_eq!(read(&mut echo.stage, &first).as_deref(), Some("x"));
    let task = echo.connector().address(nobody).connect();
    assert_eq!(refusal(&mut echo.stage, &task), Reason::Refused);
    for connector in [echo.connector(), echo.connector().address("nowhere").address(&address)] {
        assert_eq!(refusal(&mut echo.stage, &connector.connect()), Reason::Address);
    }
    drop((first, client));
    echo.ends(2);
    let mut stage = echo.stage;
    stage.until(|stage| (stage.at_desk()[0] == 0).then_some(()));
}

/// A connection comes from where it is told to; a local address of another family, of another machine or
/// that is taken is told, and the next target has its turn.
fn a_connection_comes_from_where_it_is_told(backend: Backend) {
    let from = Arc::<Mutex<Vec<Address>>>::default();
    let own = Arc::clone(&from);
    let admit = move |address: &Address| {
        own.lock().unwrap().push(address.clone());
        true
    };
    let mut echo = Echo::on(|server| Stage::new(backend, server.admit(admit)));
    let address = echo.address();
    let task = echo.connector().bind("127.0.0.2:0").address(&address).connect();
    let client = outcome(&mut echo.stage, &task).unwrap();
    client.write("x").detach();
    assert_eq!(read(&mut echo.stage, &client.read()).as_deref(), Some("x"));
    let from = from.lock().unwrap().pop().unwrap();
    assert!(from.to_string().starts_with("127.0.0.2:"), "{from}");
    let wrong = echo.connector().bind("here").address(&address).connect();
    assert_eq!(refusal(&mut echo.stage, &wrong), Reason::Address);
    let unix = echo.connector().bind("127.0.0.2:0").address("unix:@nobody").connect();
    let refused = refusal(&mut echo.stage, &unix);
    assert!(matches!(refused, Reason::System(EngineError::Misuse(_))), "{refused}");
    if backend.is_simulated() {
        return;
    }
    for (local, errno) in [("192.0.2.1:0", 99), (&address, 98), ("[::1]:0", 97)] {
        let task = echo.connector().bind(local).address(&address).connect();
        let refused = refusal(&mut echo.stage, &task);
        let expected = EngineError::system(OpKind::Bind, errno);
        assert_eq!(refused, Reason::System(expected), "{local}");
    }
    let task = echo.connector().bind("127.0.0.2:0").address("[::1]:1").address(&address).connect();
    outcome(&mut echo.stage, &task).unwrap();
}

/// Unix sockets are addresses as others are.
fn a_unix_socket_is_reached(backend: Backend) {
    let mut echo = Echo::on(|server| Stage::on_unix(backend, server, "client"));
    assert!(echo.address().starts_with("unix:/"), "{}", echo.address());
    let client = echo.client();
    client.write("tide").detach();
    assert_eq!(read(&mut echo.stage, &client.read_exact(4)).as_deref(), Some("tide"));
    drop(client);
    echo.ends(2);
}

/// A future of the shard awaits its own clients, and cannot wait for them.
fn futures_have_clients_of_their_shard(backend: Backend) {
    let server = Server::new().raw_async(async |peer: Peer| {
        let Some(line) = peer.pull_until("\n", 64).await? else { return Ok(()) };
        let line = String::from_utf8_lossy(&line).trim().to_owned();
        let Some(address) = line.strip_prefix("to ") else {
            peer.push(format!("is {line}")).await?;
            return Ok(());
        };
        assert_eq!(Client::connect(address).wait().err(), Some(Reason::Deadlock));
        let client = Client::connect(address).await?;
        client.write("me\n").await?;
        while let Some(bytes) = client.read().await? {
            peer.push(bytes).await?;
        }
        Ok(())
    });
    let mut stage = Stage::new(backend, server);
    let mut peer = stage.connect();
    let hello = format!("to {}\n", stage.origin().replace("http://", ""));
    assert_eq!(stage.talk_to_end(&mut peer, hello.as_bytes()), "is me");
    stage.until(|stage| (stage.at_desk()[0] == 0).then_some(()));
}

/// Callbacks get the connection as its shard holds it; the shard's end ends what waits.
fn callbacks_run_on_the_shard(backend: Backend) {
    let mut echo = Echo::new(backend);
    let address = echo.address();
    let (sender, said) = std::sync::mpsc::channel();
    echo.connector().address(address).connect().then(move |peer, client| {
        assert_eq!(peer.id(), client.id());
        client.write("tide").detach();
        client.read_exact(4).then(move |_, bytes| sender.send((bytes, client)).unwrap());
    });
    let (bytes, client) = echo.stage.until(|_| said.try_recv().ok());
    assert_eq!(bytes, "tide");
    let waiting = client.read();
    echo.stage.turns_to_end();
    drop(echo);
    let ended = waiting.wait_for(Duration::ZERO);
    let is_told = matches!(ended, Ok(None) | Err(Wait::Failed(_)));
    assert!(is_told, "{ended:?}");
    let late = client.write("late").wait_for(Duration::ZERO);
    assert_eq!(late, Err(Wait::Failed(Reason::Stale)));
}

over_all_backends!(
    what_is_asked_is_done_in_order,
    the_last_handle_closes,
    a_connect_that_nobody_wants_leaves_nothing,
    a_connection_comes_from_where_it_is_told,
    addresses_are_tried_in_order,
    a_unix_socket_is_reached,
    futures_have_clients_of_their_shard,
    callbacks_run_on_the_shard,
);
