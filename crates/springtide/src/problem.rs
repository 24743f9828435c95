//! Errors of the server itself, as their clients take them: text, a page, or problem details.
//! It says nothing that a client could not see anyway.

use std::fmt::Write as _;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{self, HeaderValue};
use http::{Method, StatusCode};
use springtide_proto::http1::MediaType;

use crate::accepted::{Element, elements};
use crate::middleware::{Middleware, Outcome};
use crate::request::Request;
use crate::response::{IntoResponse, Response};

/// How an error is said. What a client prefers that names none of them is text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(crate) enum Form {
    #[default]
    Text,
    Html,
    /// Problem details as JSON (RFC 9457).
    Problem,
}

const PROBLEM: MediaType<'_> = MediaType::new("application/problem+json");

impl Form {
    /// What the lines of `Accept` prefer (RFC 9110 §12.5.1): of equal weights the first. Ranges with
    /// an asterisk name nothing, so that a terminal gets text.
    pub(crate) fn of<'a>(accept: impl Iterator<Item = &'a [u8]>) -> Self {
        let mut best = (0, Self::Text);
        for element in accept.flat_map(elements) {
            let Some(form) = Self::named(&element) else { continue };
            if element.weight > best.0 {
                best = (element.weight, form);
            }
        }
        best.1
    }

    fn named(element: &Element<'_>) -> Option<Self> {
        let names = [
            ("text/html", Self::Html),
            ("application/xhtml+xml", Self::Html),
            ("application/problem+json", Self::Problem),
            ("application/json", Self::Problem),
            ("text/plain", Self::Text),
        ];
        names.into_iter().find(|(name, _)| element.is(name)).map(|(_, form)| form)
    }

    /// One of the server's own replies in this form; any other stays as it is.
    pub(crate) fn put_on(self, reply: Response) -> Response {
        let body = match self {
            _ if !reply.is_own() => return reply,
            Self::Text => return reply,
            Self::Html => Response::html(page(reply.status_code(), detail_of(&reply))),
            Self::Problem => {
                let details = problem(reply.status_code(), detail_of(&reply));
                Response::with_type(PROBLEM, Bytes::from(details))
            }
        };
        let body = body.status(reply.status_code());
        with_fields_of(&reply, body).header(header::VARY, HeaderValue::from_static("Accept"))
    }
}

/// What an own reply says beyond its status.
fn detail_of(reply: &Response) -> Option<&str> {
    let text = std::str::from_utf8(reply.body()).ok()?;
    Some(text).filter(|text| *text != title_of(reply.status_code()) && !text.is_empty())
}

fn title_of(status: StatusCode) -> &'static str {
    status.canonical_reason().unwrap_or("Error")
}

fn page(status: StatusCode, detail: Option<&str>) -> String {
    let title = format!("{} {}", status.as_u16(), title_of(status));
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<title>{title}</title>\n\
         <h1>{title}</h1>\n"
    );
    if let Some(detail) = detail {
        let _ = writeln!(page, "<p>{detail}</p>");
    }
    page
}

fn problem(status: StatusCode, detail: Option<&str>) -> Vec<u8> {
    #[derive(serde::Serialize)]
    struct Details<'a> {
        title: &'a str,
        status: u16,
        #[serde(skip_serializing_if = "Option::is_none")]
        detail: Option<&'a str>,
    }
    let details = Details { title: title_of(status), status: status.as_u16(), detail };
    serde_json::to_vec(&details).expect("text and numbers can be written as JSON")
}

/// Adds the fields of one reply to another.
fn with_fields_of(reply: &Response, body: Response) -> Response {
    let fields = reply.fields().iter().filter(|(name, _)| *name != header::CONTENT_TYPE);
    fields.fold(body, |body, (name, value)| {
        let is_there = body.fields().iter().any(|(own, _)| own == name);
        if is_there { body } else { body.header(name.clone(), value.clone()) }
    })
}

/// An error that the server answers a request with by itself: a path or a method that is not there,
/// a body that is too long, a panic of a handler, no room on the pool, and the like. See
/// [`Server::error_page`](crate::Server::error_page).
#[derive(Debug)]
pub struct ServerError {
    reply: Response,
    asked: Asked,
}

/// What is kept of a request until its reply is known.
#[derive(Debug)]
struct Asked {
    method: Method,
    path: String,
    id: String,
    form: Form,
}

impl ServerError {
    /// The status.
    #[must_use]
    pub const fn status(&self) -> StatusCode {
        self.reply.status_code()
    }

    /// What the server says of it beyond the status.
    #[must_use]
    pub fn detail(&self) -> Option<&str> {
        detail_of(&self.reply)
    }

    /// The method of the request.
    #[must_use]
    pub const fn method(&self) -> &Method {
        &self.asked.method
    }

    /// The path of the request as it was sent: escape it before it goes into a page.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.asked.path
    }

    /// What the request is called in logs; see [`Request::id`].
    #[must_use]
    pub fn id(&self) -> &str {
        &self.asked.id
    }

    /// Whether the client would rather have a page than text or JSON.
    #[must_use]
    pub fn prefers_html(&self) -> bool {
        self.asked.form == Form::Html
    }

    /// Whether the client would rather have JSON than text or a page.
    #[must_use]
    pub fn prefers_json(&self) -> bool {
        self.asked.form == Form::Problem
    }

    /// What is sent where there is no error page: text, a bare page, or problem details.
    #[must_use]
    pub fn default_reply(&self) -> Response {
        self.asked.form.put_on(self.reply.clone())
    }
}

/// The error pages of a router.
pub(crate) struct ErrorPage {
    make: Arc<dyn Fn(&ServerError) -> Response + Send + Sync>,
}

impl ErrorPage {
    pub(crate) fn new<R: IntoResponse>(
        make: impl Fn(&ServerError) -> R + Send + Sync + 'static,
    ) -> Self {
        Self { make: Arc::new(move |error| make(error).into_response()) }
    }
}

impl Middleware for ErrorPage {
    fn begin(&self, request: &Request) -> Outcome {
        let make = Arc::clone(&self.make);
        let asked = Asked {
            method: request.method().clone(),
            path: request.path().to_owned(),
            id: request.id().into_owned(),
            form: request.error_form(),
        };
        Outcome::then(move |reply| {
            if !reply.is_own() {
                return reply;
            }
            let error = ServerError { reply, asked };
            let page = make(&error);
            let status = if page.status_code() == StatusCode::OK {
                error.status()
            } else {
                page.status_code()
            };
            // `Allow`, `Retry-After` and the like are the server's to say.
            with_fields_of(&error.reply, page.status(status))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_prefer_a_form() {
        for (accept, form) in [
            ("", Form::Text),
            ("*/*", Form::Text),
            ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", Form::Html),
            ("application/json, text/plain, */*", Form::Problem),
            ("application/problem+json", Form::Problem),
            ("text/plain, text/html", Form::Text),
            ("text/html;q=0.5, application/json;q=0.6", Form::Problem),
            ("Text/HTML;level=1;q=0.1", Form::Html),
            ("text/html;q=0", Form::Text),
            ("text/*, image/png", Form::Text),
            ("text/html;q=1, application/json", Form::Html),
            ("text/html;q=2, application/json;q=0.1", Form::Problem),
        ] {
            assert_eq!(Form::of(std::iter::once(accept.as_bytes())), form, "{accept}");
        }
        let lines: [&[u8]; 2] = [b"text/html;q=0.1", b"application/json"];
        assert_eq!(Form::of(lines.into_iter()), Form::Problem);
        assert_eq!(Form::of(std::iter::empty()), Form::Text);
    }

    #[test]
    fn replies_keep_what_they_say() {
        let own = Response::said(StatusCode::METHOD_NOT_ALLOWED, None).header("allow", "GET");
        let html = Form::Html.put_on(own.clone());
        assert_eq!((html.status_code().as_u16(), html.fields().len()), (405, 2));
        assert!(html.body().ends_with(b"<h1>405 Method Not Allowed</h1>\n"));
        let own = Response::said(StatusCode::PAYLOAD_TOO_LARGE, Some("too long"));
        let problem = Form::Problem.put_on(own.clone());
        let expected = br#"{"title":"Payload Too Large","status":413,"detail":"too long"}"#;
        assert_eq!(problem.body(), expected);
        assert_eq!(Form::Text.put_on(own).body(), b"too long");
        let theirs = Response::new("theirs").status(StatusCode::NOT_FOUND);
        assert_eq!(Form::Html.put_on(theirs).body(), b"theirs");
    }
}
