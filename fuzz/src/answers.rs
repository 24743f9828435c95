//! Any bytes as what a server answers: read in steps they say what they say whole, and nothing of one
//! answer is taken for another's.

use springtide_proto::Outbox;
use springtide_proto::http1::{
    Ask, AskBody, ClientMachine, Limits, ReplyHead, ReplyReceived, Version,
};

/// Reads the bytes behind the first as the answers to a request, whole and in steps that the first
/// chooses.
///
/// # Panics
/// When the two readings differ, or more is consumed than was there.
pub fn answers(bytes: &[u8]) {
    let Some((choice, bytes)) = bytes.split_first() else { return };
    let method = if choice & 1 == 0 { "GET" } else { "HEAD" };
    let whole = read(bytes, method, bytes.len().max(1));
    let stepwise = read(bytes, method, usize::from(choice >> 1).max(1));
    assert_eq!(whole, stepwise, "the same bytes in other pieces");
}

/// What is said of the bytes, the body's joined.
fn read(bytes: &[u8], method: &str, step: usize) -> (Vec<String>, Vec<u8>) {
    let limits = Limits::default();
    let (mut machine, mut head, mut outbox) =
        (ClientMachine::new(0), ReplyHead::new(), Outbox::new());
    let method = method.parse().expect("it is a method");
    let fields = Default::default();
    let ask =
        Ask { method: &method, target: "/", host: "a", fields: &fields, expects_continue: false };
    machine.send_request(&ask, AskBody::None, 0, &mut outbox).expect("it can be sent");
    let (mut said, mut body, mut start, mut end) = (Vec::new(), Vec::new(), 0, 0);
    loop {
        let input = &bytes[start..end];
        let consumed = match machine.receive(input, 0, &limits, &mut head) {
            Ok(ReplyReceived::Head { consumed } | ReplyReceived::Interim { consumed }) => {
                assert!(head.version == Version::Http11 || head.version == Version::Http10);
                said.push(format!("{} {:?} {}", head.status, head.body, head.keep_alive));
                consumed
            }
            Ok(ReplyReceived::Body { consumed, data }) => {
                body.extend_from_slice(data.of(input));
                consumed
            }
            Ok(ReplyReceived::BodyEnd { consumed, .. }) => {
                said.push("end".to_owned());
                consumed
            }
            Ok(ReplyReceived::Skipped { consumed }) if consumed > 0 => consumed,
            Ok(_) if end < bytes.len() && !machine.is_closed() => {
                end = bytes.len().min(end + step);
                continue;
            }
            Ok(_) => {
                said.push(format!("{:?}", machine.end_of_stream()));
                return (said, body);
            }
            Err(fault) => {
                said.push(format!("{fault:?}"));
                return (said, body);
            }
        };
        start += consumed;
        assert!(start <= end, "more is consumed than was there");
    }
}
