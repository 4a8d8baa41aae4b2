//! Isotonic regression by pooling adjacent violators.

use super::stats::real;

/// Weighted least-squares fit that never falls, for values in order.
///
/// # Source
/// Barlow et al. (1972); same result as scikit-learn's `isotonic_regression`.
#[must_use]
pub fn pool_adjacent_violators(values: &[f64], weights: &[f64]) -> Vec<f64> {
    // blocks of (mean, weight, length)
    let mut blocks: Vec<(f64, f64, usize)> = Vec::with_capacity(values.len());
    for (&value, &weight) in values.iter().zip(weights) {
        let mut block = (value, weight, 1);
        while let Some(&last) = blocks.last() {
            if last.0 < block.0 {
                break;
            }
            blocks.pop();
            let total = last.1 + block.1;
            let mean = if total > 0.0 {
                (last.0 * last.1 + block.0 * block.1) / total
            } else {
                last.0
            };
            block = (mean, total, last.2 + block.2);
        }
        blocks.push(block);
    }
    let spread = blocks.into_iter();
    spread
        .flat_map(|(mean, _, n)| std::iter::repeat_n(mean, n))
        .collect()
}

/// Isotonic regression of `y` on `x`; equal `x` get one value. Returns (x, fitted) with x ascending and distinct.
#[must_use]
pub fn isotonic(x: &[f64], y: &[f64], weights: &[f64]) -> Vec<(f64, f64)> {
    let mut order: Vec<usize> = (0..x.len()).collect();
    order.sort_by(|&a, &b| x[a].total_cmp(&x[b]));
    let mut points: Vec<(f64, f64, f64)> = Vec::new();
    for i in order {
        match points.last_mut() {
            #[expect(clippy::float_cmp, reason = "a tie is exact equality")]
            Some(last) if last.0 == x[i] => {
                last.1 += y[i] * weights[i];
                last.2 += weights[i];
            }
            _ => points.push((x[i], y[i] * weights[i], weights[i])),
        }
    }
    let values: Vec<f64> = points.iter().map(|p| p.1 / p.2).collect();
    let weights: Vec<f64> = points.iter().map(|p| p.2).collect();
    let fitted = pool_adjacent_violators(&values, &weights);
    points.into_iter().map(|p| p.0).zip(fitted).collect()
}

/// A monotone step function of a score.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Steps {
    /// Lower edge of each step, ascending.
    edges: Vec<f64>,
    values: Vec<f64>,
}

impl Steps {
    /// P's share of density, `f_P / (f_P + f_U)`, as a non-decreasing function of the score.
    ///
    /// Scores are first grouped, at least 20 at a time, so that a lone planted
    /// pair at an end does not make a step of its own.
    #[must_use]
    pub fn planted_share(planted: &[f64], unplanted: &[f64]) -> Self {
        let (p_weight, u_weight) = (1.0 / real(planted.len()), 1.0 / real(unplanted.len()));
        let mut all: Vec<(f64, bool)> = planted.iter().map(|&s| (s, true)).collect();
        all.extend(unplanted.iter().map(|&s| (s, false)));
        all.sort_by(|a, b| a.0.total_cmp(&b.0));
        let size = (all.len() / 150).max(20);
        let (mut edges, mut shares, mut weights) = (Vec::new(), Vec::new(), Vec::new());
        let mut start = 0;
        while start < all.len() {
            let mut end = (start + size).min(all.len());
            if all.len() - end < size {
                end = all.len();
            }
            #[expect(clippy::float_cmp, reason = "a tie is exact equality")]
            while end < all.len() && all[end].0 == all[end - 1].0 {
                end += 1;
            }
            let p = p_weight * real(all[start..end].iter().filter(|a| a.1).count());
            let u = u_weight * real(all[start..end].iter().filter(|a| !a.1).count());
            edges.push(all[start].0);
            shares.push(p / (p + u));
            weights.push(p + u);
            start = end;
        }
        Self {
            values: pool_adjacent_violators(&shares, &weights),
            edges,
        }
    }

    /// The same steps with each value passed through `f`.
    #[must_use]
    pub fn map(&self, f: impl Fn(f64) -> f64) -> Self {
        Self {
            edges: self.edges.clone(),
            values: self.values.iter().map(|&v| f(v)).collect(),
        }
    }

    /// Value at a score; that of the first step below all of them, 0 without steps.
    #[must_use]
    pub fn at(&self, score: f64) -> f64 {
        let step = self
            .edges
            .partition_point(|&e| e <= score)
            .saturating_sub(1);
        self.values.get(step).copied().unwrap_or(0.0)
    }
}
