//! Where a request came from and what it is called: behind proxies the peer is not the client.
//! It believes nobody but the proxies that the server trusts.

use std::borrow::Cow;
use std::cell::Cell;
use std::net::IpAddr;
use std::rc::Rc;

use springtide_engine::{Address, Handle, Moment};

use super::{Home, Request, RequestData};
use crate::proxies::{Fields, Origin, ProxyFields};

/// What names requests: numbers behind a beginning that no other shard and no other run has.
pub(crate) struct Names {
    beginning: String,
    next: Cell<u64>,
}

/// The number of a request that has brought its name along.
const CARRIED: u64 = u64::MAX;

/// The longest name that is taken from a proxy.
const NAME_BYTES_MAX: usize = 128;

impl Names {
    pub(crate) fn of(engine: &dyn Handle, shard: usize) -> Self {
        let (second, fraction) = (engine.unix_seconds(), engine.now().nanoseconds() & 0xFFFF_FFFF);
        Self { beginning: format!("{second:08x}{fraction:08x}{shard:03x}"), next: Cell::new(0) }
    }

    fn next(&self) -> u64 {
        let number = self.next.get() + 1;
        self.next.set(number);
        number
    }

    fn name(&self, number: u64) -> String {
        format!("{}-{number:x}", self.beginning)
    }
}

impl RequestData {
    /// The name of this request: what a trusted proxy calls it, or one of our own.
    pub(crate) fn name(&self) -> Cow<'_, str> {
        if let Some(name) = self.name_by_proxy() {
            return Cow::Borrowed(name);
        }
        match &self.home {
            Home::Shard(_) | Home::Awaited(..) if self.number.get() == CARRIED => {
                Cow::Borrowed(&self.carried_name)
            }
            Home::Shard(shared) | Home::Awaited(shared, ..) => {
                if self.number.get() == 0 {
                    self.number.set(shared.names.next());
                }
                Cow::Owned(shared.names.name(self.number.get()))
            }
            Home::Pool { name, .. } => Cow::Borrowed(name),
        }
    }

    /// The name of our own that it has been given already.
    pub(super) fn own_name(&self) -> Option<String> {
        match (&self.home, self.number.get()) {
            (_, 0) | (Home::Pool { .. }, _) => None,
            (_, CARRIED) => Some(self.carried_name.clone()),
            (Home::Shard(shared) | Home::Awaited(shared, ..), number) => {
                Some(shared.names.name(number))
            }
        }
    }

    /// It keeps the name that it was given elsewhere, if it was.
    pub(super) fn carry_name(&mut self, name: Option<String>) {
        self.number.set(name.as_ref().map_or(0, |_| CARRIED));
        self.carried_name = name.unwrap_or_default();
    }

    /// The handler that has this request panics.
    #[cold]
    pub(super) fn panicked(&self) {
        let (method, route, name) =
            (&self.head.method, self.router().pattern(self.route), self.name());
        crate::report::error(format_args!(
            "the handler of {method} {route} panicked at the request {name}, which is answered 500"
        ));
        if let Home::Shard(shared) = &self.home {
            shared.form_of_panic.set(self.form());
        }
    }

    fn name_by_proxy(&self) -> Option<&str> {
        let is_trusted = self.router().proxies.is_any()
            && self.peer().is_some_and(|peer| self.router().proxies.trusts(&peer));
        let name = is_trusted.then(|| self.only_field("x-request-id")).flatten()?;
        let is_valid = name.len() <= NAME_BYTES_MAX && name.iter().all(u8::is_ascii_graphic);
        std::str::from_utf8(name).ok().filter(|name| is_valid && !name.is_empty())
    }

    /// Who is at the other end, or whom a proxy there has named before the first request.
    pub(crate) fn peer(&self) -> Option<Address> {
        match &self.home {
            Home::Shard(shared) => {
                let source = self.socket.and_then(|socket| shared.source(socket));
                source.map(Address::Internet).or_else(|| self.peer_address())
            }
            Home::Awaited(_, _, [_, source]) | Home::Pool { ends: [_, source], .. } => {
                source.clone()
            }
        }
    }

    /// Whether proxies are trusted to name clients, so that each request may be another one's.
    pub(crate) fn may_be_brought(&self) -> bool {
        self.router().proxies.is_any()
    }

    /// The client, as trusted proxies name it; else who is at the other end.
    pub(crate) fn client(&self) -> Option<Address> {
        let address = self.origin().address.map(|address| Address::Internet((address, 0).into()));
        address.or_else(|| self.peer_address())
    }

    fn joined(&self, name: &str) -> String {
        let values: Vec<_> = self.fields(name).map(String::from_utf8_lossy).collect();
        values.join(",")
    }

    pub(super) fn origin(&self) -> Origin {
        let (proxies, peer) = (&self.router().proxies, self.peer());
        if !proxies.is_any() {
            let address = peer.as_ref().and_then(crate::proxies::ip_of);
            return Origin { address, ..Origin::default() };
        }
        match proxies.fields {
            ProxyFields::Forwarded => {
                let value = self.joined("forwarded");
                proxies.origin(peer.as_ref(), &Fields::Standard(&value))
            }
            ProxyFields::XForwarded => {
                let chain = self.joined("x-forwarded-for");
                let (scheme, host) =
                    (self.joined("x-forwarded-proto"), self.joined("x-forwarded-host"));
                let fields = Fields::X { chain: &chain, scheme: &scheme, host: &host };
                proxies.origin(peer.as_ref(), &fields)
            }
        }
    }

    /// The host that is asked: of a trusted proxy, of the target, or of the field (RFC 9112 §3.2.2).
    pub(crate) fn host(&self) -> Option<Cow<'_, [u8]>> {
        if self.router().proxies.is_any()
            && let Some(host) = self.origin().host
        {
            return Some(Cow::Owned(host.into_bytes()));
        }
        let target = self.target();
        let own = super::target::authority_of_absolute(target).map(|authority| &target[authority]);
        own.or_else(|| self.field("host")).map(Cow::Borrowed)
    }
}

impl Request {
    /// The turn's time; none on the pool, where no middleware runs.
    pub(crate) fn now(&self) -> Moment {
        (self.clock())()
    }

    /// What tells the turn's time, also later.
    pub(crate) fn clock(&self) -> impl Fn() -> Moment + 'static {
        let shared = match &self.data().home {
            Home::Shard(shared) | Home::Awaited(shared, ..) => Some(Rc::clone(shared)),
            Home::Pool { .. } => None,
        };
        move || shared.as_ref().map_or(Moment::ZERO, |shared| shared.engine.borrow().now())
    }

    /// What this request is called in logs, to bring together what is said of it: the `X-Request-Id`
    /// of a trusted proxy ([`Server::trusted_proxies`](crate::Server::trusted_proxies)), when it is
    /// up to 128 visible ASCII letters, or a name of our own. The same each time it is asked for.
    #[must_use]
    pub fn id(&self) -> Cow<'_, str> {
        self.data().name()
    }

    /// The address of the client: of the peer, or whom trusted proxies name
    /// ([`Server::trusted_proxies`](crate::Server::trusted_proxies)). None over a Unix socket, unless
    /// a proxy says more, and where the connection was gone when the handler began.
    #[must_use]
    pub fn client_address(&self) -> Option<IpAddr> {
        self.data().origin().address
    }

    /// The scheme that the client used, in small letters: `http`, or what a trusted proxy says.
    #[must_use]
    pub fn scheme(&self) -> Cow<'static, str> {
        self.data().origin().scheme.map_or(Cow::Borrowed("http"), Cow::Owned)
    }

    /// The host that the client asked, with its port if it names one: the `Host` field, or what a
    /// trusted proxy says. It also decides which site answers.
    #[must_use]
    pub fn host(&self) -> Option<Cow<'_, str>> {
        Some(match self.data().host()? {
            Cow::Borrowed(host) => String::from_utf8_lossy(host),
            Cow::Owned(host) => Cow::Owned(String::from_utf8_lossy(&host).into_owned()),
        })
    }
}
