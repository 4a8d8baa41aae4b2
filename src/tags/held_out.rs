//! What held-out evidence alone says: the share of wrong labels, and which are wrong.
//!
//! Margins of models that did not train on a pair, and of a fit to all other pairs, do not depend
//! on the pair's own label: swapping it turns the margin's sign and nothing else. So every pair is its
//! own planted flip, none needs to be planted, and no planted flip disturbs the models.
//!
//! # Assumptions
//! Among the pairs of which the evidence is most certain, it is right: what it contradicts there is a
//! wrong label (the anchor). And wrong labels are not rarer among less certain pairs. Where the evidence errs
//! with certainty, or mistakes gather at the clearest pairs, both the rate and the bound fail.

use serde::{Deserialize, Serialize};

use super::agreement::{Agreement, KINDS};
use super::calibrate::{CalibrationOptions, share_of_wrong_tags};
use super::noise::Rate;
use super::stats::{Interval, draw_gamma, quantile_sorted, real, seeded_rng};

/// The most certain pairs that the rate is counted on: this share of all, but at least so many.
const COUNTED_SHARE: f64 = 0.05;
const COUNTED_LEAST: usize = 200;
/// Shares of the most certain pairs over which the bound takes the smallest rate.
const REGIONS: [f64; 5] = [0.05, 0.1, 0.2, 0.3, 0.5];
/// Fewest pairs with held-out evidence that a bound may rest on.
const FEWEST: usize = 100;

/// The share of wrong tags if all pairs that the evidence contradicts by at least `size` are tagged.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct HeldOutPoint {
    /// Least size of a contradicting margin.
    pub size: f64,
    /// Pairs contradicted by at least that.
    pub tagged: usize,
    /// Estimated share of right labels among them.
    pub estimate: f64,
    /// Upper bound of that share.
    pub upper: f64,
}

/// Calibration on held-out evidence.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HeldOut {
    /// Share of wrong labels: what the evidence contradicts among its most certain pairs.
    pub rate: Rate,
    /// Number of these most certain pairs.
    pub counted: usize,
    /// Share of wrong tags by size, loosest first.
    pub fdr: Vec<HeldOutPoint>,
}

/// Held-out evidence of each pair as one margin, in log-odds: above 0 sides with the label, 0 is silent.
///
/// # Formula
/// `w·x` of [`Agreement`] over held-out models and the fit to other pairs, without the models in training.
#[must_use]
pub fn combined(held_out: &[[Option<f64>; 2]]) -> Vec<f64> {
    let evidence: Vec<[Option<f64>; KINDS]> = held_out.iter().map(|&[a, b]| [None, a, b]).collect();
    let agreement = Agreement::new(&evidence);
    let weights = agreement.weights;
    let margin = |x: &[f64; KINDS]| x.iter().zip(&weights).map(|(x, w)| x * w).sum();
    agreement.scaled.iter().map(margin).collect()
}

impl HeldOut {
    /// From combined margins, one for each pair.
    ///
    /// Counts of agreeing and contradicting pairs between sizes are drawn as gamma variables (the posterior of
    /// Poisson counts). In each draw η is the smallest share contradicted over the most certain 5% to 50%,
    /// which errs downwards and so protects tags. The interval of the rate is Jeffreys' for a binomial share.
    ///
    /// `None` with fewer than 100 pairs that the evidence says anything of.
    #[must_use]
    pub fn new(margins: &[f64], options: &CalibrationOptions) -> Option<Self> {
        let mut sizes: Vec<f64> = margins.iter().map(|m| m.abs()).collect();
        sizes.sort_by(|a, b| b.total_cmp(a));
        let known = sizes.partition_point(|&size| size > 0.0);
        if known < FEWEST {
            return None;
        }
        let size_of = |count: f64| sizes[count_of(count, known) - 1];
        let candidates: Vec<f64> = steps(known).map(size_of).collect();
        let regions = REGIONS.map(|share| size_of(share * real(margins.len())));
        let mut edges: Vec<f64> = candidates.iter().chain(&regions).copied().collect();
        edges.sort_by(f64::total_cmp);
        edges.dedup();
        let position = |size: f64| edges.partition_point(|&edge| edge < size);
        let regions = regions.map(position);
        let (mut against, mut with) = (vec![0.0; edges.len()], vec![0.0; edges.len()]);
        for margin in margins {
            // the bin of edge k holds sizes from it up to the next; smaller ones than all edges do not count
            if let Some(bin) = edges.partition_point(|&e| e <= margin.abs()).checked_sub(1) {
                *(if *margin < 0.0 {
                    &mut against
                } else {
                    &mut with
                })
                .get_mut(bin)
                .expect("a bin for each edge") += 1.0;
            }
        }
        let counted =
            count_of(COUNTED_SHARE * real(margins.len()), known).max(COUNTED_LEAST.min(known));
        let rate = rate(margins, sizes[counted - 1], options);
        let observed: Vec<f64> = tail(&against);
        if let Some(last) = against.last_mut() {
            *last += 0.5;
        }
        let mut draws = vec![Vec::with_capacity(options.draws); edges.len()];
        let mut rng = seeded_rng(options.seed ^ 0x4E1D);
        for _ in 0..options.draws {
            let mut draw = |counts: &[f64]| -> Vec<f64> {
                tail(
                    &counts
                        .iter()
                        .map(|&c| draw_gamma(c, &mut rng))
                        .collect::<Vec<_>>(),
                )
            };
            let (against, with) = (draw(&against), draw(&with));
            let share = |at: usize| against[at] / (against[at] + with[at]);
            let eta = regions.iter().map(|&at| share(at)).fold(0.49, f64::min);
            for (at, out) in draws.iter_mut().enumerate() {
                out.push(share_of_wrong_tags(eta, with[at], against[at]));
            }
        }
        let mut fdr: Vec<HeldOutPoint> = Vec::new();
        for size in candidates.iter().rev() {
            let at = position(*size);
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "a count"
            )]
            let tagged = observed[at] as usize;
            if tagged < options.min_tagged || fdr.last().is_some_and(|last| last.size >= *size) {
                continue;
            }
            let mut values = draws[at].clone();
            values.sort_by(f64::total_cmp);
            fdr.push(HeldOutPoint {
                size: *size,
                tagged,
                estimate: quantile_sorted(&values, 0.5),
                upper: quantile_sorted(&values, options.assurance),
            });
        }
        Some(Self { rate, counted, fdr })
    }

    /// Least size of a contradicting margin to tag at a share `fdr` of wrong tags; `None` if no set passes.
    #[must_use]
    pub fn threshold(&self, fdr: f64) -> Option<HeldOutPoint> {
        self.fdr.iter().copied().find(|point| point.upper <= fdr)
    }
}

/// Sums from each bin to the last.
fn tail(counts: &[f64]) -> Vec<f64> {
    let mut sum = 0.0;
    let mut out: Vec<f64> = counts
        .iter()
        .rev()
        .map(|c| {
            sum += c;
            sum
        })
        .collect();
    out.reverse();
    out
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "between 1 and the number of pairs"
)]
fn count_of(count: f64, known: usize) -> usize {
    (count.round() as usize).clamp(1, known)
}

/// Numbers of most certain pairs to consider, rising.
fn steps(known: usize) -> impl Iterator<Item = f64> {
    let (least, most) = (10.0, 0.7 * real(known));
    (0..60).map(move |step| least * (most / least).powf(real(step) / 59.0))
}

/// Share contradicted among pairs of at least this size, with Jeffreys' interval.
fn rate(margins: &[f64], size: f64, options: &CalibrationOptions) -> Rate {
    let certain = margins.iter().filter(|m| m.abs() >= size);
    let (mut against, mut all) = (0, 0);
    for margin in certain {
        against += usize::from(*margin < 0.0);
        all += 1;
    }
    let mut rng = seeded_rng(options.seed ^ 0x7A7E);
    let mut draws: Vec<f64> = (0..options.draws.max(1000))
        .map(|_| {
            let (a, b) = (
                draw_gamma(real(against) + 0.5, &mut rng),
                draw_gamma(real(all - against) + 0.5, &mut rng),
            );
            a / (a + b)
        })
        .collect();
    let interval = Interval::of_draws(&mut draws, options.level).unwrap_or(Interval {
        low: 0.0,
        high: 0.5,
        level: options.level,
    });
    Rate {
        eta: (real(against) / real(all)).min(0.5),
        interval: Interval {
            low: interval.low.min(0.5),
            high: interval.high.min(0.5),
            ..interval
        },
    }
}
