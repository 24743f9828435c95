//! Which endpoint a method and a path find, and which routes are refused.

use super::*;
use crate::handler::Handler;

fn erase<Kind>(handler: impl Handler<Kind>) -> AnyHandler {
    handler.into_any()
}

fn router() -> Router {
    let mut router = Router::default();
    router.add_files("/", Files::new("site")).unwrap();
    for (method, pattern) in [
        (Method::GET, "/"),
        (Method::GET, "/users/{id}"),
        (Method::POST, "/users/{id}"),
        (Method::GET, "/a/{b}/c/{*d}"),
    ] {
        router.add(Some(method), pattern, erase(|| "here")).unwrap();
    }
    router
}

fn describe(router: &Router, method: &Method, path: &str) -> String {
    let mut params = Vec::new();
    let found = router.find(method, path.as_bytes(), &mut params);
    let values: Vec<&str> =
        params.iter().map(|range| &path[range.start as usize..range.end as usize]).collect();
    match found {
        Found::Handler(_, Router::FALLBACK) => "fallback".to_owned(),
        Found::Handler(_, number) => {
            format!("handler {:?} {values:?}", router.param_names(number))
        }
        Found::Files(_) => format!("files {values:?}"),
        Found::Allow { value, is_options } => format!("{value:?} {is_options}"),
        Found::Nothing => "nothing".to_owned(),
    }
}

#[test]
fn requests_find_their_endpoints() {
    let router = router();
    for (method, path, expected) in [
        (Method::GET, "/", "handler [] []"),
        (Method::HEAD, "/", "handler [] []"),
        (Method::GET, "", "handler [] []"),
        (Method::GET, "/users/7", r#"handler ["id"] ["7"]"#),
        (Method::DELETE, "/users/7", r#""GET, HEAD, POST, OPTIONS" false"#),
        (Method::OPTIONS, "/users/7", r#""GET, HEAD, POST, OPTIONS" true"#),
        (Method::GET, "/a/x/c/y/z", r#"handler ["b", "d"] ["x", "y/z"]"#),
        (Method::GET, "/style.css", r#"files ["style.css"]"#),
        (Method::POST, "/style.css", r#""GET, HEAD, OPTIONS" false"#),
    ] {
        assert_eq!(describe(&router, &method, path), expected, "{method} {path}");
    }
    assert_eq!(describe(&Router::default(), &Method::GET, "/"), "nothing");
}

#[test]
fn plain_paths_are_those_of_the_tree() {
    let mut router = Router::default();
    let plain = (0..200).map(|number| format!("/{}/{number}", "long".repeat(number % 7)));
    let plain: Vec<String> = plain.chain(["/".into(), "/a".into(), "/z/y".into()]).collect();
    for (number, path) in plain.iter().enumerate() {
        router.add(Some(Method::GET), path, erase(|| "here")).unwrap();
        if number % 3 == 0 {
            let pattern = format!("/{{first}}/{number}");
            router.add(Some(Method::GET), &pattern, erase(|| "there")).unwrap();
        }
    }
    router.add(Some(Method::GET), "/z/{*rest}", erase(|| "rest")).unwrap();
    router.add(Some(Method::GET), "/{{a}}", erase(|| "braces")).unwrap();
    for path in plain.iter().map(String::as_str).chain(["/{a}", "/z/x", "/other/3"]) {
        let mut params = Vec::new();
        let found = router.find(&Method::GET, path.as_bytes(), &mut params);
        let Found::Handler(_, number) = found else { panic!("{path} has a handler") };
        assert_eq!(number, *router.tree.at(path).unwrap().value, "{path}");
    }
    assert_eq!(describe(&Router::default(), &Method::GET, "/a"), "nothing");
    let mut params = Vec::new();
    assert!(matches!(router.find(&Method::GET, b"/\xFF", &mut params), Found::Nothing));
}

#[test]
fn conflicts_are_named() {
    let mut router = router();
    let again = router.add(Some(Method::GET), "/", erase(|| ""));
    assert_eq!(again.unwrap_err().reason, "it has a handler for GET already");
    let clash = router.add(Some(Method::GET), "/users/{name}", erase(|| ""));
    assert!(clash.unwrap_err().reason.contains("/users/{id}"));
    let named = router.add_files("/u/{name}", Files::new("site"));
    assert_eq!(named.unwrap_err().reason, "the prefix of a directory has no parameters");
    let relative = router.add(Some(Method::GET), "users", erase(|| ""));
    assert_eq!(relative.unwrap_err().reason, "a pattern begins with a slash");
}
