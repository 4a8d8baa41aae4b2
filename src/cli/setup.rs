//! `prefclean setup`: find or fetch what a run needs.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use clap::Args;
use serde::Serialize;

use super::Outcome;
use super::progress::TerminalProgress;
use crate::progress::Progress as _;
use crate::reward::runtime::{CudaFacts, CudaLibraries};
use crate::setup::{self, Backbone, Setup, SetupOptions, megabytes};

/// Arguments of `setup`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  prefclean setup
  prefclean setup --backbone mpnet
  prefclean setup --cuda
  prefclean setup --check --json

With `--cuda`, a Python environment that has `onnxruntime-gpu` and the CUDA libraries is used as it
is; else both are fetched for Linux x86-64. NVIDIA's driver must be there: 580.65.06 or newer.
Files are fetched by pip, with its own index and proxy settings, and held to pinned hashes.
Environment: PREFCLEAN_HOME (folder of everything fetched), PREFCLEAN_OFFLINE=1 (fetch nothing),
PREFCLEAN_PYTHON (interpreter whose pip is used), ORT_DYLIB_PATH (ONNX Runtime library).")]
#[expect(clippy::struct_excessive_bools, reason = "flags of a command line")]
pub struct SetupArgs {
    /// Backbone to set up: minilm (91 MB), mpnet (438 MB), or a folder to check
    #[arg(long, value_name = "NAME|FOLDER", default_value_t)]
    backbone: Backbone,

    /// Also a CUDA build of the runtime and its CUDA libraries (1.2 GB to fetch, 1.6 GB on disk)
    #[arg(long)]
    cuda: bool,

    /// Only check: fetch nothing, and compare every hash of what was fetched
    #[arg(long)]
    check: bool,

    /// ONNX Runtime library to use
    #[arg(long, value_name = "FILE", help_heading = "Runtime")]
    ort_lib: Option<PathBuf>,

    /// Fetch nothing
    #[arg(long, help_heading = "Runtime")]
    offline: bool,

    /// Print what was found as JSON
    #[arg(long, help_heading = "Output")]
    json: bool,

    /// No notes, no table
    #[arg(short, long, help_heading = "Output")]
    quiet: bool,
}

#[derive(Serialize)]
struct Document<'a> {
    schema_version: u32,
    #[serde(flatten)]
    setup: &'a Setup,
    /// Whether CUDA works, where it was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    cuda: Option<&'a CudaFacts>,
}

/// Sets up, loads the library to be sure of it, and says what is where.
pub(super) fn run(args: &SetupArgs) -> anyhow::Result<Outcome> {
    let mut options = SetupOptions::from_env(args.backbone.clone())?;
    options.cuda = args.cuda;
    options.offline |= args.offline;
    options.ort_lib.clone_from(&args.ort_lib);
    let progress = TerminalProgress::new(args.quiet);
    let setup = if args.check {
        setup::check(&options, &progress)?
    } else {
        setup::ensure(&options, &progress)?
    };
    let runtime = setup.runtime.load()?;
    let cuda = args.cuda.then(|| runtime.cuda_facts());

    let text = if args.json {
        let document = Document {
            schema_version: 1,
            setup: &setup,
            cuda: cuda.as_ref(),
        };
        serde_json::to_string_pretty(&document)? + "\n"
    } else if args.quiet {
        String::new()
    } else {
        table(&setup, cuda.as_ref(), args.check)
    };
    std::io::stdout().lock().write_all(text.as_bytes())?;
    if let Some(hint) = cuda.and_then(|cuda| cuda.hint) {
        progress.note(&format!("hint: {hint}"));
    }
    Ok(Outcome::Done)
}

fn table(setup: &Setup, cuda: Option<&CudaFacts>, checked: bool) -> String {
    let version = |version: Option<String>| version.map_or_else(String::new, |v| format!(" {v}"));
    let runtime = &setup.runtime;
    let model = &setup.model;
    let origin = if runtime.fetched {
        "fetched"
    } else {
        runtime.origin.label()
    };
    let model_origin = match (model.fetched, model.version.is_some()) {
        (true, _) => "fetched",
        (false, true) => "data folder",
        (false, false) => "your folder",
    };
    let mut rows = vec![
        [
            format!(
                "ONNX Runtime{}",
                version(runtime.version.map(|v| v.to_string()))
            ),
            origin.to_owned(),
            size(&runtime.path),
            runtime.path.display().to_string(),
        ],
        [
            format!("{}{}", model.name, version(model.version.clone())),
            model_origin.to_owned(),
            megabytes(model.bytes),
            model.path.display().to_string(),
        ],
    ];
    if let (Some(_), Some(libraries)) = (cuda, &runtime.cuda) {
        rows.splice(1..1, cuda_rows(libraries));
    }
    let mut text = aligned(&rows);
    if let Some(facts) = cuda {
        let _ = writeln!(text, "CUDA: {}", works(facts)); // writing to a string cannot fail
    }
    if checked {
        text.push_str("all hashes agree\n");
    }
    text
}

/// A row for each CUDA library that lies in a known folder.
fn cuda_rows(cuda: &CudaLibraries) -> Vec<[String; 4]> {
    let paths = cuda
        .libraries
        .iter()
        .filter_map(|library| library.path.as_deref());
    let rows = paths.map(|path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let folder = path.parent().unwrap_or(path);
        [
            format!("  {name}"),
            String::new(),
            size(path),
            folder.display().to_string(),
        ]
    });
    rows.collect()
}

/// What CUDA does, in words.
pub(super) fn works(facts: &CudaFacts) -> String {
    if let Some(reason) = &facts.reason {
        return format!("not usable: {reason}");
    }
    let devices: Vec<_> = facts.devices.iter().map(|n| format!("cuda:{n}")).collect();
    format!("a graph ran on {}", devices.join(", "))
}

fn size(path: &Path) -> String {
    std::fs::metadata(path).map_or_else(|_| String::new(), |metadata| megabytes(metadata.len()))
}

/// Rows with columns of one width, two spaces apart.
pub(super) fn aligned<const N: usize>(rows: &[[String; N]]) -> String {
    let widths: [usize; N] = std::array::from_fn(|column| {
        let widths = rows.iter().map(|row| row[column].chars().count());
        widths.max().unwrap_or(0)
    });
    let mut text = String::new();
    for row in rows {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(widths) {
            let _ = write!(line, "{cell:width$}  "); // writing to a string cannot fail
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned() {
        let cells = |a: &str, b: &str| [a.to_owned(), b.to_owned()];
        let text = aligned(&[cells("a", "1"), cells("längst", "2"), cells("b", "")]);
        assert_eq!(text, "a       1\nlängst  2\nb\n");
    }
}
