//! Files as tasks, over every backend and on shards that are frozen all the time: each verb, what
//! refuses it, and what becomes of it when nobody wants it any more.

mod chance;
mod patience;

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use springtide_engine::PIECES_MAX;

use crate::fs::{self, OpenOptions};
use crate::tests::files::Directory;
use crate::tests::{Backend, Stage, over_all_backends};
use crate::{Bytes, Failure, Limits, Peer, Reason, Server};

type Log = Arc<Mutex<Vec<String>>>;

/// Runs code on a shard of its own with a directory to write to; gives what it said.
fn told(
    backend: Backend,
    name: &str,
    limits: Limits,
    code: impl AsyncFn(PathBuf, Log) -> Result<(), Failure> + Send + Sync + 'static,
) -> Vec<String> {
    let directory = Directory::new(backend, name, &[("there", b"was there")]);
    let (log, path) = (Log::default(), directory.0.clone());
    let (own, code) = (log.clone(), Arc::new(code));
    let server = Server::new().limits(limits).raw_async(async move |peer: Peer| {
        if let Err(failure) = code(path.clone(), own.clone()).await {
            own.lock().unwrap().push(format!("failed: {failure}"));
        }
        peer.push("done").await?;
        Ok(())
    });
    let there = directory.0.join("there");
    let mut stage = Stage::with_world(backend, server, |world| {
        world.write_file(&there, b"was there");
    });
    let mut peer = stage.connect();
    assert_eq!(stage.talk(&mut peer, b"", 4), b"done");
    drop(peer);
    stage.turns_to_end();
    log.lock().unwrap().clone()
}

fn read_and_write() -> OpenOptions {
    OpenOptions::new().read(true).write(true).create(true)
}

/// What was refused: the errno, or the reason.
fn refused<T: std::fmt::Debug>(result: Result<T, Reason>) -> String {
    match result {
        Err(Reason::System(error)) => format!("{:?}", error.errno()),
        other => format!("{other:?}"),
    }
}

async fn use_files(directory: PathBuf, log: Log) -> Result<(), Failure> {
    let say = |line: String| log.lock().unwrap().push(line);
    let at = |name: &str| directory.join(name);
    say(format!("{:?}", fs::read(at("there")).await?));
    fs::write(at("new"), vec![b'x'; 100_000]).await?;
    say(format!("{}", fs::metadata(at("new")).await?.len()));
    say(format!("{}", fs::read(at("new")).await?.iter().filter(|byte| **byte == b'x').count()));
    let file = fs::open(at("new"), read_and_write()).await?;
    // None of these waits for the one before, and all are done in order.
    let cut = file.set_len(10);
    let tail = file.write_at(8, "tail");
    let pieces = vec![Bytes::from("o"), Bytes::new(), Bytes::from("ne")];
    let all = file.write_vectored_at(20, pieces);
    let known = file.metadata();
    cut.await?;
    say(format!("{:?}", tail.await?));
    say(format!("{:?}", all.await?));
    let known = known.await?;
    say(format!("{} {} {}", known.len(), known.is_file(), known.is_dir()));
    say(format!("{:?}", file.read_at(0, 1000).await?));
    say(format!("{:?}", file.read_vectored_at(7, &[3, 0, 2, 1000]).await?));
    say(format!("{:?} {:?}", file.read_at(100, 5).await?, file.read_at(3, 0).await?));
    file.sync_all().await?;
    file.sync_data().await?;
    let log_file = fs::open(at("log"), OpenOptions::new().append(true).create(true)).await?;
    for line in ["one ", "two ", "three"] {
        log_file.append(line).detach();
    }
    say(format!("{}", log_file.write_at(0, "no").await.is_err()));
    say(format!("{}", file.append("no").await.is_err()));
    drop(log_file);
    fs::create_dir(at("below")).await?;
    fs::rename(at("new"), at("below/moved")).await?;
    say(format!("{}", fs::metadata(at("below/moved")).await?.ino() == known.ino()));
    let mut names: Vec<_> = fs::read_dir(&directory).await?;
    names.sort_by(|one, other| one.file_name().cmp(other.file_name()));
    let names = names.iter().map(|name| format!("{:?} {}", name.file_name(), name.is_dir()));
    say(names.collect::<Vec<_>>().join(", "));
    // Nobody waits for the lines, and none is lost.
    while fs::metadata(at("log")).await?.len() < 13 {}
    say(format!("{:?}", fs::read(at("log")).await?));
    say(refused(fs::remove_dir(at("below")).await));
    fs::remove_file(at("below/moved")).await?;
    fs::remove_dir(at("below")).await?;
    Ok(())
}

/// Every verb does what it says, in the order in which it was asked.
fn files_are_used(backend: Backend) {
    let told = told(backend, "used", Limits::default(), use_files);
    let expected = [
        "b\"was there\"",
        "100000",
        "100000",
        "b\"tail\"",
        "[b\"o\", b\"\", b\"ne\"]",
        "23 true false",
        "b\"xxxxxxxxtail\\0\\0\\0\\0\\0\\0\\0\\0one\"",
        "[b\"xta\", b\"\", b\"il\", b\"\\0\\0\\0\\0\\0\\0\\0\\0one\"]",
        "b\"\" b\"\"",
        "true",
        "true",
        "true",
        "\"below\" true, \"log\" false, \"there\" false",
        "b\"one two three\"",
        "Some(39)",
    ];
    assert_eq!(told, expected);
}

async fn be_refused(directory: PathBuf, log: Log) -> Result<(), Failure> {
    let say = |line: String| log.lock().unwrap().push(line);
    let at = |name: &str| directory.join(name);
    say(refused(fs::open(at("none"), OpenOptions::new()).await));
    say(refused(fs::open(at("there"), OpenOptions::new().create_new(true).write(true)).await));
    say(refused(fs::read(at("none")).await));
    say(refused(fs::read(at("a\0b")).await));
    say(refused(fs::metadata(at("none")).await));
    say(refused(fs::rename(at("none"), at("some")).await));
    say(refused(fs::remove_file(at("none")).await));
    say(refused(fs::create_dir(&directory).await));
    say(refused(fs::write(&directory, "a directory").await));
    say(refused(fs::read_dir(at("there")).await));
    let file = fs::open(at("there"), OpenOptions::new().read(true)).await?;
    say(refused(file.read_at(0, 21).await));
    say(refused(file.read_vectored_at(0, &[20, 1]).await));
    // Nothing is made room for that is refused.
    say(refused(file.read_vectored_at(0, &[usize::MAX, 1]).await));
    say(refused(file.read_vectored_at(0, &[0; PIECES_MAX + 1]).await));
    say(format!("{:?}", file.read_vectored_at(0, &[0, 0]).await?));
    fs::write(at("long"), "what is longer than it may be").await?;
    say(refused(fs::read(at("long")).await));
    say(refused(fs::read_dir(&directory).await));
    // One waits behind the other: a third is one too many.
    let (first, second) = (file.read_at(0, 3), file.read_at(3, 3));
    say(refused(file.read_at(0, 1).await));
    say(format!("{:?} {:?}", first.await?, second.await?));
    Ok(())
}

/// What cannot be is refused by its errno, and what is too much by its limit.
fn what_cannot_be_is_refused(backend: Backend) {
    let limits = Limits {
        file_tasks_max: 2,
        file_read_bytes_max: 20,
        directory_entries_max: 1,
        ..Limits::default()
    };
    let told = told(backend, "refused", limits, be_refused);
    let bytes_max = format!("Err({:?})", Reason::Limit("file_read_bytes_max"));
    let expected = [
        "Some(2)",
        "Some(17)",
        "Some(2)",
        "Some(22)",
        "Some(2)",
        "Some(2)",
        "Some(2)",
        "Some(17)",
        "Some(21)",
        "Some(20)",
        &bytes_max,
        &bytes_max,
        &bytes_max,
        &format!("Err({:?})", Reason::Limit("PIECES_MAX")),
        "[b\"\", b\"\"]",
        &bytes_max,
        &format!("Err({:?})", Reason::Limit("directory_entries_max")),
        &format!("Err({:?})", Reason::Limit("file_tasks_max")),
        "b\"was\" b\" th\"",
    ];
    assert_eq!(told, expected);
}

async fn lose_interest(directory: PathBuf, log: Log) -> Result<(), Failure> {
    let say = |line: String| log.lock().unwrap().push(line);
    let file = fs::open(directory.join("there"), read_and_write()).await?;
    let kept = file.write_at(0, "kept");
    drop(file.write_at(0, "lost, because nobody has looked at it"));
    let cancelled = file.write_at(0, "cancelled before it begins");
    cancelled.cancel();
    say(format!("{:?}", cancelled.await));
    say(format!("{:?}", kept.await?));
    let again = file.clone();
    drop(file);
    say(format!("{:?}", again.read_at(0, 100).await?));
    // Closed behind what was asked of it.
    let last = again.write_at(9, ", and last");
    drop(again);
    last.await?;
    say(format!("{:?}", fs::read(directory.join("there")).await?));
    // Opened for nobody: it is closed again.
    drop(fs::open(directory.join("there"), OpenOptions::new()));
    fs::open(directory.join("there"), OpenOptions::new()).detach();
    Ok(())
}

/// Who drops a task or cancels it has not asked; who drops a file has closed it behind what was asked.
fn nobody_is_waited_for(backend: Backend) {
    let told = told(backend, "dropped", Limits::default(), lose_interest);
    let expected = ["Err(Cancelled)", "b\"kept\"", "b\"keptthere\"", "b\"keptthere, and last\""];
    assert_eq!(told, expected);
}

/// Callbacks are called with what came of it, behind whoever asked.
fn callbacks_are_called(backend: Backend) {
    let directory = Directory::new(backend, "called", &[("there", b"was there")]);
    let path = directory.0.join("there");
    let own = path.clone();
    let server = Server::new().raw(move |peer: Peer| {
        let path = own.clone();
        fs::open(&path, read_and_write()).then(move |_, file| {
            file.write_at(0, "IS").detach();
            file.read_at(0, 100).then(move |_, bytes| {
                peer.push(bytes).detach();
                fs::remove_file(&path).then_result(move |_, removed| {
                    peer.push(format!(" {removed:?}")).then(|peer, _| peer.close().detach());
                });
            });
        });
    });
    let mut stage = Stage::with_world(backend, server, |world| {
        world.write_file(&path, b"was there");
    });
    let mut peer = stage.connect();
    assert_eq!(stage.talk_to_end(&mut peer, b""), "ISs there Ok(())");
    stage.turns_to_end();
}

/// A server that stops closes what is open and ends what is asked.
#[test]
fn a_stop_closes_files() {
    // Held for longer than the server runs.
    thread_local! { static HELD: RefCell<Option<fs::File>> = const { RefCell::new(None) } }
    let server = Server::new().raw_async(async |peer: Peer| {
        let file = fs::open("/file", read_and_write()).await?;
        HELD.set(Some(file.clone()));
        peer.push("open").await?;
        peer.pull().await?;
        file.write_at(0, "behind the end").detach();
        Ok(())
    });
    let mut world = crate::test::World::new(7);
    world.serve(server);
    let before = world.descriptors_open();
    let mut peer = world.connect();
    world.settle();
    assert_eq!(world.descriptors_open(), before + 2, "a socket and a file");
    peer.shutdown();
    world.settle();
    assert_eq!(world.read_file("/file").unwrap(), b"behind the end");
    assert_eq!(world.descriptors_open(), before + 1, "somebody holds the file for ever");
    world.stop(Duration::from_secs(1));
    world.settle();
    assert_eq!((world.shards_running(), world.descriptors_open()), (0, 0));
    drop(HELD.take());
}

/// Other threads use files by the shard in the background, and wait for them.
#[test]
fn any_thread_uses_files() {
    let directory = Directory::new(Backend::Uring, "remote", &[("there", b"was there")]);
    let at = |name: &str| directory.0.join(name);
    let files = fs::remote().unwrap();
    assert_eq!(files.read(at("there")).wait().unwrap(), "was there");
    let file = files.open(at("new"), read_and_write()).wait().unwrap();
    let threads = (0..4_u64).map(|number| {
        let file = file.clone();
        std::thread::spawn(move || {
            for round in 0..10 {
                let bytes = format!("{number}{round}");
                file.write_at(20 * number + 2 * round, bytes).wait().unwrap();
            }
        })
    });
    for thread in threads.collect::<Vec<_>>() {
        thread.join().unwrap();
    }
    let text = file.read_at(0, 80).wait().unwrap();
    assert!(text.starts_with(b"00010203") && text.ends_with(b"373839"), "{text:?}");
    assert_eq!(file.metadata().wait().unwrap().len(), 80);
    assert!(matches!(files.read(Path::new("/none")).wait(), Err(Reason::System(_))));
}

over_all_backends!(
    files_are_used,
    what_cannot_be_is_refused,
    nobody_is_waited_for,
    callbacks_are_called,
);
