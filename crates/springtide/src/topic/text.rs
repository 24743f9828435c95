//! How topics stand as text for Prometheus: those with the most subscribers, as names are the clients'
//! and there may be many.
//! It only reads: a shard never knows that it was looked at.

use std::cmp::Reverse;
use std::fmt::Write;

use super::{TopicCounts, Topics};

/// So many topics are told of one by one; sums over all stand beside the other counts.
const TOLD_MAX: usize = 100;

/// A metric of each topic: name, kind, help.
type Row = (&'static str, &'static str, &'static str, fn(&TopicCounts) -> u64);

const ROWS: [Row; 3] = [
    ("springtide_topic_subscribers", "gauge", "Connections that have subscribed.", |own| {
        own.subscribers as u64
    }),
    ("springtide_topic_delivered_total", "counter", "Messages given to subscribers.", |own| {
        own.delivered
    }),
    (
        "springtide_topic_dropped_total",
        "counter",
        "Messages that subscribers did not get.",
        |own| own.dropped,
    ),
];

impl Topics {
    /// The topics with the most subscribers, one line each for each count.
    pub(crate) fn to_text(&self) -> String {
        let mut all = self.all();
        all.sort_by_key(|(_, counts)| Reverse(counts.subscribers));
        all.truncate(TOLD_MAX);
        let mut text = String::new();
        for (name, kind, help, read) in ROWS {
            // Writing to text cannot fail.
            let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}");
            for (topic, counts) in &all {
                let _ = writeln!(text, "{name}{{topic=\"{}\"}} {}", escaped(topic), read(counts));
            }
        }
        text
    }
}

/// A name as the value of a label.
fn escaped(name: &str) -> String {
    name.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_cannot_end_their_label() {
        assert_eq!(escaped("a\"} 7\nb\\"), "a\\\"} 7\\nb\\\\");
    }
}
