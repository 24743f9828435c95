//! The network of a world: listeners, and connections of two bounded byte streams.
//! It knows connections and their two sides; which side an engine has, it does not know.

use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use super::chance::{Chance, Fault};
use super::post::Post;
use crate::op::Datagram;
use crate::options::Address;
use crate::system;

/// The bytes that can be on their way in one direction: more than a connection's share of a turn.
pub(super) const STREAM_BYTES_MAX: usize = 160 * 1024;
/// The longest time for which a peer stalls.
const STALL_MS_MAX: usize = 2000;
/// Where ports that nobody chose begin.
const PORT_FIRST: u16 = 32_768;

/// One end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct End {
    pub(super) connection: usize,
    /// 0: the side that connected; 1: the side that accepts.
    pub(super) side: usize,
}

impl End {
    const fn other(self) -> Self {
        Self { connection: self.connection, side: 1 - self.side }
    }
}

/// Bytes on their way to one side.
#[derive(Default)]
struct Stream {
    bytes: VecDeque<u8>,
    /// No more will come.
    ended: bool,
    /// Something has come, or its end, of which who watches it has not been told.
    has_news: bool,
    /// Nothing arrives before this moment of virtual time, in nanoseconds.
    stalled_until: u64,
}

impl Stream {
    fn end(&mut self) {
        (self.ended, self.has_news) = (true, true);
    }
}

struct Connection {
    /// What each side receives.
    incoming: [Stream; 2],
    addresses: [Address; 2],
    closed: [bool; 2],
    /// Whose close is a reset.
    resets: [bool; 2],
    reset: Option<ResetCause>,
    /// Which side has received that.
    told: [bool; 2],
}

impl Connection {
    fn reset_by(&mut self, cause: ResetCause) {
        self.reset.get_or_insert(cause);
        self.incoming.iter_mut().for_each(|stream| stream.has_news = true);
    }
}

/// Why a connection was reset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResetCause {
    /// By chance: [`Fault::Reset`].
    Chance,
    /// The end outside the engines asked for it.
    Asked,
    /// A side was closed with bytes that it had not received.
    Unread,
    /// Its listener was closed before it was accepted.
    Backlog,
    /// A side was closed that was told to reset it.
    Told,
}

struct Listener {
    address: Address,
    backlog: usize,
    waiting: VecDeque<usize>,
}

impl Listener {
    fn has_room(&self) -> bool {
        self.waiting.len() < self.backlog
    }
}

/// Whether something can be done now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ready {
    /// It would not block.
    Now,
    /// Not before a moment, in nanoseconds.
    At(u64),
    /// Nobody knows when.
    Never,
}

/// All listeners and connections.
#[derive(Default)]
pub(super) struct Network {
    listeners: Vec<Option<Listener>>,
    connections: Vec<Option<Connection>>,
    ports: u16,
    pub(super) post: Post,
    /// Counts every change that somebody may wait for.
    pub(super) activity: u64,
}

impl Network {
    fn connection(&self, end: End) -> &Connection {
        self.connections[end.connection].as_ref().expect("an end keeps its connection")
    }

    fn connection_mut(&mut self, end: End) -> &mut Connection {
        self.activity += 1;
        self.connections[end.connection].as_mut().expect("an end keeps its connection")
    }

    fn next_port(&mut self) -> u16 {
        self.ports = (self.ports + 1) % (u16::MAX - PORT_FIRST);
        PORT_FIRST + self.ports
    }

    /// A listener; `joining` shares the port of another.
    pub(super) fn listen(
        &mut self,
        address: &Address,
        backlog: usize,
        joining: bool,
    ) -> Result<usize, i32> {
        let mut address = address.clone();
        if let Address::Internet(internet) = &mut address
            && internet.port() == 0
        {
            internet.set_port(self.next_port());
        }
        let busy = self.listeners.iter().flatten().any(|other| other.address == address);
        if busy && !joining {
            return Err(system::EADDRINUSE);
        }
        let fresh = Listener { address, backlog, waiting: VecDeque::new() };
        Ok(insert(&mut self.listeners, fresh))
    }

    /// A socket for datagrams; `joining` shares the port of another.
    pub(super) fn bind(&mut self, mut address: SocketAddr, joining: bool) -> Result<usize, i32> {
        if address.port() == 0 {
            address.set_port(self.next_port());
        }
        self.post.bind(address, joining)
    }

    pub(super) fn unbind(&mut self, own: usize) {
        self.activity += 1;
        self.post.unbind(own);
    }

    pub(super) fn send_to(
        &mut self,
        own: usize,
        to: SocketAddr,
        bytes: &[u8],
        chance: &mut Chance,
    ) {
        self.activity += 1;
        self.post.send(own, to, bytes, chance);
    }

    pub(super) fn receive_from(&mut self, own: usize, bytes_max: usize) -> Option<Datagram> {
        self.activity += 1;
        self.post.receive(own, bytes_max)
    }

    /// Ends a listener; who waited in its backlog is reset.
    pub(super) fn unlisten(&mut self, listener: usize) {
        self.activity += 1;
        let Some(gone) = self.listeners[listener].take() else { return };
        for connection in gone.waiting {
            let end = End { connection, side: 1 };
            self.reset(end, ResetCause::Backlog);
            self.close(end);
        }
    }

    pub(super) fn listener_address(&self, listener: usize) -> Option<Address> {
        self.listeners[listener].as_ref().map(|listener| listener.address.clone())
    }

    /// Connects to one of the listeners of an address, by chance.
    pub(super) fn connect(
        &mut self,
        address: &Address,
        local: Option<SocketAddr>,
        chance: &mut Chance,
    ) -> Result<End, i32> {
        let listeners = self.listeners.iter().enumerate();
        let open: Vec<usize> = listeners
            .filter_map(|(index, listener)| Some((index, listener.as_ref()?)))
            .filter(|(_, listener)| leads_to(address, &listener.address))
            .filter(|(_, listener)| listener.has_room())
            .map(|(index, _)| index)
            .collect();
        if open.is_empty() {
            let mut all = self.listeners.iter().flatten();
            let is_unix = matches!(address, Address::Unix(_));
            let is_full = is_unix && all.any(|listener| leads_to(address, &listener.address));
            return Err(if is_full { system::EAGAIN } else { system::ECONNREFUSED });
        }
        let chosen = open[chance.below(open.len())];
        let own = match address {
            Address::Internet(_) => {
                let ip = local.map_or(IpAddr::V4(Ipv4Addr::LOCALHOST), |local| local.ip());
                let port = local.map(|local| local.port()).filter(|port| *port > 0);
                let port = port.unwrap_or_else(|| self.next_port());
                Address::Internet(SocketAddr::new(ip, port))
            }
            Address::Unix(_) => Address::Unix(None),
        };
        let fresh = Connection {
            incoming: Default::default(),
            addresses: [own, address.clone()],
            closed: [false; 2],
            resets: [false; 2],
            reset: None,
            told: [false; 2],
        };
        let connection = insert(&mut self.connections, fresh);
        self.activity += 1;
        if let Some(listener) = &mut self.listeners[chosen] {
            listener.waiting.push_back(connection);
        }
        Ok(End { connection, side: 0 })
    }

    /// Whether a connect comes to its end now. Where all backlogs are full it goes unanswered until one
    /// has room, as TCP's does; a Unix socket's fails.
    pub(super) fn ready_to_connect(&self, address: &Address) -> Ready {
        let listeners = self.listeners.iter().flatten();
        let mut leading = listeners.filter(|own| leads_to(address, &own.address)).peekable();
        let is_refused = leading.peek().is_none();
        let is_unix = matches!(address, Address::Unix(_));
        if is_refused || is_unix || leading.any(Listener::has_room) {
            Ready::Now
        } else {
            Ready::Never
        }
    }

    /// Whether a connection waits to be accepted.
    pub(super) fn ready_to_accept(&self, listener: usize) -> Ready {
        let waiting = self.listeners[listener].as_ref().map_or(0, |own| own.waiting.len());
        if waiting > 0 { Ready::Now } else { Ready::Never }
    }

    pub(super) fn accept(&mut self, listener: usize) -> Option<End> {
        self.activity += 1;
        let connection = self.listeners[listener].as_mut()?.waiting.pop_front()?;
        Some(End { connection, side: 1 })
    }

    /// The addresses of an end and of its peer.
    pub(super) fn addresses(&self, end: End) -> (Address, Address) {
        let addresses = &self.connection(end).addresses;
        (addresses[end.side].clone(), addresses[1 - end.side].clone())
    }

    /// Whether a receive would give bytes, the end or an error.
    pub(super) fn ready_to_receive(&self, end: End, now: u64) -> Ready {
        let connection = self.connection(end);
        let stream = &connection.incoming[end.side];
        let something = !stream.bytes.is_empty() || stream.ended;
        if connection.reset.is_some() || (something && stream.stalled_until <= now) {
            Ready::Now
        } else if something {
            Ready::At(stream.stalled_until)
        } else {
            Ready::Never
        }
    }

    /// Whether there is news for who watches a side.
    pub(super) fn ready_to_tell(&self, end: End, now: u64) -> Ready {
        let connection = self.connection(end);
        let stream = &connection.incoming[end.side];
        match stream.has_news {
            false => Ready::Never,
            true if connection.reset.is_some() || stream.stalled_until <= now => Ready::Now,
            true => Ready::At(stream.stalled_until),
        }
    }

    /// What is there is news: for who begins to watch, or has been given less than there was.
    pub(super) fn look_again(&mut self, end: End) {
        let is_any = self.ready_to_receive(end, 0) != Ready::Never;
        self.connection_mut(end).incoming[end.side].has_news = is_any;
    }

    /// Who watches is told; whether nothing comes behind what is there.
    pub(super) fn tell(&mut self, end: End) -> bool {
        let connection = self.connection_mut(end);
        let stream = &mut connection.incoming[end.side];
        stream.has_news = false;
        stream.ended || connection.reset.is_some()
    }

    /// How many bytes a receive can give now.
    pub(super) fn receivable(&self, end: End, now: u64) -> usize {
        let connection = self.connection(end);
        let stream = &connection.incoming[end.side];
        let arrived = connection.reset.is_some() || stream.stalled_until <= now;
        if arrived { stream.bytes.len() } else { 0 }
    }

    /// How many bytes are on their way from an end to its peer.
    pub(super) fn on_the_way(&self, end: End) -> usize {
        self.connection(end).incoming[1 - end.side].bytes.len()
    }

    /// Gives `count` received bytes to `take`, in one or two slices.
    pub(super) fn receive(&mut self, end: End, count: usize, mut take: impl FnMut(&[u8])) {
        let stream = &mut self.connection_mut(end).incoming[end.side];
        let (first, second) = stream.bytes.as_slices();
        let split = first.len().min(count);
        take(&first[..split]);
        take(&second[..count - split]);
        stream.bytes.drain(..count);
    }

    /// Whether a send would take bytes or fail.
    pub(super) fn ready_to_send(&self, end: End) -> Ready {
        let sendable = self.sendable(end);
        if sendable == Ok(0) { Ready::Never } else { Ready::Now }
    }

    /// How many bytes a send takes now.
    pub(super) fn sendable(&self, end: End) -> Result<usize, i32> {
        let connection = self.connection(end);
        let stream = &connection.incoming[1 - end.side];
        if connection.reset.is_some() || connection.closed[1 - end.side] {
            return Err(system::ECONNRESET);
        }
        if stream.ended {
            return Err(system::EPIPE);
        }
        Ok(STREAM_BYTES_MAX - stream.bytes.len())
    }

    /// Sends bytes for which there is room.
    pub(super) fn send(&mut self, end: End, bytes: &[u8], now: u64, chance: &mut Chance) {
        let stream = &mut self.connection_mut(end).incoming[1 - end.side];
        assert!(stream.bytes.len() + bytes.len() <= STREAM_BYTES_MAX, "a stream is bounded");
        stream.bytes.extend(bytes);
        stream.has_news = true;
        if chance.strikes(Fault::Stalled) {
            let stall_ms = u64::try_from(1 + chance.below(STALL_MS_MAX)).expect("a few thousand");
            stream.stalled_until = now + stall_ms * 1_000_000;
        }
    }

    /// Why the connection was reset, if it was; bytes that came before can still be received.
    pub(super) fn reset_cause(&self, end: End) -> Option<ResetCause> {
        self.connection(end).reset
    }

    /// Whether the connection was reset and this end is not told yet: now it is.
    pub(super) fn takes_reset(&mut self, end: End) -> bool {
        let connection = self.connections[end.connection].as_mut();
        let connection = connection.expect("an end keeps its connection");
        connection.reset.is_some() && !std::mem::replace(&mut connection.told[end.side], true)
    }

    /// Whether the peer has ended its stream and everything was received.
    pub(super) fn is_ended(&self, end: End, now: u64) -> bool {
        let stream = &self.connection(end).incoming[end.side];
        stream.ended && stream.bytes.is_empty() && stream.stalled_until <= now
    }

    pub(super) fn is_closed_by_peer(&self, end: End) -> bool {
        self.connection(end).closed[end.other().side]
    }

    /// Neither side has anything to say any more.
    pub(super) fn is_over(&self, end: End) -> bool {
        self.connection(end).incoming.iter().all(|stream| stream.ended)
    }

    /// Ends the stream to the peer.
    pub(super) fn shutdown(&mut self, end: End) {
        self.connection_mut(end).incoming[1 - end.side].end();
    }

    pub(super) fn reset(&mut self, end: End, cause: ResetCause) {
        self.connection_mut(end).reset_by(cause);
    }

    pub(super) fn reset_on_close(&mut self, end: End) {
        self.connection_mut(end).resets[end.side] = true;
    }

    /// Closes one side. Bytes it has not received reset the connection, as TCP does.
    pub(super) fn close(&mut self, end: End) {
        let connection = self.connection_mut(end);
        if !connection.incoming[end.side].bytes.is_empty() {
            connection.reset_by(ResetCause::Unread);
        }
        if connection.resets[end.side] {
            connection.reset_by(ResetCause::Told);
        }
        connection.closed[end.side] = true;
        connection.incoming[1 - end.side].end();
        if connection.closed[end.other().side] {
            self.connections[end.connection] = None;
        }
    }

    /// How many connections have a side that is not closed.
    pub(super) fn connections_open(&self) -> usize {
        self.connections.iter().flatten().count()
    }
}

/// Puts a thing into the first free place.
pub(super) fn insert<T>(places: &mut Vec<Option<T>>, thing: T) -> usize {
    if let Some(free) = places.iter().position(Option::is_none) {
        places[free] = Some(thing);
        return free;
    }
    places.push(Some(thing));
    places.len() - 1
}

/// Whether who connects to `address` reaches a listener of `listening`.
fn leads_to(address: &Address, listening: &Address) -> bool {
    match (address, listening) {
        (Address::Internet(wanted), Address::Internet(own)) => {
            wanted.port() == own.port() && (wanted.ip() == own.ip() || own.ip().is_unspecified())
        }
        _ => address == listening,
    }
}
