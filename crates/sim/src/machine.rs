//! Histories of the machine alone: replies of every kind, in any order.
//! (stub)
