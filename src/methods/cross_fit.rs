//! Margins of models that did not train on the pair.

use super::{Judgement, Method, MethodError, MethodInfo, Settings, Task, most_suspicious};

/// The held-out margin alone.
pub(super) struct HeldOut;

static INFO: MethodInfo = MethodInfo {
    name: "cross-fit",
    rule: "labels that models trained on other pairs find improbable",
    formula: "minus the mean over models of the held-out margin; drops the noise rate's share",
    source: "arXiv:1911.00068",
    needs_judges: false,
};

impl Method for HeldOut {
    fn info(&self) -> &MethodInfo {
        &INFO
    }

    fn epochs(&self, settings: &Settings) -> usize {
        settings.cross_fit_total()
    }

    fn held_out(&self) -> bool {
        true
    }

    fn judge(&self, task: &Task<'_>) -> Result<Judgement, MethodError> {
        let margins = task.cross_fit()?.mean();
        let suspicion: Vec<f64> = margins.iter().map(|margin| -margin).collect();
        let dropped = most_suspicious(&suspicion, |i| task.pairs[i].tie, task.noise()?.rate);
        Ok(Judgement::new(suspicion, dropped))
    }
}
