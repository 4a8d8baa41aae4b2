//! Peer review and its controls: small-loss selection by margin.

use serde::{Deserialize, Serialize};

/// Who selects the pairs that a model trains on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Exchange {
    /// Each model trains on what the other one selects (arXiv:2505.10597).
    PeerReview,
    /// Control: each model trains on its own selection.
    SelfReview,
    /// Control: both models train on everything.
    Independent,
}

/// What each model trains on, by position in the batch or dataset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selection {
    /// Positions that model `a` trains on.
    pub for_a: Vec<bool>,
    /// Positions that model `b` trains on.
    pub for_b: Vec<bool>,
}

/// Pairs kept of `n` at a drop rate: `ceil((1 - drop_rate) * n)`, at least one of a non-empty batch.
#[must_use]
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "the result lies between 0 and n"
)]
pub fn keep_count(n: usize, drop_rate: f64) -> usize {
    // the small term keeps (1 - 0.3) * 10 from being rounded up to 8
    let keep = ((1.0 - drop_rate.clamp(0.0, 1.0)) * n as f64 - 1e-9).ceil() as usize;
    keep.clamp(usize::from(n > 0), n)
}

/// Marks the `keep` highest margins; equal margins are ordered by `ties`.
///
/// Low loss and high margin are the same ranking, since the Bradley-Terry loss
/// is strictly decreasing in the margin.
fn highest(margins: &[f32], ties: &[u64], keep: usize) -> Vec<bool> {
    let mut order: Vec<usize> = (0..margins.len()).collect();
    order.sort_by(|&i, &j| {
        margins[j]
            .total_cmp(&margins[i])
            .then(ties[i].cmp(&ties[j]))
    });
    let mut kept = vec![false; margins.len()];
    for &i in order.iter().take(keep) {
        kept[i] = true;
    }
    kept
}

/// Selects what each model trains on from both models' margins.
///
/// # Shapes
/// `margins_a`, `margins_b`, `ties`: `[n_pairs]`, of one batch or of a whole
/// stage. `ties` orders equal margins and is a hash of the pair id, so that the
/// selection does not depend on position.
///
/// # Source
/// Collaborative Reward Modeling, arXiv:2505.10597; Co-teaching, arXiv:1804.06872.
#[must_use]
pub fn select(
    exchange: Exchange,
    margins_a: &[f32],
    margins_b: &[f32],
    ties: &[u64],
    drop_rate: f64,
) -> Selection {
    let n = margins_a.len();
    let keep = keep_count(n, drop_rate);
    match exchange {
        Exchange::Independent => Selection {
            for_a: vec![true; n],
            for_b: vec![true; n],
        },
        Exchange::PeerReview => Selection {
            for_a: highest(margins_b, ties, keep),
            for_b: highest(margins_a, ties, keep),
        },
        Exchange::SelfReview => Selection {
            for_a: highest(margins_a, ties, keep),
            for_b: highest(margins_b, ties, keep),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const EXCHANGES: [Exchange; 3] = [
        Exchange::PeerReview,
        Exchange::SelfReview,
        Exchange::Independent,
    ];

    #[test]
    fn peers_select_for_each_other() {
        let (a, b) = ([3.0, -1.0, 2.0, 0.5], [-2.0, 4.0, 1.0, 0.0]);
        let picked = select(Exchange::PeerReview, &a, &b, &[0, 1, 2, 3], 0.5);
        assert_eq!(picked.for_a, [false, true, true, false]);
        assert_eq!(picked.for_b, [true, false, true, false]);
        let own = select(Exchange::SelfReview, &a, &b, &[0, 1, 2, 3], 0.5);
        assert_eq!((own.for_a, own.for_b), (picked.for_b, picked.for_a));
    }

    #[test]
    fn keep_count_follows_the_formula() {
        assert_eq!(keep_count(10, 0.3), 7);
        assert_eq!(keep_count(10, 0.25), 8);
        assert_eq!(keep_count(10, 1.0), 1);
        assert_eq!(keep_count(0, 0.5), 0);
    }

    fn margins() -> impl Strategy<Value = Vec<(f32, f32)>> {
        prop::collection::vec((-5.0f32..5.0, -5.0f32..5.0), 1..60)
    }

    proptest! {
        #[test]
        fn the_count_is_kept_and_order_does_not_matter(pairs in margins(), drop in 0.0f64..1.0) {
            let (a, b): (Vec<f32>, Vec<f32>) = pairs.iter().copied().unzip();
            let ties: Vec<u64> = (0..a.len() as u64).collect();
            let reversed = |v: &[f32]| v.iter().rev().copied().collect::<Vec<_>>();
            let ties_reversed: Vec<u64> = ties.iter().rev().copied().collect();
            for exchange in EXCHANGES {
                let here = select(exchange, &a, &b, &ties, drop);
                let mut there = select(exchange, &reversed(&a), &reversed(&b), &ties_reversed, drop);
                there.for_a.reverse();
                there.for_b.reverse();
                prop_assert_eq!(&here, &there);
                let expected = if exchange == Exchange::Independent { a.len() } else { keep_count(a.len(), drop) };
                prop_assert_eq!(here.for_a.iter().filter(|&&k| k).count(), expected);
            }
        }

        #[test]
        fn raising_the_keep_rate_never_drops_a_kept_pair(pairs in margins(), low in 0.0f64..1.0, high in 0.0f64..1.0) {
            let (low, high) = if low < high { (low, high) } else { (high, low) };
            let (a, b): (Vec<f32>, Vec<f32>) = pairs.iter().copied().unzip();
            let ties: Vec<u64> = (0..a.len() as u64).collect();
            for exchange in EXCHANGES {
                let strict = select(exchange, &a, &b, &ties, high);
                let lax = select(exchange, &a, &b, &ties, low);
                for i in 0..a.len() {
                    prop_assert!(!strict.for_a[i] || lax.for_a[i]);
                    prop_assert!(!strict.for_b[i] || lax.for_b[i]);
                }
            }
        }
    }
}
