//! Names of clients, which the system resolves on a thread of its own: over its mechanisms only.
//! No name here leaves this host: the system takes short forms of addresses, and forms that are none.

use super::{Echo, outcome, read, refusal};
use crate::tests::{Backend, over_system_backends};
use crate::{Reason, Wait};

/// An address in a form that only the system knows.
fn short(address: &str) -> String {
    address.replace("127.0.0.1", "127.1")
}

fn names_are_resolved(backend: Backend) {
    let mut echo = Echo::new(backend);
    let address = echo.address();
    for name in [address.replace("127.0.0.1", "localhost"), short(&address)] {
        let task = echo.connector().address("a..b:1").address("127.1:1").address(name).connect();
        let client = outcome(&mut echo.stage, &task).unwrap();
        client.write("x").detach();
        assert_eq!(read(&mut echo.stage, &client.read()).as_deref(), Some("x"));
    }
    let task = echo.connector().address("a..b:1").connect();
    assert_eq!(refusal(&mut echo.stage, &task), Reason::Unresolved);
}

/// A name that is given up while it is being resolved comes to nothing, and leaves its seat when the
/// system has answered: there are 16.
fn names_are_given_up(backend: Backend) {
    let mut echo = Echo::new(backend);
    let name = short(&echo.address());
    let connector = echo.connector().address(&name);
    for _ in 0..40 {
        let (dropped, cancelled) = (connector.connect(), connector.connect());
        echo.stage.turn();
        drop(dropped);
        cancelled.cancel();
        match outcome(&mut echo.stage, &cancelled) {
            Ok(client) => drop(client),
            Err(Wait::Failed(Reason::Cancelled | Reason::Limit("resolving_max"))) => {}
            Err(other) => panic!("{other:?}"),
        }
    }
    let client = loop {
        match outcome(&mut echo.stage, &connector.connect()) {
            Ok(client) => break client,
            Err(why) => assert_eq!(why, Wait::Failed(Reason::Limit("resolving_max"))),
        }
    };
    drop(client);
    echo.stage.until(|stage| (stage.at_desk()[0] == 0).then_some(()));
}

over_system_backends!(names_are_resolved, names_are_given_up);
