//! Topics on one shard: who gets what is published, in which order, encoded how often, and counted once
//! for each, whatever engine the shard has by then.

use super::client::Client;
use crate::tests::{Backend, Stage, over_all_backends};
use crate::{
    CloseReason, Compression, Limits, Message, Reason, Server, Socket, Subscribed, TopicCounts,
    WebSocket, WebSockets,
};

/// Does what it is told: `+topic`, `-topic`, `topic message`, `!topic message` for all others.
struct Chat;

impl WebSocket for Chat {
    fn message(&self, socket: Socket, message: Message) {
        for said in message.as_text().unwrap().split(';') {
            let (first, rest) = said.split_at(1);
            match (first, said.split_once(' ')) {
                ("+", _) => match socket.subscribe(rest) {
                    Subscribed::Yes => {}
                    Subscribed::Refused(reason) => socket.send(reason.to_string()),
                },
                ("-", _) => _ = socket.unsubscribe(rest),
                ("!", Some((topic, text))) => _ = socket.publish_to_others(&topic[1..], text),
                (_, Some((topic, text))) => _ = socket.publish(topic, text),
                (_, None) => socket.send(said),
            }
        }
    }

    fn closed(&self, socket: Socket, _: CloseReason) {
        socket.publish("left", "somebody has left");
        assert_eq!(socket.subscribe("left"), Subscribed::Refused(Reason::Stale));
    }
}

fn stage(backend: Backend) -> (Stage, crate::Topics) {
    let server = Server::new().websocket("/", Chat);
    let topics = server.topics();
    (Stage::new(backend, server), topics)
}

fn say(stage: &mut Stage, client: &mut Client, said: &str) {
    client.send(said);
    // It comes back behind what it was told.
    client.send("done");
    client.flush(stage);
    loop {
        let came = client.messages(stage, 1);
        if came == [Message::from("done")] {
            return;
        }
        client.unread.extend(came);
    }
}

fn texts(stage: &mut Stage, client: &mut Client, count: usize) -> Vec<String> {
    let mut texts = std::mem::take(&mut client.unread);
    texts.extend(client.messages(stage, count.saturating_sub(texts.len())));
    texts.iter().map(|text| text.as_text().unwrap().to_owned()).collect()
}

/// Who has subscribed gets it, the publisher too unless it leaves itself out; who has left does not.
fn subscribers_get_what_is_published(backend: Backend) {
    let (mut stage, topics) = stage(backend);
    let mut clients = [(); 4].map(|()| Client::open(&mut stage));
    for client in &mut clients[..3] {
        say(&mut stage, client, "+tide;+tide;+other");
    }
    assert_eq!(topics.topic("tide").subscribers, 3);
    say(&mut stage, &mut clients[2], "-tide");
    say(&mut stage, &mut clients[0], "tide high;!tide low;nobody hears");
    say(&mut stage, &mut clients[3], "tide from outside");
    assert_eq!(texts(&mut stage, &mut clients[0], 2), ["high", "from outside"]);
    assert_eq!(texts(&mut stage, &mut clients[1], 3), ["high", "low", "from outside"]);
    say(&mut stage, &mut clients[2], "hm");
    assert_eq!(texts(&mut stage, &mut clients[2], 1), ["hm"], "it has left");
    let expected = TopicCounts { subscribers: 2, delivered: 5, dropped: 0 };
    assert_eq!(topics.topic("tide"), expected);
    assert_eq!(stage.counts().deliveries_total, 5);
    let names: Vec<String> = topics.all().into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["other", "tide"]);
}

/// What was published before somebody subscribed is not for it, and what it says itself stays in order
/// with what is published.
fn order_is_kept_within_a_turn(backend: Backend) {
    let (mut stage, _) = stage(backend);
    let mut client = Client::open(&mut stage);
    client.send("tide early;+tide;first;tide second;third;tide fourth;-tide;tide late;fifth");
    let expected = ["first", "second", "third", "fourth", "fifth"];
    let expected = expected.into_iter().filter(|text| !["second", "fourth"].contains(text));
    // It had left before what was published in the turn was delivered.
    assert_eq!(texts(&mut stage, &mut client, 3), expected.collect::<Vec<_>>());
    client.send("tide early;+tide;first;tide second;third;tide fourth;fifth");
    let expected = ["first", "second", "third", "fourth", "fifth"];
    assert_eq!(texts(&mut stage, &mut client, 5), expected);
}

/// Whoever has several subscriptions that match gets a message once, by the first of them.
fn wildcards_match_what_is_beneath(backend: Backend) {
    let (mut stage, topics) = stage(backend);
    let mut client = Client::open(&mut stage);
    for (name, expected) in [
        ("room.*", vec!["room.5", "room.5.typing", "room."]),
        ("room.5.*", vec!["room.5.typing"]),
        ("*", vec!["room", "room.5", "room.5.typing", "room.", "rooms.5"]),
        ("room*", vec![]),
        ("*.5", vec![]),
    ] {
        say(&mut stage, &mut client, &format!("+{name}"));
        let all = ["room", "room.5", "room.5.typing", "room.", "rooms.5", "room.*", "*"];
        let publish = all.map(|topic| format!("{topic} {topic}")).join(";");
        say(&mut stage, &mut client, &publish);
        assert_eq!(texts(&mut stage, &mut client, expected.len()), expected, "{name}");
        say(&mut stage, &mut client, &format!("-{name}"));
    }
    say(&mut stage, &mut client, "+room.*;+*;+room.5;room.5 once;!room.5 never");
    assert_eq!(texts(&mut stage, &mut client, 1), ["once"]);
    let delivered = ["room.5", "*", "room.*"].map(|name| topics.topic(name).delivered);
    assert_eq!(delivered, [1, 0, 0]);
}

/// A subscription ends with its connection, however that ends, and a topic with its last subscriber.
fn subscriptions_end_with_connections(backend: Backend) {
    let (mut stage, topics) = stage(backend);
    let mut clients: Vec<Client> = (0..6).map(|_| Client::open(&mut stage)).collect();
    for client in &mut clients {
        say(&mut stage, client, "+a;+b;+c.*;+left");
    }
    let mut stays = clients.pop().unwrap();
    for (at, mut client) in clients.into_iter().enumerate() {
        match at % 2 {
            0 => client.leave(&mut stage),
            _ => client.peer.reset(),
        }
    }
    stage.until(|stage| {
        stage.turn();
        (topics.topic("left").subscribers == 1).then_some(())
    });
    assert_eq!(texts(&mut stage, &mut stays, 5), ["somebody has left"; 5]);
    stays.close(&mut stage);
    assert_eq!(topics.all(), []);
}

/// Limits are named, met, and break nothing else.
fn limits_are_named(backend: Backend) {
    let limits = Limits {
        topics_max: 3,
        topic_bytes_max: 4,
        topics_per_connection_max: 2,
        ..Limits::default()
    };
    let server = Server::new().websocket("/", Chat).limits(limits);
    let mut stage = Stage::new(backend, server);
    let mut clients = [(); 2].map(|()| Client::open(&mut stage));
    clients[0].send("+harbour;+a;+b;+b;+c;-a;+c;c well");
    let limit = |name: &str| format!("the limit {name} is reached");
    let expected =
        [limit("topic_bytes_max"), limit("topics_per_connection_max"), "well".to_owned()];
    assert_eq!(texts(&mut stage, &mut clients[0], 3), expected);
    clients[1].send("+d;+e");
    assert_eq!(texts(&mut stage, &mut clients[1], 1), [limit("topics_max")]);
    stage.turn();
    for name in ["topic_bytes_max", "topics_per_connection_max", "topics_max"] {
        assert_eq!(stage.met(name), 1, "{name}");
    }
}

/// A message is compressed once for all who take it so, and each gets what it can read.
fn compressed_once_for_all(backend: Backend) {
    let text = "high tide at noon, low tide at six, ".repeat(20);
    for (compression, inflated) in [
        (None, [0, 0, 0]),
        (Some(Compression::Shared), [2, 2, 0]),
        (Some(Compression::Dedicated), [2, 2, 0]),
    ] {
        let mut sockets = WebSockets::new(Chat).compress_bytes_min(64);
        if let Some(compression) = compression {
            sockets = sockets.compress(compression);
        }
        let mut stage = Stage::new(backend, Server::new().websocket("/", sockets));
        let (one, _) = Client::open_compressed(&mut stage, "permessage-deflate");
        let (other, _) = Client::open_compressed(&mut stage, "permessage-deflate");
        let mut clients = [one, other, Client::open(&mut stage)];
        for client in &mut clients {
            say(&mut stage, client, "+tide");
        }
        say(&mut stage, &mut clients[0], &format!("tide {text};tide short;tide {text}"));
        for (client, inflated) in clients.iter_mut().zip(inflated) {
            assert_eq!(texts(&mut stage, client, 3), [&text, "short", &text]);
            assert_eq!(client.inflated, inflated, "{compression:?}");
        }
    }
}

over_all_backends!(
    subscribers_get_what_is_published,
    order_is_kept_within_a_turn,
    wildcards_match_what_is_beneath,
    subscriptions_end_with_connections,
    limits_are_named,
    compressed_once_for_all,
);
