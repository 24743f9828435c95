//! Directories as pages: of what can be asked for, and only where they were asked for.
//! The page itself is tested where it is made.

use http::{StatusCode, header};

use super::harness::{Directory, Server, field, over_all};
use crate::files::{FileQuery, Files};

fn site() -> Directory {
    let site = Directory::new();
    site.write("a.txt", "a");
    site.write("b<i>.txt", "b");
    site.write(".secret", "secret");
    site.write("sub/x y.txt", "x");
    site.write("sub/inner/z", "z");
    site.write("index/index.html", "index");
    site
}

fn names(server: &mut Server, path: &str) -> Vec<String> {
    let reply = server.get(path);
    assert_eq!(reply.status_code(), StatusCode::OK, "{path}");
    assert_eq!(reply.content_type(), Some("text/html; charset=utf-8"));
    let page = String::from_utf8(reply.body().to_vec()).unwrap();
    let links = page.split("href=\"").skip(1);
    links.map(|link| link.split_once('"').unwrap().0.to_owned()).collect()
}

#[test]
fn names_of_directories() {
    over_all(|mechanism| {
        let site = site();
        let mut server = Server::new(mechanism, &Files::new(site.path("")).list(true));
        for _ in 0..2 {
            assert_eq!(names(&mut server, ""), ["./index/", "./sub/", "./a.txt", "./b%3Ci%3E.txt"]);
            assert_eq!(names(&mut server, "sub/"), ["../", "./inner/", "./x%20y.txt"]);
            assert_eq!(server.text("index/").1, "index");
            assert_eq!(server.text("b%3Ci%3E.txt").1, "b");
            assert_eq!(server.text("sub/x%20y.txt").1, "x");
            for path in ["nothing/", "a.txt/", "sub//", "../", ".secret/", "sub/../"] {
                assert_eq!(server.status(path), StatusCode::NOT_FOUND, "{path}");
            }
        }
        let redirect = server.get("sub");
        assert_eq!(redirect.status_code(), StatusCode::MOVED_PERMANENTLY);
        let mount = FileQuery { path: "", request_path: "/files", ..FileQuery::default() };
        assert_eq!(field(&server.ask(&mount), &header::LOCATION), Some("/files/"));
        server.close(&site);
    });
}

#[test]
fn names_are_looked_at_again() {
    over_all(|mechanism| {
        let site = site();
        let files = Files::new(site.path("")).list(true).hidden(true).revalidate_ms(0);
        let mut server = Server::new(mechanism, &files);
        assert_eq!(names(&mut server, "sub/").len(), 3);
        site.write("sub/new", "new");
        assert_eq!(names(&mut server, "sub/").len(), 4);
        assert!(names(&mut server, "").contains(&"./.secret".to_owned()));
        let reply = server.get("sub/");
        let tag = field(&reply, &header::ETAG).unwrap().as_bytes();
        let query = FileQuery { path: "sub/", request_path: "/sub/", ..FileQuery::default() };
        let known = server.ask(&FileQuery { if_none_match: Some(tag), ..query });
        assert_eq!(known.status_code(), StatusCode::NOT_MODIFIED);
        std::fs::remove_dir_all(site.path("sub")).unwrap();
        assert_eq!(server.status("sub/"), StatusCode::NOT_FOUND);
        server.close(&site);
    });
}

#[test]
fn no_names_unless_told_so() {
    over_all(|mechanism| {
        let site = site();
        let mut server = Server::new(mechanism, &Files::new(site.path("")));
        for path in ["", "sub/", "sub"] {
            assert_eq!(server.status(path), StatusCode::NOT_FOUND, "{path}");
        }
        server.close(&site);
    });
}

/// A link out of the root leads to no names, and one within does.
#[test]
fn names_behind_links() {
    over_all(|mechanism| {
        let (site, outside) = (site(), Directory::new());
        site.link(outside.path(""), "out");
        site.link("sub", "in");
        let mut server = Server::new(mechanism, &Files::new(site.path("")).list(true));
        assert_eq!(server.status("out/"), StatusCode::NOT_FOUND);
        assert_eq!(names(&mut server, "in/").len(), 3);
        server.close(&site);
    });
}

#[test]
fn a_great_directory_is_cut() {
    let site = Directory::new();
    for number in 0..4200 {
        site.write(&format!("many/{number}"), "");
    }
    let mut server =
        Server::new(springtide_engine::Mechanism::Epoll, &Files::new(site.path("")).list(true));
    let page = server.text("many/").1;
    assert_eq!(page.matches("href=\"./").count(), 4096);
    assert!(page.contains("more names"));
    server.close(&site);
}

#[test]
fn closed_while_names_are_read() {
    over_all(|mechanism| {
        for turns in 0..4 {
            let site = site();
            let mut server = Server::new(mechanism, &Files::new(site.path("")).list(true));
            let query = FileQuery { path: "sub/", request_path: "/sub/", ..FileQuery::default() };
            assert!(server.request(&query, 1).is_none());
            for _ in 0..turns {
                server.turn();
            }
            server.service.close(&mut server.engine);
            while server.turn() {}
            assert_eq!(site.descriptors(), 0, "closed after {turns} turns");
        }
    });
}
