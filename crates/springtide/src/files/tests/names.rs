//! What is served under which path: nothing outside the root, nothing hidden, no directories.
//! Every case runs over every mechanism and gives back every descriptor.

use std::os::unix::net::UnixListener;
use std::process::Command;

use http::{StatusCode, header};

use super::harness::{Directory, Server, field, over_all};
use crate::files::{FileQuery, Files};

const FOUND: StatusCode = StatusCode::OK;
const MISSING: StatusCode = StatusCode::NOT_FOUND;

fn site() -> Directory {
    let site = Directory::new();
    site.write("index.html", "home");
    site.write("a b.txt", "space");
    site.write("sub/index.html", "sub home");
    site.write("sub/page.html", "page");
    site.write("empty/.keep", "");
    site.write(".secret", "secret");
    site.write(".well-known/acme", "acme");
    site
}

#[test]
fn files_and_indexes() {
    over_all(|mechanism| {
        let site = site();
        let mut server = Server::new(mechanism, &Files::new(site.path("")));
        let table = [
            ("", 200, "home"),
            ("index.html", 200, "home"),
            ("a%20b.txt", 200, "space"),
            ("sub/", 200, "sub home"),
            ("sub/page.html", 200, "page"),
            ("sub/pag%65.html", 200, "page"),
            ("nothing", 404, "Not Found"),
            ("empty/", 404, "Not Found"),
            ("empty", 404, "Not Found"),
            ("sub/page.html/", 404, "Not Found"),
            ("sub/page.html/x", 404, "Not Found"),
            ("/index.html", 404, "Not Found"),
            ("sub//page.html", 404, "Not Found"),
            ("sub/../index.html", 404, "Not Found"),
            (".secret", 404, "Not Found"),
            (".well-known/acme", 404, "Not Found"),
            ("%2esecret", 404, "Not Found"),
        ];
        // Twice: from disk and from memory.
        for (path, status, text) in table.iter().chain(&table) {
            assert_eq!(server.text(path), (*status, (*text).to_owned()), "{path:?}");
        }
        server.close(&site);
    });
}

#[test]
fn hidden_names() {
    over_all(|mechanism| {
        let site = site();
        let mut server = Server::new(mechanism, &Files::new(site.path("")).hidden(true));
        assert_eq!(server.text(".secret").1, "secret");
        assert_eq!(server.text(".well-known/acme").1, "acme");
        assert_eq!(server.status("../x"), MISSING);
        server.close(&site);
    });
}

#[test]
fn another_index() {
    over_all(|mechanism| {
        let site = site();
        let mut server = Server::new(mechanism, &Files::new(site.path("")).index("page.html"));
        assert_eq!(server.text("sub/").1, "page");
        assert_eq!(server.status(""), MISSING);
        server.close(&site);
    });
}

#[test]
fn directories_are_redirected() {
    over_all(|mechanism| {
        let site = site();
        let mut server = Server::new(mechanism, &Files::new(site.path("")));
        let mut location = |path, request_path| {
            let response = server.ask(&FileQuery { path, request_path, ..FileQuery::default() });
            let location = field(&response, &header::LOCATION).map(str::to_owned);
            (response.status_code().as_u16(), location)
        };
        let to = |location: &str| (301, Some(location.to_owned()));
        for _ in 0..2 {
            assert_eq!(location("sub", "/sub"), to("/sub/"));
            assert_eq!(location("su%62", "/files/su%62"), to("/files/su%62/"));
            // A route of its own, asked for without its slash.
            assert_eq!(location("", "/files"), to("/files/"));
            assert_eq!(location("", "/files/"), (200, None));
            assert_eq!(location("sub", "//sub"), (404, None));
        }
        server.close(&site);
    });
}

#[test]
fn symbolic_links() {
    over_all(|mechanism| {
        let (site, outside) = (site(), Directory::new());
        outside.write("file", "outside");
        outside.write("index.html", "outside");
        site.link(outside.path("file"), "absolute");
        site.link(outside.path(""), "directory");
        site.link("../../../../../../../../etc/passwd", "climbing");
        site.link(site.path("index.html"), "absolute-inside");
        site.link("sub/page.html", "inside");
        site.link("sub", "inside-directory");
        site.link("../index.html", "sub/above");
        site.link("../sub/./above", "sub/twice");
        site.link("../../sub/page.html", "sub/too-far");
        site.link("../sub/../inside-directory/above", "sub/around");
        site.link(
            format!("../{}/index.html", site.path("").file_name().unwrap().display()),
            "back",
        );
        site.link("loop", "loop");
        site.link("one", "other");
        site.link("other", "one");
        site.link("gone", "dangling");
        site.link("/proc/self/fd/0", "magic");
        let mut server = Server::new(mechanism, &Files::new(site.path("")));
        let missing = [
            "absolute",
            "directory/file",
            "directory/",
            "directory",
            "climbing",
            "absolute-inside",
            "loop",
            "loop/x",
            "one",
            "sub/too-far",
            "back",
            "inside/x",
            "dangling",
            "magic",
        ];
        for path in missing {
            assert_eq!(server.status(path), MISSING, "{path}");
        }
        assert_eq!(server.text("inside").1, "page");
        for path in ["sub/above", "sub/twice", "sub/around", "inside-directory/twice"] {
            assert_eq!(server.text(path).1, "home", "{path}");
        }
        assert_eq!(server.text("inside-directory/page.html").1, "page");
        assert_eq!(server.text("inside-directory/").1, "sub home");
        server.close(&site);
        assert_eq!(outside.descriptors(), 0);
    });
}

#[test]
fn what_is_no_regular_file() {
    over_all(|mechanism| {
        let site = site();
        let made = Command::new("mkfifo").arg(site.path("fifo")).status().unwrap();
        assert!(made.success());
        let _socket = UnixListener::bind(site.path("socket")).unwrap();
        site.write("folder/index.html/file", "");
        let mut server = Server::new(mechanism, &Files::new(site.path("")));
        for path in ["fifo", "socket", "folder/", "folder", "fifo/", "socket/x"] {
            assert_eq!(server.status(path), MISSING, "{path}");
        }
        server.close(&site);
    });
}

#[test]
fn a_page_in_place_of_what_is_missing() {
    over_all(|mechanism| {
        let site = site();
        site.write("404.html", "lost");
        let files = Files::new(site.path("")).not_found_page("404.html");
        let mut server = Server::new(mechanism, &files);
        for path in ["nothing", "..", "empty/", "nothing", ".secret"] {
            let response = server.get(path);
            assert_eq!(
                (response.status_code(), response.body()),
                (MISSING, &b"lost"[..]),
                "{path}"
            );
            assert_eq!(response.content_type(), Some("text/html; charset=utf-8"));
        }
        assert_eq!(server.status("404.html"), FOUND);
        let conditional =
            FileQuery { path: "x", if_none_match: Some(b"*"), ..FileQuery::default() };
        assert_eq!(server.ask(&conditional).status_code(), MISSING);
        std::fs::remove_file(site.path("404.html")).unwrap();
        server.close(&site);
    });
}

#[test]
fn a_page_that_is_missing_itself() {
    over_all(|mechanism| {
        let site = site();
        let files = Files::new(site.path("")).not_found_page("sub");
        let mut server = Server::new(mechanism, &files);
        assert_eq!(server.text("nothing"), (404, "Not Found".to_owned()));
        server.close(&site);
        let files = Files::new(site.path("")).not_found_page("none.html");
        let mut server = Server::new(mechanism, &files);
        assert_eq!(server.text("nothing"), (404, "Not Found".to_owned()));
        assert_eq!(server.text("none.html"), (404, "Not Found".to_owned()));
        server.close(&site);
    });
}

#[test]
fn fields_of_a_reply() {
    over_all(|mechanism| {
        let site = site();
        site.age("index.html", 100);
        let mut server =
            Server::new(mechanism, &Files::new(site.path("")).cache_control("max-age=60"));
        let response = server.get("");
        assert_eq!(response.content_type(), Some("text/html; charset=utf-8"));
        assert_eq!(field(&response, &header::ACCEPT_RANGES), Some("bytes"));
        assert_eq!(field(&response, &header::X_CONTENT_TYPE_OPTIONS), Some("nosniff"));
        assert_eq!(field(&response, &header::CACHE_CONTROL), Some("max-age=60"));
        let tag = field(&response, &header::ETAG).unwrap().to_owned();
        let date = field(&response, &header::LAST_MODIFIED).unwrap().to_owned();
        for query in [
            FileQuery { if_none_match: Some(tag.as_bytes()), ..FileQuery::default() },
            FileQuery { if_modified_since: Some(date.as_bytes()), ..FileQuery::default() },
        ] {
            let response = server.ask(&FileQuery { request_path: "/", ..query });
            assert_eq!(response.status_code(), StatusCode::NOT_MODIFIED);
            assert!(response.body().is_empty());
            assert_eq!(field(&response, &header::ETAG), Some(&*tag));
            assert_eq!(field(&response, &header::CACHE_CONTROL), Some("max-age=60"));
        }
        server.close(&site);
    });
}

#[test]
fn no_directory_no_root() {
    over_all(|mechanism| {
        let site = site();
        let mut server = Server::new(mechanism, &Files::new(site.path("")));
        for name in ["nowhere", "index.html"] {
            let files = Files::new(site.path(name));
            let added = server.service.add_root(&mut server.engine, &files);
            assert!(added.is_err_and(|error| error.is_not_found()), "{name}");
        }
        server.close(&site);
    });
}
