//! Encoded forms of a file: sent to who takes them, never when they are older than the file.
//! What is sent is told by its bytes; nothing here is really compressed.

use http::{StatusCode, header};
use springtide_engine::Mechanism;

use super::harness::{Directory, Server, field, over_all};
use super::ranges::parts;
use crate::files::{FileQuery, Files};
use crate::response::Response;

const HOUR_MS: u32 = 3_600_000;

/// A file with all its forms, each as long as the next so that nothing goes by length.
fn site() -> Directory {
    let site = Directory::new();
    for (name, letter) in [("", "i"), (".br", "b"), (".zst", "z"), (".gz", "g")] {
        let name = format!("a.css{name}");
        site.write(&name, letter.repeat(2000));
        site.age(&name, 1000);
    }
    site.write("plain.css", "plain");
    site.age("plain.css", 1000);
    site
}

/// Tests with the files in memory, looked at each time, and on disk.
fn over_both(test: impl Fn(&mut Server, &Directory) + Sync) {
    over_all(|mechanism: Mechanism| {
        for (file_bytes_max, revalidate_ms) in [(1 << 20, HOUR_MS), (1 << 20, 0), (1000, 0)] {
            let site = site();
            let files = Files::new(site.path(""));
            let files = files.file_bytes_max(file_bytes_max).revalidate_ms(revalidate_ms);
            let mut server = Server::new(mechanism, &files);
            test(&mut server, &site);
            server.close(&site);
        }
    });
}

fn query(accepted: &str) -> FileQuery<'_> {
    let accept_encoding = Some(accepted.as_bytes());
    FileQuery { path: "a.css", request_path: "/a.css", accept_encoding, ..FileQuery::default() }
}

/// The letter that a body is made of.
fn letter(response: &Response) -> char {
    let first = response.body()[0];
    assert!(response.body().iter().all(|byte| *byte == first) && response.body().len() == 2000);
    char::from(first)
}

#[test]
fn the_form_that_a_client_takes() {
    over_both(|server, _| {
        let mut tags = Vec::new();
        for (accepted, expected, coding) in [
            ("gzip, deflate, br, zstd", 'b', Some("br")),
            ("gzip, zstd;q=0.9", 'g', Some("gzip")),
            ("zstd", 'z', Some("zstd")),
            ("", 'i', None),
            ("br;q=0.5, identity;q=0.6", 'i', None),
            ("gzip, deflate, br, zstd", 'b', Some("br")),
        ] {
            let reply = server.ask(&query(accepted));
            assert_eq!(reply.status_code(), StatusCode::OK, "{accepted}");
            assert_eq!(letter(&reply), expected, "{accepted}");
            assert_eq!(field(&reply, &header::CONTENT_ENCODING), coding, "{accepted}");
            assert_eq!(field(&reply, &header::VARY), Some("accept-encoding"), "{accepted}");
            assert_eq!(field(&reply, &header::ACCEPT_RANGES), Some("bytes"));
            let content_type = reply.content_type().unwrap();
            assert!(content_type.starts_with("text/css") || content_type.contains("octet"));
            tags.push(field(&reply, &header::ETAG).unwrap().to_owned());
        }
        assert_eq!(tags.first(), tags.last());
        tags.sort();
        tags.dedup();
        assert_eq!(tags.len(), 4, "each form has its own");
        let none = server.ask(&FileQuery { accept_encoding: None, ..query("") });
        assert_eq!(letter(&none), 'i');
        let refused = server.ask(&query("deflate, *;q=0"));
        assert_eq!(refused.status_code(), StatusCode::NOT_ACCEPTABLE);
        assert_eq!(field(&refused, &header::VARY), Some("accept-encoding"));
    });
}

#[test]
fn files_without_other_forms() {
    over_both(|server, _| {
        let plain = |accepted| FileQuery { path: "plain.css", ..query(accepted) };
        let reply = server.ask(&plain("br, gzip"));
        assert_eq!(reply.body(), b"plain");
        assert_eq!(field(&reply, &header::VARY), None);
        let refused = server.ask(&plain("br, identity;q=0"));
        assert_eq!(refused.status_code(), StatusCode::NOT_ACCEPTABLE);
        // The forms are files too.
        let reply = server.ask(&FileQuery { path: "a.css.br", ..query("br, gzip") });
        assert_eq!(letter(&reply), 'b');
        assert_eq!(field(&reply, &header::CONTENT_ENCODING), None);
    });
}

#[test]
fn conditions_and_ranges_are_of_the_form() {
    over_both(|server, _| {
        let whole = server.ask(&query("br"));
        let tag = field(&whole, &header::ETAG).unwrap().as_bytes();
        let known = server.ask(&FileQuery { if_none_match: Some(tag), ..query("br") });
        assert_eq!(known.status_code(), StatusCode::NOT_MODIFIED);
        assert_eq!(field(&known, &header::VARY), Some("accept-encoding"));
        assert_eq!(field(&known, &header::CONTENT_ENCODING), None);
        let other = server.ask(&FileQuery { if_none_match: Some(tag), ..query("gzip") });
        assert_eq!(letter(&other), 'g');

        let range = FileQuery { range: Some(b"bytes=-3"), if_range: Some(tag), ..query("br") };
        let part = server.ask(&range);
        assert_eq!((part.status_code(), part.body()), (StatusCode::PARTIAL_CONTENT, &b"bbb"[..]));
        assert_eq!(field(&part, &header::CONTENT_ENCODING), Some("br"));
        assert_eq!(field(&part, &header::CONTENT_RANGE), Some("bytes 1997-1999/2000"));
        let other = FileQuery { accept_encoding: Some(b"gzip"), ..range };
        assert_eq!(letter(&server.ask(&other)), 'g', "a range of another form is none of this");

        let several = server.ask(&FileQuery { range: Some(b"bytes=0-1,9-9"), ..query("br") });
        assert_eq!(several.status_code(), StatusCode::PARTIAL_CONTENT);
        assert_eq!(field(&several, &header::CONTENT_ENCODING), None);
        for (fields, bytes) in parts(&several) {
            assert!(fields.contains("content-encoding: br\r\n"), "{fields}");
            assert!(bytes.iter().all(|byte| *byte == b'b'));
        }
        let head = server.reply(&FileQuery { is_head: true, ..query("br") });
        let head = format!("{head:?}");
        assert!(head.contains("content-encoding") && head.contains("\"br\""), "{head}");
    });
}

#[test]
fn a_form_that_is_older_than_the_file_is_not_sent() {
    over_all(|mechanism| {
        let site = site();
        let files = Files::new(site.path("")).revalidate_ms(0);
        let mut server = Server::new(mechanism, &files);
        assert_eq!(letter(&server.ask(&query("br, gzip"))), 'b');
        site.age("a.css.br", 2000);
        assert_eq!(letter(&server.ask(&query("br, gzip"))), 'g');
        site.write("a.css", "n".repeat(2000));
        let reply = server.ask(&query("br, gzip, zstd"));
        assert_eq!((letter(&reply), field(&reply, &header::VARY)), ('n', None));
        site.age("a.css", 1500);
        assert_eq!(letter(&server.ask(&query("br, gzip"))), 'g');
        site.write("a.css.gz", "G".repeat(2000));
        assert_eq!(letter(&server.ask(&query("br, gzip"))), 'G');
        std::fs::remove_file(site.path("a.css.gz")).unwrap();
        std::fs::create_dir(site.path("a.css.gz")).unwrap();
        assert_eq!(letter(&server.ask(&query("br, gzip"))), 'n');
        std::fs::remove_file(site.path("a.css")).unwrap();
        assert_eq!(server.ask(&query("br, zstd")).status_code(), StatusCode::NOT_FOUND);
        server.close(&site);
    });
}

/// It has been seen beside the file, and is gone when it is to be read.
#[test]
fn a_form_that_goes_meanwhile() {
    over_all(|mechanism| {
        let site = site();
        let files = Files::new(site.path("")).revalidate_ms(HOUR_MS);
        let mut server = Server::new(mechanism, &files);
        assert_eq!(letter(&server.ask(&query(""))), 'i');
        std::fs::remove_file(site.path("a.css.br")).unwrap();
        assert_eq!(letter(&server.ask(&query("br, gzip"))), 'i');
        assert_eq!(letter(&server.ask(&query("gzip"))), 'g');
        server.close(&site);
    });
}

#[test]
fn forms_are_kept_in_memory() {
    over_all(|mechanism| {
        let site = site();
        let files = Files::new(site.path("")).revalidate_ms(HOUR_MS);
        let mut server = Server::new(mechanism, &files);
        for accepted in ["br", "gzip", "zstd"] {
            server.ask(&query(accepted));
        }
        server.settle();
        let submitted = server.submitted();
        for accepted in ["br", "gzip", "zstd", "", "*"] {
            server.ask(&query(accepted));
        }
        assert_eq!(server.submitted(), submitted);
        server.close(&site);
    });
}

#[test]
fn not_at_all_when_told_so() {
    over_all(|mechanism| {
        let site = site();
        let files = Files::new(site.path("")).precompressed(false);
        let mut server = Server::new(mechanism, &files);
        let reply = server.ask(&query("br"));
        assert_eq!((letter(&reply), field(&reply, &header::VARY)), ('i', None));
        server.close(&site);
    });
}

#[test]
fn a_page_is_sent_as_a_client_takes_it() {
    over_all(|mechanism| {
        let site = site();
        let files = Files::new(site.path("")).not_found_page("a.css");
        let mut server = Server::new(mechanism, &files);
        let ask = |accepted| FileQuery { path: "nothing", ..query(accepted) };
        for (accepted, expected) in [("gzip", 'g'), ("", 'i'), ("*;q=0", 'i')] {
            let reply = server.ask(&ask(accepted));
            assert_eq!((reply.status_code(), letter(&reply)), (StatusCode::NOT_FOUND, expected));
        }
        server.close(&site);
    });
}
