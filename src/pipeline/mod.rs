//! Run files, and the stages of a run in order.
//!
//! ```text
//! ingest -> encode -> cross-fit, first pass -> second pass -> evidence
//!                                                                |
//!                                  outcome (tags, removal) -> finish (files, report)
//! ```
//!
//! [`run()`] does all of it; [`retag`] begins at the evidence that a finished run
//! left in its tables.

mod compare;
pub mod config;
mod estimate;
mod evidence;
mod examples;
mod explain;
mod facts;
mod finish;
mod folds;
mod given;
mod health;
mod ingest;
mod journal;
mod judging;
mod known;
mod labels;
mod load;
mod manifest;
mod models;
mod outcome;
pub mod prove;
mod ranking;
mod reporting;
mod retag;
mod review;
mod run;
mod score;
mod summaries;
mod tables;
mod trained;
mod training;
mod trajectories;
mod workbench;

pub use compare::{CompareRequest, compare};
pub use config::RunConfig;
pub use estimate::{Estimate, estimate};
pub use explain::explain;
pub use finish::Finished;
pub use given::GivenError;
pub use retag::retag;
pub use run::{RunRequest, run};
pub use score::{ScoreRequest, ScoreSummary, score};
pub use workbench::{Machine, open_source};

use std::path::PathBuf;

use crate::graph::GraphError;
use crate::methods::MethodError;
use crate::noise::NoiseError;
use crate::pairs::{JudgesError, PairId, PairsError};
use crate::report::ReportError;
use crate::reward::RewardError;
use crate::setup::SetupError;
use crate::tokens::TokensError;
use crate::train::TrainError;
use crate::train::cartography::DynamicsFileError;

/// Errors of a run.
#[derive(Debug, thiserror::Error)]
pub enum PipelineError {
    /// A run file cannot be used.
    #[error("run file `{name}`: {reason}")]
    RunFile {
        /// As given.
        name: String,
        /// Why.
        reason: String,
    },
    /// A setting is out of range.
    #[error("run settings: {0}")]
    Config(String),
    /// Reading or writing pairs failed.
    #[error(transparent)]
    Pairs(#[from] PairsError),
    /// Judges could not be read from the data.
    #[error(transparent)]
    Judges(JudgesError),
    /// The runtime or a model could not be set up.
    #[error(transparent)]
    Setup(#[from] SetupError),
    /// A graph could not be made.
    #[error(transparent)]
    Graph(#[from] GraphError),
    /// Tokenizing failed.
    #[error(transparent)]
    Tokens(#[from] TokensError),
    /// A model failed.
    #[error(transparent)]
    Reward(#[from] RewardError),
    /// Training failed.
    #[error(transparent)]
    Train(#[from] TrainError),
    /// A method failed.
    #[error(transparent)]
    Method(#[from] MethodError),
    /// Noise cannot be injected.
    #[error(transparent)]
    Noise(#[from] NoiseError),
    /// The report could not be written.
    #[error(transparent)]
    Report(#[from] ReportError),
    /// A summary over many pairs failed.
    #[error("failed to summarise the pairs")]
    Summary(#[from] polars::error::PolarsError),
    /// A table of ours could not be made or read.
    #[error("failed to make a table of the run")]
    Table(#[source] arrow::error::ArrowError),
    /// A file or folder of the run cannot be used.
    #[error("failed to use `{}`", path.display())]
    Folder {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// Artifacts of the user's cannot train.
    #[error("the artifacts in `{}` cannot train in a run", folder.display())]
    Given {
        /// Their folder.
        folder: PathBuf,
        /// Why.
        #[source]
        source: Box<GivenError>,
    },
    /// A column says of no pair which side is better.
    #[error("column `{column}` says of no pair which side is better: it holds {found}")]
    NoReference {
        /// The column.
        column: String,
        /// Values that are there.
        found: String,
    },
    /// An experiment cannot be done.
    #[error(transparent)]
    Prove(#[from] prove::ProveError),
    /// No row can be trained on.
    #[error("none of the {rows} rows is a pair that can be trained on")]
    NoPairs {
        /// Rows read.
        rows: usize,
    },
    /// A text is too long and the policy says so.
    #[error(
        "pair `{pair}` in row {row}: a text is longer than {limit} tokens, and `tokens.overlong` is `error`"
    )]
    TooLong {
        /// The pair.
        pair: PairId,
        /// Its row, from 0.
        row: u64,
        /// The limit.
        limit: usize,
    },
    /// Files of training dynamics cannot be read or written.
    #[error(transparent)]
    DynamicsFile(#[from] DynamicsFileError),
    /// Training dynamics do not fit the data.
    #[error("the training dynamics in `{}`: {reason}", folder.display())]
    Trajectories {
        /// Their folder.
        folder: PathBuf,
        /// What does not fit.
        reason: String,
    },
    /// Names in training dynamics do not lead to pairs of the data.
    #[error("`{}`: {reason}", path.display())]
    Names {
        /// A folder of dynamics, or the file of planted pairs.
        path: PathBuf,
        /// Which name, and why.
        reason: String,
    },
    /// There is no finished run in a folder.
    #[error("`{}` holds no finished run", .0.display())]
    NoRun(PathBuf),
    /// No pair of a run has this id.
    #[error("no pair of the run has the id `{0}`")]
    NoSuchPair(String),
    /// An input is not what it was when the run was made.
    #[error("`{}` has changed since the run was made", .0.display())]
    InputChanged(PathBuf),
    /// A manifest cannot be understood.
    #[error("manifest `{}`: {reason}", path.display())]
    Manifest {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
}

impl From<JudgesError> for PipelineError {
    fn from(error: JudgesError) -> Self {
        match error {
            JudgesError::Pairs(error) => Self::Pairs(error),
            error => Self::Judges(error),
        }
    }
}

impl PipelineError {
    /// What the user can do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Pairs(error) => error.hint().map(str::to_owned),
            Self::Setup(error) => error.hint(),
            Self::Graph(error) => error.hint().map(str::to_owned),
            Self::Prove(error) => error.hint().map(str::to_owned),
            Self::Given { source, .. } => source.hint().map(str::to_owned),
            Self::Reward(RewardError::Runtime(error))
            | Self::Method(MethodError::Reward(RewardError::Runtime(error))) => error.hint(),
            Self::Noise(error) => error.hint().map(str::to_owned),
            Self::Config(_) => Some(
                "`prefclean run --show-config` prints the settings, docs/run-file.md explains them"
                    .into(),
            ),
            Self::NoReference { .. } => Some(
                "expected chosen, rejected, tie (which side is better); correct, ambiguous, incorrect (what the label is); or true, false (whether it is wrong)".into(),
            ),
            Self::NoPairs { .. } => {
                Some("check what is read as prompt, chosen and rejected: `--columns` names the columns".into())
            }
            Self::NoSuchPair(_) => Some("ids stand in tags.parquet, in the report, and as `prefclean_pair_id` in the cleaned file".into()),
            Self::Names { .. } => Some(
                "`guid` is a pair id, a row number from 0 over all inputs, or a value of the column that `--dynamics-ids` names".into(),
            ),
            Self::InputChanged(_) => {
                Some("run `prefclean run` again: its tags belong to the old content".into())
            }
            Self::NoRun(_) => {
                Some("name the folder that `prefclean run` wrote, NAME.prefclean".into())
            }
            _ => None,
        }
    }
}
