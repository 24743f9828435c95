//! Several ranges in a request: the same reply from memory and from disk, never more than the file.
//! The parts are read here as a client reads them, by the boundary that the reply names.

use http::{StatusCode, header};
use springtide_engine::Mechanism;

use super::harness::{Directory, Server, field, over_all};
use crate::files::{FileQuery, Files};
use crate::response::Response;

const LENGTH: usize = 600_000;

fn content() -> Vec<u8> {
    (0..LENGTH).map(|at| (at / 3 + at / 65_536) as u8).collect()
}

/// Tests a file in memory and one on disk.
fn over_both(test: impl Fn(&mut Server) + Sync) {
    over_all(|mechanism: Mechanism| {
        for file_bytes_max in [1000, 1 << 20] {
            let site = Directory::new();
            site.write("file.css", content());
            site.age("file.css", 1000);
            let files = Files::new(site.path("")).file_bytes_max(file_bytes_max);
            let mut server = Server::new(mechanism, &files);
            test(&mut server);
            server.close(&site);
        }
    });
}

fn query<'a>(range: &'a str) -> FileQuery<'a> {
    let range = Some(range.as_bytes());
    FileQuery { path: "file.css", request_path: "/file.css", range, ..FileQuery::default() }
}

/// The parts of a reply: the fields of each and its bytes.
pub(super) fn parts(response: &Response) -> Vec<(String, Vec<u8>)> {
    let content_type = field(response, &header::CONTENT_TYPE).unwrap();
    let boundary = content_type.strip_prefix("multipart/byteranges; boundary=").unwrap();
    let (first, middle) = (format!("--{boundary}\r\n"), format!("\r\n--{boundary}\r\n"));
    let body = response.body().strip_prefix(first.as_bytes()).unwrap();
    let last = format!("\r\n--{boundary}--\r\n");
    let mut rest = body.strip_suffix(last.as_bytes()).unwrap();
    let mut parts = Vec::new();
    loop {
        let next = memchr::memmem::find(rest, middle.as_bytes());
        let part = &rest[..next.unwrap_or(rest.len())];
        let end = memchr::memmem::find(part, b"\r\n\r\n").unwrap();
        parts.push((String::from_utf8(part[..end].to_vec()).unwrap(), part[end + 4..].to_vec()));
        let Some(next) = next else { return parts };
        rest = &rest[next + middle.len()..];
    }
}

#[test]
fn several_parts() {
    over_both(|server| {
        for _ in 0..2 {
            let reply = server.ask(&query("bytes=10-19, -5, 20-29, 100-400000, 0-0, 700000-"));
            assert_eq!(reply.status_code(), StatusCode::PARTIAL_CONTENT);
            assert_eq!(field(&reply, &header::CONTENT_RANGE), None);
            for name in [header::ETAG, header::LAST_MODIFIED, header::ACCEPT_RANGES] {
                assert!(field(&reply, &name).is_some(), "{name}");
            }
            let expected = [(10, 29), (LENGTH - 5, LENGTH - 1), (100, 400_000), (0, 0)];
            let parts = parts(&reply);
            assert_eq!(parts.len(), expected.len());
            for ((fields, bytes), (first, last)) in parts.iter().zip(expected) {
                let range = format!("content-range: bytes {first}-{last}/{LENGTH}");
                assert_eq!(*fields, format!("content-type: text/css; charset=utf-8\r\n{range}"));
                assert!(bytes == &content()[first..=last]);
            }
        }
    });
}

#[test]
fn several_ranges_that_are_one_part() {
    over_both(|server| {
        for range in ["bytes=5-9,0-4", "bytes=0-9,600000-", "bytes=0-9,1-2,0-0,9-9"] {
            let reply = server.ask(&query(range));
            assert_eq!(reply.status_code(), StatusCode::PARTIAL_CONTENT, "{range}");
            assert_eq!(field(&reply, &header::CONTENT_RANGE), Some("bytes 0-9/600000"), "{range}");
            assert!(reply.body() == &content()[..10], "{range}");
        }
        let none = server.ask(&query("bytes=600000-, -0"));
        assert_eq!(none.status_code(), StatusCode::RANGE_NOT_SATISFIABLE);
    });
}

/// CVE-2017-7529, and the Apache killer before it.
#[test]
fn no_reply_is_longer_than_the_file() {
    over_both(|server| {
        let many: Vec<String> = (0..1000).map(|at| format!("{at}-")).collect();
        let apart: Vec<String> = (0..17).map(|at| format!("{0}-{0}", 2 * at)).collect();
        let whole = [
            format!("bytes={}", many.join(",")),
            format!("bytes={}", apart.join(",")),
            "bytes=0-299990,300000-".to_owned(),
        ];
        for range in &whole {
            let reply = server.ask(&query(range));
            assert_eq!(reply.status_code(), StatusCode::OK, "{range}");
            assert!(reply.body() == content());
        }
        let overlapping: Vec<String> = (0..16).map(|at| format!("{at}-599999")).collect();
        let reply = server.ask(&query(&format!("bytes={}", overlapping.join(","))));
        assert_eq!(reply.body().len(), LENGTH);
        let great = format!("bytes=0-,-{}", u64::MAX);
        assert_eq!(server.ask(&query(&great)).body().len(), LENGTH);
    });
}

#[test]
fn parts_on_condition() {
    over_both(|server| {
        let range = "bytes=0-0,9-9";
        let reply = server.ask(&query(range));
        let tag = field(&reply, &header::ETAG).unwrap().to_owned();
        let date = field(&reply, &header::LAST_MODIFIED).unwrap().to_owned();
        let weak = format!("W/{tag}");
        for (if_range, status) in [(&tag, 206), (&date, 206), (&weak, 200)] {
            let query = FileQuery { if_range: Some(if_range.as_bytes()), ..query(range) };
            assert_eq!(server.ask(&query).status_code().as_u16(), status, "{if_range}");
        }
        let known = FileQuery { if_none_match: Some(tag.as_bytes()), ..query(range) };
        assert_eq!(server.ask(&known).status_code(), StatusCode::NOT_MODIFIED);
        let head = server.reply(&FileQuery { is_head: true, ..query(range) });
        assert!(format!("{head:?}").contains("200"), "{head:?}");
    });
}
