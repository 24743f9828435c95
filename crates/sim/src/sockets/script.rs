//! What peers of WebSockets say, as data: messages with what each asks of its handler, control frames,
//! and how a peer ends.
//! Nothing here is sent.

use std::fmt;

use crate::chance::Chance;

/// Topics, and the names by which somebody subscribes: the last two stand for several.
pub(super) const TOPICS: [&str; 3] = ["tide.high", "tide.low", "moon"];
pub(super) const NAMES: [&str; 5] = [TOPICS[0], TOPICS[1], TOPICS[2], "tide.*", "*"];

/// Whether who has subscribed by a name gets what is published to a topic.
pub(super) const fn matches(name: usize, topic: usize) -> bool {
    name == topic || name == 4 || (name == 3 && topic < 2)
}

/// What handles a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    Called,
    Awaited,
    InParts,
}

/// What a message asks of its handler.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verb {
    Nothing,
    /// The message comes back as it is.
    Echo,
    /// So many messages of so many bytes come.
    Send(usize, usize),
    /// One in so many pieces.
    Stream(usize, usize),
    Subscribe(usize),
    Unsubscribe(usize),
    Publish {
        topic: usize,
        count: usize,
        len: usize,
        to_others: bool,
    },
    Ping,
    /// The connection is given to a thread outside.
    Remote,
    /// Its future takes so many milliseconds.
    Wait(u64),
    Close(u16),
    /// It panics, or fails.
    Fail,
    /// Its future is done.
    Return,
}

/// A message.
#[derive(Clone, Debug)]
pub(super) struct Say {
    pub(super) verb: Verb,
    pub(super) is_text: bool,
    pub(super) payload: Vec<u8>,
    /// Its name on its connection.
    pub(super) id: usize,
    /// Where it is cut into fragments.
    pub(super) cuts: Vec<usize>,
    /// A ping stands between them.
    pub(super) has_ping: bool,
    /// Where that is agreed on.
    pub(super) is_compressed: bool,
}

/// One thing that a peer says.
#[derive(Clone, Debug)]
pub(super) enum Step {
    Say(Say),
    Ping(u8),
    Pong,
}

/// What is wrong with what a peer says at last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wrong {
    Opcode,
    Unmasked,
    ContinuesNothing,
    Utf8,
    CloseCode,
    LongPing,
    TooLong,
    Fragments,
    Controls,
}

impl Wrong {
    const ALL: [Self; 9] = [
        Self::Opcode,
        Self::Unmasked,
        Self::ContinuesNothing,
        Self::Utf8,
        Self::CloseCode,
        Self::LongPing,
        Self::TooLong,
        Self::Fragments,
        Self::Controls,
    ];

    /// What the peer is told.
    pub(super) const fn code(self) -> u16 {
        match self {
            Self::Utf8 => 1007,
            Self::TooLong => 1009,
            Self::Fragments | Self::Controls => 1008,
            _ => 1002,
        }
    }

    /// What it sends.
    pub(super) fn bytes(self) -> Vec<u8> {
        match self {
            Self::Opcode => b"\x83\x80\0\0\0\0".to_vec(),
            Self::Unmasked => b"\x81\x01x".to_vec(),
            Self::ContinuesNothing => b"\x80\x81\0\0\0\0x".to_vec(),
            Self::Utf8 => b"\x01\x83\0\0\0\0hi\xe2\x80\x81\0\0\0\0x".to_vec(),
            Self::CloseCode => b"\x88\x82\0\0\0\0\x03\xed".to_vec(),
            Self::LongPing => [b"\x89\xfe\0\x7e\0\0\0\0".as_slice(), &[7; 126]].concat(),
            Self::TooLong => b"\x82\xff\0\0\0\0\0\x01\0\x01\0\0\0\0".to_vec(),
            Self::Fragments => {
                [b"\x01\x80\0\0\0\0".to_vec(), b"\0\x80\0\0\0\0".repeat(64)].concat()
            }
            // Some may answer pings of its handler.
            // Some answer pings of its handler, or came while nothing was read.
            Self::Controls => b"\x8a\x80\0\0\0\0".repeat(8 * CONTROLS_MAX),
        }
    }
}

/// How many pongs nobody asked for a peer may send in a second.
pub(super) const CONTROLS_MAX: usize = 100;

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self::Say(say) = self else { return write!(f, "{self:?}") };
        let Say { verb, id, payload, cuts, .. } = say;
        write!(f, "{id}: {verb:?} in {} bytes, cut at {cuts:?}", payload.len())
    }
}

/// How a peer ends, behind what it says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// It closes; at once, or when nothing more comes.
    Close {
        code: u16,
        is_eager: bool,
    },
    /// Its handler does, with a code of its own.
    Asks(u16),
    /// Both, at once.
    Both(u16, u16),
    /// It answers so many pings, and closes.
    Silent(u32),
    /// It answers nothing any more.
    Dead,
    /// It does not even read.
    Deaf,
    /// Its handler closes, and it does not answer.
    Unanswered(u16),
    HalfClose,
    /// It resets when it has written so many bytes.
    Reset(usize),
    /// It resets behind its own close, or in place of an answer.
    ResetInClose {
        is_own: bool,
    },
    Malformed(Wrong),
    Fails,
    Returns,
}

/// What a peer says.
#[derive(Clone, Debug)]
pub(super) struct Script {
    pub(super) steps: Vec<Step>,
    pub(super) end: End,
}

impl Script {
    pub(super) fn draw(chance: &mut Chance, number: u32, way: Way, is_flood: bool) -> Self {
        let end = draw_end(chance, way);
        let mut steps = Vec::new();
        let count = chance.between(1, 14);
        if chance.percent(75) {
            let verb = Verb::Subscribe(chance.below(NAMES.len()));
            steps.push(Step::Say(Say::draw(chance, verb, number, 0, 100)));
        }
        for id in 1..=count {
            let is_long = chance.percent(10);
            let len = if is_long { chance.between(2_000, 30_000) } else { chance.below(600) };
            steps.push(match chance.below(10) {
                0 => Step::Ping(chance.next().to_le_bytes()[0] % 126),
                1 => Step::Pong,
                _ => {
                    let verb = draw_verb(chance, way, is_flood);
                    Step::Say(Say::draw(chance, verb, number, id, len))
                }
            });
        }
        let last = match end {
            End::Asks(code) | End::Both(code, _) | End::Unanswered(code) => Verb::Close(code),
            End::ResetInClose { is_own: false } => Verb::Close(1000),
            End::Fails => Verb::Fail,
            End::Returns => Verb::Return,
            _ => return Self { steps, end },
        };
        steps.push(Step::Say(Say::draw(chance, last, number, count + 1, 40)));
        Self { steps, end }
    }

    /// Whether what its end asks for is this step.
    pub(super) fn has_its_end_at(&self, step: usize) -> bool {
        let is_asked = matches!(
            self.end,
            End::Asks(_) | End::Both(..) | End::Unanswered(_) | End::Fails | End::Returns
        ) || self.end == End::ResetInClose { is_own: false };
        is_asked && step + 1 == self.steps.len()
    }

    /// The messages, in order.
    pub(super) fn says(&self) -> impl Iterator<Item = &Say> {
        self.steps
            .iter()
            .filter_map(|step| if let Step::Say(say) = step { Some(say) } else { None })
    }
}

impl Say {
    fn draw(chance: &mut Chance, verb: Verb, number: u32, id: usize, len: usize) -> Self {
        let (is_text, payload) = payload(&format!("c{number}"), id, len);
        let mut cuts = Vec::new();
        if chance.percent(30) {
            for _ in 0..chance.between(1, 4) {
                cuts.push(chance.below(payload.len() + 1));
            }
            cuts.sort_unstable();
        }
        let (has_ping, is_compressed) = (chance.percent(40), chance.percent(50));
        Self { verb, is_text, payload, id, cuts, has_ping, is_compressed }
    }
}

fn draw_verb(chance: &mut Chance, way: Way, is_flood: bool) -> Verb {
    let len = if is_flood { chance.between(3_000, 12_000) } else { chance.below(800) };
    let count = if is_flood { chance.between(8, 24) } else { chance.between(1, 4) };
    match chance.below(100) {
        0..27 => Verb::Echo,
        27..31 => Verb::Nothing,
        31..39 => Verb::Send(count, len),
        39..47 => Verb::Subscribe(chance.below(NAMES.len())),
        47..55 => Verb::Unsubscribe(chance.below(NAMES.len())),
        55..80 => {
            let (topic, to_others) = (chance.below(TOPICS.len()), chance.percent(30));
            Verb::Publish { topic, count, len, to_others }
        }
        80..84 => Verb::Ping,
        84..91 => Verb::Remote,
        _ if way == Way::Called => Verb::Echo,
        91..95 => Verb::Wait(chance.pick(&[0, 1, 5, 60])),
        _ => Verb::Stream(chance.between(1, 6), 1 + len / 4),
    }
}

fn draw_end(chance: &mut Chance, way: Way) -> End {
    let code = chance.pick(&[1000, 1001, 3000, 4999]);
    match chance.below(100) {
        0..9 => End::Close { code, is_eager: false },
        9..14 => End::Close { code, is_eager: true },
        14..21 => End::Asks(code),
        21..28 => End::Both(code, 4000),
        28..31 => End::Silent(u32::from(chance.next().to_le_bytes()[0] % 3) + 1),
        31..38 => End::Dead,
        38..45 => End::Deaf,
        45..53 => End::Unanswered(code),
        53..60 => End::HalfClose,
        60..67 => End::Reset(chance.below(3_000)),
        67..75 => End::ResetInClose { is_own: chance.percent(50) },
        75..89 => match chance.pick(&Wrong::ALL) {
            // What is given in parts may have any number of them.
            Wrong::Fragments if way == Way::InParts => End::Malformed(Wrong::Controls),
            wrong => End::Malformed(wrong),
        },
        _ if way != Way::Called && chance.percent(30) => End::Returns,
        _ => End::Fails,
    }
}

/// What a peer may be told besides ASCII.
const LETTERS: [&str; 9] = ["t", "i", "d", "e", " ", "é", "ß", "€", "𝄞"];

/// A message that says of itself who made it, and which of his it is; text or bytes, of about so many.
pub(super) fn payload(source: &str, id: usize, len: usize) -> (bool, Vec<u8>) {
    let is_text = id.is_multiple_of(3);
    let mut payload = format!("{source} {id};").into_bytes();
    if is_text {
        for letter in (id..).map(|at| LETTERS[at * 7 % LETTERS.len()]) {
            if payload.len() + letter.len() > len {
                break;
            }
            payload.extend_from_slice(letter.as_bytes());
        }
    } else {
        let block: Vec<u8> =
            (0..=255_u8).map(|at| at.wrapping_mul(37) ^ id.to_le_bytes()[0]).collect();
        while payload.len() < len {
            let rest = (len - payload.len()).min(block.len());
            payload.extend_from_slice(&block[..rest]);
        }
    }
    (is_text, payload)
}

/// Who made a message, and which of his it is, as it says of itself.
pub(super) fn parse(payload: &[u8]) -> Option<(&str, usize)> {
    let end = payload.iter().take(24).position(|byte| *byte == b';')?;
    let (source, id) = std::str::from_utf8(&payload[..end]).ok()?.split_once(' ')?;
    Some((source, id.parse().ok()?))
}
