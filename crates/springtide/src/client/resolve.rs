//! Names to addresses for requests: asked for once, and waited for in the future that asks.
//! How many names are being resolved at a time is bounded.

use std::future::poll_fn;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Poll, Waker};

use super::url::Origin;
use super::{ClientError, Settings};
use crate::request::Shared;
use crate::resolve as names;

/// What a thread has to say, and to whom.
#[derive(Default)]
struct Desk {
    found: Option<Result<Vec<SocketAddr>, String>>,
    waker: Option<Waker>,
}

/// The addresses of a host, at least one.
pub(super) async fn resolve(
    origin: &Origin,
    settings: &Arc<Settings>,
    shared: &Shared,
) -> Result<Vec<SocketAddr>, ClientError> {
    if let Some(address) = names::known(origin.name(), origin.port) {
        return Ok(vec![address]);
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

/// Asks the system, whose answer comes to the desk.
fn ask(
    origin: &Origin,
    settings: &Arc<Settings>,
    desk: Arc<Mutex<Desk>>,
) -> Result<(), ClientError> {
    let place = Seat::take(settings).ok_or(ClientError::Limit("resolving_max"))?;
    let asked = names::ask(origin.name().to_owned(), origin.port, move |found| {
        drop(place);
        let mut own = desk.lock().unwrap_or_else(PoisonError::into_inner);
        own.found = Some(found);
        let waker = own.waker.take();
        drop(own);
        if let Some(waker) = waker {
            waker.wake();
        }
    });
    asked.map_err(|error| ClientError::Resolve(error.to_string()))
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
