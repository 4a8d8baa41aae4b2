//! `prefclean doctor`: what is found where, and what works.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::PathBuf;

use clap::Args;

use super::Outcome;
use super::setup::{aligned, works};
use crate::reward::runtime::{CudaLibraries, CudaProblem};
use crate::setup::doctor::{DoctorFacts, DriverReport, FolderFacts, examine};
use crate::setup::{Backbone, SetupOptions, megabytes};

/// Arguments of `doctor`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  prefclean doctor
  prefclean doctor --json
  prefclean doctor --ort-lib /opt/onnxruntime/lib/libonnxruntime.so

Exit code 1: something keeps a run from starting; the last lines say what.")]
pub struct DoctorArgs {
    /// ONNX Runtime library to examine
    #[arg(long, value_name = "FILE", help_heading = "Runtime")]
    ort_lib: Option<PathBuf>,

    /// Examine as a run with `--offline` would
    #[arg(long, help_heading = "Runtime")]
    offline: bool,

    /// Print the facts as JSON
    #[arg(long, help_heading = "Output")]
    json: bool,
}

/// Gathers the facts and prints them; findings are what keeps a run from starting.
pub(super) fn run(args: &DoctorArgs) -> anyhow::Result<Outcome> {
    let mut options = SetupOptions::from_env(Backbone::default())?;
    options.offline |= args.offline;
    options.ort_lib.clone_from(&args.ort_lib);
    let facts = examine(&options);
    let text = if args.json {
        serde_json::to_string_pretty(&facts)? + "\n"
    } else {
        table(&facts)
    };
    std::io::stdout().lock().write_all(text.as_bytes())?;
    Ok(if facts.problems.is_empty() {
        Outcome::Done
    } else {
        Outcome::Findings
    })
}

fn table(facts: &DoctorFacts) -> String {
    let mut rows = Vec::new();
    let mut row = |name: &str, value: String| rows.push([name.to_owned(), value]);
    row(
        "prefclean",
        format!(
            "{}, {}, {} cores",
            facts.prefclean, facts.platform, facts.cores
        ),
    );
    row("data folder", folder(&facts.data));
    row("cache folder", folder(&facts.cache));
    row("fetching", fetching(facts));
    match &facts.runtime {
        None => row(
            "ONNX Runtime",
            "none found; a run would fetch one".to_owned(),
        ),
        Some(runtime) => {
            let version = runtime
                .version
                .map_or_else(|| "unknown version".into(), |v| v.to_string());
            row(
                "ONNX Runtime",
                format!("{version}, from {}", runtime.origin.label()),
            );
            row("", runtime.path.display().to_string());
            if let Some(found) = &runtime.facts {
                row("build", found.build_info.clone());
                row("execution providers", found.providers.join(", "));
                row("CUDA", works(&found.cuda));
                if let Some(hint) = &found.cuda.hint {
                    row("", format!("hint: {hint}"));
                }
                let operators = if found.training_operators {
                    "this library also has training operators"
                } else {
                    "this library has no training operators and needs none"
                };
                row("training", format!("{}; {operators}", facts.training));
            }
        }
    }
    if let Some(report) = &facts.driver {
        row("NVIDIA driver", driver(report));
    }
    let runtime = facts.runtime.as_ref();
    if let Some(cuda) = runtime.and_then(|runtime| runtime.cuda_libraries.as_ref()) {
        for (name, value) in cuda_libraries(cuda) {
            row(&name, value);
        }
    }
    for model in &facts.models {
        let state = if model.installed {
            format!("{}, {}", megabytes(model.bytes), model.path.display())
        } else {
            format!("not installed ({} to fetch)", megabytes(model.bytes))
        };
        row(
            &format!("backbone {}", model.backbone),
            format!("{} {}: {state}", model.name, model.version),
        );
    }
    let mut text = aligned(&rows);
    if facts.problems.is_empty() {
        text.push_str("nothing keeps a run from starting\n");
    }
    for problem in &facts.problems {
        let _ = writeln!(text, "problem: {}", problem.message);
        if let Some(hint) = &problem.hint {
            let _ = writeln!(text, "  hint: {hint}");
        }
    }
    text
}

fn driver(report: &DriverReport) -> String {
    let needed = report.needed.map_or_else(String::new, |needed| {
        format!("; CUDA wants {needed} or newer")
    });
    let reason = report.reason.as_deref().unwrap_or("cannot be told");
    let Some(driver) = &report.driver else {
        return format!("none found ({reason}){needed}");
    };
    let version = driver.version.as_deref().unwrap_or("unknown version");
    let path = driver.library.as_ref();
    let path = path.map_or_else(String::new, |path| format!(", {}", path.display()));
    format!("{version}{path}{needed}")
}

/// A row for each library, and one more that says how to get what is missing.
fn cuda_libraries(cuda: &CudaLibraries) -> Vec<(String, String)> {
    let mut rows = vec![(
        "CUDA libraries".to_owned(),
        format!("of CUDA {}", cuda.version),
    )];
    let mut missing = Vec::new();
    for library in &cuda.libraries {
        let place = match &library.path {
            Some(path) => path.display().to_string(),
            None if library.required => "missing".into(),
            None => "missing, and only needed for kernels compiled on the spot".into(),
        };
        if library.path.is_none() {
            missing.push(library.soname.clone());
        }
        rows.push((format!("  {}", library.soname), place));
    }
    if !missing.is_empty() {
        let problem = CudaProblem::MissingLibraries {
            cuda: cuda.version,
            missing,
        };
        rows.push((String::new(), format!("hint: {}", problem.hint())));
    }
    rows
}

fn folder(facts: &FolderFacts) -> String {
    let size = if facts.exists {
        megabytes(facts.bytes)
    } else {
        "not there yet".into()
    };
    format!("{} ({size})", facts.path.display())
}

fn fetching(facts: &DoctorFacts) -> String {
    let by = match &facts.python {
        None => "no Python found".to_owned(),
        Some(python) => {
            let pip = python
                .pip
                .as_ref()
                .map_or_else(|| "no pip".into(), |pip| format!("pip {pip}"));
            format!("Python {} with {pip}: {}", python.version, python.program)
        }
    };
    if facts.offline {
        format!("forbidden (offline); {by}")
    } else {
        by
    }
}
