//! How many labels are wrong (η), from several sides, and whether they agree.
//!
//! P and U alone fit η = 0 always; every estimate here rests on something more:
//!
//! | estimate | rests on |
//! | --- | --- |
//! | [`Anchor`] | the most trusted region holds no wrong labels; too high for weak detectors |
//! | [`super::shape`] | a smooth detector of one shape at every score; wide for weak detectors |
//! | [`GaussianMixture`] | right and wrong labels each have Gaussian losses |
//! | [`ConfidentJoint`] | cross-fit probabilities are right on average per class |
//! | allowed range | nothing: densities cannot be negative |

use rand::RngExt;
use serde::{Deserialize, Serialize};

use super::shape::ShapeFit;
use super::stats::{
    Interval, bootstrap_interval, draw_gamma, mean, median, quantile_sorted, real, seeded_rng,
};

/// Shares of U that make the trusted regions: the least suspicious 25%, 35% and 50%.
///
/// Smaller ones hold too few planted pairs: with 10% and 15% among them the
/// nominal 90% interval covered 75% at η = 0.05; with these, 86% to 94%.
const TRUSTED: [f64; 3] = [0.25, 0.35, 0.5];
/// More regions for the cautious η of each draw, which is to err downwards.
const CAUTIOUS: [f64; 6] = [0.05, 0.1, 0.15, 0.25, 0.35, 0.5];
/// Shares of U that make the suspicious regions for the allowed range and the cautious η.
const SUSPICIOUS: [f64; 3] = [0.05, 0.1, 0.2];

/// The anchor estimate: the smallest value of P/(P+U) over the trusted regions.
#[derive(Debug, Clone, PartialEq)]
pub struct Anchor {
    /// Estimate, with the bias of taking a minimum removed.
    pub eta: f64,
    /// Its interval.
    pub interval: Interval,
    /// Joint draws for the bound on wrong tags.
    pub draws: Vec<AnchorDraw>,
}

/// One draw of everything that the anchor and the tag threshold need together.
#[derive(Debug, Clone, PartialEq)]
pub struct AnchorDraw {
    /// Smallest P/(P+U) over the trusted regions.
    pub eta: f64,
    /// Smallest over more and smaller trusted regions, and of U/(P+U) over suspicious
    /// ones: lower than η on average, which protects tags.
    pub cautious: f64,
    /// For each threshold asked for: shares of (P, U) at or above it.
    pub above: Vec<(f64, f64)>,
}

impl Anchor {
    /// Anchor estimate from planted and unplanted scores, with joint draws of the
    /// shares above `thresholds` (ascending).
    ///
    /// Counts between regions are drawn as gamma variables (the posterior of
    /// Poisson counts; ½ added to the planted count of the first region, where it
    /// can be 0). The minimum is pulled down by noise; the distance between the
    /// estimate and the median of its draws measures by how much, and the interval
    /// is moved up by once that at its lower and twice that at its upper end.
    ///
    /// `None` if either side is empty.
    #[must_use]
    pub fn new(
        planted: &[f64],
        unplanted: &[f64],
        thresholds: &[f64],
        draws: usize,
        level: f64,
        seed: u64,
    ) -> Option<Self> {
        if planted.is_empty() || unplanted.is_empty() {
            return None;
        }
        let mut sorted = unplanted.to_vec();
        sorted.sort_by(f64::total_cmp);
        let trusted = TRUSTED.map(|share| quantile_sorted(&sorted, share));
        let cautious = CAUTIOUS.map(|share| quantile_sorted(&sorted, share));
        let suspicious = SUSPICIOUS.map(|share| quantile_sorted(&sorted, 1.0 - share));
        let fixed = trusted.iter().chain(&cautious).chain(&suspicious);
        let mut edges: Vec<f64> = fixed.chain(thresholds).copied().collect();
        edges.sort_by(f64::total_cmp);
        edges.dedup();
        let trusted = trusted.map(|t| edges.partition_point(|&e| e < t));
        let cautious = cautious.map(|t| edges.partition_point(|&e| e < t));
        let suspicious = suspicious.map(|t| edges.partition_point(|&e| e < t));
        let above: Vec<usize> = thresholds
            .iter()
            .map(|&t| edges.partition_point(|&e| e < t))
            .collect();
        let counts = |scores: &[f64]| {
            let mut counts = vec![0.0; edges.len() + 1];
            for &score in scores {
                counts[edges.partition_point(|&e| e <= score)] += 1.0;
            }
            counts
        };
        let (mut p, u) = (counts(planted), counts(unplanted));
        let estimate = smallest_share(&p, &u, &trusted);
        p[0] += 0.5;
        let mut rng = seeded_rng(seed);
        let draws: Vec<AnchorDraw> = (0..draws)
            .map(|_| {
                let p: Vec<f64> = p.iter().map(|&c| draw_gamma(c, &mut rng)).collect();
                let u: Vec<f64> = u.iter().map(|&c| draw_gamma(c, &mut rng)).collect();
                let tail = |c: &[f64], edge: usize| {
                    c[edge + 1..].iter().sum::<f64>() / c.iter().sum::<f64>()
                };
                let upper = |&e: &usize| {
                    let (p, u) = (tail(&p, e), tail(&u, e));
                    if p + u > 0.0 { u / (p + u) } else { 0.5 }
                };
                AnchorDraw {
                    eta: smallest_share(&p, &u, &trusted),
                    cautious: suspicious
                        .iter()
                        .map(upper)
                        .fold(smallest_share(&p, &u, &cautious), f64::min),
                    above: above.iter().map(|&e| (tail(&p, e), tail(&u, e))).collect(),
                }
            })
            .collect();
        let mut etas: Vec<f64> = draws.iter().map(|d| d.eta).collect();
        let bias = (estimate - median(&etas)?).max(0.0);
        let raw = Interval::of_draws(&mut etas, level)?;
        Some(Self {
            eta: (estimate + bias).min(0.5),
            interval: Interval {
                low: (raw.low + bias).min(0.5),
                high: (raw.high + 2.0 * bias).min(0.5),
                level,
            },
            draws,
        })
    }
}

/// Smallest normalised P/(P+U) over prefixes that end with bin `ends[k]`.
fn smallest_share(planted: &[f64], unplanted: &[f64], ends: &[usize]) -> f64 {
    let share = |counts: &[f64], end: usize| {
        counts[..=end].iter().sum::<f64>() / counts.iter().sum::<f64>()
    };
    let ratio = |&end: &usize| {
        let (p, u) = (share(planted, end), share(unplanted, end));
        if p + u > 0.0 { p / (p + u) } else { 0.5 }
    };
    ends.iter().map(ratio).fold(0.5, f64::min)
}

/// Largest η that leaves no region with a negative density of right or wrong labels.
///
/// Point values at the ends of the score; the lower end of the range is always 0.
#[must_use]
pub fn largest_allowed(planted: &[f64], unplanted: &[f64]) -> f64 {
    if planted.is_empty() || unplanted.is_empty() {
        return 0.5;
    }
    let mut sorted = unplanted.to_vec();
    sorted.sort_by(f64::total_cmp);
    let share = |scores: &[f64], inside: &dyn Fn(f64) -> bool| {
        real(scores.iter().filter(|&&s| inside(s)).count()) / real(scores.len())
    };
    let mut largest = 0.5_f64;
    for q in TRUSTED {
        let edge = quantile_sorted(&sorted, q);
        let (p, u) = (
            share(planted, &|s| s <= edge),
            share(unplanted, &|s| s <= edge),
        );
        largest = largest.min(p / (p + u));
    }
    for q in SUSPICIOUS {
        let edge = quantile_sorted(&sorted, 1.0 - q);
        let (p, u) = (
            share(planted, &|s| s >= edge),
            share(unplanted, &|s| s >= edge),
        );
        largest = largest.min(u / (p + u));
    }
    largest
}

/// Two Gaussians on the min-max normalised mean loss (`DivideMix`, arXiv:2002.07394).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GaussianMixture {
    /// Weight of the component with the higher mean: its estimate of η.
    pub eta: f64,
    /// Bootstrap interval of `eta`, where one was asked for. It holds the noise of sampling, not
    /// the error of the assumption.
    pub interval: Option<Interval>,
    /// Means, low then high, on the normalised scale.
    pub means: [f64; 2],
    /// Standard deviations, in the same order.
    pub stds: [f64; 2],
    /// Distance of the means in pooled standard deviations; under 2 the components overlap and η means little.
    pub separation: f64,
    /// Posterior of the high component per pair.
    #[serde(skip)]
    pub posterior: Vec<f64>,
}

/// Weight, means and variances of two Gaussians.
#[derive(Debug, Clone, Copy)]
struct Components {
    eta: f64,
    means: [f64; 2],
    variances: [f64; 2],
}

impl Components {
    /// Expectation maximisation from these components on values that count `weights` times;
    /// fills `posterior` with that of the second component.
    fn maximise(mut self, x: &[f64], weights: &[f64], most: usize, posterior: &mut [f64]) -> Self {
        let total_weight: f64 = weights.iter().sum();
        let mut before = f64::NEG_INFINITY;
        for _ in 0..most {
            let constant = |k: usize, weight: f64| {
                weight.ln() - 0.5 * (std::f64::consts::TAU * self.variances[k]).ln()
            };
            let constants = [constant(0, 1.0 - self.eta), constant(1, self.eta)];
            let log_density = |v: f64, k: usize| {
                constants[k] - 0.5 * (v - self.means[k]).powi(2) / self.variances[k]
            };
            let mut log_likelihood = 0.0;
            for ((p, &v), &weight) in posterior.iter_mut().zip(x).zip(weights) {
                let (a, b) = (log_density(v, 0), log_density(v, 1));
                let top = a.max(b);
                let total = top + ((a - top).exp() + (b - top).exp()).ln();
                *p = (b - total).exp();
                log_likelihood += weight * total;
            }
            let log_likelihood = log_likelihood / total_weight;
            let all = || x.iter().zip(posterior.iter()).zip(weights);
            for k in 0..2 {
                let share = |p: f64| if k == 0 { 1.0 - p } else { p };
                let sum = all().map(|((_, &p), w)| w * share(p)).sum::<f64>() + 10.0 * f64::EPSILON;
                self.means[k] = all().map(|((v, &p), w)| w * share(p) * v).sum::<f64>() / sum;
                let centre = self.means[k];
                let squares = all().map(|((v, &p), w)| w * share(p) * (v - centre).powi(2));
                self.variances[k] = squares.sum::<f64>() / sum + 1e-6;
            }
            self.eta = all().map(|((_, p), w)| w * p).sum::<f64>() / total_weight;
            if (log_likelihood - before).abs() < 1e-9 {
                break;
            }
            before = log_likelihood;
        }
        self
    }
}

impl GaussianMixture {
    /// Fits by expectation maximisation from the 10% and 90% quantiles, as
    /// scikit-learn's `GaussianMixture` from the same start.
    ///
    /// `None` for fewer than two values or constant ones.
    #[must_use]
    pub fn fit(loss: &[f64]) -> Option<Self> {
        let x = normalised(loss)?;
        let mut sorted = x.clone();
        sorted.sort_by(f64::total_cmp);
        let centre = mean(&x);
        let variance = x.iter().map(|v| (v - centre).powi(2)).sum::<f64>() / real(x.len());
        let start = Components {
            eta: 0.5,
            means: [quantile_sorted(&sorted, 0.1), quantile_sorted(&sorted, 0.9)],
            variances: [variance; 2],
        };
        let mut posterior = vec![0.0; x.len()];
        let found = start.maximise(&x, &vec![1.0; x.len()], 2000, &mut posterior);
        let Components {
            mut eta,
            mut means,
            mut variances,
        } = found;
        if means[0] > means[1] {
            means.swap(0, 1);
            variances.swap(0, 1);
            eta = 1.0 - eta;
            for p in &mut posterior {
                *p = 1.0 - *p;
            }
        }
        Some(Self {
            eta,
            interval: None,
            means,
            stds: variances.map(f64::sqrt),
            separation: (means[1] - means[0]) / f64::midpoint(variances[0], variances[1]).sqrt(),
            posterior,
        })
    }

    /// The same with a percentile bootstrap interval of η over the pairs whose losses it was
    /// fitted to.
    ///
    /// Each draw fits again from the components found, on the losses in 400 bins that count a
    /// Poisson-like number of times (gamma variables of the same mean and variance).
    #[must_use]
    pub fn with_interval(mut self, loss: &[f64], options: &BootstrapOptions) -> Self {
        /// Bins of the normalised loss.
        const BINS: usize = 400;
        let Some(x) = normalised(loss) else {
            return self;
        };
        let mut counts = vec![0.0; BINS];
        for v in x {
            counts[bin_of(v, BINS)] += 1.0;
        }
        let centres: Vec<f64> = (0..BINS).map(|k| (real(k) + 0.5) / real(BINS)).collect();
        let (centres, counts): (Vec<f64>, Vec<f64>) = centres
            .into_iter()
            .zip(counts)
            .filter(|(_, n)| *n > 0.0)
            .unzip();
        let start = Components {
            eta: self.eta.clamp(1e-6, 1.0 - 1e-6),
            means: self.means,
            variances: self.stds.map(|s| s * s),
        };
        let mut rng = seeded_rng(options.seed);
        let mut posterior = vec![0.0; centres.len()];
        let mut draws: Vec<f64> = (0..options.draws)
            .map(|_| {
                let weights: Vec<f64> = counts.iter().map(|&n| draw_gamma(n, &mut rng)).collect();
                start.maximise(&centres, &weights, 200, &mut posterior).eta
            })
            .collect();
        self.interval = Interval::of_draws(&mut draws, options.level);
        self
    }
}

/// Settings of the bootstrap of an estimate.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BootstrapOptions {
    /// Level of the interval.
    pub level: f64,
    /// Draws.
    pub draws: usize,
    /// Seed of the draws.
    pub seed: u64,
}

/// Values moved to 0 to 1; `None` for fewer than two or constant ones.
fn normalised(loss: &[f64]) -> Option<Vec<f64>> {
    let low = loss.iter().copied().fold(f64::INFINITY, f64::min);
    let high = loss.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    if loss.len() < 2 || !(high - low).is_finite() || high <= low {
        return None;
    }
    Some(loss.iter().map(|l| (l - low) / (high - low)).collect())
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a value from 0 to 1 times a small count"
)]
fn bin_of(value: f64, bins: usize) -> usize {
    ((value * real(bins)) as usize).min(bins - 1)
}

/// Joint distribution of given and true label (confident learning, arXiv:1911.00068).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ConfidentJoint {
    /// `joint[given][true]`, summing to 1; class 1 is "the first side by content is better".
    pub joint: [[f64; 2]; 2],
    /// Off-diagonal mass: its estimate of η.
    pub eta: f64,
    /// Bootstrap interval of `eta`, where one was asked for. It holds the noise of sampling, not
    /// the error of the assumption.
    pub interval: Option<Interval>,
}

impl ConfidentJoint {
    /// From cross-fit probabilities that the first side (by content, so that the
    /// classes are balanced by nature) is better, and whether the label says so.
    ///
    /// `None` unless both classes occur.
    #[must_use]
    pub fn new(p_first: &[f64], label_first: &[bool]) -> Option<Self> {
        let pairs = p_first.iter().copied().zip(label_first.iter().copied());
        Self::of(pairs)
    }

    /// [`ConfidentJoint::new`] with a percentile bootstrap interval of η over the pairs.
    #[must_use]
    pub fn with_interval(
        p_first: &[f64],
        label_first: &[bool],
        options: &BootstrapOptions,
    ) -> Option<Self> {
        let whole = Self::new(p_first, label_first)?;
        let n = p_first.len().min(label_first.len());
        let interval = bootstrap_interval(n, options.draws, options.level, options.seed, |items| {
            let pairs = items.iter().map(|&i| (p_first[i], label_first[i]));
            Self::of(pairs).map(|joint| joint.eta)
        });
        Some(Self { interval, ..whole })
    }

    fn of(pairs: impl Iterator<Item = (f64, bool)> + Clone) -> Option<Self> {
        let mut sums = [(0.0, 0.0); 2];
        for (p, label) in pairs.clone() {
            let class = usize::from(label);
            sums[class].0 += if label { p } else { 1.0 - p };
            sums[class].1 += 1.0;
        }
        if sums.iter().any(|s| s.1 == 0.0) {
            return None;
        }
        let threshold = sums.map(|s| s.0 / s.1 - 1e-6);
        let mut joint = [[0.0; 2]; 2];
        for (p, label) in pairs {
            let (zero, one) = (1.0 - p >= threshold[0], p >= threshold[1]);
            let class = match (zero, one) {
                (false, false) => continue,
                (true, true) => usize::from(p > 1.0 - p),
                (_, one) => usize::from(one),
            };
            joint[usize::from(label)][class] += 1.0;
        }
        let n = sums[0].1 + sums[1].1;
        for (row, sum) in joint.iter_mut().zip(&sums) {
            let total = row[0] + row[1];
            if total > 0.0 {
                for cell in row {
                    *cell *= sum.1 / (total * n);
                }
            }
        }
        let all: f64 = joint.iter().flatten().sum();
        for cell in joint.iter_mut().flatten() {
            *cell /= all;
        }
        Some(Self {
            joint,
            eta: joint[0][1] + joint[1][0],
            interval: None,
        })
    }
}

/// An estimate of η with its interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Rate {
    /// Estimate.
    pub eta: f64,
    /// Its interval.
    pub interval: Interval,
}

/// Whether the estimates of η agree.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "agreement", content = "words")]
pub enum Agreement {
    /// Within 0.15 of each other, and the shape of the curve pins η.
    Agree,
    /// They do not, and why that matters, in words.
    Disagree(String),
}

/// Which estimate of η decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Decides {
    /// What held-out evidence contradicts where it is most certain: no flip was planted for it, so
    /// nothing disturbs it.
    HeldOut,
    /// The anchor on planted flips, where there is no held-out evidence.
    Anchor,
    /// None: the lower bound of the observed AUROC of planted flips is under what the verdict needs, and then
    /// every estimate is high whatever the labels are.
    Nothing,
}

impl Decides {
    /// Why, in words.
    #[must_use]
    pub const fn why(self) -> &'static str {
        match self {
            Self::HeldOut => {
                "It is the share of labels that models which did not train on them, and the fit to all other pairs, contradict where these are most certain; no planted flip disturbs it."
            }
            Self::Anchor => {
                "It is the share of planted flips among the pairs that the models trust most; there is no held-out evidence."
            }
            Self::Nothing => {
                "No estimate decides: planted flips are hardly told from other pairs, and then a weak model and heavy noise look the same, so the rate cannot be told."
            }
        }
    }
}

/// All that a run says about its noise rate.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NoiseReport {
    /// The anchor estimate: headline, with its assumption stated beside it.
    pub anchor: Rate,
    /// The estimate from the shape of the curve; its low end protects tags.
    pub shape: Rate,
    /// Largest η that P and U allow; the smallest is always 0.
    pub largest_allowed: f64,
    /// Gaussian mixture on mean loss, where losses were given.
    pub mixture: Option<GaussianMixture>,
    /// Confident joint, where cross-fit probabilities were given.
    pub confident_joint: Option<ConfidentJoint>,
    /// What held-out evidence contradicts where it is most certain, if there is such evidence.
    pub held_out: Option<Rate>,
    /// Which estimate decides.
    pub decides: Decides,
    /// Whether these agree.
    pub agreement: Agreement,
}

impl NoiseReport {
    /// Gathers the estimates and judges their agreement.
    #[must_use]
    pub fn new(
        anchor: &Anchor,
        shape: &ShapeFit,
        largest_allowed: f64,
        mixture: Option<GaussianMixture>,
        confident_joint: Option<ConfidentJoint>,
        held_out: Option<Rate>,
        can_tell: bool,
    ) -> Self {
        let level = anchor.interval.level;
        let (eta, interval) = shape.eta(level);
        let mut report = Self {
            anchor: Rate {
                eta: anchor.eta,
                interval: anchor.interval,
            },
            shape: Rate { eta, interval },
            // the anchor's estimate has the bias of its minimum removed, the bound has not
            largest_allowed: largest_allowed.max(anchor.eta),
            mixture,
            confident_joint,
            held_out,
            decides: match (can_tell, held_out) {
                (false, _) => Decides::Nothing,
                (true, Some(_)) => Decides::HeldOut,
                (true, None) => Decides::Anchor,
            },
            agreement: Agreement::Agree,
        };
        report.agreement = report.judge();
        report
    }

    /// The estimate that decides, with its interval; `None` where heavy noise and a weak model cannot be told
    /// apart: then anything from 0 to `largest_allowed` fits.
    #[must_use]
    pub fn headline(&self) -> Option<Rate> {
        match self.decides {
            Decides::HeldOut => self.held_out,
            Decides::Anchor => Some(self.anchor),
            Decides::Nothing => None,
        }
    }

    /// Largest drop rate of the second pass: `min(0.45, 1.8 * max(0, η̂ - 0.2))` with the anchor's
    /// η̂, and 0 where its lower end leaves none.
    ///
    /// # Source
    /// Our choice, measured on sets with known labels (docs/method.md): under light noise dropping
    /// costs more than it brings, from about a third of wrong labels on it brings much.
    #[must_use]
    pub fn drop_rate(&self) -> f64 {
        /// No dropping up to this share of wrong labels.
        const LIGHT: f64 = 0.2;
        /// How fast the drop rate rises beyond it.
        const SLOPE: f64 = 1.8;
        /// Beyond this a model would train on less than half of the pairs.
        const MOST: f64 = 0.45;
        if self.anchor.interval.low < 0.02 {
            return 0.0;
        }
        (SLOPE * (self.anchor.eta - LIGHT)).clamp(0.0, MOST)
    }

    fn judge(&self) -> Agreement {
        let mut etas = vec![
            ("anchor", self.anchor.eta),
            ("shape of the scores", self.shape.eta),
        ];
        // overlapping components say nothing about η
        let mixture = self.mixture.as_ref().filter(|m| m.separation >= 2.0);
        etas.extend(mixture.map(|m| ("Gaussian mixture", m.eta)));
        etas.extend(self.confident_joint.map(|c| ("confident joint", c.eta)));
        etas.extend(self.held_out.map(|rate| ("held-out evidence", rate.eta)));
        etas.sort_by(|a, b| a.1.total_cmp(&b.1));
        let (low, high) = (etas[0], etas[etas.len() - 1]);
        if high.1 - low.1 <= 0.15 && self.shape.interval.width() <= 0.2 {
            return Agreement::Agree;
        }
        let span = if high.1 - low.1 > 0.15 {
            format!(
                "the {} says {:.0}% of labels are wrong, the {} {:.0}%",
                low.0,
                100.0 * low.1,
                high.0,
                100.0 * high.1
            )
        } else {
            let interval = self.shape.interval;
            format!(
                "anything from {:.0}% to {:.0}% wrong labels fits",
                100.0 * interval.low,
                100.0 * interval.high
            )
        };
        Agreement::Disagree(format!(
            "{span}: heavy noise and a weak model cannot be told apart here"
        ))
    }
}

/// One of `count` items, for draws by weight elsewhere in this module's family.
pub(super) fn draw_weighted(weights: &[(f64, f64)], rng: &mut rand_chacha::ChaCha8Rng) -> f64 {
    let total: f64 = weights.iter().map(|w| w.1).sum();
    let mut left = rng.random::<f64>() * total;
    for &(value, weight) in weights {
        left -= weight;
        if left <= 0.0 {
            return value;
        }
    }
    weights.last().map_or(f64::NAN, |w| w.0)
}
