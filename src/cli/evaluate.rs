//! `prefclean evaluate`: tags against known labels.

use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Args;

use super::{Outcome, show_document};
use crate::report::{
    EVALUATION_SCHEMA_VERSION, EvaluationReport, RateSource, evaluation_document, from_json,
    one_line,
};
use crate::tags::evaluate::{EvaluateOptions, evaluate};
use crate::tags::tables::{Gold, read_judged};

/// Arguments of `evaluate`.
#[derive(Debug, Args)]
#[command(after_help = "\
Truth of a pair: (the reference says that the other side is better) XOR (a wrong label was
injected). Ties, nulls and ambiguous references are left out of all figures but those of three
classes. How to read the figures: docs/evaluation.md.

Examples:
  prefclean evaluate clean.prefclean --gold gold_label
  prefclean evaluate clean.prefclean/tags.parquet --gold ref_class --injected truth.parquet
  prefclean evaluate clean.prefclean --gold gold_label --by topic,source -o evaluation/
  prefclean evaluate clean.prefclean --gold checked-by-hand.parquet --json")]
pub struct EvaluateArgs {
    /// Run directory, or its tags.parquet
    #[arg(value_name = "RUN_OR_TAGS")]
    pub run_or_tags: PathBuf,

    /// Column of the inputs, or a file of labels by pair id, content id, or input and row
    ///
    /// Values: chosen, rejected, tie (which side is better); correct, ambiguous, incorrect
    /// (what the label is); true, false (whether the label is wrong).
    #[arg(long, value_name = "COLUMN|FILE")]
    pub gold: String,

    /// Truth file of injected noise, as `prefclean inject` writes it
    #[arg(long, value_name = "FILE")]
    pub injected: Option<PathBuf>,

    /// Columns of the inputs whose values get figures of their own, such as a topic or a source
    #[arg(long, value_name = "COLUMN,…", value_delimiter = ',')]
    pub by: Vec<String>,

    /// Share of wrong labels to take from the top of the ranking, 0 to 1; default: what the run
    /// estimated, or the mean of `p_incorrect`
    #[arg(long, value_name = "SHARE", value_parser = share)]
    pub noise_rate: Option<f64>,

    /// Folder for report.html, report.md, report.json and plots; default: none are written
    #[arg(short, long, value_name = "DIR")]
    pub out: Option<PathBuf>,

    /// Bootstrap draws for the intervals; default: 300
    #[arg(
        long,
        value_name = "N",
        default_value_t = 300,
        hide_default_value = true
    )]
    pub draws: usize,

    /// Seed of the bootstrap; default: 0
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    pub seed: u64,

    /// Print JSON instead of tables
    #[arg(long)]
    pub json: bool,
}

/// Runs the command.
pub(super) fn run(args: &EvaluateArgs) -> anyhow::Result<Outcome> {
    let report = evaluate_command(args)?;
    let document = evaluation_document(&report);
    let page = show_document(&document, &report, args.out.as_deref(), args.json)?;
    if let Some(path) = page {
        said(&format!(
            "report: {}",
            one_line(&path.display().to_string())
        ));
    }
    Ok(Outcome::Done)
}

#[expect(clippy::print_stderr, reason = "a note beside the result")]
fn said(note: &str) {
    eprintln!("{note}");
}

/// Compares the tags with the labels.
///
/// # Errors
/// If tags or labels cannot be read or matched.
pub fn evaluate_command(args: &EvaluateArgs) -> anyhow::Result<EvaluationReport> {
    let gold = Gold::parse(&args.gold);
    let injected = args.injected.as_deref();
    let (judged, by) = read_judged(&args.run_or_tags, &gold, injected, &args.by)
        .with_context(|| format!("cannot evaluate `{}`", args.run_or_tags.display()))?;
    let (estimated_rate, rate_source) = match (args.noise_rate, rate_of_run(&args.run_or_tags)) {
        (Some(rate), _) => (Some(rate), RateSource::Given),
        (None, Some(rate)) => (Some(rate), RateSource::Run),
        (None, None) => (None, RateSource::Probabilities),
    };
    let options = EvaluateOptions {
        draws: args.draws,
        seed: args.seed,
        estimated_rate,
        ..EvaluateOptions::default()
    };
    Ok(EvaluationReport {
        schema_version: EVALUATION_SCHEMA_VERSION,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        tags: args.run_or_tags.clone(),
        gold: args.gold.clone(),
        injected: args.injected.clone(),
        rate_source,
        draws: options.draws,
        level: options.level,
        seed: options.seed,
        evaluation: evaluate(&judged, &by, &options),
    })
}

/// The share of wrong labels that the run estimated, where its report lies beside the tags.
fn rate_of_run(run_or_tags: &Path) -> Option<f64> {
    let folder = if run_or_tags.is_dir() {
        run_or_tags
    } else {
        run_or_tags.parent()?
    };
    let text = std::fs::read_to_string(folder.join("report.json")).ok()?;
    let report = from_json(&text).ok()?;
    report.noise_rate.eta.map(|eta| eta.value)
}

fn share(text: &str) -> Result<f64, String> {
    let value: f64 = text.parse().map_err(|_| "not a number".to_owned())?;
    if (0.0..=1.0).contains(&value) {
        Ok(value)
    } else {
        Err("not between 0 and 1".to_owned())
    }
}
