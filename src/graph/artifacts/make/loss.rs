//! From rewards of rows to the loss.

use serde::{Deserialize, Serialize};

use crate::graph::GraphError;
use crate::graph::builder::{Builder, int};
use crate::graph::lower::{LOSS, MARGIN, PAIR_LOSS};
use crate::graph::proto::elem;

/// Name of the per-pair weights, an f32 input `[pairs]`.
pub const WEIGHT: &str = "weight";
/// Name of the labels' margins, an f32 input `[pairs]`.
pub const TARGET_MARGIN: &str = "target_margin";

/// The loss of a pair: Bradley-Terry, `l(m) = softplus(-m)`, and what is done about noise in labels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct LossOptions {
    /// Share `e` of labels that are taken to be wrong; from 0 to below 0.5.
    pub label_noise: f32,
    /// What is done with that share.
    pub correction: Correction,
    /// Whether each pair has a margin of its own, which is subtracted before the loss: the input
    /// [`TARGET_MARGIN`] (Touvron et al. 2023, arXiv:2307.09288, eq. 2).
    pub target_margin: bool,
    /// Whether each pair has a weight, the input [`WEIGHT`]: the loss is the mean of weight times
    /// pair loss, over all pairs.
    pub weight: bool,
}

/// Two ways to use the assumed share `e` of wrong labels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Correction {
    /// Label smoothing, `(1 - e) l(m) + e l(-m)`: keeps margins small.
    #[default]
    Smoothing,
    /// `((1 - e) l(m) - e l(-m)) / (1 - 2 e)`: the loss without noise, in expectation
    /// (Chowdhury et al. 2024, arXiv:2403.00409).
    Robust,
}

impl LossOptions {
    /// # Errors
    /// [`GraphError::Unsupported`] for a share of noise outside 0 to 0.5.
    pub fn validate(&self) -> Result<(), GraphError> {
        if (0.0..0.5).contains(&self.label_noise) {
            return Ok(());
        }
        Err(GraphError::Unsupported(format!(
            "a share of wrong labels of {}: expected 0 to below 0.5",
            self.label_noise
        )))
    }

    /// What is added to `l(m)`, as a multiple of m: `l(-m) = l(m) + m`.
    fn slope(self) -> f32 {
        let e = self.label_noise;
        match self.correction {
            Correction::Smoothing => e,
            Correction::Robust => -e / (1.0 - 2.0 * e),
        }
    }
}

/// Adds `margin` and `pair_loss` (`[pairs]`) and the output `loss` to a graph with `reward`
/// (`[rows]`: row 2i is the chosen, row 2i + 1 the rejected text of pair i).
pub(super) fn bradley_terry(b: &mut Builder, reward: &str, options: LossOptions) {
    let pairs = b.ints(&[-1, 2]);
    let pairs = b.call("Reshape", &[reward, &pairs]);
    let sizes = b.ints(&[1, 1]);
    let sides = ["reward_chosen", "reward_rejected"].map(|side| b.fresh(side));
    let columns = sides.clone().map(|side| b.fresh(&format!("{side}.column")));
    let split = [columns[0].as_str(), columns[1].as_str()];
    b.op_to("", "Split", &[&pairs, &sizes], &split, &[int("axis", 1)]);
    let axis = b.ints(&[1]);
    for (column, side) in columns.iter().zip(&sides) {
        b.op_to("", "Squeeze", &[column, &axis], &[side], &[]);
    }
    b.op_to("", "Sub", &[&sides[0], &sides[1]], &[MARGIN], &[]);

    let mut m = MARGIN.to_owned();
    if options.target_margin {
        b.input(TARGET_MARGIN, elem::FLOAT, &["pairs".into()]);
        m = b.call("Sub", &[&m, TARGET_MARGIN]);
    }
    let pair_loss = softplus_of_negative(b, &m);
    let slope = options.slope();
    if slope == 0.0 {
        b.op_to("", "Identity", &[&pair_loss], &[PAIR_LOSS], &[]);
    } else {
        let slope = b.scalar(slope);
        let noise = b.call("Mul", &[&m, &slope]);
        b.op_to("", "Add", &[&pair_loss, &noise], &[PAIR_LOSS], &[]);
    }
    let mut mean_of = PAIR_LOSS.to_owned();
    if options.weight {
        b.input(WEIGHT, elem::FLOAT, &["pairs".into()]);
        mean_of = b.call("Mul", &[PAIR_LOSS, WEIGHT]);
    }
    let no_axes = [int("keepdims", 0)];
    b.op_to("", "ReduceMean", &[&mean_of], &[LOSS], &no_axes);
    b.output(LOSS, elem::FLOAT, &[]);
}

/// `(|m| - m) / 2 + log(1 + exp(-|m|))`: finite for every margin, with the right gradient at 0.
fn softplus_of_negative(b: &mut Builder, m: &str) -> String {
    let (half, one) = (b.scalar(0.5), b.scalar(1.0));
    let size = b.call("Abs", &[m]);
    let below = b.call("Sub", &[&size, m]);
    let below = b.call("Mul", &[&below, &half]);
    let tail = b.call("Neg", &[&size]);
    let tail = b.call("Exp", &[&tail]);
    let tail = b.call("Add", &[&tail, &one]);
    let tail = b.call("Log", &[&tail]);
    b.call("Add", &[&below, &tail])
}
