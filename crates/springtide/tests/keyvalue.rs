//! The example that keeps values by keys, by Redis's own tools: a real protocol over the server of
//! frames. Nothing is timed. Its parts are tested beside it.

#[allow(dead_code, reason = "its `main` is for the program")]
#[path = "../../../examples/keyvalue/main.rs"]
mod example;

#[path = "keyvalue/commands.rs"]
mod commands;
#[path = "keyvalue/glob.rs"]
mod glob;
#[path = "keyvalue/resp.rs"]
mod resp;

use std::io::Write;
use std::process::{Command, Stdio};
use std::time::Duration;

use springtide::{Address, Engine, Running};

fn start(engine: Engine) -> (Running, String) {
    let server = example::keyvalue().engine(engine);
    let running = server.listen("127.0.0.1:0").unwrap().start().unwrap();
    let Address::Internet(address) = running.addresses()[0] else { panic!("it is TCP") };
    (running, address.port().to_string())
}

fn stop(running: Running) {
    running.stop(Duration::from_secs(5));
    running.join().unwrap();
}

/// What `redis-cli` says of commands, a line each.
fn say(port: &str, commands: &str) -> String {
    let mut cli = Command::new("redis-cli")
        .args(["-p", port])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("redis-cli is installed");
    cli.stdin.take().unwrap().write_all(commands.as_bytes()).unwrap();
    let output = cli.wait_with_output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// Commands and what `redis-cli` says of them.
const TALK: &[(&str, &str)] = &[
    ("ping", "PONG"),
    ("set tide low", "OK"),
    ("get tide", "low"),
    ("set tide high nx", ""),
    ("append tide er", "5"),
    ("incrby count 41", "41"),
    ("incr count", "42"),
    ("incr tide", "ERR value is not an integer or out of range\n"),
    ("set brief x px 100000", "OK"),
    ("ttl brief", "100"),
    ("mset a 1 b 2", "OK"),
    ("mget a none b", "1\n\n2"),
    ("hset h low 1 high 2", "2"),
    ("hget h high", "2"),
    ("rpush l a b c", "3"),
    ("lpush l \"two words\"", "4"),
    ("lrange l 0 -1", "two words\na\nb\nc"),
    ("lpop l 2", "two words\na"),
    ("keys [ab]", "a\nb"),
    ("del a b none", "2"),
    ("dbsize", "5"),
    ("config get save", "save\n"),
    ("client setname test", "OK"),
    ("select 0", "OK"),
    ("nonsense", "ERR unknown command 'nonsense'\n"),
    ("flushall", "OK"),
    ("dbsize", "0"),
];

fn talk(engine: Engine) {
    let (running, port) = start(engine);
    for (command, expected) in TALK {
        let mut said = say(&port, &format!("{command}\n"));
        if *command == "keys [ab]" {
            let mut keys: Vec<&str> = said.lines().collect();
            keys.sort_unstable();
            said = keys.join("\n") + "\n";
        }
        assert_eq!(said, format!("{expected}\n"), "{command}");
    }
    let commands: String = TALK.iter().map(|(command, _)| format!("{command}\n")).collect();
    assert!(say(&port, &commands).starts_with("PONG\nOK\nlow\n"), "over one connection");
    stop(running);
}

/// `redis-benchmark` as it is: 50 connections, with and without pipelining.
fn measure(engine: Engine) {
    let (running, port) = start(engine);
    for depth in ["1", "16"] {
        let tests = "ping,set,get,incr,lpush,rpush,lpop,rpop,hset,lrange_100,mset";
        let output = Command::new("redis-benchmark")
            .args(["-p", &port, "-t", tests, "-n", "3000", "-r", "100", "-P", depth, "--csv"])
            .output()
            .expect("redis-benchmark is installed");
        let said = String::from_utf8(output.stdout).unwrap();
        let errors = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success() && errors.is_empty(), "{said}{errors}");
        // A head, PING twice, LPUSH once more before LRANGE.
        assert_eq!(said.lines().count(), 14, "{said}");
    }
    assert_eq!(running.metrics().counts().panics_total, 0);
    stop(running);
}

macro_rules! over_engines {
    ($($name:ident: $what:ident),*) => {
        mod uring {
            $(#[test] fn $name() { super::$what(springtide::Engine::Uring); })*
        }
        mod epoll {
            $(#[test] fn $name() { super::$what(springtide::Engine::Epoll); })*
        }
    };
}
over_engines!(redis_cli_talks: talk, redis_benchmark_measures: measure);
