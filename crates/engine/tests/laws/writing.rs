//! Files that are changed, and names: each operation with its good end, its errors, its cancel.
//! The engine writes them, and the law reads what it wrote by the engine again.

use std::ffi::CString;

use springtide_engine::simulated::{Fault, Faults};
use springtide_engine::{
    Descriptor, Error, Handle, Key, Memory, Metadata, Op, OpKind, OpenOptions, Outcome, Piece,
};

use crate::shard::{Patience, Random, Shard, assert_pattern, pattern};
use crate::stage::{Simulated, Stage};

const ENOENT: i32 = 2;
const EBADF: i32 = 9;
const EEXIST: i32 = 17;
const ENOTDIR: i32 = 20;
const EISDIR: i32 = 21;
const EINVAL: i32 = 22;
const ENOTEMPTY: i32 = 39;

const READ: OpenOptions = OpenOptions {
    read: true,
    write: false,
    append: false,
    truncate: false,
    create: false,
    create_new: false,
    mode: 0o644,
};
const MAKE: OpenOptions = OpenOptions { write: true, create: true, ..READ };

fn path<S: Stage>(stage: &S, name: &str) -> CString {
    CString::new(stage.root().join(name).to_str().unwrap()).unwrap()
}

fn open<S: Stage>(shard: &mut Shard, stage: &S, name: &str, options: OpenOptions) -> Outcome {
    let key = shard.submit(Op::OpenFile { path: path(stage, name), options }, 1);
    shard.last(key)
}

fn opened<S: Stage>(
    shard: &mut Shard,
    stage: &S,
    name: &str,
    options: OpenOptions,
) -> (Descriptor, Metadata) {
    match open(shard, stage, name, options) {
        Outcome::Opened(file, metadata) => (file, metadata),
        other => panic!("{name}: {other:?}"),
    }
}

/// Writes all of it, however short the system is.
fn write(shard: &mut Shard, file: Descriptor, bytes: &[u8], offset: u64) {
    let mut at = 0;
    while at < bytes.len() {
        let pieces = vec![Piece::Owned(bytes[at..].to_vec())];
        let key = shard.submit(Op::Write { file, pieces, offset: offset + at as u64 }, 1);
        match shard.last(key) {
            Outcome::Written(pieces, count) => {
                assert_eq!(pieces[0].as_slice(), &bytes[at..], "they come back");
                assert!((1..=bytes.len() - at).contains(&count));
                at += count;
            }
            other => panic!("{other:?}"),
        }
    }
}

/// Reads to the end in buffers of different lengths.
fn read_all(shard: &mut Shard, file: Descriptor) -> Vec<u8> {
    let mut all = Vec::new();
    loop {
        let memories = vec![Vec::with_capacity(7), Vec::new(), Vec::with_capacity(5000)];
        let key = shard.submit(Op::ReadVectored { file, memories, offset: all.len() as u64 }, 1);
        let Outcome::FilledAll(memories, count) = shard.last(key) else { panic!("no bytes") };
        assert_eq!(count, memories.iter().map(Vec::len).sum::<usize>());
        assert!(memories[2].is_empty() || memories[0].len() == memories[0].capacity());
        all.extend(memories.concat());
        if count == 0 {
            return all;
        }
    }
}

fn end(shard: &mut Shard, op: Op) -> Outcome {
    let key = shard.submit(op, 1);
    shard.last(key)
}

fn errno_of(outcome: &Outcome, kind: OpKind) -> i32 {
    match outcome {
        Outcome::Failed(Error::System { operation, errno }, _) if *operation == kind => *errno,
        other => panic!("{other:?}"),
    }
}

/// What was written is read, in pieces and at every offset; lengths are set, ends appended to.
pub(crate) fn files_are_written_and_read_again<S: Stage>(stage: &S) {
    let mut shard = Shard::new(stage);
    let (file, fresh) = opened(&mut shard, stage, "written", MAKE);
    assert!(fresh.is_file && fresh.length == 0);
    let all = pattern(0, 50_000);
    write(&mut shard, file, &all[..20_000], 0);
    // Nothing is written between: it reads as zeroes.
    write(&mut shard, file, &all[30_000..], 30_000);
    assert_eq!(&read_all(&mut shard, file)[20_000..30_000], &[0; 10_000]);
    write(&mut shard, file, &all[20_000..30_000], 20_000);
    assert_pattern(0, &read_all(&mut shard, file));
    assert_eq!(shard.engine.metadata(file).unwrap().length, 50_000);
    for length in [100, 40_000] {
        assert!(matches!(end(&mut shard, Op::Truncate { file, length }), Outcome::Done));
        assert_eq!(shard.engine.metadata(file).unwrap().length, length);
    }
    for data_only in [false, true] {
        assert!(matches!(end(&mut shard, Op::Sync { file, data_only }), Outcome::Done));
    }
    let append = OpenOptions { append: true, ..MAKE };
    let (end_of, there) = opened(&mut shard, stage, "written", append);
    assert_eq!((there.length, there.inode), (40_000, fresh.inode));
    write(&mut shard, end_of, b"behind", 0);
    assert_eq!(&read_all(&mut shard, file)[39_999..], b"\0behind");
    let (_, cut) = opened(&mut shard, stage, "written", OpenOptions { truncate: true, ..MAKE });
    assert_eq!(cut.length, 0);
    assert!(
        matches!(open(&mut shard, stage, "none", READ), Outcome::Failed(error, _) if error.errno() == Some(ENOENT))
    );
    let new = OpenOptions { create_new: true, ..MAKE };
    assert_eq!(errno_of(&open(&mut shard, stage, "written", new), OpKind::Open), EEXIST);
    opened(&mut shard, stage, "new", new);
    assert_eq!(errno_of(&open(&mut shard, stage, ".", MAKE), OpKind::Open), EISDIR);
    let close = shard.close(file, 2);
    assert!(matches!(shard.last(close), Outcome::Done));
    assert!(shard.engine.metadata(Descriptor::clone(&file)).is_err());
}

/// What is no file is not written to; what is no write breaks no file.
pub(crate) fn writes_fail_with_their_memory<S: Stage>(stage: &S) {
    stage.write_file("read only", b"as it was");
    let mut shard = Shard::new(stage);
    let (directory, known) = opened(&mut shard, stage, ".", READ);
    assert!(known.is_directory);
    let bytes = b"never written".to_vec();
    let address = bytes.as_ptr();
    let pieces = vec![Piece::Owned(bytes)];
    match end(&mut shard, Op::Write { file: directory, pieces, offset: 0 }) {
        Outcome::Failed(Error::System { operation: OpKind::Write, errno }, memory) => {
            assert!(matches!(errno, EBADF | EISDIR), "{errno}");
            let Memory::Pieces { pieces, sent: 0 } = memory else { panic!("{memory:?}") };
            assert_eq!(pieces[0].as_slice().as_ptr(), address, "it is the same memory");
        }
        other => panic!("{other:?}"),
    }
    let memories = vec![Vec::with_capacity(10)];
    let read = end(&mut shard, Op::ReadVectored { file: directory, memories, offset: 0 });
    assert_eq!(errno_of(&read, OpKind::Read), EISDIR);
    let cut = end(&mut shard, Op::Truncate { file: directory, length: 0 });
    assert!(matches!(errno_of(&cut, OpKind::Truncate), EINVAL | EBADF | EISDIR));
    let nothing = vec![Piece::Owned(Vec::new())];
    for op in [
        Op::Write { file: directory, pieces: nothing, offset: 0 },
        Op::Write { file: directory, pieces: vec![Piece::Owned(vec![1]); 1025], offset: 0 },
        Op::ReadVectored { file: directory, memories: vec![Vec::new()], offset: 0 },
    ] {
        let key = shard.submit(op, 9);
        assert_eq!(key, Key::NONE);
        let ended = shard.turn();
        assert!(matches!(ended[0].outcome, Outcome::Failed(Error::Misuse(_), _)), "{ended:?}");
    }
}

/// What a file was not opened for is refused, as open(2) says, and what is written by one descriptor is
/// read by another.
pub(crate) fn files_do_what_they_were_opened_for<S: Stage>(stage: &S) {
    let mut shard = Shard::new(stage);
    let write_only = OpenOptions { read: false, ..MAKE };
    let append_only = OpenOptions { append: true, write: false, ..write_only };
    let neither = OpenOptions { read: false, ..READ };
    let (writing, _) = opened(&mut shard, stage, "modes", write_only);
    let (appending, _) = opened(&mut shard, stage, "modes", append_only);
    let [reading, other] = [READ, neither].map(|own| opened(&mut shard, stage, "modes", own).0);
    write(&mut shard, writing, b"high ", 0);
    write(&mut shard, appending, b"tide", 0);
    for file in [reading, other] {
        assert_eq!(read_all(&mut shard, file), b"high tide");
        let pieces = vec![Piece::Owned(b"ebb".to_vec())];
        let written = end(&mut shard, Op::Write { file, pieces, offset: 0 });
        assert_eq!(errno_of(&written, OpKind::Write), EBADF);
        let cut = end(&mut shard, Op::Truncate { file, length: 0 });
        assert_eq!(errno_of(&cut, OpKind::Truncate), EINVAL);
    }
    for file in [writing, appending] {
        let memories = vec![Vec::with_capacity(10)];
        let read = end(&mut shard, Op::ReadVectored { file, memories, offset: 0 });
        assert_eq!(errno_of(&read, OpKind::Read), EBADF);
        let read = end(&mut shard, Op::Read { file, memory: Vec::with_capacity(10), offset: 0 });
        assert_eq!(errno_of(&read, OpKind::Read), EBADF);
    }
    assert_eq!(read_all(&mut shard, reading), b"high tide");
}

/// Names are made, told of, moved and taken away, and what cannot be is refused by its errno.
pub(crate) fn names_are_made_moved_and_taken_away<S: Stage>(stage: &S) {
    stage.write_file("name", b"bytes");
    let mut shard = Shard::new(stage);
    let at = |name: &str| path(stage, name);
    let describe = |shard: &mut Shard, name: &str| end(shard, Op::Describe { path: at(name) });
    let known = |shard: &mut Shard, name: &str| match describe(shard, name) {
        Outcome::Described(metadata) => metadata,
        other => panic!("{name}: {other:?}"),
    };
    let make = |name: &str| Op::CreateDirectory { path: at(name), mode: 0o755 };
    let remove = |name: &str, is_directory| Op::Remove { path: at(name), is_directory };
    let rename = |from: &str, to: &str| Op::Rename { from: at(from), to: at(to) };
    let first = known(&mut shard, "name");
    assert!(first.is_file && first.length == 5 && first.modified_ns > 0);
    for op in [make("made"), rename("name", "made/moved"), make("made/below")] {
        assert!(matches!(end(&mut shard, op), Outcome::Done));
    }
    assert_eq!(known(&mut shard, "made/moved").inode, first.inode);
    assert!(known(&mut shard, "made").is_directory);
    assert_eq!(errno_of(&describe(&mut shard, "name"), OpKind::Describe), ENOENT);
    for (op, kind, errno) in [
        (make("made"), OpKind::CreateDirectory, EEXIST),
        (make("none/below"), OpKind::CreateDirectory, ENOENT),
        (make("made/moved/below"), OpKind::CreateDirectory, ENOTDIR),
        (remove("none", false), OpKind::Remove, ENOENT),
        (remove("made", false), OpKind::Remove, EISDIR),
        (remove("made", true), OpKind::Remove, ENOTEMPTY),
        (remove("made/moved", true), OpKind::Remove, ENOTDIR),
        (rename("none", "some"), OpKind::Rename, ENOENT),
        (rename("made/moved", "made/below"), OpKind::Rename, EISDIR),
        (rename("made", "made/below/it"), OpKind::Rename, EINVAL),
    ] {
        let said = format!("{op:?}");
        assert_eq!(errno_of(&end(&mut shard, op), kind), errno, "{said}");
    }
    for op in [
        rename("made", "again"),
        remove("again/moved", false),
        remove("again/below", true),
        remove("again", true),
    ] {
        assert!(matches!(end(&mut shard, op), Outcome::Done));
    }
    assert_eq!(errno_of(&describe(&mut shard, "again"), OpKind::Describe), ENOENT);
}

/// Law 4: what is cancelled, in any state, ends once: done, or as cancelled with nothing done.
pub(crate) fn what_is_cancelled_on_files_ends_once<S: Stage>(stage: &S) {
    const ROUNDS: usize = 40;
    stage.write_file("cancelled", &pattern(0, 100));
    let mut shard = Shard::new(stage);
    let (file, _) = opened(&mut shard, stage, "cancelled", MAKE);
    let mut keys = Vec::new();
    for round in 0..ROUNDS {
        let path = path(stage, &format!("made {round}"));
        let pieces = vec![Piece::Owned(pattern(0, 100))];
        let of_names = Op::CreateDirectory { path, mode: 0o755 };
        let memories = vec![Vec::with_capacity(100)];
        for op in [
            of_names,
            Op::Sync { file, data_only: true },
            Op::Write { file, pieces, offset: 0 },
            Op::ReadVectored { file, memories, offset: 0 },
            Op::OpenFile { path: self::path(stage, "cancelled"), options: MAKE },
        ] {
            keys.push((round, shard.submit(op, 1)));
        }
    }
    for (_, key) in keys.iter().rev() {
        shard.cancel(*key);
        shard.cancel(*key);
    }
    for (round, key) in keys {
        match shard.last(key) {
            Outcome::Done | Outcome::Failed(Error::Cancelled, Memory::None) => {}
            Outcome::Written(..) => {}
            Outcome::FilledAll(memories, count) => assert_pattern(0, &memories[0][..count]),
            Outcome::Failed(Error::Cancelled, Memory::Pieces { pieces, sent: 0 }) => {
                assert_pattern(0, pieces[0].as_slice());
            }
            Outcome::Failed(Error::Cancelled, Memory::Buffers(memories)) => {
                assert!(memories[0].is_empty() && memories[0].capacity() >= 100);
            }
            Outcome::Opened(file, _) => {
                let close = shard.close(file, 2);
                shard.last(close);
            }
            other => panic!("round {round}: {other:?}"),
        }
    }
    assert_eq!(shard.in_flight(), 0);
}

/// Law 6: a close waits for what a thread does with its file.
pub(crate) fn a_close_waits_for_what_is_written<S: Stage>(stage: &S) {
    let mut shard = Shard::new(stage);
    let (file, _) = opened(&mut shard, stage, "closing", MAKE);
    let pieces = vec![Piece::Owned(pattern(0, 1 << 20))];
    let write = shard.submit(Op::Write { file, pieces, offset: 0 }, 1);
    let sync = shard.submit(Op::Sync { file, data_only: false }, 2);
    let close = shard.close(file, 3);
    let mut ended = Vec::new();
    let patience = Patience::until("all three have ended");
    while ended.len() < 3 {
        ended.extend(shard.turn().into_iter().map(|completion| completion.key));
        patience.spend();
    }
    assert!(ended[..2].contains(&write) && ended[..2].contains(&sync) && ended[2] == close);
}

/// Whatever strikes, what was written is what is read, and what failed has done nothing.
#[test]
fn faults_lose_nothing_of_a_file() {
    for seed in 0..200 {
        let stage = Simulated { world: springtide_engine::simulated::World::new(seed) };
        stage.write_file("there", b"");
        stage.world.set_faults(Faults::all(0.2).with(Fault::Refused, 0.0));
        let mut random = Random(seed | 1);
        let mut shard = Shard::new(&stage);
        let file = loop {
            match open(&mut shard, &stage, "file", MAKE) {
                Outcome::Opened(file, _) => break file,
                Outcome::Failed(error, _) => assert!(error.is_exhausted()),
                other => panic!("{other:?}"),
            }
        };
        let (mut expected, all) = (Vec::new(), pattern(0, 3000));
        while expected.len() < all.len() {
            let end = (expected.len() + 1 + random.below(500)).min(all.len());
            let rest = &all[expected.len()..end];
            let pieces = vec![Piece::Owned(rest.to_vec())];
            let key = shard.submit(Op::Write { file, pieces, offset: expected.len() as u64 }, 1);
            if random.below(3) == 0 {
                shard.cancel(key);
            }
            match shard.last(key) {
                Outcome::Written(_, count) => expected.extend_from_slice(&rest[..count]),
                Outcome::Failed(Error::Cancelled, Memory::Pieces { sent: 0, .. }) => {}
                other => panic!("{other:?}"),
            }
            let known = shard.engine.metadata(file).unwrap();
            assert_eq!(known.length, expected.len() as u64, "seed {seed}");
        }
        assert_eq!(read_all(&mut shard, file), all, "seed {seed}");
    }
}

/// Each operation can fail with each error of its kind, which comes with its memory, and has done nothing.
#[test]
fn what_is_to_fail_fails_with_its_memory() {
    let stage = Simulated::open();
    stage.write_file("file", b"as it was");
    let mut shard = Shard::new(&stage);
    let (file, _) = opened(&mut shard, &stage, "file", MAKE);
    let at = |name: &str| path(&stage, name);
    let pieces = || vec![Piece::Owned(b"never".to_vec())];
    let makes: [&dyn Fn() -> Op; 9] = [
        &|| Op::Write { file, pieces: pieces(), offset: 0 },
        &|| Op::ReadVectored { file, memories: vec![Vec::with_capacity(9)], offset: 0 },
        &|| Op::OpenFile { path: at("file"), options: OpenOptions { truncate: true, ..MAKE } },
        &|| Op::Sync { file, data_only: false },
        &|| Op::Truncate { file, length: 0 },
        &|| Op::Describe { path: at("file") },
        &|| Op::Remove { path: at("file"), is_directory: false },
        &|| Op::Rename { from: at("file"), to: at("moved") },
        &|| Op::CreateDirectory { path: at("made"), mode: 0o755 },
    ];
    for make in makes {
        for choice in 0..4 {
            let (op, kind) = (make(), make().kind());
            if !has_error(kind, choice) {
                continue;
            }
            stage.world.fail_later(0, choice);
            let ended = end(&mut shard, op);
            let (failed, errno) = stage.world.failed().expect("it was to fail");
            assert_eq!((failed, errno_of(&ended, kind)), (kind, errno));
            match (kind, ended) {
                (OpKind::Write, Outcome::Failed(_, Memory::Pieces { pieces, sent: 0 })) => {
                    assert_eq!(pieces[0].as_slice(), b"never");
                }
                (OpKind::Read, Outcome::Failed(_, Memory::Buffers(memories))) => {
                    assert!(memories[0].is_empty() && memories[0].capacity() >= 9);
                }
                (OpKind::Write | OpKind::Read, other) => panic!("{other:?}"),
                _ => {}
            }
        }
    }
    stage.world.fail_later(u64::MAX, 0);
    assert_eq!(stage.world.read_file("/site/file").unwrap(), b"as it was");
    assert!(stage.world.read_file("/site/moved").is_none());
}

/// Whether a kind of operation can fail in so many ways.
fn has_error(kind: OpKind, choice: usize) -> bool {
    let count = match kind {
        OpKind::Open => 4,
        OpKind::Sync | OpKind::Describe => 1,
        _ => 2,
    };
    choice < count
}
