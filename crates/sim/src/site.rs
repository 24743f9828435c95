//! The server that histories are played on: one of each kind of route, and files.
//! Its handlers keep no state but the list of who was called.

use std::sync::{Arc, Mutex, PoisonError};

use springtide::test::World;
use springtide::{Files, IntoResponse, Request, Response, Server};

use crate::model::{MOVING, StillFile, moving_id, moving_len, pattern};

/// The ids of requests whose handler was called, in the order of the calls.
#[derive(Clone, Debug, Default)]
pub(crate) struct Calls(Arc<Mutex<Vec<u32>>>);

impl Calls {
    fn add(&self, request: &Request) -> u32 {
        let id = request.param("id").parse().unwrap_or(u32::MAX);
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(id);
        id
    }

    /// Takes those that were added since the last time.
    pub(crate) fn take(&self, into: &mut Vec<u32>) {
        into.append(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

/// Files up to this length are sent from memory.
const IN_MEMORY_BYTES_MAX: usize = 4096;

pub(crate) fn server(calls: &Calls) -> Server {
    let [hello, size, echo, panics] = std::array::from_fn(|_| calls.clone());
    Server::new()
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
