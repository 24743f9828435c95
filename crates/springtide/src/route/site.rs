//! Sites, one a host, and scopes, one a router: whose routes are searched, and whose rules hold.
//! Neither knows what answers a route.

use std::ops::Range;
use std::sync::Arc;

use super::host::{self, HostPattern};
use super::plain::PlainPaths;
use super::{Answerer, Routes};
use crate::middleware::{Around, Middleware};
use crate::request::span_number;

/// The routes of one host.
pub(super) struct Site {
    /// None for the default site.
    pub(super) host: Option<HostPattern>,
    tree: matchit::Router<usize>,
    /// The routes without parameters once more.
    pub(super) plain: PlainPaths,
    /// That of its outermost router.
    scope: u32,
}

/// One router where it is mounted.
pub(super) struct Scope {
    site: usize,
    /// Without a slash at its end.
    prefix: String,
    /// The router around it.
    pub(super) parent: Option<u32>,
    pub(super) fallback: Option<Answerer>,
    /// What stands around everything of it, that of the routers around it first.
    pub(super) middleware: Vec<Arc<dyn Middleware>>,
    /// What stands around its handlers, within the middleware; the outermost first.
    pub(super) around: Vec<Around>,
}

impl Site {
    pub(super) fn of(host: Option<HostPattern>, scope: u32) -> Self {
        Self { host, tree: matchit::Router::new(), plain: PlainPaths::default(), scope }
    }

    pub(super) const fn scope(&self) -> u32 {
        self.scope
    }

    pub(super) fn add(&mut self, number: usize, pattern: &str) -> Result<(), String> {
        self.tree.insert(pattern, number).map_err(|error| error.to_string())?;
        // A target is searched for as it stands, and a question mark there begins its query.
        if !pattern.contains(['{', '}', '?']) {
            self.plain.add(number, pattern);
        }
        Ok(())
    }

    /// The route whose pattern matches; a path that is not UTF-8 matches none.
    pub(super) fn find_pattern(&self, path: &[u8], params: &mut Vec<Range<u32>>) -> Option<usize> {
        let path = std::str::from_utf8(path).ok()?;
        let found = self.tree.at(path).ok()?;
        params.extend(found.params.iter().map(|(_, value)| {
            let start = span_number(value.as_ptr().addr() - path.as_ptr().addr());
            start..start + span_number(value.len())
        }));
        Some(*found.value)
    }
}

impl Scope {
    /// That of a site's outermost router.
    pub(super) fn of(site: usize) -> Self {
        let (prefix, middleware, around) = Default::default();
        Self { site, prefix, parent: None, fallback: None, middleware, around }
    }

    /// That of a router which is mounted in this one.
    pub(super) fn nested(&self, number: u32, prefix: &str) -> Self {
        let (prefix, parent) = (prefix.to_owned(), Some(number));
        Self { prefix, parent, ..self.within(self.site) }
    }

    /// That of another site's outermost router, with the same around it.
    pub(super) fn within(&self, site: usize) -> Self {
        let (middleware, around) = (self.middleware.clone(), self.around.clone());
        Self { middleware, around, ..Self::of(site) }
    }

    /// Whether something in it may answer what has no route.
    pub(super) const fn answers(&self) -> bool {
        self.fallback.is_some() || !self.middleware.is_empty() || !self.around.is_empty()
    }

    /// Whether a path lies beneath it. A segment with a parameter is any that is not empty.
    fn contains(&self, path: &[u8]) -> bool {
        let mut segments = path.split(|byte| *byte == b'/');
        self.prefix.split('/').all(|own| {
            segments.next().is_some_and(|segment| match own.contains('{') {
                true => !segment.is_empty(),
                false => own.as_bytes() == segment,
            })
        })
    }
}

impl Routes {
    /// Whether it matters which host is asked.
    pub(crate) const fn asks_host(&self) -> bool {
        self.sites.len() > 1
    }

    /// The site of a host; none when it is unknown and there is no default site.
    pub(super) fn site_of(&self, host: Option<&[u8]>) -> Option<usize> {
        if !self.asks_host() {
            return Some(0);
        }
        let normal = host.and_then(host::normal);
        let named = self.sites.iter().enumerate().skip(1).filter_map(|(number, site)| {
            let rank = site.host.as_ref()?.rank(normal?)?;
            Some((rank, number))
        });
        let named = named.max().map(|(_, number)| number);
        named.or_else(|| self.has_default().then_some(0))
    }

    /// Whether anything was added for hosts that have no router of their own.
    fn has_default(&self) -> bool {
        self.scopes[0].fallback.is_some() || self.routes.iter().any(|route| route.site == 0)
    }

    /// The innermost router that a path lies beneath.
    pub(super) fn scope_of_path(&self, site: usize, path: &[u8]) -> u32 {
        let scopes = (0..).zip(&self.scopes);
        let beneath = scopes.filter(|(_, scope)| scope.site == site && scope.contains(path));
        let innermost = beneath.max_by_key(|(_, scope)| scope.prefix.split('/').count());
        innermost.map_or(self.sites[site].scope, |(number, _)| number)
    }
}
