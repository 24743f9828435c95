//! What the server has to offer and to take: bytes that are known by a key, by every way in and out.
//! Two keys have no bytes in common that a mistake could hide behind.

use std::path::PathBuf;

use springtide::{BodyError, Engine, Limits, Request, Response, Running, Server, streamed};

/// A seeded generator (splitmix64).
pub(crate) struct Chance(pub(crate) u64);

impl Chance {
    pub(crate) const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// From 0 to `end - 1`.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % end as u64).unwrap()
    }
}

/// The bytes of a key.
pub(crate) fn bytes_of(key: u64, len: usize) -> Vec<u8> {
    let mut chance = Chance(key);
    let mut bytes = Vec::with_capacity(len + 8);
    while bytes.len() < len {
        bytes.extend_from_slice(&chance.next().to_le_bytes());
    }
    bytes.truncate(len);
    bytes
}

/// The lengths of the files, each of which is called by its own: one that is streamed, one that stays
/// in memory, and nothing.
pub(crate) const FILES: [usize; 3] = [1_200_000, 3_000, 0];

/// The server and its files, which go with it.
pub(crate) struct Site {
    pub(crate) running: Running,
    folder: PathBuf,
}

impl Site {
    pub(crate) fn start(engine: Engine, name: &str) -> Self {
        let unique = format!("springtide-network-{}-{name}", std::process::id());
        let folder = std::env::temp_dir().join(unique);
        std::fs::create_dir_all(&folder).unwrap();
        for len in FILES {
            std::fs::write(folder.join(len.to_string()), bytes_of(len as u64, len)).unwrap();
        }
        let running = server(engine, &folder).start().unwrap();
        Self { running, folder }
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.folder).unwrap();
    }
}

fn server(engine: Engine, folder: &std::path::Path) -> Server {
    // Who has lost its client learns it from a deadline, if nothing else tells.
    let mut limits = Limits { send_timeout_ms: 8_000, ..Limits::default() };
    (limits.http1.head_timeout_ms, limits.http1.body_timeout_ms) = (8_000, 8_000);
    (limits.http1.idle_timeout_ms, limits.http1.body_rate_min) = (8_000, 0);
    limits.send_rate_min = 0;
    Server::new()
        .engine(engine)
        .workers(2)
        .limits(limits)
        .files("/file", folder)
        .get("/memory/{key}/{len}", |request: Request| wanted(&request))
        .get("/stream/{key}/{len}", |request: Request| stream(wanted(&request)))
        .put("/whole", |request: Request| request.bytes().clone())
        .put("/arriving", streamed(take))
        .listen("127.0.0.1:0")
        .unwrap()
}

fn wanted(request: &Request) -> Vec<u8> {
    let number = |name| request.param(name).parse::<u64>().unwrap();
    bytes_of(number("key"), usize::try_from(number("len")).unwrap())
}

/// Pieces of many lengths, none of which is that of a buffer.
fn stream(bytes: Vec<u8>) -> Response {
    Response::stream(async move |mut sink| {
        let mut chance = Chance(bytes.len() as u64);
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            let (piece, behind) = rest.split_at(rest.len().min(1 + chance.below(9_000)));
            sink.send(piece.to_vec()).await?;
            rest = behind;
        }
        Ok(())
    })
}

async fn take(mut request: Request) -> Result<Vec<u8>, BodyError> {
    let (mut body, mut taken) = (request.take_body(), Vec::new());
    while let Some(piece) = body.next().await? {
        taken.extend_from_slice(&piece);
    }
    Ok(taken)
}
