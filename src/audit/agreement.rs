//! How far annotators agree: Krippendorff's alpha, Fleiss' kappa, and who disagrees with everybody.

use serde::{Deserialize, Serialize};

/// What the votes of a dataset say about its labels.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Agreement {
    /// Columns that the votes were read from.
    pub columns: Vec<String>,
    /// Pairs with at least one vote.
    pub items: u64,
    /// Of these, pairs with two votes or more.
    pub items_with_two: u64,
    /// All votes.
    pub votes: u64,
    /// Annotators by name; 0 where the data counts votes without names.
    pub annotators: u64,
    /// Krippendorff's alpha, nominal, the two sides interchangeable.
    pub alpha: Option<Coefficient>,
    /// The same with `chosen` and `rejected` taken as two categories, as they stand in the columns.
    pub alpha_as_labelled: Option<f64>,
    /// Fleiss' kappa over the pairs with the most frequent number of votes (two or more).
    pub kappa: Option<Coefficient>,
    /// That number of votes.
    pub kappa_votes: Option<u64>,
    /// Pairs that have it.
    pub kappa_items: u64,
    /// Pairs whose votes have a strict majority for one side.
    pub decided: u64,
    /// Of these, pairs whose label is the other side.
    pub against_majority: u64,
    /// Annotators that disagree with the others, the surest first.
    pub contrarians: Vec<Contrarian>,
}

/// A coefficient of agreement; 1 is perfect, 0 is chance.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Coefficient {
    /// Its value.
    pub value: f64,
    /// 95% interval, bootstrap over pairs; `None` where resamples do not vary.
    pub interval: Option<[f64; 2]>,
}

/// An annotator whose votes go against the others' majority.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Contrarian {
    /// Name in the data.
    pub annotator: String,
    /// Votes on pairs where the others have a majority for a side and this one votes for a side.
    pub votes: u64,
    /// Of these, votes with that majority.
    pub agree: u64,
    /// 95% Wilson interval of `agree / votes`.
    pub interval: [f64; 2],
}
