//! `prefclean audit`: what is wrong with a dataset, without any model.

use std::fmt::Write as _;
use std::path::PathBuf;

use clap::Args;

use super::progress::TerminalProgress;
use super::{Outcome, print};
use crate::audit::{self, Audit, AuditOptions, Level, TokenLimit};
use crate::pairs::{Columns, PairSource, ReadOptions};

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
  prefclean audit pairs.parquet --tokenizer tokenizer.json --max-length-tokens 512")]
pub struct AuditArgs {
    /// Parquet, Arrow, JSON Lines or CSV files (text also .gz, .zst), folders, or globs
    #[arg(required = true, value_name = "INPUT")]
    inputs: Vec<PathBuf>,

    /// Data that must share no pair or prompt with the inputs; may be given more than once
    #[arg(long, value_name = "FILE")]
    against: Vec<PathBuf>,

    /// Print the findings as JSON instead of a table
    #[arg(long, help_heading = "Output")]
    json: bool,

    /// No progress
    #[arg(short, long, help_heading = "Output")]
    quiet: bool,

    /// Which columns hold what: prompt=NAME,chosen=NAME,rejected=NAME, or response_a, response_b and
    /// winner (with a_wins=VALUE,b_wins=VALUE), or responses and scores; default: detected
    #[arg(long, value_name = "LIST", value_parser = columns, help_heading = "Settings")]
    columns: Option<Columns>,

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
        default_value_t = 768,
        help_heading = "Runtime"
    )]
    memory_mib: u64,

    /// Threads; 0: one for each core
    #[arg(long, default_value_t = 0, help_heading = "Runtime")]
    threads: usize,
}

fn columns(text: &str) -> Result<Columns, crate::pairs::PairsError> {
    text.parse()
}

impl AuditArgs {
    fn options(&self) -> AuditOptions {
        AuditOptions {
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

/// Runs the command.
pub(super) fn run(args: &AuditArgs) -> anyhow::Result<Outcome> {
    if args.threads > 0 {
        // fails only where a pool exists already, which then is the one to use
        let _ = rayon::ThreadPoolBuilder::new()
            .num_threads(args.threads)
            .build_global();
    }
    let read = ReadOptions {
        columns: args.columns.clone().unwrap_or_default(),
        ..ReadOptions::default()
    };
    let source = PairSource::open(&args.inputs, &read)?;
    let mut against = Vec::new();
    for path in &args.against {
        against.push(PairSource::open(&[path], &read)?);
    }
    let progress = TerminalProgress::new(args.quiet);
    let audit = audit::audit(&source, &against, &args.options(), &progress)?;
    if args.json {
        print(&(serde_json::to_string_pretty(&audit)? + "\n"))?;
    } else {
        print(&plain(&audit))?;
    }
    Ok(Outcome::Done)
}

/// The findings as lines.
fn plain(audit: &Audit) -> String {
    let mut out = String::new();
    // writing to a string cannot fail
    let _ = writeln!(
        out,
        "{}: {} rows, {} usable pairs",
        audit.dataset, audit.rows, audit.usable_pairs
    );
    for finding in &audit.findings {
        let level = match finding.level {
            _ if finding.count == 0 => "ok",
            Level::Note => "note",
            Level::Warning => "warning",
            Level::Error => "error",
        };
        let _ = writeln!(out, "{level:8} {:32} {}", finding.check, finding.message);
    }
    out
}
