//! The body of a request to another server, and how it goes there piece by piece.
//! Nothing of it is taken from its source before the connection has room.

use std::task::{Context, Poll};

use bytes::Bytes;
use futures_core::Stream;
use http::{HeaderMap, HeaderName};
use springtide_proto::http1::AskBody;

use super::ClientError;
use super::line::Call;
use crate::request::Body;

/// The pieces of a body, one after the other; none behind the last one.
type Pieces = Box<dyn FnMut(&mut Context<'_>) -> Poll<Option<Result<Bytes, ClientError>>>>;

/// Where a body that is sent by and by comes from.
enum Source {
    /// A request, whose fields behind it go on as well, but for these.
    Received(Body, Vec<HeaderName>),
    Stream(Pieces),
}

/// A body that is to be sent.
pub(super) enum Outgoing {
    None,
    Whole(Bytes),
    /// Of this length, or of an unknown one.
    Pieces(Upload, Option<u64>),
}

impl Outgoing {
    pub(super) const fn of_body(
        body: Body,
        length: Option<u64>,
        unwanted: Vec<HeaderName>,
    ) -> Self {
        Self::Pieces(Upload { source: Source::Received(body, unwanted) }, length)
    }

    pub(super) fn of_stream<S, E>(stream: S, length: Option<u64>) -> Self
    where
        S: Stream<Item = Result<Bytes, E>> + 'static,
        E: std::error::Error,
    {
        let mut stream = Box::pin(stream);
        let pieces = move |context: &mut Context<'_>| {
            let next = stream.as_mut().poll_next(context);
            next.map(|next| {
                next.map(|piece| piece.map_err(|why| ClientError::Stream(why.to_string())))
            })
        };
        Self::Pieces(Upload { source: Source::Stream(Box::new(pieces)) }, length)
    }

    /// Whether it can be sent once more.
    pub(super) const fn is_replayable(&self) -> bool {
        !matches!(self, Self::Pieces(..))
    }

    /// What the head says of it, and what is to be sent by and by.
    pub(super) fn begin(&mut self) -> (AskBody, Option<Upload>) {
        match self {
            Self::None => (AskBody::None, None),
            Self::Whole(bytes) => (AskBody::Full(bytes.clone().into()), None),
            Self::Pieces(..) => {
                let Self::Pieces(upload, length) = std::mem::replace(self, Self::None) else {
                    return (AskBody::None, None);
                };
                (length.map_or(AskBody::Chunked, AskBody::Sized), Some(upload))
            }
        }
    }
}

/// A body on its way.
pub(super) struct Upload {
    source: Source,
}

impl Source {
    fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, ClientError>>> {
        match self {
            Self::Received(body, _) => {
                let next = body.poll_next(context).map(Result::transpose);
                next.map(|next| next.map(|piece| piece.map_err(ClientError::Body)))
            }
            Self::Stream(pieces) => pieces(context),
        }
    }

    /// The fields behind the last piece.
    fn trailers(&self) -> HeaderMap {
        let Self::Received(body, unwanted) = self else { return HeaderMap::new() };
        let mut trailers = body.trailers();
        for name in unwanted {
            trailers.remove(name);
        }
        trailers
    }
}

impl Upload {
    /// Takes what there is room for; ready at the end.
    pub(super) fn poll(
        &mut self,
        call: &Call,
        context: &mut Context<'_>,
    ) -> Poll<Result<(), ClientError>> {
        while call.poll_credit(context).is_ready() {
            match self.source.poll_next(context) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Some(Ok(piece))) => call.put(piece),
                Poll::Ready(Some(Err(error))) => return Poll::Ready(Err(error)),
                Poll::Ready(None) => {
                    call.finish(self.source.trailers());
                    return Poll::Ready(Ok(()));
                }
            }
        }
        Poll::Pending
    }
}
