//! Long files: sent piece by piece, cut off when they change, closed when nobody reads them.
//! Every case counts the descriptors that lead to its directory.

use http::{StatusCode, header};

use super::harness::{Directory, Server, asker, field, over_all};
use crate::files::service::STREAMS_MAX;
use crate::files::{FileEvent, FileQuery, FileReply, Files};

const PIECE: usize = 256 << 10;
/// Three pieces and a bit.
const LENGTH: usize = 3 * PIECE + 13;
/// The directory itself.
const ROOT: usize = 1;

/// Bytes that tell where they stand.
fn content() -> Vec<u8> {
    (0..LENGTH).map(|at| (at / 7 + at / 65_536) as u8).collect()
}

fn site() -> (Directory, Files) {
    let site = Directory::new();
    site.write("long", content());
    let files = Files::new(site.path("")).file_bytes_max(1000);
    (site, files)
}

fn query() -> FileQuery<'static> {
    FileQuery { path: "long", request_path: "/long", ..FileQuery::default() }
}

#[test]
fn exact_bytes_in_pieces() {
    over_all(|mechanism| {
        let (site, files) = site();
        let mut server = Server::new(mechanism, &files);
        let stream = server.stream("long");
        let mut body = Vec::new();
        for (length, last) in [(PIECE, false), (PIECE, false), (PIECE, false), (13, true)] {
            let (bytes, is_last) = server.piece(stream).unwrap();
            assert_eq!((bytes.len(), is_last), (length, last));
            body.extend(bytes);
        }
        assert!(body == content());
        // It has ended: nothing comes of these.
        server.service.next_piece(&mut server.engine, stream);
        server.service.abandon(&mut server.engine, stream);
        server.settle();
        assert_eq!(site.descriptors(), ROOT);
        server.close(&site);
    });
}

#[test]
fn what_a_long_file_is_sent_with() {
    over_all(|mechanism| {
        let (site, files) = site();
        let mut server = Server::new(mechanism, &files);
        let all = server.ask(&query());
        assert_eq!(all.status_code(), StatusCode::OK);
        let tag = field(&all, &header::ETAG).unwrap().as_bytes();

        let head = server.reply(&FileQuery { is_head: true, ..query() });
        let FileReply::Streamed { length, stream: None, .. } = head else {
            panic!("a head has no body: {head:?}")
        };
        assert_eq!(length, LENGTH as u64);

        let range = FileQuery { range: Some(b"bytes=5-300000"), if_range: Some(tag), ..query() };
        let part = server.ask(&range);
        assert_eq!(part.status_code(), StatusCode::PARTIAL_CONTENT);
        assert!(part.body() == &content()[5..=300_000]);
        let said = format!("bytes 5-300000/{LENGTH}");
        assert_eq!(field(&part, &header::CONTENT_RANGE), Some(&*said));

        let known = server.ask(&FileQuery { if_none_match: Some(tag), ..query() });
        assert_eq!(known.status_code(), StatusCode::NOT_MODIFIED);
        let none = server.ask(&FileQuery { range: Some(b"bytes=9999999-"), ..query() });
        assert_eq!(none.status_code(), StatusCode::RANGE_NOT_SATISFIABLE);
        server.settle();
        assert_eq!(site.descriptors(), ROOT);
        server.close(&site);
    });
}

#[test]
fn a_long_page_in_place_of_what_is_missing() {
    over_all(|mechanism| {
        let (site, files) = site();
        let mut server = Server::new(mechanism, &files.not_found_page("long"));
        let page = server.get("nothing");
        assert_eq!(page.status_code(), StatusCode::NOT_FOUND);
        assert!(page.body() == content());
        server.close(&site);
    });
}

#[test]
fn a_herd_shares_one_descriptor() {
    over_all(|mechanism| {
        let (site, files) = site();
        let mut server = Server::new(mechanism, &files);
        for number in 0..=STREAMS_MAX {
            assert!(server.request(&query(), number as u64).is_none());
        }
        let mut streams = Vec::new();
        for number in 0..STREAMS_MAX {
            match server.next() {
                FileEvent::Reply(to, FileReply::Streamed { stream: Some(stream), .. }) => {
                    assert_eq!(to, asker(number as u64));
                    streams.push(stream);
                }
                other => panic!("not streamed: {other:?}"),
            }
        }
        match server.next() {
            FileEvent::Reply(_, FileReply::Whole(response)) => {
                assert_eq!(response.status_code(), StatusCode::SERVICE_UNAVAILABLE);
            }
            other => panic!("one too many: {other:?}"),
        }
        assert_eq!(site.descriptors(), ROOT + 1);
        assert!(server.body(streams[7]) == content());
        assert!(server.body(streams[1]) == content());
        for stream in streams {
            server.service.abandon(&mut server.engine, stream);
        }
        server.settle();
        assert_eq!(site.descriptors(), ROOT);
        server.close(&site);
    });
}

/// What may happen to a file while it is sent, and whether its reply breaks.
const CHANGES: &[(&str, Change, bool)] = &[
    ("truncated", |site| truncate(site, 100), true),
    ("truncated to a piece", |site| truncate(site, PIECE as u64), true),
    ("truncated to nothing", |site| truncate(site, 0), true),
    ("grown", |site| truncate(site, 2 * LENGTH as u64), true),
    ("rewritten", |site| site.write("long", vec![b'x'; LENGTH]), true),
    ("removed", |site| std::fs::remove_file(site.path("long")).unwrap(), false),
    ("replaced", replace, false),
    ("replaced by a directory", replace_by_directory, false),
    ("let be", |_| {}, false),
];

type Change = fn(&Directory);

fn truncate(site: &Directory, length: u64) {
    let file = std::fs::File::options().write(true).open(site.path("long")).unwrap();
    file.set_len(length).unwrap();
}

fn replace(site: &Directory) {
    site.write("new", vec![b'x'; LENGTH]);
    std::fs::rename(site.path("new"), site.path("long")).unwrap();
}

fn replace_by_directory(site: &Directory) {
    std::fs::remove_file(site.path("long")).unwrap();
    std::fs::create_dir(site.path("long")).unwrap();
}

#[test]
fn a_file_that_changes_while_it_is_sent() {
    over_all(|mechanism| {
        for (what, change, breaks) in CHANGES {
            let (site, files) = site();
            let mut server = Server::new(mechanism, &files);
            let stream = server.stream("long");
            let mut body = server.piece(stream).unwrap().0;
            change(&site);
            let broken = loop {
                match server.piece(stream) {
                    None => break true,
                    Some((bytes, is_last)) => {
                        body.extend(bytes);
                        if is_last {
                            break false;
                        }
                    }
                }
            };
            assert_eq!(broken, *breaks, "{what}");
            assert!(body == content()[..body.len()], "{what}: no byte of another version");
            assert!(broken || body.len() == LENGTH, "{what}");
            server.settle();
            assert_eq!(site.descriptors(), ROOT, "{what}");
            server.close(&site);
        }
    });
}

#[test]
fn a_change_between_the_read_and_the_look() {
    over_all(|mechanism| {
        for turns in 0..4 {
            let (site, files) = site();
            let mut server = Server::new(mechanism, &files);
            let stream = server.stream("long");
            server.service.next_piece(&mut server.engine, stream);
            for _ in 0..turns {
                server.turn();
            }
            site.write("long", vec![b'x'; LENGTH]);
            match server.next() {
                FileEvent::Piece { bytes, .. } => assert!(bytes == content()[..PIECE]),
                FileEvent::Broken { .. } => {}
                other => panic!("not a piece: {other:?}"),
            }
            server.service.abandon(&mut server.engine, stream);
            server.close(&site);
        }
    });
}

#[test]
fn abandoned_at_any_time() {
    over_all(|mechanism| {
        for turns in 0..8 {
            let (site, files) = site();
            let mut server = Server::new(mechanism, &files);
            let stream = server.stream("long");
            assert_eq!(site.descriptors(), ROOT + 1);
            for step in 0..turns {
                server.service.next_piece(&mut server.engine, stream);
                if step % 2 == 1 {
                    server.turn();
                }
            }
            server.service.abandon(&mut server.engine, stream);
            server.service.abandon(&mut server.engine, stream);
            server.service.next_piece(&mut server.engine, stream);
            server.events.clear();
            server.settle();
            assert_eq!(site.descriptors(), ROOT, "abandoned after {turns} steps");
            server.close(&site);
        }
    });
}

#[test]
fn one_piece_at_a_time() {
    over_all(|mechanism| {
        let (site, files) = site();
        let mut server = Server::new(mechanism, &files);
        let stream = server.stream("long");
        for _ in 0..3 {
            server.service.next_piece(&mut server.engine, stream);
        }
        let Some((bytes, false)) = server.piece(stream) else { panic!("a piece is there") };
        assert!(bytes == content()[..PIECE]);
        server.settle();
        server.service.abandon(&mut server.engine, stream);
        server.close(&site);
    });
}

#[test]
fn closed_while_all_is_under_way() {
    over_all(|mechanism| {
        for turns in 0..5 {
            let (site, files) = site();
            site.write("short", "short");
            let mut server = Server::new(mechanism, &files);
            let (idle, read) = (server.stream("long"), server.stream("long"));
            server.service.next_piece(&mut server.engine, read);
            for path in ["short", "long", "nothing"] {
                assert!(server.request(&FileQuery { path, ..query() }, 0).is_none());
            }
            for _ in 0..turns {
                server.turn();
            }
            server.service.close(&mut server.engine);
            for _ in 0..20 {
                server.turn();
                for event in std::mem::take(&mut server.events) {
                    if let FileEvent::Reply(_, FileReply::Streamed { stream, .. }) = event {
                        server.service.abandon(&mut server.engine, stream.unwrap());
                    }
                }
            }
            server.service.abandon(&mut server.engine, idle);
            server.settle();
            assert_eq!(site.descriptors(), 0, "closed after {turns} turns");
        }
    });
}
