//! Requests as other crates know them: `http::Request`.
//! It copies what it gives, and changes nothing.

use bytes::Bytes;
use http::{HeaderName, HeaderValue};
use springtide_proto::http1::Version;

use super::Request;

impl Request {
    /// The same request as the crate `http` has it, for libraries that speak in its terms: method,
    /// target, version and fields are copied, the body is shared.
    ///
    /// # Errors
    /// The target has characters that `http::Uri` does not take.
    ///
    /// # Panics
    /// As [`bytes`](Self::bytes), like all that read a whole body: not where it has been waited for.
    ///
    /// ```
    /// use springtide::{Failure, Request, Server};
    ///
    /// fn host(request: &Request) -> Result<String, Failure> {
    ///     let request = request.to_http()?;
    ///     Ok(request.headers().get("host").map_or("", |host| host.to_str().unwrap_or("")).to_owned())
    /// }
    /// let server = Server::new().get("/host", |request: Request| host(&request));
    /// ```
    pub fn to_http(&self) -> Result<http::Request<Bytes>, http::Error> {
        let data = self.data();
        let mut builder = http::Request::builder().method(self.method()).uri(data.target());
        builder = builder.version(match data.head.version {
            Version::Http10 => http::Version::HTTP_10,
            Version::Http11 => http::Version::HTTP_11,
        });
        for (name, value) in self.headers() {
            let name = HeaderName::from_bytes(name.as_bytes())?;
            builder = builder.header(name, HeaderValue::from_bytes(value)?);
        }
        builder.body(self.bytes().clone())
    }
}
