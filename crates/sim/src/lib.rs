//! Histories, oracles and mutants over the simulated backend: what finds the bugs nobody thought of.
//! The faults themselves live in the engine's backend; nothing here is needed to run a server.
#![forbid(unsafe_code)]
