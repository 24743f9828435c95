//! Which endpoint a host, a method and a path find, and which routes are refused.

use super::*;
use crate::Server;
use crate::router::Router;

fn routes(server: Server) -> Routes {
    try_routes(server).unwrap()
}

fn try_routes(mut server: Server) -> Result<Routes, RouteError> {
    match server.check() {
        Ok(()) => Ok(std::mem::take(&mut server.routes)),
        Err(crate::Error::Route(error)) => Err(error),
        Err(error) => panic!("{error}"),
    }
}

fn site() -> Server {
    Server::new()
        .files("/", "site")
        .get("/", || "here")
        .get("/users/{id}", || "here")
        .post("/users/{id}", || "here")
        .get("/a/{b}/c/{*d}", || "here")
}

fn describe(routes: &Routes, method: &Method, path: &str) -> String {
    describe_at(routes, None, method, path)
}

fn describe_at(routes: &Routes, host: Option<&str>, method: &Method, path: &str) -> String {
    let mut params = Vec::new();
    let found = routes.find(method, host.map(str::as_bytes), path.as_bytes(), &mut params);
    let values: Vec<&str> =
        params.iter().map(|range| &path[range.start as usize..range.end as usize]).collect();
    match found {
        Found::Around(_, number) => format!("around {number}"),
        Found::Fallback(_, number, scope) => format!("around {number} of {scope}"),
        Found::Handler(_, number) if number >= FALLBACK => {
            format!("fallback {}", number - FALLBACK)
        }
        Found::Handler(_, number) => {
            format!("{} {:?} {values:?}", routes.pattern(number), routes.param_names(number))
        }
        Found::Files(number, _) => format!("files {number} {values:?}"),
        Found::Allow { value, is_options, .. } => format!("{value:?} {is_options}"),
        Found::Nothing(_) => "nothing".to_owned(),
        Found::Misdirected => "misdirected".to_owned(),
    }
}

/// Who waits keeps the number of its route in 32 bits.
#[test]
fn fallbacks_are_no_routes_in_32_bits_either() {
    let routes = routes(site());
    for scope in 0..3 {
        let number = u32::try_from(FALLBACK + scope).unwrap();
        assert_eq!(routes.pattern(number as usize), "the fallback");
    }
}

#[test]
fn requests_find_their_endpoints() {
    let routes = routes(site());
    for (method, path, expected) in [
        (Method::GET, "/", "/ [] []"),
        (Method::HEAD, "/", "/ [] []"),
        (Method::GET, "", "/ [] []"),
        (Method::GET, "/users/7", r#"/users/{id} ["id"] ["7"]"#),
        (Method::DELETE, "/users/7", r#""GET, HEAD, POST, OPTIONS" false"#),
        (Method::OPTIONS, "/users/7", r#""GET, HEAD, POST, OPTIONS" true"#),
        (Method::GET, "/a/x/c/y/z", r#"/a/{b}/c/{*d} ["b", "d"] ["x", "y/z"]"#),
        (Method::GET, "/style.css", r#"files 0 ["style.css"]"#),
        (Method::POST, "/style.css", r#""GET, HEAD, OPTIONS" false"#),
    ] {
        assert_eq!(describe(&routes, &method, path), expected, "{method} {path}");
    }
    assert_eq!(describe(&Routes::default(), &Method::GET, "/"), "nothing");
}

#[test]
fn plain_paths_are_those_of_the_tree() {
    let mut server = Server::new();
    let plain = (0..200).map(|number| format!("/{}/{number}", "long".repeat(number % 7)));
    let plain: Vec<String> = plain.chain(["/".into(), "/a".into(), "/z/y".into()]).collect();
    for (number, path) in plain.iter().enumerate() {
        server = server.get(path, || "here");
        if number % 3 == 0 {
            server = server.get(&format!("/{{first}}/{number}"), || "there");
        }
    }
    let routes = routes(server.get("/z/{*rest}", || "rest").get("/{{a}}", || "braces"));
    for path in plain.iter().map(String::as_str).chain(["/{a}", "/z/x", "/other/3"]) {
        let mut params = Vec::new();
        let found = routes.find(&Method::GET, None, path.as_bytes(), &mut params);
        let Found::Handler(_, number) = found else { panic!("{path} has a handler") };
        let tree = routes.sites[0].find_pattern(path.as_bytes(), &mut params);
        assert_eq!(Some(number), tree, "{path}");
        let plain = routes.find_plain(&Method::GET, path.as_bytes());
        assert_eq!(plain.is_some(), plain_at(&routes, number), "{path}");
    }
    assert_eq!(describe(&Routes::default(), &Method::GET, "/a"), "nothing");
    let mut params = Vec::new();
    assert!(matches!(routes.find(&Method::GET, None, b"/\xFF", &mut params), Found::Nothing(_)));
}

fn plain_at(routes: &Routes, number: usize) -> bool {
    !routes.pattern(number).contains('{')
}

#[test]
fn conflicts_are_named() {
    let refused = |server: Server| {
        let error = try_routes(server).map(|_| "it was added").unwrap_err();
        (error.pattern, error.reason)
    };
    let (_, again) = refused(site().get("/", || ""));
    assert_eq!(again, "it has a handler for GET already");
    let (_, clash) = refused(site().get("/users/{name}", || ""));
    assert!(clash.contains("/users/{id}"));
    let (_, named) = refused(site().files("/u/{name}", "site"));
    assert_eq!(named, "the prefix of a directory has no parameters");
    let (_, relative) = refused(site().get("users", || ""));
    assert_eq!(relative, "a pattern begins with a slash");
    let nested = || Router::new().get("/{name}", || "");
    let (pattern, clash) = refused(site().nest("/users", nested()));
    assert!(pattern == "/users/{name}" && clash.contains("/users/{id}"), "{pattern}: {clash}");
    let (pattern, clash) =
        refused(site().host("a", Router::new().get("/x/{id}", || "").nest("/x", nested())));
    assert!(pattern == "a/x/{name}" && clash.contains("/x/{id}"), "{pattern}: {clash}");
    let (pattern, twice) =
        refused(site().host("Example.org", nested()).host("example.ORG", nested()));
    assert_eq!((&*pattern, &*twice), ("example.ORG", "this host has a router already"));
    assert_eq!(refused(site().host("a:80", nested())).1, "it is no host");
    for (prefix, reason) in [
        ("/", "a router is mounted beneath a path"),
        ("api", "a pattern begins with a slash"),
        ("/{*all}", "nothing can be mounted behind a parameter that takes everything"),
    ] {
        assert_eq!(refused(site().nest(prefix, nested())).1, reason);
    }
}

#[test]
fn routers_lie_beneath_their_prefix() {
    let inner = Router::new().get("/", || "").get("/{number}", || "").fallback(|| "inner");
    let api = Router::new()
        .get("/", || "")
        .post("/x", || "")
        .files("/docs", "site")
        .nest("/of/{user}/notes/", inner);
    let routes = routes(Server::new().get("/api/x", || "").nest("/api", api).fallback(|| ""));
    for (path, expected) in [
        ("/api", "/api [] []"),
        ("/api/", "fallback 0"),
        ("/api/x", "/api/x [] []"),
        ("/api/docs/a/b", r#"files 0 ["a/b"]"#),
        ("/api/of/7/notes", r#"/api/of/{user}/notes ["user"] ["7"]"#),
        ("/api/of/7/notes/3", r#"/api/of/{user}/notes/{number} ["user", "number"] ["7", "3"]"#),
        ("/api/of/7/notes/3/4", "fallback 2"),
        ("/api/of//notes/3/4", "fallback 0"),
        ("/api/of/7/notesx/3", "fallback 0"),
        ("/elsewhere", "fallback 0"),
    ] {
        assert_eq!(describe(&routes, &Method::GET, path), expected, "{path}");
    }
    assert_eq!(describe(&routes, &Method::PUT, "/api/x"), r#""GET, HEAD, POST, OPTIONS" false"#);
}

#[test]
fn hosts_have_their_own_routes() {
    let one = |fallback: bool| {
        let router = Router::new().get("/x", || "");
        if fallback { router.fallback(|| "") } else { router }
    };
    let hosts = || {
        Server::new()
            .host("example.org", one(true))
            .host("*.example.org", one(false))
            .host("*.a.example.org", one(true))
    };
    let described = |routes: &Routes, host, path| describe_at(routes, host, &Method::GET, path);
    let alone = routes(hosts());
    for (host, path, expected) in [
        (Some("example.org"), "/x", "/x [] []"),
        (Some("EXAMPLE.ORG:80"), "/y", "fallback 1"),
        (Some("b.example.org"), "/y", "nothing"),
        (Some("b.a.example.org."), "/y", "fallback 3"),
        (Some("example.com"), "/x", "misdirected"),
        (None, "/x", "misdirected"),
    ] {
        assert_eq!(described(&alone, host, path), expected, "{host:?} {path}");
    }
    assert!(alone.find_plain(&Method::GET, b"/x").is_none(), "a target alone says nothing");
    let with_default = routes(hosts().get("/z", || ""));
    assert_eq!(described(&with_default, Some("example.com"), "/z"), "/z [] []");
    assert_eq!(described(&with_default, Some("example.com"), "/x"), "nothing");
}
