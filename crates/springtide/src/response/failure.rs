//! Failures: errors of any kind on their way out of a handler, for the one who runs the server.
//! Nothing of what they say ever reaches a client.

use std::error::Error;
use std::fmt;

use http::StatusCode;

use super::{IntoResponse, Response};

/// Any error, so that `?` works in handlers and producers. It is answered with a 500 that says
/// nothing of it; what it says goes to standard error, with what caused it.
///
/// ```
/// use springtide::{Failure, Request, Server};
///
/// fn depth(request: &Request) -> Result<String, Failure> {
///     let depth: u32 = request.param("depth").parse()?;
///     Ok(format!("{depth} fathoms"))
/// }
/// let server = Server::new().get("/depth/{depth}", |request: Request| depth(&request));
/// ```
pub struct Failure {
    error: Box<dyn Error + Send + Sync>,
}

impl Failure {
    /// A failure that says so: of text, or of an error in a box, which `?` does not turn into one.
    pub fn new(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self { error: error.into() }
    }
}

impl<E: Error + Send + Sync + 'static> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::new(error)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        described(&*self.error, f)
    }
}

impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Failure").field(&self.error).finish()
    }
}

/// An error and what caused it, on one line: what a peer has sent may be part of it.
fn described(error: &dyn Error, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    write!(f, "{}", error.to_string().escape_debug())?;
    let mut cause = error.source();
    while let Some(error) = cause {
        write!(f, ": {}", error.to_string().escape_debug())?;
        cause = error.source();
    }
    Ok(())
}

impl IntoResponse for Failure {
    /// `500 Internal Server Error`, and a line on standard error.
    fn into_response(self) -> Response {
        crate::report::error(format_args!("a handler has failed: {self}"));
        let status = StatusCode::INTERNAL_SERVER_ERROR;
        (status, status.canonical_reason().unwrap_or_default()).into_response()
    }
}

impl IntoResponse for Box<dyn Error + Send + Sync> {
    /// As a [`Failure`].
    fn into_response(self) -> Response {
        Failure::new(self).into_response()
    }
}

impl IntoResponse for Box<dyn Error> {
    /// As a [`Failure`].
    fn into_response(self) -> Response {
        Failure::new(self.to_string()).into_response()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Storm(std::num::ParseIntError);

    impl fmt::Display for Storm {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a storm\nand a line")
        }
    }

    impl Error for Storm {
        fn source(&self) -> Option<&(dyn Error + 'static)> {
            Some(&self.0)
        }
    }

    fn sail() -> Result<(), Failure> {
        Err("x".parse::<u32>().map_err(Storm).expect_err("no number"))?;
        Ok(())
    }

    #[test]
    fn what_went_wrong_is_told_in_one_line_and_to_no_client() {
        let failure = sail().expect_err("it fails");
        assert_eq!(failure.to_string(), "a storm\\nand a line: invalid digit found in string");
        let response = failure.into_response();
        assert_eq!(response.status_code(), StatusCode::INTERNAL_SERVER_ERROR);
        assert_eq!(response.body(), b"Internal Server Error");
        let boxed: Box<dyn Error> = "quiet".into();
        assert_eq!(boxed.into_response().body(), b"Internal Server Error");
    }
}
