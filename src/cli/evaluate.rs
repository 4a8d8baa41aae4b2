//! `prefclean evaluate`: tags against known labels.

use std::fmt::Write as _;
use std::path::PathBuf;

use anyhow::Context;
use clap::Args;
use comfy_table::{Cell, CellAlignment, Table, presets};

use crate::tags::evaluate::{EvaluateOptions, Evaluation, Figure, Reference, evaluate};
use crate::tags::metrics::PrecisionRecall;
use crate::tags::tables::{Gold, read_judged};

/// Arguments of `evaluate`.
#[derive(Debug, Args)]
#[command(after_help = "\
Truth of a pair: (the reference says that the other side is better) XOR (a wrong label was
injected). Ties, nulls and ambiguous references are left out of all figures but the last table.

Examples:
  prefclean evaluate clean.prefclean --gold gold_label
  prefclean evaluate clean.prefclean/tags.parquet --gold ref_class --injected truth.parquet
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

/// Version of the JSON document.
const SCHEMA_VERSION: u32 = 1;

/// Runs the command.
pub(super) fn run(args: &EvaluateArgs) -> anyhow::Result<super::Outcome> {
    super::print(&(evaluate_command(args)?.trim_end().to_owned() + "\n"))?;
    Ok(super::Outcome::Done)
}

/// Gives the text for stdout.
///
/// # Errors
/// If tags or labels cannot be read or matched.
pub fn evaluate_command(args: &EvaluateArgs) -> anyhow::Result<String> {
    let gold = Gold::parse(&args.gold);
    let judged = read_judged(&args.run_or_tags, &gold, args.injected.as_deref())
        .with_context(|| format!("cannot evaluate `{}`", args.run_or_tags.display()))?;
    let options = EvaluateOptions {
        draws: args.draws,
        seed: args.seed,
        ..EvaluateOptions::default()
    };
    let evaluation = evaluate(&judged, &options);
    if args.json {
        let mut document = serde_json::json!({
            "schema_version": SCHEMA_VERSION,
            "tags": args.run_or_tags,
            "gold": args.gold,
            "injected": args.injected,
        });
        document["evaluation"] = serde_json::to_value(&evaluation)?;
        return Ok(serde_json::to_string_pretty(&document)?);
    }
    Ok(render(&evaluation, &args.gold))
}

fn render(evaluation: &Evaluation, gold: &str) -> String {
    let Evaluation {
        pairs,
        matched,
        decided,
        wrong,
        ..
    } = evaluation;
    let rate = percent(evaluation.true_rate);
    let mut out = format!(
        "{matched} of {pairs} pairs have a reference in `{gold}`; {decided} are decided, {wrong} of them ({rate}) wrong\n\n"
    );
    let mut figures = plain_table(&["figure", "value", "95% interval"]);
    for (name, figure) in [
        ("AUROC of suspicion", evaluation.auroc),
        ("average precision", evaluation.average_precision),
    ] {
        figures.add_row(vec![
            Cell::new(name),
            number(figure.map(|f| f.value)),
            interval(figure),
        ]);
    }
    figures.add_row(vec![
        Cell::new("calibration error of p_incorrect"),
        number(evaluation.calibration_error),
        Cell::new(""),
    ]);
    let _ = write!(out, "{figures}\n\n"); // a String takes everything
    let mut tagged = plain_table(&["", "tagged", "wrong", "precision", "recall"]);
    for (name, found) in [
        ("tag incorrect", evaluation.tagged),
        ("top at the true rate", evaluation.at_true_rate),
    ] {
        tagged.add_row(detection(name, found));
    }
    let _ = write!(out, "{tagged}\n\n"); // a String takes everything
    let mut classes = plain_table(&["reference", "robust", "ambiguous", "incorrect", "other"]);
    for row in &evaluation.table {
        let name = match row.reference {
            Reference::Correct => "correct",
            Reference::Ambiguous => "ambiguous",
            Reference::Incorrect => "incorrect",
        };
        let counts = [row.robust, row.ambiguous, row.incorrect, row.other].map(count);
        classes.add_row(std::iter::once(Cell::new(name)).chain(counts));
    }
    let _ = write!(out, "{classes}\n\n"); // a String takes everything
    let mut bins = plain_table(&["p_incorrect", "pairs", "mean", "wrong"]);
    for bin in &evaluation.reliability {
        bins.add_row(vec![
            Cell::new(format!("{:.1} to {:.1}", bin.low, bin.high)),
            count(bin.count),
            number(Some(bin.predicted)),
            number(Some(bin.observed)),
        ]);
    }
    out.push_str(&bins.to_string());
    out
}

fn plain_table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table
        .load_style(presets::UTF8_HORIZONTAL_ONLY)
        .set_header(header.iter().copied());
    table
}

fn detection(name: &str, found: PrecisionRecall) -> Vec<Cell> {
    vec![
        Cell::new(name),
        count(found.tagged),
        count(found.found),
        number(found.precision),
        number(found.recall),
    ]
}

fn count(value: usize) -> Cell {
    Cell::new(value).set_alignment(CellAlignment::Right)
}

fn number(value: Option<f64>) -> Cell {
    let text = value.map_or_else(|| "-".to_owned(), |v| format!("{v:.3}"));
    Cell::new(text).set_alignment(CellAlignment::Right)
}

fn interval(figure: Option<Figure>) -> Cell {
    let interval = figure.and_then(|f| f.interval);
    Cell::new(interval.map_or_else(String::new, |i| format!("{:.3} to {:.3}", i.low, i.high)))
}

fn percent(share: Option<f64>) -> String {
    share.map_or_else(|| "-".to_owned(), |s| format!("{:.1}%", 100.0 * s))
}
