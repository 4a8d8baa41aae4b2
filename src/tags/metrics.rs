//! How well scores and tags agree with a known truth, and with each other.
//!
//! Scores: higher means more likely positive. Positive means wrong label unless
//! said otherwise. Functions give `None` where a quantity is not defined (one
//! class missing, lengths that differ) instead of NaN.

use serde::{Deserialize, Serialize};

use super::stats::real;

/// Area under the ROC curve: the chance that a positive outranks a negative, ties half.
#[must_use]
pub fn auroc(positive: &[f64], negative: &[f64]) -> Option<f64> {
    if positive.is_empty() || negative.is_empty() {
        return None;
    }
    let mut negative = negative.to_vec();
    negative.sort_unstable_by(f64::total_cmp);
    let mut wins = 0.0;
    for score in positive {
        let below = negative.partition_point(|n| n < score);
        let not_above = negative.partition_point(|n| n <= score);
        wins += 0.5 * real(below + not_above);
    }
    Some(wins / (real(positive.len()) * real(negative.len())))
}

/// [`auroc`] of scores with labels.
#[must_use]
pub fn auroc_of(scores: &[f64], positive: &[bool]) -> Option<f64> {
    if scores.len() != positive.len() {
        return None;
    }
    let side = |wanted: bool| -> Vec<f64> {
        let both = scores.iter().zip(positive);
        both.filter(|&(_, &label)| label == wanted)
            .map(|(&score, _)| score)
            .collect()
    };
    auroc(&side(true), &side(false))
}

/// A point of the ROC curve: what is found when scores `>= threshold` are tagged.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct RocPoint {
    /// Share of negatives tagged.
    pub false_positive_rate: f64,
    /// Share of positives tagged.
    pub true_positive_rate: f64,
    /// Lowest tagged score; infinite at the first point, where nothing is tagged.
    pub threshold: f64,
}

/// ROC curve from nothing tagged to everything tagged, a point per distinct score.
#[must_use]
pub fn roc_curve(scores: &[f64], positive: &[bool]) -> Option<Vec<RocPoint>> {
    let mut points = vec![RocPoint {
        false_positive_rate: 0.0,
        true_positive_rate: 0.0,
        threshold: f64::INFINITY,
    }];
    let n_positive = real(positive.iter().filter(|&&p| p).count());
    let n_negative = real(positive.len()) - n_positive;
    if scores.len() != positive.len() || n_positive == 0.0 || n_negative == 0.0 {
        return None;
    }
    for (threshold, found, tagged) in steps(scores, positive) {
        points.push(RocPoint {
            false_positive_rate: real(tagged - found) / n_negative,
            true_positive_rate: real(found) / n_positive,
            threshold,
        });
    }
    Some(points)
}

/// Average precision: mean precision over the positives, in order of score.
#[must_use]
pub fn average_precision(scores: &[f64], positive: &[bool]) -> Option<f64> {
    let n_positive = positive.iter().filter(|&&p| p).count();
    if scores.len() != positive.len() || n_positive == 0 {
        return None;
    }
    let mut sum = 0.0;
    let mut before = 0;
    for (_, found, tagged) in steps(scores, positive) {
        sum += real(found - before) * real(found) / real(tagged);
        before = found;
    }
    Some(sum / real(n_positive))
}

/// For each distinct score from high to low: the score, positives and all items at or above it.
fn steps(scores: &[f64], positive: &[bool]) -> Vec<(f64, usize, usize)> {
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_by(|&a, &b| scores[b].total_cmp(&scores[a]));
    let mut out: Vec<(f64, usize, usize)> = Vec::new();
    let mut found = 0;
    for (tagged, &item) in order.iter().enumerate() {
        found += usize::from(positive[item]);
        match out.last_mut() {
            #[expect(clippy::float_cmp, reason = "a tie is exact equality")]
            Some(last) if last.0 == scores[item] => *last = (last.0, found, tagged + 1),
            _ => out.push((scores[item], found, tagged + 1)),
        }
    }
    out
}

/// What tagging finds and costs.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct PrecisionRecall {
    /// Number tagged.
    pub tagged: usize,
    /// Number tagged that are positive.
    pub found: usize,
    /// Number of positives.
    pub positives: usize,
    /// `found / tagged`; `None` if nothing is tagged.
    pub precision: Option<f64>,
    /// `found / positives`; `None` without positives.
    pub recall: Option<f64>,
}

/// Precision and recall of yes/no tags.
#[must_use]
pub fn precision_recall(tagged: &[bool], positive: &[bool]) -> PrecisionRecall {
    let count = |flags: &[bool]| flags.iter().filter(|&&f| f).count();
    let found = tagged.iter().zip(positive).filter(|&(&t, &p)| t && p);
    let (found, tagged, positives) = (found.count(), count(tagged), count(positive));
    let share = |of: usize| (of > 0).then(|| real(found) / real(of));
    PrecisionRecall {
        tagged,
        found,
        positives,
        precision: share(tagged),
        recall: share(positives),
    }
}

/// Precision and recall when scores `>= threshold` are tagged.
#[must_use]
pub fn precision_recall_at(scores: &[f64], positive: &[bool], threshold: f64) -> PrecisionRecall {
    let tagged: Vec<bool> = scores.iter().map(|&s| s >= threshold).collect();
    precision_recall(&tagged, positive)
}

/// Ranks from 1, equal values share the mean of their ranks.
#[must_use]
pub fn average_ranks(values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|&a, &b| values[a].total_cmp(&values[b]));
    let mut ranks = vec![0.0; values.len()];
    let mut start = 0;
    while start < order.len() {
        let value = values[order[start]];
        #[expect(clippy::float_cmp, reason = "a tie is exact equality")]
        let ties = order[start..].iter().take_while(|&&i| values[i] == value);
        let end = start + ties.count().max(1); // NaN equals nothing
        for &item in &order[start..end] {
            ranks[item] = 0.5 * real(start + 1 + end);
        }
        start = end;
    }
    ranks
}

/// Ranks from 0 without ties: equal values are ordered by `keys` (a seeded hash
/// of the pair), so that the order of the input never matters.
#[must_use]
pub fn tie_free_ranks(values: &[f64], keys: &[u64]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|&a, &b| {
        let by_value = values[a].total_cmp(&values[b]);
        by_value.then(keys[a].cmp(&keys[b]))
    });
    let mut ranks = vec![0; values.len()];
    for (rank, item) in order.into_iter().enumerate() {
        ranks[item] = rank;
    }
    ranks
}

/// Spearman rank correlation; `None` for fewer than two items or constant values.
#[must_use]
pub fn spearman(first: &[f64], second: &[f64]) -> Option<f64> {
    (first.len() == second.len())
        .then(|| pearson(&average_ranks(first), &average_ranks(second)))
        .flatten()
}

fn pearson(first: &[f64], second: &[f64]) -> Option<f64> {
    let (a, b) = (super::stats::mean(first), super::stats::mean(second));
    let (mut ab, mut aa, mut bb) = (0.0, 0.0, 0.0);
    for (x, y) in first.iter().zip(second) {
        ab += (x - a) * (y - b);
        aa += (x - a).powi(2);
        bb += (y - b).powi(2);
    }
    (aa > 0.0 && bb > 0.0).then(|| ab / (aa * bb).sqrt())
}

/// Cohen's kappa of two yes/no decisions: agreement beyond chance.
///
/// `None` where chance agreement is already complete.
#[must_use]
pub fn cohen_kappa(first: &[bool], second: &[bool]) -> Option<f64> {
    if first.len() != second.len() || first.is_empty() {
        return None;
    }
    let n = real(first.len());
    let share = |flags: &[bool]| real(flags.iter().filter(|&&f| f).count()) / n;
    let agree = real(first.iter().zip(second).filter(|(a, b)| a == b).count()) / n;
    let (a, b) = (share(first), share(second));
    let chance = a * b + (1.0 - a) * (1.0 - b);
    (chance < 1.0).then(|| (agree - chance) / (1.0 - chance))
}

/// A bin of a reliability diagram.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ReliabilityBin {
    /// Lower edge of the predicted probability, excluded but for the first bin.
    pub low: f64,
    /// Upper edge, included.
    pub high: f64,
    /// Number of predictions in the bin.
    pub count: usize,
    /// Mean predicted probability.
    pub predicted: f64,
    /// Share of positives.
    pub observed: f64,
}

/// Predicted against observed frequencies in `bins` equal widths; empty bins are left out.
#[must_use]
pub fn reliability(probability: &[f64], positive: &[bool], bins: usize) -> Vec<ReliabilityBin> {
    let mut sums = vec![(0_usize, 0.0, 0.0); bins];
    for (&p, &label) in probability.iter().zip(positive) {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a probability times the number of bins"
        )]
        let bin = ((p.clamp(0.0, 1.0) * real(bins)).ceil() as usize).saturating_sub(1);
        let sum = &mut sums[bin.min(bins - 1)];
        *sum = (sum.0 + 1, sum.1 + p, sum.2 + f64::from(u8::from(label)));
    }
    let filled = sums.into_iter().enumerate().filter(|(_, sum)| sum.0 > 0);
    filled
        .map(|(bin, (count, predicted, observed))| ReliabilityBin {
            low: real(bin) / real(bins),
            high: real(bin + 1) / real(bins),
            count,
            predicted: predicted / real(count),
            observed: observed / real(count),
        })
        .collect()
}

/// Mean over predictions of |predicted - observed| of their bin.
#[must_use]
pub fn expected_calibration_error(bins: &[ReliabilityBin]) -> Option<f64> {
    let total: usize = bins.iter().map(|bin| bin.count).sum();
    let gap = |bin: &ReliabilityBin| real(bin.count) * (bin.predicted - bin.observed).abs();
    (total > 0).then(|| bins.iter().map(gap).sum::<f64>() / real(total))
}
