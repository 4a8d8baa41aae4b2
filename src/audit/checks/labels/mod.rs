//! Labels that do not hold, seen without asking a model.

pub mod cycles;
pub mod identical_responses;
