//! `prefclean report`: the report of a finished run, built again.

use std::path::PathBuf;

use clap::Args;

use super::Outcome;
use super::progress::TerminalProgress;
use crate::pipeline::retag;

/// Arguments of `report`.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  prefclean report clean.prefclean")]
pub struct ReportArgs {
    /// Folder of a finished run
    run_dir: PathBuf,

    /// Print the report as JSON instead of a table
    #[arg(long, help_heading = "Output")]
    json: bool,

    /// No progress, no notes, no table
    #[arg(short, long, help_heading = "Output")]
    quiet: bool,
}

/// Runs the command.
pub(super) fn run(args: &ReportArgs) -> anyhow::Result<Outcome> {
    let finished = retag(&args.run_dir, |_| (), &TerminalProgress::new(args.quiet))?;
    super::run::show(&finished.report, args.json, args.quiet)?;
    Ok(Outcome::Done)
}
