//! From calibrated scores and signals to a tag, a reason and evidence per pair,
//! and the cap on what may be removed.
//!
//! Tags of pairs that have no score (`unusable`, `tie`, `undecidable`) are given
//! where the pairs are read; this module decides among `robust`, `ambiguous` and
//! `incorrect`.

use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::agreement::{Agreement, log_odds};
use super::calibrate::{Basis, Calibration};
use super::held_out;
use super::metrics::tie_free_ranks;
use super::signals::{Signals, mean_signal, regions};
use super::stats::real;

/// A word that is none of the known names.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{found}` is not a {what}: expected one of {expected}")]
pub struct ParseNameError {
    what: &'static str,
    found: String,
    expected: String,
}

/// An enum of named values with serde, `Display`, `FromStr` and `ALL`.
macro_rules! named {
    ($(#[$meta:meta])* $name:ident, $what:literal, $case:literal, { $($(#[$doc:meta])* $variant:ident = $text:literal,)* }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(rename_all = $case)]
        pub enum $name { $($(#[$doc])* $variant,)* }

        impl $name {
            /// Every value, in order.
            pub const ALL: [Self; [$($text),*].len()] = [$(Self::$variant,)*];

            /// The name as written in files.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl FromStr for $name {
            type Err = ParseNameError;

            fn from_str(text: &str) -> Result<Self, ParseNameError> {
                let found = Self::ALL.into_iter().find(|value| value.as_str() == text);
                found.ok_or_else(|| ParseNameError {
                    what: $what,
                    found: text.to_owned(),
                    expected: Self::ALL.iter().map(|v| v.as_str()).collect::<Vec<_>>().join(", "),
                })
            }
        }
    };
}

named!(
    /// What a pair's label is taken to be.
    Tag, "tag", "snake_case", {
        /// Nothing speaks against the label.
        Robust = "robust",
        /// The models keep changing their mind, or cannot decide, or doubt without being sure.
        Ambiguous = "ambiguous",
        /// The label is wrong, at the stated share of wrong tags.
        Incorrect = "incorrect",
        /// Both sides are the same after truncation.
        Undecidable = "undecidable",
        /// The row cannot be read as a pair.
        Unusable = "unusable",
        /// The label itself says that neither side is better.
        Tie = "tie",
    }
);

impl Tag {
    /// What the tag says, in a sentence.
    #[must_use]
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::Robust => "Both models come to agree with the label and stay there.",
            Self::Ambiguous => {
                "What speaks for and against the label is near even odds, or against it without being sure. It may be right and the pair hard."
            }
            Self::Incorrect => {
                "The label is likely wrong: evidence that does not depend on it contradicts it with certainty, or the pair looks like the flips planted on purpose."
            }
            Self::Undecidable => {
                "Both sides are identical after truncation, so no model can choose."
            }
            Self::Unusable => "The row cannot be read as a preference pair.",
            Self::Tie => "The row states no preference.",
        }
    }
}

named!(
    /// Dataset Cartography's regions; see [`regions`] for the cut points.
    Region, "region", "snake_case", {
        /// Confident and stable.
        EasyToLearn = "easy_to_learn",
        /// Most variable.
        Ambiguous = "ambiguous",
        /// Against the label, and stable.
        HardToLearn = "hard_to_learn",
    }
);

named!(
    /// Where the score of a pair comes from.
    EvidenceSource, "evidence source", "kebab-case", {
        /// Online loss of models in training.
        Online = "online",
        /// A model that did not train on the pair.
        CrossFit = "cross-fit",
        /// The comparison graph, where texts repeat.
        Graph = "graph",
        /// Given reward models or judges.
        Judges = "judges",
    }
);

named!(
    /// Why a pair got its tag; any number per pair.
    EvidenceCode, "evidence code", "kebab-case", {
        /// Loss as high as that of planted wrong labels.
        HighLoss = "high-loss",
        /// The loss belongs to the higher one of two clearly separate groups; nothing was planted.
        HighLossComponent = "high-loss-component",
        /// Evidence that does not depend on the label contradicts it with certainty.
        Contradicted = "contradicted",
        /// More likely wrong than right, but not sure enough for the asked share of wrong tags.
        LikelyWrong = "likely-wrong",
        /// The evidence sides against the label, but not surely enough.
        AgainstLabel = "against-label",
        /// The evidence hardly sides with the label.
        NearChance = "near-chance",
        /// Loss keeps changing from epoch to epoch.
        Fluctuating = "fluctuating",
        /// Models that did not train on the pair are clearly against the label.
        HeldOutAgainst = "held-out-against",
        /// The fit to all other pairs is clearly against the label.
        ComparisonsAgainst = "comparisons-against",
        /// The two models are on opposite sides.
        ModelsDisagree = "models-disagree",
        /// No model ever agreed with the label.
        NeverLearned = "never-learned",
        /// Learned and forgotten again, more than once.
        Forgotten = "forgotten",
        /// Left out by its reviewers in most epochs.
        PeerRejected = "peer-rejected",
    }
);

impl EvidenceCode {
    /// What the code means, in words.
    #[must_use]
    pub fn explanation(self) -> &'static str {
        match self {
            Self::HighLoss => "the loss is as high as that of labels that were swapped on purpose",
            Self::HighLossComponent => {
                "the loss belongs to the higher one of two clearly separate groups of losses"
            }
            Self::Contradicted => {
                "models that did not train on the pair, and the fit to all other pairs, contradict the label with certainty"
            }
            Self::LikelyWrong => {
                "the label is more likely wrong than right, but not surely enough to tag it incorrect"
            }
            Self::AgainstLabel => {
                "taken together, what speaks for and against the label sides against it"
            }
            Self::NearChance => {
                "taken together, what speaks for and against the label hardly sides with it"
            }
            Self::HeldOutAgainst => {
                "models that did not train on the pair are clearly against the label"
            }
            Self::ComparisonsAgainst => {
                "the fit to all other pairs, in which like texts have like rewards, is clearly against the label"
            }
            Self::Fluctuating => {
                "the loss keeps changing from epoch to epoch, among the most of all pairs"
            }
            Self::ModelsDisagree => "one model sides with the label and the other against it",
            Self::NeverLearned => "no model agreed with the label in any epoch",
            Self::Forgotten => "the models learned the label and lost it again, more than once",
            Self::PeerRejected => "peer review left the pair out of training in most epochs",
        }
    }
}

/// Settings of the tags.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TagRules {
    /// Accepted share of right labels among those tagged incorrect, 0 to 1.
    pub fdr: f64,
    /// What the bound on that share rests on.
    pub basis: Basis,
    /// A pair is robust only if its label would be given again with a probability of one half
    /// plus this; see [`Agreement`].
    pub near_chance: f64,
    /// At most this share of all pairs keeps fluctuating: those with the highest
    /// fluctuation of the loss among the ones on which a model changed sides. It explains, and
    /// decides nothing.
    pub fluctuating_share: f64,
    /// Not tagged incorrect, but likely wrong, from this `p_incorrect` on.
    pub likely_wrong: f64,
    /// Cap on the removed share of all pairs.
    pub max_remove: f64,
    /// Cap within each source, where sources are given; none if absent.
    pub max_remove_per_source: Option<f64>,
}

impl Default for TagRules {
    fn default() -> Self {
        Self {
            fdr: 0.1,
            basis: Basis::default(),
            near_chance: 0.15,
            fluctuating_share: 0.1,
            likely_wrong: 0.5,
            max_remove: 0.3,
            max_remove_per_source: None,
        }
    }
}

/// A setting out of its range.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("`{name}` is {value}: expected a number from 0 to 1")]
pub struct RulesError {
    name: &'static str,
    value: f64,
}

impl TagRules {
    /// Checks that every share lies between 0 and 1.
    ///
    /// # Errors
    /// Names the first setting that does not.
    pub fn validate(&self) -> Result<(), RulesError> {
        for (name, value) in [
            ("fdr", self.fdr),
            ("near_chance", self.near_chance),
            ("fluctuating_share", self.fluctuating_share),
            ("likely_wrong", self.likely_wrong),
            ("max_remove", self.max_remove),
            (
                "max_remove_per_source",
                self.max_remove_per_source.unwrap_or(0.0),
            ),
        ] {
            if !(0.0..=1.0).contains(&value) {
                return Err(RulesError { name, value });
            }
        }
        Ok(())
    }
}

/// What is known of a pair before it is tagged.
#[derive(Debug, Clone, PartialEq)]
pub struct PairEvidence {
    /// Seeded hash of the pair: breaks ties.
    pub key: u64,
    /// Suspicion score with its own label, 0 to 1.
    pub score: f64,
    /// Signals of each model; may be empty.
    pub signals: Vec<Signals>,
    /// Number of epochs behind the signals.
    pub epochs: u32,
    /// Whether a filter chose what to train on (else selections say nothing).
    pub filtered: bool,
    /// Margin of models that did not train on the pair, nats; low is bad.
    pub held_out: Option<f64>,
    /// Margin that the fit to all other pairs gives, nats; low is bad.
    pub comparisons: Option<f64>,
}

/// The decision on a pair.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Decision {
    /// The tag.
    pub tag: Tag,
    /// Rank of the score without ties, (rank + ½)/n: higher is more likely incorrect.
    pub suspicion: f64,
    /// Calibrated probability of a wrong label, never falling in `suspicion`.
    pub p_incorrect: f64,
    /// The leading evidence; `None` for robust pairs.
    pub reason: Option<EvidenceCode>,
    /// All evidence, leading first.
    pub evidence_codes: Vec<EvidenceCode>,
    /// Dataset Cartography's region, over both models.
    pub region: Region,
}

/// Lowest fluctuation that counts as fluctuating, where `fluctuation` is 0 for pairs that cannot be.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a share of a count"
)]
fn fluctuating_from(fluctuation: &[f64], rules: &TagRules) -> f64 {
    let mut highest = fluctuation.to_vec();
    highest.sort_by(|a, b| b.total_cmp(a));
    let count = (rules.fluctuating_share * real(highest.len())).ceil() as usize;
    let last = count.checked_sub(1).and_then(|last| highest.get(last));
    last.copied().unwrap_or(f64::INFINITY)
}

/// Held-out evidence on each pair as one margin, `[n_pairs]`, put together in an order that depends on
/// the pairs alone; 0 where there is none.
#[must_use]
pub fn held_out_margins(pairs: &[PairEvidence]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..pairs.len()).collect();
    order.sort_by_key(|&i| pairs[i].key);
    let evidence: Vec<[Option<f64>; 2]> = order
        .iter()
        .map(|&i| [pairs[i].held_out, pairs[i].comparisons])
        .collect();
    let mut margins = vec![0.0; pairs.len()];
    for (&i, margin) in order.iter().zip(held_out::combined(&evidence)) {
        margins[i] = margin;
    }
    margins
}

/// The evidence on each pair, put together in an order that depends on the pairs alone.
fn agreement(pairs: &[PairEvidence], confidence: &[f64]) -> (Vec<f64>, Vec<[f64; 3]>) {
    let mut order: Vec<usize> = (0..pairs.len()).collect();
    order.sort_by_key(|&i| pairs[i].key);
    let evidence: Vec<[Option<f64>; 3]> = order
        .iter()
        .map(|&i| {
            let pair = &pairs[i];
            let models = (!pair.signals.is_empty()).then(|| log_odds(confidence[i]));
            [models, pair.held_out, pair.comparisons]
        })
        .collect();
    let found = Agreement::new(&evidence);
    let (mut probability, mut scaled) = (vec![0.5; pairs.len()], vec![[0.0; 3]; pairs.len()]);
    for (at, &i) in order.iter().enumerate() {
        probability[i] = found.probability[at];
        scaled[i] = found.scaled[at];
    }
    (probability, scaled)
}

/// Whether some model was on both sides of the label in the course of training.
fn changed_sides(pair: &PairEvidence) -> bool {
    let mut models = pair.signals.iter();
    models.any(|s| s.correctness > 0 && s.correctness < pair.epochs)
}

/// Decides on every pair, in the order given; the order does not matter.
///
/// # The rule for `ambiguous`
/// Not incorrect, and one of: the probability that the label would be given again, by all
/// evidence on the pair ([`Agreement`]), is below one half plus `near_chance`; `p_incorrect` is at
/// or above `likely_wrong` where the models can tell. Without any evidence only the last counts.
///
/// # Source
/// Ours, measured on four sets with votes; see docs/method.md.
#[must_use]
pub fn assign(
    pairs: &[PairEvidence],
    calibration: Option<&Calibration>,
    rules: &TagRules,
) -> Vec<Decision> {
    let signal = |of: fn(&Signals) -> f64, missing: f64| -> Vec<f64> {
        let of_pair = |p: &PairEvidence| {
            if p.signals.is_empty() {
                missing
            } else {
                mean_signal(&p.signals, of)
            }
        };
        pairs.iter().map(of_pair).collect()
    };
    let confidence = signal(|s| s.confidence, 1.0);
    let mut fluctuation = signal(|s| s.fluctuation, 0.0);
    for (value, pair) in fluctuation.iter_mut().zip(pairs) {
        if !changed_sides(pair) {
            *value = 0.0;
        }
    }
    let regions = regions(&confidence, &signal(|s| s.variability, 0.0));
    let fluctuating_from = fluctuating_from(&fluctuation, rules);
    let (agreement, scaled) = agreement(pairs, &confidence);
    let scores: Vec<f64> = pairs.iter().map(|p| p.score).collect();
    let keys: Vec<u64> = pairs.iter().map(|p| p.key).collect();
    let ranks = tie_free_ranks(&scores, &keys);
    let can_tell = calibration.is_some_and(|c| c.verdict.can_tell());
    let threshold = calibration.and_then(|c| c.threshold(rules.fdr));
    let contradicted = calibration.and_then(|c| c.held_out_threshold(rules.fdr));
    let margins = contradicted.map(|_| held_out_margins(pairs));
    let decide = |i: usize| {
        let pair = &pairs[i];
        let p_incorrect = calibration.map_or(0.0, |c| c.p_incorrect(pair.score));
        let high_loss = threshold.is_some_and(|t| pair.score >= t);
        let contradicted = contradicted
            .zip(margins.as_ref())
            .is_some_and(|(point, margins)| margins[i] <= -point.size);
        let incorrect = high_loss || contradicted;
        let known = scaled[i].iter().any(|&x| x != 0.0) || !pair.signals.is_empty();
        let against_label = !incorrect && known && agreement[i] < 0.5;
        let near_chance =
            !incorrect && known && !against_label && agreement[i] < 0.5 + rules.near_chance;
        let fluctuating = fluctuation[i] > 0.0 && fluctuation[i] >= fluctuating_from;
        let likely_wrong = !incorrect && can_tell && p_incorrect >= rules.likely_wrong;
        let doubtful = likely_wrong || against_label || near_chance;
        let tag = match (incorrect, doubtful) {
            (true, _) => Tag::Incorrect,
            (false, true) => Tag::Ambiguous,
            (false, false) => Tag::Robust,
        };
        let leading = [
            (EvidenceCode::HighLoss, high_loss),
            (EvidenceCode::Contradicted, contradicted),
            (EvidenceCode::LikelyWrong, likely_wrong),
            (EvidenceCode::AgainstLabel, against_label),
            (EvidenceCode::NearChance, near_chance),
            (EvidenceCode::Fluctuating, fluctuating),
            (EvidenceCode::HeldOutAgainst, scaled[i][1] < -1.0),
            (EvidenceCode::ComparisonsAgainst, scaled[i][2] < -1.0),
        ];
        let codes = leading.into_iter().chain(side_evidence(pair));
        let evidence_codes: Vec<EvidenceCode> = codes.filter(|c| c.1).map(|c| c.0).collect();
        Decision {
            tag,
            suspicion: (real(ranks[i]) + 0.5) / real(pairs.len()),
            p_incorrect,
            reason: if tag == Tag::Robust {
                None
            } else {
                evidence_codes.first().copied()
            },
            evidence_codes,
            region: regions[i],
        }
    };
    (0..pairs.len()).map(decide).collect()
}

/// Evidence that explains but does not decide.
fn side_evidence(pair: &PairEvidence) -> [(EvidenceCode, bool); 4] {
    let signals = &pair.signals;
    let sides = |above: bool| signals.iter().any(|s| (s.confidence > 0.5) == above);
    let epochs = u64::from(pair.epochs) * signals.len() as u64;
    let selected: u64 = signals.iter().map(|s| u64::from(s.times_selected)).sum();
    [
        (EvidenceCode::ModelsDisagree, sides(true) && sides(false)),
        (
            EvidenceCode::NeverLearned,
            !signals.is_empty() && signals.iter().all(|s| s.forgetting.is_none()),
        ),
        (
            EvidenceCode::Forgotten,
            signals.iter().any(|s| s.forgetting.is_some_and(|n| n > 1)),
        ),
        (
            EvidenceCode::PeerRejected,
            pair.filtered && epochs > 0 && 2 * selected < epochs,
        ),
    ]
}

/// More pairs asked to go than the cap lets go.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CapWarning {
    /// The source whose cap was reached; `None` for the cap over all pairs.
    pub source: Option<String>,
    /// Pairs that the tags would have removed.
    pub wanted: usize,
    /// Pairs that the cap allows.
    pub allowed: usize,
    /// Pairs it was counted over.
    pub of: usize,
}

impl fmt::Display for CapWarning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            wanted,
            allowed,
            of,
            ..
        } = self;
        if let Some(source) = &self.source {
            write!(f, "in `{source}`, ")?;
        }
        write!(
            f,
            "{wanted} of {of} pairs would be removed, the cap allows {allowed}: the least suspicious of them keep their tag but stay in"
        )
    }
}

/// What is removed under the caps.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Removal {
    /// Per pair, in the order given.
    pub removed: Vec<bool>,
    /// A warning per cap that was reached.
    pub warnings: Vec<CapWarning>,
}

/// Marks the pairs that are `wanted` out as removed, the most suspicious first, up to the caps.
///
/// `n_total` is the number of pairs the overall share is taken of (scored or not).
/// `sources` names each pair's source, for the cap per source.
#[must_use]
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a share of a count"
)]
pub fn cap_removal(
    decisions: &[Decision],
    sources: Option<&[String]>,
    wanted: &[bool],
    n_total: usize,
    rules: &TagRules,
) -> Removal {
    let allowed = |n: usize, cap: f64| (real(n) * cap).floor() as usize;
    let mut wanted: Vec<usize> = (0..decisions.len()).filter(|&i| wanted[i]).collect();
    wanted.sort_by(|&a, &b| decisions[b].suspicion.total_cmp(&decisions[a].suspicion));
    let per_source = rules.max_remove_per_source.zip(sources);
    // source -> (pairs, wanted, removed)
    let mut counts: HashMap<&str, (usize, usize, usize)> = HashMap::new();
    if let Some((_, sources)) = per_source {
        for source in sources {
            counts.entry(source).or_default().0 += 1;
        }
    }
    let total = allowed(n_total, rules.max_remove);
    let mut out = Removal {
        removed: vec![false; decisions.len()],
        warnings: Vec::new(),
    };
    let mut removed = 0;
    for &i in &wanted {
        let mut fits = removed < total;
        if let Some((cap, sources)) = per_source {
            let count = counts.entry(&sources[i]).or_default();
            count.1 += 1;
            fits &= count.2 < allowed(count.0, cap);
            count.2 += usize::from(fits);
        }
        out.removed[i] = fits;
        removed += usize::from(fits);
    }
    if wanted.len() > total {
        let warning = CapWarning {
            source: None,
            wanted: wanted.len(),
            allowed: total,
            of: n_total,
        };
        out.warnings.push(warning);
    }
    if let Some((cap, _)) = per_source {
        let mut over: Vec<_> = counts
            .into_iter()
            .filter(|(_, c)| c.1 > allowed(c.0, cap))
            .collect();
        over.sort_unstable();
        out.warnings.extend(
            over.into_iter()
                .map(|(source, (of, wanted, _))| CapWarning {
                    source: Some(source.to_owned()),
                    wanted,
                    allowed: allowed(of, cap),
                    of,
                }),
        );
    }
    out
}
