//! Cleaning methods behind one interface: who says which labels are wrong.
//!
//! A [`Method`] is given a [`Task`] (pairs with the labels as they stand, what is known of their texts,
//! means to train reward models) and gives a [`Judgement`]: how suspicious each label is, what the
//! method itself would drop, and what share of labels it takes to be wrong. A file holds a method, or
//! a family that differs in one rule. `run` takes one of them, `compare` all: what several methods
//! need, such as held-out margins, is made once for a task.
//!
//! Nothing here reads files or knows where reward models come from.

mod aum;
mod bradley_terry;
mod cartography;
mod co_teaching;
mod collaborative;
mod comparisons;
mod confident_learning;
mod cross_fit;
mod divide_mix;
mod forgetting;
mod gaussian_process;
mod mean_loss;
mod members;
mod panel;
pub mod planting;
mod random_drop;
mod rank_centrality;
mod reward_gap;
mod robust_losses;
mod signals;
mod strength;
mod task;
mod votes;

pub use planting::{PlantingOptions, ROUNDS, Rounds};
pub use signals::pair_signals;
pub use task::{
    CrossFit, FirstPass, Made, Member, Noise, Settings, Stage, Task, TrainedPass, Training,
    cross_fit, first_pass,
};

pub use crate::pairs::Judge;

use crate::filter::{Curriculum, Exchange};
use crate::graph::GraphError;
use crate::reward::RewardError;
use crate::train::{Dynamics, PassOptions, TrainError};

/// What a method is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MethodInfo {
    /// The field's name, in kebab case.
    pub name: &'static str,
    /// What it does, in a sentence.
    pub rule: &'static str,
    /// The formula of its suspicion.
    pub formula: &'static str,
    /// Where it comes from: an arXiv number, or `control`.
    pub source: &'static str,
    /// Whether it needs margins of judges.
    pub needs_judges: bool,
}

/// What a method says of the labels.
#[derive(Debug, Clone, PartialEq)]
pub struct Judgement {
    /// Higher for labels that are more likely wrong; on any scale, finite: `[n_pairs]`.
    pub suspicion: Vec<f64>,
    /// What the method itself would drop: `[n_pairs]`.
    pub dropped: Vec<bool>,
    /// Its own estimate of the share of wrong labels, where it makes one.
    pub noise_rate: Option<f64>,
    /// The training that it rests on, where it trained the two models.
    pub dynamics: Option<Dynamics>,
    /// Optimizer steps that it took itself.
    pub steps: u64,
}

impl Judgement {
    /// A judgement without training or a noise rate of its own.
    #[must_use]
    pub fn new(suspicion: Vec<f64>, dropped: Vec<bool>) -> Self {
        Self {
            suspicion,
            dropped,
            noise_rate: None,
            dynamics: None,
            steps: 0,
        }
    }
}

/// Says which labels are wrong.
pub trait Method: Sync {
    /// What it is.
    fn info(&self) -> &MethodInfo;

    /// Epochs that [`judge`](Self::judge) trains the two models for, for progress bars.
    fn epochs(&self, _settings: &Settings) -> usize {
        0
    }

    /// Who selects what its models train on, for reports on how they got on.
    fn exchange(&self) -> Exchange {
        Exchange::Independent
    }

    /// Whether its suspicion of a pair is minus a margin that rests on other pairs alone: then swapping
    /// the pair's label turns the sign and changes nothing else, so that every pair is its own planted flip.
    fn held_out(&self) -> bool {
        false
    }

    /// Judges the labels of a task.
    ///
    /// # Errors
    /// When training fails, or the method needs judges and there are none.
    fn judge(&self, task: &Task<'_>) -> Result<Judgement, MethodError>;
}

/// What trains the two models by default: its trajectories are what tags and reports show.
pub const TRAINS: &str = "crm";

/// What ranks the labels by default, where heads on frozen features train.
pub const RANKS: &str = "gaussian-process";

/// Every method, in the order of tables.
pub static METHODS: &[&dyn Method] = &[
    &collaborative::CRM,
    &collaborative::SELF_REVIEW,
    &collaborative::INDEPENDENT,
    &co_teaching::CO_TEACHING,
    &co_teaching::CO_TEACHING_PLUS,
    &co_teaching::JOCOR,
    &divide_mix::DivideMix,
    &robust_losses::LABEL_SMOOTHING,
    &robust_losses::ROBUST_DPO,
    &robust_losses::DR_DPO,
    &robust_losses::ROPO,
    &random_drop::RandomDrop,
    &bradley_terry::BradleyTerry,
    &rank_centrality::RankCentrality,
    &gaussian_process::GaussianProcessBradleyTerry,
    &mean_loss::MeanLoss,
    &cartography::Cartography,
    &forgetting::Forgetting,
    &aum::Aum,
    &cross_fit::HeldOut,
    &confident_learning::ConfidentLearning,
    &strength::Strength,
    &votes::VOTES,
    &votes::VOTES_ALL,
    &reward_gap::RewardGap,
];

/// The method of a name.
///
/// # Errors
/// [`MethodError::Unknown`] lists the names.
pub fn find(name: &str) -> Result<&'static dyn Method, MethodError> {
    let found = METHODS.iter().find(|method| method.info().name == name);
    found.copied().ok_or_else(|| MethodError::Unknown {
        name: name.to_owned(),
    })
}

/// The names of all methods, for messages.
#[must_use]
pub fn names() -> String {
    let names: Vec<&str> = METHODS.iter().map(|method| method.info().name).collect();
    names.join(", ")
}

/// Errors of methods.
#[derive(Debug, thiserror::Error)]
pub enum MethodError {
    /// There is no such method.
    #[error("unknown method `{name}`: expected one of {}", names())]
    Unknown {
        /// As given.
        name: String,
    },
    /// The method needs judges.
    #[error("method `{method}` needs margins of judges")]
    NoJudges {
        /// Its name.
        method: &'static str,
    },
    /// The method needs held-out scores.
    #[error(
        "the method needs held-out scores, and `cross_fit.folds` is 0 or there are too few pairs"
    )]
    NoFolds,
    /// There is nothing to fit, or no finite numbers to fit it to.
    #[error("method `{method}` needs pairs of different texts and finite features")]
    NotFinite {
        /// Its name.
        method: &'static str,
    },
    /// Training failed.
    #[error(transparent)]
    Train(#[from] TrainError),
    /// A model failed.
    #[error(transparent)]
    Reward(#[from] RewardError),
    /// A graph could not be made.
    #[error(transparent)]
    Graph(#[from] GraphError),
    /// What provides the models failed.
    #[error(transparent)]
    Other(Box<dyn std::error::Error + Send + Sync>),
}

/// Marks the `share` of pairs with the highest suspicion; equal ones are ordered by `ties`.
#[must_use]
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "a number of pairs"
)]
pub fn most_suspicious(suspicion: &[f64], ties: impl Fn(usize) -> u64, share: f64) -> Vec<bool> {
    let n = suspicion.len();
    let wanted = ((share.clamp(0.0, 1.0) * n as f64).round() as usize).min(n);
    let mut order: Vec<usize> = (0..n).collect();
    order.sort_by(|&i, &j| {
        let by_suspicion = suspicion[j].total_cmp(&suspicion[i]);
        by_suspicion.then_with(|| ties(i).cmp(&ties(j)))
    });
    let mut marked = vec![false; n];
    for &i in &order[..wanted] {
        marked[i] = true;
    }
    marked
}

/// Options of a pass in which both models train on everything.
#[must_use]
pub fn unfiltered(options: PassOptions) -> PassOptions {
    PassOptions {
        exchange: Exchange::Independent,
        curriculum: Curriculum::None,
        noise_rate: 0.0,
        ..options
    }
}

#[cfg(test)]
mod reference_tests;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod training_tests;
