//! The dashboard: what the server counts, told twice a second to everybody who looks at it.
//! Nobody looks: nothing is gathered.

use nix::sys::resource::{UsageWho, getrusage};
use serde::Serialize;
use springtide::{Counts, EngineCounts, Message, Overflow, ProtocolCounts, Running};
use springtide::{Socket, WebSocket, WebSockets};

const TOPIC: &str = "dashboard";
/// Those who look have nothing to say: a message that is longer ends their connection.
const MESSAGE_BYTES_MAX: u64 = 16;

/// Everything at one moment. Rates are made of two of them by whoever shows them.
#[derive(Serialize)]
struct Sample {
    uptime_ms: u64,
    /// Processor time of the whole program. Beside waiting, a program of shards does nothing but turns.
    cpu_us: u64,
    engine: &'static str,
    workers: usize,
    counts: Counts,
    protocols: Vec<ProtocolCounts>,
    engines: EngineCounts,
}

impl Sample {
    fn take(running: &Running) -> Self {
        let metrics = running.metrics();
        Self {
            uptime_ms: u64::try_from(running.uptime().as_millis()).unwrap_or(u64::MAX),
            cpu_us: cpu_us(),
            engine: running.engine(),
            workers: running.workers(),
            counts: metrics.counts(),
            protocols: metrics.protocols().collect(),
            engines: running.engine_counts(),
        }
    }
}

impl From<Sample> for Message {
    fn from(sample: Sample) -> Self {
        serde_json::to_string(&sample).expect("text and numbers are JSON").into()
    }
}

/// Tells everybody who looks how it stands.
pub(super) fn tell(running: &Running) {
    let topics = running.topics();
    if topics.topic(TOPIC).subscribers > 0 {
        topics.publish(TOPIC, Sample::take(running));
    }
}

/// What handles the sockets of those who look.
pub(super) fn sockets() -> WebSockets {
    // Whoever is behind wants the newest sample only.
    let sockets = WebSockets::new(Watcher).overflow(Overflow::KeepLatest);
    sockets.message_bytes_max(MESSAGE_BYTES_MAX)
}

struct Watcher;

impl WebSocket for Watcher {
    fn opened(&self, socket: Socket) {
        socket.subscribe(TOPIC);
    }

    fn message(&self, _: Socket, _: Message) {}
}

fn cpu_us() -> u64 {
    let Ok(usage) = getrusage(UsageWho::RUSAGE_SELF) else { return 0 };
    let both = [usage.user_time(), usage.system_time()];
    let us = both.iter().map(|time| time.tv_sec() * 1_000_000 + time.tv_usec()).sum::<i64>();
    u64::try_from(us).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use springtide::Server;
    use springtide::test::World;

    use super::*;

    #[test]
    fn who_looks_says_no_long_things() {
        let mut world = World::new(1);
        world.serve(Server::new().websocket("/", sockets()));
        let mut peer = world.connect();
        let offer = b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
              Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
        assert_eq!(peer.write(offer), offer.len());
        world.settle();
        peer.read(usize::MAX, &mut Vec::new());
        // The key is nothing: what is masked is as it was.
        assert_eq!(peer.write(&[&[0x81, 0x90, 0, 0, 0, 0][..], &[b'x'; 16]].concat()), 22);
        world.settle();
        assert_eq!(peer.read(usize::MAX, &mut Vec::new()), 0, "it is thrown away");
        assert_eq!(peer.write(&[&[0x81, 0x91, 0, 0, 0, 0][..], &[b'x'; 17]].concat()), 23);
        world.settle();
        let mut heard = Vec::new();
        peer.read(usize::MAX, &mut heard);
        let [0x88, _, code @ ..] = heard.as_slice() else { panic!("a close: {heard:?}") };
        assert_eq!(code.first_chunk(), Some(&1009_u16.to_be_bytes()));
    }
}
