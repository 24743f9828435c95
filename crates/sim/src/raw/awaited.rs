//! The same in futures, and frames that are answered at once, late, or never.
//! What a future waits for is told of only when it has ended, as the future may be gone by then.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use springtide::{Bytes, Failure, Peer, Pull, Reason, Reply, Task, sleep};

use super::guest::{Hello, Way, frame_fate};
use super::told::{Mark, Told};
use crate::chance::Chance;

pub(super) async fn serve(peer: Peer, seed: u64, told: &Told) -> Result<(), Failure> {
    told.open();
    let line = peer.pull_until("\n", Hello::BYTES_MAX).await;
    let Some(hello) = line.ok().flatten().and_then(|line| Hello::parse(&line)) else {
        return Ok(());
    };
    told.name(peer, hello.number);
    let mut chance = Chance::new(seed ^ u64::from(hello.number));
    if hello.way == Way::Fails && peer.pull().await.is_ok_and(|bytes| bytes.is_some()) {
        return Err(std::io::Error::other("on purpose").into());
    }
    loop {
        if chance.percent(40) {
            play_about(peer, &mut chance, told).await;
        }
        let result = if chance.percent(30) {
            let waits = chance.below(5);
            let Some(result) = patient(peer.pull(), waits).await else {
                told.mark(Mark::PullGivenUp);
                continue;
            };
            result
        } else {
            peer.pull().await
        };
        match result {
            Ok(Some(bytes)) => push(peer, bytes, told).await,
            Ok(None) | Err(_) => return Ok(()),
        }
    }
}

/// Pushes what came back; whatever ends the connection is told elsewhere.
async fn push(peer: Peer, bytes: Bytes, told: &Told) {
    if let Err(Reason::Limit(limit)) = peer.push(bytes).await {
        told.mistake(format!("a push exceeds {limit}"));
    }
}

async fn play_about(peer: Peer, chance: &mut Chance, told: &Told) {
    match chance.below(3) {
        0 => {
            told.mark(Mark::PullCancelled);
            let task = peer.pull_exact(chance.between(1, 40));
            task.cancel();
            if let Ok(Some(bytes)) = task.await {
                push(peer, bytes, told).await;
            }
        }
        1 => {
            told.mark(Mark::PullsInARow);
            let (first, second) = (peer.pull_exact(chance.between(1, 40)), peer.pull());
            // Dropped where it has bytes, it gives them back to the second.
            if let Some(Ok(Some(bytes))) = patient(first, chance.below(3)).await {
                push(peer, bytes, told).await;
            }
            if let Ok(Some(bytes)) = second.await {
                push(peer, bytes, told).await;
            }
        }
        _ => {
            told.mark(Mark::PushDropped);
            drop(peer.push("poison"));
        }
    }
}

/// Looks at a task so many times, and gives it up then.
async fn patient(mut task: Task<Pull>, looks: usize) -> Option<Result<Option<Bytes>, Reason>> {
    for look in 0..=looks {
        let polled = poll_fn(|context| Poll::Ready(Pin::new(&mut task).poll(context))).await;
        if let Poll::Ready(result) = polled {
            return Some(result);
        }
        sleep(Duration::from_millis(look as u64 % 2)).await;
    }
    None
}

/// Answers a frame as its number says.
pub(super) async fn answer(request: Bytes, reply: Reply, told: &Told) {
    let fate = frame_fate(&request);
    told.mark(fate.mark());
    match fate.late_ms() {
        Some(ms) => sleep(Duration::from_millis(ms)).await,
        None if fate.mark() == Mark::FrameDropped => return,
        None => {}
    }
    reply.send(request);
}
