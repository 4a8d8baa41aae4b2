//! Labels that do not hold, seen without asking a model.

pub mod identical_responses;
