//! What the example answers to each command, at times that the test says.

use super::example::commands::{REPLY_BYTES_MAX, execute};
use super::example::store::Store;

/// Does a table of commands, each with its time, and says what each is answered.
fn check(table: &[(u64, &str, &str)]) {
    let mut store = Store::default();
    for (now_ms, command, expected) in table {
        let answer = execute(&mut store, format!("{command}\r\n").as_bytes(), *now_ms);
        let said = String::from_utf8(answer.bytes).unwrap();
        assert_eq!(said.trim_end().replace("\r\n", " "), *expected, "{command}");
    }
}

#[test]
fn texts() {
    let wrong = "-WRONGTYPE Operation against a key holding the wrong kind of value";
    check(&[
        (0, "PING", "+PONG"),
        (0, "ping low", "$3 low"),
        (0, "ECHO tide", "$4 tide"),
        (0, "GET tide", "$-1"),
        (0, "SET tide low", "+OK"),
        (0, "GET tide", "$3 low"),
        (0, "SET tide high NX", "$-1"),
        (0, "SET tide high XX", "+OK"),
        (0, "SET other x XX", "$-1"),
        (0, "SET tide low NX XX", "-ERR syntax error"),
        (0, "SET tide", "-ERR wrong number of arguments for 'set' command"),
        (0, "APPEND tide er", ":6"),
        (0, "MSET a 1 b 2", "+OK"),
        (0, "MSET a", "-ERR wrong number of arguments for 'mset' command"),
        (0, "MGET a none b", "*3 $1 1 $-1 $1 2"),
        (0, "EXISTS a a none", ":2"),
        (0, "DEL a none b", ":2"),
        (0, "INCR count", ":1"),
        (0, "INCRBY count -11", ":-10"),
        (0, "INCR tide", "-ERR value is not an integer or out of range"),
        (0, "SET most 9223372036854775807", "+OK"),
        (0, "INCR most", "-ERR increment or decrement would overflow"),
        (0, "RPUSH list x", ":1"),
        (0, "GET list", wrong),
        (0, "APPEND list x", wrong),
        (0, "SET list now-a-text", "+OK"),
        (0, "LPUSH list x", wrong),
        (0, "INCRBY most -9223372036854775808", ":-1"),
        (0, "INCRBY most 9223372036854775808", "-ERR value is not an integer or out of range"),
        (0, "INCRBY most -", "-ERR value is not an integer or out of range"),
        (0, "NONE", "-ERR unknown command 'none'"),
    ]);
}

#[test]
fn keys_end() {
    check(&[
        (0, "SET low x EX 2", "+OK"),
        (0, "SET high x PX 1500", "+OK"),
        (0, "SET low x EX 0", "-ERR invalid expire time in 'set' command"),
        (500, "TTL low", ":2"),
        (501, "TTL low", ":1"),
        (0, "TTL none", ":-2"),
        (1499, "DBSIZE", ":2"),
        (1500, "GET high", "$-1"),
        (1500, "EXPIRE low 10", ":1"),
        (2000, "GET low", "$1 x"),
        (2000, "SET low y", "+OK"),
        (2000, "TTL low", ":-1"),
        (99_000, "GET low", "$1 y"),
        (99_000, "EXPIRE low -1", ":1"),
        (99_000, "EXPIRE low 5", ":0"),
        (99_000, "DBSIZE", ":0"),
    ]);
}

#[test]
fn lists_and_hashes() {
    check(&[
        (0, "RPUSH l b c", ":2"),
        (0, "LPUSH l a", ":3"),
        (0, "LRANGE l 0 -1", "*3 $1 a $1 b $1 c"),
        (0, "LRANGE l -2 -2", "*1 $1 b"),
        (0, "LRANGE l 1 99", "*2 $1 b $1 c"),
        (0, "LRANGE l 5 9", "*0"),
        (0, "LRANGE l 0 -9", "*0"),
        (0, "LPOP l", "$1 a"),
        (0, "RPOP l 9", "*2 $1 c $1 b"),
        (0, "RPOP l", "$-1"),
        (0, "LPOP l 1", "*-1"),
        (0, "EXISTS l", ":0"),
        (0, "HSET h low 1 high 2", ":2"),
        (0, "HSET h low 3", ":0"),
        (0, "HGET h low", "$1 3"),
        (0, "HGET h none", "$-1"),
        (0, "HGETALL none", "*0"),
        (0, "HSET h2 low 1", ":1"),
        (0, "HGETALL h2", "*2 $3 low $1 1"),
        (0, "KEYS ?2", "*1 $2 h2"),
        (0, "FLUSHALL", "+OK"),
        (0, "DBSIZE", ":0"),
    ]);
}

#[test]
fn what_tools_ask() {
    check(&[
        (0, "SELECT 0", "+OK"),
        (0, "SELECT 1", "-ERR DB index is out of range"),
        (0, "CONFIG GET save", "*2 $4 save $0"),
        (0, "CONFIG GET appendonly", "*2 $10 appendonly $2 no"),
        (0, "CLIENT SETNAME low", "+OK"),
        (0, "COMMAND DOCS", "*0"),
    ]);
    let mut store = Store::default();
    assert!(execute(&mut store, b"QUIT\r\n", 0).is_last);
    assert!(execute(&mut store, b"INFO\r\n", 0).bytes.starts_with(b"$"));
}

/// Whatever is asked for, memory for a reply has a limit; what is refused changes nothing.
#[test]
fn replies_have_a_limit() {
    let mut store = Store::default();
    let mut said = |command: &str| {
        let answer = execute(&mut store, format!("{command}\r\n").as_bytes(), 0);
        assert!(answer.bytes.len() < REPLY_BYTES_MAX + 100);
        let line = answer.bytes.split(|byte| *byte == b'\r').next();
        String::from_utf8(line.unwrap_or_default().to_vec()).unwrap()
    };
    let tenth = "x".repeat(REPLY_BYTES_MAX / 10);
    for _ in 0..11 {
        said(&format!("RPUSH list {tenth}"));
    }
    said(&format!("SET text {tenth}"));
    said(&format!("HSET hash {tenth} {tenth}"));
    assert_eq!(said(&format!("MGET{}", " text".repeat(9))), "*9");
    assert_eq!(said("LRANGE list 0 8"), "*9");
    let refused = format!("-ERR the reply would have more than {REPLY_BYTES_MAX} bytes");
    for command in [&*format!("MGET{}", " text".repeat(100_000)), "LRANGE list 0 -1"] {
        assert_eq!(said(command), refused);
    }
    for command in ["LPOP list 11", "RPOP list 11"] {
        assert_eq!(said(command), refused);
    }
    assert_eq!(said("LPOP list 2"), "*2", "nothing was taken before");
    assert_eq!(said("RPOP list 10"), "*9");
    assert_eq!(said("EXISTS list"), ":0");
    for letter in 'a'..='j' {
        said(&format!("SET {letter}{tenth} 1"));
        said(&format!("HSET hash {letter}{tenth} 1"));
    }
    for command in ["KEYS *", "HGETALL hash"] {
        assert_eq!(said(command), refused);
    }
    for _ in 0..10 {
        said(&format!("APPEND text {tenth}"));
    }
    assert_eq!(said("GET text"), refused);
}

#[test]
fn patterns_have_a_limit() {
    check(&[
        (0, &format!("KEYS {}", "*".repeat(1024)), "*0"),
        (0, &format!("KEYS {}", "*".repeat(1025)), "-ERR a pattern has 1024 bytes at most"),
    ]);
}
