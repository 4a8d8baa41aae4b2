//! Which pairs are planted in which round.

use super::config::PlantingConfig;
use crate::pairs::PairId;

/// Rounds of a pass; each plants other pairs.
pub const ROUNDS: usize = 2;

/// Largest share of the pairs that a round may plant, however few there are.
const MOST: f64 = 0.3;

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
pub fn draw_plantings(ids: &[PairId], config: &PlantingConfig, seed: u64) -> [Vec<bool>; ROUNDS] {
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
        let [a, b] = draw_plantings(&ids, &PlantingConfig::default(), 1);
        for planting in [&a, &b] {
            let planted = planting.iter().filter(|&&p| p).count();
            assert!((200..=201).contains(&planted), "{planted}");
            assert!(planting.chunks(2).all(|repeats| repeats[0] == repeats[1]));
        }
        assert!(a.iter().zip(&b).all(|(a, b)| !(a & b)));
        assert_ne!(draw_plantings(&ids, &PlantingConfig::default(), 2)[0], a);
    }

    #[test]
    fn a_draw_does_not_depend_on_the_order_of_rows() {
        let forward = ids(1000);
        let backward: Vec<PairId> = forward.iter().rev().copied().collect();
        let [a, _] = draw_plantings(&forward, &PlantingConfig::default(), 1);
        let [mut b, _] = draw_plantings(&backward, &PlantingConfig::default(), 1);
        b.reverse();
        assert_eq!(a, b);
    }

    #[test]
    fn small_data_is_never_planted_through() {
        let [a, b] = draw_plantings(&ids(20), &PlantingConfig::default(), 1);
        assert_eq!(a.iter().filter(|&&p| p).count(), 6);
        assert_eq!(b.iter().filter(|&&p| p).count(), 6);
        assert!(draw_plantings(&[], &PlantingConfig::default(), 1)[0].is_empty());
    }
}
