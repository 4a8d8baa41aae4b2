//! The noise rate from the *shape* of the planted-against-unplanted curve.
//!
//! η is not identified by P and U alone. What pins it is an assumption on the
//! detector. Here: some monotone transform makes the suspicion of right labels
//! N(0, 1) and that of wrong labels N(μ, σ²) (binormal ROC, the transform left
//! free), with σ near 1 because a reward margin is antisymmetric: swapping the
//! sides of a pair reverses it. A strong detector under this family reaches a
//! plateau of P/U at both ends and η is sharp; a weak one never does, and the
//! posterior says so by reaching down to small η. That is what the anchor alone
//! cannot say: it takes the lowest P/U it meets for η, however weak the detector.
//!
//! The posterior over (η, μ, σ) is computed on a grid, flat in η and μ, from the
//! counts of P between quantiles; thresholds are matched on U, whose own sampling
//! error enters by discounting the likelihood by `n_U / (n_U + n_P)`.

use super::stats::{Interval, normal_cdf, quantile_sorted, real, weighted_quantile};

/// Grid of the latent axis, and of the parameters.
const Z_LOW: f64 = -6.0;
const Z_STEP: f64 = 1.0 / 40.0;
const Z_COUNT: usize = 721;
const BINS: usize = 14;
/// Standard deviation of ln σ around 0; 0.3 covers scores that see the pair in training.
const LN_SIGMA_SD: f64 = 0.3;

/// A cell of the posterior.
#[derive(Debug, Clone, Copy)]
struct Cell {
    eta: f64,
    mu: f64,
    sigma: f64,
    weight: f64,
}

/// Posterior of noise rate and detector strength under the binormal family.
#[derive(Debug, Clone)]
pub struct ShapeFit {
    cells: Vec<Cell>,
}

/// Scores as counts between thresholds.
struct Binned {
    /// Share of U below each edge.
    below: Vec<f64>,
    /// P in each bin, one more than edges.
    planted: Vec<f64>,
    discount: f64,
}

impl Binned {
    fn new(planted: &[f64], unplanted: &[f64]) -> Option<Self> {
        if planted.len() < 2 || unplanted.len() < 2 {
            return None;
        }
        let sorted = |values: &[f64]| {
            let mut values = values.to_vec();
            values.sort_by(f64::total_cmp);
            values
        };
        let (p, u) = (sorted(planted), sorted(unplanted));
        let regular = (1..BINS).map(|k| real(k) / real(BINS));
        let ends = [0.01, 0.02, 0.98, 0.99].into_iter();
        let mut edges: Vec<f64> = regular
            .clone()
            .chain(ends)
            .map(|q| quantile_sorted(&u, q))
            .collect();
        edges.extend(regular.map(|q| quantile_sorted(&p, q)));
        edges.sort_by(f64::total_cmp);
        edges.dedup();
        let count_below = |values: &[f64], edge: f64| real(values.partition_point(|&v| v < edge));
        let half = 0.5 / real(u.len());
        let below = edges
            .iter()
            .map(|&e| (count_below(&u, e) / real(u.len())).clamp(half, 1.0 - half));
        let mut counts = Vec::with_capacity(edges.len() + 1);
        let mut before = 0.0;
        for &edge in &edges {
            let now = count_below(&p, edge);
            counts.push(now - before);
            before = now;
        }
        counts.push(real(p.len()) - before);
        Some(Self {
            below: below.collect(),
            planted: counts,
            discount: real(u.len()) / real(u.len() + p.len()),
        })
    }
}

/// Distribution functions of right and wrong labels on the latent grid.
struct Latent {
    right: Vec<f64>,
    wrong: Vec<f64>,
}

impl Latent {
    fn new(mu: f64, sigma: f64) -> Self {
        let grid = (0..Z_COUNT).map(|i| Z_LOW + Z_STEP * real(i));
        Self {
            right: grid.clone().map(normal_cdf).collect(),
            wrong: grid.map(|z| normal_cdf((z - mu) / sigma)).collect(),
        }
    }

    /// For ascending shares of U below a threshold: (right below, wrong below).
    fn at(&self, eta: f64, shares: &[f64]) -> Vec<(f64, f64)> {
        let mix = |i: usize| (1.0 - eta) * self.right[i] + eta * self.wrong[i];
        let mut i = 1;
        let mut out = Vec::with_capacity(shares.len());
        for &share in shares {
            while i + 1 < Z_COUNT && mix(i) < share {
                i += 1;
            }
            let (low, high) = (mix(i - 1), mix(i));
            let part = if high > low {
                ((share - low) / (high - low)).clamp(0.0, 1.0)
            } else {
                0.0
            };
            let between = |values: &[f64]| values[i - 1] + part * (values[i] - values[i - 1]);
            out.push((between(&self.right), between(&self.wrong)));
        }
        out
    }
}

fn linear(low: f64, high: f64, count: usize) -> Vec<f64> {
    (0..count)
        .map(|i| low + (high - low) * real(i) / real(count - 1))
        .collect()
}

/// Log posterior on a grid.
fn grid(binned: &Binned, etas: &[f64], mus: &[f64], sigmas: &[f64]) -> Vec<Cell> {
    let mut cells = Vec::with_capacity(etas.len() * mus.len() * sigmas.len());
    for &mu in mus {
        for &sigma in sigmas {
            let latent = Latent::new(mu, sigma);
            let prior = -0.5 * (sigma.ln() / LN_SIGMA_SD).powi(2);
            for &eta in etas {
                let mut before = 0.0;
                let mut log = 0.0;
                let below = latent.at(eta, &binned.below);
                let shares = below
                    .iter()
                    .map(|(right, wrong)| eta * right + (1.0 - eta) * wrong);
                for (now, count) in shares.chain([1.0]).zip(&binned.planted) {
                    log += count * (now - before).max(1e-9).ln();
                    before = now;
                }
                cells.push(Cell {
                    eta,
                    mu,
                    sigma,
                    weight: log * binned.discount + prior,
                });
            }
        }
    }
    cells
}

impl ShapeFit {
    /// Posterior given planted and unplanted scores (higher = more suspicious).
    ///
    /// `None` with fewer than two of either.
    #[must_use]
    pub fn new(planted: &[f64], unplanted: &[f64]) -> Option<Self> {
        let binned = Binned::new(planted, unplanted)?;
        let sigmas = [0.5, 0.65, 0.8, 1.0, 1.25, 1.55, 1.95];
        let mut cells = grid(
            &binned,
            &linear(0.002, 0.48, 25),
            &linear(0.0, 5.6, 29),
            &sigmas,
        );
        // a sharp posterior falls between the points of a coarse grid: look closer, twice
        for _ in 0..2 {
            let best = cells
                .iter()
                .map(|c| c.weight)
                .fold(f64::NEG_INFINITY, f64::max);
            let likely: Vec<&Cell> = cells.iter().filter(|c| c.weight > best - 7.0).collect();
            let range = |of: fn(&Cell) -> f64, pad: f64, least: f64, most: f64| {
                let low = likely.iter().map(|c| of(c)).fold(f64::INFINITY, f64::min);
                let high = likely
                    .iter()
                    .map(|c| of(c))
                    .fold(f64::NEG_INFINITY, f64::max);
                ((low - pad).max(least), (high + pad).min(most))
            };
            let (eta, mu, sigma) = (
                range(|c| c.eta, 0.01, 0.001, 0.49),
                range(|c| c.mu, 0.1, 0.0, 6.0),
                range(|c| c.sigma.ln(), 0.08, -0.9, 0.9),
            );
            let sigmas: Vec<f64> = linear(sigma.0, sigma.1, 9)
                .iter()
                .map(|s| s.exp())
                .collect();
            cells = grid(
                &binned,
                &linear(eta.0, eta.1, 24),
                &linear(mu.0, mu.1, 24),
                &sigmas,
            );
        }
        let best = cells
            .iter()
            .map(|c| c.weight)
            .fold(f64::NEG_INFINITY, f64::max);
        cells.retain(|c| c.weight > best - 9.0);
        let total: f64 = cells.iter().map(|c| (c.weight - best).exp()).sum();
        for cell in &mut cells {
            cell.weight = (cell.weight - best).exp() / total;
        }
        Some(Self { cells })
    }

    fn quantile(&self, of: impl Fn(&Cell) -> f64, q: f64) -> f64 {
        let values: Vec<f64> = self.cells.iter().map(of).collect();
        let weights: Vec<f64> = self.cells.iter().map(|c| c.weight).collect();
        weighted_quantile(&values, &weights, q)
    }

    fn summary(&self, of: impl Fn(&Cell) -> f64 + Copy, level: f64) -> (f64, Interval) {
        let tail = (1.0 - level) / 2.0;
        let interval = Interval {
            low: self.quantile(of, tail),
            high: self.quantile(of, 1.0 - tail),
            level,
        };
        (self.quantile(of, 0.5), interval)
    }

    /// Noise rate: posterior median and interval.
    #[must_use]
    pub fn eta(&self, level: f64) -> (f64, Interval) {
        self.summary(|c| c.eta, level)
    }

    /// AUROC of wrong against right labels: posterior median and interval.
    #[must_use]
    pub fn auroc(&self, level: f64) -> (f64, Interval) {
        self.summary(
            |c| normal_cdf(c.mu / (1.0 + c.sigma * c.sigma).sqrt()),
            level,
        )
    }

    /// Noise rates with their posterior weights.
    #[must_use]
    pub fn eta_weights(&self) -> Vec<(f64, f64)> {
        let mut out: Vec<(f64, f64)> = Vec::new();
        let mut pairs: Vec<(f64, f64)> = self.cells.iter().map(|c| (c.eta, c.weight)).collect();
        pairs.sort_by(|a, b| a.0.total_cmp(&b.0));
        for (eta, weight) in pairs {
            match out.last_mut() {
                Some(last) if (last.0 - eta).abs() < 1e-12 => last.1 += weight,
                _ => out.push((eta, weight)),
            }
        }
        out
    }

    /// Share of right labels among the most suspicious pairs, for each share of U tagged.
    ///
    /// Gives (posterior mean, upper bound at one-sided `level`) per entry of `tagged`,
    /// which must descend (shares of U at or above a threshold, each above 0).
    #[must_use]
    pub fn wrong_tags(&self, tagged: &[f64], level: f64) -> Vec<(f64, f64)> {
        let below: Vec<f64> = tagged.iter().map(|share| 1.0 - share).collect();
        let mut values = vec![Vec::with_capacity(self.cells.len()); tagged.len()];
        let mut latent = (f64::NAN, f64::NAN, None);
        for cell in &self.cells {
            #[expect(clippy::float_cmp, reason = "the grid repeats the very same numbers")]
            if latent.0 != cell.mu || latent.1 != cell.sigma {
                latent = (cell.mu, cell.sigma, Some(Latent::new(cell.mu, cell.sigma)));
            }
            let Some(curve) = &latent.2 else { continue };
            for ((right, _), (share, out)) in curve
                .at(cell.eta, &below)
                .into_iter()
                .zip(tagged.iter().zip(&mut values))
            {
                out.push(((1.0 - cell.eta) * (1.0 - right) / share).clamp(0.0, 1.0));
            }
        }
        let weights: Vec<f64> = self.cells.iter().map(|c| c.weight).collect();
        values
            .iter()
            .map(|fdr| {
                let mean = fdr.iter().zip(&weights).map(|(f, w)| f * w).sum();
                (mean, weighted_quantile(fdr, &weights, level))
            })
            .collect()
    }
}
