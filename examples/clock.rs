//! A clock over UDP: whatever is sent to it is answered with the time, in seconds since 1970.
//! `cargo run --release -p springtide --example clock`, then `echo | nc -u -w 1 127.0.0.1 7037`

use std::time::{SystemTime, UNIX_EPOCH};

use springtide::{Error, Server};

/// Longer questions are not answered: nobody needs more to ask for the time.
const QUESTION_BYTES_MAX: usize = 64;

/// Answers the time at an address.
#[expect(clippy::disallowed_methods, reason = "a clock tells the time of its system")]
pub(crate) fn clock(address: &str) -> Result<Server, Error> {
    Server::new().datagrams(address, |socket, question| {
        if question.length() > QUESTION_BYTES_MAX {
            return;
        }
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        socket.send_to(format!("{}\n", since.as_secs()), question.from).detach();
    })
}

fn main() -> Result<(), Error> {
    println!("ask udp://127.0.0.1:7037 for the time");
    clock("127.0.0.1:7037")?.run()
}
