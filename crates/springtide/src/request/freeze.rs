//! Requests apart from the chunk they arrived in: kept, moved to another shard, or for another thread.
//! Nothing of the chunk is kept: a ring whose buffers wait with requests starves other connections.

use std::ops::Range;

use http::HeaderMap;
use springtide_engine::Descriptor;
use springtide_proto::http1::Head;

use super::{HeadBytes, RequestData};

/// A request whose body is still arriving, as plain data.
#[derive(Debug)]
pub(crate) struct FrozenRequest {
    head: Head,
    bytes: Vec<u8>,
    params: Vec<Range<u32>>,
    route: usize,
    trailers: Option<Box<HeaderMap>>,
    name: Option<String>,
}

impl RequestData {
    /// Copies the head out of the chunk, which is needed no more.
    pub(crate) fn detach(&mut self) {
        if let HeadBytes::Chunk(chunk, offset) = &self.bytes {
            self.copied.clear();
            self.copied.extend_from_slice(&chunk.as_slice()[*offset..*offset + self.head.len]);
            self.bytes = HeadBytes::Copied;
        }
    }

    /// What a request is whose head was detached; its parts can be put back.
    pub(crate) fn freeze(&mut self) -> FrozenRequest {
        self.detach();
        let name = self.own_name();
        // The body is with whoever reads it, and comes into the parts when it is whole.
        let Self { head, bytes: _, copied, params, route, trailers, .. } = self;
        FrozenRequest {
            head: std::mem::take(head),
            bytes: std::mem::take(copied),
            params: std::mem::take(params),
            route: *route,
            trailers: trailers.take(),
            name,
        }
    }

    /// Makes these parts those of a request that was frozen.
    pub(crate) fn thaw(&mut self, frozen: FrozenRequest, socket: Descriptor) {
        self.put_frozen(frozen);
        self.socket = Some(socket);
    }

    pub(super) fn put_frozen(&mut self, frozen: FrozenRequest) {
        let FrozenRequest { head, bytes, params, route, trailers, name } = frozen;
        (self.head, self.copied, self.params, self.route) = (head, bytes, params, route);
        self.trailers = trailers;
        self.bytes = HeadBytes::Copied;
        self.path_len.set(0);
        self.carry_name(name);
    }
}
