//! Answers that come later: a pause, a long poll that another request ends, work on a pool.
//! No shard is held up by any of them.
//!
//! `cargo run --release -p springtide --example later`, then
//! `curl http://127.0.0.1:8080/next & curl -d 'high water' http://127.0.0.1:8080/tide`

use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Poll, Waker};
use std::time::Duration;

use springtide::{Error, Request, Response, Server, StatusCode, offload, sleep};

mod common;

/// What was said last, and who waits for what is said next.
#[derive(Default)]
struct Tide {
    said: Mutex<Said>,
}

#[derive(Default)]
struct Said {
    number: u64,
    words: String,
    listeners: Vec<Waker>,
}

/// More listeners than this are turned away: everything that grows has a limit.
const LISTENERS_MAX: usize = 10_000;
/// The largest number whose primes are counted.
const PRIMES_MAX: u32 = 50_000_000;

impl Tide {
    fn say(&self, words: &str) {
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        said.number += 1;
        said.words = words.to_owned();
        std::mem::take(&mut said.listeners).into_iter().for_each(Waker::wake);
    }

    /// What is said next, on whatever shard.
    async fn next(&self) -> Option<String> {
        let mut heard = None;
        std::future::poll_fn(|context| {
            let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
            if *heard.get_or_insert(said.number) < said.number {
                return Poll::Ready(Some(said.words.clone()));
            }
            if said.listeners.len() == LISTENERS_MAX {
                return Poll::Ready(None);
            }
            said.listeners.push(context.waker().clone());
            Poll::Pending
        })
        .await
    }
}

/// How many primes there are below a number: some seconds of work for a large one.
fn primes(below: u32) -> usize {
    let mut is_prime = vec![true; below as usize];
    is_prime.iter_mut().take(2).for_each(|own| *own = false);
    for number in 2..below as usize {
        if is_prime[number] {
            let multiples = is_prime.iter_mut().skip(number * number).step_by(number);
            multiples.for_each(|own| *own = false);
        }
    }
    is_prime.iter().filter(|own| **own).count()
}

fn count_primes(request: &Request) -> Result<String, Response> {
    let below = request.param("below").parse::<u32>().ok().filter(|below| *below <= PRIMES_MAX);
    let refused = || Response::new("not such a number").status(StatusCode::BAD_REQUEST);
    Ok(format!("{}\n", primes(below.ok_or_else(refused)?)))
}

fn main() -> Result<(), Error> {
    let tide = Arc::<Tide>::default();
    let said = tide.clone();
    let server = Server::new()
        .get("/soon", async || {
            sleep(Duration::from_secs(1)).await;
            "a second later\n"
        })
        .post("/tide", move |request: Request| request.text().map(|words| said.say(words)))
        .get("/next", async move |_: Request| {
            tide.next().await.ok_or(StatusCode::SERVICE_UNAVAILABLE)
        })
        .get("/primes/{below}", offload(|request| count_primes(&request)));
    let running = common::with_flags(server, "127.0.0.1:8080")?.start()?;
    for address in running.addresses() {
        println!("later on http://{address} by {}", running.engine());
    }
    running.join()
}
