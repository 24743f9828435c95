//! Placeholder: built in the next commits.
