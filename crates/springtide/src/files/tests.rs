//! Tests of the file service over real engines and real files; the pure parts test themselves.
//! They wait for nothing but completions.
#![expect(clippy::disallowed_methods, reason = "tests make the files that are served")]

mod encoded;
mod harness;
mod listing;
mod memory;
mod names;
mod pages;
mod ranges;
mod stream;
