//! How many bands of how many rows a sketch is cut into.

use serde::{Deserialize, Serialize};

use super::NearOptions;

/// Least chance that two texts exactly at the threshold share a band.
pub const MIN_RECALL: f64 = 0.95;

/// Bands of a sketch: two texts are candidates when all rows of any one band are equal.
///
/// A pair of Jaccard similarity `s` becomes a candidate with the chance
/// `1 - (1 - s^rows)^bands`, which rises steeply around the threshold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Banding {
    /// Number of bands.
    pub bands: usize,
    /// Minima a band.
    pub rows: usize,
}

impl Banding {
    /// The most rows a band (fewest false candidates) that still find a pair at the threshold
    /// with a chance of [`MIN_RECALL`]; single rows where no banding does.
    ///
    /// 128 permutations at 0.8 make 18 bands of 7: 0.986 at 0.8, 0.9999 at 0.9, 0.13 at 0.5.
    #[must_use]
    pub fn choose(options: &NearOptions) -> Self {
        let of_rows = |rows| Self {
            bands: options.permutations / rows,
            rows,
        };
        (1..=options.permutations)
            .rev()
            .map(of_rows)
            .find(|banding| banding.recall_at(options.threshold) >= MIN_RECALL)
            .unwrap_or_else(|| of_rows(1))
    }

    /// Chance, 0 to 1, that two texts of this Jaccard similarity become candidates.
    #[must_use]
    pub fn recall_at(self, similarity: f64) -> f64 {
        let exponent = |n: usize| i32::try_from(n).unwrap_or(i32::MAX);
        1.0 - (1.0 - similarity.powi(exponent(self.rows))).powi(exponent(self.bands))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(threshold: f64, permutations: usize) -> Banding {
        Banding::choose(&NearOptions {
            threshold,
            permutations,
            ..NearOptions::default()
        })
    }

    #[test]
    fn bands_follow_the_threshold() {
        assert_eq!(at(0.8, 128), Banding { bands: 18, rows: 7 });
        assert!((at(0.8, 128).recall_at(0.8) - 0.985_5).abs() < 1e-3);
        for threshold in [0.5, 0.7, 0.9, 0.99] {
            for permutations in [64, 128, 256] {
                let banding = at(threshold, permutations);
                assert!(banding.recall_at(threshold) >= MIN_RECALL, "{threshold}");
                assert!(banding.bands * banding.rows <= permutations);
            }
        }
        // at 1 every band agrees, so one band of all is enough
        assert_eq!(
            at(1.0, 128),
            Banding {
                bands: 1,
                rows: 128
            }
        );
    }
}
