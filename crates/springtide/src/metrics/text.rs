//! Metrics as text, in the format that Prometheus reads (text 0.0.4), with names after those of
//! OpenTelemetry: dots are underscores, units and `_total` stand last.
//! It only reads: a shard never knows that it was looked at.

use std::fmt::Write;

use super::{Counts, Metrics};

/// The content type of the format.
pub(crate) const MEDIA_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// A line of numbers of the kind `T`.
pub(super) struct Row<T> {
    name: &'static str,
    /// What stands in braces, if anything.
    labels: &'static str,
    kind: &'static str,
    help: &'static str,
    read: fn(&T) -> u64,
}

impl<T> Row<T> {
    /// What only grows.
    pub(super) const fn counter(
        name: &'static str,
        help: &'static str,
        read: fn(&T) -> u64,
    ) -> Self {
        Self { name, labels: "", kind: "counter", help, read }
    }

    /// What is so now.
    pub(super) const fn gauge(name: &'static str, help: &'static str, read: fn(&T) -> u64) -> Self {
        Self { kind: "gauge", ..Self::counter(name, help, read) }
    }
}

const fn counter(name: &'static str, help: &'static str, read: fn(&Counts) -> u64) -> Row<Counts> {
    Row::counter(name, help, read)
}

const IO_BYTES: &str = "springtide_network_io_bytes_total";

const ROWS: &[Row<Counts>] = &[
    Row::gauge("springtide_connections_open", "Connections that are open now.", |own| {
        own.connections_open
    }),
    counter("springtide_connections_total", "Connections accepted.", |own| own.connections_total),
    counter(
        "springtide_connections_refused_total",
        "Connections closed at once because of a limit.",
        |own| own.connections_refused,
    ),
    counter(
        "springtide_accepts_paused_total",
        "Pauses of accepting, because descriptors or a limit were spent.",
        |own| own.accepts_paused,
    ),
    counter("http_server_requests_total", "Requests answered.", |own| own.requests_total),
    counter(
        "http_server_refusals_total",
        "Requests refused by the protocol's rules or limits.",
        |own| own.refusals_total,
    ),
    counter(
        "http_server_ranges_ignored_total",
        "Requests for a file in more ranges than are sent.",
        |own| own.ranges_ignored_total,
    ),
    counter("springtide_panics_total", "Handlers that panicked.", |own| own.panics_total),
    counter("springtide_deadlines_total", "Connections closed because a deadline passed.", |own| {
        own.deadlines_total
    }),
    Row {
        labels: "network_io_direction=\"receive\"",
        ..counter(IO_BYTES, "Bytes received and sent.", |own| own.bytes_received)
    },
    // The heading stands above the row before.
    Row {
        labels: "network_io_direction=\"transmit\"",
        kind: "",
        ..counter(IO_BYTES, "", |own| own.bytes_sent)
    },
    counter("springtide_turns_total", "Turns of all shards.", |own| own.turns_total),
    counter(
        "springtide_futures_dropped_total",
        "Futures of handlers dropped because their client had gone.",
        |own| own.futures_dropped,
    ),
    counter(
        "springtide_offloads_refused_total",
        "Requests answered 503 because too many waited for the pool.",
        |own| own.offloads_refused,
    ),
    counter(
        "springtide_callbacks_slow_total",
        "Callbacks that held up their shard for 50 ms or more.",
        |own| own.callbacks_slow,
    ),
    counter(
        "springtide_websocket_messages_received_total",
        "Messages of WebSockets that came.",
        |own| own.messages_received,
    ),
    counter(
        "springtide_websocket_messages_sent_total",
        "Messages of WebSockets that were sent.",
        |own| own.messages_sent,
    ),
    counter(
        "springtide_websocket_messages_dropped_total",
        "Messages of WebSockets that were not sent.",
        |own| own.messages_dropped,
    ),
    counter(
        "springtide_deliveries_total",
        "Messages of topics and broadcasts given to a connection, for each of them.",
        |own| own.deliveries_total,
    ),
    counter(
        "springtide_deliveries_dropped_total",
        "Messages of topics and broadcasts that a connection did not get.",
        |own| own.deliveries_dropped,
    ),
];

impl Metrics {
    /// Everything that is counted, in the text format of Prometheus.
    ///
    /// ```
    /// let text = springtide::Server::new().metrics().to_text();
    /// assert!(text.contains("http_server_requests_total 0\n"));
    /// ```
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut text = String::new();
        let counts = self.counts();
        write_rows(&mut text, ROWS, &counts);
        self.write_protocols(&mut text);
        let name = "http_server_request_duration_seconds";
        let help = "From a request's head to its reply, where there is an access log.";
        heading(&mut text, name, "histogram", help);
        self.durations().write(name, &mut text);
        let name = "springtide_limits_met_total";
        heading(&mut text, name, "counter", "How often each limit was met.");
        for (limit, count) in self.limits_met() {
            let _ = writeln!(text, "{name}{{limit=\"{}\"}} {count}", limit.name());
        }
        let name = "springtide_log_lines_dropped_total";
        heading(&mut text, name, "counter", "Lines of the access log that were dropped.");
        let _ = writeln!(text, "{name} {}", self.log_lines_dropped());
        text
    }

    fn write_protocols(&self, text: &mut String) {
        let open = "springtide_protocol_connections_open";
        heading(text, open, "gauge", "Connections that are open now, by protocol.");
        for own in self.protocols() {
            let _ = writeln!(text, "{open}{{network_protocol_name=\"{}\"}} {}", own.name, own.open);
        }
        let total = "springtide_protocol_connections_total";
        heading(text, total, "counter", "Connections on which a protocol was begun.");
        for own in self.protocols() {
            let _ =
                writeln!(text, "{total}{{network_protocol_name=\"{}\"}} {}", own.name, own.total);
        }
    }
}

/// Writes each row with what it reads.
pub(super) fn write_rows<T>(text: &mut String, rows: &[Row<T>], counts: &T) {
    for row in rows {
        heading(text, row.name, row.kind, row.help);
        let labels = if row.labels.is_empty() { String::new() } else { braced(row.labels) };
        // Writing to text cannot fail, here and in the other places.
        let _ = writeln!(text, "{}{labels} {}", row.name, (row.read)(counts));
    }
}

fn heading(text: &mut String, name: &str, kind: &str, help: &str) {
    if !kind.is_empty() {
        let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }
}

fn braced(labels: &str) -> String {
    format!("{{{labels}}}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    /// Each metric is explained once, and each line is a name with a number.
    #[test]
    fn the_text_is_what_prometheus_reads() {
        let metrics = Metrics::default();
        let shard = metrics.add_shard();
        shard.publish(&Counts { bytes_sent: 7, requests_total: 3, ..Counts::default() });
        shard.meet(0);
        shard.durations.note(80);
        let text = metrics.to_text();
        let mut explained = HashSet::new();
        for line in text.lines() {
            if let Some(rest) = line.strip_prefix("# TYPE ") {
                assert!(explained.insert(rest.split(' ').next().unwrap()), "{line}");
            } else if !line.starts_with('#') {
                let (name, value) = line.rsplit_once(' ').unwrap();
                let name = name.split('{').next().unwrap();
                let parts = ["_bucket", "_sum", "_count"].map(|part| name.strip_suffix(part));
                let mut whole = parts.into_iter().flatten().chain([name]);
                assert!(whole.any(|name| explained.contains(name)), "{line}");
                assert!(value.parse::<f64>().is_ok(), "{line}");
            }
        }
        for line in [
            "http_server_requests_total 3",
            "springtide_network_io_bytes_total{network_io_direction=\"transmit\"} 7",
            "springtide_limits_met_total{limit=\"outbox_bytes_max\"} 1",
            "springtide_limits_met_total{limit=\"head_timeout\"} 0",
            "http_server_request_duration_seconds_bucket{le=\"0.1\"} 1",
            "http_server_request_duration_seconds_sum 0.08",
        ] {
            assert!(text.lines().any(|own| own == line), "{line} is missing:\n{text}");
        }
    }
}
