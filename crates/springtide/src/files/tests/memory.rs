//! Small files in memory: found again, looked at again in time, never mixed, within the budget.
//! How often the disk was asked is counted in the engine's operations.

use http::{StatusCode, header};

use super::harness::{Directory, Server, asker, field, over_all};
use crate::files::service::{JOBS_MAX, WAITERS_MAX};
use crate::files::{FileEvent, FileQuery, FileReply, Files};
use crate::response::Response;

/// Looks for encoded forms, none of which is there.
const BESIDE: u64 = 3;
/// Operations of a file that is read into memory: open, read, open once more, two closes.
const LOAD: u64 = 5 + BESIDE;
/// Operations of a file that is unchanged: open and close.
const LOOK: u64 = 2 + BESIDE;
const HOUR_MS: u32 = 3_600_000;

fn query(path: &str) -> FileQuery<'_> {
    FileQuery { path, request_path: "/some/path", ..FileQuery::default() }
}

fn whole(event: FileEvent) -> Response {
    match event {
        FileEvent::Reply(_, FileReply::Whole(response)) => response,
        other => panic!("not a whole reply: {other:?}"),
    }
}

#[test]
fn a_hit_asks_for_nothing() {
    over_all(|mechanism| {
        let site = Directory::new();
        site.write("a.txt", "one");
        site.write("index.html", "home");
        let files = Files::new(site.path("")).revalidate_ms(HOUR_MS);
        let mut server = Server::new(mechanism, &files);
        assert_eq!(server.text("a.txt"), (200, "one".to_owned()));
        assert_eq!(server.text("").1, "home");
        assert_eq!(server.submitted(), 2 * LOAD);
        // Every spelling of a name is the same file.
        for path in ["a.txt", "%61.txt", "a%2Etxt", "a%2e%74%78%74"] {
            assert_eq!(server.text(path), (200, "one".to_owned()), "{path}");
        }
        site.write("a.txt", "two");
        assert_eq!(server.text("a.txt").1, "one");
        assert_eq!(server.text("").1, "home");
        assert_eq!(server.text("index.html").1, "home");
        assert_eq!(server.submitted(), 2 * LOAD);
        server.close(&site);
    });
}

#[test]
fn changes_are_seen() {
    over_all(|mechanism| {
        let site = Directory::new();
        site.write("a.txt", "one");
        let mut server = Server::new(mechanism, &Files::new(site.path("")).revalidate_ms(0));
        assert_eq!(server.text("a.txt").1, "one");
        for text in ["two", "three", "", "four", "five"] {
            site.write("a.txt", text);
            assert_eq!(server.text("a.txt"), (200, text.to_owned()));
        }
        site.write("new", "other");
        site.age("new", 1000);
        std::fs::rename(site.path("new"), site.path("a.txt")).unwrap();
        assert_eq!(server.text("a.txt").1, "other");
        std::fs::remove_file(site.path("a.txt")).unwrap();
        assert_eq!(server.text("a.txt").0, 404);
        site.write("a.txt", "back");
        assert_eq!(server.text("a.txt"), (200, "back".to_owned()));
        server.close(&site);
    });
}

#[test]
fn what_is_unchanged_is_not_read_again() {
    over_all(|mechanism| {
        let site = Directory::new();
        site.write("a.txt", "one");
        site.age("a.txt", 100);
        let mut server = Server::new(mechanism, &Files::new(site.path("")).revalidate_ms(0));
        let first = server.get("a.txt").body().as_ptr();
        assert_eq!(server.submitted(), LOAD);
        for round in 1..4 {
            assert_eq!(server.get("a.txt").body().as_ptr(), first);
            assert_eq!(server.submitted(), LOAD + round * LOOK);
        }
        server.close(&site);
    });
}

/// Within the steps of a file system's clock, metadata tell nothing.
#[test]
fn what_was_written_just_now_is_read_again() {
    over_all(|mechanism| {
        let site = Directory::new();
        site.write("a.txt", "one");
        let now = std::fs::metadata(site.path("a.txt")).unwrap().modified().unwrap();
        let mut server = Server::new(mechanism, &Files::new(site.path("")).revalidate_ms(0));
        assert_eq!(server.text("a.txt").1, "one");
        site.write("a.txt", "two");
        let file = std::fs::File::options().write(true).open(site.path("a.txt")).unwrap();
        file.set_modified(now).unwrap();
        drop(file);
        assert_eq!(server.text("a.txt").1, "two");
        server.close(&site);
    });
}

#[test]
fn a_herd_shares_one_read() {
    over_all(|mechanism| {
        let site = Directory::new();
        site.write("a.txt", "one");
        let files = Files::new(site.path("")).revalidate_ms(HOUR_MS);
        let mut server = Server::new(mechanism, &files);
        for number in 0..50 {
            assert!(server.request(&query("a.txt"), number).is_none());
        }
        server.turn();
        for number in 50..100 {
            assert!(server.request(&query("%61.txt"), number).is_none());
        }
        for number in 0..100 {
            match server.next() {
                FileEvent::Reply(to, FileReply::Whole(response)) => {
                    assert_eq!((to, response.body()), (asker(number), &b"one"[..]));
                }
                other => panic!("not a reply: {other:?}"),
            }
        }
        assert_eq!(server.submitted(), LOAD);
        server.close(&site);
    });
}

/// The disk was slow: what an open found has changed by the time its completion is handled.
#[test]
fn who_asks_late_gets_what_is_there_then() {
    over_all(|mechanism| {
        let site = Directory::new();
        site.write("a.txt", "one");
        site.age("a.txt", 100);
        let mut server = Server::new(mechanism, &Files::new(site.path("")).revalidate_ms(0));
        assert_eq!(server.text("a.txt").1, "one");
        server.settle();
        assert!(server.request(&query("a.txt"), 0).is_none());
        let slow = server.take_turns();
        site.write("a.txt", "another");
        assert!(server.request(&query("a.txt"), 1).is_none());
        server.deliver(slow);
        for (number, text) in [(0, &b"one"[..]), (1, b"another")] {
            match server.next() {
                FileEvent::Reply(to, FileReply::Whole(response)) => {
                    assert_eq!((to, response.body()), (asker(number), text));
                }
                other => panic!("not a reply: {other:?}"),
            }
        }
        server.close(&site);
    });
}

#[test]
fn a_file_that_never_rests_is_not_sent() {
    over_all(|mechanism| {
        let site = Directory::new();
        site.write("a.txt", "a");
        let mut server = Server::new(mechanism, &Files::new(site.path("")));
        assert!(server.request(&query("a.txt"), 0).is_none());
        let mut length = 1;
        while server.service.waiting > 0 {
            server.turn();
            length += 1;
            site.write("a.txt", "b".repeat(length));
            assert!(length < 1000, "nobody is answered");
        }
        let response = whole(server.next());
        assert_eq!(response.status_code(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(field(&response, &header::RETRY_AFTER), Some("1"));
        assert_eq!(server.text("a.txt"), (200, "b".repeat(length)));
        server.close(&site);
    });
}

#[test]
fn a_change_meanwhile_never_mixes_versions() {
    let versions = ["a".repeat(9000), "b".repeat(9000), "c".repeat(5), "d".repeat(20_000)];
    over_all(|mechanism| {
        for turns in 0..6 {
            for version in &versions[1..] {
                let site = Directory::new();
                site.write("a.txt", &versions[0]);
                let mut server = Server::new(mechanism, &Files::new(site.path("")));
                assert!(server.request(&query("a.txt"), 0).is_none());
                for _ in 0..turns {
                    server.turn();
                }
                site.write("a.txt", version);
                let body = whole(server.next()).body().to_vec();
                assert!(body == versions[0].as_bytes() || body == version.as_bytes());
                server.close(&site);
            }
        }
    });
}

#[test]
fn what_was_not_asked_for_lately_gives_way() {
    over_all(|mechanism| {
        let site = Directory::new();
        for name in ["a", "b", "c", "d"] {
            site.write(name, name.repeat(10_000));
        }
        let files = Files::new(site.path("")).revalidate_ms(HOUR_MS).memory_bytes_max(35_000);
        let mut server = Server::new(mechanism, &files);
        let loads = |server: &mut Server, name: &str| {
            let before = server.submitted();
            assert_eq!(server.text(name), (200, name.repeat(10_000)));
            server.submitted() > before
        };
        for name in ["a", "b", "c"] {
            assert!(loads(&mut server, name));
            assert!(!loads(&mut server, name));
        }
        assert!(loads(&mut server, "d"));
        assert!(!loads(&mut server, "d"));
        let kept = ["a", "b", "c"].iter().filter(|name| !loads(&mut server, name)).count();
        assert!(kept <= 2, "{kept} of three are kept beside the fourth");
        server.close(&site);
    });
}

#[test]
fn parts_and_heads() {
    over_all(|mechanism| {
        let site = Directory::new();
        site.write("a.txt", "0123456789");
        site.write("empty", "");
        let mut server = Server::new(mechanism, &Files::new(site.path("")));
        for _ in 0..2 {
            let range = FileQuery { range: Some(b"bytes=-3"), ..query("a.txt") };
            let part = server.ask(&range);
            assert_eq!((part.status_code().as_u16(), part.body()), (206, &b"789"[..]));
            assert_eq!(field(&part, &header::CONTENT_RANGE), Some("bytes 7-9/10"));
            let head = server.ask(&FileQuery { is_head: true, ..range });
            assert_eq!((head.status_code().as_u16(), head.body().len()), (200, 10));
            let none = server.ask(&FileQuery { range: Some(b"bytes=0-"), ..query("empty") });
            assert_eq!(none.status_code(), StatusCode::RANGE_NOT_SATISFIABLE);
            let failed = server.ask(&FileQuery { if_match: Some(b"\"x\""), ..query("empty") });
            assert_eq!(failed.status_code(), StatusCode::PRECONDITION_FAILED);
            assert_eq!(server.text("empty"), (200, String::new()));
        }
        server.close(&site);
    });
}

#[test]
fn too_many_names_at_once() {
    over_all(|mechanism| {
        let site = Directory::new();
        let mut server = Server::new(mechanism, &Files::new(site.path("")));
        for number in 0..JOBS_MAX {
            assert!(server.request(&query(&format!("{number}")), 0).is_none());
        }
        match server.request(&query("more"), 0) {
            Some(FileReply::Whole(response)) => {
                assert_eq!(response.status_code(), StatusCode::SERVICE_UNAVAILABLE);
            }
            other => panic!("it does not wait: {other:?}"),
        }
        for _ in 0..JOBS_MAX {
            assert_eq!(whole(server.next()).status_code(), StatusCode::NOT_FOUND);
        }
        assert_eq!(server.status("more"), StatusCode::NOT_FOUND);
        server.close(&site);
    });
}

#[test]
fn too_many_who_wait() {
    over_all(|mechanism| {
        let site = Directory::new();
        site.write("a", "a");
        let mut server = Server::new(mechanism, &Files::new(site.path("")));
        for number in 0..WAITERS_MAX {
            assert!(server.request(&query("a"), number as u64).is_none());
        }
        for path in ["a", "b"] {
            assert!(server.request(&query(path), 0).is_some());
        }
        while server.service.waiting > 0 {
            server.turn();
        }
        assert_eq!(server.events.len(), WAITERS_MAX);
        server.events.clear();
        server.close(&site);
    });
}
