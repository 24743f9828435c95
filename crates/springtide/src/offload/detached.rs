//! A request on its way to a thread of the pool, as plain data.
//! It refers to nothing of its shard.

use std::sync::Arc;

use bytes::Bytes;

use crate::request::{Ends, FrozenRequest, Request, RequestData};
use crate::route::Routes;

/// A request with all that a handler can ask of it.
pub(crate) struct Detached {
    request: FrozenRequest,
    body: Bytes,
    router: Arc<Routes>,
    ends: Ends,
    name: String,
}

impl Detached {
    /// A copy of the head, and the body itself; the parts can be put back.
    pub(crate) fn of(data: &mut RequestData, router: &Arc<Routes>) -> Self {
        // Later its descriptor may be another connection's.
        let (ends, name) = (data.ends(), data.name().into_owned());
        let (request, body) = (data.freeze(), std::mem::take(&mut data.body));
        Self { request, body, router: Arc::clone(router), ends, name }
    }

    /// The request on the thread that handles it.
    pub(crate) fn attach(self) -> Request {
        let Self { request, body, router, ends, name } = self;
        Request::new(Box::new(RequestData::on_pool(request, body, router, ends, name)))
    }
}
