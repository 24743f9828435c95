//! A small JSON interface: notes that are kept in memory, shared by all shards.
//! A body that is not the JSON expected is answered with a 400 that says where it went wrong.
//!
//! `cargo run --release -p springtide --example notes`, then
//! `curl --json '{"text":"high water at six"}' http://127.0.0.1:8080/notes`

use std::sync::{Arc, Mutex, PoisonError};

use springtide::{Error, Json, Request, Response, Server, StatusCode};

mod common;

#[derive(serde::Deserialize)]
struct Note {
    text: String,
}

/// More notes than this are refused: everything that grows has a limit.
const NOTES_MAX: usize = 1000;

type Notes = Arc<Mutex<Vec<String>>>;

fn add(notes: &Notes, request: &Request) -> Result<(StatusCode, String), Response> {
    let note: Note = request.json()?;
    let mut notes = notes.lock().unwrap_or_else(PoisonError::into_inner);
    if notes.len() == NOTES_MAX {
        return Err(Response::empty(StatusCode::INSUFFICIENT_STORAGE));
    }
    notes.push(note.text);
    Ok((StatusCode::CREATED, format!("/notes/{}", notes.len() - 1)))
}

fn main() -> Result<(), Error> {
    let notes = Notes::default();
    let (all, one) = (notes.clone(), notes.clone());
    let server = Server::new()
        .post("/notes", move |request: Request| add(&notes, &request))
        .get("/notes", move || Json(all.lock().unwrap_or_else(PoisonError::into_inner).clone()))
        .get("/notes/{number}", move |request: Request| {
            let number = request.param("number").parse::<usize>().ok()?;
            one.lock().unwrap_or_else(PoisonError::into_inner).get(number).cloned()
        });
    let running = common::with_flags(server, "127.0.0.1:8080")?.start()?;
    for address in running.addresses() {
        println!("notes on http://{address}/notes by {}", running.engine());
    }
    running.join()
}
