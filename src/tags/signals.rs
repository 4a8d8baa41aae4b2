//! What a pair's margins over the epochs say about its label.
//!
//! Works on plain slices of margins, one model at a time, so that any source of
//! margins will do.

use serde::{Deserialize, Serialize};

use super::assign::Region;
use super::metrics::average_ranks;
use super::stats::{mean, population_std, quantile_sorted, real};

/// Bradley–Terry loss of one margin, `softplus(-margin)`, in nats.
#[must_use]
pub fn loss(margin: f64) -> f64 {
    // not -ln(sigmoid(m)): infinite for very negative margins
    (-margin).max(0.0) + (-margin.abs()).exp().ln_1p()
}

/// `sigmoid(margin)`: the model's probability that the label is right.
#[must_use]
pub fn p_chosen(margin: f64) -> f64 {
    if margin >= 0.0 {
        1.0 / (1.0 + (-margin).exp())
    } else {
        let e = margin.exp();
        e / (1.0 + e)
    }
}

/// The signals of one pair from one model.
///
/// # Source
/// Confidence, variability, correctness: Dataset Cartography, arXiv:2009.10795.
/// Forgetting: arXiv:1812.05159. Fluctuation: our formula for what
/// arXiv:2505.10597 describes in words.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Signals {
    /// Mean loss over epochs, nats.
    pub mean_loss: f64,
    /// Population standard deviation of the loss over epochs.
    pub std_loss: f64,
    /// Mean absolute change of the loss from epoch to epoch; 0 for one epoch.
    pub fluctuation: f64,
    /// Mean of `p_chosen`, 0 to 1; low is bad.
    pub confidence: f64,
    /// Population standard deviation of `p_chosen`.
    pub variability: f64,
    /// Number of epochs with a margin above 0.
    pub correctness: u32,
    /// Epochs that went from a margin above 0 to one that is not; `None` if it was never above.
    pub forgetting: Option<u32>,
    /// Epochs in which the pair was selected for training.
    pub times_selected: u32,
}

impl Signals {
    /// Signals of a pair from its margins, epoch by epoch, and whether it was selected in each.
    ///
    /// `selected` may be shorter or empty (no filter ran). `None` without epochs.
    #[must_use]
    pub fn of(margins: &[f64], selected: &[bool]) -> Option<Self> {
        if margins.is_empty() {
            return None;
        }
        let losses: Vec<f64> = margins.iter().map(|&m| loss(m)).collect();
        let p: Vec<f64> = margins.iter().map(|&m| p_chosen(m)).collect();
        let changes: Vec<f64> = losses.windows(2).map(|w| (w[1] - w[0]).abs()).collect();
        let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        let correctness = count(margins.iter().filter(|&&m| m > 0.0).count());
        let forgotten = margins.windows(2).filter(|w| w[0] > 0.0 && w[1] <= 0.0);
        Some(Self {
            mean_loss: mean(&losses),
            std_loss: population_std(&losses),
            fluctuation: if changes.is_empty() {
                0.0
            } else {
                mean(&changes)
            },
            confidence: mean(&p),
            variability: population_std(&p),
            correctness,
            forgetting: (correctness > 0).then(|| count(forgotten.count())),
            times_selected: count(selected.iter().filter(|&&s| s).count()),
        })
    }
}

/// Mean of `p_chosen` and such over several models: for rules that look at the pair as a whole.
#[must_use]
pub fn mean_signal(models: &[Signals], signal: impl Fn(&Signals) -> f64) -> f64 {
    models.iter().map(signal).sum::<f64>() / real(models.len())
}

/// Within-epoch ranks of the online loss, 0 (lowest loss) to 1 (highest): `(rank - ½) / n`.
///
/// Ranks and not losses, since the online loss falls over an epoch and from
/// epoch to epoch. The loss falls strictly in the margin, so margins are ranked.
#[must_use]
pub fn epoch_suspicion(margins: &[f32]) -> Vec<f64> {
    let losses: Vec<f64> = margins.iter().map(|&m| -f64::from(m)).collect();
    let n = real(losses.len());
    let ranks = average_ranks(&losses);
    ranks.into_iter().map(|rank| (rank - 0.5) / n).collect()
}

/// Sums suspicion over models, epochs and members, one epoch at a time.
///
/// The score of a pair is the mean of its within-epoch ranks over all epochs
/// after the first one, all models and all members (seeds that share a planting).
/// With a single epoch that one is used.
#[derive(Debug, Clone)]
pub struct SuspicionSum {
    sum: Vec<f64>,
    epochs: usize,
}

impl SuspicionSum {
    /// Nothing added yet, for `n_pairs`.
    #[must_use]
    pub fn new(n_pairs: usize) -> Self {
        Self {
            sum: vec![0.0; n_pairs],
            epochs: 0,
        }
    }

    /// Adds one model's online margins, `[epoch * n_pairs + pair]`.
    pub fn add_model(&mut self, margin_online: &[f32]) {
        let n = self.sum.len();
        if n == 0 {
            return;
        }
        let first = usize::from(margin_online.len() > n);
        for epoch in margin_online.chunks_exact(n).skip(first) {
            for (sum, score) in self.sum.iter_mut().zip(epoch_suspicion(epoch)) {
                *sum += score;
            }
            self.epochs += 1;
        }
    }

    /// The mean so far, 0 to 1; 0.5 for all if nothing was added.
    #[must_use]
    pub fn scores(&self) -> Vec<f64> {
        if self.epochs == 0 {
            return vec![0.5; self.sum.len()];
        }
        self.sum.iter().map(|s| s / real(self.epochs)).collect()
    }
}

/// Dataset Cartography's regions, from confidence and variability of each pair.
///
/// # Our rule for the cut points
/// The paper takes the 33% most variable pairs as ambiguous and the 33% most and
/// least confident ones as easy and hard; those sets overlap. Here each pair gets
/// one region: the third with the highest variability is `ambiguous`; of the rest,
/// a confidence of at least one half is `easy_to_learn` and a lower one `hard_to_learn`.
/// A variability equal to the cut point counts as ambiguous only if it is above 0.
///
/// # Source
/// Swayamdipta et al. (2020), arXiv:2009.10795, section 3.
#[must_use]
pub fn regions(confidence: &[f64], variability: &[f64]) -> Vec<Region> {
    if variability.is_empty() {
        return Vec::new();
    }
    let mut sorted = variability.to_vec();
    sorted.sort_by(f64::total_cmp);
    let cut = quantile_sorted(&sorted, 2.0 / 3.0);
    let region = |(&confidence, &variability): (&f64, &f64)| {
        if variability > cut || (variability >= cut && variability > 0.0) {
            Region::Ambiguous
        } else if confidence >= 0.5 {
            Region::EasyToLearn
        } else {
            Region::HardToLearn
        }
    };
    confidence.iter().zip(variability).map(region).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_match_numpy() {
        // m = np.array([0.5, -0.2, 1.5, -1.0]); l = np.logaddexp(0, -m); p = 1/(1+np.exp(-m))
        // l.mean(), l.std(), np.abs(np.diff(l)).mean(), p.mean(), p.std()
        let s = Signals::of(&[0.5, -0.2, 1.5, -1.0], &[true, false, true]).expect("epochs");
        for (ours, numpy) in [
            (s.mean_loss, 0.696_722_704_77),
            (s.std_loss, 0.413_916_688_74),
            (s.fluctuation, 0.677_545_295_38),
            (s.confidence, 0.539_785_307_86),
            (s.variability, 0.203_340_752_73),
        ] {
            assert!((ours - numpy).abs() < 1e-9, "{ours} {numpy}");
        }
        assert_eq!(
            (s.correctness, s.forgetting, s.times_selected),
            (2, Some(2), 2)
        );
    }

    #[test]
    fn a_pair_that_was_never_right_was_never_learned() {
        let s = Signals::of(&[-1.0, 0.0], &[]).expect("epochs");
        assert_eq!((s.correctness, s.forgetting), (0, None));
        assert!(Signals::of(&[], &[]).is_none());
    }

    #[test]
    fn losses_stay_finite_at_extreme_margins() {
        assert!((loss(-1e4) - 1e4).abs() < 1e-9);
        assert!(loss(1e4) >= 0.0 && loss(1e4) < 1e-12);
    }

    #[test]
    fn the_first_epoch_does_not_count_where_there_are_more() {
        let mut sum = SuspicionSum::new(2);
        sum.add_model(&[9.0, -9.0, /* epoch 1 */ -1.0, 1.0]);
        assert_eq!(sum.scores(), vec![0.75, 0.25]);
        let mut single = SuspicionSum::new(2);
        single.add_model(&[9.0, -9.0]);
        assert_eq!(single.scores(), vec![0.25, 0.75]);
    }
}
