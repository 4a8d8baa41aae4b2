//! Means over seeds, their intervals, and who is best.

use serde::{Deserialize, Serialize};

use super::{Cell, Figures};
use crate::noise::NoiseModel;
use crate::tags::stats::{Estimate, paired_difference};

/// Level of all intervals.
pub const LEVEL: f64 = 0.95;

/// Everything that a comparison found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// Version of this document's schema.
    pub schema_version: u32,
    /// The inputs, as given.
    pub inputs: Vec<String>,
    /// Pairs judged.
    pub pairs: usize,
    /// What is taken for the truth, in words.
    pub truth: String,
    /// Seeds of noise and training.
    pub seeds: Vec<u64>,
    /// What settings and versions it was made with, in words.
    pub settings: String,
    /// A table for each noise.
    pub tables: Vec<NoiseTable>,
    /// The figures of each judging.
    pub cells: Vec<Cell>,
}

/// All methods under one noise.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NoiseTable {
    /// The noise, as it is written.
    pub noise: String,
    /// Mean share of wrong labels among the decided pairs.
    pub true_rate: f64,
    /// Mean number of decided pairs.
    pub decided: f64,
    /// Methods, in the order given.
    pub rows: Vec<MethodRow>,
    /// The method whose AUROC is above every other's by a difference whose interval leaves out 0. None where
    /// no label is swapped: there all seeds judge the same labels, and their spread is not that of the data.
    pub best: Option<String>,
}

/// A method under one noise, over seeds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MethodRow {
    /// Its name.
    pub method: String,
    /// Area under the ROC curve.
    pub auroc: Option<Estimate>,
    /// Average precision.
    pub average_precision: Option<Estimate>,
    /// Precision of what the method itself drops.
    pub precision: Option<Estimate>,
    /// Share of wrong labels that it drops.
    pub recall: Option<Estimate>,
    /// Share of right labels that it drops.
    pub clean_lost: Option<Estimate>,
    /// Precision, and recall, where as many are dropped as are wrong.
    pub precision_at_true_rate: Option<Estimate>,
    /// Estimated less true share of wrong labels.
    pub noise_rate_error: Option<Estimate>,
    /// Whether the estimate is the method's own.
    pub own_noise_rate: bool,
    /// Mean wall seconds.
    pub seconds: f64,
    /// Largest peak of resident memory, in MiB.
    pub peak_mib: Option<f64>,
    /// AUROC less that of the default method, on the same seeds.
    pub over_default: Option<Estimate>,
}

impl NoiseTable {
    /// Summarises the cells of one noise; `methods` in the order of rows, `default` is what others are
    /// held against.
    #[must_use]
    pub fn new(noise: &str, methods: &[String], default: &str, cells: &[Cell]) -> Self {
        let cells: Vec<&Cell> = cells.iter().filter(|cell| cell.noise == noise).collect();
        let of = |method: &str| -> Vec<&Cell> {
            let mut own: Vec<&Cell> = cells
                .iter()
                .copied()
                .filter(|cell| cell.method == method)
                .collect();
            own.sort_by_key(|cell| cell.seed);
            own
        };
        let mean = |figure: &dyn Fn(&Figures) -> f64| {
            let values: Vec<f64> = cells.iter().map(|cell| figure(&cell.figures)).collect();
            Estimate::of(&values, LEVEL).map_or(0.0, |estimate| estimate.mean)
        };
        #[expect(clippy::cast_precision_loss, reason = "a number of pairs")]
        let decided = mean(&|figures| figures.decided as f64);
        let aurocs: Vec<(&String, Vec<f64>)> = methods
            .iter()
            .filter_map(|method| Some((method, aurocs(&of(method))?)))
            .collect();
        let default_aurocs = aurocs.iter().find(|(method, _)| *method == default);
        let rows = methods
            .iter()
            .map(|method| {
                let mut row = MethodRow::new(method, &of(method));
                let own = aurocs.iter().find(|(name, _)| *name == method);
                row.over_default = own
                    .zip(default_aurocs)
                    .filter(|_| method != default)
                    .and_then(|((_, own), (_, other))| paired_difference(own, other, LEVEL));
                row
            })
            .collect();
        let labels_vary = noise != NoiseModel::None.to_string();
        let leads = |(method, own): &&(&String, Vec<f64>)| {
            labels_vary
                && aurocs.len() > 1
                && aurocs
                    .iter()
                    .filter(|(other, _)| other != method)
                    .all(|(_, other)| {
                        paired_difference(own, other, LEVEL).is_some_and(|d| d.is_above_zero())
                    })
        };
        Self {
            noise: noise.to_owned(),
            true_rate: mean(&Figures::true_rate),
            decided,
            best: aurocs
                .iter()
                .find(leads)
                .map(|(method, _)| (*method).clone()),
            rows,
        }
    }
}

/// AUROC by seed; `None` where one is missing.
fn aurocs(cells: &[&Cell]) -> Option<Vec<f64>> {
    let values: Option<Vec<f64>> = cells.iter().map(|cell| cell.figures.auroc).collect();
    values.filter(|values| !values.is_empty())
}

impl MethodRow {
    fn new(method: &str, cells: &[&Cell]) -> Self {
        let over = |figure: &dyn Fn(&Figures) -> Option<f64>| {
            let values: Vec<f64> = cells.iter().filter_map(|c| figure(&c.figures)).collect();
            Estimate::of(&values, LEVEL)
        };
        #[expect(clippy::cast_precision_loss, reason = "a number of seeds")]
        let seconds = cells.iter().map(|c| c.seconds).sum::<f64>() / cells.len().max(1) as f64;
        Self {
            method: method.to_owned(),
            auroc: over(&|f| f.auroc),
            average_precision: over(&|f| f.average_precision),
            precision: over(&|f| f.own.precision),
            recall: over(&|f| f.own.recall),
            clean_lost: over(&|f| f.own.clean_lost),
            precision_at_true_rate: over(&|f| f.at_true_rate.precision),
            noise_rate_error: over(&|f| Some(f.noise_rate - f.true_rate())),
            own_noise_rate: cells.iter().any(|cell| cell.figures.own_noise_rate),
            seconds,
            peak_mib: cells.iter().filter_map(|c| c.peak_mib).reduce(f64::max),
            over_default: None,
        }
    }
}
