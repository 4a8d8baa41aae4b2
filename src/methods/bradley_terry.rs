//! Rewards of texts from the comparison graph alone.

use super::comparisons::{Sides, against, contradicted};
use super::{Judgement, Method, MethodError, MethodInfo, Task};
use crate::comparison::{self, Fit};

/// Variance of the prior of rewards, nats squared.
const VARIANCE: f64 = 1.0;

/// A Bradley-Terry fit over texts: needs no model, and says something where texts repeat.
pub(super) struct BradleyTerry;

static INFO: MethodInfo = MethodInfo {
    name: "bradley-terry",
    rule: "a reward for each text from the labels alone, texts being told apart but not read",
    formula: "-(theta_chosen - theta_rejected) fitted to the other pairs: theta ~ N(0, 1), P(label) = sigmoid(theta_chosen - theta_rejected); drops where all pairs together contradict the label",
    source: "Bradley & Terry (1952), Biometrika 39",
    needs_judges: false,
};

impl Method for BradleyTerry {
    fn info(&self) -> &MethodInfo {
        &INFO
    }

    fn held_out(&self) -> bool {
        true
    }

    fn judge(&self, task: &Task<'_>) -> Result<Judgement, MethodError> {
        let sides = Sides::of(task);
        let fit = comparison::BradleyTerry::fit(sides.labels(), VARIANCE);
        Ok(fit.map_or_else(|| undecided(task), |fitted| judgement(&fitted.fit)))
    }
}

/// What a fit says.
pub(super) fn judgement(fit: &Fit) -> Judgement {
    Judgement {
        noise_rate: Some(fit.noise_rate()),
        ..Judgement::new(against(&fit.leave_one_out), contradicted(&fit.margins))
    }
}

/// Where there is nothing to fit.
fn undecided(task: &Task<'_>) -> Judgement {
    Judgement::new(vec![0.0; task.len()], vec![false; task.len()])
}
