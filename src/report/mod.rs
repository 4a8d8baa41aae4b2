//! One serializable report, and its faces: JSON, Markdown, HTML, plots.
//!
//! The pipeline fills a [`Report`]; [`write`] turns it into files beside each
//! other, and [`summary`] into the table that the command line prints. No face
//! knows a number that is not in the [`Report`]. Text from the data is escaped
//! here, once per face; callers hand it over as it is.

mod html;
mod json;
mod markdown;
mod model;
mod plots;
mod table;
mod text;
mod words;

#[cfg(test)]
mod example;
#[cfg(test)]
mod tests;

use std::io::Write as _;
use std::path::{Path, PathBuf};

use rayon::prelude::*;

use crate::progress::Progress;

pub use json::from_json;
pub use model::*;
use plots::Plot;
pub use plots::PlotError;
pub use table::{SummaryStyle, summary};

/// A report could not be written or read.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// A file or folder could not be written.
    #[error("failed to write `{}`", path.display())]
    Write {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A plot could not be drawn.
    #[error(transparent)]
    Plot(#[from] PlotError),
    /// The report could not be serialized.
    #[error("failed to serialize the report")]
    Serialize(#[source] serde_json::Error),
    /// A document is not a report.
    #[error("failed to read the report")]
    Parse(#[source] serde_json::Error),
    /// Another version of the layout.
    #[error("report has schema version {found}, expected {expected}")]
    Version {
        /// In the document.
        found: u32,
        /// What this version reads.
        expected: u32,
    },
    /// The page's template has a field that nothing fills.
    #[error("the page's template is broken")]
    Template,
}

/// Writes `report.html`, `report.md`, `report.json` and `plots/*.{svg,png}`
/// into `run_dir`, each aside and then renamed; gives their paths.
///
/// # Errors
/// [`ReportError::Write`] with the path that could not be written, or the
/// reason why a face could not be made.
pub fn write(
    run_dir: &Path,
    report: &Report,
    progress: &dyn Progress,
) -> Result<Vec<PathBuf>, ReportError> {
    let plots = Plot::of(report);
    let plot_dir = run_dir.join("plots");
    std::fs::create_dir_all(&plot_dir).map_err(|source| ReportError::Write {
        path: plot_dir.clone(),
        source,
    })?;
    progress.begin("report", Some(plots.len() as u64 + 3), "file");
    let drawn: Result<Vec<(Plot, String, [PathBuf; 2])>, ReportError> = plots
        .par_iter()
        .map(|plot| {
            let svg = plot.svg(report)?;
            let paths = ["svg", "png"].map(|ext| plot_dir.join(format!("{}.{ext}", plot.name())));
            put(&paths[0], svg.as_bytes())?;
            put_with(&paths[1], |aside| Ok(plot.png(report, aside)?))?;
            progress.advance(1);
            Ok((*plot, svg, paths))
        })
        .collect();
    let result = drawn.and_then(|drawn| {
        let mut written = Vec::new();
        let mut svgs = Vec::new();
        for (plot, svg, paths) in drawn {
            svgs.push((plot, svg));
            written.extend(paths);
        }
        let faces = [
            ("report.html", html::page(report, &svgs)?),
            ("report.md", markdown::document(report, &plots)),
            ("report.json", json::document(report)?),
        ];
        for (at, (name, content)) in faces.iter().enumerate() {
            let path = run_dir.join(name);
            put(&path, content.as_bytes())?;
            progress.advance(1);
            written.insert(at, path);
        }
        Ok(written)
    });
    progress.end();
    result
}

fn put(path: &Path, bytes: &[u8]) -> Result<(), ReportError> {
    put_with(path, |aside| {
        std::fs::OpenOptions::new()
            .write(true)
            .open(aside)
            .and_then(|mut file| file.write_all(bytes))
            .map_err(|source| ReportError::Write {
                path: path.to_owned(),
                source,
            })
    })
}

/// Fills a file aside, syncs it, and renames it to `path`.
fn put_with(
    path: &Path,
    fill: impl FnOnce(&Path) -> Result<(), ReportError>,
) -> Result<(), ReportError> {
    let failed = |source| ReportError::Write {
        path: path.to_owned(),
        source,
    };
    let extension = path
        .extension()
        .and_then(|ext| ext.to_str())
        .unwrap_or("tmp");
    let aside = tempfile::Builder::new()
        .prefix(".report-")
        // the bitmap backend goes by the extension
        .suffix(&format!(".{extension}"))
        .tempfile_in(path.parent().unwrap_or(Path::new(".")))
        .map_err(failed)?;
    fill(aside.path())?;
    readable(aside.path()).map_err(failed)?;
    std::fs::File::open(aside.path())
        .and_then(|file| file.sync_all())
        .map_err(failed)?;
    aside.persist(path).map_err(|error| failed(error.error))?;
    Ok(())
}

/// Temporary files are private; reports are made to be handed on.
#[cfg(unix)]
fn readable(path: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o644))
}

#[cfg(not(unix))]
fn readable(_path: &Path) -> std::io::Result<()> {
    Ok(())
}
