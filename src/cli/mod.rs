//! The command line: clap types, one file per subcommand, and everything that is printed.

mod artifacts;
mod audit;
mod compare;
mod completions;
mod diff;
mod doctor;
mod evaluate;
mod export;
mod inject;
mod judges;
mod machine;
mod progress;
mod prove;
mod report;
mod run;
mod score;
mod setup;
mod tag;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};
use serde::Serialize;

use crate::report::document::Document;

/// Exit code: done, with findings that `--fail-on` names.
const FINDINGS: u8 = 1;
/// Exit code: could not run.
const FAILED: u8 = 2;

/// Finds wrong and undecidable labels in preference data, says how sure it is, and keeps what it removed
#[derive(Debug, Parser)]
#[command(
    name = "prefclean",
    version,
    propagate_version = true,
    max_term_width = 100
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Clean a dataset: tags with evidence for every pair, a cleaned file, and a report
    Run(Box<run::RunArgs>),
    /// Find what is wrong with a dataset, without any model; gate with an exit code
    Audit(Box<audit::AuditArgs>),
    /// Show what changed between two versions of a dataset; gate with an exit code
    Diff(Box<diff::DiffArgs>),
    /// Tag a finished run again with other thresholds; no training
    Tag(tag::TagArgs),
    /// Rebuild the report of a finished run
    Report(report::ReportArgs),
    /// Compare tags with known labels
    Evaluate(evaluate::EvaluateArgs),
    /// Show which method finds wrong labels on this data, with noise that is known
    Compare(Box<compare::CompareArgs>),
    /// Is cleaning worth it: the same reward model from original and cleaned data, on known test pairs
    Prove(Box<prove::ProveArgs>),
    /// Rewards, margins and losses of a reward model, as columns
    Score(score::ScoreArgs),
    /// Write a copy with known label noise
    Inject(Box<inject::InjectArgs>),
    /// Make training artifacts from a forward model
    Artifacts(Box<artifacts::ArtifactsArgs>),
    /// Write the trained model of a folder of artifacts as ONNX
    Export(export::ExportArgs),
    /// Find or fetch the runtime and the default model
    Setup(setup::SetupArgs),
    /// Show what is found: runtime, devices, models, caches
    Doctor(doctor::DoctorArgs),
    /// Print completions for a shell
    Completions(completions::CompletionsArgs),
}

/// How a command that could run has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Nothing to report by exit code.
    Done,
    /// Findings that the user asked to fail on.
    Findings,
}

/// Parses the command line, runs the command, and prints its error and hint.
#[must_use]
pub fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Run(args) => run::run(&args),
        Command::Audit(args) => audit::run(&args),
        Command::Diff(args) => diff::run(&args),
        Command::Tag(args) => tag::run(&args),
        Command::Report(args) => report::run(&args),
        Command::Evaluate(args) => evaluate::run(&args),
        Command::Compare(args) => compare::run(&args),
        Command::Prove(args) => prove::run(&args),
        Command::Score(args) => score::run(&args),
        Command::Inject(args) => inject::run(&args),
        Command::Artifacts(args) => artifacts::run(&args),
        Command::Export(args) => export::run(&args),
        Command::Setup(args) => setup::run(&args),
        Command::Doctor(args) => doctor::run(&args),
        Command::Completions(args) => completions::run(&args, Cli::command()),
    };
    match result {
        Ok(Outcome::Done) => ExitCode::SUCCESS,
        Ok(Outcome::Findings) => ExitCode::from(FINDINGS),
        Err(error) if is_closed_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            print_error(&error);
            ExitCode::from(FAILED)
        }
    }
}

/// A reader that went away early, as `head` does, is not an error.
fn is_closed_pipe(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        cause
            .downcast_ref::<std::io::Error>()
            .is_some_and(|io| io.kind() == std::io::ErrorKind::BrokenPipe)
    })
}

#[expect(clippy::print_stderr, reason = "errors are for the user's eyes")]
fn print_error(error: &anyhow::Error) {
    eprintln!("error: {error}");
    for cause in error.chain().skip(1) {
        eprintln!("  caused by: {cause}");
    }
    if let Some(hint) = hint(error) {
        eprintln!("hint: {hint}");
    }
}

/// Advice that belongs to an error, from whichever module it came.
fn hint(error: &anyhow::Error) -> Option<String> {
    error.chain().find_map(|cause| {
        if let Some(error) = cause.downcast_ref::<crate::pipeline::PipelineError>() {
            return error.hint();
        }
        if let Some(error) = cause.downcast_ref::<crate::setup::SetupError>() {
            return error.hint();
        }
        if let Some(error) = cause.downcast_ref::<crate::pairs::PairsError>() {
            return error.hint().map(str::to_owned);
        }
        if let Some(error) = cause.downcast_ref::<crate::noise::inject::InjectError>() {
            return error.hint().map(str::to_owned);
        }
        if let Some(error) = cause.downcast_ref::<crate::diff::DiffError>() {
            // an error of its pairs is their own cause
            let pairs = match error {
                crate::diff::DiffError::Pairs(error) => error.hint(),
                own => own.hint(),
            };
            return pairs.map(str::to_owned);
        }
        if let Some(error) = cause.downcast_ref::<crate::audit::gate::GateError>()
            && error.hint().is_some()
        {
            return error.hint().map(str::to_owned);
        }
        if let Some(error) = cause.downcast_ref::<crate::graph::GraphError>() {
            return error.hint().map(str::to_owned);
        }
        cause
            .downcast_ref::<crate::reward::RuntimeError>()
            .and_then(crate::reward::RuntimeError::hint)
    })
}

/// Sets the number of threads that all work shares; 0 leaves it at one a core.
fn use_threads(threads: usize) {
    if threads > 0 {
        // fails only where a pool exists already, which then is the one to use
        let _ = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build_global();
    }
}

/// Writes the result to stdout.
fn print(text: &str) -> std::io::Result<()> {
    use std::io::Write;
    let mut stdout = std::io::stdout().lock();
    stdout.write_all(text.as_bytes())?;
    stdout.flush()
}

/// Writes a report into a folder, where one is named, and shows it: tables, or `data` as JSON. Gives the page
/// that was written.
fn show_document(
    document: &Document,
    data: &impl Serialize,
    folder: Option<&Path>,
    json: bool,
) -> anyhow::Result<Option<PathBuf>> {
    let written = match folder {
        Some(folder) => document.write(folder, data)?,
        None => Vec::new(),
    };
    if json {
        print(&(serde_json::to_string_pretty(data)? + "\n"))?;
    } else {
        print(&document.terminal(table_style()))?;
    }
    Ok(written.into_iter().next())
}

/// Colours on a terminal that wants them, at its width.
fn table_style() -> crate::report::TableStyle {
    use std::io::IsTerminal;
    let wanted = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    crate::report::TableStyle {
        colour: wanted && std::io::stdout().is_terminal(),
        width: None,
    }
}
