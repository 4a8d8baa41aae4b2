//! `prefclean diff`: what changed between two versions of a dataset.

use std::path::PathBuf;

use clap::Args;

use super::progress::TerminalProgress;
use super::{Outcome, show_document};
use crate::diff::{self, DiffOptions, FailOn, Named, Reason};
use crate::pairs::{Columns, PairSource, ReadOptions};
use crate::report;

/// Show what changed between two versions of a dataset
///
/// Pairs are matched by their texts, not by position: flipped labels, edited texts, added and
/// removed pairs, repeats, values of other columns, and how lengths, sources and shortcuts
/// have moved. Inputs are never changed.
#[derive(Debug, Args)]
#[command(after_help = "\
Changes for --fail-on: flipped, removed, edited, added, columns, unusable, any; each alone, from a
count of rows on (flipped>=10), or from a share of the rows on (removed>=0.05, removed>=5%).

Examples:
  prefclean diff old.parquet new.parquet
  prefclean diff 'v1/*.parquet' v2/ -o diff/
  prefclean diff old.jsonl new.parquet --fail-on flipped --fail-on 'removed>=5%'")]
pub struct DiffArgs {
    /// The version before: a file, a folder or a quoted pattern
    #[arg(value_name = "OLD")]
    old: PathBuf,

    /// The version after: a file, a folder or a quoted pattern
    #[arg(value_name = "NEW")]
    new: PathBuf,

    /// Write report.html, report.md, report.json, plots and changes.parquet into this folder
    #[arg(short, long = "out", value_name = "DIR", help_heading = "Output")]
    out: Option<PathBuf>,

    /// Print the report as JSON instead of tables
    #[arg(long, help_heading = "Output")]
    json: bool,

    /// Exit with 1 if there are such changes; may be given more than once
    #[arg(
        long,
        value_name = "CHANGE[>=N|RATE]",
        value_delimiter = ',',
        help_heading = "Output"
    )]
    fail_on: Vec<FailOn>,

    /// No progress
    #[arg(short, long, help_heading = "Output")]
    quiet: bool,

    /// Which columns hold what: prompt=NAME,chosen=NAME,rejected=NAME; default: detected
    #[arg(long, value_name = "LIST", help_heading = "Settings")]
    columns: Option<Columns>,

    /// The same for the version before, where it names them differently
    #[arg(long, value_name = "LIST", help_heading = "Settings")]
    old_columns: Option<Columns>,

    /// Column that names a pair's source; default: `source` where there is one
    #[arg(long, value_name = "COLUMN", help_heading = "Settings")]
    source_column: Option<String>,

    /// Similarity from which a text is an edit of another, 0 to 1; below, the pair was removed and added
    #[arg(
        long,
        value_name = "SIMILARITY",
        default_value_t = 0.5,
        help_heading = "Settings"
    )]
    similarity: f64,

    /// Memory for what is kept of rows, in MiB; what is beyond goes to a temporary file
    #[arg(
        long,
        value_name = "MIB",
        default_value_t = 512,
        help_heading = "Runtime"
    )]
    memory_mib: usize,

    /// Threads; 0: one for each core
    #[arg(long, default_value_t = 0, help_heading = "Runtime")]
    threads: usize,
}

/// Runs the command.
pub(super) fn run(args: &DiffArgs) -> anyhow::Result<Outcome> {
    super::use_threads(args.threads);
    let open = |path: &PathBuf, own: Option<&Columns>| {
        let options = ReadOptions {
            columns: own.or(args.columns.as_ref()).cloned().unwrap_or_default(),
            ..ReadOptions::default()
        };
        PairSource::open(&[path], &options)
    };
    let old = open(&args.old, args.old_columns.as_ref())?;
    let new = open(&args.new, None)?;
    let options = DiffOptions {
        similarity: args.similarity,
        source_column: args.source_column.clone(),
        memory_bytes: args.memory_mib.saturating_mul(1 << 20),
    };
    let changes = args
        .out
        .as_ref()
        .map(|folder| folder.join("changes.parquet"));
    if let Some(changes) = &changes {
        let inputs = old.inputs().iter().chain(new.inputs());
        crate::pairs::refuse_inputs(inputs, &[changes])?;
    }
    let progress = TerminalProgress::new(args.quiet);
    let (old_name, new_name) = (
        args.old.display().to_string(),
        args.new.display().to_string(),
    );
    let found = diff::diff(
        Named {
            name: &old_name,
            source: &old,
        },
        Named {
            name: &new_name,
            source: &new,
        },
        &options,
        changes.as_deref(),
        &progress,
    )?;
    let reasons: Vec<Reason> = args
        .fail_on
        .iter()
        .filter_map(|on| on.check(&found))
        .collect();
    let document = report::diff::document(&found, &reasons);
    show_document(&document, &found, args.out.as_deref(), args.json)?;
    fail(&reasons);
    Ok(if reasons.is_empty() {
        Outcome::Done
    } else {
        Outcome::Findings
    })
}

#[expect(clippy::print_stderr, reason = "why the exit code is 1")]
fn fail(reasons: &[Reason]) {
    for reason in reasons {
        eprintln!("fails: {reason}");
    }
}
