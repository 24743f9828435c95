//! Connectors: where a client is to lead, and how it is made.
//! They are plain data until they are told to connect.

use std::sync::Arc;
use std::time::Duration;

use springtide_engine::Address;

use super::Background;
use crate::current;
use crate::peer::{Link, Reason};
use crate::task::{Ask, Dial, Elsewhere, Outgoing, Target, Task};

/// Where connections are to lead, and how they are made;
/// [`Client::connect`](crate::Client::connect) is the short way.
///
/// ```
/// use std::time::Duration;
/// use springtide::{Client, Reason};
///
/// let connector = Client::connector()
///     .address("127.0.0.1:1")
///     .address("[::1]:1")
///     .timeout(Duration::from_secs(2));
/// assert_eq!(connector.connect().wait().err(), Some(Reason::Refused));
/// ```
#[derive(Clone, Default)]
#[must_use = "it connects when it is told to"]
pub struct Connector {
    dial: Dial,
    /// What is wrong with the first address that is none.
    wrong: Option<Reason>,
    /// The shard where it is made, unless that is where it is told to.
    shard: Option<Arc<Link>>,
}

impl Connector {
    /// Adds an address: `127.0.0.1:7000`, `[::1]:7000`, `name:7000`, or `unix:` and a path. They are tried in the order in
    /// which they were given, the addresses of a name in the system's. Names are resolved on a thread of
    /// their own, at most 16 at a time on each shard; one more is passed over with
    /// [`Reason::Limit`]. One that is no address fails the connection with [`Reason::Address`].
    pub fn address(mut self, address: impl ToString) -> Self {
        match Target::parse(&address.to_string()) {
            Ok(target) => self.dial.targets.push_back(target),
            Err(reason) => self.wrong = Some(reason),
        }
        self
    }

    pub(super) fn at(mut self, address: Address) -> Self {
        self.dial.targets.push_back(Target::Address(address));
        self
    }

    /// From where connections are made, of TCP: `127.0.0.2:0`, where the system chooses the port, or one
    /// with a port, which may be that of a connection that has just ended. It holds for every address; one
    /// of another family is passed over. What is no such address fails with [`Reason::Address`], and one
    /// that is not this machine's, or is taken, with [`Reason::System`], whose operation is
    /// `Bind` (EADDRNOTAVAIL, EADDRINUSE): the caller's to mend.
    pub fn bind(mut self, local: impl ToString) -> Self {
        match local.to_string().parse() {
            Ok(local) => self.dial.local = Some(local),
            Err(_) => self.wrong = Some(Reason::Address),
        }
        self
    }

    /// How long it may take until a connection stands, names resolved, over all addresses: each may take
    /// an equal share of what is left of it. Where nothing is said it is
    /// [`Limits::connect_timeout_ms`](crate::Limits::connect_timeout_ms) of the shard, 10 seconds by
    /// default.
    pub const fn timeout(mut self, timeout: Duration) -> Self {
        self.dial.timeout = Some(timeout);
        self
    }

    /// Starts to make a connection, on the shard whose futures or callbacks run here, or on the one in
    /// the background. Dropping the task gives it up.
    ///
    /// It fails with the reason of the last address that was tried.
    pub fn connect(&self) -> Task<Outgoing, Elsewhere> {
        match self.link() {
            Ok(link) => self.begin(&link, Duration::ZERO),
            Err(reason) => Task::lost(reason),
        }
    }

    /// The same on the shard where this leads, behind a wait.
    pub(super) fn begin(&self, link: &Arc<Link>, back_off: Duration) -> Task<Outgoing, Elsewhere> {
        let dial = Dial { back_off, ..self.dial.clone() };
        Task::ask_elsewhere(Some(link), Ask::Connect(Box::new(dial)))
    }

    /// What leads to the shard whose code runs here, or to the one in the background.
    pub(super) fn link(&self) -> Result<Arc<Link>, Reason> {
        let nothing = self.dial.targets.is_empty().then_some(Reason::Address);
        if let Some(reason) = self.wrong.or(nothing) {
            return Err(reason);
        }
        if let Some(link) = &self.shard {
            return Ok(Arc::clone(link));
        }
        match current::shard() {
            Some(shared) => Ok(Link::to(shared.hatch.clone())),
            None => Background::shared().map(|background| background.link()),
        }
    }

    /// On the shard where this leads, and nowhere else.
    #[cfg(test)]
    pub(crate) fn on(mut self, link: Arc<Link>) -> Self {
        self.shard = Some(link);
        self
    }
}

impl std::fmt::Debug for Connector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connector").field("dial", &self.dial).finish_non_exhaustive()
    }
}
