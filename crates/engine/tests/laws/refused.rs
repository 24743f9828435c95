//! io_uring refused at the start, in every way: each has its name, its cure and its way out.
//! Filters stay with a thread, limits with a child: nobody else is hurt, and no root is needed.

use std::os::fd::OwnedFd;
use std::process::Command;
use std::sync::PoisonError;

use springtide_engine::{
    Choice, Engine, EngineOptions, Error, Handle, Mechanism, Op, Outcome, Refusal,
};

use crate::files;
use crate::refusing::{ENTER, REGISTER, SETUP, on_a_thread, refuse};
use crate::shard::{Patience, Shard};
use crate::stage::{Epoll, Outside, Poll, Stage, Uring};
use crate::unix;

/// Where the child is told which part it plays.
const PART: &str = "SPRINGTIDE_LAWS_PART";

/// Under a filter: io_uring by name is an error that says why, and left to choose it is epoll with
/// the same words.
fn filtered(calls: &'static [i64], errno: i32, expected: Refusal) {
    if crate::is_without_uring() {
        return;
    }
    on_a_thread(move || {
        refuse(calls, errno);
        let named = Choice::probe(Some(Mechanism::Uring)).unwrap_err();
        assert_eq!(named, Error::Refused(expected));
        let said = named.to_string();
        assert!(said.starts_with("io_uring is refused: ") && said.ends_with(" (docs/io_uring.md)"));
        let chosen = Choice::probe(None).unwrap();
        assert_eq!((chosen.mechanism, chosen.reason), (Mechanism::Epoll, said));
    });
}

fn forbidden(call: &'static str, errno: i32) -> Refusal {
    Refusal::Filtered { call, errno }
}

#[test]
fn a_forbidden_setup_is_named() {
    let disabled = std::fs::read_to_string("/proc/sys/kernel/io_uring_disabled");
    let by_sysctl = disabled.is_ok_and(|value| value.trim() != "0");
    let expected =
        if by_sysctl { Refusal::Sysctl } else { forbidden("io_uring_setup", libc::EPERM) };
    filtered(&[SETUP, ENTER, REGISTER], libc::EPERM, expected);
    filtered(&[SETUP], libc::EACCES, forbidden("io_uring_setup", libc::EACCES));
}

#[test]
fn an_absent_setup_is_named() {
    filtered(&[SETUP, ENTER, REGISTER], libc::ENOSYS, Refusal::Absent);
}

#[test]
fn an_old_kernel_is_named() {
    filtered(&[SETUP], libc::EINVAL, Refusal::OldKernel);
}

#[test]
fn a_forbidden_enter_is_named() {
    for errno in [libc::EPERM, libc::ENOSYS] {
        filtered(&[ENTER], errno, forbidden("io_uring_enter", errno));
    }
}

#[test]
fn a_forbidden_register_is_named() {
    for errno in [libc::EPERM, libc::ENOSYS] {
        filtered(&[REGISTER], errno, forbidden("io_uring_register", errno));
    }
}

/// poll(2) is taken only where epoll is not to be had either.
#[test]
fn poll_is_the_last_choice() {
    on_a_thread(|| {
        refuse(&[SETUP, libc::SYS_epoll_create1], libc::ENOSYS);
        let chosen = Choice::probe(None).unwrap();
        assert_eq!(chosen.mechanism, Mechanism::Poll);
        assert!(chosen.reason.contains("epoll is refused too: "), "{}", chosen.reason);
    });
}

/// Without openat2(2), as on an old kernel or under a filter that does not know it, files are opened
/// beneath their root in steps, and nothing else changes.
#[test]
fn files_are_opened_without_openat2() {
    for errno in [libc::ENOSYS, libc::EPERM] {
        on_a_thread(move || {
            refuse(&[libc::SYS_openat2], errno);
            files::files_are_opened_and_read(&Epoll::open());
            files::no_path_leads_out_of_the_root(&Epoll::open());
            files::no_path_leads_out_of_the_root(&Poll::open());
        });
    }
}

/// What was bound and cannot listen leaves no file behind.
#[test]
fn a_listener_that_is_refused_leaves_no_file() {
    on_a_thread(|| {
        refuse(&[libc::SYS_listen], libc::EPERM);
        unix::refused_listeners_leave_no_file(&Epoll::open());
    });
}

/// Runs one part in a child, as a user without privileges where we are root. Nobody else is to have
/// a ring meanwhile: locked memory is counted by user.
fn in_a_child(part: &str) {
    if crate::is_without_uring() {
        return;
    }
    let _exclusive = crate::ALONE.write().unwrap_or_else(PoisonError::into_inner);
    let own = std::env::current_exe().unwrap();
    let mut child = Command::new(own);
    child.args(["refused::part_of_a_child", "--exact", "--nocapture"]).env(PART, part);
    let output = child.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let complained = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.contains("1 passed"), "{said}{complained}");
}

/// What a child does; nothing when it is run like the others.
#[test]
fn part_of_a_child() {
    match std::env::var(PART).as_deref() {
        Ok("no memory") => without_memory(),
        Ok("little memory") => with_little_memory(),
        Ok("no descriptors") => without_descriptors(),
        Ok("accept") => accept_without_descriptors(),
        _ => {}
    }
}

fn limit(resource: libc::__rlimit_resource_t, to: u64) {
    let limit = libc::rlimit { rlim_cur: to, rlim_max: to };
    // SAFETY: the limit is valid for reads and outlives the call.
    assert_eq!(unsafe { libc::setrlimit(resource, &raw const limit) }, 0);
}

/// Locked memory is counted by user, and not at all for root.
fn lock_at_most(bytes: u64) {
    limit(libc::RLIMIT_MEMLOCK, bytes);
    // SAFETY: geteuid takes nothing.
    if unsafe { libc::geteuid() } == 0 {
        // A user of our own, so that nobody else's rings count.
        let user = 60_000 + std::process::id() % 4_000;
        // SAFETY: setuid takes no pointers; this process is a child made for it.
        assert_eq!(unsafe { libc::setuid(user) }, 0);
    }
}

fn without_memory() {
    lock_at_most(4096);
    let refused = Choice::probe(Some(Mechanism::Uring)).unwrap_err();
    assert_eq!(refused, Error::Refused(Refusal::LockedMemory));
    let chosen = Choice::probe(None).unwrap();
    assert_eq!(chosen.mechanism, Mechanism::Epoll);
    assert!(chosen.reason.contains("RLIMIT_MEMLOCK"), "{}", chosen.reason);
}

/// 128 KiB are too little for a ring of the usual size, which is 600: two smaller ones fit.
fn with_little_memory() {
    lock_at_most(128 << 10);
    let stage = Uring::open();
    let patience = Patience::until("the memory of rings that have ended is back");
    let shard = || loop {
        match Engine::new(Mechanism::Uring, EngineOptions::default()) {
            Ok(engine) => return Shard::over(engine),
            Err(refused) => assert_eq!(refused, Error::Refused(Refusal::LockedMemory)),
        }
        patience.spend();
    };
    for mut shard in [shard(), shard()] {
        let port = shard.listen();
        let (socket, mut outside) = shard.meet(&stage, &port);
        shard.receive(socket, 1);
        assert_eq!(outside.write(b"small"), 5);
        shard.wait("bytes over a small ring", |completion| {
            matches!(completion.outcome, Outcome::Received(_)).then_some(())
        });
    }
}

fn is_spent(made: &Result<Engine, Error>) -> bool {
    matches!(made, Err(Error::Limit("RLIMIT_NOFILE (ulimit -n)")))
}

/// However many descriptors are left: an engine has enough, or says what is spent. It is never
/// taken for a refusal, and nothing else is chosen for it.
fn without_descriptors() {
    limit(libc::RLIMIT_NOFILE, 64);
    let mut taken: Vec<OwnedFd> = Vec::new();
    while let Ok(file) = std::fs::File::open("/proc/self/status") {
        taken.push(file.into());
    }
    for left in 0..4 {
        for mechanism in [Mechanism::Uring, Mechanism::Epoll, Mechanism::Poll] {
            let made = Engine::new(mechanism, EngineOptions::default());
            let needed = if mechanism == Mechanism::Poll { 1 } else { 2 };
            assert_eq!(is_spent(&made), left < needed, "{left} are left for {mechanism:?}");
            assert_eq!(made.is_ok(), left >= needed);
        }
        let chosen = Choice::probe(None);
        match chosen {
            Ok(choice) => assert_eq!(choice.mechanism, Mechanism::Uring),
            Err(error) => assert!(matches!(error, Error::Limit(_)), "{error}"),
        }
        taken.pop();
    }
}

/// EMFILE ends an accept; the connection waits, and comes when the accept is asked for again.
fn accept_without_descriptors() {
    limit(libc::RLIMIT_NOFILE, 64);
    accept_over(&Uring::open());
    accept_over(&Epoll::open());
    accept_over(&Poll::open());
}

fn accept_over<S: Stage>(stage: &S) {
    let mut shard = Shard::new(stage);
    let port = shard.listen();
    let _waiting = stage.connect(&port.address);
    shard.wait("a first connection", crate::shard::accepted);
    let outside = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    let mut taken: Vec<OwnedFd> = Vec::new();
    while let Ok(file) = std::fs::File::open("/proc/self/status") {
        taken.push(file.into());
    }
    let springtide_engine::Address::Internet(address) = port.address else { panic!("TCP") };
    outside.connect(&address.into()).unwrap();
    let Outcome::Failed(error, _) = shard.last(port.accept) else { panic!("none is free") };
    assert!(error.is_exhausted(), "{error}");
    drop(taken);
    let accept = shard.submit(Op::Accept { listener: port.listener }, 1);
    shard.wait("the connection that waited", |completion| {
        (completion.key == accept).then(|| crate::shard::accepted(completion))?
    });
    assert_eq!(shard.engine.in_flight(), 1);
}

#[test]
fn too_little_locked_memory_is_named() {
    in_a_child("no memory");
}

#[test]
fn a_ring_fits_the_memory_that_may_be_locked() {
    in_a_child("little memory");
}

#[test]
fn spent_descriptors_are_no_refusal() {
    in_a_child("no descriptors");
}

#[test]
fn an_accept_without_descriptors_goes_on_later() {
    in_a_child("accept");
}
