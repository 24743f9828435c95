//! One request over one connection: found or made, sent, answered; and once more where a kept
//! connection had been closed.
//! Whatever is dropped on the way gives its connection up.

use std::future::poll_fn;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::{HeaderMap, Method};

use super::body::{Outgoing, Upload};
use super::connect::connect;
use super::line::{Answer, Call, Line, Order};
use super::url::Url;
use super::{ClientError, Settings};
use crate::request::Shared;

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
        let line = connect(&self.url.origin, settings, shared).await?;
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
