//! What guests of the chat are told of each other, in a simulated world.

use springtide::test::{Peer, World};
use springtide::{Request, Server};

use super::*;

/// A world whose chat nothing beats but the test.
fn begin() -> (World, Arc<Chat>, Topics) {
    let server = Server::new();
    let topics = server.topics();
    let chat = Chat::new(server.topics(), Started::default());
    let own = chat.clone();
    let mut world = World::new(1);
    world.serve(server.get("/", move |request: Request| request.websocket(own.guest())));
    (world, chat, topics)
}

/// One behind the handshake, in the lobby.
fn open(world: &mut World) -> Peer {
    let mut peer = world.connect();
    let offer = b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
          Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    assert_eq!(peer.write(offer), offer.len());
    world.settle();
    peer
}

fn enter(world: &mut World, peer: &mut Peer) {
    let text = br#"{"do":"enter","room":"harbour","name":"Tern"}"#;
    // The key is nothing: what is masked is as it was.
    let head = [0x81, 0x80 | u8::try_from(text.len()).unwrap(), 0, 0, 0, 0];
    let frame = [&head, text.as_slice()].concat();
    assert_eq!(peer.write(&frame), frame.len());
    world.settle();
}

/// Everything that has come since, as text.
fn heard(peer: &mut Peer) -> String {
    let mut bytes = Vec::new();
    peer.read(usize::MAX, &mut bytes);
    String::from_utf8_lossy(&bytes).into_owned()
}

#[test]
fn who_comes_and_goes_makes_no_storm() {
    let (mut world, chat, topics) = begin();
    let mut watcher = open(&mut world);
    assert!(heard(&mut watcher).contains(r#""kind":"rooms""#));
    for turn in 0..100 {
        let mut guest = open(&mut world);
        if turn % 2 == 0 {
            enter(&mut world, &mut guest);
        }
        guest.reset();
        world.settle();
    }
    assert_eq!(topics.topic(LOBBY).subscribers, 1);
    assert_eq!(heard(&mut watcher), "", "nothing before the beat");
    chat.tell_rooms();
    world.settle();
    assert_eq!(heard(&mut watcher).matches(r#""kind":"rooms""#).count(), 1);
    // Who never sat down changes nothing.
    open(&mut world).reset();
    world.settle();
    chat.tell_rooms();
    world.settle();
    assert_eq!(heard(&mut watcher), "");
}

#[test]
fn a_change_is_told_to_all_with_the_next_beat() {
    let (mut world, chat, topics) = begin();
    let mut guests = [open(&mut world), open(&mut world), open(&mut world)];
    for guest in &mut guests[1..] {
        heard(guest);
        enter(&mut world, guest);
        assert!(heard(guest).contains(r#""name":"harbour","present":"#), "who enters sees it");
    }
    heard(&mut guests[0]);
    for lists in [1, 0, 0] {
        chat.tell_rooms();
        world.settle();
        for guest in &mut guests {
            let heard = heard(guest);
            assert_eq!(heard.matches(r#""kind":"rooms""#).count(), lists, "{heard}");
            assert_eq!(heard.matches(r#""name":"harbour","present":2"#).count(), lists, "{heard}");
        }
    }
    assert_eq!(topics.topic(LOBBY).subscribers, 3);
}
