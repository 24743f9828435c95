//! The rules of the chat: which rooms there are, who is in them, what was said last.
//! It knows no socket; whatever people send it, it grows no further than its limits.

use std::collections::VecDeque;
use std::fmt;

use serde::Serialize;

/// Rooms at a time.
const ROOMS_MAX: usize = 16;
/// Lines that a room remembers.
const LINES_MAX: usize = 50;
/// Characters of a line.
const LINE_CHARS_MAX: usize = 500;
/// Characters of a name, of a room and of a guest.
const NAME_CHARS_MAX: usize = 24;
/// Rooms that are always there.
const STANDING: [&str; 3] = ["harbour", "lighthouse", "engine-room"];

/// What somebody said.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Line {
    /// Grows from line to line, in all rooms together.
    number: u64,
    /// When, in milliseconds since the server was started.
    at_ms: u64,
    name: String,
    text: String,
}

/// A room, as the list of rooms shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Listed {
    name: String,
    present: usize,
}

/// Why something that a guest asked for was not done, as the guest is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    RoomName,
    GuestName,
    RoomsFull,
    NoRoom,
    LineEmpty,
    LineTooLong,
    LineUnreadable,
    TooFast,
    /// What came is nothing that can be asked for.
    NotAsked,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::RoomName => write!(
                f,
                "A room's name has 1 to {NAME_CHARS_MAX} characters: letters a to z, digits and -."
            ),
            Self::GuestName => write!(f, "Your name has 1 to {NAME_CHARS_MAX} characters."),
            Self::RoomsFull => write!(f, "There are {ROOMS_MAX} rooms already, and none is empty."),
            Self::NoRoom => f.write_str("You are in no room."),
            Self::LineEmpty => f.write_str("There is nothing in that line."),
            Self::LineTooLong => {
                write!(f, "A line has {LINE_CHARS_MAX} characters at most. Send it in parts.")
            }
            Self::NotAsked => f.write_str("That is nothing that can be asked for here."),
            Self::TooFast => f.write_str("That was too fast. Wait a few seconds."),
            Self::LineUnreadable => f.write_str("A line is text without control characters."),
        }
    }
}

struct Room {
    name: String,
    present: usize,
    lines: VecDeque<Line>,
    /// The number of what happened here last.
    moved: u64,
}

impl Room {
    fn new(name: &str) -> Self {
        Self { name: name.to_owned(), present: 0, lines: VecDeque::new(), moved: 0 }
    }

    fn is_standing(&self) -> bool {
        STANDING.contains(&self.name.as_str())
    }
}

/// All rooms.
pub(super) struct Rooms {
    rooms: Vec<Room>,
    /// Whatever happens is numbered.
    last_number: u64,
    /// Somebody has come or gone since everybody was told.
    has_news: bool,
}

impl Rooms {
    pub(super) fn new() -> Self {
        Self { rooms: STANDING.map(Room::new).into(), last_number: 0, has_news: false }
    }

    /// Somebody enters a room, which is opened for them if need be.
    pub(super) fn enter(&mut self, name: &str) -> Result<(), Refusal> {
        self.last_number += 1;
        let number = self.last_number;
        let room = match self.rooms.iter().position(|room| room.name == name) {
            Some(place) => &mut self.rooms[place],
            None => self.open(name)?,
        };
        room.present += 1;
        room.moved = number;
        self.has_news = true;
        Ok(())
    }

    /// The lines that a room remembers.
    pub(super) fn lines(&self, name: &str) -> Vec<Line> {
        let room = self.rooms.iter().find(|room| room.name == name);
        room.into_iter().flat_map(|room| &room.lines).cloned().collect()
    }

    /// Opens a room. Where there are too many, the one that has been empty longest makes place.
    fn open(&mut self, name: &str) -> Result<&mut Room, Refusal> {
        let is_written = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if name.is_empty() || name.len() > NAME_CHARS_MAX || !name.chars().all(is_written) {
            return Err(Refusal::RoomName);
        }
        if self.rooms.len() == ROOMS_MAX {
            let empty = |room: &Room| room.present == 0 && !room.is_standing();
            let rooms = self.rooms.iter().enumerate().filter(|(_, room)| empty(room));
            let quietest = rooms.min_by_key(|(_, room)| room.moved).map(|(place, _)| place);
            self.rooms.remove(quietest.ok_or(Refusal::RoomsFull)?);
        }
        self.rooms.push(Room::new(name));
        self.rooms.last_mut().ok_or(Refusal::NoRoom)
    }

    /// Somebody who had entered leaves.
    pub(super) fn leave(&mut self, name: &str) {
        if let Some(room) = self.rooms.iter_mut().find(|room| room.name == name) {
            self.last_number += 1;
            room.moved = self.last_number;
            room.present = room.present.saturating_sub(1);
            self.has_news = true;
        }
    }

    /// Somebody in a room says something.
    pub(super) fn say(
        &mut self,
        room: &str,
        name: &str,
        text: &str,
        at_ms: u64,
    ) -> Result<Line, Refusal> {
        let text = line(text)?;
        let room = self.rooms.iter_mut().find(|own| own.name == room).ok_or(Refusal::NoRoom)?;
        self.last_number += 1;
        room.moved = self.last_number;
        let line = Line { number: self.last_number, at_ms, name: name.to_owned(), text };
        if room.lines.len() == LINES_MAX {
            room.lines.pop_front();
        }
        room.lines.push_back(line.clone());
        Ok(line)
    }

    /// The number of what happened last.
    pub(super) const fn number(&self) -> u64 {
        self.last_number
    }

    /// Every room with how many are in it, in the order in which they were opened.
    pub(super) fn list(&self) -> Vec<Listed> {
        let rooms = self.rooms.iter();
        rooms.map(|room| Listed { name: room.name.clone(), present: room.present }).collect()
    }

    /// The list, if somebody has come or gone since it was asked for so. It may be the same again:
    /// whoever came in between has been told another one.
    pub(super) fn news(&mut self) -> Option<Vec<Listed>> {
        std::mem::take(&mut self.has_news).then(|| self.list())
    }
}

/// What a guest is called: without space around it.
pub(super) fn guest(name: &str) -> Result<String, Refusal> {
    let name = name.trim();
    let chars = name.chars().count();
    let is_name = (1..=NAME_CHARS_MAX).contains(&chars) && !name.chars().any(char::is_control);
    is_name.then(|| name.to_owned()).ok_or(Refusal::GuestName)
}

fn line(text: &str) -> Result<String, Refusal> {
    let text = text.trim();
    if text.is_empty() {
        return Err(Refusal::LineEmpty);
    }
    if text.chars().count() > LINE_CHARS_MAX {
        return Err(Refusal::LineTooLong);
    }
    if text.chars().any(char::is_control) {
        return Err(Refusal::LineUnreadable);
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_room_remembers_the_last_lines() {
        let mut rooms = Rooms::new();
        rooms.enter("harbour").unwrap();
        for number in 0..LINES_MAX + 7 {
            rooms.say("harbour", "Tern", &format!("line {number}"), 0).unwrap();
        }
        let lines = rooms.lines("harbour");
        assert_eq!(lines.len(), LINES_MAX);
        assert_eq!((&*lines[0].text, &*lines[LINES_MAX - 1].text), ("line 7", "line 56"));
        assert!(lines.is_sorted_by(|one, next| one.number < next.number));
        assert!(rooms.lines("lighthouse").is_empty(), "each has its own");
    }

    #[test]
    fn there_are_no_more_rooms_than_the_limit_says() {
        let mut rooms = Rooms::new();
        for number in STANDING.len()..ROOMS_MAX {
            rooms.enter(&format!("room-{number}")).unwrap();
        }
        assert_eq!(rooms.enter("one-more").unwrap_err(), Refusal::RoomsFull);
        assert_eq!(rooms.list().len(), ROOMS_MAX);
        // Of two that are empty the one makes place in which nothing has moved for longer.
        rooms.leave("room-9");
        rooms.leave("room-5");
        rooms.enter("one-more").unwrap();
        let names: Vec<String> = rooms.list().into_iter().map(|room| room.name).collect();
        assert_eq!(names.len(), ROOMS_MAX);
        assert!(names.iter().any(|name| name == "room-5"), "{names:?}");
        assert!(!names.iter().any(|name| name == "room-9"), "{names:?}");
        assert!(STANDING.iter().all(|name| names.iter().any(|own| own == name)), "{names:?}");
    }

    #[test]
    fn presence_follows_who_comes_and_goes() {
        let mut rooms = Rooms::new();
        rooms.enter("harbour").unwrap();
        rooms.enter("harbour").unwrap();
        rooms.leave("harbour");
        rooms.leave("nowhere");
        let harbour = Listed { name: "harbour".to_owned(), present: 1 };
        assert_eq!(rooms.list()[0], harbour);
    }

    #[test]
    fn only_what_has_changed_is_news() {
        let mut rooms = Rooms::new();
        assert_eq!(rooms.news(), None, "whoever comes is told how it stands");
        rooms.enter("harbour").unwrap();
        rooms.enter("harbour").unwrap();
        assert_eq!(rooms.news().map(|list| list[0].present), Some(2), "of two entries once");
        rooms.say("harbour", "Tern", "hello", 0).unwrap();
        rooms.leave("nowhere");
        assert_eq!(rooms.news(), None);
        rooms.enter("lighthouse").unwrap();
        let between = rooms.list();
        rooms.leave("lighthouse");
        let told = rooms.news();
        assert!(told.is_some_and(|told| told != between), "whoever was told that is told again");
        rooms.enter("new").unwrap();
        rooms.leave("new");
        assert_eq!(rooms.news().map(|list| list.len()), Some(STANDING.len() + 1));
        assert_eq!(rooms.news(), None);
    }

    #[test]
    fn lines_and_names_have_their_bounds() {
        let mut rooms = Rooms::new();
        let long = "é".repeat(LINE_CHARS_MAX);
        for (text, refusal) in [
            ("  \t ", Some(Refusal::LineEmpty)),
            (&*(long.clone() + "é"), Some(Refusal::LineTooLong)),
            ("one\ntwo", Some(Refusal::LineUnreadable)),
            (&*long, None),
            ("<b>not markup</b>", None),
        ] {
            assert_eq!(rooms.say("harbour", "Tern", text, 0).err(), refusal, "{text}");
        }
        assert_eq!(rooms.say("nowhere", "Tern", "hello", 0).unwrap_err(), Refusal::NoRoom);
        for name in ["", "UPPER", "a b", "../x", "a.b", &*"x".repeat(NAME_CHARS_MAX + 1)] {
            assert_eq!(rooms.enter(name).unwrap_err(), Refusal::RoomName, "{name}");
        }
        assert_eq!(guest(" Ada ").as_deref(), Ok("Ada"));
        for name in ["", " ", "a\u{7}", &*"x".repeat(NAME_CHARS_MAX + 1)] {
            assert_eq!(guest(name), Err(Refusal::GuestName), "{name:?}");
        }
    }
}
