//! One request over one connection: found or made, sent, answered; and once more where a kept
//! connection had been closed.
//! Whatever is dropped on the way gives its connection up.

use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::{HeaderMap, Method};
use springtide_engine::Op;

use super::body::{Outgoing, Upload};
use super::line::{Answer, Call, Line, Order};
use super::resolve::resolve;
use super::url::Url;
use super::{ClientError, Settings};
use crate::executor::{Sleep, sleep};
use crate::request::Shared;
use crate::shard::CLIENT_TOKEN;

/// A request as it goes out; redirects change it.
pub(super) struct Asked {
    pub(super) method: Method,
    pub(super) url: Url,
    pub(super) fields: HeaderMap,
    pub(super) body: Outgoing,
    pub(super) host: Option<String>,
    pub(super) expects_continue: bool,
}

/// An answer, and what of the request is still on its way.
pub(super) struct Answered {
    pub(super) answer: Answer,
    pub(super) call: Rc<Call>,
    pub(super) upload: Option<Upload>,
}

impl Asked {
    /// Sends it and waits for the head of the answer.
    pub(super) async fn exchange(
        &mut self,
        settings: &Arc<Settings>,
        shared: &Rc<Shared>,
    ) -> Result<Answered, ClientError> {
        let may_repeat = self.body.is_replayable() && self.method.is_idempotent();
        if let Some(line) = shared.desk.take_idle(settings, &self.url.origin) {
            let result = self.over(&line).await;
            let is_stale = result.as_ref().is_err_and(ClientError::is_stale);
            if !is_stale || !may_repeat {
                return result;
            }
        }
        let limits = &settings.limits;
        let connected = connect(&self.url, settings, shared);
        let line = within(limits.connect_timeout_ms, "connect_timeout", connected).await?;
        self.over(&line).await
    }

    async fn over(&mut self, line: &Rc<Line>) -> Result<Answered, ClientError> {
        let (body, upload) = self.body.begin();
        let order = Order {
            method: self.method.clone(),
            target: self.url.target.clone(),
            host: self.host.clone().unwrap_or_else(|| self.url.origin.to_string()),
            fields: self.fields.clone(),
            body,
            expects_continue: self.expects_continue,
        };
        let call = Call::new(&line.shared, order);
        let mut open = Open { call: Some(call), upload };
        open.send(line)?;
        let answer = poll_fn(|context| open.poll(context)).await?;
        let upload = open.upload.take();
        let call = open.call.take().ok_or(ClientError::Ended)?;
        Ok(Answered { answer, call, upload })
    }
}

/// A request that has no answer yet: dropped, it is given up.
struct Open {
    call: Option<Rc<Call>>,
    upload: Option<Upload>,
}

impl Open {
    fn send(&self, line: &Line) -> Result<(), ClientError> {
        let is_sent = self.call.as_ref().is_some_and(|call| line.send(call));
        let fault = springtide_proto::http1::ReplyFault::NoAnswer;
        if is_sent { Ok(()) } else { Err(ClientError::Malformed(fault)) }
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Result<Answer, ClientError>> {
        let Some(call) = &self.call else { return Poll::Ready(Err(ClientError::Ended)) };
        if let Poll::Ready(answer) = call.poll_answer(context) {
            return Poll::Ready(answer);
        }
        poll_upload(&mut self.upload, call, context)?;
        Poll::Pending
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        if let Some(call) = self.call.take() {
            call.give_up();
        }
    }
}

/// The request's body goes on, while somebody waits for the answer.
pub(super) fn poll_upload(
    upload: &mut Option<Upload>,
    call: &Call,
    context: &mut Context<'_>,
) -> Result<(), ClientError> {
    let Some(own) = upload else { return Ok(()) };
    if let Poll::Ready(ended) = own.poll(call, context) {
        *upload = None;
        return ended;
    }
    Ok(())
}

/// A line that is being made: dropped before it stands, it is withdrawn.
struct Connecting(Rc<Line>);

impl Drop for Connecting {
    fn drop(&mut self) {
        if let Some(key) = self.0.withdraw() {
            self.0.shared.cancel_connect(key);
        }
    }
}

/// A fresh connection to the first address of the host that takes it.
async fn connect(
    url: &Url,
    settings: &Arc<Settings>,
    shared: &Rc<Shared>,
) -> Result<Rc<Line>, ClientError> {
    let mut last = Err(ClientError::Ended);
    for address in resolve(&url.origin, settings, shared).await? {
        last = connect_to(address, url, settings, shared).await;
        if !matches!(last, Err(ClientError::Connect(..))) {
            break;
        }
    }
    last
}

async fn connect_to(
    address: SocketAddr,
    url: &Url,
    settings: &Arc<Settings>,
    shared: &Rc<Shared>,
) -> Result<Rc<Line>, ClientError> {
    if shared.desk.open() >= settings.limits.connections_max {
        return Err(ClientError::Limit("connections_max"));
    }
    let line = Line::new(Rc::clone(shared), Arc::clone(settings), url.origin.clone());
    let place = shared.desk.begin(Rc::clone(&line));
    let op = Op::Connect { address };
    let key = shared.engine.borrow_mut().submit(op, CLIENT_TOKEN | place.raw());
    line.connect_by(key);
    let connecting = Connecting(Rc::clone(&line));
    let connected = poll_fn(|context| connecting.0.poll_open(context)).await;
    connected.map(|()| line).map_err(|error| match error {
        ClientError::Broken(why) => ClientError::Connect(address, why),
        error => error,
    })
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
