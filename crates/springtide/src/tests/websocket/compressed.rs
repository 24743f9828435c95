//! Compressed messages: agreed on or not, by a compressor of the shard or of the connection, within a
//! budget, and inflated to no more than a message may have.

use springtide_proto::Piece;
use springtide_proto::websocket::{CloseFrame, Kind};

use super::Log;
use super::client::Client;
use crate::tests::{Backend, Stage, over_all_backends};
use crate::{Compression, Limits, Message, Server, WebSockets};

const OFFERED: &str = "permessage-deflate; client_max_window_bits";

fn server(compression: Compression) -> Server {
    let sockets = WebSockets::new(Log::default()).compress(compression).compress_bytes_min(10);
    Server::new().websocket("/", sockets)
}

fn texts() -> Vec<Message> {
    let text = |length: usize| "high tide, low tide, ".repeat(length).into();
    [1, 0, 5, 100, 3_000].into_iter().map(text).collect()
}

fn what_is_sent_is_echoed(backend: Backend) {
    let lasts = "permessage-deflate; client_no_context_takeover";
    let single = "permessage-deflate; server_no_context_takeover; client_no_context_takeover";
    let small = "permessage-deflate; server_max_window_bits=8";
    for (compression, offer, agreed, inflated) in [
        (Compression::Shared, OFFERED, single, 9),
        (Compression::Dedicated, OFFERED, lasts, 9),
        (Compression::Shared, small, &*format!("{single}; server_max_window_bits=8"), 3),
        (Compression::Shared, "permessage-deflate; unknown", "", 0),
        (Compression::Shared, "other", "", 0),
    ] {
        let mut stage = Stage::new(backend, server(compression));
        let (mut client, answer) = Client::open_compressed(&mut stage, offer);
        assert_eq!(answer, agreed, "{offer}");
        for _ in 0..3 {
            for message in texts() {
                client.send(message);
            }
            assert_eq!(client.messages(&mut stage, 5), texts());
        }
        // The shortest may gain, where its beginning was sent before.
        let most = if inflated == 0 { 0 } else { inflated + 3 };
        assert!((inflated..=most).contains(&client.inflated), "{offer}: {}", client.inflated);
        client.close(&mut stage);
    }
}

/// A route that does not compress agrees on nothing.
fn nothing_is_compressed_unasked(backend: Backend) {
    let mut stage = Stage::new(backend, Log::default().server());
    let (mut client, answer) = Client::open_compressed(&mut stage, OFFERED);
    assert_eq!(answer, "");
    client.send("tide ".repeat(100));
    assert_eq!(client.messages(&mut stage, 1), [Message::from("tide ".repeat(100))]);
    assert_eq!(client.inflated, 0);
}

/// Where the budget is spent messages are sent as they are, and are compressed again when it is not.
fn a_budget_bounds_compressors(backend: Backend) {
    let limits = Limits { socket_compress_bytes_max: 700 << 10, ..Limits::default() };
    let mut stage = Stage::new(backend, server(Compression::Dedicated).limits(limits));
    let mut clients: Vec<Client> =
        (0..4).map(|_| Client::open_compressed(&mut stage, OFFERED).0).collect();
    for client in &mut clients {
        client.send("tide ".repeat(100));
        client.messages(&mut stage, 1);
    }
    let inflated: Vec<usize> = clients.iter().map(|client| client.inflated).collect();
    assert_eq!(inflated, [1, 1, 0, 0], "two compressors fit");
    clients.remove(0).leave(&mut stage);
    let last = clients.last_mut().unwrap();
    last.send("tide ".repeat(100));
    last.messages(&mut stage, 1);
    assert_eq!(last.inflated, 1);
}

/// Attack 9: a small message that inflates to a large one is refused, whatever it would be.
fn a_bomb_is_refused(backend: Backend) {
    let mut stage = Stage::new(backend, server(Compression::Shared));
    let (mut client, _) = Client::open_compressed(&mut stage, OFFERED);
    client.send(vec![0; 65_536]);
    assert_eq!(client.messages(&mut stage, 1), [Message::from(vec![0; 65_536])]);
    client.send(vec![0; 10_000_000]);
    client.until_ended(&mut stage);
    assert_eq!(client.closed.as_ref().map(CloseFrame::code), Some(1009));
    assert_eq!(stage.met("socket_message_bytes_max"), 1);
}

fn what_cannot_be_inflated_is_refused(backend: Backend) {
    // Not deflated at all, and text that is none when it is inflated.
    for payload in [b"\xff\xff\xff".as_slice(), b"\xfa\x0f\x00"] {
        let mut stage = Stage::new(backend, server(Compression::Shared));
        let (mut client, _) = Client::open_compressed(&mut stage, OFFERED);
        client.send_raw_compressed(Kind::Text, Piece::Owned(payload.to_vec()));
        client.until_ended(&mut stage);
        assert_eq!(client.closed.as_ref().map(CloseFrame::code), Some(1007), "{payload:x?}");
    }
}

over_all_backends!(
    what_is_sent_is_echoed,
    nothing_is_compressed_unasked,
    a_budget_bounds_compressors,
    a_bomb_is_refused,
    what_cannot_be_inflated_is_refused,
);
