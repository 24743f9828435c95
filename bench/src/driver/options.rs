//! The flags of the bench driver.
//! It must never decide anything: a value means what its flag says.

use std::path::PathBuf;

use clap::Parser;

/// Measures Springtide's servers beside canned floors and other servers, one worker each.
///
/// Each round starts every server of a row anew, in shuffled order, pinned to one core with the
/// client on another. The figure that counts is server CPU per request.
#[derive(Debug, Clone, Parser)]
#[command(name = "bench", version)]
pub struct Options {
    /// Rows to measure, by name, separated by commas; all when absent.
    #[arg(long, value_delimiter = ',')]
    pub rows: Vec<String>,
    /// Servers to measure, by name, separated by commas; all of a row when absent.
    #[arg(long, value_delimiter = ',')]
    pub servers: Vec<String>,
    /// Rounds of each row.
    #[arg(long, default_value_t = 9)]
    pub rounds: usize,
    /// Seconds of each counted window.
    #[arg(long, default_value_t = 1.0)]
    pub seconds: f64,
    /// Seconds before each counted window.
    #[arg(long, default_value_t = 0.3)]
    pub warmup: f64,
    /// Three short rounds: a look, not a result.
    #[arg(long)]
    pub quick: bool,
    /// Update the rows' sections of bench/RESULTS.md.
    #[arg(long)]
    pub write: bool,
    /// Take the binaries as they are.
    #[arg(long)]
    pub no_build: bool,
    /// Where the peers' binaries are, if not in the target directory of the driver.
    #[arg(long)]
    pub peers_dir: Option<PathBuf>,
    /// Core of the servers.
    #[arg(long, default_value_t = 0)]
    pub server_core: usize,
    /// Core of the client and of the driver.
    #[arg(long, default_value_t = 1)]
    pub client_core: usize,
    /// Seed of the order of servers; from the clock when absent. It is printed.
    #[arg(long)]
    pub seed: Option<u64>,
    /// Name the rows and servers, then stop.
    #[arg(long)]
    pub list: bool,
}
