//! The one data structure behind every face of a report.
//!
//! Whatever the page, the Markdown, the table and the plots show stands here;
//! the pipeline fills it and `report.json` is its serialization. Every
//! vector may be empty and every `Option` may be `None`: the faces then say
//! so in words. Non-finite numbers are written as `null`.

mod examples;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

pub use self::examples::{Example, Examples, Text};
pub use crate::actions::Action;
pub use crate::tags::Tag;

/// Version of the layout of `report.json`; raised when a reader must change.
pub const SCHEMA_VERSION: u32 = 1;

/// A value with an interval. `level` is the nominal coverage, 0.9 for 90%.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    /// The point estimate.
    #[serde(with = "finite")]
    pub value: f64,
    /// Lower bound.
    #[serde(with = "finite")]
    pub low: f64,
    /// Upper bound.
    #[serde(with = "finite")]
    pub high: f64,
    /// Nominal coverage in 0..1.
    pub level: f64,
}

/// A closed range.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Range {
    /// Smallest value.
    #[serde(with = "finite")]
    pub low: f64,
    /// Largest value.
    #[serde(with = "finite")]
    pub high: f64,
}

/// Median and quartiles of one quantity.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Quartiles {
    /// First quartile.
    #[serde(with = "finite")]
    pub q1: f64,
    /// Median.
    #[serde(with = "finite")]
    pub median: f64,
    /// Third quartile.
    #[serde(with = "finite")]
    pub q3: f64,
}

/// Everything a run found out, in one value.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// Always [`SCHEMA_VERSION`] when written by this version.
    pub schema_version: u32,
    /// Version of prefclean that made the run.
    pub prefclean_version: String,
    /// RFC 3339 time the run ended; left out where bytes must repeat.
    pub created: Option<String>,
    /// What was read.
    pub dataset: Dataset,
    /// Whether the models can tell wrong labels from right ones here.
    pub verdict: Verdict,
    /// How many pairs got which tag.
    pub counts: Counts,
    /// Estimated share of wrong labels.
    pub noise_rate: NoiseRate,
    /// How well planted flips were found.
    pub detector: Detector,
    /// The two reward models and how they worked together.
    pub models: Models,
    /// How they were trained.
    pub training: Training,
    /// How texts became tokens.
    pub tokens: Tokens,
    /// Loss over epochs.
    pub trajectories: Trajectories,
    /// A sample of at most 5,000 pairs for the data map.
    pub data_map: Vec<MapPoint>,
    /// Mean loss of a pair, binned, per tag.
    pub loss_histogram: LossHistogram,
    /// Tags by source, where a source column exists.
    pub by_source: Option<BySource>,
    /// Tags by the difference in length of the two sides.
    pub by_length_difference: Option<ByLength>,
    /// Pairs worth a look.
    pub examples: Examples,
    /// Findings about the data, most severe first.
    pub findings: Vec<Finding>,
    /// The checked settings of the run, as a tree.
    pub settings: Map<String, Value>,
    /// Names and versions of what decided the result (runtime, models, tokenizers).
    pub versions: Vec<Named>,
    /// Device and execution provider that really ran.
    pub device: String,
    /// Seeds by name.
    pub seeds: Vec<Named>,
    /// Seconds per stage, in order.
    pub timings: Vec<Timing>,
    /// Files the run wrote, in the order to name them.
    pub files: Vec<OutputFile>,
}

/// What was read and what could be used.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Dataset {
    /// Short name for headings (a file name).
    pub name: String,
    /// Inputs as given, in reading order.
    pub inputs: Vec<Input>,
    /// Detected shape in words, `HH transcripts (chosen, rejected)`.
    pub shape: String,
    /// Rows read.
    pub rows: u64,
    /// Rows that became pairs the models saw.
    pub usable: u64,
    /// Rows set aside, by reason.
    pub set_aside: Vec<ReasonCount>,
    /// Distinct texts among the usable pairs.
    pub unique_texts: Option<u64>,
}

/// One input file.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Input {
    /// Path as given.
    pub path: String,
    /// Rows in it.
    pub rows: u64,
    /// BLAKE3 of its bytes, hex.
    pub digest: Option<String>,
}

/// A reason code with how often it occurred.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ReasonCount {
    /// Kebab-case code.
    pub reason: String,
    /// The code in words.
    pub words: String,
    /// How many rows.
    pub count: u64,
}

/// Whether anything may be tagged incorrect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum VerdictKind {
    /// The detector finds planted flips well enough.
    CanTell,
    /// It does not: nothing is tagged incorrect.
    CannotTell,
}

/// The verdict with its grounds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Verdict {
    /// Which of the two.
    pub kind: VerdictKind,
    /// Sentences: what was measured and why this follows.
    pub why: Vec<String>,
    /// Sentences: what would make the answer better.
    pub would_help: Vec<String>,
}

/// Headline counts. `robust + ambiguous + incorrect + undecidable + unusable + tie` = rows.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Counts {
    /// Pairs tagged robust.
    pub robust: u64,
    /// Pairs tagged ambiguous.
    pub ambiguous: u64,
    /// Pairs tagged incorrect.
    pub incorrect: u64,
    /// Pairs tagged undecidable.
    pub undecidable: u64,
    /// Rows tagged unusable.
    pub unusable: u64,
    /// Rows tagged tie.
    pub tie: u64,
    /// Rows in the cleaned file.
    pub kept: u64,
    /// Rows left out, in the file of removed rows.
    pub removed: u64,
    /// Rows in the file for review.
    #[serde(default)]
    pub review: u64,
    /// What was done, by tag; the counts add up to all rows.
    #[serde(default)]
    pub actions: Vec<ActionCount>,
    /// The removed rows by their one reason.
    pub removed_by_reason: Vec<ReasonCount>,
    /// Largest share of pairs the run may remove, 0..1.
    pub removal_cap: Option<f64>,
    /// Pairs that the cap kept in, though their tag would have taken them out.
    pub held_back_by_cap: u64,
    /// Upper limit on the share of right labels among those tagged incorrect, 0..1.
    pub fdr: f64,
    /// Estimated share of right labels among those tagged incorrect.
    pub fdr_estimate: Option<Estimate>,
}

/// How often an action was taken on pairs of a tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActionCount {
    /// The tag.
    pub tag: Tag,
    /// What was done.
    pub action: Action,
    /// On how many rows.
    pub count: u64,
}

/// One estimate of the share of wrong labels.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NoiseEstimate {
    /// Its name.
    pub name: String,
    /// Estimate, 0..1.
    pub value: f64,
    /// Its interval; it holds the noise of sampling, not the error of what it rests on.
    pub interval: Option<Range>,
    /// Nominal level of the interval.
    pub level: Option<f64>,
    /// What it rests on, in words.
    pub rests_on: String,
    /// Whether it is the one that decides.
    pub decides: bool,
}

/// Estimates of the share of wrong labels, 0..1.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct NoiseRate {
    /// The estimate that decides, with its interval; none where it cannot be told.
    pub eta: Option<Estimate>,
    /// All estimates side by side.
    pub estimates: Vec<NoiseEstimate>,
    /// Which one decides and why, in words.
    pub why: String,
    /// Range allowed when both score distributions must be non-negative.
    pub allowed: Option<Range>,
    /// High-loss weight of a two-component mixture.
    pub gmm: Option<f64>,
    /// Distance of the mixture's means in pooled standard deviations.
    pub gmm_separation: Option<f64>,
    /// Confident-joint estimate.
    pub confident_joint: Option<f64>,
    /// The assumption that makes η̂ identifiable, in words.
    pub anchor: String,
    /// Whether the estimates agree, in words.
    pub agreement: String,
}

/// How planted flips were found.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Detector {
    /// Planted flips, over all rounds.
    pub planted: u64,
    /// Rounds with disjoint plantings.
    pub rounds: u32,
    /// Trainings averaged in a round.
    pub members: u32,
    /// Planted against the rest, as measured.
    pub auroc_observed: Option<Estimate>,
    /// Corrected for pairs that were wrong before planting.
    pub auroc_corrected: Option<Estimate>,
    /// Lower bound of the corrected AUROC needed to tag anything incorrect.
    pub gate: f64,
    /// Observed ROC from (0, 0) to (1, 1), at most a few hundred points.
    pub roc: Vec<RocPoint>,
}

/// A point of the ROC curve.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct RocPoint {
    /// Share of the other pairs at least this suspicious.
    pub rest: f64,
    /// Share of planted pairs at least this suspicious.
    pub planted: f64,
}

/// Both models.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Models {
    /// Model `a`.
    pub a: ModelInfo,
    /// Model `b`.
    pub b: ModelInfo,
    /// How they worked together.
    pub health: Health,
}

/// One reward model.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ModelInfo {
    /// Backbone, `all-MiniLM-L6-v2`.
    pub backbone: String,
    /// What of the backbone it sees, in words.
    pub view: String,
    /// Its head, in words.
    pub head: String,
    /// Width of its input.
    pub features: u32,
    /// Share of labels it agrees with by online margins, last epoch.
    pub accuracy: Option<f64>,
}

/// Signs of a healthy or a degenerate exchange.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Health {
    /// Spearman correlation of the two models' margins, last epoch, -1..1.
    pub spearman: Option<f64>,
    /// Cohen's kappa of the two selections, -1..1.
    pub kappa: Option<f64>,
    /// Jaccard overlap of the two selections, 0..1.
    pub overlap: Option<f64>,
    /// Accuracy of `a` less that of `b`.
    pub accuracy_gap: Option<f64>,
    /// Share of one model in the spread of the mean margin, 0..1; 0.5 is balanced.
    pub dominance: Option<f64>,
    /// Per epoch of the second pass.
    pub epochs: Vec<HealthEpoch>,
    /// Warnings in words.
    pub warnings: Vec<String>,
}

/// Health in one epoch.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct HealthEpoch {
    /// Epoch, from 0.
    pub epoch: u32,
    /// Share of pairs left out of the updates.
    pub drop_rate: f64,
    /// Spearman correlation of the two models' margins.
    pub spearman: Option<f64>,
    /// Jaccard overlap of the two selections.
    pub overlap: Option<f64>,
    /// Share of planted pairs that `a` trained on (noise kept).
    pub planted_kept_a: Option<f64>,
    /// Share of planted pairs that `b` trained on (noise kept).
    pub planted_kept_b: Option<f64>,
    /// Share of labels `a` agrees with, online.
    pub accuracy_a: Option<f64>,
    /// Share of labels `b` agrees with, online.
    pub accuracy_b: Option<f64>,
}

/// How the models were trained.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Training {
    /// Filter, `peer review (CRM)`.
    pub method: String,
    /// What ranks the labels, as `gaussian-process: ...`; the same text as `method` where it does both.
    #[serde(default)]
    pub ranking: String,
    /// Curriculum, `none`, `global-sort`, `staged`.
    pub curriculum: String,
    /// Epochs of the first pass (no exchange).
    pub first_pass_epochs: u32,
    /// Epochs of the second pass.
    pub epochs: u32,
    /// Optimizer updates, all models and passes.
    pub steps: u64,
    /// Pairs in a batch.
    pub batch_pairs: u32,
    /// Largest drop rate of the second pass, 0..1.
    pub drop_rate: f64,
    /// Pairs trained on per second, all models.
    pub pairs_per_second: Option<f64>,
}

/// How texts became tokens.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Tokens {
    /// The policy in words.
    pub policy: String,
    /// Longest sequence the encoder saw, tokens.
    pub max_length_tokens: u32,
    /// Texts encoded.
    pub texts: u64,
    /// Texts that lost tokens.
    pub truncated_texts: u64,
    /// Pairs with at least one such text.
    pub truncated_pairs: u64,
    /// Pairs whose sides became identical.
    pub undecidable: u64,
}

/// Loss over epochs, in nats.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Trajectories {
    /// Before the update that uses the pair; mean of both models per pair.
    pub online: Vec<TagTrajectory>,
    /// At the end of each epoch.
    pub end: Vec<TagTrajectory>,
    /// Single pairs, a few per tag, online.
    pub sample_pairs: Vec<PairTrajectory>,
}

/// Spread of the loss among the pairs of one tag.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TagTrajectory {
    /// Which tag.
    pub tag: Tag,
    /// How many pairs.
    pub pairs: u64,
    /// One entry per epoch.
    pub epochs: Vec<Quartiles>,
}

/// The loss of one pair over epochs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PairTrajectory {
    /// Pair id as written in the files.
    pub pair_id: String,
    /// Its tag.
    pub tag: Tag,
    /// Loss per epoch, nats.
    pub loss: Vec<f64>,
}

/// One pair on the data map.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct MapPoint {
    /// Mean of `p_chosen` over epochs, 0..1.
    pub confidence: f64,
    /// Standard deviation of `p_chosen` over epochs, 0..0.5.
    pub variability: f64,
    /// Its tag.
    pub tag: Tag,
}

/// Mean loss per pair, binned.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct LossHistogram {
    /// Bin edges in nats, one more than there are bins.
    pub edges: Vec<f64>,
    /// Counts per tag.
    pub tags: Vec<TagCounts>,
}

/// Counts per bin of one tag.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TagCounts {
    /// Which tag.
    pub tag: Tag,
    /// One count per bin.
    pub counts: Vec<u64>,
}

/// Tags by source.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct BySource {
    /// The column that names the source.
    pub column: String,
    /// One row per source, largest first; the pipeline may bound the list.
    pub sources: Vec<Source>,
}

/// One source.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Source {
    /// Its value in the column.
    pub name: String,
    /// Pairs with a tag from training.
    pub pairs: u64,
    /// Pairs tagged ambiguous.
    pub ambiguous: u64,
    /// Pairs tagged incorrect.
    pub incorrect: u64,
    /// Mean of `p_incorrect`.
    pub p_incorrect: Option<Estimate>,
}

/// Tags by length difference.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ByLength {
    /// What lengths are counted in, `characters` or `tokens`.
    pub unit: String,
    /// Bins of (length of chosen - length of rejected), ascending.
    pub bins: Vec<LengthBin>,
}

/// One bin of length difference: `low <= difference < high`; `None` is open.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LengthBin {
    /// Smallest difference.
    pub low: Option<i64>,
    /// First difference beyond the bin.
    pub high: Option<i64>,
    /// Pairs in the bin.
    pub pairs: u64,
    /// Of these, tagged incorrect.
    pub incorrect: u64,
    /// Mean of `p_incorrect`.
    pub p_incorrect: Option<Estimate>,
}

/// How much a finding matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Good to know.
    Info,
    /// Look at this.
    Warning,
    /// This makes results doubtful.
    Error,
}

/// Something noticed about the data or the run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    /// Kebab-case check name.
    pub check: String,
    /// How much it matters.
    pub severity: Severity,
    /// One or two sentences.
    pub message: String,
    /// Pairs concerned.
    pub pairs: Option<u64>,
}

/// A name and a value, both for people.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Named {
    /// What it is.
    pub name: String,
    /// Its value.
    pub value: String,
}

/// How long a stage took.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Timing {
    /// Stage.
    pub stage: String,
    /// Wall-clock seconds.
    pub seconds: f64,
}

/// A file the run wrote.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutputFile {
    /// Path as a user would type it.
    pub path: String,
    /// What it holds, a few words.
    pub holds: String,
    /// Rows, for tables.
    pub rows: Option<u64>,
}

impl Counts {
    /// The count of one tag.
    #[must_use]
    pub const fn of(&self, tag: Tag) -> u64 {
        match tag {
            Tag::Robust => self.robust,
            Tag::Ambiguous => self.ambiguous,
            Tag::Incorrect => self.incorrect,
            Tag::Undecidable => self.undecidable,
            Tag::Unusable => self.unusable,
            Tag::Tie => self.tie,
        }
    }

    /// All rows.
    #[must_use]
    pub const fn rows(&self) -> u64 {
        self.robust + self.ambiguous + self.incorrect + self.undecidable + self.unusable + self.tie
    }
}

/// Numbers that may be undefined: `null` in JSON, NaN here.
mod finite {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[expect(
        clippy::trivially_copy_pass_by_ref,
        reason = "serde fixes the signature"
    )]
    pub fn serialize<S: Serializer>(value: &f64, serializer: S) -> Result<S::Ok, S::Error> {
        value.is_finite().then_some(*value).serialize(serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
        Ok(Option::<f64>::deserialize(deserializer)?.unwrap_or(f64::NAN))
    }
}
