//! Names to addresses: what is an address already at once, what is a name on a thread of its own.
//! It never blocks a shard; how many threads there are at a time is bounded.

use std::future::poll_fn;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, ToSocketAddrs};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Poll, Waker};

use super::url::Origin;
use super::{ClientError, Settings};
use crate::request::Shared;

/// What a thread has to say, and to whom.
#[derive(Default)]
struct Desk {
    found: Option<Result<Vec<SocketAddr>, String>>,
    waker: Option<Waker>,
}

/// The addresses of a host, at least one. `localhost` is this host without asking (RFC 6761 §6.3).
pub(super) async fn resolve(
    origin: &Origin,
    settings: &Arc<Settings>,
    shared: &Shared,
) -> Result<Vec<SocketAddr>, ClientError> {
    if let Ok(ip) = origin.name().parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(ip, origin.port)]);
    }
    if origin.name() == "localhost" {
        return Ok(vec![SocketAddr::new(Ipv4Addr::LOCALHOST.into(), origin.port)]);
    }
    if shared.engine.borrow().name() == "simulated" {
        return Err(ClientError::Resolve("a simulated world has no names".into()));
    }
    let desk = Arc::new(Mutex::new(Desk::default()));
    ask(origin, settings, Arc::clone(&desk))?;
    let found = poll_fn(|context| {
        let waker = context.waker().clone();
        let mut own = desk.lock().unwrap_or_else(PoisonError::into_inner);
        let found = own.found.take();
        let before = own.waker.replace(waker);
        drop(own);
        drop(before);
        found.map_or(Poll::Pending, Poll::Ready)
    })
    .await;
    match found {
        Ok(addresses) if addresses.is_empty() => Err(ClientError::Resolve("no address".into())),
        Ok(addresses) => Ok(addresses),
        Err(why) => Err(ClientError::Resolve(why)),
    }
}

/// Starts the thread that asks the system; it ends when that has answered, whoever waits.
fn ask(
    origin: &Origin,
    settings: &Arc<Settings>,
    desk: Arc<Mutex<Desk>>,
) -> Result<(), ClientError> {
    let place = Seat::take(settings).ok_or(ClientError::Limit("resolving_max"))?;
    let (name, port) = (origin.name().to_owned(), origin.port);
    let started = springtide_engine::spawn_thread("springtide-names", move || {
        let found = (&*name, port).to_socket_addrs();
        let found = found.map(Iterator::collect).map_err(|error| error.to_string());
        drop(place);
        let mut own = desk.lock().unwrap_or_else(PoisonError::into_inner);
        own.found = Some(found);
        let waker = own.waker.take();
        drop(own);
        if let Some(waker) = waker {
            waker.wake();
        }
    });
    // Nobody waits for it: the answer comes to the desk.
    started.map(drop).map_err(|error| ClientError::Resolve(error.to_string()))
}

/// One of the names that may be resolved at a time.
struct Seat(Arc<Settings>);

impl Seat {
    fn take(settings: &Arc<Settings>) -> Option<Self> {
        let taken: &AtomicUsize = &settings.resolving;
        let before = taken.fetch_add(1, Ordering::Relaxed);
        // Given back at once where it is one too many.
        let seat = Self(Arc::clone(settings));
        (before < settings.limits.resolving_max).then_some(seat)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.0.resolving.fetch_sub(1, Ordering::Relaxed);
    }
}
