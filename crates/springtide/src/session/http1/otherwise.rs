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
    let mut values = data.fields(name);
    let mut joined = Cow::Borrowed(values.next()?);
    for value in values {
        let all = joined.to_mut();
        all.extend_from_slice(b", ");
        all.extend_from_slice(value);
    }
    Some(joined)
}

fn ask_files(
    directory: u32,
    exchange: Exchange,
    data: &RequestData,
    who: Who,
    room: &mut Room,
) -> Option<FileReply> {
    let within = data.param(0).unwrap_or_default();
    let (matches, matches_not) = (joined(data, "if-match"), joined(data, "if-none-match"));
    let (codings, types) = (joined(data, "accept-encoding"), joined(data, "accept"));
    let range = data.only_field("range");
    let answered = range.filter(|value| files::is_within_limit(value));
    room.counts.ranges_ignored_total += u64::from(range.is_some() && answered.is_none());
    let query = FileQuery {
        is_head: data.head.method == http::Method::HEAD,
        path: within,
        request_path: data.path(),
        if_match: matches.as_deref(),
        if_none_match: matches_not.as_deref(),
        if_modified_since: data.only_field("if-modified-since"),
        if_unmodified_since: data.only_field("if-unmodified-since"),
        if_range: data.only_field("if-range"),
        range: answered,
        accept_encoding: codings.as_deref(),
        accept: types.as_deref(),
    };
    let asker = Asker { connection: who.place.raw(), exchange };
    let mut engine = room.requests.engine.borrow_mut();
    room.files.request(&mut **engine, room.roots[directory as usize], &query, asker)
}
