//! A client with tasks, from any thread: it says hello, waits for an answer for a while, and no longer.
//! `cargo run --release --example echo_raw`, and then `cargo run --release --example client`.

use std::time::Duration;

use springtide::{Client, Reason, Wait};

/// Says hello to whoever listens at an address.
pub fn hello(address: &str) -> Result<(), Reason> {
    let client = Client::connect(address).wait()?;
    let read = client.read();
    client.write(b"hello".to_vec()).wait()?;
    match read.wait_for(Duration::from_millis(50)) {
        Ok(bytes) => println!("{bytes:?}"),
        Err(Wait::Pending) => read.cancel(),
        Err(Wait::Failed(error)) => return Err(error),
    }
    client.close().wait()
}

fn main() -> Result<(), Reason> {
    let address = std::env::args().nth(1);
    hello(address.as_deref().unwrap_or("127.0.0.1:7000"))
}
