//! Gives what the fuzzer makes up to the target `detect`. It must never hold a check of its own.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| springtide_fuzz::detect(bytes));
