//! Unix sockets: names with and without a file, who is refused, and which files are replaced.
//! Streams over them keep every other law as those of TCP do.

use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::PathBuf;

use springtide_engine::{
    Address, Descriptor, Error, Handle, ListenOptions, Memory, Op, OpKind, Outcome,
};

use crate::shard::{Shard, accepted, received};
use crate::stage::Stage;

/// Where a test listens: a file in the stage's directory, and a name that is like it.
fn addresses<S: Stage>(stage: &S) -> [Address; 2] {
    let file = stage.root().join("own.sock");
    let name = format!("@{}-{:?}", file.display(), std::thread::current().id());
    [Address::from(file.as_path()), Address::unix(name)]
}

fn listen(shard: &mut Shard, address: &Address, backlog: i32) -> Result<Descriptor, Error> {
    let mode = Some(0o600);
    shard.engine.listen(&ListenOptions { address, backlog, joining: false, keepalive: None, mode })
}

fn connect(shard: &mut Shard, address: &Address) -> Result<Descriptor, Error> {
    let connect = shard.submit(Op::connect(address.clone()), 1);
    match shard.last(connect) {
        Outcome::Connected(socket) => Ok(socket),
        Outcome::Failed(error, Memory::None) => Err(error),
        other => panic!("{other:?}"),
    }
}

/// Connections to a path and to a name carry bytes, and say where they lead.
pub(crate) fn unix_streams_have_paths_and_names<S: Stage>(stage: &S) {
    let mut shard = Shard::new(stage);
    for address in addresses(stage) {
        let port = shard.listen_at(&address, false);
        assert_eq!(port.address, address);
        let socket = connect(&mut shard, &address).unwrap();
        assert_eq!(shard.engine.peer_address(socket).unwrap(), address);
        let inside = shard.wait("an accepted connection", accepted);
        assert_eq!(shard.engine.peer_address(inside).unwrap(), Address::Unix(None));
        for (from, to) in [(socket, inside), (inside, socket)] {
            shard.receive(to, 2);
            shard.send(from, b"high tide".to_vec(), 3);
            let bytes = shard.wait("bytes", |came| Some(received(came)?.as_slice().to_vec()));
            assert_eq!(bytes, b"high tide");
        }
    }
    let nowhere = shard.submit(Op::connect(Address::Unix(None)), 4);
    assert!(matches!(shard.last(nowhere), Outcome::Failed(Error::Misuse(_), _)));
}

/// Where listening is refused nothing is left of it.
pub(crate) fn refused_listeners_leave_no_file<S: Stage>(stage: &S) {
    let mut shard = Shard::new(stage);
    for address in addresses(stage) {
        assert!(listen(&mut shard, &address, 8).is_err());
    }
    assert!(!stage.root().join("own.sock").exists());
}

/// Where nobody listens and where too many wait a connect fails at once, and says which it was.
pub(crate) fn unix_connects_never_wait<S: Stage>(stage: &S) {
    let mut shard = Shard::new(stage);
    for address in addresses(stage) {
        assert!(connect(&mut shard, &address).unwrap_err().is_refused());
        let listener = listen(&mut shard, &address, 1).unwrap();
        let mut open = Vec::new();
        let refused = loop {
            match connect(&mut shard, &address) {
                Ok(socket) => open.push(socket),
                Err(error) => break error,
            }
        };
        // A system may let one more wait than it was told.
        assert!(matches!(open.len(), 1 | 2), "{}", open.len());
        assert_eq!(refused, Error::system(OpKind::Connect, libc::EAGAIN));
        assert!(matches!(listen(&mut shard, &address, 1), Err(error) if error.is_busy_address()));
        let close = shard.close(listener, 1);
        shard.last(close);
        assert!(connect(&mut shard, &address).unwrap_err().is_refused());
    }
    let long = Address::unix(PathBuf::from("x".repeat(200)));
    let refused = connect(&mut shard, &long).unwrap_err();
    assert!(S::IS_SIMULATED || refused == Error::system(OpKind::Connect, libc::ENAMETOOLONG));
}

/// A socket that was left behind is replaced, with its own permissions; any other file is left alone.
pub(crate) fn only_dead_sockets_are_replaced<S: Stage>(stage: &S) {
    if S::IS_SIMULATED {
        return;
    }
    let mut shard = Shard::new(stage);
    let [address, _] = addresses(stage);
    let file = address.file().unwrap();
    stage.write_file("own.sock", b"a document");
    let refused = listen(&mut shard, &address, 1).unwrap_err();
    assert!(refused.is_busy_address(), "{refused}");
    assert_eq!(std::fs::read(file).unwrap(), b"a document");
    std::fs::remove_file(file).unwrap();
    drop(std::os::unix::net::UnixListener::bind(file).unwrap());
    let listener = listen(&mut shard, &address, 1).unwrap();
    let own = shard.engine.socket_file(listener).unwrap();
    let metadata = std::fs::metadata(file).unwrap();
    assert!(metadata.file_type().is_socket());
    assert_eq!(metadata.permissions().mode() & 0o777, 0o600);
    // The first one's file has gone, and the next one's is not its own.
    std::fs::remove_file(file).unwrap();
    let next = listen(&mut shard, &address, 1).unwrap();
    drop(own);
    assert!(file.exists());
    drop(shard.engine.socket_file(next));
    assert!(!file.exists());
}
