//! What all requests of a shard share: its engine, its routes, and parts that are used again.
//! It holds no connection and no future.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Waker;

use bytes::Bytes;
use springtide_engine::{Address, Descriptor, Handle, Key};

use super::{HeadBytes, Home, Names, RequestData};
use crate::client::Desk;
use crate::datagram::Post;
use crate::event::Bench;
use crate::events::Told;
use crate::executor::{Bell, Timers, apart};
use crate::framed::Desk as Answers;
use crate::fs::Cabinet;
use crate::handler::AwaitedHandler;
use crate::problem::Form;
use crate::raw::AwaitedIntro;
use crate::route::Routes;
use crate::standalone::Lobbies;
use crate::state::ShardStates;
use crate::table::Place;
use crate::task::{Hatch, Tasks};
use crate::topic::ShardTopics;
use crate::websocket::Desk as Sockets;

/// What all requests of a shard share.
pub(crate) struct Shared {
    pub(crate) engine: SharedEngine,
    /// Behind the shard's own count: the `Arc`'s would bounce between cores at every request.
    pub(crate) router: Arc<Routes>,
    /// The async handlers of the router, each the shard's own.
    pub(crate) awaited: Vec<AwaitedHandler>,
    /// What makes the futures of raw connections.
    pub(crate) raw_intro: AwaitedIntro,
    /// Where other threads tell of futures and offloaded work.
    pub(crate) bell: Arc<Bell>,
    /// Where they ask something of raw connections.
    pub(crate) hatch: Arc<Hatch>,
    pub(super) names: Names,
    /// What the application has made for this shard.
    pub(super) states: ShardStates,
    /// How the request whose handler has just panicked wants to be told.
    pub(crate) form_of_panic: Cell<Form>,
    /// Whom proxies have named as the clients of connections that are open.
    sources: RefCell<HashMap<Descriptor, SocketAddr>>,
    /// Futures to be polled.
    woken: RefCell<Vec<Place>>,
    pub(crate) timers: RefCell<Timers>,
    /// What handlers ask of other servers.
    pub(crate) desk: Desk,
    /// What is asked of raw connections.
    pub(crate) tasks: Tasks,
    /// Of which connections the server's events were told.
    pub(crate) events: Told,
    /// What handlers of WebSockets say to their own connections.
    pub(crate) sockets: Sockets,
    /// What connections have subscribed to.
    pub(crate) topics: ShardTopics,
    /// Sockets for datagrams.
    pub(crate) post: Post,
    /// Open files, and what was asked of them and of paths.
    pub(crate) cabinet: Cabinet,
    /// Who waits for events.
    pub(crate) bench: Bench,
    /// Listeners of the application.
    pub(crate) lobbies: Lobbies,
    /// What requests of frames are answered.
    pub(crate) answers: Rc<Answers>,
    /// Something stands in one of the next two.
    has_news: Cell<bool>,
    /// Whom news of bodies wake, when futures run next.
    told: RefCell<Vec<Waker>>,
    /// Connections whose handlers have taken of a body, or want none.
    reading: RefCell<Vec<Place>>,
    /// The parts that were put back last: mostly the next to be taken.
    spare: Cell<Option<Box<RequestData>>>,
    #[expect(clippy::vec_box, reason = "parts move between here and requests without a copy")]
    pool: RefCell<Vec<Box<RequestData>>>,
    /// How many parts may wait; none once the shard has ended.
    pooled_max: Cell<usize>,
}

/// The shard's engine, for what the application asks of it in the middle of a turn.
type SharedEngine = Rc<RefCell<Box<dyn Handle>>>;

/// Parts that wait for the next request: most handlers answer before the next one is read.
const POOLED_MAX: usize = 64;

/// Room for so many futures that are to be polled is kept for the next turn.
const WOKEN_MAX: usize = 1024;

impl Shared {
    pub(crate) fn new(
        engine: SharedEngine,
        router: Arc<Routes>,
        bell: Arc<Bell>,
        hatch: Arc<Hatch>,
        shard: usize,
        states: ShardStates,
        topics: ShardTopics,
    ) -> Rc<Self> {
        let names = Names::of(&**engine.borrow(), shard);
        let timers = Timers::new(engine.borrow().now().milliseconds());
        let (timers, pooled_max) = (RefCell::new(timers), Cell::new(POOLED_MAX));
        let answers = Rc::new(Answers::new(&bell));
        let awaited = router.awaited().iter().map(|make| make()).collect();
        let raw_intro = router.raw.awaited();
        let events = Told::new(router.events.clone());
        let (form_of_panic, sources, woken, has_news, told, reading, spare, pool) =
            Default::default();
        Rc::new(Self {
            engine,
            router,
            awaited,
            raw_intro,
            bell,
            hatch,
            names,
            states,
            form_of_panic,
            sources,
            woken,
            timers,
            desk: Desk::new(),
            tasks: Tasks::new(),
            events,
            sockets: Sockets::default(),
            topics,
            post: Post::new(),
            cabinet: Cabinet::new(),
            bench: Bench::new(),
            lobbies: Lobbies::default(),
            answers,
            has_news,
            told,
            reading,
            spare,
            pool,
            pooled_max,
        })
    }

    /// The client of a connection, as its proxy names it.
    pub(crate) fn set_source(&self, socket: Descriptor, source: SocketAddr) {
        self.sources.borrow_mut().insert(socket, source);
    }

    pub(super) fn source(&self, socket: Descriptor) -> Option<SocketAddr> {
        self.sources.borrow().get(&socket).copied()
    }

    /// Who is at the other end of a connection, or whom a proxy there has named before the first request.
    pub(crate) fn client_of(&self, socket: Descriptor) -> Option<Address> {
        let source = self.source(socket).map(Address::Internet);
        source.or_else(|| self.engine.borrow().peer_address(socket).ok())
    }

    /// The same for the last time: the connection is about to be closed, or to go elsewhere.
    #[inline]
    pub(crate) fn take_source(&self, socket: Descriptor) -> Option<SocketAddr> {
        let mut sources = self.sources.borrow_mut();
        if sources.is_empty() { None } else { sources.remove(&socket) }
    }

    /// A future is to be polled.
    pub(crate) fn wake(&self, place: Place) {
        self.woken.borrow_mut().push(place);
    }

    #[inline]
    pub(crate) fn has_woken(&self) -> bool {
        self.has_news.get() || !self.woken.borrow().is_empty() || !self.answers.is_empty()
    }

    /// Wakes somebody when futures run next: it may be code of the application.
    pub(crate) fn wake_later(&self, waker: Waker) {
        self.has_news.set(true);
        self.told.borrow_mut().push(waker);
    }

    /// Takes out who is to be woken.
    pub(crate) fn take_told(&self) -> Vec<Waker> {
        self.has_news.set(false);
        self.told.take()
    }

    /// A connection is to look how far its handler is with a body.
    pub(crate) fn read_on(&self, connection: Place) {
        self.has_news.set(true);
        self.reading.borrow_mut().push(connection);
    }

    /// A connection that is being made is not waited for any more.
    pub(crate) fn cancel_connect(&self, key: Key) {
        self.has_news.set(true);
        self.desk.cancel(key);
    }

    /// Takes out the connections that are to look.
    pub(crate) fn take_reading(&self) -> Vec<Place> {
        self.has_news.set(!self.told.borrow().is_empty());
        self.reading.take()
    }

    /// Takes the futures out that are to be polled.
    pub(crate) fn take_woken(&self) -> Vec<Place> {
        self.woken.take()
    }

    /// Gives the memory back in which they stood, unless others stand elsewhere by now.
    pub(crate) fn put_woken(&self, emptied: Vec<Place>) {
        let mut woken = self.woken.borrow_mut();
        if woken.is_empty() && emptied.capacity() <= WOKEN_MAX {
            *woken = emptied;
        }
    }

    /// A request's parts, mostly used before.
    #[inline]
    pub(crate) fn take(self: &Rc<Self>) -> Box<RequestData> {
        self.spare.take().unwrap_or_else(|| self.take_pooled())
    }

    #[inline(never)]
    fn take_pooled(self: &Rc<Self>) -> Box<RequestData> {
        let pooled = self.pool.borrow_mut().pop();
        pooled.unwrap_or_else(|| Box::new(RequestData::new(Home::Shard(Rc::clone(self)))))
    }

    /// Puts parts back that no request was made of.
    #[inline]
    pub(crate) fn put(&self, mut data: Box<RequestData>) {
        if self.pooled_max.get() == 0 {
            return;
        }
        data.bytes = HeadBytes::None;
        if !data.body.is_empty() {
            data.body = Bytes::new();
        }
        if let Some(other) = self.spare.replace(Some(data)) {
            self.put_pooled(other);
        }
    }

    #[inline(never)]
    fn put_pooled(&self, data: Box<RequestData>) {
        let mut pool = self.pool.borrow_mut();
        if pool.len() < self.pooled_max.get() {
            pool.push(data);
        }
    }

    /// Keeps no parts any more: those that wait refer back to here and would keep all of it.
    pub(crate) fn end(&self) {
        self.pooled_max.set(0);
        drop(self.spare.take());
        self.desk.end();
        self.tasks.end_all();
        let timers = self.timers.borrow_mut().end();
        for whom in timers {
            apart(|| drop(whom));
        }
        let waiting = self.pool.take();
        drop(waiting);
    }
}
