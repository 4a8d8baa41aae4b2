//! Rewards of texts from comparisons, features and lengths of texts, in one fit.

use ndarray::ArrayView2;

use super::bradley_terry::judgement;
use super::comparisons::Sides;
use super::{Judgement, Method, MethodError, MethodInfo, Task};
use crate::comparison::{GaussianProcess, TextFeatures};
use crate::reward::View;
use crate::tokens::TextIndex;

/// Gaussian-process Bradley-Terry: texts with like features have like rewards.
pub(super) struct GaussianProcessBradleyTerry;

static INFO: MethodInfo = MethodInfo {
    name: "gaussian-process",
    rule: "a reward for each text that is smooth in its features, with a part of its own; how much each counts is chosen by the evidence",
    formula: "-(theta_chosen - theta_rejected) fitted to the other pairs: theta ~ N(0, v1 F F'/D + v2 X X'/d + v3 1), F features, X the logarithm of the response's length, P(label) = sigmoid(theta_chosen - theta_rejected); drops where all pairs together contradict the label",
    source: "Chu & Ghahramani (2005), Preference learning with Gaussian processes, ICML",
    needs_judges: false,
};

impl Method for GaussianProcessBradleyTerry {
    fn info(&self) -> &MethodInfo {
        &INFO
    }

    fn held_out(&self) -> bool {
        true
    }

    fn judge(&self, task: &Task<'_>) -> Result<Judgement, MethodError> {
        let features = task.features[0];
        let width = u32::try_from(features.width()).expect("a text has fewer than 2^32 features");
        let view = View::new(features, (0..width).collect());
        let row = |text: usize, out: &mut [f32]| {
            let mut own = Vec::with_capacity(out.len());
            let text = TextIndex::try_from(text).expect("text indices are 32-bit");
            view.append(features, text, &mut own);
            out.copy_from_slice(&own);
        };
        let lengths = task.training.log_lengths();
        let lengths = lengths.and_then(|of| ArrayView2::from_shape((of.len(), 1), of).ok());
        let sides = Sides::of(task);
        let texts = TextFeatures {
            width: features.width(),
            row: &row,
            surface: lengths,
        };
        let fitted = GaussianProcess::fit(sides.labels(), texts);
        let fitted = fitted.ok_or(MethodError::NotFinite { method: INFO.name })?;
        Ok(judgement(&fitted.fit))
    }
}
