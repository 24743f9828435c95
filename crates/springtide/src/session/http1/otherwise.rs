//! Requests that no handler answers: files, and the reason why nothing is found.
//! It names the request to the file service and knows nothing of how files are found.

use std::borrow::Cow;

use http::StatusCode;
use springtide_proto::http1::Exchange;

use super::said;
use crate::files::{self, Asker, FileQuery, FileReply};
use crate::request::RequestData;
use crate::response::IntoResponse;
use crate::room::Room;
use crate::route::Found;
use crate::session::Who;

/// What answers where no handler does: a file, now or later, or the reason why nothing is found.
#[inline(never)]
pub(super) fn reply(
    found: &Found<'_>,
    exchange: Exchange,
    data: &RequestData,
    who: Who,
    room: &mut Room,
) -> Option<FileReply> {
    let response = match found {
        Found::Files(directory, _) => return ask_files(*directory, exchange, data, who, room),
        Found::Allow { value, is_options: true, .. } => {
            StatusCode::NO_CONTENT.into_response().header(http::header::ALLOW, (*value).clone())
        }
        Found::Allow { value, is_options: false, .. } => {
            said(StatusCode::METHOD_NOT_ALLOWED).header(http::header::ALLOW, (*value).clone())
        }
        Found::Misdirected => said(StatusCode::MISDIRECTED_REQUEST),
        _ => said(StatusCode::NOT_FOUND),
    };
    Some(FileReply::Whole(response))
}

/// The values of all fields of a name, joined by commas (RFC 9110 §5.3).
pub(super) fn joined<'a>(data: &'a RequestData, name: &'a str) -> Option<Cow<'a, [u8]>> {
    let mut own = Values::None;
    data.fields(name).for_each(|value| own.add(value));
    match own {
        Values::None => None,
        Values::One(value) => Some(Cow::Borrowed(value)),
        Values::Several(all) => Some(Cow::Owned(all)),
    }
}

/// The values of the fields of one name.
#[derive(Default)]
enum Values<'a> {
    #[default]
    None,
    One(&'a [u8]),
    /// Joined by commas.
    Several(Vec<u8>),
}

impl<'a> Values<'a> {
    fn add(&mut self, value: &'a [u8]) {
        match self {
            Self::None => *self = Self::One(value),
            Self::One(first) => *self = Self::Several([first, b", ".as_slice(), value].concat()),
            Self::Several(all) => {
                all.extend_from_slice(b", ");
                all.extend_from_slice(value);
            }
        }
    }

    /// The value, when there is one and only one.
    const fn only(&self) -> Option<&'a [u8]> {
        match self {
            Self::One(value) => Some(value),
            Self::None | Self::Several(_) => None,
        }
    }

    fn joined(&self) -> Option<&[u8]> {
        match self {
            Self::None => None,
            Self::One(value) => Some(value),
            Self::Several(all) => Some(all),
        }
    }
}

/// What a file is asked for with: one look at each field of a request finds all of it.
#[derive(Default)]
struct FileFields<'a> {
    if_match: Values<'a>,
    if_none_match: Values<'a>,
    if_modified_since: Values<'a>,
    if_unmodified_since: Values<'a>,
    if_range: Values<'a>,
    range: Values<'a>,
    accept_encoding: Values<'a>,
    accept: Values<'a>,
}

impl<'a> FileFields<'a> {
    fn of(data: &'a RequestData) -> Self {
        let (mut own, message) = (Self::default(), data.message());
        for field in data.head.fields() {
            let sent = field.name.of(message);
            // No two of these names are of one length, but for one pair.
            let (name, values) = match sent.len() {
                5 => ("range", &mut own.range),
                6 => ("accept", &mut own.accept),
                8 if matches!(sent[3], b'm' | b'M') => ("if-match", &mut own.if_match),
                8 => ("if-range", &mut own.if_range),
                13 => ("if-none-match", &mut own.if_none_match),
                15 => ("accept-encoding", &mut own.accept_encoding),
                17 => ("if-modified-since", &mut own.if_modified_since),
                19 => ("if-unmodified-since", &mut own.if_unmodified_since),
                _ => continue,
            };
            if sent.eq_ignore_ascii_case(name.as_bytes()) {
                values.add(field.value.of(message));
            }
        }
        own
    }
}

fn ask_files(
    directory: u32,
    exchange: Exchange,
    data: &RequestData,
    who: Who,
    room: &mut Room,
) -> Option<FileReply> {
    let request_path = data.path();
    let within = data.params.first().map(|range| range.start as usize..range.end as usize);
    let fields = FileFields::of(data);
    let range = fields.range.only();
    let answered = range.filter(|value| files::is_within_limit(value));
    room.counts.ranges_ignored_total += u64::from(range.is_some() && answered.is_none());
    let query = FileQuery {
        is_head: data.head.method == http::Method::HEAD,
        path: within.and_then(|range| request_path.get(range)).unwrap_or_default(),
        request_path,
        if_match: fields.if_match.joined(),
        if_none_match: fields.if_none_match.joined(),
        if_modified_since: fields.if_modified_since.only(),
        if_unmodified_since: fields.if_unmodified_since.only(),
        if_range: fields.if_range.only(),
        range: answered,
        accept_encoding: fields.accept_encoding.joined(),
        accept: fields.accept.joined(),
    };
    let asker = Asker { connection: who.place.raw(), exchange };
    let mut engine = room.requests.engine.borrow_mut();
    room.files.request(&mut **engine, room.roots[directory as usize], &query, asker)
}
