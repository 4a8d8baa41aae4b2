//! How much of a dataset repeats, by source: what the plot of duplicates shows.

use serde::{Deserialize, Serialize};

/// Rows that repeat others, each counted once under the strictest kind that holds.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Duplication {
    /// By source, most rows first; one entry with an empty name without a source column.
    pub by_source: Vec<SourceDuplicates>,
    /// How many sources there are beside those listed.
    #[serde(default)]
    pub more_sources: u64,
}

/// Rows of one source that repeat an earlier row of any source.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceDuplicates {
    /// Its name in the data.
    pub source: String,
    /// Its rows that can be read as a pair.
    pub rows: u64,
    /// Of these, rows with the content of an earlier row.
    pub exact: u64,
    /// Further rows with the same content once case, spaces and punctuation are dropped.
    pub loose: u64,
    /// Further rows that are nearly an earlier row.
    pub near: u64,
}
