//! Listeners of the application's own, as any thread holds them: tasks that end with a connection.
//! What is asked is done by the shard that has the listener.

use std::fmt;
use std::sync::Arc;

use springtide_engine::{Address, ListenOptions, SocketFile, open_listener, prepare_listener};

use super::{Background, LobbyAsk};
use crate::current;
use crate::limits::Limits;
use crate::peer::{Link, Reason};
use crate::request::Shared;
use crate::resolve;
use crate::server::addresses;
use crate::task::{Accept, Ask, Asked, Elsewhere, Task};

/// A listener without a server: connections that others make, one for each [`accept`](Self::accept).
///
/// In async handlers and callbacks of a server it is one of their shard; everywhere else it is one of a
/// shard in the background, as with [`Client`](crate::Client). Dropping it closes it: who waits for a
/// connection is told [`Reason::Closed`], and connections that nobody has taken are closed.
///
/// Nothing is accepted before somebody asks: connections wait with the system, `backlog_max` at most.
/// What has been accepted and nobody takes is kept for the next who asks, up to
/// [`Limits::accepted_waiting_max`], beyond which it is the system again where connections wait. While
/// descriptors are spent (EMFILE) accepting pauses, a tenth of a second at a time.
///
/// ```
/// use springtide::{Client, Listener};
///
/// # fn main() -> Result<(), springtide::Reason> {
/// let listener = Listener::bind("127.0.0.1:0")?;
/// let arrival = listener.accept();
/// let ship = Client::connect(listener.address()).wait()?;
/// ship.write("high tide").wait()?;
/// let harbour = arrival.wait()?;
/// assert_eq!(harbour.read_exact(9).wait()?.as_deref(), Some(&b"high tide"[..]));
/// # Ok(())
/// # }
/// ```
#[must_use = "a listener that is dropped is closed"]
pub struct Listener {
    link: Arc<Link>,
    number: u64,
    address: Address,
    /// It goes with the listener.
    _file: Option<SocketFile>,
}

impl Listener {
    /// Listens at an address: `127.0.0.1:7000`, `[::1]:0` with a port that the system chooses,
    /// `name:7000` of whose addresses the first is taken, or `unix:` and a path, or an abstract name behind
    /// `unix:@`. A socket file whose process has died is replaced.
    ///
    /// Asking for a name blocks, which the code of a shard must not: there a name other than `localhost`
    /// is no address. Resolve it before the server starts, or on a thread of your own.
    ///
    /// # Errors
    /// [`Reason::Address`]: it is no address, the caller's to mend. [`Reason::System`]: it is busy or not
    /// ours (bind(2), listen(2)), or the system refuses a thread or an engine. [`Reason::Stopped`]: the
    /// server whose code this is stops.
    pub fn bind(address: impl ToString) -> Result<Self, Reason> {
        let address = address_of(&address.to_string()).ok_or(Reason::Address)?;
        match current::shard() {
            Some(shared) => Self::bind_here(&shared, &address),
            None => Self::bind_on(Background::shared()?.link(), &address),
        }
    }

    /// On the shard whose code runs here.
    fn bind_here(shared: &Shared, address: &Address) -> Result<Self, Reason> {
        if shared.desk.is_draining() {
            return Err(Reason::Stopped);
        }
        let mut engine = shared.engine.borrow_mut();
        let listener = engine.listen(&options(address)).map_err(Reason::of)?;
        let address = engine.local_address(listener).map_err(Reason::of)?;
        let (file, number) = (engine.socket_file(listener), shared.hatch.next_listener());
        shared.lobbies.open(number, listener);
        Ok(Self { link: Link::to(Arc::clone(&shared.hatch)), number, address, _file: file })
    }

    /// On the shard where this leads.
    pub(crate) fn bind_on(link: Arc<Link>, address: &Address) -> Result<Self, Reason> {
        let socket = open_listener(&options(address)).map_err(Reason::of)?;
        let address = prepare_listener(&socket).map_err(|_| Reason::Address)?;
        let (file, number) = (SocketFile::of(&address), link.hatch.next_listener());
        link.hatch.hand_in(Asked::Tell(Ask::Lobby(number, LobbyAsk::Open(socket))));
        Ok(Self { link, number, address, _file: file })
    }

    /// Where it listens, with the real port.
    #[must_use]
    pub const fn address(&self) -> &Address {
        &self.address
    }

    /// Asks for the next connection, which is closed with its last handle, as any [`Client`]. Several may
    /// be asked for at a time and are given in that order. A task that is dropped or cancelled takes no
    /// connection away: what had come for it is the next one's.
    ///
    /// [`Client`]: crate::Client
    pub fn accept(&self) -> Task<Accept, Elsewhere> {
        Task::ask_elsewhere(Some(&self.link), Ask::Lobby(self.number, LobbyAsk::Accept))
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.link.hatch.hand_in(Asked::Tell(Ask::Lobby(self.number, LobbyAsk::Close)));
    }
}

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Listener({})", self.address)
    }
}

/// The address that a text stands for. On a thread that turns a shard nobody is asked for a name.
fn address_of(text: &str) -> Option<Address> {
    if !current::is_turning() || text.starts_with("unix:") {
        return addresses(text).ok()?.into_iter().next();
    }
    let plain = text.parse().ok().or_else(|| {
        let (name, port) = text.rsplit_once(':')?;
        resolve::known(name, port.parse().ok()?)
    });
    plain.map(Address::Internet)
}

/// The limits of a listener are those of a server.
fn options(address: &Address) -> ListenOptions<'_> {
    let limits = Limits::default();
    let backlog = i32::try_from(limits.backlog_max).unwrap_or(i32::MAX);
    let keepalive = limits.keepalive();
    ListenOptions { address, backlog, joining: false, keepalive, mode: None }
}
