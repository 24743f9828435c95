//! Compression of bodies on their way: which responses gain by it, what their fields say then, and
//! the coder.
//! It never compresses what is compressed, or what somebody said must not be changed.

use std::rc::Rc;

use bytes::Bytes;
use flate2::{Compress, Compression, FlushCompress, Status};
use http::header::{ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_RANGE, ETAG, VARY};
use http::{HeaderName, HeaderValue, StatusCode};

use super::{Response, Stream};
use crate::limits::{COMPRESS_PIECE_BYTES, COMPRESSED_STREAMS_MAX};

/// As small as the next levels make it, but for some percent, and twice as fast.
const LEVEL: Compression = Compression::new(4);
/// The window of gzip, 32 KiB.
const WINDOW_BITS: u8 = 15;

/// A body's way into gzip (RFC 1952). It takes some 300 KB.
pub(crate) struct Gzip {
    compress: Compress,
    /// One of the shard's streams.
    _counted: Option<Rc<()>>,
}

impl Gzip {
    fn new(counted: Option<Rc<()>>) -> Self {
        Self { compress: Compress::new_gzip(LEVEL, WINDOW_BITS), _counted: counted }
    }

    /// The whole of a body; then the coder is ready for the next one.
    fn whole(&mut self, body: &[u8]) -> Vec<u8> {
        let mut coded = Vec::with_capacity(body.len() / 4 + 64);
        self.code(body, FlushCompress::Finish, &mut coded);
        self.compress.reset();
        coded
    }

    /// A piece of a body, so that all of it can be read when this has come.
    pub(super) fn piece(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut coded = Vec::with_capacity(bytes.len() / 4 + 64);
        self.code(bytes, FlushCompress::Sync, &mut coded);
        coded
    }

    /// What stands behind the last piece.
    pub(super) fn end(&mut self) -> Vec<u8> {
        let mut coded = Vec::with_capacity(64);
        self.code(&[], FlushCompress::Finish, &mut coded);
        coded
    }

    fn code(&mut self, bytes: &[u8], flush: FlushCompress, coded: &mut Vec<u8>) {
        let before = self.compress.total_in();
        loop {
            let done = usize::try_from(self.compress.total_in() - before).unwrap_or(usize::MAX);
            let rest = bytes.get(done..).unwrap_or_default();
            match self.compress.compress_vec(rest, coded, flush) {
                Ok(Status::Ok | Status::BufError) => {}
                Ok(Status::StreamEnd) => return,
                Err(error) => panic!("a coder with room to write does not fail: {error}"),
            }
            // Room that is left means that there was nothing more to write.
            let is_read = self.compress.total_in() - before == bytes.len() as u64;
            if is_read && coded.len() < coded.capacity() && flush != FlushCompress::Finish {
                return;
            }
            coded.reserve(coded.capacity().max(64));
        }
    }
}

/// What a shard of a server that compresses has for it.
pub(crate) struct Compressing {
    gzip: Gzip,
    /// Counted by the bodies that are compressed while they are sent.
    streams: Rc<()>,
}

impl Default for Compressing {
    fn default() -> Self {
        Self { gzip: Gzip::new(None), streams: Rc::new(()) }
    }
}

impl Compressing {
    /// Prepares a response to be sent to a client that takes gzip, or does not. A body in memory is
    /// compressed here when it is short, and becomes a stream otherwise; the coder of a stream is
    /// given back.
    pub(crate) fn prepare(&mut self, response: &mut Response, is_taken: bool) -> Option<Gzip> {
        if !response.gains_by_coding() {
            return None;
        }
        response.say_that_it_varies();
        let is_short = response.body().len() <= COMPRESS_PIECE_BYTES;
        let is_stream = response.body_stream().is_some() || !is_short;
        let has_room = !is_stream || Rc::strong_count(&self.streams) <= COMPRESSED_STREAMS_MAX;
        if !is_taken || !has_room {
            return None;
        }
        response.say_that_it_is_gzip();
        if is_stream {
            if response.body_stream().is_none() {
                let body = response.take_body();
                response.extras.get_or_insert_default().stream = Some(in_pieces(body));
            }
            return Some(Gzip::new(Some(Rc::clone(&self.streams))));
        }
        response.body = Bytes::from(self.gzip.whole(&response.body));
        None
    }
}

/// A long body as a stream, of which a turn compresses one piece: no other connection waits longer.
fn in_pieces(mut body: Bytes) -> Stream {
    Stream::new(None, async move |mut sink| {
        while !body.is_empty() {
            let length = body.len().min(COMPRESS_PIECE_BYTES);
            sink.send(body.split_to(length)).await?;
            next_turn().await;
        }
        Ok(())
    })
}

async fn next_turn() {
    let mut has_waited = false;
    std::future::poll_fn(|context| {
        if std::mem::replace(&mut has_waited, true) {
            return std::task::Poll::Ready(());
        }
        context.waker().wake_by_ref();
        std::task::Poll::Pending
    })
    .await;
}

impl Response {
    /// Whether its body, of one KiB or more by now, can be expected to become shorter, and may.
    fn gains_by_coding(&self) -> bool {
        let is_whole = self.status != StatusCode::PARTIAL_CONTENT && !self.has(&CONTENT_RANGE);
        let may_change = !self.values(&CACHE_CONTROL).any(|value| says(value, "no-transform"));
        let is_text = self.content_type().is_some_and(is_text);
        is_whole && may_change && is_text && !self.has(&CONTENT_ENCODING)
    }

    /// What a cache must know, also where this client takes no coding.
    fn say_that_it_varies(&mut self) {
        let is_said = |value| says(value, "*") || says(value, ACCEPT_ENCODING.as_str());
        if !self.values(&VARY).any(is_said) {
            let value = HeaderValue::from_static("Accept-Encoding");
            self.extras.get_or_insert_default().fields.to_mut().push((VARY, value));
        }
    }

    /// The fields of a body that is coded: another representation, with the same meaning, which its
    /// tag must not name as the same bytes (RFC 9110 §8.8.1).
    fn say_that_it_is_gzip(&mut self) {
        let fields = self.extras.get_or_insert_default().fields.to_mut();
        for (name, value) in fields.iter_mut().filter(|(name, _)| *name == ETAG) {
            let is_strong = value.as_bytes().starts_with(b"\"");
            let weak = [b"W/", value.as_bytes()].concat();
            if let (true, Ok(weak)) = (is_strong, HeaderValue::from_bytes(&weak)) {
                (*name, *value) = (ETAG, weak);
            }
        }
        fields.push((CONTENT_ENCODING, HeaderValue::from_static("gzip")));
    }

    fn values<'a>(&'a self, name: &'a HeaderName) -> impl Iterator<Item = &'a HeaderValue> {
        self.fields().iter().filter(move |(own, _)| own == name).map(|(_, value)| value)
    }

    fn has(&self, name: &HeaderName) -> bool {
        self.values(name).next().is_some()
    }
}

/// Whether a list of words has this one, in any case.
fn says(value: &HeaderValue, word: &str) -> bool {
    let mut words = value.as_bytes().split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
    words.any(|own| own.eq_ignore_ascii_case(word.as_bytes()))
}

/// Whether a media type is of text, in a wide sense, and not of events: each is a few bytes, sent at
/// once, and those of long ago are no context for it.
fn is_text(media_type: &str) -> bool {
    let essence = media_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let Some((kind, subtype)) = essence.split_once('/') else { return false };
    match kind {
        "text" => subtype != "event-stream",
        "application" => {
            let suffixes = ["+json", "+xml", "javascript", "json", "xml", "wasm", "yaml"];
            suffixes.iter().any(|suffix| subtype.ends_with(suffix))
        }
        _ => essence == "image/svg+xml",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_gains_by_coding() {
        for (media_type, gains) in [
            ("text/plain; charset=utf-8", true),
            ("Text/HTML", true),
            ("text/event-stream", false),
            ("application/json", true),
            ("application/problem+json", true),
            ("application/javascript", true),
            ("application/octet-stream", false),
            ("application/zip", false),
            ("image/png", false),
            ("image/svg+xml", true),
            ("font/woff2", false),
            ("", false),
        ] {
            assert_eq!(is_text(media_type), gains, "{media_type}");
        }
        let text = || Response::new("x");
        assert!(text().gains_by_coding());
        for (name, value) in [
            ("content-encoding", "br"),
            ("content-range", "bytes 0-1/2"),
            ("cache-control", "private, No-Transform"),
            ("content-type", "image/png"),
        ] {
            assert!(!text().header(name, value).gains_by_coding(), "{name}");
        }
        assert!(!text().status(StatusCode::PARTIAL_CONTENT).gains_by_coding());
        assert!(!Response::empty(StatusCode::OK).gains_by_coding());
    }

    #[test]
    fn fields_tell_of_the_coding() {
        for (tag, weak) in [("\"7\"", "W/\"7\""), ("W/\"7\"", "W/\"7\"")] {
            let mut response = Response::new("x").header("etag", tag).header("vary", "accept");
            Compressing::default().prepare(&mut response, true);
            let fields = response.fields().iter();
            let fields: Vec<_> =
                fields.map(|(name, value)| (name.as_str(), value.to_str().unwrap())).collect();
            let expected = [
                ("etag", weak),
                ("vary", "accept"),
                ("vary", "Accept-Encoding"),
                ("content-encoding", "gzip"),
            ];
            assert_eq!(fields, expected);
        }
        for said in ["Accept, accept-encoding", "*"] {
            let mut response = Response::new("x").header("vary", said);
            Compressing::default().prepare(&mut response, false);
            assert_eq!((response.fields().len(), response.body()), (1, b"x".as_slice()));
        }
    }

    #[test]
    fn streams_that_are_compressed_have_a_limit() {
        let mut shard = Compressing::default();
        let stream = || Response::stream(async |_| Ok(())).header("content-type", "text/plain");
        let coders: Vec<_> = (0..COMPRESSED_STREAMS_MAX)
            .map(|_| shard.prepare(&mut stream(), true).unwrap())
            .collect();
        let mut one_more = stream();
        assert!(shard.prepare(&mut one_more, true).is_none());
        assert!(!one_more.has(&CONTENT_ENCODING) && one_more.has(&VARY));
        drop(coders);
        assert!(shard.prepare(&mut stream(), true).is_some());
    }
}
