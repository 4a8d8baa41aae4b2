//! What is wrong with a dataset, without any model.
//!
//! One scan reads the rows and keeps numbers of each (hashes, lengths, sketches), never its
//! texts; every check turns them into a [`Finding`]. The gate decides which findings fail.

pub mod agreement;
mod check;
pub mod composition;
mod finding;
pub mod graph;
pub mod near;
pub mod shortcuts;

pub use check::{Area, Check, Level};
pub use finding::{Example, Figure, Finding, MAX_EXAMPLES, Place};
