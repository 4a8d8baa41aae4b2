//! Tags against known labels.
//!
//! Truth of a pair: (the reference says that the other side is better) XOR
//! (a wrong label was injected). Pairs on which the reference is silent (tie,
//! null, ambiguous) are left out of all binary figures.

use serde::{Deserialize, Serialize};

use super::assign::Tag;
use super::metrics::{
    PrecisionRecall, ReliabilityBin, auroc_of, average_precision, expected_calibration_error,
    precision_recall, reliability,
};
use super::stats::{Interval, bootstrap_interval, real};

/// What the reference says of a pair's label.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reference {
    /// The label is right.
    Correct,
    /// The reference cannot say.
    Ambiguous,
    /// The label is wrong.
    Incorrect,
}

impl Reference {
    /// Reads a gold value: `chosen`/`rejected`/`tie` of `gold_label`, `correct`/`ambiguous`/
    /// `incorrect` of `ref_class`, or `true`/`false` of a column that marks wrong labels.
    ///
    /// `None` for null, empty or unknown words.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        match word.trim() {
            "chosen" | "correct" | "false" => Some(Self::Correct),
            "tie" | "ambiguous" => Some(Self::Ambiguous),
            "rejected" | "incorrect" | "true" => Some(Self::Incorrect),
            _ => None,
        }
    }

    /// The reference after a label was, or was not, swapped.
    #[must_use]
    pub fn swapped(self, injected: bool) -> Self {
        match (self, injected) {
            (Self::Correct, true) => Self::Incorrect,
            (Self::Incorrect, true) => Self::Correct,
            (same, _) => same,
        }
    }
}

/// A tagged pair with what the reference says of it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Judged {
    /// Tag given.
    pub tag: Tag,
    /// Suspicion; `None` for pairs without a score.
    pub suspicion: Option<f64>,
    /// Calibrated probability of a wrong label.
    pub p_incorrect: Option<f64>,
    /// The reference; `None` where it has nothing.
    pub reference: Option<Reference>,
    /// Whether a wrong label was injected.
    pub injected: bool,
}

impl Judged {
    /// Whether the label is wrong; `None` where that is not known.
    #[must_use]
    pub fn truth(&self) -> Option<bool> {
        match self.reference?.swapped(self.injected) {
            Reference::Correct => Some(false),
            Reference::Incorrect => Some(true),
            Reference::Ambiguous => None,
        }
    }
}

/// A figure with its bootstrap interval over pairs.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Figure {
    /// Value on all pairs.
    pub value: f64,
    /// Interval over resampled pairs.
    pub interval: Option<Interval>,
}

/// A row of the three-class table: how often each tag falls on a reference class.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableRow {
    /// Class of the reference, after injection.
    pub reference: Reference,
    /// Pairs tagged robust.
    pub robust: usize,
    /// Pairs tagged ambiguous.
    pub ambiguous: usize,
    /// Pairs tagged incorrect.
    pub incorrect: usize,
    /// Pairs with another tag.
    pub other: usize,
}

/// How tags and scores compare with the reference.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Evaluation {
    /// Pairs in the tags.
    pub pairs: usize,
    /// Pairs found on the reference side.
    pub matched: usize,
    /// Pairs with a known truth and a score.
    pub decided: usize,
    /// Of these, wrong labels.
    pub wrong: usize,
    /// `wrong / decided`.
    pub true_rate: Option<f64>,
    /// AUROC of `suspicion`.
    pub auroc: Option<Figure>,
    /// Average precision of `suspicion`.
    pub average_precision: Option<Figure>,
    /// Tag `incorrect` as a detector of wrong labels.
    pub tagged: PrecisionRecall,
    /// The same if as many of the most suspicious pairs were tagged as there are wrong labels.
    pub at_true_rate: PrecisionRecall,
    /// Expected calibration error of `p_incorrect`, ten equal bins.
    pub calibration_error: Option<f64>,
    /// Reliability of `p_incorrect`.
    pub reliability: Vec<ReliabilityBin>,
    /// Tags against reference classes.
    pub table: Vec<TableRow>,
}

/// Settings of an evaluation.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct EvaluateOptions {
    /// Bootstrap draws; 0 for no intervals.
    pub draws: usize,
    /// Level of the intervals.
    pub level: f64,
    /// Seed of the draws.
    pub seed: u64,
}

impl Default for EvaluateOptions {
    fn default() -> Self {
        Self {
            draws: 300,
            level: 0.95,
            seed: 0,
        }
    }
}

/// Compares tags with the reference.
#[must_use]
pub fn evaluate(pairs: &[Judged], options: &EvaluateOptions) -> Evaluation {
    let mut scores = Vec::new();
    let mut wrong = Vec::new();
    let mut tagged = Vec::new();
    let (mut probability, mut probability_wrong) = (Vec::new(), Vec::new());
    for pair in pairs {
        let (Some(truth), Some(score)) = (pair.truth(), pair.suspicion) else {
            continue;
        };
        scores.push(score);
        wrong.push(truth);
        tagged.push(pair.tag == Tag::Incorrect);
        if let Some(p) = pair.p_incorrect {
            probability.push(p);
            probability_wrong.push(truth);
        }
    }
    let n_wrong = wrong.iter().filter(|&&w| w).count();
    let bins = reliability(&probability, &probability_wrong, 10);
    let figure = |of: fn(&[f64], &[bool]) -> Option<f64>| {
        let interval = bootstrap_interval(
            scores.len(),
            options.draws,
            options.level,
            options.seed,
            |items| {
                let scores: Vec<f64> = items.iter().map(|&i| scores[i]).collect();
                let wrong: Vec<bool> = items.iter().map(|&i| wrong[i]).collect();
                of(&scores, &wrong)
            },
        );
        of(&scores, &wrong).map(|value| Figure { value, interval })
    };
    Evaluation {
        pairs: pairs.len(),
        matched: pairs.iter().filter(|p| p.reference.is_some()).count(),
        decided: wrong.len(),
        wrong: n_wrong,
        true_rate: (!wrong.is_empty()).then(|| real(n_wrong) / real(wrong.len())),
        auroc: figure(auroc_of),
        average_precision: figure(average_precision),
        tagged: precision_recall(&tagged, &wrong),
        at_true_rate: precision_recall(&most_suspicious(&scores, n_wrong), &wrong),
        calibration_error: expected_calibration_error(&bins),
        reliability: bins,
        table: table(pairs),
    }
}

/// Marks the `count` highest scores.
fn most_suspicious(scores: &[f64], count: usize) -> Vec<bool> {
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_by(|&a, &b| scores[b].total_cmp(&scores[a]));
    let mut out = vec![false; scores.len()];
    order.into_iter().take(count).for_each(|i| out[i] = true);
    out
}

fn table(pairs: &[Judged]) -> Vec<TableRow> {
    let row = |reference: Reference| {
        let mine = |p: &&Judged| p.reference.map(|r| r.swapped(p.injected)) == Some(reference);
        let count = |tag: Tag| pairs.iter().filter(mine).filter(|p| p.tag == tag).count();
        let (robust, ambiguous, incorrect) = (
            count(Tag::Robust),
            count(Tag::Ambiguous),
            count(Tag::Incorrect),
        );
        TableRow {
            reference,
            robust,
            ambiguous,
            incorrect,
            other: pairs.iter().filter(mine).count() - robust - ambiguous - incorrect,
        }
    };
    [
        Reference::Correct,
        Reference::Ambiguous,
        Reference::Incorrect,
    ]
    .map(row)
    .to_vec()
}
