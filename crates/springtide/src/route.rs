//! Routes: which endpoint answers a method and a path.
//! Paths are matched as they were sent; only parameters are decoded, when they are asked for.

use std::fmt::Write as _;
use std::ops::Range;

use http::{HeaderValue, Method};

use crate::files::Files;
use crate::handler::{AnyHandler, MakeAwaited, PlainHandler, Shape};
use crate::offload::PoolHandler;
use crate::request::span_number;

/// What a route leads to.
pub(crate) enum Endpoint {
    /// A function of the application.
    Handler(Answerer),
    /// A directory, by its number; the last parameter is the path within.
    Files(usize),
}

/// A function of the application that answers requests.
pub(crate) enum Answerer {
    /// At once.
    Plain(PlainHandler),
    /// With a future; its number among those, as each shard has its own.
    Awaited(usize),
    /// The same, begun before its body has come.
    Streamed(usize),
    /// On the pool.
    OnPool(PoolHandler),
    /// Any of these, whose bodies have a limit of their own.
    Limited { body_bytes_max: u64, answerer: Box<Answerer> },
}

/// One pattern with what answers its methods.
struct Route {
    pattern: String,
    param_names: Vec<String>,
    /// Apart from the others: most requests are for it, and it is found without a search.
    get: Option<Endpoint>,
    others: Vec<(Method, Endpoint)>,
    /// Answers every method that has no endpoint of its own.
    any: Option<Endpoint>,
    /// The value of `Allow` (RFC 9110 §10.2.1).
    allow: HeaderValue,
}

/// All routes of a server.
#[derive(Default)]
pub(crate) struct Router {
    tree: matchit::Router<usize>,
    routes: Vec<Route>,
    /// The routes without parameters once more: most requests are for one of them.
    plain: PlainPaths,
    fallback: Option<Answerer>,
    awaited: Vec<MakeAwaited>,
    needs_pool: bool,
    directories: Vec<Files>,
}

/// What was found for a request.
pub(crate) enum Found<'router> {
    /// A handler and its route's number.
    Handler(&'router Answerer, usize),
    /// A directory's number; the path within is the last parameter.
    Files(usize),
    /// `OPTIONS` on a path that exists, or a method that the path does not have.
    Allow { value: &'router HeaderValue, is_options: bool },
    /// Nothing.
    Nothing,
}

/// A route that cannot be added, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RouteError {
    /// The pattern as it was given.
    pub pattern: String,
    /// What is wrong with it.
    pub reason: String,
}

impl std::fmt::Display for RouteError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "the route {:?} cannot be added: {}", self.pattern, self.reason)
    }
}

impl std::error::Error for RouteError {}

impl Router {
    /// The number that stands for the fallback.
    pub(crate) const FALLBACK: usize = usize::MAX;

    /// Adds a handler for a method, or for every method that has none.
    pub(crate) fn add(
        &mut self,
        method: Option<Method>,
        pattern: &str,
        handler: AnyHandler,
    ) -> Result<(), RouteError> {
        let endpoint = Endpoint::Handler(self.answerer(handler));
        let error = |reason: String| RouteError { pattern: pattern.to_owned(), reason };
        let number = self.route(pattern).map_err(error)?;
        let route = &mut self.routes[number];
        let Some(method) = method else {
            if route.any.replace(endpoint).is_some() {
                return Err(error("it has a handler for any method already".to_owned()));
            }
            route.allow_again();
            return Ok(());
        };
        match route.endpoint_mut(&method) {
            // Files stand back behind a handler, whichever was named first.
            Some(files @ Endpoint::Files(_)) => *files = endpoint,
            Some(_) => return Err(error(format!("it has a handler for {method} already"))),
            None if method == Method::GET => route.get = Some(endpoint),
            None => route.others.push((method, endpoint)),
        }
        route.allow_again();
        Ok(())
    }

    /// Serves a directory for everything beneath a prefix that has no handler.
    pub(crate) fn add_files(&mut self, prefix: &str, files: Files) -> Result<(), RouteError> {
        if prefix.contains(['{', '}']) {
            let reason = "the prefix of a directory has no parameters".to_owned();
            return Err(RouteError { pattern: prefix.to_owned(), reason });
        }
        let trimmed = prefix.trim_end_matches('/');
        let directory = self.directories.len();
        self.directories.push(files);
        for pattern in [format!("{trimmed}/"), format!("{trimmed}/{{*path}}")] {
            let error = |reason: String| RouteError { pattern: pattern.clone(), reason };
            let number = self.route(&pattern).map_err(error)?;
            let route = &mut self.routes[number];
            route.get.get_or_insert(Endpoint::Files(directory));
            route.allow_again();
        }
        Ok(())
    }

    pub(crate) fn set_fallback(&mut self, handler: AnyHandler) {
        self.fallback = Some(self.answerer(handler));
    }

    fn answerer(&mut self, AnyHandler(shape): AnyHandler) -> Answerer {
        match shape {
            Shape::Plain(handler) => Answerer::Plain(handler),
            Shape::Awaited(make) => {
                self.awaited.push(make);
                Answerer::Awaited(self.awaited.len() - 1)
            }
            Shape::Streamed(make) => {
                self.awaited.push(make);
                Answerer::Streamed(self.awaited.len() - 1)
            }
            Shape::Limited { body_bytes_max, shape } => {
                let answerer = Box::new(self.answerer(AnyHandler(*shape)));
                Answerer::Limited { body_bytes_max, answerer }
            }
            Shape::OnPool(handler) => {
                self.needs_pool = true;
                Answerer::OnPool(handler)
            }
        }
    }

    /// Whether anything of it is answered by the pool.
    pub(crate) const fn needs_pool(&self) -> bool {
        self.needs_pool
    }

    /// What makes each shard its own async handlers, in the order of their numbers.
    pub(crate) fn awaited(&self) -> &[MakeAwaited] {
        &self.awaited
    }

    pub(crate) fn directories(&self) -> &[Files] {
        &self.directories
    }

    /// Finds what answers, and in which ranges of the path the parameters lie. `HEAD` is answered
    /// by `GET` where it has no handler of its own.
    #[inline(never)]
    pub(crate) fn find(
        &self,
        method: &Method,
        path: &[u8],
        params: &mut Vec<Range<u32>>,
    ) -> Found<'_> {
        params.clear();
        let path = if path.is_empty() { b"/" } else { path };
        let plain = self.plain.find(path, &self.routes);
        match plain.or_else(|| self.find_pattern(path, params)) {
            Some(number) => self.found(method, number),
            None => self.nothing(),
        }
    }

    /// Finds what answers a target that is a plain path as it stands.
    #[inline]
    pub(crate) fn find_plain(&self, method: &Method, target: &[u8]) -> Option<Found<'_>> {
        let number = self.plain.find(target, &self.routes)?;
        Some(self.found(method, number))
    }

    #[inline]
    fn found(&self, method: &Method, number: usize) -> Found<'_> {
        let route = &self.routes[number];
        match self.endpoint_of(route, method) {
            Some(Endpoint::Handler(handler)) => Found::Handler(handler, number),
            Some(Endpoint::Files(directory)) => Found::Files(*directory),
            None => Found::Allow { value: &route.allow, is_options: method == Method::OPTIONS },
        }
    }

    /// The route whose pattern matches; a path that is not UTF-8 matches none.
    fn find_pattern(&self, path: &[u8], params: &mut Vec<Range<u32>>) -> Option<usize> {
        let path = std::str::from_utf8(path).ok()?;
        let found = self.tree.at(path).ok()?;
        params.extend(found.params.iter().map(|(_, value)| {
            let start = span_number(value.as_ptr().addr() - path.as_ptr().addr());
            start..start + span_number(value.len())
        }));
        Some(*found.value)
    }

    /// The handler that [`Router::find`] found.
    #[inline]
    pub(crate) fn handler_of(&self, method: &Method, number: usize) -> Option<&Answerer> {
        let Some(route) = self.routes.get(number) else { return self.fallback.as_ref() };
        match self.endpoint_of(route, method)? {
            Endpoint::Handler(handler) => Some(handler),
            Endpoint::Files(_) => None,
        }
    }

    #[inline]
    fn endpoint_of<'route>(
        &self,
        route: &'route Route,
        method: &Method,
    ) -> Option<&'route Endpoint> {
        match *method {
            Method::GET if route.get.is_some() => route.get.as_ref(),
            _ => route.other_endpoint(method),
        }
    }

    fn nothing(&self) -> Found<'_> {
        match &self.fallback {
            Some(fallback) => Found::Handler(fallback, Self::FALLBACK),
            None => Found::Nothing,
        }
    }

    /// A route by its pattern, for reports.
    pub(crate) fn pattern(&self, route: usize) -> &str {
        self.routes.get(route).map_or("the fallback", |route| &route.pattern)
    }

    /// The names of a route's parameters, in the order of its pattern.
    pub(crate) fn param_names(&self, route: usize) -> &[String] {
        self.routes.get(route).map_or(&[], |route| &route.param_names)
    }

    fn route(&mut self, pattern: &str) -> Result<usize, String> {
        if !pattern.starts_with('/') {
            return Err("a pattern begins with a slash".to_owned());
        }
        if let Some(number) = self.routes.iter().position(|route| route.pattern == pattern) {
            return Ok(number);
        }
        let number = self.routes.len();
        self.tree.insert(pattern, number).map_err(|error| error.to_string())?;
        self.routes.push(Route {
            pattern: pattern.to_owned(),
            param_names: param_names(pattern),
            get: None,
            others: Vec::new(),
            any: None,
            allow: HeaderValue::from_static(""),
        });
        // A target is searched for as it stands, and a question mark there begins its query.
        if !pattern.contains(['{', '}', '?']) {
            self.plain.add(number, pattern);
        }
        Ok(number)
    }
}

impl Route {
    #[inline(never)]
    fn other_endpoint(&self, method: &Method) -> Option<&Endpoint> {
        let own = self.others.iter().find(|(own, _)| own == method).map(|(_, endpoint)| endpoint);
        let get = self.get.as_ref().filter(|_| *method == Method::HEAD);
        own.or(get).or(self.any.as_ref())
    }

    fn endpoint_mut(&mut self, method: &Method) -> Option<&mut Endpoint> {
        match *method {
            Method::GET => self.get.as_mut(),
            _ => self.others.iter_mut().find(|(own, _)| own == method).map(|(_, own)| own),
        }
    }

    fn allow_again(&mut self) {
        let mut allow = String::new();
        if self.get.is_some() {
            allow.push_str("GET, HEAD");
        }
        for (method, _) in &self.others {
            if *method == Method::HEAD && self.get.is_some() {
                continue;
            }
            let separator = if allow.is_empty() { "" } else { ", " };
            let _ = write!(allow, "{separator}{method}");
        }
        allow.push_str(if allow.is_empty() { "OPTIONS" } else { ", OPTIONS" });
        self.allow = HeaderValue::from_str(&allow).unwrap_or(HeaderValue::from_static("OPTIONS"));
    }
}

/// Routes by the whole of their path: a hash table.
///
/// A path that is a plain pattern is answered by it whatever other patterns match, so the tree
/// need not be asked.
#[derive(Default)]
struct PlainPaths {
    /// A power of two, at least half of them free.
    places: Vec<Option<PlainPath>>,
    len: usize,
}

struct PlainPath {
    ends: Ends,
    number: usize,
}

impl PlainPaths {
    #[inline]
    fn find(&self, path: &[u8], routes: &[Route]) -> Option<usize> {
        let mask = self.places.len().checked_sub(1)?;
        let ends = Ends::of(path);
        let place = ends.hash() & mask;
        let PlainPath { ends: own, number } = self.places[place].as_ref()?;
        if *own == ends && path.len() <= Ends::WHOLE_MAX {
            return Some(*number);
        }
        self.find_from(place, &ends, path, routes)
    }

    #[inline(never)]
    fn find_from(
        &self,
        mut place: usize,
        ends: &Ends,
        path: &[u8],
        routes: &[Route],
    ) -> Option<usize> {
        loop {
            // Half of the places are free, so this ends.
            let PlainPath { ends: own, number } = self.places[place].as_ref()?;
            if own == ends && routes[*number].pattern.as_bytes() == path {
                return Some(*number);
            }
            place = (place + 1) & (self.places.len() - 1);
        }
    }

    fn add(&mut self, number: usize, pattern: &str) {
        self.len += 1;
        let count = (2 * self.len).next_power_of_two();
        let own = std::mem::take(&mut self.places);
        self.places.resize_with(count, || None);
        let new = PlainPath { ends: Ends::of(pattern.as_bytes()), number };
        for path in own.into_iter().flatten().chain([new]) {
            let mut place = path.ends.hash() & (count - 1);
            while self.places[place].is_some() {
                place = (place + 1) & (count - 1);
            }
            self.places[place] = Some(path);
        }
    }
}

/// Both ends and the length of a path: all of it, when it is short.
#[derive(PartialEq, Eq)]
struct Ends {
    first: u64,
    last: u64,
    len: usize,
}

impl Ends {
    /// The longest path that has no byte between its ends.
    const WHOLE_MAX: usize = 16;

    #[inline]
    fn of(path: &[u8]) -> Self {
        let (first, last) = match (path.first_chunk(), path.last_chunk()) {
            (Some(first), Some(last)) => (u64::from_ne_bytes(*first), u64::from_ne_bytes(*last)),
            _ => (path.iter().fold(0, |word, byte| (word << 8) | u64::from(*byte)), 0),
        };
        Self { first, last, len: path.len() }
    }

    /// Only the application's own patterns are in the table, so nobody can choose colliding ones.
    #[inline]
    fn hash(&self) -> usize {
        let word = self.first ^ self.last.rotate_left(29) ^ self.len as u64;
        (word.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32) as usize
    }
}

/// The names in a pattern such as `/users/{id}/{*rest}`; `{{` stands for a brace.
fn param_names(pattern: &str) -> Vec<String> {
    let plain = pattern.replace("{{", "").replace("}}", "");
    let opened = plain.split('{').skip(1);
    let names = opened.filter_map(|rest| rest.split_once('}').map(|(name, _)| name));
    names.map(|name| name.trim_start_matches('*').to_owned()).collect()
}

#[cfg(test)]
mod tests {
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
}
