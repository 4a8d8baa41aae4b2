//! What is installed, found and usable, as data.

use std::fs;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::packages::{self, Package};
pub use super::pip::PythonFacts;
use super::{Candidate, LibraryVersion, Origin, SetupOptions, install, library, models, pip};
use crate::progress::NoProgress;
use crate::reward::runtime::{CudaLibraries, Driver, Runtime, RuntimeFacts, driver, oldest_driver};

/// Everything `doctor` shows.
#[derive(Debug, Clone, Serialize)]
pub struct DoctorFacts {
    /// Version of this document's shape.
    pub schema_version: u32,
    /// Version of the executable.
    pub prefclean: &'static str,
    /// `os-arch`.
    pub platform: String,
    /// Cores that threads may use.
    pub cores: usize,
    /// Whether fetching is forbidden.
    pub offline: bool,
    /// Runtime and models.
    pub data: FolderFacts,
    /// Features and such; safe to delete.
    pub cache: FolderFacts,
    /// The interpreter whose pip would fetch.
    pub python: Option<PythonFacts>,
    /// Every place of a runtime library, in the order of the search.
    pub candidates: Vec<Candidate>,
    /// The library that a run would use.
    pub runtime: Option<RuntimeReport>,
    /// NVIDIA's driver; absent where none can be looked for.
    pub driver: Option<DriverReport>,
    /// How models are trained.
    pub training: &'static str,
    /// The backbones that can be installed.
    pub models: Vec<ModelFacts>,
    /// What keeps a run from starting; empty when all is well.
    pub problems: Vec<Problem>,
}

/// A folder of ours.
#[derive(Debug, Clone, Serialize)]
pub struct FolderFacts {
    /// The folder.
    pub path: PathBuf,
    /// Whether it is there.
    pub exists: bool,
    /// Size of all files in it.
    pub bytes: u64,
}

/// The library that a run would use.
#[derive(Debug, Clone, Serialize)]
pub struct RuntimeReport {
    /// The library.
    pub path: PathBuf,
    /// Where it was found.
    pub origin: Origin,
    /// Its version, where it can be told.
    pub version: Option<LibraryVersion>,
    /// What it can do; absent if it could not be loaded.
    pub facts: Option<RuntimeFacts>,
    /// The CUDA libraries that it wants, and where the first of each lies; absent if it has no
    /// CUDA provider.
    pub cuda_libraries: Option<CudaLibraries>,
}

/// NVIDIA's driver on this machine.
#[derive(Debug, Clone, Serialize)]
pub struct DriverReport {
    /// The driver.
    #[serde(flatten)]
    pub driver: Option<Driver>,
    /// Why its library could not be loaded.
    pub reason: Option<String>,
    /// The oldest version for the CUDA of the library that a run would use, or of the pinned one.
    pub needed: Option<&'static str>,
}

/// A backbone that can be installed.
#[derive(Debug, Clone, Serialize)]
pub struct ModelFacts {
    /// What `--backbone` calls it.
    pub backbone: &'static str,
    /// Its name.
    pub name: &'static str,
    /// Version of its package.
    pub version: &'static str,
    /// Whether it is installed and whole.
    pub installed: bool,
    /// Where it is or would be.
    pub path: PathBuf,
    /// Its size if installed, else the size of the download.
    pub bytes: u64,
    /// Digest of weights, config and tokenizer.
    pub digest: Option<String>,
}

/// Something that keeps a run from starting.
#[derive(Debug, Clone, Serialize)]
pub struct Problem {
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

/// Gathers the facts. Loads the library into this process; fetches and changes nothing.
#[must_use]
pub fn examine(options: &SetupOptions) -> DoctorFacts {
    let surroundings = &options.surroundings;
    let mut problems = Vec::new();
    let python = pip::facts(surroundings.python.as_deref());
    let can_fetch = !options.offline && python.as_ref().is_some_and(|python| python.pip.is_some());

    let runtime = match library::find(options, &NoProgress) {
        Ok(Some(found)) => {
            let facts = found.load().and_then(Runtime::facts).map_err(|error| {
                let source = std::error::Error::source(&error);
                let cause = source.map_or_else(String::new, |source| format!(": {source}"));
                problems.push(Problem {
                    message: format!("{error}{cause}"),
                    hint: error.hint(),
                });
            });
            Some(RuntimeReport {
                path: found.path,
                origin: found.origin,
                version: found.version,
                facts: facts.ok(),
                // after the facts: these let the system's loader choose first where it need not
                cuda_libraries: found.cuda.map(CudaLibraries::located),
            })
        }
        Ok(None) => {
            if !can_fetch || surroundings.catalog.runtime.is_none() {
                problems.push(missing("ONNX Runtime", options));
            }
            None
        }
        Err(error) => {
            problems.push(Problem {
                message: error.to_string(),
                hint: error.hint(),
            });
            None
        }
    };
    let models = vec![
        model("minilm", &surroundings.catalog.minilm, options),
        model("mpnet", &surroundings.catalog.mpnet, options),
    ];
    if !models[0].installed && !can_fetch {
        problems.push(missing(models[0].name, options));
    }
    DoctorFacts {
        schema_version: 1,
        prefclean: env!("CARGO_PKG_VERSION"),
        platform: packages::platform(),
        cores: std::thread::available_parallelism().map_or(1, usize::from),
        offline: options.offline,
        data: folder(surroundings.home.data()),
        cache: folder(surroundings.home.cache()),
        python,
        candidates: library::candidates(options),
        driver: cfg!(target_os = "linux").then(|| driver_report(runtime.as_ref())),
        runtime,
        training: "on the stock runtime: training artifacts are lowered to standard operators",
        models,
        problems,
    }
}

fn driver_report(runtime: Option<&RuntimeReport>) -> DriverReport {
    let cuda = runtime.and_then(|runtime| runtime.cuda_libraries.as_ref());
    let found = driver();
    DriverReport {
        reason: found.as_ref().err().cloned(),
        driver: found.ok(),
        needed: oldest_driver(cuda.map_or(packages::PINNED_CUDA, |cuda| cuda.version)),
    }
}

fn missing(what: &str, options: &SetupOptions) -> Problem {
    let (why, hint) = if options.offline {
        (
            "offline mode forbids fetching it",
            "run `prefclean setup` once without `--offline` and PREFCLEAN_OFFLINE",
        )
    } else if options.surroundings.catalog.runtime.is_none() {
        (
            "no package is known for this platform",
            "name a library with `--ort-lib PATH` or ORT_DYLIB_PATH",
        )
    } else {
        (
            "there is no Python with pip to fetch it",
            "install Python 3 with pip, or name the interpreter with PREFCLEAN_PYTHON",
        )
    };
    Problem {
        message: format!("{what} is not installed, and {why}"),
        hint: Some(hint.into()),
    }
}

fn model(backbone: &'static str, package: &Package, options: &SetupOptions) -> ModelFacts {
    let home = &options.surroundings.home;
    let found = models::open_installed(package, home, false).ok();
    let manifest = install::manifest(package, home);
    let size = manifest.map(|manifest| manifest.files.iter().map(|file| file.bytes).sum());
    ModelFacts {
        backbone,
        name: package.title,
        version: package.version,
        installed: found.is_some(),
        path: package.path(home),
        bytes: size.unwrap_or_else(|| package.bytes()),
        digest: found.map(|found| found.digests.model),
    }
}

fn folder(path: &Path) -> FolderFacts {
    FolderFacts {
        path: path.to_path_buf(),
        exists: path.is_dir(),
        bytes: bytes_in(path),
    }
}

/// Size of all files below a folder; links are not followed.
fn bytes_in(folder: &Path) -> u64 {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let sizes = entries.map(|entry| match entry.metadata() {
        Ok(metadata) if metadata.is_dir() => bytes_in(&entry.path()),
        Ok(metadata) if metadata.is_file() => metadata.len(),
        _ => 0,
    });
    sizes.sum()
}
