//! From what the user names (files, folders, patterns) to a sorted list of files.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use super::{PairsError, Result, ipc};

/// How a file holds its rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    Parquet,
    Arrow,
    Json(Compression),
    Csv(Separator, Compression),
}

impl Format {
    /// Whether types are not in the file but found from its values.
    pub(super) fn is_text(self) -> bool {
        matches!(self, Self::Json(_) | Self::Csv(..))
    }
}

/// What stands between the fields of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Separator {
    /// As the header shows: a comma, else a semicolon, else a tab.
    Found,
    Tab,
}

/// What wraps a text file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Compression {
    None,
    Gzip,
    Zstd,
}

/// How deep a folder is searched: `data/train/*.parquet` below the folder named.
const MAX_DEPTH: usize = 3;

/// Files of the hub's own book-keeping, which are not data.
const NOT_DATA: [&str; 6] = [
    "dataset_info.json",
    "dataset_dict.json",
    "dataset_infos.json",
    "state.json",
    "config.json",
    "manifest.json",
];

/// The files that `paths` stand for, sorted by path, each once.
pub(super) fn expand(paths: &[PathBuf]) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for path in paths {
        if path.is_dir() {
            found.extend(data_files_in(path)?);
        } else if path.symlink_metadata().is_ok() {
            found.push(path.clone());
        } else {
            found.extend(expand_pattern(path)?);
        }
    }
    found.sort();
    let mut seen = HashSet::new();
    found.retain(|path| seen.insert(fs::canonicalize(path).unwrap_or_else(|_| path.clone())));
    if found.is_empty() {
        return Err(PairsError::NoInput);
    }
    Ok(found)
}

fn expand_pattern(path: &Path) -> Result<Vec<PathBuf>> {
    let pattern = path.to_string_lossy();
    if !pattern.contains(['*', '?', '[']) {
        return Err(PairsError::Missing(path.to_owned()));
    }
    let matches = glob::glob(&pattern).map_err(|source| PairsError::Pattern {
        pattern: pattern.clone().into_owned(),
        source,
    })?;
    let mut files = Vec::new();
    for entry in matches {
        let entry = entry.map_err(|error| PairsError::Read {
            path: error.path().to_owned(),
            source: error.into(),
        })?;
        if entry.is_dir() {
            files.extend(data_files_in(&entry)?);
        } else {
            files.push(entry);
        }
    }
    if files.is_empty() {
        return Err(PairsError::NothingFound(pattern.into_owned()));
    }
    Ok(files)
}

/// Parquet files below a folder; where there are none, Arrow files; then JSON Lines; then CSV.
fn data_files_in(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found: [Vec<PathBuf>; 4] = Default::default();
    walk(folder, MAX_DEPTH, &mut |path| {
        let of = match format_by_name(path) {
            Some(Format::Parquet) => 0,
            // what the `datasets` library keeps of earlier steps
            Some(Format::Arrow) if is_cache(path) => return,
            Some(Format::Arrow) => 1,
            Some(Format::Json(_)) => 2,
            Some(Format::Csv(..)) => 3,
            None => return,
        };
        found[of].push(path.to_owned());
    })?;
    found
        .into_iter()
        .find(|files| !files.is_empty())
        .ok_or_else(|| PairsError::NothingFound(folder.display().to_string()))
}

fn is_cache(path: &Path) -> bool {
    path.file_name()
        .is_some_and(|name| name.to_string_lossy().starts_with("cache-"))
}

fn walk(folder: &Path, depth: usize, visit: &mut impl FnMut(&Path)) -> Result<()> {
    let failed = |source| PairsError::Read {
        path: folder.to_owned(),
        source,
    };
    for entry in fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        // run directories hold tables of ours, never pairs
        if name.starts_with('.') || name.ends_with(".prefclean") || NOT_DATA.contains(&&*name) {
            continue;
        }
        if path.is_dir() {
            if depth > 1 {
                walk(&path, depth - 1, visit)?;
            }
        } else {
            visit(&path);
        }
    }
    Ok(())
}

fn format_by_name(path: &Path) -> Option<Format> {
    let name = path.file_name()?.to_string_lossy().to_ascii_lowercase();
    let (stem, compression) = if let Some(stem) = name.strip_suffix(".gz") {
        (stem, Compression::Gzip)
    } else if let Some(stem) = name
        .strip_suffix(".zst")
        .or_else(|| name.strip_suffix(".zstd"))
    {
        (stem, Compression::Zstd)
    } else {
        (name.as_str(), Compression::None)
    };
    match stem.rsplit_once('.')?.1 {
        "jsonl" | "ndjson" | "json" => Some(Format::Json(compression)),
        "csv" => Some(Format::Csv(Separator::Found, compression)),
        "tsv" => Some(Format::Csv(Separator::Tab, compression)),
        "parquet" | "pq" if compression == Compression::None => Some(Format::Parquet),
        "arrow" | "ipc" | "feather" if compression == Compression::None => Some(Format::Arrow),
        _ => None,
    }
}

/// The format of a file by its name, checked against its bytes.
pub(super) fn format_of(path: &Path) -> Result<Format> {
    let read = |source| PairsError::Read {
        path: path.to_owned(),
        source,
    };
    let mut head = Vec::new();
    File::open(path)
        .and_then(|file| file.take(64).read_to_end(&mut head))
        .map_err(read)?;
    let is_parquet = head.starts_with(b"PAR1");
    match format_by_name(path) {
        Some(text) if text.is_text() => Ok(text),
        // a blob of the hub's cache has no extension
        _ if is_parquet => Ok(Format::Parquet),
        Some(Format::Parquet) => Err(PairsError::NotParquet {
            path: path.to_owned(),
            found: describe(&head),
        }),
        _ if ipc::is_file(&head) => Ok(Format::Arrow),
        Some(Format::Arrow) if ipc::may_be_stream(&head) => Ok(Format::Arrow),
        Some(_) => Err(PairsError::NotArrow {
            path: path.to_owned(),
            found: describe(&head),
        }),
        None => Err(PairsError::UnknownFormat(path.to_owned())),
    }
}

fn describe(head: &[u8]) -> &'static str {
    match head {
        [] => "an empty file",
        _ if head.starts_with(b"version ") && head.windows(7).any(|part| part == b"git-lfs") => {
            "a Git LFS pointer"
        }
        _ if head.starts_with(b"PARE") => "an encrypted Parquet file",
        _ if head.starts_with(b"{") || head.starts_with(b"[") => "JSON text",
        _ if head.starts_with(b"<") => "an HTML or XML page",
        _ if head.starts_with(b"ARROW1") => "an Arrow IPC file",
        _ if head.starts_with(b"PAR1") => "a Parquet file",
        _ if head.starts_with(b"FEA1") => "a Feather version 1 file",
        [0x1f, 0x8b, ..] => "gzip data",
        [0x28, 0xb5, 0x2f, 0xfd, ..] => "Zstandard data",
        _ if head.is_ascii() => "other text",
        _ => "other bytes",
    }
}
