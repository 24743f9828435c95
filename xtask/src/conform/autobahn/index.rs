//! What Autobahn's suite says of each case, and the scorecard that is made of it.
//! Nothing here asks anybody.

use std::collections::{BTreeMap, BTreeSet};

/// Names of our own servers begin with it.
pub(super) const OURS: &str = "springtide";

/// What was judged of one case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Judgement {
    pub(super) agent: String,
    pub(super) case: String,
    pub(super) word: String,
}

impl Judgement {
    pub(super) fn is_ours(&self) -> bool {
        self.agent.starts_with(OURS)
    }

    pub(super) fn is_well(&self) -> bool {
        is_well(&self.word)
    }
}

fn is_well(word: &str) -> bool {
    matches!(word, "OK" | "INFORMATIONAL")
}

/// Reads the suite's index. What is told of a case is how it went, or, where that was well, how it closed.
pub(super) fn read(index: &str) -> Vec<Judgement> {
    let (mut agent, mut case, mut behaviour, mut found) = ("", "", "", Vec::new());
    for line in index.lines().map(str::trim) {
        let parts: Vec<&str> = line.split('"').collect();
        match parts[..] {
            [_, name, rest] if rest.ends_with('{') => {
                let is_case = name.starts_with(|first: char| first.is_ascii_digit());
                *(if is_case { &mut case } else { &mut agent }) = name;
            }
            [_, "behavior", _, value, _] => behaviour = value,
            [_, "behaviorClose", _, close, _] => {
                let word = if is_well(behaviour) && !is_well(close) { close } else { behaviour };
                let [agent, case, word] = [agent, case, word].map(str::to_owned);
                found.push(Judgement { agent, case, word });
            }
            _ => {}
        }
    }
    found
}

/// How many of each judgement an agent has in a group.
pub(super) struct Scores<'judged>(
    BTreeMap<&'judged str, BTreeMap<&'judged str, BTreeMap<&'judged str, u32>>>,
);

impl<'judged> Scores<'judged> {
    pub(super) fn of(judged: &'judged [Judgement]) -> Self {
        let mut scores = Self(BTreeMap::new());
        for one in judged {
            let group = one.case.split('.').next().unwrap_or_default();
            let counts = scores.0.entry(&one.agent).or_default().entry(group).or_default();
            *counts.entry(&one.word).or_default() += 1;
        }
        scores
    }

    /// A line for each agent, all groups together.
    pub(super) fn card(&self) -> String {
        let mut text = String::new();
        for (agent, groups) in &self.0 {
            let mut sum: BTreeMap<&str, u32> = BTreeMap::new();
            for (word, count) in groups.values().flatten() {
                *sum.entry(word).or_default() += count;
            }
            text.push_str(&format!("Autobahn, {agent}: {}\n", counted(&sum)));
        }
        text
    }

    /// A page with a row for each group and a column for each agent.
    pub(super) fn page(&self, groups: &[&str]) -> String {
        let mut text = PAGE.to_owned();
        let agents: BTreeSet<&str> = self.0.keys().copied().collect();
        let names: Vec<&str> = agents.into_iter().collect();
        text.push_str(&format!("| group | {} |\n", names.join(" | ")));
        text.push_str(&format!("|---|{}\n", "---|".repeat(names.len())));
        for group in groups {
            let cell = |name: &&str| {
                let counts = self.0.get(name).and_then(|groups| groups.get(group));
                counts.map_or_else(|| "–".to_owned(), counted)
            };
            let cells: Vec<String> = names.iter().map(cell).collect();
            text.push_str(&format!("| {group} | {} |\n", cells.join(" | ")));
        }
        text
    }
}

fn counted(counts: &BTreeMap<&str, u32>) -> String {
    let parts: Vec<String> = counts.iter().map(|(word, count)| format!("{count} {word}")).collect();
    parts.join(", ")
}

const PAGE: &str = "\
# Autobahn

What Autobahn's suite (25.10.1) makes of our WebSockets, and of those of others: fastwebsockets and
tungstenite as `bench/peers` has them, ws on Node.js. `cargo xtask conform --websocket` asks groups 1 to 7
and 10 of the example `websocket`, whose limits are those that a server has by default; 9, 12 and 13, whose
messages are longer than those, are asked of `bench-server`. `--write` asks everything and writes this page.
NON-STRICT is a bad byte that was refused too late. Who knows no compression has nothing to show in 12 and
13 (UNIMPLEMENTED).

Groups: 1 framing, 2 pings, 3 reserved bits, 4 opcodes, 5 fragments, 6 UTF-8, 7 closing, 9 long messages,
10 fragments by themselves, 12 and 13 compression.

";

#[cfg(test)]
mod tests {
    use super::*;

    const INDEX: &str = r#"{
   "springtide-uring": {
      "1.1.1": {
         "behavior": "OK",
         "behaviorClose": "OK",
         "duration": 2
      },
      "6.4.3": {
         "behavior": "NON-STRICT",
         "behaviorClose": "OK"
      }
   },
   "ws": {
      "7.1.1": {
         "behavior": "OK",
         "behaviorClose": "FAILED"
      }
   }
}"#;

    #[test]
    fn judgements_are_read() {
        let judged = read(INDEX);
        let read: Vec<(&str, &str, &str, bool)> = judged
            .iter()
            .map(|one| (one.agent.as_str(), one.case.as_str(), one.word.as_str(), one.is_ours()))
            .collect();
        let expected = [
            ("springtide-uring", "1.1.1", "OK", true),
            ("springtide-uring", "6.4.3", "NON-STRICT", true),
            ("ws", "7.1.1", "FAILED", false),
        ];
        assert_eq!(read, expected);
        let page = Scores::of(&judged).page(&["1", "7"]);
        assert!(page.ends_with(
            "| group | springtide-uring | ws |\n|---|---|---|\n| 1 | 1 OK | – |\n| 7 | – | 1 FAILED |\n"
        ));
    }
}
