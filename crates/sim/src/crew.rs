//! The crew: processes of this program that share the seeds of a run. Worlds map memory all the while,
//! and threads of one process wait for each other there. What a history is, the crew does not know.

use std::io::{self, BufRead as _, BufReader, Write as _};
use std::ops::ControlFlow;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Sender};
use std::thread;

use springtide_sim::Coverage;

/// What one of the crew has to say.
#[derive(Debug, PartialEq)]
pub(crate) enum Word {
    /// So many more seeds were played.
    Played(u64),
    /// Seed of the first that failed; nothing was played behind it.
    Failed(u64),
    /// All were played, and this is what they reached.
    Done(Box<Coverage>),
}

/// Why there is no word of one of the crew, in a sentence for whoever runs the program.
pub(crate) type Silence = String;

/// Which of a run's seeds one of the crew plays: each `stride`th.
#[derive(Clone, Copy)]
pub(crate) struct Share {
    pub(crate) first: u64,
    pub(crate) seeds: u64,
    pub(crate) stride: u64,
}

impl Share {
    /// Member `number` of `stride` plays these of `seeds` in a row.
    fn of(number: u64, stride: u64, first: u64, seeds: u64) -> Self {
        let own = seeds.saturating_sub(number).div_ceil(stride);
        Self { first: first.saturating_add(number), seeds: own, stride }
    }

    /// Its seeds, in their order.
    pub(crate) fn seeds(self) -> impl Iterator<Item = u64> {
        (0..self.seeds).map(move |at| self.first.saturating_add(at * self.stride))
    }
}

/// Runs a crew of `size` on `seeds` from `first` on; `hear` gets every word, until it breaks off.
///
/// # Errors
/// One of the crew could not be run, or ended without its last word.
pub(crate) fn run<B>(
    size: u64,
    (first, seeds): (u64, u64),
    replay: u64,
    mut hear: impl FnMut(Word) -> ControlFlow<B>,
) -> Result<Option<B>, Silence> {
    let (sender, words) = mpsc::channel();
    let mut crew = Crew(Vec::new());
    for number in 0..size {
        let share = Share::of(number, size, first, seeds);
        crew.begin(share, replay, sender.clone()).map_err(|error| {
            format!("a process for the seeds from {} on cannot be run: {error}", share.first)
        })?;
    }
    drop(sender);
    for word in words {
        if let ControlFlow::Break(value) = hear(word?) {
            return Ok(Some(value));
        }
    }
    Ok(None)
}

/// Those at work, who end with it.
struct Crew(Vec<Child>);

impl Crew {
    fn begin(
        &mut self,
        share: Share,
        replay: u64,
        sender: Sender<Result<Word, Silence>>,
    ) -> io::Result<()> {
        let mut child = Command::new(std::env::current_exe()?)
            .args(["--seed", &share.first.to_string(), "--seeds", &share.seeds.to_string()])
            .args(["--stride", &share.stride.to_string(), "--replay", &replay.to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()?;
        let said = child.stdout.take().expect("its output is piped");
        self.0.push(child);
        thread::Builder::new().name("ear".to_owned()).spawn(move || {
            let mut is_over = false;
            for line in BufReader::new(said).lines() {
                let word = line.ok().and_then(|line| read(&line));
                is_over |= matches!(word, Some(Word::Failed(_) | Word::Done(_)));
                let Some(word) = word else { continue };
                if sender.send(Ok(word)).is_err() {
                    return;
                }
            }
            if !is_over {
                let silence = format!(
                    "the process that played the seeds from {} on has ended without a word",
                    share.first
                );
                // Nobody hears it when another one has failed already.
                let _ = sender.send(Err(silence));
            }
        })?;
        Ok(())
    }
}

impl Drop for Crew {
    fn drop(&mut self) {
        for child in &mut self.0 {
            // One that has ended by itself cannot be stopped, and need not be.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Says a word to the process that runs the crew.
pub(crate) fn say(word: &Word) {
    let mut output = io::stdout().lock();
    if writeln!(output, "{}", written(word)).and_then(|()| output.flush()).is_err() {
        // Nobody is there any more to hear the rest.
        std::process::exit(1);
    }
}

fn written(word: &Word) -> String {
    match word {
        Word::Played(count) => format!("played {count}"),
        Word::Failed(seed) => format!("failed {seed}"),
        Word::Done(coverage) => {
            let numbers: Vec<String> = coverage.numbers().iter().map(u64::to_string).collect();
            format!("done {}", numbers.join(" "))
        }
    }
}

fn read(line: &str) -> Option<Word> {
    let (verb, rest) = line.split_once(' ')?;
    match verb {
        "played" => Some(Word::Played(rest.parse().ok()?)),
        "failed" => Some(Word::Failed(rest.parse().ok()?)),
        "done" => {
            let numbers: Result<Vec<u64>, _> = rest.split(' ').map(str::parse).collect();
            Some(Word::Done(Box::new(Coverage::of_numbers(&numbers.ok()?)?)))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_all_seeds_once() {
        for (size, seeds) in [(1, 5), (2, 7), (3, 9), (4, 3)] {
            let shares = (0..size).map(|number| Share::of(number, size, 100, seeds));
            let mut all: Vec<u64> = shares.flat_map(Share::seeds).collect();
            all.sort_unstable();
            assert_eq!(all, (100..100 + seeds).collect::<Vec<_>>());
        }
    }

    #[test]
    fn words_are_read_as_they_were_said() {
        let mut coverage = springtide_sim::play(&springtide_sim::History::new(7)).unwrap().coverage;
        coverage.add(&coverage.clone());
        let words = [
            Word::Played(3),
            Word::Failed(9),
            Word::Done(Box::new(coverage)),
            Word::Done(Box::default()),
        ];
        for word in words {
            assert_eq!(read(&written(&word)), Some(word));
        }
        assert_eq!(read("done 1 2 3"), None);
        assert_eq!(read("a panic told something"), None);
    }
}
