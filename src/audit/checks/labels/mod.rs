//! Labels that do not hold, seen without asking a model.

pub mod annotators;
pub mod identical_responses;
