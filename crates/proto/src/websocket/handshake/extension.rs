//! What a handshake says of `permessage-deflate` (RFC 7692 §7.1): offers, and what is agreed on.
//! It must never agree on what was not offered, or on parameters that it does not know.

use super::{is_token, members};
use crate::websocket::deflate::{WINDOW_BITS_MAX, WINDOW_BITS_MIN, Window};

const NAME: &str = "permessage-deflate";
const SERVER_FORGETS: &str = "server_no_context_takeover";
const CLIENT_FORGETS: &str = "client_no_context_takeover";
const SERVER_BITS: &str = "server_max_window_bits";
const CLIENT_BITS: &str = "client_max_window_bits";

/// What both sides have agreed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Agreed {
    /// How the server compresses.
    pub server: Window,
    /// How the client does.
    pub client: Window,
    /// The answer says how large the server's window is.
    says_bits: bool,
}

impl Agreed {
    /// The answer, as the value of `Sec-WebSocket-Extensions`.
    #[must_use]
    pub fn answer(&self) -> String {
        let mut answer = NAME.to_owned();
        let forgets = [(SERVER_FORGETS, self.server), (CLIENT_FORGETS, self.client)];
        for (name, _) in forgets.iter().filter(|(_, window)| !window.takes_over) {
            answer.push_str("; ");
            answer.push_str(name);
        }
        if self.says_bits {
            answer.push_str(&format!("; {SERVER_BITS}={}", self.server.bits));
        }
        answer
    }
}

/// What a client asks of a server; it takes any answer.
pub(super) const OFFER: &str = "permessage-deflate; client_max_window_bits";

/// A parameter as it is said, with its value if it has one.
type Said<'a> = (&'a str, Option<&'a str>);

/// One extension with its parameters; none where that is not written as it must be (RFC 6455 §9.1).
fn parse(member: &[u8]) -> Option<(&str, Vec<Said<'_>>)> {
    let member = std::str::from_utf8(member).ok()?;
    let mut parts = member.split(';').map(str::trim);
    let name = parts.next().filter(|name| is_token(name.as_bytes()))?;
    let params = parts.map(|part| {
        let (name, value) = match part.split_once('=') {
            None => (part, None),
            Some((name, value)) => (name.trim(), Some(unquoted(value.trim())?)),
        };
        is_token(name.as_bytes()).then_some((name, value))
    });
    Some((name, params.collect::<Option<Vec<_>>>()?))
}

/// The token of a value; a quoted one must be a token too.
fn unquoted(value: &str) -> Option<&str> {
    let inner = value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    Some(inner.unwrap_or(value)).filter(|token| is_token(token.as_bytes()))
}

/// Parameters of the extension, each once.
#[derive(Default)]
struct Params {
    server_forgets: bool,
    client_forgets: bool,
    server_bits: Option<u8>,
    client_bits: Option<Option<u8>>,
}

fn bits_of(value: &str) -> Option<u8> {
    let is_plain = !value.starts_with('0') && value.bytes().all(|byte| byte.is_ascii_digit());
    let bits = value.parse().ok().filter(|_| is_plain)?;
    (WINDOW_BITS_MIN..=WINDOW_BITS_MAX).contains(&bits).then_some(bits)
}

impl Params {
    /// What is said, or none where it is something else, or said twice.
    fn of(said: &[Said<'_>]) -> Option<Self> {
        let mut own = Self::default();
        for (name, value) in said {
            let is_new = match (*name, value) {
                (SERVER_FORGETS, None) => !std::mem::replace(&mut own.server_forgets, true),
                (CLIENT_FORGETS, None) => !std::mem::replace(&mut own.client_forgets, true),
                (SERVER_BITS, Some(value)) => own.server_bits.replace(bits_of(value)?).is_none(),
                (CLIENT_BITS, None) => own.client_bits.replace(None).is_none(),
                (CLIENT_BITS, Some(value)) => {
                    own.client_bits.replace(Some(bits_of(value)?)).is_none()
                }
                _ => false,
            };
            if !is_new {
                return None;
            }
        }
        Some(own)
    }
}

/// What a server agrees on of what is offered: the first of it that it understands. Its own window lasts
/// from one message to the next where it `takes_over`, and the client does not object; the client's
/// never does, so that one inflater is enough for any number of connections.
#[must_use]
pub fn agree(extensions: &[u8], takes_over: bool) -> Option<Agreed> {
    let offers = members(extensions).filter_map(parse).filter(|(name, _)| *name == NAME);
    let params = offers.filter_map(|(_, params)| Params::of(&params)).next()?;
    let bits = params.server_bits.unwrap_or(WINDOW_BITS_MAX);
    // No coder has a lasting window of 256 bytes.
    let server_takes_over = takes_over && !params.server_forgets && bits > WINDOW_BITS_MIN;
    let client_bits = params.client_bits.flatten().unwrap_or(WINDOW_BITS_MAX);
    Some(Agreed {
        server: Window { bits, takes_over: server_takes_over },
        client: Window { bits: client_bits, takes_over: false },
        says_bits: params.server_bits.is_some(),
    })
}

/// What an answer to [`OFFER`] agrees on: nothing, or one extension whose parameters all were offered;
/// none where it is anything else.
pub(super) fn agreed(answer: &[u8]) -> Option<Option<Agreed>> {
    let mut answers = members(answer);
    let Some(only) = answers.next() else { return Some(None) };
    let (name, params) = parse(only).filter(|_| answers.next().is_none())?;
    let params = Params::of(&params).filter(|_| name == NAME)?;
    let server = Window {
        bits: params.server_bits.unwrap_or(WINDOW_BITS_MAX),
        takes_over: !params.server_forgets,
    };
    let client_bits = match params.client_bits {
        None => WINDOW_BITS_MAX,
        Some(bits) => bits?,
    };
    let client = Window { bits: client_bits, takes_over: !params.client_forgets };
    Some(Some(Agreed { server, client, says_bits: params.server_bits.is_some() }))
}
