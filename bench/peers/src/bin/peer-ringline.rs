//! ringline over io_uring as a raw echo, with its documentation's handler and its own defaults but
//! for one worker, which the bench puts on its core, and the backlog of every server.
//! It must never use its portable backend: its build script chooses by the kernel it is built on.
#![forbid(unsafe_code)]

use clap::Parser;
use peers::{BACKLOG, Options};
use ringline::{AsyncEventHandler, ConfigBuilder, ConnCtx, ParseResult, RinglineBuilder};

struct Echo;

impl AsyncEventHandler for Echo {
    fn on_accept(&self, connection: ConnCtx) -> impl Future<Output = ()> + 'static {
        async move {
            loop {
                let echoed = connection.with_data(|data| {
                    // What cannot be sent is missed by the client, which waits for it.
                    let _ = connection.send_nowait(data);
                    ParseResult::Consumed(data.len())
                });
                if echoed.await == 0 {
                    return;
                }
            }
        }
    }

    fn create_for_worker(_worker: usize) -> Self {
        Echo
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let options = Options::parse();
    let config = ConfigBuilder::new().workers(1).pin_to_core(false).backlog(i32::from(BACKLOG));
    let server = RinglineBuilder::new(config.build()?).bind(options.listen);
    let (_shutdown, workers) = server.launch::<Echo>()?;
    for worker in workers {
        worker.join().map_err(|_| "a worker panicked")??;
    }
    Ok(())
}
