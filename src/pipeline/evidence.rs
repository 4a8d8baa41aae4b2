//! What training left behind for tagging: one small record a row, and the planted scores.
//!
//! `run` makes it, `tags.parquet`, `dynamics.parquet` and `planted.parquet` hold
//! it, and `tag` and `report` read it back from there.

use std::collections::HashSet;

use crate::pairs::{Judge, PairId, UnusableReason};
use crate::tags::Signals;
use crate::train::Dynamics;

/// All evidence of a run.
#[derive(Debug, Clone, PartialEq)]
pub struct Evidence {
    /// Every row of the inputs, in reading order.
    pub rows: Vec<RowEvidence>,
    /// Every pair that the models were trained on, in reading order.
    pub pairs: Vec<PairRecord>,
    /// Scores of planted flips, from the rounds in which they were planted.
    pub planted: Vec<PlantedScore>,
    /// Dynamics of `pairs`, each from its deciding round.
    pub dynamics: Dynamics,
    /// Distinct values of the source column; empty without one.
    pub sources: Vec<String>,
    /// Distinct values of the column that the cap on removal holds for; empty without one.
    pub cap_groups: Vec<String>,
    /// Judges whose margins stand in the data, on `pairs`.
    pub judges: Vec<Judge>,
}

/// One row of an input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RowEvidence {
    /// Which input file.
    pub input: u32,
    /// Row in that file, from 0.
    pub row: u64,
    /// What became of it.
    pub state: RowState,
}

impl RowEvidence {
    /// Position in [`Evidence::pairs`], where the row was trained on.
    #[must_use]
    pub fn trained(&self) -> Option<usize> {
        match self.state {
            RowState::Trained(pair) => Some(pair as usize),
            _ => None,
        }
    }
}

/// What became of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RowState {
    /// It cannot be read as a pair; its id names all that it holds.
    Unusable(PairId, UnusableReason),
    /// Its sides are identical after truncation.
    Undecidable(PairId),
    /// Models trained elsewhere have no trajectory of it.
    Unseen(PairId),
    /// It was trained on: position in [`Evidence::pairs`].
    Trained(u32),
}

/// A pair that was trained on.
#[derive(Debug, Clone, PartialEq)]
pub struct PairRecord {
    /// Its id.
    pub id: PairId,
    /// What ranks it: minus a margin by other pairs, or the mean within-epoch rank of its online loss; high is bad.
    pub score: f64,
    /// The round that decides: 0 or 1.
    pub round: u8,
    /// Signals of models `a` and `b` from their online margins.
    pub signals: [Signals; 2],
    /// Mean held-out margin of both models.
    pub margin_cross_fit: Option<f32>,
    /// Margin that the fit to all other pairs gives, nats; `None` where there is none.
    pub margin_comparisons: Option<f32>,
    /// Characters of the chosen response less those of the rejected one.
    pub length_difference: i64,
    /// Position in [`Evidence::sources`].
    pub source: Option<u32>,
    /// Position in [`Evidence::cap_groups`].
    pub cap_group: Option<u32>,
}

/// A planted pair's score in the round where its label was swapped.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PlantedScore {
    /// The pair, by its id with the user's label.
    pub id: PairId,
    /// The round, 0 or 1.
    pub round: u8,
    /// Its score with the swapped label.
    pub score: f64,
}

impl Evidence {
    /// Id of a row.
    #[must_use]
    pub fn id_of(&self, row: &RowEvidence) -> PairId {
        match row.state {
            RowState::Unusable(id, _) | RowState::Undecidable(id) | RowState::Unseen(id) => id,
            RowState::Trained(pair) => self.pairs[pair as usize].id,
        }
    }

    /// The margin that a reward model is to reach on a pair, in the direction of its label: the mean
    /// of the judges that say something, or else the mean held-out margin of both models.
    #[must_use]
    pub fn target_margin(&self, pair: usize) -> Option<f64> {
        let judges = self.judges.iter().filter_map(|judge| judge.margins[pair]);
        let (sum, n) = judges.fold((0.0, 0u32), |(sum, n), m| (sum + f64::from(m), n + 1));
        if n > 0 {
            return Some(sum / f64::from(n));
        }
        self.pairs[pair].margin_cross_fit.map(f64::from)
    }

    /// Scores of planted flips and of all other pairs.
    ///
    /// A pair that was planted in the very round that decides has no trajectory with its own label:
    /// its score is mirrored, and is not among the others.
    #[must_use]
    pub fn scores(&self) -> (Vec<f64>, Vec<f64>) {
        let planted: HashSet<(PairId, u8)> = self
            .planted
            .iter()
            .map(|planted| (planted.id, planted.round))
            .collect();
        let own = |pair: &&PairRecord| !planted.contains(&(pair.id, pair.round));
        (
            self.planted.iter().map(|planted| planted.score).collect(),
            self.pairs
                .iter()
                .filter(own)
                .map(|pair| pair.score)
                .collect(),
        )
    }
}
