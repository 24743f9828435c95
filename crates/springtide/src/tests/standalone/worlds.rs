//! Clients whose targets do not answer, in virtual time: what each takes of it, and what ends it.

use std::time::Duration;

use springtide_engine::Address;
use springtide_engine::simulated::Service;

use super::{outcome, refusal};
use crate::tests::{Backend, Stage, over_simulated_backends};
use crate::{Client, Peer, Reason, Server, Status};

const OPEN: &str = "192.0.2.1:80";
pub(super) const SILENT: &str = "192.0.2.2:80";
pub(super) const REFUSED: &str = "192.0.2.3:80";
const TIMEOUT_MS: u64 = 9_000;

/// A stage in a world where one address listens, one never answers and any other refuses.
pub(super) fn stage(backend: Backend) -> (Stage, [Service; 2]) {
    let mut services = None;
    let server = Server::new().raw(|peer: Peer| peer.close().detach());
    let stage = Stage::with_world(backend, server, |world| {
        let address = |text: &str| Address::Internet(text.parse().unwrap());
        let open = world.serve(&address(OPEN)).unwrap();
        services = Some([open, world.swallow(&address(SILENT)).unwrap()]);
    });
    (stage, services.unwrap())
}

pub(super) fn connector(stage: &mut Stage, addresses: &[&str]) -> crate::Connector {
    let connector = Client::connector().on(stage.link());
    let connector = connector.timeout(Duration::from_millis(TIMEOUT_MS));
    addresses.iter().fold(connector, |connector, address| connector.address(address))
}

fn an_address_that_does_not_answer_leaves_the_others_their_share(backend: Backend) {
    let late = Some(Reason::TimedOut("connect_timeout"));
    for (addresses, after_ms, expected) in [
        (&[OPEN, SILENT][..], 0, None),
        (&[REFUSED, OPEN], 0, None),
        (&["no.name:80", OPEN], 0, None),
        (&[SILENT, OPEN], TIMEOUT_MS / 2, None),
        (&[SILENT, SILENT, OPEN], TIMEOUT_MS / 3 * 2, None),
        (&[REFUSED, SILENT, OPEN], TIMEOUT_MS / 2, None),
        (&[SILENT, REFUSED], TIMEOUT_MS / 2, Some(Reason::Refused)),
        (&[SILENT, "no.name:80"], TIMEOUT_MS / 2, Some(Reason::Unresolved)),
        (&[SILENT, SILENT], TIMEOUT_MS, late),
        (&[SILENT], TIMEOUT_MS, late),
    ] {
        let (mut stage, _services) = stage(backend);
        let task = connector(&mut stage, addresses).connect();
        (0..20).for_each(|_| stage.turn());
        for _ in 0..after_ms {
            assert_eq!(task.status(), Status::Pending, "{addresses:?}");
            stage.advance(Duration::from_millis(1));
        }
        (0..20).for_each(|_| stage.turn());
        assert_ne!(task.status(), Status::Pending, "{addresses:?}");
        match expected {
            None => drop(outcome(&mut stage, &task).unwrap()),
            Some(reason) => assert_eq!(refusal(&mut stage, &task), reason, "{addresses:?}"),
        }
        // Nobody at the other end closes.
        (0..20).for_each(|_| stage.turn());
        stage.advance(Duration::from_secs(3));
        (0..20).for_each(|_| stage.turn());
        assert_eq!(stage.at_desk()[0], 0, "{addresses:?}");
    }
}

/// A connect that is cancelled ends, and so does one whose shard stops.
fn a_connect_ends_when_it_is_told_to(backend: Backend) {
    let (mut stage, _services) = stage(backend);
    let task = connector(&mut stage, &[SILENT, OPEN]).connect();
    (0..7).for_each(|_| stage.turn());
    task.cancel();
    assert_eq!(refusal(&mut stage, &task), Reason::Cancelled);
    stage.until(|stage| (stage.at_desk()[0] == 0).then_some(()));
    let task = connector(&mut stage, &[SILENT, OPEN]).connect();
    (0..7).for_each(|_| stage.turn());
    stage.turns_to_end();
    assert_eq!(task.wait_for(Duration::ZERO).err(), Some(crate::Wait::Failed(Reason::Stopped)));
}

over_simulated_backends!(
    an_address_that_does_not_answer_leaves_the_others_their_share,
    a_connect_ends_when_it_is_told_to,
);
