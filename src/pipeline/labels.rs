//! Labels to judge, as they stand or with some swapped, and what judges them.

use super::training::Passes;
use crate::methods::planting::{swap_ids, swap_labels};
use crate::methods::{Made, Settings, Task};
use crate::pairs::{Judge, PairId};
use crate::train::TrainPair;

/// Pairs under labels; all `[n_pairs]`.
#[derive(Debug, Clone)]
pub(super) struct Labels {
    /// Ids.
    pub(super) ids: Vec<PairId>,
    /// Texts as heads read them.
    pub(super) pairs: Vec<TrainPair>,
    /// Texts as the models of the second pass read them.
    pub(super) deciding: Vec<TrainPair>,
    /// Margins of judges.
    pub(super) judges: Vec<Judge>,
}

/// What judges any labels of the same pairs.
pub(super) struct Means<'a> {
    pub(super) passes: &'a Passes<'a>,
    pub(super) folds: &'a [u32],
    pub(super) settings: &'a Settings,
    pub(super) seed: u64,
}

impl Labels {
    /// The same with chosen and rejected changing places where `swapped` says so.
    pub(super) fn swapped(&self, swapped: &[bool]) -> Self {
        Self {
            ids: swap_ids(&self.ids, swapped),
            pairs: swap_labels(&self.pairs, swapped),
            deciding: swap_labels(&self.deciding, swapped),
            judges: self.judges.iter().map(|j| j.swapped(swapped)).collect(),
        }
    }

    /// These labels as something to judge; `label` names the judging among others of its run.
    pub(super) fn task<'a>(&'a self, by: &Means<'a>, label: String, made: Made) -> Task<'a> {
        Task {
            pairs: &self.pairs,
            deciding_pairs: &self.deciding,
            ids: &self.ids,
            features: by.passes.models.features.each_ref().map(AsRef::as_ref),
            folds: by.folds,
            judges: &self.judges,
            settings: by.settings,
            label,
            seed: by.seed,
            training: by.passes,
            made,
        }
    }
}
