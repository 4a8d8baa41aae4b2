//! `prefclean compare`: all methods on the user's data, with noise that is known.

use std::path::PathBuf;

use clap::Args;

use super::judges::JudgeArgs;
use super::machine::MachineArgs;
use super::progress::TerminalProgress;
use super::{Outcome, show_document};
use crate::noise::{NoiseModel, parse_list};
use crate::pipeline::{self, CompareRequest, RunConfig};
use crate::report;

/// Show which method finds wrong labels on this data, how well, and how sure that is
///
/// Injects known noise, lets every method judge the same pairs with the same features, noise and folds,
/// and puts what they find into one table, with intervals over seeds. Where a column knows the truth,
/// the data's own mistakes count too.
#[derive(Debug, Args)]
#[command(after_help = "\
Noise: none, symmetric:RATE, length:RATE, column:COLUMN=VALUE:RATE, margin:COLUMN:RATE,
annotator:COLUMN:RATE; see docs/guide.md.

Examples:
  prefclean compare data.parquet --noise symmetric:0.2,length:0.2 -o compared/
  prefclean compare ukp.parquet --gold gold_label --noise none,symmetric:0.4 --methods crm,strength
  prefclean compare data.parquet --seeds 3 --json")]
pub struct CompareArgs {
    /// Parquet, Arrow, JSON Lines or CSV files, folders or quoted patterns
    #[arg(required = true, value_name = "INPUT")]
    inputs: Vec<String>,

    /// Methods, by name; default: all that need no judges
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    methods: Vec<String>,

    /// Noise to inject, each on its own; default: symmetric:0.2, and none where --gold names a column
    #[arg(long, value_name = "LIST")]
    noise: Option<String>,

    /// Column that says which side is better, or whether the label is right
    #[arg(long, value_name = "COLUMN")]
    gold: Option<String>,

    /// Seeds of noise and training; intervals are over them
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=1000))]
    seeds: u64,

    /// Write report.html, report.md, report.json and plots into this folder, and go on from what it holds
    #[arg(short, long = "out", value_name = "DIR", help_heading = "Output")]
    out: Option<PathBuf>,

    /// Print the comparison as JSON instead of tables
    #[arg(long, help_heading = "Output")]
    json: bool,

    /// No progress
    #[arg(short, long, help_heading = "Output")]
    quiet: bool,

    /// Run file with the settings of models and training
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

    /// Backbone of both models: minilm, mpnet, or a folder
    #[arg(long, value_name = "NAME|DIR", help_heading = "Settings")]
    backbone: Option<String>,

    /// Seed of everything
    #[arg(long, value_name = "N", help_heading = "Settings")]
    seed: Option<u64>,

    #[command(flatten)]
    judges: JudgeArgs,

    #[command(flatten)]
    machine: MachineArgs,
}

impl CompareArgs {
    fn request(&self) -> anyhow::Result<CompareRequest> {
        let mut config = RunConfig::load(&self.pipeline)?;
        config.seed = self.seed.unwrap_or(config.seed);
        self.judges.set(&mut config.judges);
        if let Some(columns) = &self.columns {
            config.data.columns.clone_from(columns);
        }
        if let Some(backbone) = &self.backbone {
            config.model_a.backbone.clone_from(backbone);
            config.model_b.backbone.clone_from(backbone);
        }
        let noise: Vec<NoiseModel> = match (&self.noise, &self.gold) {
            (Some(list), _) => parse_list(list)?,
            (None, Some(_)) => parse_list("none,symmetric:0.2")?,
            (None, None) => parse_list("symmetric:0.2")?,
        };
        Ok(CompareRequest {
            inputs: self.inputs.clone(),
            methods: self.methods.clone(),
            noise,
            gold: self.gold.clone(),
            seeds: self.seeds,
            config,
            machine: self.machine.machine(),
            folder: self.out.clone(),
        })
    }
}

/// Runs the command.
pub(super) fn run(args: &CompareArgs) -> anyhow::Result<Outcome> {
    let request = args.request()?;
    let comparison = pipeline::compare(&request, &TerminalProgress::new(args.quiet))?;
    let default = request.config.ranking_method()?.info().name;
    let document = report::compare::document(&comparison, default);
    show_document(&document, &comparison, args.out.as_deref(), args.json)?;
    Ok(Outcome::Done)
}
