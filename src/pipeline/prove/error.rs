//! What an experiment can fail with, and what the user can do about it.

use std::path::PathBuf;

use crate::noise::NoiseError;
use crate::pairs::PairId;

/// Errors of an experiment.
#[derive(Debug, thiserror::Error)]
pub enum ProveError {
    /// Nothing says which side of a test pair is better.
    #[error("`{}` has no column `gold_label` that says which side of a test pair is better", path.display())]
    NoGold {
        /// The file.
        path: PathBuf,
    },
    /// No row has the value that test rows are told by.
    #[error("no pair has `{value}` in column `{column}`; it holds {found}")]
    NoSuchValue {
        /// The column.
        column: String,
        /// The value.
        value: String,
        /// Values that are there.
        found: String,
    },
    /// There are fewer groups than folds.
    #[error("column `{column}` has {groups} groups, too few for {folds} folds")]
    FewGroups {
        /// The column.
        column: String,
        /// Its values.
        groups: usize,
        /// Folds asked for.
        folds: usize,
    },
    /// All rows are test rows.
    #[error("no pair is left to train on")]
    NothingToTrain,
    /// No test pair is left.
    #[error(
        "no pair of `{name}` is left to test on: the reference is silent or sees a tie on {undecided}, and \
         {leaked} are trained on"
    )]
    NothingToTest {
        /// The test set.
        name: String,
        /// Without a decided reference.
        undecided: usize,
        /// Also in training.
        leaked: usize,
    },
    /// A run did not see a pair.
    #[error("the finished run has not seen pair `{0}`")]
    NotInRun(PairId),
    /// Tags of a run are of labels without injected noise.
    #[error(
        "noise cannot be injected where a finished run cleans: it has tagged the labels as they are"
    )]
    NoiseAfterRun,
    /// The noise cannot be had on this data.
    #[error(transparent)]
    Noise(#[from] NoiseError),
    /// A setting is out of range.
    #[error("{0}")]
    Setting(String),
}

impl ProveError {
    /// What the user can do about it.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::NoGold { .. } => Some(
                "`--test-gold` names a column that holds chosen, rejected or tie; `--trust-test-labels` takes \
                 the chosen side of every test pair for the better one",
            ),
            Self::NotInRun(_) => {
                Some("`--clean` takes the run directory of a run of the same input")
            }
            Self::NoiseAfterRun => Some(
                "inject the noise first (`prefclean inject`), run on the noisy file, and prove with its run \
                 directory; or leave out `--clean`",
            ),
            Self::Noise(error) => error.hint(),
            Self::NoSuchValue { .. }
            | Self::FewGroups { .. }
            | Self::NothingToTrain
            | Self::NothingToTest { .. }
            | Self::Setting(_) => None,
        }
    }
}
