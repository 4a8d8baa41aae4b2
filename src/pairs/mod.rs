//! Preference pairs: identity, reading, and writing.

pub mod id;

pub use id::{ContentId, Orientation, PairId};
