//! What each command does to the store, and what it is answered.
//! It must never read a clock: a command is told the time.

use super::glob;
use super::resp::{arguments, array, bulk, error, int, integer, simple};
use super::store::{Store, WrongKind};

/// What a command is answered.
#[derive(Debug, Default)]
pub(crate) struct Answer {
    pub(crate) bytes: Vec<u8>,
    /// The connection ends behind it.
    pub(crate) is_last: bool,
}

/// Why a command cannot be done.
enum Problem {
    Arguments,
    Syntax,
    NotAnInteger,
    Overflow,
    Expiry,
    WrongKind,
    Unknown,
    Index,
    Pattern,
    Reply,
}

impl From<WrongKind> for Problem {
    fn from(_: WrongKind) -> Self {
        Self::WrongKind
    }
}

/// No command has a longer name: what is behind it is not looked at.
const NAME_BYTES_MAX: usize = 32;
/// What one command is answered is no longer: a long value may be asked for many times at once.
pub(crate) const REPLY_BYTES_MAX: usize = 32 << 20;
/// Each byte of each key is held against a pattern.
const PATTERN_BYTES_MAX: usize = 1024;

type Done = Result<(), Problem>;

/// Does one command, as [`Resp`](super::resp::Resp) has found it.
pub(crate) fn execute(store: &mut Store, command: &[u8], now_ms: u64) -> Answer {
    store.pass(now_ms);
    let mut answer = Answer::default();
    let arguments = arguments(command);
    let Some((name, rest)) = arguments.split_first() else {
        error("ERR unknown command ''", &mut answer.bytes);
        return answer;
    };
    let mut lower = [0; NAME_BYTES_MAX];
    let lower = &mut lower[..name.len().min(NAME_BYTES_MAX)];
    lower.copy_from_slice(&name[..lower.len()]);
    lower.make_ascii_lowercase();
    let name = std::str::from_utf8(lower).unwrap_or("?");
    answer.is_last = name == "quit";
    if let Err(problem) = run(store, name, rest, now_ms, &mut answer.bytes) {
        answer.bytes.clear();
        error(&say(&problem, name), &mut answer.bytes);
    }
    answer
}

fn say(problem: &Problem, name: &str) -> String {
    match problem {
        Problem::Arguments => format!("ERR wrong number of arguments for '{name}' command"),
        Problem::Syntax => "ERR syntax error".into(),
        Problem::NotAnInteger => "ERR value is not an integer or out of range".into(),
        Problem::Overflow => "ERR increment or decrement would overflow".into(),
        Problem::Expiry => format!("ERR invalid expire time in '{name}' command"),
        Problem::WrongKind => {
            "WRONGTYPE Operation against a key holding the wrong kind of value".into()
        }
        Problem::Unknown => format!("ERR unknown command '{name}'"),
        Problem::Index => "ERR DB index is out of range".into(),
        Problem::Pattern => format!("ERR a pattern has {PATTERN_BYTES_MAX} bytes at most"),
        Problem::Reply => format!("ERR the reply would have more than {REPLY_BYTES_MAX} bytes"),
    }
}

/// A command: its name, its arguments, what it does. Here are those on keys and on texts.
fn run(store: &mut Store, name: &str, rest: &[&[u8]], now_ms: u64, out: &mut Vec<u8>) -> Done {
    match (name, rest) {
        ("ping", []) => simple("PONG", out),
        ("ping" | "echo", [text]) => bulk(Some(text), out),
        ("set", [key, text, options @ ..]) => return set(store, key, text, options, now_ms, out),
        ("get", [key]) => return part(store.text(key)?, out),
        ("del", keys @ [_, ..]) => count(keys, |key| store.remove(key), out),
        ("exists", keys @ [_, ..]) => count(keys, |key| store.has(key), out),
        ("expire", [key, seconds]) => return expire(store, key, seconds, now_ms, out),
        ("ttl", [key]) => int(time_left(store, key, now_ms), out),
        ("incr", [key]) => return increase(store, key, 1, out),
        ("incrby", [key, by]) => return increase(store, key, number(by)?, out),
        ("append", [key, text]) => {
            let own = store.text_mut(key)?;
            own.extend_from_slice(text);
            int(own.len() as i64, out);
        }
        ("mget", keys @ [_, ..]) => {
            array(keys.len(), out);
            return keys.iter().try_for_each(|key| part(store.text(key).unwrap_or(None), out));
        }
        ("mset", pairs @ [_, ..]) if pairs.len() % 2 == 0 => {
            pairs.chunks(2).for_each(|pair| store.set(pair[0], pair[1], None));
            simple("OK", out);
        }
        _ => return run_on_parts(store, name, rest, out),
    }
    Ok(())
}

/// The commands on values that have parts.
fn run_on_parts(store: &mut Store, name: &str, rest: &[&[u8]], out: &mut Vec<u8>) -> Done {
    match (name, rest) {
        ("hset", [key, pairs @ ..]) if !pairs.is_empty() && pairs.len() % 2 == 0 => {
            let hash = store.hash_mut(key)?;
            let new = |pair: &&[&[u8]]| hash.insert(pair[0].to_vec(), pair[1].to_vec()).is_none();
            int(pairs.chunks(2).filter(new).count() as i64, out);
        }
        ("hget", [key, field]) => {
            let hash = store.hash(key)?;
            return part(hash.and_then(|hash| hash.get(*field)), out);
        }
        ("hgetall", [key]) => {
            let hash = store.hash(key)?;
            array(hash.map_or(0, |hash| 2 * hash.len()), out);
            let mut texts = hash.into_iter().flatten().flat_map(|(field, text)| [field, text]);
            return texts.try_for_each(|text| part(Some(text), out));
        }
        ("lpush" | "rpush", [key, texts @ ..]) if !texts.is_empty() => {
            let list = store.list_mut(key)?;
            for text in texts.iter().map(|text| text.to_vec()) {
                if name == "lpush" { list.push_front(text) } else { list.push_back(text) }
            }
            int(list.len() as i64, out);
        }
        ("lpop" | "rpop", [key, count @ ..]) if count.len() < 2 => {
            return pop(store, key, count.first().copied(), name == "lpop", out);
        }
        ("lrange", [key, first, last]) => return range(store, key, first, last, out),
        _ => return run_on_all(store, name, rest, out),
    }
    Ok(())
}

/// The commands on everything that is kept, and on the server.
fn run_on_all(store: &mut Store, name: &str, rest: &[&[u8]], out: &mut Vec<u8>) -> Done {
    match (name, rest) {
        ("keys", [pattern]) if pattern.len() > PATTERN_BYTES_MAX => return Err(Problem::Pattern),
        ("keys", [pattern]) => {
            let keys: Vec<_> = store.keys().filter(|key| glob::fits(pattern, key)).collect();
            array(keys.len(), out);
            return keys.into_iter().try_for_each(|key| part(Some(key), out));
        }
        ("dbsize", []) => int(store.len() as i64, out),
        ("flushall", [] | [_]) => {
            store.clear();
            simple("OK", out);
        }
        ("select", [index]) => match number(index)? {
            0 => simple("OK", out),
            _ => return Err(Problem::Index),
        },
        ("info", _) => bulk(Some(info(store).as_bytes()), out),
        ("config", [verb, names @ ..]) if verb.eq_ignore_ascii_case(b"get") => config(names, out),
        ("client", [verb, ..]) if verb.to_ascii_lowercase().starts_with(b"set") => {
            simple("OK", out)
        }
        ("command", _) => array(0, out),
        ("quit", _) => simple("OK", out),
        _ if KNOWN.contains(&name) => return Err(Problem::Arguments),
        _ => return Err(Problem::Unknown),
    }
    Ok(())
}

/// The commands that can have the wrong arguments.
const KNOWN: [&str; 26] = [
    "ping", "echo", "set", "get", "del", "exists", "expire", "ttl", "incr", "incrby", "append",
    "mget", "mset", "hset", "hget", "hgetall", "lpush", "rpush", "lpop", "rpop", "lrange", "keys",
    "dbsize", "select", "config", "client",
];

fn number(digits: &[u8]) -> Result<i64, Problem> {
    integer(digits).ok_or(Problem::NotAnInteger)
}

/// One of what is kept, in a reply that has room for it.
fn part(text: Option<&Vec<u8>>, out: &mut Vec<u8>) -> Done {
    if out.len() + text.map_or(0, Vec::len) > REPLY_BYTES_MAX {
        return Err(Problem::Reply);
    }
    bulk(text.map(Vec::as_slice), out);
    Ok(())
}

fn count(keys: &[&[u8]], is_counted: impl FnMut(&&&[u8]) -> bool, out: &mut Vec<u8>) {
    int(keys.iter().filter(is_counted).count() as i64, out);
}

/// `SET key text [EX seconds | PX milliseconds] [NX | XX]`.
fn set(
    store: &mut Store,
    key: &[u8],
    text: &[u8],
    mut options: &[&[u8]],
    now_ms: u64,
    out: &mut Vec<u8>,
) -> Done {
    let (mut ends_ms, mut must_exist) = (None, None);
    while let [option, rest @ ..] = options {
        options = rest;
        match option.to_ascii_lowercase().as_slice() {
            b"nx" if must_exist.is_none() => must_exist = Some(false),
            b"xx" if must_exist.is_none() => must_exist = Some(true),
            unit @ (b"ex" | b"px") if ends_ms.is_none() => {
                let [time, rest @ ..] = options else { return Err(Problem::Syntax) };
                options = rest;
                let scale = if unit == b"ex" { 1000 } else { 1 };
                let time_ms = number(time)?.checked_mul(scale).filter(|time_ms| *time_ms > 0);
                ends_ms = Some(now_ms.saturating_add_signed(time_ms.ok_or(Problem::Expiry)?));
            }
            _ => return Err(Problem::Syntax),
        }
    }
    if must_exist.is_some_and(|must_exist| must_exist != store.has(key)) {
        bulk(None, out);
    } else {
        store.set(key, text, ends_ms);
        simple("OK", out);
    }
    Ok(())
}

fn expire(store: &mut Store, key: &[u8], seconds: &[u8], now_ms: u64, out: &mut Vec<u8>) -> Done {
    let time_ms = number(seconds)?.checked_mul(1000).ok_or(Problem::Expiry)?;
    let is_there = match time_ms {
        ..=0 => store.remove(key),
        _ => store.end_at(key, now_ms.saturating_add_signed(time_ms)),
    };
    int(i64::from(is_there), out);
    Ok(())
}

/// Seconds, rounded; -1 without an end, -2 without the key.
fn time_left(store: &Store, key: &[u8], now_ms: u64) -> i64 {
    match store.end_of(key) {
        None => -2,
        Some(None) => -1,
        Some(Some(ends_ms)) => ((ends_ms.saturating_sub(now_ms) + 500) / 1000) as i64,
    }
}

fn increase(store: &mut Store, key: &[u8], by: i64, out: &mut Vec<u8>) -> Done {
    let before = store.text(key)?.map_or(Ok(0), |text| number(text))?;
    let after = before.checked_add(by).ok_or(Problem::Overflow)?;
    *store.text_mut(key)? = after.to_string().into_bytes();
    int(after, out);
    Ok(())
}

fn pop(
    store: &mut Store,
    key: &[u8],
    count: Option<&[u8]>,
    is_left: bool,
    out: &mut Vec<u8>,
) -> Done {
    let wanted = count.map_or(Ok(1), number)?;
    let wanted = usize::try_from(wanted).map_err(|_| Problem::NotAnInteger)?;
    let Some(len) = store.list(key)?.map(|list| list.len()) else {
        match count {
            None => bulk(None, out),
            Some(_) => out.extend_from_slice(b"*-1\r\n"),
        }
        return Ok(());
    };
    let wanted = wanted.min(len);
    if count.is_some() {
        array(wanted, out);
    }
    let list = store.list_mut(key)?;
    // Nothing is taken for which there is no room.
    if is_left {
        list.iter().take(wanted).try_for_each(|text| part(Some(text), out))?;
        list.drain(..wanted);
    } else {
        list.iter().rev().take(wanted).try_for_each(|text| part(Some(text), out))?;
        list.truncate(len - wanted);
    }
    if list.is_empty() {
        store.remove(key);
    }
    Ok(())
}

/// Negative places count from the end.
fn range(store: &Store, key: &[u8], first: &[u8], last: &[u8], out: &mut Vec<u8>) -> Done {
    let (first, last) = (number(first)?, number(last)?);
    let list = store.list(key)?;
    let len = list.map_or(0, |list| list.len() as i64);
    let place = |index: i64| if index < 0 { (len + index).max(0) } else { index.min(len) };
    let (start, end) = (place(first), if last < -len { 0 } else { (place(last) + 1).min(len) });
    let count = (end - start).max(0) as usize;
    array(count, out);
    let mut texts = list.into_iter().flatten().skip(start as usize).take(count);
    texts.try_for_each(|text| part(Some(text), out))
}

fn info(store: &Store) -> String {
    format!(
        "# Server\r\nredis_version:7.0.15\r\nredis_mode:standalone\r\nspringtide:keyvalue\r\n\
         # Keyspace\r\ndb0:keys={},expires=0,avg_ttl=0\r\n",
        store.len()
    )
}

/// What redis-benchmark asks for.
fn config(names: &[&[u8]], out: &mut Vec<u8>) {
    let known = [("save", ""), ("appendonly", "no")];
    let is_asked = |(name, _): &&(&str, &str)| {
        names.iter().any(|pattern| glob::fits(&pattern.to_ascii_lowercase(), name.as_bytes()))
    };
    let found: Vec<_> = known.iter().filter(is_asked).collect();
    array(2 * found.len(), out);
    for (name, text) in found {
        bulk(Some(name.as_bytes()), out);
        bulk(Some(text.as_bytes()), out);
    }
}
