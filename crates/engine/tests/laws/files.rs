//! Files: opened beneath a root and nowhere else, read without blocking the shard.
//! The stage writes them; the engine only reads.

use std::ffi::CString;
use std::os::unix::fs::MetadataExt;
use std::time::Duration;

use springtide_engine::{Descriptor, Error, FilePart, Handle, Memory, Metadata, Op, Outcome};

use crate::shard::{Patience, Shard, assert_pattern, pattern};
use crate::stage::{Outside, Stage};

fn open(shard: &mut Shard, root: Descriptor, path: &str) -> Outcome {
    let path = CString::new(path).unwrap();
    let key = shard.submit(Op::Open { root, path }, 1);
    shard.last(key)
}

fn opened(shard: &mut Shard, root: Descriptor, path: &str) -> (Descriptor, Metadata) {
    match open(shard, root, path) {
        Outcome::Opened(file, metadata) => (file, metadata),
        other => panic!("{path}: {other:?}"),
    }
}

fn read(shard: &mut Shard, file: Descriptor, count: usize, offset: u64) -> Vec<u8> {
    let key = shard.submit(Op::Read { file, memory: Vec::with_capacity(count), offset }, 1);
    match shard.last(key) {
        Outcome::Filled(memory) => memory,
        other => panic!("{other:?}"),
    }
}

/// What was written is read, at every offset, with what is known of the file.
pub(crate) fn files_are_opened_and_read<S: Stage>(stage: &S) {
    stage.write_file("file", &pattern(0, 100_000));
    let mut shard = Shard::new(stage);
    let root = shard.engine.open_directory(stage.root()).unwrap();
    let (file, metadata) = opened(&mut shard, root, "file");
    assert!(metadata.is_file && !metadata.is_directory && metadata.length == 100_000);
    assert!(metadata.modified_ns > 0);
    let mut at = 0;
    loop {
        let bytes = read(&mut shard, file, 7777, at as u64);
        if bytes.is_empty() {
            break;
        }
        assert_pattern(at, &bytes);
        at += bytes.len();
    }
    assert_eq!(at, 100_000);
    let (_, directory) = opened(&mut shard, root, ".");
    assert!(directory.is_directory);
    stage.write_file("other", b"");
    let (_, other) = opened(&mut shard, root, "other");
    assert_ne!(other.inode, metadata.inode);
    let close = shard.close(file, 2);
    assert!(matches!(shard.last(close), Outcome::Done));
}

/// No `..`, no absolute path and no symbolic link leads out.
pub(crate) fn no_path_leads_out_of_the_root<S: Stage>(stage: &S) {
    stage.write_file("file", b"inside");
    stage.link("/etc/hostname", "absolute");
    stage.link("../..", "above");
    let mut shard = Shard::new(stage);
    let root = shard.engine.open_directory(stage.root()).unwrap();
    opened(&mut shard, root, "./file");
    let out = ["../file", "..", "/etc/hostname", "/", "absolute", "above/etc/hostname", "none"];
    // A world has no links, and looks at no name that another one takes back.
    let of_the_system: &[&str] = if S::IS_SIMULATED {
        &[]
    } else {
        &["", "absolute/", "above", "above/", "none/../file", "file/", "file/.", "file/../file"]
    };
    for path in out.iter().chain(of_the_system) {
        let outcome = open(&mut shard, root, path);
        let Outcome::Failed(error, _) = outcome else { panic!("{path}: {outcome:?}") };
        assert!(error.is_not_found(), "{path}: {error}");
    }
    assert!(shard.engine.open_directory(&stage.root().join("none")).is_err());
    assert!(shard.engine.open_directory(&stage.root().join("file")).is_err());
}

/// Large reads of a file that may not be in memory come without holding up the shard.
pub(crate) fn cold_files_are_read<S: Stage>(stage: &S) {
    const ALL: usize = 8 << 20;
    stage.write_file("large", &pattern(0, ALL));
    stage.cool("large");
    let mut shard = Shard::new(stage);
    let root = shard.engine.open_directory(stage.root()).unwrap();
    let (file, _) = opened(&mut shard, root, "large");
    let memory = Vec::with_capacity(ALL);
    let key = shard.submit(Op::Read { file, memory, offset: 0 }, 7);
    let at = shard.engine.now() + Duration::from_millis(1);
    shard.submit(Op::Timeout { at }, 8);
    let (mut bytes, mut timeouts) = (None, 0);
    let patience = Patience::until("the file is read and the timeout came");
    while bytes.is_none() || timeouts == 0 {
        for completion in shard.turn() {
            match completion.outcome {
                Outcome::Filled(memory) if completion.key == key => bytes = Some(memory),
                Outcome::Expired => timeouts += 1,
                other => panic!("{other:?}"),
            }
        }
        patience.spend();
    }
    let mut bytes = bytes.unwrap();
    while bytes.len() < ALL {
        let more = read(&mut shard, file, ALL, bytes.len() as u64);
        assert!(!more.is_empty());
        bytes.extend(more);
    }
    assert_pattern(0, &bytes);
}

/// Laws 3 and 4: a read that is cancelled while a disk may be at work still ends, and its memory is
/// the caller's only then.
pub(crate) fn a_cancelled_read_keeps_its_memory<S: Stage>(stage: &S) {
    const ALL: usize = 8 << 20;
    const PART: usize = 64 << 10;
    stage.write_file("cold", &pattern(0, ALL));
    stage.cool("cold");
    let mut shard = Shard::new(stage);
    let root = shard.engine.open_directory(stage.root()).unwrap();
    let (file, _) = opened(&mut shard, root, "cold");
    // Far apart, so that no read warms the next one.
    for start in (0..ALL).step_by(1 << 20) {
        let (memory, offset) = (Vec::with_capacity(PART), start as u64);
        let key = shard.submit(Op::Read { file, memory, offset }, 1);
        shard.cancel(key);
        match shard.last(key) {
            Outcome::Filled(memory) => assert_pattern(start, &memory),
            Outcome::Failed(Error::Cancelled, Memory::Buffer(memory)) => {
                assert!(memory.is_empty(), "{} bytes of a cancelled read", memory.len());
            }
            other => panic!("{other:?}"),
        }
    }
}

/// The names in a directory are told, as many as were asked for; the shard goes on meanwhile.
pub(crate) fn names_in_a_directory_are_told<S: Stage>(stage: &S) {
    for name in ["top/b", "top/a", "top/sub/x", "top/sub/y"] {
        stage.write_file(name, b"bytes");
    }
    let mut shard = Shard::new(stage);
    let root = shard.engine.open_directory(stage.root()).unwrap();
    let (top, _) = opened(&mut shard, root, "top");
    let list = |shard: &mut Shard, directory, entries_max| {
        let key = shard.submit(Op::List { directory, entries_max }, 1);
        match shard.last(key) {
            Outcome::Listed(listing) => listing,
            other => panic!("{other:?}"),
        }
    };
    let named = |listing: springtide_engine::Listing| {
        let entry = |entry: springtide_engine::Entry| (entry.name, entry.is_directory);
        let mut names: Vec<_> = listing.entries.into_iter().map(entry).collect();
        names.sort();
        names
    };
    let all = [(b"a".to_vec(), false), (b"b".to_vec(), false), (b"sub".to_vec(), true)];
    for _ in 0..2 {
        let listing = list(&mut shard, top, 3);
        assert!(!listing.is_cut, "{listing:?}");
        assert_eq!(named(listing), all);
    }
    let listing = list(&mut shard, top, 2);
    assert!(listing.is_cut && listing.entries.len() == 2);
    let (sub, _) = opened(&mut shard, root, "top/sub");
    assert_eq!(named(list(&mut shard, sub, 10)), [(b"x".to_vec(), false), (b"y".to_vec(), false)]);
    let (file, _) = opened(&mut shard, root, "top/a");
    let key = shard.submit(Op::List { directory: file, entries_max: 10 }, 1);
    assert!(matches!(shard.last(key), Outcome::Failed(Error::System { .. }, _)));
    // One that is cancelled ends once, and what is read for it goes nowhere.
    let key = shard.submit(Op::List { directory: top, entries_max: 10 }, 1);
    shard.cancel(key);
    let last = shard.last(key);
    assert!(matches!(last, Outcome::Failed(Error::Cancelled, _) | Outcome::Listed(_)), "{last:?}");
    assert_eq!(named(list(&mut shard, top, 10)), all);
}

/// What is passed from a file to a socket stands in order between what is sent; nothing is passed
/// while a send is in flight, nor what is not there.
pub(crate) fn what_is_passed_keeps_its_order<S: Stage>(stage: &S) {
    const ALL: usize = 8 << 20;
    let stream = pattern(0, ALL);
    stage.write_file("passed", &stream);
    let mut shard = Shard::new(stage);
    let port = shard.listen();
    let (socket, mut outside) = shard.meet(stage, &port);
    let root = shard.engine.open_directory(stage.root()).unwrap();
    let (file, _) = opened(&mut shard, root, "passed");
    let part = |offset: usize, length| FilePart { file, offset: offset as u64, length };
    assert_eq!(shard.engine.send_file_now(socket, part(0, 0)), 0, "nothing of it");
    assert_eq!(shard.engine.send_file_now(socket, part(ALL, 100)), 0, "behind the end");
    assert_eq!(shard.engine.send_file_now(root, part(0, 100)), 0, "to no socket");
    let (mut at, mut passed, mut read) = (0, 0, Vec::new());
    let mut send = None;
    let patience = Patience::until("the whole stream");
    while read.len() < ALL {
        let count = shard.engine.send_file_now(socket, part(at, (ALL - at).min(300_000)));
        assert!(send.is_none() || count == 0, "a send is in flight");
        (at, passed) = (at + count, passed + count);
        if send.is_none() && at < ALL {
            let end = (at + 1000).min(ALL);
            send = Some(shard.send(socket, stream[at..end].to_vec(), 2));
            at = end;
        }
        outside.read(&mut read);
        if shard.turn().iter().any(|completion| Some(completion.key) == send) {
            send = None;
        }
        patience.spend();
    }
    assert_pattern(0, &read);
    assert!(passed > ALL / 2 || !tells_what_is_cached(), "only {passed} bytes");
    outside.reset();
    for _ in 0..100 {
        shard.engine.send_file_now(socket, part(0, 1000));
        shard.turn();
    }
}

/// Linux does since 6.5.
fn tells_what_is_cached() -> bool {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let mut numbers = release.split('.').map_while(|number| number.parse::<u32>().ok());
    (numbers.next(), numbers.next()) >= (Some(6), Some(5))
}

/// Whether the stage's files lie on a device that they can be read from again.
fn has_disk<S: Stage>(stage: &S) -> bool {
    // Device numbers without a major one are those of file systems in memory, and of layers.
    !S::IS_SIMULATED && std::fs::metadata(stage.root()).unwrap().dev() >> 8 > 0
}

/// A file that is not in memory is not passed: the shard would wait for its disk.
pub(crate) fn what_is_cold_is_not_passed<S: Stage>(stage: &S) {
    const ALL: usize = 100_000;
    stage.write_file("cold passed", &pattern(0, ALL));
    let mut shard = Shard::new(stage);
    let port = shard.listen();
    let (socket, mut outside) = shard.meet(stage, &port);
    let root = shard.engine.open_directory(stage.root()).unwrap();
    let (file, _) = opened(&mut shard, root, "cold passed");
    stage.cool("cold passed");
    let whole = FilePart { file, offset: 0, length: ALL };
    let passed = shard.engine.send_file_now(socket, whole);
    assert!(!has_disk(stage) || passed == 0, "{passed} bytes");
    let mut received = Vec::new();
    let patience = Patience::until("what was passed");
    while received.len() < passed {
        outside.read(&mut received);
        shard.turn();
        patience.spend();
    }
    assert_pattern(0, &received);
}
