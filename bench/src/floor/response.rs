//! The bytes that a floor sends, repeated so that pipelined responses leave in one send.
//! It must never build a response while requests are served.

use std::fs;
use std::io;

use super::options::{Canned, Options};

/// Repeated responses together stay near this size.
const REPEATED_BYTES_MAX: usize = 32 * 1024;
const REPEATS_MAX: usize = 128;

/// A response that is never freed, many times over.
#[derive(Debug, Clone, Copy)]
pub(super) struct Response {
    repeated: &'static [u8],
    one: usize,
    pub(super) echo: bool,
}

impl Response {
    pub(super) fn prepare(options: &Options) -> io::Result<Response> {
        let bytes = match &options.response_file {
            Some(path) => fs::read(path)?,
            None => canned(options.response),
        };
        let one = bytes.len();
        let repeats = (REPEATED_BYTES_MAX / one.max(1)).clamp(1, REPEATS_MAX);
        let echo = options.response_file.is_none() && options.response == Canned::Echo;
        Ok(Response { repeated: Vec::leak(bytes.repeat(repeats)), one, echo })
    }

    /// The bytes of up to `count` responses, and how many they are.
    pub(super) fn take(&self, count: usize) -> (&'static [u8], usize) {
        let count = count.min(self.repeated.len() / self.one.max(1));
        (&self.repeated[..count * self.one], count)
    }
}

fn canned(which: Canned) -> Vec<u8> {
    let text = "text/plain; charset=utf-8";
    match which {
        Canned::Plaintext => response(text, b"Hello, World!"),
        Canned::Json => response("application/json", b"{\"message\":\"Hello, World!\"}"),
        Canned::TenKilobytes => response(text, &[b'x'; 10 * 1024]),
        Canned::Megabyte => response(text, &vec![b'x'; 1024 * 1024]),
        Canned::Echo => b"-".to_vec(),
    }
}

fn response(content_type: &str, body: &[u8]) -> Vec<u8> {
    let head = format!(
        "HTTP/1.1 200 OK\r\nServer: springtide\r\nDate: Sat, 21 Nov 2026 08:00:00 GMT\r\n\
         Content-Type: {content_type}\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}
