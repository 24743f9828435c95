//! Pages in place of what is missing, and how long files may be kept, by their names.
//! Who asks for a page is told by what the request takes.

use http::{StatusCode, header};

use super::harness::{Directory, Server, field, over_all};
use crate::files::{FileQuery, Files};

const PAGE: &str = "text/html,application/xhtml+xml,*/*;q=0.8";

fn query<'a>(path: &'a str, accept: &'a str) -> FileQuery<'a> {
    let accept = Some(accept.as_bytes());
    FileQuery { path, request_path: "/some/path", accept, ..FileQuery::default() }
}

fn site() -> Directory {
    let site = Directory::new();
    site.write("app.html", "app");
    site.write("404.html", "lost");
    site.write("sub/file", "file");
    site
}

#[test]
fn an_application_gets_the_paths_that_lead_nowhere() {
    over_all(|mechanism| {
        let site = site();
        let files = Files::new(site.path("")).fallback_page("app.html").not_found_page("404.html");
        let mut server = Server::new(mechanism, &files);
        for path in ["users/7", "", "sub/", "sub/file/x", "users%2f7", ".hidden", "users/7"] {
            let reply = server.ask(&query(path, PAGE));
            assert_eq!(
                (reply.status_code(), reply.body()),
                (StatusCode::OK, &b"app"[..]),
                "{path}"
            );
            assert_eq!(reply.content_type(), Some("text/html; charset=utf-8"));
            assert_eq!(field(&reply, &header::VARY), Some("accept"));
            let tag = field(&reply, &header::ETAG).unwrap().as_bytes();
            let known = FileQuery { if_none_match: Some(tag), ..query(path, PAGE) };
            assert_eq!(server.ask(&known).status_code(), StatusCode::NOT_MODIFIED);
        }
        for accept in ["*/*", "image/png", "application/json"] {
            let reply = server.ask(&query("users/7", accept));
            assert_eq!((reply.status_code().as_u16(), reply.body()), (404, &b"lost"[..]));
            assert_eq!(field(&reply, &header::VARY), Some("accept"));
        }
        assert_eq!(server.get("users/7").status_code(), StatusCode::NOT_FOUND);
        let found = server.ask(&query("sub/file", PAGE));
        assert_eq!((found.body(), field(&found, &header::VARY)), (&b"file"[..], None));
        server.close(&site);
    });
}

#[test]
fn an_application_that_is_missing_itself() {
    over_all(|mechanism| {
        let site = site();
        for (fallback, page, text) in [
            ("none", Some("404.html"), "lost"),
            ("sub", None, "Not Found"),
            ("none", None, "Not Found"),
        ] {
            let files = Files::new(site.path("")).fallback_page(fallback);
            let files = if let Some(page) = page { files.not_found_page(page) } else { files };
            let mut server = Server::new(mechanism, &files);
            let reply = server.ask(&query("users/7", PAGE));
            assert_eq!((reply.status_code().as_u16(), reply.body()), (404, text.as_bytes()));
            assert_eq!(field(&reply, &header::VARY), Some("accept"));
            server.close(&site);
        }
    });
}

#[test]
fn a_long_application_page_is_streamed() {
    over_all(|mechanism| {
        let site = site();
        site.write("app.html", "a".repeat(300_000));
        let files = Files::new(site.path("")).fallback_page("app.html").file_bytes_max(1000);
        let mut server = Server::new(mechanism, &files);
        let reply = server.ask(&query("users/7", PAGE));
        assert_eq!((reply.status_code(), reply.body().len()), (StatusCode::OK, 300_000));
        assert_eq!(field(&reply, &header::VARY), Some("accept"));
        server.close(&site);
    });
}

#[test]
fn how_long_files_may_be_kept() {
    over_all(|mechanism| {
        let site = Directory::new();
        for name in ["index.html", "assets/a.css", "assets/b/c.js", "x.css", "x.txt"] {
            site.write(name, "text");
        }
        site.write("x.css.gz", "gzip");
        let files = Files::new(site.path(""))
            .cache_control("max-age=1")
            .cache_control_for("assets/**", "immutable")
            .cache_control_for("*.css", "max-age=2")
            .cache_control_for("index.html", "no-cache");
        let mut server = Server::new(mechanism, &files);
        let table = [
            ("", "no-cache"),
            ("assets/a.css", "immutable"),
            ("assets/b/c.js", "immutable"),
            ("x.css", "max-age=2"),
            ("x.txt", "max-age=1"),
        ];
        for (path, value) in table {
            let query = FileQuery { path, request_path: "/", ..FileQuery::default() };
            let reply = server.ask(&FileQuery { accept_encoding: Some(b"gzip"), ..query });
            assert_eq!(field(&reply, &header::CACHE_CONTROL), Some(value), "{path}");
            let tag = field(&reply, &header::ETAG).unwrap().as_bytes();
            let query = FileQuery { accept_encoding: Some(b"gzip"), ..query };
            let known = server.ask(&FileQuery { if_none_match: Some(tag), ..query });
            assert_eq!(field(&known, &header::CACHE_CONTROL), Some(value), "{path}");
        }
        server.close(&site);
    });
}
