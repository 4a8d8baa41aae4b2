//! Planted flips: which labels are swapped in which round, and what comes of it.
//!
//! A judging is done in two rounds that plant other pairs, so that every pair is judged once with its
//! own label, by the same procedure as the planted ones.

use serde::{Deserialize, Serialize};

use crate::pairs::PairId;
use crate::train::{Dynamics, TrainPair};

/// Rounds of a pass; each plants other pairs.
pub const ROUNDS: usize = 2;

/// Largest share of the pairs that a round may plant, however few there are.
const MOST: f64 = 0.3;

/// How many pairs are planted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PlantingOptions {
    /// Share of the pairs planted in a round.
    pub share: f64,
    /// At least this many, as far as 30% of the pairs allow.
    pub at_least: usize,
    /// At most this many.
    pub at_most: usize,
}

impl Default for PlantingOptions {
    fn default() -> Self {
        Self {
            share: 0.05,
            at_least: 200,
            at_most: 5000,
        }
    }
}

/// Which pairs each round plants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rounds {
    /// By round: `[n_pairs]`.
    pub planted: [Vec<bool>; ROUNDS],
}

impl Rounds {
    /// Draws disjoint sets of pairs; see [`draw_plantings`].
    #[must_use]
    pub fn draw(ids: &[PairId], options: &PlantingOptions, seed: u64) -> Self {
        Self {
            planted: draw_plantings(ids, options, seed),
        }
    }

    /// The pairs with the labels of a round.
    #[must_use]
    pub fn swap(&self, round: usize, pairs: &[TrainPair]) -> Vec<TrainPair> {
        swap_labels(pairs, &self.planted[round])
    }

    /// The round in which a pair has its own label: the first, unless it was planted there.
    #[must_use]
    pub fn deciding(&self, pair: usize) -> usize {
        usize::from(self.planted[0][pair])
    }

    /// Scores of planted pairs in their rounds, and of all pairs, each in its deciding round.
    ///
    /// `scores`: by round, `[n_pairs]`.
    #[must_use]
    pub fn pool(&self, scores: &[Vec<f64>; ROUNDS]) -> (Vec<f64>, Vec<f64>) {
        let mut planted = Vec::new();
        for (scores, planting) in scores.iter().zip(&self.planted) {
            let of_planted = scores.iter().zip(planting).filter(|(_, planted)| **planted);
            planted.extend(of_planted.map(|(score, _)| *score));
        }
        let own = (0..scores[0].len()).map(|i| scores[self.deciding(i)][i]);
        (planted, own.collect())
    }

    /// Scores by round that do not depend on a pair's own label: those of planted pairs turn their sign.
    ///
    /// `suspicion`: under the labels as they stand, `[n_pairs]`.
    #[must_use]
    pub fn mirror(&self, suspicion: &[f64]) -> [Vec<f64>; ROUNDS] {
        self.planted.each_ref().map(|planted| {
            let pairs = suspicion.iter().zip(planted);
            pairs
                .map(|(&score, &planted)| if planted { -score } else { score })
                .collect()
        })
    }

    /// Dynamics of every pair from its deciding round.
    #[must_use]
    pub fn merge(&self, dynamics: [&Dynamics; ROUNDS]) -> Dynamics {
        let [first, second] = dynamics;
        let mut merged = first.clone();
        for (model, other) in merged.models.iter_mut().zip(&second.models) {
            for epoch in 0..first.n_epochs {
                for (i, _) in self.planted[0].iter().enumerate().filter(|(_, p)| **p) {
                    let at = epoch * first.n_pairs + i;
                    model.margin_online[at] = other.margin_online[at];
                    model.margin_end[at] = other.margin_end[at];
                    model.selected[at] = other.selected[at];
                }
            }
        }
        merged
    }
}

/// The pairs, with chosen and rejected changing places where `swapped` says so.
#[must_use]
pub fn swap_labels(pairs: &[TrainPair], swapped: &[bool]) -> Vec<TrainPair> {
    let swap = |pair: &TrainPair| TrainPair {
        texts: pair.texts.map(|[chosen, rejected]| [rejected, chosen]),
        ..*pair
    };
    let pairs = pairs.iter().zip(swapped);
    pairs
        .map(|(pair, &swapped)| if swapped { swap(pair) } else { *pair })
        .collect()
}

/// The ids of pairs whose labels are swapped where `swapped` says so.
#[must_use]
pub fn swap_ids(ids: &[PairId], swapped: &[bool]) -> Vec<PairId> {
    let swap = |id: PairId| PairId {
        orientation: id.orientation.swapped(),
        ..id
    };
    let ids = ids.iter().zip(swapped);
    ids.map(|(&id, &swapped)| if swapped { swap(id) } else { id })
        .collect()
}

/// Draws disjoint sets of pairs to plant, one for each round: `[n_pairs]` each.
///
/// The draw is by content id and seed, so that it depends neither on the order
/// of rows nor on the label. All repeats of a content are planted together.
#[must_use]
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "counts of pairs"
)]
pub fn draw_plantings(ids: &[PairId], config: &PlantingOptions, seed: u64) -> [Vec<bool>; ROUNDS] {
    let n = ids.len();
    let wanted =
        ((config.share * n as f64).round() as usize).clamp(config.at_least, config.at_most);
    let wanted = wanted.min((MOST * n as f64) as usize);
    let mut order: Vec<usize> = (0..n).collect();
    order.sort_by_cached_key(|&i| (ids[i].content.seeded_hash(seed), ids[i]));
    let mut plantings = [vec![false; n], vec![false; n]];
    let mut groups = order.chunk_by(|&i, &j| ids[i].content == ids[j].content);
    for planting in &mut plantings {
        let mut planted = 0;
        while planted < wanted
            && let Some(group) = groups.next()
        {
            for &i in group {
                planting[i] = true;
            }
            planted += group.len();
        }
    }
    plantings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pairs::ContentId;

    fn ids(n: usize) -> Vec<PairId> {
        (0..n)
            .map(|i| {
                let (content, orientation) = ContentId::of("p", &format!("a{}", i / 2), "b");
                PairId {
                    content,
                    orientation,
                    repeat: u32::from(i % 2 == 1),
                }
            })
            .collect()
    }

    #[test]
    fn rounds_plant_other_pairs_and_repeats_go_together() {
        let ids = ids(1000);
        let [a, b] = draw_plantings(&ids, &PlantingOptions::default(), 1);
        for planting in [&a, &b] {
            let planted = planting.iter().filter(|&&p| p).count();
            assert!((200..=201).contains(&planted), "{planted}");
            assert!(planting.chunks(2).all(|repeats| repeats[0] == repeats[1]));
        }
        assert!(a.iter().zip(&b).all(|(a, b)| !(a & b)));
        assert_ne!(draw_plantings(&ids, &PlantingOptions::default(), 2)[0], a);
    }

    #[test]
    fn mirrored_scores_turn_their_sign_where_a_pair_is_planted() {
        let rounds = Rounds {
            planted: [vec![true, false, false], vec![false, false, true]],
        };
        let scores = rounds.mirror(&[0.5, -1.0, 2.0]);
        assert_eq!(scores, [vec![-0.5, -1.0, 2.0], vec![0.5, -1.0, -2.0]]);
        let (planted, own) = rounds.pool(&scores);
        assert_eq!(planted, [-0.5, -2.0]);
        assert_eq!(own, [0.5, -1.0, 2.0]);
    }

    #[test]
    fn a_draw_does_not_depend_on_the_order_of_rows() {
        let forward = ids(1000);
        let backward: Vec<PairId> = forward.iter().rev().copied().collect();
        let [a, _] = draw_plantings(&forward, &PlantingOptions::default(), 1);
        let [mut b, _] = draw_plantings(&backward, &PlantingOptions::default(), 1);
        b.reverse();
        assert_eq!(a, b);
    }

    #[test]
    fn small_data_is_never_planted_through() {
        let [a, b] = draw_plantings(&ids(20), &PlantingOptions::default(), 1);
        assert_eq!(a.iter().filter(|&&p| p).count(), 6);
        assert_eq!(b.iter().filter(|&&p| p).count(), 6);
        assert!(draw_plantings(&[], &PlantingOptions::default(), 1)[0].is_empty());
    }
}
