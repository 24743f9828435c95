//! may_minihttp with one worker: stackful coroutines, a few routes matched by hand.
//! It must never print for each request; its Server header is fixed by the library.
#![forbid(unsafe_code)]

use std::io::{self, Read};

use bytes::BufMut;
use clap::Parser;
use may_minihttp::{HttpServer, HttpService, Request, Response};
use peers::{Message, Options, PLAINTEXT};

#[derive(Clone)]
struct Routes;

impl HttpService for Routes {
    fn call(
        &mut self,
        request: Request<'_, '_, '_>,
        response: &mut Response<'_>,
    ) -> io::Result<()> {
        match request.path() {
            "/plaintext" => {
                response.header("Content-Type: text/plain; charset=utf-8").body(PLAINTEXT);
            }
            "/json" => {
                response.header("Content-Type: application/json");
                serde_json::to_writer(response.body_mut().writer(), &Message::hello())?;
            }
            "/echo" => {
                let mut body = Vec::new();
                request.body().read_to_end(&mut body)?;
                response.body_vec(body);
            }
            _ => {
                response.status_code(404, "Not Found");
            }
        }
        Ok(())
    }
}

fn main() -> io::Result<()> {
    let options = Options::parse();
    may::config().set_workers(1).set_pool_capacity(20_000).set_stack_size(0x1000);
    let server = HttpServer(Routes).start(options.listen)?;
    server.join().map_err(|_| io::Error::other("the server ended"))
}
