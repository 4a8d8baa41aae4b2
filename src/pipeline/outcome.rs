//! Evidence made decisions: calibration, tags, and what is removed under the cap.

use super::config::RunConfig;
use super::evidence::{Evidence, RowEvidence, RowState};
use super::manifest::Manifest;
use crate::actions::{self, Action};
use crate::pairs::UnusableReason;
use crate::report::Estimate;
use crate::seed::derive;
use crate::tags::assign::{CapWarning, PairEvidence, assign, cap_removal, held_out_margins};
use crate::tags::calibrate::{CalibrationOptions, OtherEvidence};
use crate::tags::noise::{BootstrapOptions, ConfidentJoint, GaussianMixture};
use crate::tags::signals::p_chosen;
use crate::tags::{Calibration, Decision, Tag, Unplanted};

/// Reason of a pair that models trained elsewhere have no trajectory of.
pub const NO_TRAJECTORY: &str = "no-trajectory";

/// Mean loss of each pair over both models, nats.
fn mean_losses(evidence: &Evidence) -> Vec<f64> {
    let pairs = evidence.pairs.iter();
    pairs
        .map(|pair| f64::midpoint(pair.signals[0].mean_loss, pair.signals[1].mean_loss))
        .collect()
}

/// What the tag stage decided.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// Calibration on the planted flips; `None` with too few pairs.
    pub calibration: Option<Calibration>,
    /// What a mixture says, where models were trained elsewhere and nothing was planted.
    pub unplanted: Option<Unplanted>,
    /// One for each trained pair.
    pub decisions: Vec<Decision>,
    /// What the scores are made of: `graph` where a fit to other pairs ranks, `cross-fit` where margins of models
    /// that trained on other pairs do, `online` where ranks of losses in training do.
    pub evidence_source: &'static str,
    /// What becomes of each trained pair.
    actions: Vec<actions::Outcome>,
    /// Trained pairs that the caps kept in.
    held_back: Vec<bool>,
    /// Caps that were reached.
    pub warnings: Vec<CapWarning>,
}

/// Settings of a calibration under a run's settings.
#[must_use]
pub fn calibration_options(config: &RunConfig) -> CalibrationOptions {
    CalibrationOptions {
        basis: config.tags.basis,
        seed: derive(config.seed, "calibration"),
        ..CalibrationOptions::default()
    }
}

/// Evidence besides planted flips: a mixture on the mean loss, the confident joint on held-out margins, and
/// these themselves.
fn other_evidence(
    evidence: &Evidence,
    pairs: &[PairEvidence],
    options: &CalibrationOptions,
) -> OtherEvidence {
    let bootstrap = BootstrapOptions {
        level: options.level,
        draws: 200,
        seed: options.seed,
    };
    let mean_loss = mean_losses(evidence);
    // the two classes of the joint are "the side that sorts first is better" and the other
    let held_out = evidence.pairs.iter().filter_map(|pair| {
        let first = pair.id.orientation == crate::pairs::Orientation::Forward;
        let p = p_chosen(f64::from(pair.margin_cross_fit?));
        Some((if first { p } else { 1.0 - p }, first))
    });
    let (p_first, label_first): (Vec<f64>, Vec<bool>) = held_out.unzip();
    OtherEvidence {
        mixture: GaussianMixture::fit(&mean_loss)
            .map(|mixture| mixture.with_interval(&mean_loss, &bootstrap)),
        confident_joint: ConfidentJoint::with_interval(&p_first, &label_first, &bootstrap),
        held_out: held_out_margins(pairs),
    }
}

impl Outcome {
    /// Calibrates, tags, and applies the cap.
    #[must_use]
    pub fn new(evidence: &Evidence, manifest: &Manifest) -> Self {
        let config = &manifest.config;
        let filtered = manifest.facts.training.drop_rate > 0.0;
        let (planted, unplanted) = evidence.scores();
        let options = calibration_options(config);
        let epochs = u32::try_from(evidence.dynamics.n_epochs).expect("epochs are few");
        let pairs: Vec<PairEvidence> = evidence
            .pairs
            .iter()
            .map(|pair| PairEvidence {
                key: pair.id.seeded_hash(config.seed),
                score: pair.score,
                signals: pair.signals.to_vec(),
                epochs,
                filtered,
                held_out: pair.margin_cross_fit.map(f64::from),
                comparisons: pair.margin_comparisons.map(f64::from),
            })
            .collect();
        let other = other_evidence(evidence, &pairs, &options);
        let calibration = Calibration::new(&planted, &unplanted, other, &options);
        let mut decisions = assign(&pairs, calibration.as_ref(), &config.tags);
        let elsewhere = !config.trajectories.folders.is_empty();
        let unplanted = (elsewhere && evidence.planted.is_empty())
            .then(|| {
                let signals = evidence.pairs.iter().map(|pair| &pair.signals);
                let confidence: Vec<f64> = signals
                    .map(|[a, b]| f64::midpoint(a.confidence, b.confidence))
                    .collect();
                let near_chance = config.tags.near_chance;
                let losses = mean_losses(evidence);
                Unplanted::new(&losses, &unplanted, &confidence, near_chance)
            })
            .flatten();
        if let Some(unplanted) = &unplanted {
            unplanted.tag(&mut decisions, &config.tags);
        }
        let ranking = config.ranking_method().ok();
        let held_out = ranking.filter(|method| !elsewhere && method.held_out());
        let mut outcome = Self {
            evidence_source: match held_out.map(|method| method.info().name) {
                Some("cross-fit") => "cross-fit",
                Some(_) => "graph",
                None => "online",
            },
            calibration,
            unplanted,
            actions: Vec::new(),
            held_back: vec![false; decisions.len()],
            warnings: Vec::new(),
            decisions,
        };
        outcome.act(evidence, config);
        outcome
    }

    /// What becomes of each pair, by its tag, under the caps.
    fn act(&mut self, evidence: &Evidence, config: &RunConfig) {
        let decisions = &self.decisions;
        self.actions = (0..decisions.len())
            .map(|pair| {
                let margin = evidence.target_margin(pair);
                let tag = decisions[pair].tag;
                config.actions.outcome(tag, self.p_incorrect(pair), margin)
            })
            .collect();
        let wanted: Vec<bool> = self.actions.iter().map(|action| !action.stays()).collect();
        let capped = !config.data.cap_column.is_empty();
        let sources: Vec<String> = evidence
            .pairs
            .iter()
            .map(|pair| {
                pair.cap_group
                    .map_or_else(String::new, |i| evidence.cap_groups[i as usize].clone())
            })
            .collect();
        let mut rules = config.tags.clone();
        if capped {
            rules.max_remove_per_source.get_or_insert(rules.max_remove);
        }
        let sources = capped.then_some(sources.as_slice());
        let removal = cap_removal(decisions, sources, &wanted, decisions.len(), &rules);
        for (pair, (&wanted, &leaves)) in wanted.iter().zip(&removal.removed).enumerate() {
            if wanted && !leaves {
                self.held_back[pair] = true;
                self.actions[pair] = actions::Outcome::Keep;
            }
        }
        self.warnings = removal.warnings;
    }

    /// Tag of a row.
    #[must_use]
    pub fn tag_of(&self, row: &RowEvidence) -> Tag {
        match row.state {
            RowState::Unusable(_, UnusableReason::Tie) => Tag::Tie,
            RowState::Unusable(..) => Tag::Unusable,
            RowState::Undecidable(_) | RowState::Unseen(_) => Tag::Undecidable,
            RowState::Trained(pair) => self.decisions[pair as usize].tag,
        }
    }

    /// The one reason of a row's tag; none for robust pairs.
    #[must_use]
    pub fn reason_of(&self, row: &RowEvidence) -> Option<&'static str> {
        match row.state {
            RowState::Unusable(_, reason) => Some(reason.code()),
            RowState::Undecidable(_) => Some("identical-after-truncation"),
            RowState::Unseen(_) => Some(NO_TRAJECTORY),
            RowState::Trained(pair) => self.decisions[pair as usize]
                .reason
                .map(crate::tags::EvidenceCode::as_str),
        }
    }

    /// What becomes of a row.
    #[must_use]
    pub fn action_of(&self, row: &RowEvidence) -> actions::Outcome {
        match row.state {
            RowState::Unusable(..) => actions::Outcome::Drop,
            RowState::Undecidable(_) | RowState::Unseen(_) => actions::Outcome::Keep,
            RowState::Trained(pair) => self.actions[pair as usize],
        }
    }

    /// Whether a row is written to the file of removed rows.
    #[must_use]
    pub fn removed(&self, row: &RowEvidence) -> bool {
        self.action_of(row).action() == Action::Drop
    }

    /// Whether the caps kept a row in that its tag would have taken out.
    #[must_use]
    pub fn held_back(&self, row: &RowEvidence) -> bool {
        row.trained().is_some_and(|pair| self.held_back[pair])
    }

    /// Calibrated probability that a trained pair's label is wrong; `None` where nothing can be told.
    #[must_use]
    pub fn p_incorrect(&self, pair: usize) -> Option<f64> {
        let known = match (&self.calibration, &self.unplanted) {
            (Some(calibration), _) => calibration.verdict.can_tell(),
            (None, Some(unplanted)) => unplanted.can_tell(),
            (None, None) => false,
        };
        known.then(|| self.decisions[pair].p_incorrect)
    }

    /// Estimated share of right labels among the pairs tagged incorrect, up to its upper bound.
    #[must_use]
    pub fn fdr_estimate(&self, fdr: f64) -> Option<Estimate> {
        let calibration = self.calibration.as_ref()?;
        let (value, high) = if calibration.held_out_decides() {
            let point = calibration.held_out_threshold(fdr)?;
            (point.estimate, point.upper)
        } else {
            let threshold = calibration.threshold(fdr)?;
            let mut points = calibration.fdr.iter();
            let point = points.find(|point| point.threshold >= threshold)?;
            (point.estimate, point.upper)
        };
        Some(Estimate {
            value,
            low: 0.0,
            high,
            level: calibration.options.level,
        })
    }
}
