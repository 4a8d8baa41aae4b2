//! What is kept of a finished seed.

use serde::{Deserialize, Serialize};

use super::fit::Score;

/// One seed on one split.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Record {
    pub(super) seed: usize,
    pub(super) fold: usize,
    pub(super) train_pairs: usize,
    pub(super) updates: usize,
    pub(super) cleaning: CleaningRecord,
    pub(super) arms: Vec<ArmRecord>,
    pub(super) seconds: f64,
}

/// What cleaning did.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub(super) struct CleaningRecord {
    /// Labels swapped by injected noise.
    pub(super) injected: usize,
    pub(super) dropped: usize,
    pub(super) noise_rate: Option<f64>,
    pub(super) can_tell: Option<bool>,
    /// What of it was right; `None` where no truth is known.
    pub(super) found: Option<Found>,
}

/// Dropped pairs among those whose truth is known.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub(super) struct Found {
    pub(super) known: usize,
    pub(super) wrong: usize,
    pub(super) dropped: usize,
    pub(super) dropped_wrong: usize,
    pub(super) auroc: Option<f64>,
}

/// One arm.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct ArmRecord {
    pub(super) name: String,
    pub(super) pairs: usize,
    /// Wrong labels as they are trained on.
    pub(super) wrong: Option<usize>,
    /// By test set.
    pub(super) scores: Vec<Score>,
}
