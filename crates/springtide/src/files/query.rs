//! What is asked of a root: a path and conditions, borrowed from a request or kept while waiting.
//! It decides nothing.

use super::path;

/// What a request asks of a root.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct FileQuery<'a> {
    /// Whether the request is `HEAD`.
    pub(crate) is_head: bool,
    /// What is left of the path behind the route's prefix and its slash, still percent-encoded,
    /// without the query: `a/b.css` of `/static/a/b.css`.
    pub(crate) path: &'a str,
    /// The whole path, for the redirect of a directory: `/static/a/b.css`.
    pub(crate) request_path: &'a str,
    /// `If-Match`, `If-None-Match`: the values of all fields of the name, joined by commas.
    pub(crate) if_match: Option<&'a [u8]>,
    pub(crate) if_none_match: Option<&'a [u8]>,
    /// Dates; none where the request has several.
    pub(crate) if_modified_since: Option<&'a [u8]>,
    pub(crate) if_unmodified_since: Option<&'a [u8]>,
    pub(crate) if_range: Option<&'a [u8]>,
    pub(crate) range: Option<&'a [u8]>,
    /// `Accept-Encoding`: the values of all fields of the name, joined by commas.
    pub(crate) accept_encoding: Option<&'a [u8]>,
    /// `Accept`, likewise.
    pub(crate) accept: Option<&'a [u8]>,
}

/// In which place a file is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// In its own.
    Itself,
    /// The page of a directory, in place of its index.
    Listing,
    /// With status 200 in place of what is not there: the page of an application.
    Fallback,
    /// With status 404 in place of what is not there; `is_chosen` when another request would have
    /// got the fallback.
    NotFound { is_chosen: bool },
}

impl FileQuery<'_> {
    /// Whether it asks for the whole file, whatever it is.
    #[inline]
    pub(super) const fn is_unconditional(&self) -> bool {
        self.if_match.is_none()
            && self.if_none_match.is_none()
            && self.if_modified_since.is_none()
            && self.if_unmodified_since.is_none()
            && self.range.is_none()
    }

    /// Whether it means the index of a directory but lacks the slash, so that the relative links
    /// of the index would lead elsewhere.
    pub(super) fn lacks_slash(&self) -> bool {
        path::is_directory(self.path) && !self.request_path.ends_with('/')
    }
}

/// A query kept while it waits.
#[derive(Debug)]
pub(super) struct Question {
    is_head: bool,
    path: Box<str>,
    request_path: Box<str>,
    accept_encoding: Option<Box<[u8]>>,
    accept: Option<Box<[u8]>>,
    conditions: Option<Box<Conditions>>,
}

#[derive(Debug)]
struct Conditions {
    if_match: Option<Box<[u8]>>,
    if_none_match: Option<Box<[u8]>>,
    if_modified_since: Option<Box<[u8]>>,
    if_unmodified_since: Option<Box<[u8]>>,
    if_range: Option<Box<[u8]>>,
    range: Option<Box<[u8]>>,
}

impl Question {
    pub(super) fn of(query: &FileQuery<'_>) -> Self {
        let conditions = || Conditions {
            if_match: query.if_match.map(Into::into),
            if_none_match: query.if_none_match.map(Into::into),
            if_modified_since: query.if_modified_since.map(Into::into),
            if_unmodified_since: query.if_unmodified_since.map(Into::into),
            if_range: query.if_range.map(Into::into),
            range: query.range.map(Into::into),
        };
        Self {
            is_head: query.is_head,
            path: query.path.into(),
            request_path: query.request_path.into(),
            accept_encoding: query.accept_encoding.map(Into::into),
            accept: query.accept.map(Into::into),
            conditions: (!query.is_unconditional()).then(|| Box::new(conditions())),
        }
    }

    pub(super) fn query(&self) -> FileQuery<'_> {
        let query = FileQuery {
            is_head: self.is_head,
            path: &self.path,
            request_path: &self.request_path,
            accept_encoding: self.accept_encoding.as_deref(),
            accept: self.accept.as_deref(),
            ..FileQuery::default()
        };
        let Some(conditions) = &self.conditions else { return query };
        FileQuery {
            if_match: conditions.if_match.as_deref(),
            if_none_match: conditions.if_none_match.as_deref(),
            if_modified_since: conditions.if_modified_since.as_deref(),
            if_unmodified_since: conditions.if_unmodified_since.as_deref(),
            if_range: conditions.if_range.as_deref(),
            range: conditions.range.as_deref(),
            ..query
        }
    }
}
