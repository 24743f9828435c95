//! A fresh connection for a request: the addresses of its host one after the other, each for its
//! share of the time.
//! What is given up before it stands is withdrawn; what stands by then rests, for whoever asks next.

use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use springtide_engine::{Moment, Op};

use super::line::Line;
use super::resolve::resolve;
use super::url::Origin;
use super::{ClientError, Settings};
use crate::executor::{Sleep, sleep};
use crate::request::Shared;
use crate::shard::CLIENT_TOKEN;

/// The first connection that stands.
pub(super) async fn connect(
    origin: &Origin,
    settings: &Arc<Settings>,
    shared: &Rc<Shared>,
) -> Result<Rc<Line>, ClientError> {
    let timeout_ms = settings.limits.connect_timeout_ms;
    let until = ends(timeout_ms, shared);
    let connecting = async {
        let addresses = resolve(origin, settings, shared).await?;
        connect_in_turn(&addresses, until, origin, settings, shared).await
    };
    within(timeout_ms, "connect_timeout", connecting).await
}

/// Tries one address after the other. Each may take its share of the time that is left, the same for
/// all that were not tried yet, so that one that does not answer leaves the others theirs (RFC 8305 §5
/// has them tried side by side, which would be a connection too many for most).
async fn connect_in_turn(
    addresses: &[SocketAddr],
    until: Option<Moment>,
    origin: &Origin,
    settings: &Arc<Settings>,
    shared: &Rc<Shared>,
) -> Result<Rc<Line>, ClientError> {
    let mut last = Err(ClientError::Ended);
    for (index, address) in addresses.iter().enumerate() {
        let share_ms = share_ms(until, addresses.len() - index, shared);
        let connecting = connect_to(*address, origin, settings, shared);
        last = within(share_ms, "connect_timeout", connecting).await;
        if !matches!(last, Err(ClientError::Connect(..) | ClientError::TimedOut(_))) {
            break;
        }
    }
    last
}

/// What the next of `count` addresses may take; the last one is held by the end of all.
fn share_ms(until: Option<Moment>, count: usize, shared: &Shared) -> u64 {
    let Some(until) = until.filter(|_| count > 1) else { return u64::MAX };
    let left = until.since(shared.engine.borrow().now()).as_millis();
    u64::try_from(left / count as u128).unwrap_or(u64::MAX)
}

async fn connect_to(
    address: SocketAddr,
    origin: &Origin,
    settings: &Arc<Settings>,
    shared: &Rc<Shared>,
) -> Result<Rc<Line>, ClientError> {
    if shared.desk.is_cut() {
        return Err(ClientError::Ended);
    }
    if shared.desk.open() >= settings.limits.connections_max {
        return Err(ClientError::Limit("connections_max"));
    }
    let line = Line::new(Rc::clone(shared), Arc::clone(settings), origin.clone());
    let place = shared.desk.begin(Rc::clone(&line));
    let op = Op::connect(address);
    let key = shared.engine.borrow_mut().submit(op, CLIENT_TOKEN | place.raw());
    line.connect_by(key);
    let mut connecting = Connecting(Some(line));
    let connected = poll_fn(|context| connecting.poll(context)).await;
    connected.map_err(|error| match error {
        ClientError::Broken(why) => ClientError::Connect(address, why),
        error => error,
    })
}

/// A line that is being made: dropped before somebody has it, it is given up.
struct Connecting(Option<Rc<Line>>);

impl Connecting {
    fn poll(&mut self, context: &Context<'_>) -> Poll<Result<Rc<Line>, ClientError>> {
        let Some(line) = &self.0 else { return Poll::Ready(Err(ClientError::Ended)) };
        let Poll::Ready(opened) = line.poll_open(context) else { return Poll::Pending };
        Poll::Ready(opened.and_then(|()| self.0.take().ok_or(ClientError::Ended)))
    }
}

impl Drop for Connecting {
    fn drop(&mut self) {
        if let Some(line) = self.0.take() {
            line.give_up();
        }
    }
}

/// What a future gives, or the limit of this name when so many milliseconds have passed.
async fn within<T>(
    timeout_ms: u64,
    limit: &'static str,
    future: impl Future<Output = Result<T, ClientError>>,
) -> Result<T, ClientError> {
    let mut deadline = deadline(timeout_ms);
    let mut future = pin!(future);
    poll_fn(|context| match future.as_mut().poll(context) {
        Poll::Ready(result) => Poll::Ready(result),
        Poll::Pending => poll_deadline(&mut deadline, limit, context),
    })
    .await
}

/// When so much time has passed; never, of a time without end.
fn ends(timeout_ms: u64, shared: &Shared) -> Option<Moment> {
    let is_bounded = timeout_ms != u64::MAX;
    is_bounded.then(|| shared.engine.borrow().now() + Duration::from_millis(timeout_ms))
}

/// The end of some time; none of one without end.
pub(super) fn deadline(timeout_ms: u64) -> Option<Sleep> {
    (timeout_ms != u64::MAX).then(|| sleep(Duration::from_millis(timeout_ms)))
}

/// Ready with the limit of this name when its time is over.
pub(super) fn poll_deadline<T>(
    deadline: &mut Option<Sleep>,
    limit: &'static str,
    context: &mut Context<'_>,
) -> Poll<Result<T, ClientError>> {
    let Some(deadline) = deadline else { return Poll::Pending };
    std::pin::Pin::new(deadline).poll(context).map(|()| Err(ClientError::TimedOut(limit)))
}

#[cfg(test)]
mod tests;
