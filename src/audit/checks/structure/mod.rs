//! Rows that are no pairs, and texts that are not whole.

pub mod empty_response;
