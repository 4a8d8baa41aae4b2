//! What other pairs say of each label as it stands: ranks the labels, and is evidence for tags.

use crate::methods::{self, Method, MethodError, Task};

/// What other pairs say.
pub struct ByOtherPairs {
    /// Suspicion by the method that ranks, where it rests on other pairs alone: `[n_pairs]`.
    pub suspicion: Option<Vec<f64>>,
    /// Margins of the fit to all other pairs, nats; `None` where it is silent: `[n_pairs]`.
    pub comparisons: Vec<Option<f32>>,
}

impl ByOtherPairs {
    /// Judges the labels of a task as they stand.
    ///
    /// # Errors
    /// As [`Method::judge`], if `ranking` rests on other pairs alone.
    pub fn of(task: &Task<'_>, ranking: &dyn Method) -> Result<Self, MethodError> {
        let fitted = match methods::find(methods::RANKS)?.judge(task) {
            Ok(fitted) => Some(fitted.suspicion),
            // nothing to compare is no evidence, and no reason to stop
            Err(MethodError::NotFinite { .. }) if ranking.info().name != methods::RANKS => None,
            Err(error) => return Err(error),
        };
        let comparisons = match &fitted {
            Some(suspicion) => suspicion.iter().map(|s| margin(-s)).collect(),
            None => vec![None; task.len()],
        };
        let suspicion = if ranking.info().name == methods::RANKS {
            fitted
        } else {
            let judged = ranking.held_out().then(|| ranking.judge(task));
            judged.transpose()?.map(|judgement| judgement.suspicion)
        };
        Ok(Self {
            suspicion,
            comparisons,
        })
    }
}

#[expect(clippy::cast_possible_truncation, reason = "a margin of a few nats")]
fn margin(m: f64) -> Option<f32> {
    (m != 0.0 && m.is_finite()).then_some(m as f32)
}
