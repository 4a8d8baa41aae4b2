//! `prefclean prove`: is cleaning worth it.

use std::path::PathBuf;

use clap::{ArgGroup, Args};

use super::judges::JudgeArgs;
use super::machine::MachineArgs;
use super::progress::TerminalProgress;
use super::{Outcome, show_document};
use crate::actions::Action;
use crate::noise::NoiseModel;
use crate::pipeline::RunConfig;
use crate::pipeline::prove::{ProveRequest, RewardModelSettings, TestData, prove};
use crate::report;

/// Is cleaning worth it: train the same reward model on original and cleaned data, test on known pairs
///
/// Trains one reward model for each arm, with the same number of updates: original data (with
/// noise put in, if asked), cleaned data, as many pairs dropped at random, each action's data
/// and, where the truth is known, data without its wrong labels. All are tested on pairs whose
/// better side is known, over several seeds; one sentence says whether cleaning helped.
#[derive(Debug, Args)]
#[command(
    group(ArgGroup::new("tested").args(["test", "test_where", "test_by"]).required(true)),
    after_help = "\
Examples:
  prefclean prove train.parquet --test gold.parquet --noise symmetric:0.4
  prefclean prove pairs.parquet --test-where topic=energy,traffic --gold gold_label --noise symmetric:0.2
  prefclean prove pairs.parquet --test-by group --folds 4 --gold gold_label -o proof/
  prefclean prove pairs.parquet --clean clean.prefclean --test gold-a.parquet gold-b.parquet"
)]
pub struct ProveArgs {
    /// Parquet, Arrow, JSON Lines or CSV files, folders, or globs: what is trained on
    #[arg(required = true)]
    inputs: Vec<String>,

    /// Files of pairs whose better side is known; each is a test set of its own
    #[arg(long, value_name = "FILE", num_args = 1.., help_heading = "Tests")]
    test: Vec<String>,

    /// Test on the rows of the input that have one of these values, train on the others; more than once for
    /// values with commas in them
    #[arg(long, value_name = "COLUMN=VALUE[,VALUE]", value_parser = column_values, help_heading = "Tests")]
    test_where: Vec<(String, String)>,

    /// Test on every group of this column in turn, train on the others
    #[arg(long, value_name = "COLUMN", help_heading = "Tests")]
    test_by: Option<String>,

    /// Parts that --test-by makes
    #[arg(long, value_name = "K", default_value_t = 4, help_heading = "Tests")]
    folds: usize,

    /// Column of the test pairs that says which side is better: chosen, rejected, tie; default: as --gold, or `gold_label`
    #[arg(long, value_name = "COLUMN", help_heading = "Tests")]
    test_gold: Option<String>,

    /// Take the chosen side of every test pair for the better one
    #[arg(long, conflicts_with = "test_gold", help_heading = "Tests")]
    trust_test_labels: bool,

    /// Column of the input that says which side is better: what oracle-clean data is known from
    #[arg(long, value_name = "COLUMN", help_heading = "Experiment")]
    gold: Option<String>,

    /// Noise to put into the labels that are trained on, such as symmetric:0.4; see `inject`
    #[arg(
        long,
        value_name = "NOISE",
        default_value = "none",
        help_heading = "Experiment"
    )]
    noise: NoiseModel,

    /// Run directory whose tags clean the input, instead of a method that judges here
    #[arg(long, value_name = "RUN_DIR", conflicts_with_all = ["method", "noise"], help_heading = "Experiment")]
    clean: Option<PathBuf>,

    /// What judges the labels; default: that of the run file
    #[arg(long, value_name = "NAME", help_heading = "Experiment")]
    method: Option<String>,

    /// Actions that get an arm: drop, flip, soft-label, target-margin, or none
    #[arg(
        long,
        value_name = "LIST",
        default_value = "drop,flip,soft-label,target-margin",
        help_heading = "Experiment"
    )]
    actions: String,

    /// How often all is done, each time from another seed
    #[arg(
        long,
        value_name = "N",
        default_value_t = 5,
        help_heading = "Experiment"
    )]
    seeds: usize,

    /// Epochs of the reward models over the original data, which set the updates of every arm
    #[arg(long, default_value_t = RewardModelSettings::default().epochs, help_heading = "Reward model")]
    epochs: usize,

    /// Learning rate of the reward models, which falls linearly to 0
    #[arg(long, value_name = "RATE", default_value_t = RewardModelSettings::default().learning_rate, help_heading = "Reward model")]
    learning_rate: f64,

    /// Folder for report.html, report.md, report.json, plots, and finished seeds, from which a stopped experiment goes on
    #[arg(short, long, value_name = "DIR", help_heading = "Output")]
    output: Option<PathBuf>,

    /// Print the report as JSON instead of tables
    #[arg(long, help_heading = "Output")]
    json: bool,

    /// No progress and no notes
    #[arg(short, long, help_heading = "Output")]
    quiet: bool,

    /// Run file of the method and its models: crm, independent, quick, or a TOML file
    #[arg(
        long,
        value_name = "NAME|FILE",
        default_value = "crm",
        help_heading = "Settings"
    )]
    pipeline: String,

    /// Which columns hold what: prompt=NAME,chosen=NAME,rejected=NAME; default: detected
    #[arg(long, value_name = "LIST", help_heading = "Settings")]
    columns: Option<String>,

    #[command(flatten)]
    judges: JudgeArgs,

    #[command(flatten)]
    machine: MachineArgs,
}

/// `COLUMN=VALUE,VALUE`.
fn column_values(text: &str) -> Result<(String, String), String> {
    let (column, values) = text
        .split_once('=')
        .filter(|(column, values)| !column.is_empty() && !values.is_empty())
        .ok_or("expected COLUMN=VALUE or COLUMN=VALUE,VALUE")?;
    Ok((column.to_owned(), values.to_owned()))
}

impl ProveArgs {
    fn request(&self) -> anyhow::Result<ProveRequest> {
        let mut config = RunConfig::load(&self.pipeline)?;
        if let Some(columns) = &self.columns {
            config.data.columns.clone_from(columns);
        }
        if let Some(method) = &self.method {
            config.rank_by(method)?;
        }
        self.judges.set(&mut config.judges);
        let test = match (self.test_where.first(), &self.test_by) {
            (Some((column, _)), _) => {
                if let Some((other, _)) = self.test_where.iter().find(|(name, _)| name != column) {
                    anyhow::bail!("`--test-where` names two columns, `{column}` and `{other}`");
                }
                let values = self.test_where.iter().map(|(_, values)| values.clone());
                TestData::Where {
                    column: column.clone(),
                    values: values.collect(),
                }
            }
            (None, Some(column)) => TestData::By {
                column: column.clone(),
                folds: self.folds,
            },
            (None, None) => TestData::Files(self.test.clone()),
        };
        let actions = match self.actions.as_str() {
            "none" => Vec::new(),
            list => list
                .split(',')
                .map(|name| name.trim().parse::<Action>())
                .collect::<Result<_, _>>()?,
        };
        Ok(ProveRequest {
            inputs: self.inputs.clone(),
            test,
            test_gold: self.test_gold.clone(),
            trust_test_labels: self.trust_test_labels,
            gold: self.gold.clone(),
            clean: self.clean.clone(),
            noise: self.noise.clone(),
            actions,
            seeds: self.seeds,
            model: RewardModelSettings {
                epochs: self.epochs,
                learning_rate: self.learning_rate,
                ..RewardModelSettings::default()
            },
            output: self.output.clone(),
            config,
            machine: self.machine.machine(),
        })
    }
}

/// Runs the command.
pub(super) fn run(args: &ProveArgs) -> anyhow::Result<Outcome> {
    let request = args.request()?;
    let progress = TerminalProgress::new(args.quiet);
    let proof = prove(&request, &progress)?;
    let document = report::prove::document(&proof);
    show_document(&document, &proof, args.output.as_deref(), args.json)?;
    Ok(Outcome::Done)
}
