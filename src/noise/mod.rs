//! Known label noise for experiments: which pairs get a wrong label, and a copy with them.
//!
//! A [`NoiseModel`] says how likely a pair's label is wrong; [`draw`] picks the pairs from what
//! [`Facts`] holds of each, by contents and a seed alone, never by row order. `inject` does so
//! over a stream of rows, `compare` in memory.
//!
//! Injected noise is an experiment's; the flips that calibrate a run are planted elsewhere.

mod draw;
mod facts;
mod grammar;
pub mod inject;
mod known;
mod model;

#[cfg(test)]
mod tests;

pub use draw::{Drawn, GroupNoise, draw};
pub use facts::{Facts, Known};
pub use grammar::parse_list;
pub use known::KnownColumns;
pub(crate) use known::margin_of;
pub use model::{NoiseError, NoiseModel, Rates};
