//! The table holds together. It measures nothing.

use super::*;
use crate::load::options::Options;
use clap::Parser;

#[test]
fn names_are_unique_and_flags_are_known() {
    for (index, row) in ROWS.iter().enumerate() {
        assert!(ROWS[..index].iter().all(|other| other.name != row.name), "{}", row.name);
        for load in [row.load, row.floor_load] {
            let flags = ["load", "127.0.0.1:1", "--server-pid", "1"].iter().chain(load);
            let parsed = Options::try_parse_from(flags);
            parsed.unwrap_or_else(|error| panic!("{}: {error}", row.name));
        }
        let flags = ["floor", "--kind", "uring"].iter().chain(row.floor);
        crate::floor::options::Options::try_parse_from(flags).expect("flags of the floor");
    }
}
