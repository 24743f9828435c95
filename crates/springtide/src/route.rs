//! Routes: which endpoint answers a method and a path.
//! Paths are matched as they were sent; only parameters are decoded, when they are asked for.

mod build;
mod host;
mod plain;
mod site;
#[cfg(test)]
mod tests;

use std::fmt::Write as _;
use std::ops::Range;
use std::sync::Arc;

use http::{HeaderValue, Method};

use crate::datagram::DatagramService;
use crate::detection::Detection;
use crate::events::Events;
use crate::files::Files;
use crate::framed::Service;
use crate::handler::{MakeAwaited, PlainHandler};
use crate::middleware::Middleware;
use crate::offload::PoolHandler;
use crate::proxies::Proxies;
use crate::raw::RawService;
use crate::state::States;
pub(crate) use plain::Ends;
use plain::PlainPaths;
use site::{Scope, Site};

/// What a route leads to.
pub(crate) enum Endpoint {
    /// A function of the application.
    Handler(Answerer),
    /// The same with middleware around it.
    Around(Surrounded),
    /// A directory, by its number; the last parameter is the path within. Of a scope.
    Files(u32, u32),
}

/// A function with middleware around it: that of a scope.
pub(crate) struct Surrounded {
    pub(crate) answerer: Answerer,
    scope: u32,
}

/// A function of the application that answers requests.
pub(crate) enum Answerer {
    /// At once.
    Plain(PlainHandler),
    /// With a future; its number among those, as each shard has its own. It may have to run to its
    /// end without its client, and begin before the body has come.
    Awaited { number: usize, to_the_end: bool, is_streamed: bool },
    /// On the pool.
    OnPool(Box<PoolHandler>),
    /// Any of these, whose bodies have a limit of their own.
    Limited { body_bytes_max: u64, answerer: Box<Answerer> },
}

const _: () = assert!(size_of::<Answerer>() <= 24, "most requests look at one");

/// One pattern with what answers its methods.
struct Route {
    pattern: String,
    /// Of which host.
    site: usize,
    /// That of the router which named it first.
    scope: u32,
    param_names: Vec<String>,
    /// Apart from the others: most requests are for it, and it is found without a search.
    get: Option<Endpoint>,
    others: Vec<(Method, Endpoint)>,
    /// Answers every method that has no endpoint of its own.
    any: Option<Endpoint>,
    /// The value of `Allow` (RFC 9110 §10.2.1).
    allow: HeaderValue,
}

/// All routes of a server, for all hosts.
pub(crate) struct Routes {
    routes: Vec<Route>,
    /// The routes without parameters once more, while there is one site only: most requests are for
    /// one of them.
    plain: PlainPaths,
    /// The first is the default one.
    sites: Vec<Site>,
    scopes: Vec<Scope>,
    awaited: Vec<MakeAwaited>,
    needs_pool: bool,
    directories: Vec<Files>,
    pub(crate) proxies: Proxies,
    pub(crate) states: States,
    /// What the server does with raw connections.
    pub(crate) raw: RawService,
    /// What is done where frames are spoken in place of HTTP.
    pub(crate) framed: Option<Service>,
    /// How those are told from HTTP, where it is served as well.
    pub(crate) detection: Detection,
    /// What is done with datagrams.
    pub(crate) datagrams: Vec<DatagramService>,
    /// Who is told of everything.
    pub(crate) events: Option<Arc<dyn Events>>,
}

/// What was found for a request.
pub(crate) enum Found<'routes> {
    /// A handler and its route's number.
    Handler(&'routes Answerer, usize),
    /// The same with middleware around it.
    Around(&'routes Surrounded, usize),
    /// A fallback and its number, in a scope that has middleware.
    Fallback(&'routes Answerer, u32, u32),
    /// A directory's number, and a scope; the path within is the last parameter.
    Files(u32, u32),
    /// `OPTIONS` on a path that exists, or a method that the path does not have.
    Allow { value: &'routes HeaderValue, is_options: bool, scope: u32 },
    /// Nothing, in a scope.
    Nothing(u32),
    /// A host that is not served here (RFC 9110 §15.5.20).
    Misdirected,
}

impl Found<'_> {
    /// Whose middleware stands around it.
    pub(crate) const fn scope(&self) -> u32 {
        match self {
            Self::Around(Surrounded { scope, .. }, _)
            | Self::Fallback(_, _, scope)
            | Self::Files(_, scope)
            | Self::Allow { scope, .. }
            | Self::Nothing(scope) => *scope,
            Self::Handler(..) | Self::Misdirected => 0,
        }
    }

    /// The handler with middleware around it, and its route's number, if it is one.
    pub(crate) const fn surrounded(&self) -> Option<(&Answerer, usize)> {
        match self {
            Self::Around(Surrounded { answerer, .. }, route) => Some((answerer, *route)),
            Self::Fallback(answerer, number, _) => Some((answerer, FALLBACK + *number as usize)),
            _ => None,
        }
    }
}

const _: () = assert!(size_of::<Found<'_>>() <= 24, "every request makes one");

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

/// The numbers from here on stand for the fallbacks of routers. Futures know routes by 32 bits.
const FALLBACK: usize = u32::MAX as usize / 2;

impl Routes {
    /// Whether nothing is done with any connection: neither HTTP nor anything else is served.
    pub(crate) fn is_empty(&self) -> bool {
        !self.has_http() && self.raw.intro.is_none() && self.framed.is_none()
    }

    /// Whether anything of HTTP is served.
    pub(crate) fn has_http(&self) -> bool {
        !self.routes.is_empty() || self.scopes.iter().any(Scope::answers)
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

    /// Finds what answers at a host, and in which ranges of the path the parameters lie. `HEAD` is
    /// answered by `GET` where it has no handler of its own.
    #[inline(never)]
    pub(crate) fn find(
        &self,
        method: &Method,
        host: Option<&[u8]>,
        path: &[u8],
        params: &mut Vec<Range<u32>>,
    ) -> Found<'_> {
        params.clear();
        let Some(number) = self.site_of(host) else { return Found::Misdirected };
        let path = if path.is_empty() { b"/" } else { path };
        let site = &self.sites[number];
        let plain = site.plain.find(path, &self.routes);
        match plain.or_else(|| site.find_pattern(path, params)) {
            Some(route) => self.found(method, route),
            None => self.nothing(number, path),
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
            Some(Endpoint::Around(handler)) => Found::Around(handler, number),
            Some(Endpoint::Files(directory, scope)) => Found::Files(*directory, *scope),
            None => {
                let (is_options, scope) = (method == Method::OPTIONS, route.scope);
                Found::Allow { value: &route.allow, is_options, scope }
            }
        }
    }

    /// The handler that [`Routes::find`] found.
    #[inline]
    pub(crate) fn handler_of(&self, method: &Method, number: usize) -> Option<&Answerer> {
        let Some(route) = self.routes.get(number) else { return self.fallback_of(number) };
        match self.endpoint_of(route, method)? {
            Endpoint::Handler(handler) => Some(handler),
            Endpoint::Around(Surrounded { answerer, .. }) => Some(answerer),
            Endpoint::Files(..) => None,
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

    fn fallback_of(&self, number: usize) -> Option<&Answerer> {
        self.scopes.get(number.checked_sub(FALLBACK)?)?.fallback.as_ref()
    }

    fn nothing(&self, site: usize, path: &[u8]) -> Found<'_> {
        let innermost = self.scope_of_path(site, path);
        let is_bare = self.middleware(innermost).is_empty();
        let mut scope = Some(innermost);
        while let Some(number) = scope {
            let own = &self.scopes[number as usize];
            match &own.fallback {
                Some(fallback) if is_bare => {
                    return Found::Handler(fallback, FALLBACK + number as usize);
                }
                Some(fallback) => return Found::Fallback(fallback, number, innermost),
                None => scope = own.parent,
            }
        }
        Found::Nothing(innermost)
    }

    /// What stands around everything of a scope, the outermost first.
    pub(crate) fn middleware(&self, scope: u32) -> &[Arc<dyn Middleware>] {
        &self.scopes[scope as usize].middleware
    }

    /// A route by its pattern, for reports.
    pub(crate) fn pattern(&self, route: usize) -> &str {
        self.routes.get(route).map_or("the fallback", |route| &route.pattern)
    }

    /// The names of a route's parameters, in the order of its pattern.
    pub(crate) fn param_names(&self, route: usize) -> &[String] {
        self.routes.get(route).map_or(&[], |route| &route.param_names)
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
