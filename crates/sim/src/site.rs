//! The server that histories are played on: one of each kind of route, and files.
//! Its handlers keep no state but the list of who was called.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use springtide::test::World;
use springtide::{
    BodyError, ClientError, ClientLimits, ClientResponse, Failure, Files, HttpClient, IntoResponse,
    Request, Response, Server, Sink, sleep, streamed,
};

use crate::model::{MOVING, StillFile, moving_id, moving_len, pattern};

/// A request whose handler was called.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Call {
    pub(crate) id: u32,
    /// It is one that waits: it is called behind those of its turn that do not.
    pub(crate) is_future: bool,
}

/// Requests whose handlers were called, in the order of the calls.
#[derive(Clone, Debug, Default)]
pub(crate) struct Calls(Arc<Mutex<Vec<Call>>>);

impl Calls {
    fn add(&self, request: &Request) -> u32 {
        self.put(request, false)
    }

    fn add_future(&self, request: &Request) -> u32 {
        self.put(request, true)
    }

    fn put(&self, request: &Request, is_future: bool) -> u32 {
        let id = number(request, "id");
        // What the server asks of itself was counted when a peer asked it.
        if request.header("via").is_some() {
            return id;
        }
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(Call { id, is_future });
        id
    }

    /// Takes those that were added since the last time.
    pub(crate) fn take(&self, into: &mut Vec<Call>) {
        into.append(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

/// Files up to this length are sent from memory.
const IN_MEMORY_BYTES_MAX: usize = 4096;

pub(crate) fn server(calls: &Calls) -> Server {
    let [hello, size, echo, panics] = std::array::from_fn(|_| calls.clone());
    let server = with_proxy(with_futures(Server::new(), calls), calls);
    server
        .get("/hello/{id}", move |request: Request| format!("hello {}", hello.add(&request)))
        .get("/size/{len}/{id}", move |request: Request| {
            let len = request.param("len").parse().unwrap_or(0);
            pattern(size.add(&request), len)
        })
        .post("/echo/{id}", move |request: Request| {
            echo.add(&request);
            request.bytes().clone()
        })
        .get("/panic/{id}", move |request: Request| -> Response {
            panics.add(&request);
            // As a panic, but that nothing is printed.
            std::panic::resume_unwind(Box::new("on purpose"))
        })
        .get("/", || "root".into_response())
        .files("/files", Files::new("/site").file_bytes_max(IN_MEMORY_BYTES_MAX))
}

fn number<T: std::str::FromStr + Default>(request: &Request, name: &str) -> T {
    request.param(name).parse().unwrap_or_default()
}

/// Handlers that are futures: late, and of bodies in pieces.
fn with_futures(server: Server, calls: &Calls) -> Server {
    let [late, drip, drop, relay, taken] = std::array::from_fn(|_| calls.clone());
    server
        .get("/late/{ms}/{id}", async move |request: Request| {
            let id = late.add_future(&request);
            sleep(Duration::from_millis(number(&request, "ms"))).await;
            format!("hello {id}")
        })
        .get("/drip/{len}/{ms}/{id}", move |request: Request| {
            let (id, len, ms) =
                (drip.add(&request), number(&request, "len"), number(&request, "ms"));
            Response::stream_of(len as u64, async move |sink| give(sink, id, len, ms).await)
        })
        .get("/drop/{len}/{ms}/{id}", move |request: Request| {
            let (id, len, ms) =
                (drop.add(&request), number(&request, "len"), number(&request, "ms"));
            Response::stream(async move |sink| give(sink, id, len, ms).await)
        })
        .post(
            "/relay/{id}",
            streamed(async move |request: Request| {
                relay.add_future(&request);
                let all = take(request, Duration::ZERO).await?;
                Ok::<_, BodyError>(Response::stream(async move |mut sink| {
                    for piece in all.chunks(PIECE_BYTES) {
                        sink.send(piece.to_vec()).await?;
                    }
                    Ok(())
                }))
            }),
        )
        .post(
            "/taken/{ms}/{id}",
            streamed(async move |request: Request| {
                taken.add_future(&request);
                let pause = Duration::from_millis(number(&request, "ms"));
                take(request, pause).await
            }),
        )
}

/// Takes a body in pieces, with a pause behind each.
async fn take(mut request: Request, pause: Duration) -> Result<Vec<u8>, BodyError> {
    let (mut body, mut all) = (request.take_body(), Vec::new());
    while let Some(piece) = body.next().await? {
        all.extend_from_slice(&piece);
        sleep(pause).await;
    }
    Ok(all)
}

/// Gives a pattern in pieces, with a pause behind each.
async fn give(mut sink: Sink, id: u32, len: usize, ms: u64) -> Result<(), Failure> {
    for piece in pattern(id, len).chunks(PIECE_BYTES) {
        sink.send(piece.to_vec()).await?;
        sleep(Duration::from_millis(ms)).await;
    }
    Ok(())
}

/// How much of a body is given at a time.
const PIECE_BYTES: usize = 700;

/// The server as a proxy before itself.
fn with_proxy(server: Server, calls: &Calls) -> Server {
    let limits = ClientLimits { idle_timeout_ms: 500, ..ClientLimits::default() };
    let client = HttpClient::new().limits(limits);
    let [asks, sends] = std::array::from_fn(|_| (client.clone(), calls.clone()));
    let pass = |(client, calls): (HttpClient, Calls)| {
        streamed(async move |mut request: Request| pass_on(&client, &calls, &mut request).await)
    };
    server.get("/proxy/{id}/{*path}", pass(asks)).post("/proxy/{id}/{*path}", pass(sends))
}

async fn pass_on(
    client: &HttpClient,
    calls: &Calls,
    request: &mut Request,
) -> Result<ClientResponse, ClientError> {
    calls.add_future(request);
    let url = format!("http://{ADDRESS}/{}", request.param("path"));
    client.pass_on(request, "http://unused").url(&url).send().await
}

/// Where it listens.
pub(crate) const ADDRESS: &str = "192.0.2.1:80";

pub(crate) fn write_files(world: &mut World) {
    for file in StillFile::ALL {
        world.write_file(path(file.name()), &pattern(file.id(), file.len()));
    }
    write_moving(world, 0);
}

/// Writes a version of the files that change.
pub(crate) fn write_moving(world: &mut World, version: usize) {
    for (name, is_streamed) in MOVING.iter().zip([false, true]) {
        let bytes = pattern(moving_id(is_streamed, version), moving_len(is_streamed, version));
        world.write_file(path(name), &bytes);
    }
}

fn path(name: &str) -> String {
    format!("/site/{name}")
}
