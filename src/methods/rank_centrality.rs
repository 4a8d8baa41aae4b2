//! A walk over texts from worse to better.

use super::comparisons::{Sides, against, contradicted};
use super::{Judgement, Method, MethodError, MethodInfo, Task};
use crate::comparison;

/// Rank centrality over texts: needs no model, and says something where texts repeat.
pub(super) struct RankCentrality;

static INFO: MethodInfo = MethodInfo {
    name: "rank-centrality",
    rule: "how much time a walk that moves from rejected to chosen texts spends at each text",
    formula: "-ln(pi_chosen / pi_rejected) without the pair's own label, pi the stationary distribution of a walk with rates (wins + 1) / (comparisons + 2); drops where all pairs together contradict the label",
    source: "arXiv:1209.1688",
    needs_judges: false,
};

impl Method for RankCentrality {
    fn info(&self) -> &MethodInfo {
        &INFO
    }

    fn held_out(&self) -> bool {
        true
    }

    fn judge(&self, task: &Task<'_>) -> Result<Judgement, MethodError> {
        let ranked = comparison::RankCentrality::fit(Sides::of(task).labels());
        Ok(Judgement {
            noise_rate: Some(ranked.noise_rate()),
            ..Judgement::new(
                against(&ranked.leave_one_out),
                contradicted(&ranked.margins),
            )
        })
    }
}
