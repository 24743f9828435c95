//! How routers become routes: prefixes joined, conflicts found.
//! It runs before the server starts and never again.

use http::{HeaderValue, Method};

use super::host::HostPattern;
use super::site::{Scope, Site};
use super::{Answerer, Endpoint, PlainPaths, Route, RouteError, Routes, Surrounded};
use crate::events;
use crate::files::Files;
use crate::handler::{AnyHandler, Handler, Plain, Shape};
use crate::middleware::{AnyShape, AnyWrap};
use crate::router::{Entry, Router};

/// Where a router is mounted.
#[derive(Clone, Copy)]
struct Mount<'a> {
    prefix: &'a str,
    site: usize,
    scope: u32,
}

impl Default for Routes {
    /// The default site, with nothing in it.
    fn default() -> Self {
        let (routes, plain, awaited, needs_pool, directories) = Default::default();
        let (proxies, states, raw, framed, detection, datagrams, events) = Default::default();
        let (sites, scopes) = (vec![Site::of(None, 0)], vec![Scope::of(0)]);
        Self {
            routes,
            plain,
            sites,
            scopes,
            awaited,
            needs_pool,
            directories,
            proxies,
            states,
            raw,
            framed,
            detection,
            datagrams,
            events,
        }
    }
}

impl Routes {
    /// Takes what routers have collected.
    ///
    /// # Errors
    /// The first that does not fit, with what it is in conflict with.
    pub(crate) fn absorb(
        &mut self,
        root: &mut Router,
        hosts: &mut Vec<(String, Router)>,
    ) -> Result<(), RouteError> {
        self.mount(root, Mount { prefix: "", site: 0, scope: 0 })?;
        for (host, mut router) in std::mem::take(hosts) {
            let mount = self.add_host(&host)?;
            self.mount(&mut router, mount)
                .map_err(|error| RouteError { pattern: host + &error.pattern, ..error })?;
        }
        // With several hosts a target alone says nothing.
        let asks_host = self.asks_host();
        self.plain = if asks_host { PlainPaths::default() } else { self.sites[0].plain.clone() };
        Ok(())
    }

    /// Has the events answer what no route does, in the sites that have any. What stands around the
    /// handlers of a site and goes around none that says its reply at once leaves that 404.
    pub(crate) fn ask_events(&mut self) {
        if self.events.is_none() {
            return;
        }
        for (number, scope) in self.sites.iter().map(Site::scope).enumerate().collect::<Vec<_>>() {
            let is_answered = self.scopes[scope as usize].fallback.is_some();
            if is_answered || !self.routes.iter().any(|route| route.site == number) {
                continue;
            }
            let mount = Mount { prefix: "", site: number, scope };
            let handler = Handler::<Plain>::into_any(events::answer);
            let answerer = self.answerer(mount, "/…", handler);
            self.scopes[scope as usize].fallback = answerer.ok();
        }
    }

    fn add_host(&mut self, host: &str) -> Result<Mount<'static>, RouteError> {
        let error = |reason: &str| RouteError { pattern: host.into(), reason: reason.into() };
        let pattern = HostPattern::parse(host).ok_or_else(|| error("it is no host"))?;
        if self.sites.iter().any(|site| site.host.as_ref() == Some(&pattern)) {
            return Err(error("this host has a router already"));
        }
        let (site, scope) = (self.sites.len(), number_of(self.scopes.len()));
        self.sites.push(Site::of(Some(pattern), scope));
        self.scopes.push(self.scopes[0].within(site));
        Ok(Mount { prefix: "", site, scope })
    }

    fn mount(&mut self, router: &mut Router, mount: Mount<'_>) -> Result<(), RouteError> {
        let Router { entries, fallback, wraps } = router;
        let scope = &mut self.scopes[mount.scope as usize];
        for AnyWrap(shape) in std::mem::take(wraps) {
            match shape {
                AnyShape::Early(middleware) => scope.middleware.push(middleware),
                AnyShape::Around(around) => scope.around.push(around),
            }
        }
        if let Some(handler) = fallback.take() {
            let pattern = format!("{}/…", mount.prefix);
            let answerer = self.answerer(mount, &pattern, handler)?;
            self.scopes[mount.scope as usize].fallback = Some(answerer);
        }
        for entry in std::mem::take(entries) {
            match entry {
                Entry::Handler { method, pattern, handler } => {
                    self.add(mount, method, &pattern, handler)?;
                }
                Entry::Files { prefix, files } => self.add_files(mount, &prefix, files)?,
                Entry::Nest { prefix, mut router } => {
                    let prefix = nested_prefix(mount.prefix, &prefix)?;
                    let scope = number_of(self.scopes.len());
                    self.scopes.push(self.scope(mount).nested(mount.scope, &prefix));
                    self.mount(&mut router, Mount { prefix: &prefix, scope, ..mount })?;
                }
            }
        }
        Ok(())
    }

    /// Adds a handler for a method, or for every method that has none.
    fn add(
        &mut self,
        mount: Mount<'_>,
        method: Option<Method>,
        pattern: &str,
        handler: AnyHandler,
    ) -> Result<(), RouteError> {
        let pattern = joined(mount.prefix, pattern)?;
        let answerer = self.answerer(mount, &pattern, handler)?;
        let endpoint = match self.middleware(mount.scope).is_empty() {
            true => Endpoint::Handler(answerer),
            false => Endpoint::Around(Surrounded { answerer, scope: mount.scope }),
        };
        let error = |reason: String| RouteError { pattern: pattern.clone(), reason };
        let number = self.route(mount, &pattern).map_err(error)?;
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
            Some(files @ Endpoint::Files(..)) => *files = endpoint,
            Some(_) => return Err(error(format!("it has a handler for {method} already"))),
            None if method == Method::GET => route.get = Some(endpoint),
            None => route.others.push((method, endpoint)),
        }
        route.allow_again();
        Ok(())
    }

    /// Serves a directory for everything beneath a prefix that has no handler.
    fn add_files(
        &mut self,
        mount: Mount<'_>,
        prefix: &str,
        files: Files,
    ) -> Result<(), RouteError> {
        let prefix = joined(mount.prefix, if prefix.is_empty() { "/" } else { prefix })?;
        if prefix.contains(['{', '}']) {
            let reason = "the prefix of a directory has no parameters".to_owned();
            return Err(RouteError { pattern: prefix, reason });
        }
        let trimmed = prefix.trim_end_matches('/');
        let directory = number_of(self.directories.len());
        self.directories.push(files);
        for pattern in [format!("{trimmed}/"), format!("{trimmed}/{{*path}}")] {
            let error = |reason: String| RouteError { pattern: pattern.clone(), reason };
            let number = self.route(mount, &pattern).map_err(error)?;
            let route = &mut self.routes[number];
            route.get.get_or_insert(Endpoint::Files(directory, mount.scope));
            route.allow_again();
        }
        Ok(())
    }

    fn scope(&self, mount: Mount<'_>) -> &Scope {
        &self.scopes[mount.scope as usize]
    }

    fn answerer(
        &mut self,
        mount: Mount<'_>,
        pattern: &str,
        handler: AnyHandler,
    ) -> Result<Answerer, RouteError> {
        let mut around = self.scope(mount).around.iter().rev();
        let wrapped = around.try_fold(handler, |inner, own| own.put_around(inner));
        let error =
            |reason: &str| RouteError { pattern: pattern.to_owned(), reason: reason.to_owned() };
        let AnyHandler(shape) = wrapped.map_err(error)?;
        Ok(self.shaped(shape))
    }

    fn shaped(&mut self, shape: Shape) -> Answerer {
        match shape {
            Shape::Plain(handler) => Answerer::Plain(handler),
            Shape::Awaited { make, to_the_end, is_streamed } => {
                self.awaited.push(make);
                Answerer::Awaited { number: self.awaited.len() - 1, to_the_end, is_streamed }
            }
            Shape::OnPool(handler) => {
                self.needs_pool = true;
                Answerer::OnPool(Box::new(handler))
            }
            Shape::Limited { body_bytes_max, shape } => {
                let answerer = Box::new(self.shaped(*shape));
                Answerer::Limited { body_bytes_max, answerer }
            }
        }
    }

    fn route(&mut self, mount: Mount<'_>, pattern: &str) -> Result<usize, String> {
        let Mount { site, scope, .. } = mount;
        let known = |route: &Route| route.site == site && route.pattern == pattern;
        if let Some(number) = self.routes.iter().position(known) {
            return Ok(number);
        }
        let number = self.routes.len();
        self.sites[site].add(number, pattern)?;
        self.routes.push(Route {
            pattern: pattern.to_owned(),
            site,
            scope,
            param_names: param_names(pattern),
            get: None,
            others: Vec::new(),
            any: None,
            allow: HeaderValue::from_static(""),
        });
        Ok(number)
    }
}

fn number_of(index: usize) -> u32 {
    u32::try_from(index).expect("a program has fewer routers and directories")
}

/// A pattern beneath a prefix that ends in no slash.
fn joined(prefix: &str, pattern: &str) -> Result<String, RouteError> {
    match pattern {
        "/" if !prefix.is_empty() => Ok(prefix.to_owned()),
        _ if pattern.starts_with('/') => Ok(format!("{prefix}{pattern}")),
        _ => {
            let reason = "a pattern begins with a slash".to_owned();
            Err(RouteError { pattern: pattern.to_owned(), reason })
        }
    }
}

fn nested_prefix(outer: &str, prefix: &str) -> Result<String, RouteError> {
    let error = |reason: &str| RouteError { pattern: prefix.into(), reason: reason.into() };
    if prefix.contains("{*") {
        return Err(error("nothing can be mounted behind a parameter that takes everything"));
    }
    let whole = joined(outer, prefix)?;
    let trimmed = whole.trim_end_matches('/');
    if trimmed.is_empty() {
        Err(error("a router is mounted beneath a path"))
    } else {
        Ok(trimmed.to_owned())
    }
}

/// The names in a pattern such as `/users/{id}/{*rest}`; `{{` stands for a brace.
fn param_names(pattern: &str) -> Vec<String> {
    let plain = pattern.replace("{{", "").replace("}}", "");
    let opened = plain.split('{').skip(1);
    let names = opened.filter_map(|rest| rest.split_once('}').map(|(name, _)| name));
    names.map(|name| name.trim_start_matches('*').to_owned()).collect()
}
