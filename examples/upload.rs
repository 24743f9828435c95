//! Uploads that are longer than memory: summed while they arrive, whole or as the parts of a form.
//! A client that asks first whether its body is wanted is told before it sends it.
//!
//! `cargo run --release -p springtide --example upload`, then
//! `curl -T big.bin http://127.0.0.1:8080/sum` and
//! `curl -F first=@a.bin -F second=@b.bin http://127.0.0.1:8080/form`

use springtide::{BodyError, Error, Request, Response, Server, StatusCode, body_max, streamed};

mod common;

/// The longest upload: 16 GiB.
const UPLOAD_BYTES_MAX: u64 = 16 << 30;

/// The length of what came, and a sum by which two uploads can be told apart (FNV-1a).
struct Sum {
    bytes: u64,
    hash: u64,
}

impl Sum {
    const fn new() -> Self {
        Self { bytes: 0, hash: 0xCBF2_9CE4_8422_2325 }
    }

    fn add(&mut self, piece: &[u8]) {
        self.bytes += piece.len() as u64;
        for byte in piece {
            self.hash = (self.hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01B3);
        }
    }

    fn said(&self) -> String {
        format!("{} bytes, {:016x}", self.bytes, self.hash)
    }
}

async fn sum(mut request: Request) -> Result<String, BodyError> {
    let (mut body, mut sum) = (request.take_body(), Sum::new());
    while let Some(piece) = body.next().await? {
        sum.add(&piece);
    }
    Ok(sum.said() + "\n")
}

async fn form(mut request: Request) -> Result<String, Response> {
    let (mut parts, mut said) = (request.multipart()?, String::new());
    while let Some(mut part) = parts.next_part().await? {
        let name = part.name().unwrap_or("a part without a name").to_owned();
        let mut sum = Sum::new();
        while let Some(piece) = part.next().await? {
            sum.add(&piece);
        }
        said += &format!("{name}: {}\n", sum.said());
    }
    Ok(said)
}

/// Answers without the body: a client that waits to be asked for it never sends it.
async fn refuse(_: Request) -> (StatusCode, &'static str) {
    (StatusCode::FORBIDDEN, "nothing may be put here\n")
}

fn main() -> Result<(), Error> {
    let server = Server::new()
        .put("/sum", body_max(UPLOAD_BYTES_MAX, streamed(sum)))
        .post("/form", body_max(UPLOAD_BYTES_MAX, streamed(form)))
        .put("/closed", body_max(UPLOAD_BYTES_MAX, streamed(refuse)));
    let running = common::with_flags(server, "127.0.0.1:8080")?.start()?;
    for address in running.addresses() {
        println!("uploads on http://{address} by {}", running.engine());
    }
    running.join()
}
