//! `prefclean audit`: what is wrong with a dataset, without any model.

use std::path::PathBuf;

use clap::Args;

use super::progress::TerminalProgress;
use super::{Outcome, show_document};
use crate::audit::checks::CHECKS;
use crate::audit::gate::{Baseline, Condition, Gate, GateError, GateResult, Policy};
use crate::audit::{self, AuditOptions, TokenLimit};
use crate::pairs::{Columns, PairSource, ReadOptions};
use crate::progress::Progress;
use crate::report::{audit_document, one_line};

/// Find what is wrong with a dataset, without any model
///
/// Checks structure, labels, duplicates, shortcuts and composition in one pass over the rows.
/// Inputs are never changed.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  prefclean audit hh-rlhf.parquet
  prefclean audit 'data/train-*.parquet' --against data/test.parquet -o audit/
  prefclean audit pairs.jsonl.gz --json --sample 10000
  prefclean audit pairs.parquet --fail-on error --fail-on 'near-duplicate-pairs>=5%'
  prefclean audit new.parquet --policy policy.toml --baseline old-audit/report.json
  prefclean audit pairs.parquet --tokenizer tokenizer.json --max-length-tokens 512")]
pub struct AuditArgs {
    /// Parquet, Arrow, JSON Lines or CSV files (text also .gz, .zst), folders, or globs
    #[arg(required = true, value_name = "INPUT")]
    inputs: Vec<PathBuf>,

    /// Data that must share no pair or prompt with the inputs, or prompts alone, such as a benchmark;
    /// may be given more than once
    #[arg(long, value_name = "FILE")]
    against: Vec<PathBuf>,

    /// Folder for report.html, report.md, report.json and plots; default: none are written
    #[arg(short, long, value_name = "DIR", help_heading = "Output")]
    out: Option<PathBuf>,

    /// Print the findings as JSON instead of a table
    #[arg(long, help_heading = "Output")]
    json: bool,

    /// No progress
    #[arg(short, long, help_heading = "Output")]
    quiet: bool,

    /// Exit with 1 if a check finds so many or such a share: CHECK, CHECK>=10, CHECK>=5%; `note`,
    /// `warning` and `error` stand for all checks of that level or above; may be given more than once
    #[arg(long, value_name = "CHECK[>=RATE]", help_heading = "Gate")]
    fail_on: Vec<String>,

    /// TOML file with levels, thresholds and checks to ignore, see pipelines/policies
    #[arg(long, value_name = "FILE", help_heading = "Gate")]
    policy: Option<PathBuf>,

    /// report.json of an earlier audit: fail only on what got worse
    #[arg(long, value_name = "FILE", help_heading = "Gate")]
    baseline: Option<PathBuf>,

    /// Which columns hold what: prompt=NAME,chosen=NAME,rejected=NAME, or `response_a`, `response_b` and
    /// `winner` (with `a_wins=VALUE,b_wins=VALUE`), or `responses` and `scores`; default: detected
    #[arg(long, value_name = "LIST", help_heading = "Settings")]
    columns: Option<Columns>,

    /// Only these checks; default: all of docs/checks.md
    #[arg(
        long,
        value_name = "CHECK,…",
        value_delimiter = ',',
        help_heading = "Settings"
    )]
    checks: Vec<String>,

    /// Column that names a pair's source; default: `source` where there is one
    #[arg(long, value_name = "COLUMN", help_heading = "Settings")]
    source_column: Option<String>,

    /// Columns with the scores of chosen and rejected, or one with the margin; default: found by name
    #[arg(
        long,
        value_name = "CHOSEN,REJECTED",
        value_delimiter = ',',
        help_heading = "Settings"
    )]
    score_columns: Vec<String>,

    /// Look at about N rows, drawn by their content: the same ones each time
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..), help_heading = "Settings")]
    sample: Option<u64>,

    /// Tokenizer of the model that will be trained, a tokenizer.json
    #[arg(
        long,
        value_name = "FILE",
        requires = "max_length_tokens",
        help_heading = "Settings"
    )]
    tokenizer: Option<PathBuf>,

    /// Longest text that the model will read, in tokens
    #[arg(
        long,
        value_name = "TOKENS",
        requires = "tokenizer",
        help_heading = "Settings"
    )]
    max_length_tokens: Option<usize>,

    /// Jaccard similarity from which two texts are near-duplicates, above 0, at most 1
    #[arg(
        long,
        value_name = "SIMILARITY",
        default_value_t = 0.8,
        help_heading = "Settings"
    )]
    near_threshold: f64,

    /// Memory for the numbers kept of each row, in MiB; what is beyond goes to scratch files
    #[arg(
        long,
        value_name = "MIB",
        default_value_t = 512,
        help_heading = "Runtime"
    )]
    memory_mib: u64,

    /// Threads; 0: one for each core
    #[arg(long, default_value_t = 0, help_heading = "Runtime")]
    threads: usize,
}

impl AuditArgs {
    fn options(&self) -> AuditOptions {
        AuditOptions {
            checks: self.checks.clone(),
            sample: self.sample,
            tokens: (self.tokenizer.clone().zip(self.max_length_tokens)).map(
                |(tokenizer, max_length_tokens)| TokenLimit {
                    tokenizer,
                    max_length_tokens,
                },
            ),
            source_column: self.source_column.clone(),
            score_columns: self.score_columns.clone(),
            near_threshold: self.near_threshold,
            memory_mib: self.memory_mib,
            ..AuditOptions::default()
        }
    }
}

impl AuditArgs {
    /// What decides whether the audit passes; read before the data, which takes longer.
    fn gate(&self) -> Result<Gate, GateError> {
        let mut gate = Gate::default();
        for text in &self.fail_on {
            gate.conditions.push(Condition::parse(text, CHECKS)?);
        }
        if let Some(path) = &self.policy {
            gate.policy = Some(Policy::read(path, CHECKS)?);
        }
        if let Some(path) = &self.baseline {
            gate.baseline = Some(Baseline::read(path)?);
        }
        Ok(gate)
    }
}

/// Runs the command.
pub(super) fn run(args: &AuditArgs) -> anyhow::Result<Outcome> {
    super::use_threads(args.threads);
    let gate = args.gate()?;
    let read = ReadOptions {
        columns: args.columns.clone().unwrap_or_default(),
        ..ReadOptions::default()
    };
    let source = PairSource::open(&args.inputs, &read)?;
    let mut against = Vec::new();
    let prompts_too = ReadOptions {
        prompts_alone: true,
        ..read.clone()
    };
    for path in &args.against {
        against.push(PairSource::open(&[path], &prompts_too)?);
    }
    let progress = TerminalProgress::new(args.quiet);
    let mut audit = audit::audit(&source, &against, &args.options(), &progress)?;
    gate.apply(&mut audit);
    let document = audit_document(&audit);
    let page = show_document(&document, &audit, args.out.as_deref(), args.json)?;
    if let Some(report) = page {
        progress.note(&format!("report: {}", report.display()));
    }
    Ok(audit.gate.as_ref().map_or(Outcome::Done, judged))
}

/// Says why an audit does not pass.
#[expect(clippy::print_stderr, reason = "the reasons of the exit code")]
fn judged(gate: &GateResult) -> Outcome {
    for note in &gate.notes {
        eprintln!("note: {}", one_line(note));
    }
    for reason in &gate.reasons {
        eprintln!("fails: {}: {}", reason.check, one_line(&reason.words));
    }
    if gate.passed {
        Outcome::Done
    } else {
        Outcome::Findings
    }
}
