//! One version of one file as it is sent: fields made once, replies made of them.
//! It never reads; a body that is not in memory is the stream's business.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::ops::Range;
use std::time::{Duration, UNIX_EPOCH};

use bytes::Bytes;
use http::{HeaderName, HeaderValue, StatusCode, header};
use springtide_engine::Metadata;

use super::coding::{self, Coding, Codings, Wanted};
use super::condition::{self, Decision, Validators};
use super::outline::{Multipart, Outline};
use super::query::FileQuery;
use super::{Files, media_type};
use crate::response::Response;

/// What a version is of.
#[derive(Debug, Clone, Copy)]
pub(super) struct Subject<'a> {
    pub(super) wanted: Wanted<'a>,
    pub(super) metadata: Metadata,
    /// The encoded forms that are there beside the file itself.
    pub(super) siblings: Codings,
}

/// A version of a file.
#[derive(Debug)]
pub(super) struct Representation {
    pub(super) metadata: Metadata,
    coding: Coding,
    siblings: Codings,
    /// When it was known to be the file on disk, in seconds since 1970.
    seen_seconds: u64,
    entity_tag: HeaderValue,
    modified_seconds: Option<u64>,
    content_type: &'static str,
    /// The `200`, with the body if it is in memory.
    whole: Response,
    not_modified: Response,
    body: Option<Bytes>,
}

/// What is sent of it.
#[derive(Debug)]
pub(super) enum Selected {
    /// Everything that is to be sent.
    Reply(Response),
    /// A head, and behind it parts of the file, which is in memory.
    Parts(Response, Vec<Bytes>),
    /// A head, and behind it what is to be read: the file is not in memory.
    Disk(Response, Outline),
}

impl Selected {
    /// The same with another head.
    pub(super) fn map(self, change: impl FnOnce(Response) -> Response) -> Self {
        match self {
            Self::Reply(response) => Self::Reply(change(response)),
            Self::Parts(response, pieces) => Self::Parts(change(response), pieces),
            Self::Disk(response, body) => Self::Disk(change(response), body),
        }
    }
}

/// How long a version must have been there, in seconds, before its time of modification tells it
/// from a later one of the same length: file systems count in steps of up to two seconds.
const SETTLED_SECONDS: u64 = 2;

/// The end of the year 9999, the last one that a date of HTTP can say.
const DATE_SECONDS_MAX: u64 = 253_402_300_799;

impl Representation {
    /// A version with its body, if it is kept in memory. `unix_seconds` is when it was known to
    /// be the file on disk.
    pub(super) fn new(
        files: &Files,
        subject: Subject<'_>,
        body: Option<Bytes>,
        unix_seconds: u64,
    ) -> Self {
        let Subject { wanted: Wanted { name, coding }, metadata, siblings } = subject;
        let entity_tag = entity_tag_of(&metadata, coding);
        // A time to come must not be sent (RFC 9110 §8.8.2.1), and nothing can be told by it.
        let modified_seconds = Some(seconds_of(&metadata)).filter(|at| *at <= unix_seconds);
        let content_type = media_type::of(name);
        let cache_control = files.cache_control_of(name).cloned();
        // What a 304 has too (RFC 9110 §15.4.5).
        let mut fields = vec![(header::ETAG, entity_tag.clone())];
        fields.extend(cache_control.map(|value| (header::CACHE_CONTROL, value)));
        if coding != Coding::Identity || !siblings.is_empty() {
            fields.push(vary());
        }
        let not_modified = with_fields(Response::empty(StatusCode::NOT_MODIFIED), &fields).shared();
        let name_of_coding = coding.name().map(HeaderValue::from_static);
        fields.extend(name_of_coding.map(|name| (header::CONTENT_ENCODING, name)));
        fields.push((header::ACCEPT_RANGES, HeaderValue::from_static("bytes")));
        fields.push((header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")));
        fields.extend(modified_seconds.and_then(last_modified));
        let bytes = body.clone().unwrap_or_default();
        let whole = with_fields(Response::of(content_type, bytes), &fields).shared();
        let seen_seconds = unix_seconds;
        Self {
            metadata,
            coding,
            siblings,
            seen_seconds,
            entity_tag,
            modified_seconds,
            content_type,
            whole,
            not_modified,
            body,
        }
    }

    /// Whether a file that is there now is this version: same metadata, and old enough for them
    /// to tell.
    pub(super) fn is_surely(&self, metadata: &Metadata) -> bool {
        let modified = seconds_of(&self.metadata);
        let settled = modified.abs_diff(self.seen_seconds) >= SETTLED_SECONDS;
        settled && self.metadata == *metadata
    }

    /// The same version beside other encoded forms. None when they are the same.
    pub(super) fn beside(
        &self,
        files: &Files,
        wanted: Wanted<'_>,
        siblings: Codings,
    ) -> Option<Self> {
        let subject = Subject { wanted, metadata: self.metadata, siblings };
        let changed = || Self::new(files, subject, self.body.clone(), self.seen_seconds);
        (siblings != self.siblings).then(changed)
    }

    /// In which form a client takes the file; none when in no form that is there.
    #[inline]
    pub(super) fn coding_for(&self, query: &FileQuery<'_>) -> Option<Coding> {
        coding::choose(query.accept_encoding, self.siblings)
    }

    /// The bytes it holds in memory.
    pub(super) fn memory_bytes(&self) -> usize {
        self.body.as_ref().map_or(0, Bytes::len)
    }

    /// What a query gets. `unix_seconds` is asked for the present time where it matters.
    #[inline]
    pub(super) fn select(
        &self,
        query: &FileQuery<'_>,
        unix_seconds: impl FnOnce() -> u64,
    ) -> Selected {
        if query.is_unconditional() {
            return self.select_whole(StatusCode::OK);
        }
        let validators = Validators {
            entity_tag: self.entity_tag.as_bytes(),
            modified_seconds: self.modified_seconds,
            length: self.metadata.length,
        };
        let now = if query.if_range.is_some() { unix_seconds() } else { 0 };
        match condition::decide(query, &validators, now) {
            Decision::Whole => self.select_whole(StatusCode::OK),
            Decision::Part(part) => self.select_part(part),
            Decision::Parts(parts) => self.select_parts(&parts),
            Decision::NotModified => Selected::Reply(self.not_modified.clone()),
            Decision::Failed => Selected::Reply(plain(StatusCode::PRECONDITION_FAILED)),
            Decision::Unsatisfiable => {
                let range = content_range(format_args!("*/{}", self.metadata.length));
                let reply = plain(StatusCode::RANGE_NOT_SATISFIABLE);
                Selected::Reply(with_fields(reply, &[range]))
            }
        }
    }

    /// What is sent in place of a file that is not there.
    pub(super) fn select_page(&self) -> Selected {
        self.select_whole(StatusCode::NOT_FOUND)
    }

    #[inline]
    fn select_whole(&self, status: StatusCode) -> Selected {
        let response = self.whole.clone().status(status);
        if self.body.is_some() || self.metadata.length == 0 {
            return Selected::Reply(response);
        }
        Selected::Disk(response, Outline::of(0..self.metadata.length))
    }

    fn select_part(&self, part: Range<u64>) -> Selected {
        let length = self.metadata.length;
        let range = content_range(format_args!("{}-{}/{length}", part.start, part.end - 1));
        let body = self.body.as_ref().map(|body| {
            let index = |at| usize::try_from(at).expect("a body in memory has a length in memory");
            body.slice(index(part.start)..index(part.end))
        });
        let is_in_memory = body.is_some();
        let response = Response::of(self.content_type, body.unwrap_or_default());
        let response = with_fields(response, &[range]).status(StatusCode::PARTIAL_CONTENT);
        let response = with_fields(response, self.whole.fields());
        if is_in_memory {
            Selected::Reply(response)
        } else {
            Selected::Disk(response, Outline::of(part))
        }
    }

    /// Several parts (§15.3.7.2), unless the whole file is shorter than what tells them apart.
    fn select_parts(&self, parts: &[Range<u64>]) -> Selected {
        let boundary = boundary_of(&self.entity_tag);
        let mut fields = format!("content-type: {}\r\n", self.content_type);
        if let Some(name) = self.coding.name() {
            fields += &format!("content-encoding: {name}\r\n");
        }
        let length = self.metadata.length;
        let how = Multipart { boundary: &boundary, fields: &fields, length };
        let outline = Outline::multipart(parts, how);
        if outline.length() >= length {
            return self.select_whole(StatusCode::OK);
        }
        let content_type =
            HeaderValue::try_from(format!("multipart/byteranges; boundary={boundary}"));
        let content_type = content_type.expect("letters and digits may stand in a field");
        // It is the parts that are encoded, not what tells them apart.
        let fields =
            self.whole.fields().iter().filter(|(name, _)| *name != header::CONTENT_ENCODING);
        let response = with_fields(Response::empty(StatusCode::PARTIAL_CONTENT), fields)
            .header(header::CONTENT_TYPE, content_type);
        match &self.body {
            Some(body) => Selected::Parts(response, outline.pieces(body)),
            None => Selected::Disk(response, outline),
        }
    }
}

/// A short reply of a status, for people.
pub(super) fn plain(status: StatusCode) -> Response {
    Response::said(status, None)
}

/// `406`: the file is there, but in no form that the client takes.
pub(super) fn not_acceptable() -> Response {
    with_fields(plain(StatusCode::NOT_ACCEPTABLE), &[vary()])
}

/// A reply that depends on what types a request takes.
pub(super) fn by_accept(response: Response) -> Response {
    response.header(header::VARY, HeaderValue::from_static("accept"))
}

/// `503`: come again.
pub(super) fn busy() -> Response {
    plain(StatusCode::SERVICE_UNAVAILABLE)
        .header(header::RETRY_AFTER, HeaderValue::from_static("1"))
}

/// The redirect of a directory to its path with a slash behind. None when the path could be read
/// as another host's (`//host`), or cannot stand in a field.
pub(super) fn redirect(request_path: &str) -> Option<Response> {
    let is_here = match request_path.as_bytes() {
        [b'/', b'/' | b'\\', ..] => false,
        [b'/', ..] => true,
        _ => false,
    };
    let location = HeaderValue::try_from(format!("{request_path}/")).ok().filter(|_| is_here)?;
    Some(plain(StatusCode::MOVED_PERMANENTLY).header(header::LOCATION, location))
}

fn with_fields<'a>(
    response: Response,
    fields: impl IntoIterator<Item = &'a (HeaderName, HeaderValue)>,
) -> Response {
    fields
        .into_iter()
        .fold(response, |response, (name, value)| response.header(name.clone(), value.clone()))
}

const fn vary() -> (HeaderName, HeaderValue) {
    (header::VARY, HeaderValue::from_static("accept-encoding"))
}

fn content_range(value: std::fmt::Arguments<'_>) -> (HeaderName, HeaderValue) {
    let value = HeaderValue::try_from(format!("bytes {value}"));
    (header::CONTENT_RANGE, value.expect("digits may stand in a field"))
}

/// Inode, length and time of modification: strong, since a change of the bytes changes one of
/// them (RFC 9110 §8.8.1), to the resolution of the file system's clock. Each coding has its own
/// (§8.8.3.3).
fn entity_tag_of(metadata: &Metadata, coding: Coding) -> HeaderValue {
    let Metadata { inode, length, modified_ns, .. } = metadata;
    let (dash, name) = coding.name().map_or(("", ""), |name| ("-", name));
    let value = format!("\"{inode:x}-{length:x}-{modified_ns:x}{dash}{name}\"");
    HeaderValue::try_from(value).expect("letters and digits may stand in a field")
}

/// What tells the parts of a version from each other (RFC 2046 §5.1.1). Another version has
/// another one.
fn boundary_of(entity_tag: &HeaderValue) -> String {
    let mut hasher = DefaultHasher::new();
    entity_tag.hash(&mut hasher);
    format!("springtide-{:016x}", hasher.finish())
}

fn last_modified(seconds: u64) -> Option<(HeaderName, HeaderValue)> {
    let date = UNIX_EPOCH + Duration::from_secs(seconds);
    let value = HeaderValue::try_from(httpdate::fmt_http_date(date)).ok()?;
    Some((header::LAST_MODIFIED, value))
}

/// The time of modification in whole seconds since 1970, within what HTTP can say.
fn seconds_of(metadata: &Metadata) -> u64 {
    let seconds = metadata.modified_ns.div_euclid(1_000_000_000).max(0);
    u64::try_from(seconds).map_or(DATE_SECONDS_MAX, |seconds| seconds.min(DATE_SECONDS_MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_800_000_000;

    fn metadata(modified_ns: i128) -> Metadata {
        Metadata { length: 10, modified_ns, inode: 0xabc, is_directory: false, is_file: true }
    }

    fn representation(modified_ns: i128) -> Representation {
        let body = Some(Bytes::from_static(b"0123456789"));
        let (wanted, siblings) = (Wanted::itself("a.txt"), Codings::default());
        let subject = Subject { wanted, metadata: metadata(modified_ns), siblings };
        Representation::new(&Files::new("x"), subject, body, NOW)
    }

    fn field<'a>(response: &'a Response, name: &HeaderName) -> Option<&'a str> {
        let field = response.fields().iter().find(|(field, _)| field == name);
        field.and_then(|(_, value)| value.to_str().ok())
    }

    fn reply(selected: Selected) -> Response {
        match selected {
            Selected::Reply(response) => response,
            other => panic!("it is in memory and one piece: {other:?}"),
        }
    }

    #[test]
    fn validators_of_a_file() {
        let response = reply(representation(784_111_777_999_999_999).select_page());
        assert_eq!(field(&response, &header::ETAG), Some("\"abc-a-ae1b981f7e3d3ff\""));
        let date = field(&response, &header::LAST_MODIFIED);
        assert_eq!(date, Some("Sun, 06 Nov 1994 08:49:37 GMT"));
        assert_eq!(response.status_code(), StatusCode::NOT_FOUND);
    }

    #[test]
    fn odd_times_of_modification() {
        let date = |modified_ns| {
            let response = reply(representation(modified_ns).select_page());
            field(&response, &header::LAST_MODIFIED).map(str::to_owned)
        };
        let seconds = |seconds: u64| i128::from(seconds) * 1_000_000_000;
        assert_eq!(date(-1).as_deref(), Some("Thu, 01 Jan 1970 00:00:00 GMT"));
        assert_eq!(date(i128::MIN).as_deref(), Some("Thu, 01 Jan 1970 00:00:00 GMT"));
        assert!(date(seconds(NOW)).is_some());
        assert_eq!(date(seconds(NOW + 1)), None);
        assert_eq!(date(i128::MAX), None);
    }

    #[test]
    fn a_version_is_told_by_metadata_only_when_settled() {
        let seconds = |seconds: u64| i128::from(seconds) * 1_000_000_000;
        for (modified, settled) in
            [(NOW - 10, true), (NOW - 2, true), (NOW - 1, false), (NOW, false), (NOW + 9, true)]
        {
            let version = representation(seconds(modified));
            assert_eq!(version.is_surely(&metadata(seconds(modified))), settled, "{modified}");
            assert!(!version.is_surely(&metadata(seconds(modified) + 1)), "{modified}");
        }
    }

    #[test]
    fn parts_of_a_body_in_memory() {
        let version = representation(0);
        let asked = |range| {
            let query = FileQuery { range: Some(range), ..FileQuery::default() };
            reply(version.select(&query, || NOW))
        };
        let part = asked(b"bytes=2-4");
        assert_eq!(part.status_code(), StatusCode::PARTIAL_CONTENT);
        assert_eq!(part.body(), b"234");
        assert_eq!(part.content_type(), Some("text/plain; charset=utf-8"));
        assert_eq!(field(&part, &header::CONTENT_RANGE), Some("bytes 2-4/10"));
        assert!(field(&part, &header::ETAG).is_some());
        let none = asked(b"bytes=10-");
        assert_eq!(none.status_code(), StatusCode::RANGE_NOT_SATISFIABLE);
        assert_eq!(field(&none, &header::CONTENT_RANGE), Some("bytes */10"));
    }

    #[test]
    fn redirects_stay_here() {
        let location = |path| {
            redirect(path).map(|response| {
                field(&response, &header::LOCATION).expect("a redirect says where").to_owned()
            })
        };
        assert_eq!(location("/a").as_deref(), Some("/a/"));
        assert_eq!(location("/a%20b/c").as_deref(), Some("/a%20b/c/"));
        for path in ["//host", "/\\host", "http://host/a", "a", "", "/a\r\nb"] {
            assert_eq!(location(path), None, "{path:?}");
        }
    }
}
