//! Everything that can change a decision: one checked configuration.
//!
//! Defaults, then a run file, then flags become one [`RunConfig`]; `--show-config`
//! prints it and the manifest keeps it. Every key is explained in `docs/run-file.md`.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::PipelineError;
use super::outcome::calibration_options;
use crate::actions::{Action, ActionRules};
use crate::filter::{Curriculum, Exchange};
use crate::graph::artifacts::make::Train;
use crate::graph::lower::Precision;
use crate::methods::{self, Method, MethodError, Noise, PlantingOptions, Settings};
use crate::tags::{NoiseReport, TagRules};
use crate::tokens::TokenPolicy;
use crate::train::{Loss, PassOptions, Schedule};

/// A run, completely described.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RunConfig {
    /// Seed of plantings, views, initial heads and shuffles.
    pub seed: u64,
    /// How rows become pairs.
    pub data: DataConfig,
    /// Judges whose margins stand in the data.
    pub judges: JudgesConfig,
    /// Trajectories of models that were trained elsewhere.
    pub trajectories: TrajectoriesConfig,
    /// What of a text the models read.
    pub tokens: TokenPolicy,
    /// Model `a`.
    pub model_a: ModelConfig,
    /// Model `b`.
    pub model_b: ModelConfig,
    /// Held-out margins by cross-fitting.
    pub cross_fit: CrossFitConfig,
    /// The unfiltered pass that estimates the noise rate.
    pub first_pass: FirstPassConfig,
    /// The filtered pass, whose trajectories tags and reports rest on.
    pub second_pass: SecondPassConfig,
    /// What ranks the labels.
    pub suspicion: SuspicionConfig,
    /// What trains in the second pass besides the heads, and how.
    pub fine_tuning: FineTuningConfig,
    /// Planted flips.
    pub planting: PlantingOptions,
    /// From scores to tags, and how much may be removed.
    pub tags: TagRules,
    /// What becomes of pairs by their tags.
    pub actions: ActionRules,
}

/// How rows become pairs.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DataConfig {
    /// `prompt=NAME,chosen=NAME,rejected=NAME`; empty: detected.
    pub columns: String,
    /// Column that names a pair's source, for the report; empty: `source` where there is one.
    pub source_column: String,
    /// Column whose every value is held to the cap on removal as well; empty: none.
    pub cap_column: String,
}

/// Trajectories of models that were trained elsewhere: then a run trains nothing.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TrajectoriesConfig {
    /// Folders with `dynamics_epoch_N.jsonl`, of one model or of two; empty: models are trained.
    pub folders: Vec<String>,
    /// Column whose values are the names in those files; empty: they are pair ids or row numbers.
    pub ids: String,
    /// File with the names of pairs whose labels were swapped before that training, one in a line; empty: none.
    pub planted: String,
}

/// Columns of the data that hold margins of judges.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct JudgesConfig {
    /// `COLUMN` with margins or words, or `CHOSEN:REJECTED` with scores, a judge each.
    pub columns: Vec<String>,
    /// Log-probabilities of whole responses: policy on chosen and on rejected, then reference on
    /// chosen and on rejected; empty: none.
    pub logps: Vec<String>,
    /// Strength of the penalty that makes rewards of them.
    pub beta: f64,
}

/// One reward model: a backbone's features, the part of them that it sees, and a head.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ModelConfig {
    /// `minilm`, `mpnet`, or a folder with config.json, model.safetensors and tokenizer.json.
    pub backbone: String,
    /// Pooled features that the model may see: `cls`, `mean`, `max`.
    pub pools: Vec<Pool>,
    /// Share of these features that it sees, drawn by seed; 0 to 1.
    pub feature_share: f64,
    /// Head artifacts: a name under `pipelines/heads/`, or a folder.
    pub head: String,
    /// Width of the head's hidden layer, where it has one.
    pub hidden: usize,
    /// Folder of training artifacts over tokens, which train in the second pass in place of what
    /// `fine_tuning.train` says; empty: none.
    pub artifacts: String,
}

/// How the tokens' hidden states become one vector.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Pool {
    /// The first token.
    Cls,
    /// Mean over the response's tokens.
    Mean,
    /// Largest value over the response's tokens.
    Max,
}

/// Held-out margins by cross-fitting.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CrossFitConfig {
    /// Folds; 0 switches it off.
    pub folds: usize,
    /// Epochs of each fold.
    pub epochs: usize,
    /// What is never on both sides: pairs of one `content`, `prompt` or `opening` turn, or of one
    /// value of the column of this name.
    pub by: String,
}

/// Optimizer and epochs of the unfiltered pass.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FirstPassConfig {
    /// Full passes over the pairs.
    pub epochs: usize,
    /// Peak learning rate of `AdamW`.
    pub learning_rate: f64,
    /// How the learning rate moves.
    pub schedule: Schedule,
    /// Decoupled weight decay of `AdamW`.
    pub weight_decay: f64,
    /// Pairs scored, and selected from, at a time.
    pub batch_size_pairs: usize,
}

/// Optimizer, epochs and filter of the second pass.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SecondPassConfig {
    /// Full passes over the pairs.
    pub epochs: usize,
    /// Trainings, from different seeds, whose scores are averaged.
    pub members: usize,
    /// Peak learning rate of `AdamW`.
    pub learning_rate: f64,
    /// How the learning rate moves.
    pub schedule: Schedule,
    /// Decoupled weight decay of `AdamW`.
    pub weight_decay: f64,
    /// Pairs scored, and selected from, at a time.
    pub batch_size_pairs: usize,
    /// What trains the two models: a name of [`METHODS`](crate::methods::METHODS).
    pub method: String,
    /// Order of an epoch.
    pub curriculum: Curriculum,
    /// Exponent on the noise rate in the drop rate.
    pub drop_exponent: f64,
    /// Epochs until the drop rate is reached.
    pub ramp_epochs: usize,
    /// Share of wrong labels to assume; negative: the first pass's estimate.
    pub noise_rate: f64,
}

/// What ranks the labels.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SuspicionConfig {
    /// A method whose suspicion rests on other pairs alone, [`SECOND_PASS`], or [`AUTO`].
    pub method: String,
}

/// The method of the second pass ranks the labels too.
pub const SECOND_PASS: &str = "second-pass";
/// [`methods::RANKS`] ranks the labels where heads on frozen features train, and the second pass
/// where encoders do, since these read more of a text than it does.
pub const AUTO: &str = "auto";

/// Training of encoder layers in the second pass. With `train` = `head` the other keys have no effect.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FineTuningConfig {
    /// `head`, `last:K`, `all`, `lora:R` or `lora:R:PATTERN`.
    pub train: Train,
    /// Full passes over the pairs.
    pub epochs: usize,
    /// Trainings, from different seeds, whose scores are averaged.
    pub members: usize,
    /// Peak learning rate of `AdamW`.
    pub learning_rate: f64,
    /// Share of the updates in which the learning rate rises from 0.
    pub warmup: f64,
    /// How the learning rate moves after that.
    pub schedule: Schedule,
    /// Decoupled weight decay of `AdamW`.
    pub weight_decay: f64,
    /// Gradients are scaled down to at most this norm; 0: never.
    pub max_gradient_norm: f64,
    /// Pairs scored, selected from, and updated on at a time.
    pub batch_size_pairs: usize,
    /// Padded tokens in one call of a model; a batch takes as many calls as it needs.
    pub tokens_per_call: usize,
    /// Epochs until the drop rate is reached.
    pub ramp_epochs: usize,
    /// What matrix products are computed in on a CUDA device: `f32`, `f16`, `bf16`.
    pub precision: Precision,
    /// Whether the backward pass computes activations again instead of keeping them: less memory, more
    /// time, the same results.
    pub recompute: bool,
    /// Largest size of the cached states of the frozen layers, in GiB; beyond it they are computed anew
    /// in each call.
    pub cache_gib: f64,
}

impl Default for JudgesConfig {
    fn default() -> Self {
        Self {
            columns: Vec::new(),
            logps: Vec::new(),
            beta: 0.1,
        }
    }
}

impl JudgesConfig {
    /// Whether any judge is named.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.columns.is_empty() && self.logps.is_empty()
    }
}

impl Default for ModelConfig {
    fn default() -> Self {
        Self {
            backbone: "minilm".into(),
            pools: vec![Pool::Cls, Pool::Mean, Pool::Max],
            feature_share: 0.6,
            head: "linear".into(),
            hidden: 64,
            artifacts: String::new(),
        }
    }
}

impl Default for CrossFitConfig {
    fn default() -> Self {
        Self {
            folds: 5,
            epochs: 3,
            by: "content".into(),
        }
    }
}

impl Default for FirstPassConfig {
    fn default() -> Self {
        Self {
            epochs: 6,
            learning_rate: 1.5e-3,
            schedule: Schedule::Constant,
            weight_decay: 0.0,
            batch_size_pairs: 256,
        }
    }
}

impl Default for SecondPassConfig {
    fn default() -> Self {
        Self {
            epochs: 12,
            members: 3,
            learning_rate: 1.5e-3,
            schedule: Schedule::Constant,
            weight_decay: 0.0,
            batch_size_pairs: 256,
            method: methods::TRAINS.into(),
            curriculum: Curriculum::None,
            drop_exponent: 1.0,
            ramp_epochs: 6,
            noise_rate: -1.0,
        }
    }
}

impl Default for SuspicionConfig {
    fn default() -> Self {
        Self {
            method: AUTO.into(),
        }
    }
}

impl Default for FineTuningConfig {
    fn default() -> Self {
        Self {
            train: Train::Head,
            epochs: 3,
            members: 1,
            learning_rate: 5e-5,
            warmup: 0.1,
            schedule: Schedule::Linear,
            weight_decay: 0.01,
            max_gradient_norm: 1.0,
            batch_size_pairs: 16,
            tokens_per_call: 4096,
            ramp_epochs: 2,
            precision: Precision::F32,
            recompute: false,
            cache_gib: 16.0,
        }
    }
}

/// The run files that ship with the program, by name.
pub const SHIPPED: [(&str, &str); 3] = [
    ("crm", include_str!("../../pipelines/crm.toml")),
    (
        "independent",
        include_str!("../../pipelines/independent.toml"),
    ),
    ("quick", include_str!("../../pipelines/quick.toml")),
];

impl RunConfig {
    /// Reads a shipped run file by name, or a file of the user's.
    ///
    /// # Errors
    /// [`PipelineError::RunFile`] when it cannot be read, has an unknown key, or a value of the wrong type.
    pub fn load(name_or_path: &str) -> Result<Self, PipelineError> {
        let failed = |reason: String| PipelineError::RunFile {
            name: name_or_path.to_owned(),
            reason,
        };
        let shipped = SHIPPED.iter().find(|(name, _)| *name == name_or_path);
        let text = if let Some((_, text)) = shipped {
            (*text).to_owned()
        } else {
            let path = Path::new(name_or_path);
            if !path.exists() && path.extension().is_none() {
                let names: Vec<&str> = SHIPPED.iter().map(|(name, _)| *name).collect();
                return Err(failed(format!(
                    "no such file, and the pipelines are {}",
                    names.join(", ")
                )));
            }
            std::fs::read_to_string(path).map_err(|error| failed(error.to_string()))?
        };
        toml::from_str(&text).map_err(|error| failed(error.to_string().trim_end().to_owned()))
    }

    /// The configuration as a run file.
    ///
    /// # Panics
    /// Never: every field is a TOML value.
    #[must_use]
    pub fn to_toml(&self) -> String {
        toml::to_string(self).expect("every field is a TOML value")
    }

    /// Both models' settings.
    #[must_use]
    pub fn models(&self) -> [&ModelConfig; 2] {
        [&self.model_a, &self.model_b]
    }

    /// Whether encoders train in the second pass, not heads alone.
    #[must_use]
    pub fn trains_encoders(&self) -> bool {
        let given = |model: &ModelConfig| !model.artifacts.is_empty();
        self.fine_tuning.train != Train::Head || self.models().into_iter().any(given)
    }

    /// What trains the two models in the second pass.
    ///
    /// # Errors
    /// When there is no such method.
    pub fn training_method(&self) -> Result<&'static dyn Method, MethodError> {
        methods::find(&self.second_pass.method)
    }

    /// What ranks the labels.
    ///
    /// # Errors
    /// When there is no such method.
    pub fn ranking_method(&self) -> Result<&'static dyn Method, MethodError> {
        match self.suspicion.method.as_str() {
            AUTO if !self.trains_encoders() => methods::find(methods::RANKS),
            AUTO | SECOND_PASS => self.training_method(),
            name => methods::find(name),
        }
    }

    /// Lets a method rank the labels; one that needs the labels' own training takes the second pass too.
    ///
    /// # Errors
    /// When there is no such method.
    pub fn rank_by(&mut self, name: &str) -> Result<(), MethodError> {
        if methods::find(name)?.held_out() {
            name.clone_into(&mut self.suspicion.method);
        } else {
            name.clone_into(&mut self.second_pass.method);
            SECOND_PASS.clone_into(&mut self.suspicion.method);
        }
        Ok(())
    }

    /// What is taken for the share of wrong labels: set, or what planted flips of the first pass tell.
    #[must_use]
    pub fn noise(&self, told: Option<&NoiseReport>) -> Noise {
        let set = self.second_pass.noise_rate;
        if set < 0.0 {
            return Noise::of(told);
        }
        Noise {
            rate: set,
            drop_rate: set,
        }
    }

    /// How methods train under these settings.
    #[must_use]
    pub fn settings(&self) -> Settings {
        let (first, second, tuning) = (&self.first_pass, &self.second_pass, &self.fine_tuning);
        let first_pass = PassOptions {
            epochs: first.epochs,
            batch_size_pairs: first.batch_size_pairs,
            learning_rate: first.learning_rate,
            warmup: 0.0,
            schedule: first.schedule,
            loss: Loss::BradleyTerry,
            exchange: Exchange::Independent,
            curriculum: second.curriculum,
            noise_rate: 0.0,
            drop_exponent: second.drop_exponent,
            ramp_epochs: second.ramp_epochs,
            seed: self.seed,
        };
        let heads = PassOptions {
            epochs: second.epochs,
            batch_size_pairs: second.batch_size_pairs,
            learning_rate: second.learning_rate,
            schedule: second.schedule,
            ..first_pass
        };
        let encoders = PassOptions {
            epochs: tuning.epochs,
            batch_size_pairs: tuning.batch_size_pairs,
            learning_rate: tuning.learning_rate,
            warmup: tuning.warmup,
            schedule: tuning.schedule,
            ramp_epochs: tuning.ramp_epochs,
            ..first_pass
        };
        let (deciding, members) = if self.trains_encoders() {
            (encoders, tuning.members)
        } else {
            (heads, second.members)
        };
        Settings {
            first_pass,
            deciding,
            members,
            cross_fit_epochs: self.cross_fit.epochs,
            cross_fit_folds: self.cross_fit.folds,
            planting: self.planting.clone(),
            calibration: calibration_options(self),
        }
    }

    /// Checks what types cannot.
    ///
    /// # Errors
    /// [`PipelineError::Config`] naming the first key whose value is out of range.
    pub fn validate(&self) -> Result<(), PipelineError> {
        self.tokens
            .validate()
            .map_err(|error| PipelineError::Config(error.to_string()))?;
        for (name, model) in [("model_a", &self.model_a), ("model_b", &self.model_b)] {
            check(!model.pools.is_empty(), || {
                format!("`{name}.pools` is empty")
            })?;
            within(
                &format!("{name}.feature_share"),
                model.feature_share,
                0.01,
                1.0,
            )?;
            check(model.hidden > 0, || {
                format!("`{name}.hidden` must be at least 1")
            })?;
        }
        check(self.cross_fit.folds != 1, || {
            "`cross_fit.folds` = 1 leaves nothing to train on".into()
        })?;
        let passes = [
            (
                "first_pass",
                self.first_pass.epochs,
                self.first_pass.learning_rate,
                self.first_pass.batch_size_pairs,
            ),
            (
                "second_pass",
                self.second_pass.epochs,
                self.second_pass.learning_rate,
                self.second_pass.batch_size_pairs,
            ),
            (
                "fine_tuning",
                self.fine_tuning.epochs,
                self.fine_tuning.learning_rate,
                self.fine_tuning.batch_size_pairs,
            ),
        ];
        for (name, epochs, learning_rate, batch) in passes {
            check(epochs > 0, || format!("`{name}.epochs` must be at least 1"))?;
            check(batch > 0, || {
                format!("`{name}.batch_size_pairs` must be at least 1")
            })?;
            within(&format!("{name}.learning_rate"), learning_rate, 1e-9, 10.0)?;
        }
        within(
            "first_pass.weight_decay",
            self.first_pass.weight_decay,
            0.0,
            100.0,
        )?;
        within(
            "second_pass.weight_decay",
            self.second_pass.weight_decay,
            0.0,
            100.0,
        )?;
        within(
            "second_pass.drop_exponent",
            self.second_pass.drop_exponent,
            0.1,
            10.0,
        )?;
        within(
            "second_pass.noise_rate",
            self.second_pass.noise_rate,
            -1.0,
            0.5,
        )?;
        methods::find(&self.second_pass.method)
            .map_err(|error| PipelineError::Config(format!("`second_pass.method`: {error}")))?;
        let ranks = self
            .ranking_method()
            .map_err(|error| PipelineError::Config(format!("`suspicion.method`: {error}")))?;
        check(
            ranks.held_out() || ranks.info().name == self.second_pass.method,
            || {
                let held_out = methods::METHODS.iter().filter(|method| method.held_out());
                let names: Vec<&str> = held_out.map(|method| method.info().name).collect();
                format!(
                    "`suspicion.method` = `{}`: expected {AUTO}, {SECOND_PASS}, {}; others go into `second_pass.method`",
                    self.suspicion.method,
                    names.join(", ")
                )
            },
        )?;
        check(self.second_pass.members > 0, || {
            "`second_pass.members` must be at least 1".into()
        })?;
        self.fine_tuning.validate()?;
        let given = self.models().map(|model| !model.artifacts.is_empty());
        let composes = self.fine_tuning.train != Train::Head;
        check(!composes || given != [true, true], || {
            format!(
                "`fine_tuning.train` = \"{}\": both models have artifacts, which say what trains",
                self.fine_tuning.train
            )
        })?;
        for ((name, model), given) in ["model_a", "model_b"]
            .into_iter()
            .zip(self.models())
            .zip(given)
        {
            check(given || composes == self.trains_encoders(), || {
                format!(
                    "`{name}.artifacts` is empty: the other model has artifacts, so this one needs them \
                     too, or `fine_tuning.train`"
                )
            })?;
            check(given || !composes || model.head == "linear", || {
                format!(
                    "`{name}.head` = \"{}\": where encoder layers train, the head is \"linear\"",
                    model.head
                )
            })?;
        }
        within("planting.share", self.planting.share, 0.001, 0.3)?;
        check(self.planting.at_least <= self.planting.at_most, || {
            "`planting.at_least` is above `planting.at_most`".into()
        })?;
        within("tags.fdr", self.tags.fdr, 0.001, 0.5)?;
        self.tags
            .validate()
            .map_err(|error| PipelineError::Config(format!("in `tags`: {error}")))?;
        self.judges
            .parsed()
            .map_err(|error| PipelineError::Config(format!("in `judges`: {error}")))?;
        within("judges.beta", self.judges.beta, 1e-6, 1e6)?;
        self.actions.validate().map_err(PipelineError::Config)?;
        let trajectories = &self.trajectories;
        check(trajectories.folders.len() <= 2, || {
            format!(
                "`trajectories.folders` names {}: expected one, or one for each model",
                trajectories.folders.len()
            )
        })?;
        let needless = !trajectories.ids.is_empty() || !trajectories.planted.is_empty();
        check(!needless || !trajectories.folders.is_empty(), || {
            "`trajectories.ids` and `trajectories.planted` say something of `trajectories.folders`, which is empty"
                .into()
        })?;
        let trains = trajectories.folders.is_empty();
        let has_margins = (trains && self.cross_fit.folds > 0) || !self.judges.is_empty();
        check(
            has_margins || !self.actions.ask_for(Action::TargetMargin),
            || {
                "`target-margin` needs margins: those of judges (`judges.columns`, `judges.logps`) or \
                 held-out ones (`cross_fit.folds` above 1, where models are trained)"
                    .into()
            },
        )
    }

    /// Head artifacts of a model: the folder named, or `None` for a shipped head.
    #[must_use]
    pub fn head_folder(model: &ModelConfig) -> Option<PathBuf> {
        let path = Path::new(&model.head);
        (path.components().count() > 1 || path.is_dir()).then(|| path.to_owned())
    }
}

impl FineTuningConfig {
    fn validate(&self) -> Result<(), PipelineError> {
        check(self.members > 0, || {
            "`fine_tuning.members` must be at least 1".into()
        })?;
        within("fine_tuning.warmup", self.warmup, 0.0, 1.0)?;
        within("fine_tuning.weight_decay", self.weight_decay, 0.0, 100.0)?;
        within(
            "fine_tuning.max_gradient_norm",
            self.max_gradient_norm,
            0.0,
            1e6,
        )?;
        within("fine_tuning.cache_gib", self.cache_gib, 0.0, 1e6)
    }
}

fn check(ok: bool, message: impl FnOnce() -> String) -> Result<(), PipelineError> {
    if ok {
        Ok(())
    } else {
        Err(PipelineError::Config(message()))
    }
}

fn within(key: &str, value: f64, low: f64, high: f64) -> Result<(), PipelineError> {
    check((low..=high).contains(&value), || {
        format!("`{key}` = {value}: expected {low} to {high}")
    })
}

#[cfg(test)]
mod tests;
