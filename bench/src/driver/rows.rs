//! The table of what is measured: workloads, their servers, their marks.
//! It must never hold a figure that was measured.

use super::servers::Server;
use crate::floor::options::Canned;

/// One workload and the servers that have it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Row {
    pub(super) name: &'static str,
    pub(super) title: &'static str,
    /// Flags for the load generator.
    pub(super) load: &'static [&'static str],
    /// Flags for the load generator in place of those, where it asks a floor that knows no protocol.
    pub(super) floor_load: &'static [&'static str],
    /// Further flags for the floors.
    pub(super) floor: &'static [&'static str],
    /// Further flags for `bench-server`.
    pub(super) ours: &'static [&'static str],
    /// What the floors send when our own response cannot be captured; `None` leaves them out.
    pub(super) canned: Option<Canned>,
    pub(super) servers: &'static [Server],
    pub(super) marks: &'static [Mark],
    /// Memory in place of speed.
    pub(super) memory: bool,
}

/// The ratio of server CPU per request that a server must keep to another one.
#[derive(Debug, Clone, Copy)]
pub(super) struct Mark {
    pub(super) server: Server,
    pub(super) to: Server,
    pub(super) ratio_max: f64,
}

use Server::{Actix, Axum, EngineEpoll, EngineUring, FloorEpoll, FloorUring};
use Server::{Bun, FastWebSockets, OursTwo, Tungstenite, Ws};
use Server::{ForwardEpoll, ForwardUring, Haproxy, HaproxySplice};
use Server::{KeyValueEpoll, KeyValueUring, Redis, Ringline, Tokio};
use Server::{May, Nginx, Ntex, OursAwait, OursEpoll, OursLogged, OursUring};

const ALL: &[Server] =
    &[FloorUring, FloorEpoll, OursUring, OursEpoll, Ntex, May, Actix, Axum, Nginx];
/// may_minihttp does not close on `Connection: close`.
const CLOSING: &[Server] =
    &[FloorUring, FloorEpoll, OursUring, OursEpoll, Ntex, Actix, Axum, Nginx];
const WITH_FILES: &[Server] = &[FloorUring, FloorEpoll, OursUring, OursEpoll, Actix, Axum, Nginx];
const WITH_POST: &[Server] =
    &[FloorUring, FloorEpoll, OursUring, OursEpoll, Ntex, May, Actix, Axum];
const OURS: &[Server] = &[FloorUring, FloorEpoll, OursUring, OursEpoll];
const EPOLL: &[Server] = &[FloorEpoll, OursEpoll];
/// Who sends a file of 1 GB.
const DOWN: &[Server] = &[OursUring, OursEpoll, Actix, Axum, Nginx];
/// Who has handlers that stream.
const STREAMS: &[Server] = &[OursUring, OursEpoll, Axum];
const ECHO: &[Server] = &[FloorUring, FloorEpoll, EngineUring, EngineEpoll];

const RAW: &[Server] = &[FloorUring, FloorEpoll, OursUring, OursEpoll, OursAwait, Tokio, Ringline];
const SOCKETS: &[Server] =
    &[FloorUring, FloorEpoll, OursUring, OursEpoll, FastWebSockets, Tungstenite, Bun, Ws];
const SOCKETS_IDLE: &[Server] = &[OursUring, OursEpoll, FastWebSockets, Tungstenite, Bun, Ws];
const RELAYS: &[Server] = &[OursUring, OursEpoll, OursTwo, FastWebSockets, Tungstenite, Bun, Ws];
/// Who passes bytes on, to an echo of the floor's.
const FORWARD: &[Server] = &[ForwardUring, ForwardEpoll, Haproxy, HaproxySplice];
const KEY_VALUE: &[Server] = &[KeyValueUring, KeyValueEpoll, Redis];

const fn mark(server: Server, to: Server, ratio_max: f64) -> Mark {
    Mark { server, to, ratio_max }
}

/// Bytes of the long bodies.
const GIGABYTE: &str = "1073741824";

const OPEN: &[Mark] = &[mark(OursUring, FloorEpoll, 1.05)];
const MANY: &[Mark] = &[mark(OursUring, FloorUring, 1.10)];

const RAW_SMALL: &[Mark] = &[
    mark(OursUring, FloorUring, 1.08),
    mark(OursUring, Tokio, 0.92),
    mark(OursUring, Ringline, 0.92),
    mark(OursAwait, OursUring, 1.08),
];
const RAW_LARGE: &[Mark] = &[
    mark(OursUring, FloorUring, 1.06),
    mark(OursUring, Tokio, 0.97),
    mark(OursUring, Ringline, 0.97),
    mark(OursAwait, OursUring, 1.08),
];

const RELAY_ONE: &[Mark] = &[mark(OursUring, Bun, 0.85), mark(OursTwo, OursUring, 1.10)];
const RELAY_FOUR: &[Mark] = &[mark(OursUring, Bun, 0.90), mark(OursTwo, OursUring, 1.10)];

/// At most what the cheaper of both costs.
const PASSED_ON: &[Mark] =
    &[mark(ForwardUring, Haproxy, 1.00), mark(ForwardUring, HaproxySplice, 1.00)];
const COMMANDS: &[Mark] = &[mark(KeyValueUring, Redis, 0.95)];

const fn plain(name: &'static str, title: &'static str, load: &'static [&'static str]) -> Row {
    let canned = Some(Canned::Plaintext);
    let (floor_load, floor, ours): (&[&str], &[&str], &[&str]) = (&[], &[], &[]);
    let (servers, marks, memory) = (ALL, &[], false);
    Row { name, title, load, floor_load, floor, ours, canned, servers, marks, memory }
}

/// A raw echo: ours by callbacks, but where the server is the one that awaits.
const fn raw(
    name: &'static str,
    title: &'static str,
    load: &'static [&'static str],
    marks: &'static [Mark],
) -> Row {
    let (floor, ours): (&[&str], &[&str]) = (&["--response", "echo"], &["--raw", "then"]);
    Row { floor, ours, marks, servers: RAW, ..plain(name, title, load) }
}

/// Echoes of WebSockets, beside floors that echo the same payloads without frames.
const fn sockets(
    name: &'static str,
    title: &'static str,
    load: &'static [&'static str],
    floor_load: &'static [&'static str],
    marks: &'static [Mark],
) -> Row {
    let floor: &[&str] = &["--response", "echo"];
    Row { floor, floor_load, marks, servers: SOCKETS, ..plain(name, title, load) }
}

/// Messages of so many bytes, which both sides have room for in one buffer.
macro_rules! long_sockets {
    ($name:literal, $title:literal, $bytes:literal) => {
        Row {
            floor: &["--response", "echo", "--buffer-bytes", $bytes],
            ..sockets(
                $name,
                $title,
                &["--path", "/ws", "--socket-bytes", $bytes, "--buffer-bytes", $bytes],
                &["--echo-bytes", $bytes, "--buffer-bytes", $bytes],
                &[mark(OursUring, FastWebSockets, 1.00), mark(OursUring, Bun, 1.00)],
            )
        }
    };
}

/// So many WebSockets to deliver to, with so many messages under way at once.
macro_rules! deliveries {
    ($connections:literal, $depth:literal) => {
        &[
            "--path",
            "/bc",
            "--broadcast",
            "--socket-bytes",
            "128",
            "--connections",
            $connections,
            "--depth",
            $depth,
        ]
    };
}

/// One WebSocket speaks, and its messages come to all others; a request is a delivery.
const fn relay(
    name: &'static str,
    title: &'static str,
    load: &'static [&'static str],
    marks: &'static [Mark],
) -> Row {
    Row { canned: None, marks, servers: RELAYS, ..plain(name, title, load) }
}

/// Commands of Redis as its own benchmark asks them, 16 at once over 50 connections.
const fn key_value(name: &'static str, title: &'static str, load: &'static [&'static str]) -> Row {
    Row { canned: None, marks: COMMANDS, servers: KEY_VALUE, ..plain(name, title, load) }
}

/// Every row, in the order of bench/RESULTS.md.
pub(super) const ROWS: &[Row] = &[
    Row {
        marks: &[mark(OursUring, FloorUring, 1.06), mark(OursUring, Ntex, 1.03)],
        ..plain("plaintext", "Plaintext, 64 connections", &["--connections", "64"])
    },
    plain(
        "named",
        "Plaintext, 64 connections, each request with a field of its own",
        &["--connections", "64", "--named"],
    ),
    Row {
        marks: &[mark(OursUring, FloorUring, 1.25), mark(OursUring, May, 0.90)],
        ..plain("pipelined", "Plaintext, 64 connections, pipelined ×16", &["--depth", "16"])
    },
    plain(
        "pipelinednamed",
        "Pipelined ×16, each request with a field of its own",
        &["--depth", "16", "--named"],
    ),
    Row {
        marks: OPEN,
        ..plain("open5000", "Open loop, 5,000/s over 64 connections", &["--rate", "5000"])
    },
    Row {
        marks: OPEN,
        ..plain("open20000", "Open loop, 20,000/s over 64 connections", &["--rate", "20000"])
    },
    Row {
        marks: OPEN,
        ..plain("open60000", "Open loop, 60,000/s over 64 connections", &["--rate", "60000"])
    },
    Row {
        marks: MANY,
        ..plain("active1000", "Plaintext, 1,000 active connections", &["--connections", "1000"])
    },
    Row {
        marks: MANY,
        ..plain(
            "idle10000",
            "Plaintext, 10,000 connections of which 64 are active",
            &["--connections", "10000", "--active", "64"],
        )
    },
    plain(
        "slow1000",
        "Plaintext, 64 connections beside 1,000 whose heads never end",
        &["--slow-heads", "1000"],
    ),
    Row {
        floor: &["--close"],
        servers: CLOSING,
        marks: &[mark(OursUring, FloorUring, 1.10), mark(OursUring, Nginx, 0.92)],
        ..plain("churn", "A connection per request, 64 at a time", &["--churn"])
    },
    Row {
        servers: EPOLL,
        marks: &[mark(OursEpoll, FloorEpoll, 1.06)],
        ..plain("epoll", "Plaintext on the epoll backend, 64 connections", &[])
    },
    Row {
        canned: Some(Canned::Json),
        marks: &[mark(OursUring, FloorUring, 1.08)],
        ..plain("json", "JSON, 64 connections", &["--path", "/json"])
    },
    Row {
        canned: None,
        marks: &[mark(OursUring, Axum, 0.79)],
        servers: WITH_POST,
        ..plain(
            "post64k",
            "POST of 64 KB, echoed, 64 connections",
            &["--path", "/echo", "--body-bytes", "65536", "--buffer-bytes", "65536"],
        )
    },
    Row {
        canned: Some(Canned::TenKilobytes),
        marks: &[mark(OursUring, Nginx, 0.65)],
        servers: WITH_FILES,
        ..plain(
            "file10k",
            "A file of 10 KB, 64 connections",
            &["--path", "/file/10k.txt", "--buffer-bytes", "16384"],
        )
    },
    Row {
        canned: Some(Canned::Megabyte),
        marks: &[mark(OursUring, FloorUring, 1.10)],
        servers: WITH_FILES,
        ..plain(
            "file1m",
            "A file of 1 MB, 16 connections",
            &["--path", "/file/1m.txt", "--connections", "16", "--buffer-bytes", "65536"],
        )
    },
    Row {
        canned: None,
        marks: &[mark(OursUring, Nginx, 1.00)],
        servers: DOWN,
        ..plain(
            "down1g",
            "A file of 1 GB, one connection",
            &["--path", "/file/1g.bin", "--down-bytes", GIGABYTE, "--connections", "1"],
        )
    },
    Row {
        canned: None,
        servers: STREAMS,
        ..plain(
            "stream1g",
            "1 GB that a handler streams, one connection",
            &["--path", "/stream/1073741824", "--down-bytes", GIGABYTE, "--connections", "1"],
        )
    },
    Row {
        canned: None,
        marks: &[mark(OursUring, Axum, 1.00)],
        servers: STREAMS,
        ..plain(
            "up1g",
            "1 GB that a handler takes piece by piece, one connection",
            &["--path", "/count", "--up-bytes", GIGABYTE, "--connections", "1"],
        )
    },
    Row {
        canned: None,
        marks: &[mark(OursLogged, OursUring, 1.05)],
        servers: &[OursUring, OursLogged],
        ..plain(
            "logged",
            "Plaintext with an access log and metrics, 64 connections",
            &["--connections", "64"],
        )
    },
    plain("sleeping", "One connection, the server sleeps in between", &["--connections", "1"]),
    Row {
        floor: &["--spin-us", "50"],
        ours: &["--latency"],
        servers: OURS,
        ..plain("latency", "One connection with --latency", &["--connections", "1"])
    },
    Row {
        floor: &["--response", "echo"],
        servers: ECHO,
        marks: &[mark(EngineUring, FloorUring, 1.08)],
        ..plain("echo64", "Raw echo of 64 B on the engine, 64 connections", &["--echo-bytes", "64"])
    },
    raw("raw64", "Raw echo of 64 B, 64 connections", &["--echo-bytes", "64"], RAW_SMALL),
    Row {
        floor: &["--response", "echo", "--buffer-bytes", "16384"],
        ..raw(
            "raw16k",
            "Raw echo of 16 KB, 64 connections",
            &["--echo-bytes", "16384", "--buffer-bytes", "16384"],
            RAW_LARGE,
        )
    },
    raw(
        "raw1000",
        "Raw echo of 64 B, 1,000 connections",
        &["--echo-bytes", "64", "--connections", "1000"],
        RAW_SMALL,
    ),
    Row {
        floor: &["--response", "echo", "--buffer-bytes", "65536"],
        canned: None,
        marks: PASSED_ON,
        servers: FORWARD,
        ..plain(
            "forward",
            "Echo of 256 KB through a port forwarder, 16 connections",
            &["--echo-bytes", "262144", "--buffer-bytes", "65536", "--connections", "16"],
        )
    },
    key_value(
        "keyping",
        "PING, pipelined ×16, 50 connections",
        &["--resp", "ping", "--depth", "16", "--connections", "50"],
    ),
    key_value(
        "keyset",
        "SET of one key, pipelined ×16, 50 connections",
        &["--resp", "set", "--depth", "16", "--connections", "50"],
    ),
    key_value(
        "keyget",
        "GET of one key, pipelined ×16, 50 connections",
        &["--resp", "get", "--depth", "16", "--connections", "50"],
    ),
    sockets(
        "ws64",
        "WebSocket echo of 64 B, 64 connections",
        &["--path", "/ws", "--socket-bytes", "64"],
        &["--echo-bytes", "64"],
        &[
            mark(OursUring, FloorUring, 1.08),
            mark(OursUring, FastWebSockets, 0.90),
            mark(OursUring, Bun, 0.90),
        ],
    ),
    sockets(
        "ws1000",
        "WebSocket echo of 64 B, 1,000 connections",
        &["--path", "/ws", "--socket-bytes", "64", "--connections", "1000"],
        &["--echo-bytes", "64", "--connections", "1000"],
        &[mark(OursUring, FastWebSockets, 0.75)],
    ),
    long_sockets!("ws16k", "WebSocket echo of 16 KB, 64 connections", "16384"),
    long_sockets!("ws64k", "WebSocket echo of 64 KB, 64 connections", "65536"),
    relay(
        "bc1000",
        "Broadcast of 128 B to 1,000 WebSockets, one message outstanding",
        deliveries!("1000", "1"),
        RELAY_ONE,
    ),
    relay(
        "bc1000x4",
        "Broadcast of 128 B to 1,000 WebSockets, four messages outstanding",
        deliveries!("1000", "4"),
        RELAY_FOUR,
    ),
    relay(
        "bc9000",
        "Broadcast of 128 B to 9,000 WebSockets, one message outstanding",
        deliveries!("9000", "1"),
        RELAY_ONE,
    ),
    relay(
        "bc9000x4",
        "Broadcast of 128 B to 9,000 WebSockets, four messages outstanding",
        deliveries!("9000", "4"),
        RELAY_FOUR,
    ),
    Row {
        memory: true,
        servers: SOCKETS_IDLE,
        canned: None,
        ..plain(
            "wsmemory",
            "Resident memory for each of 10,000 idle WebSockets after one echo",
            &["--path", "/ws", "--socket-bytes", "64", "--connections", "10000", "--memory"],
        )
    },
    Row {
        memory: true,
        servers: &[OursUring, OursEpoll],
        canned: None,
        ..plain(
            "wsmemorydeflate",
            "The same where compression was agreed on, each message by itself",
            &[
                "--path",
                "/ws-deflate",
                "--deflate",
                "--socket-bytes",
                "64",
                "--connections",
                "10000",
                "--memory",
            ],
        )
    },
    Row {
        memory: true,
        ..plain(
            "memory",
            "Resident memory for each of 10,000 idle connections after one request",
            &["--connections", "10000", "--memory"],
        )
    },
    Row {
        memory: true,
        ..raw(
            "rawmemory",
            "Resident memory for each of 10,000 idle raw connections after one echo",
            &["--echo-bytes", "64", "--connections", "10000", "--memory"],
            &[],
        )
    },
];

impl Row {
    /// Whether the row speaks HTTP (and floors may send a captured response).
    pub(super) fn http(&self) -> bool {
        !self.load.iter().any(|flag| matches!(*flag, "--echo-bytes" | "--resp" | "--socket-bytes"))
    }

    /// Whether its requests are due at fixed times, so that server and client sleep in between.
    pub(super) fn is_open_loop(&self) -> bool {
        self.load.contains(&"--rate")
    }

    /// Whether its cores would halt again and again. Where the load takes nearly all of its core, whoever
    /// keeps that awake is starved, and given 50 ms of each second at once.
    pub(super) fn halts(&self) -> bool {
        self.is_open_loop() && !self.load.contains(&"60000")
    }

    /// Whether its requests are long bodies, one at a time, and its figures those of a GB.
    pub(super) fn is_bulk(&self) -> bool {
        self.load.iter().any(|flag| matches!(*flag, "--down-bytes" | "--up-bytes"))
    }
}

#[cfg(test)]
mod tests;
