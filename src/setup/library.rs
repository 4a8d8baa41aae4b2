//! Where an ONNX Runtime library may be, and how old it is.
//!
//! Versions are read from the file's name or bytes, without loading it: a process can load only
//! one library, so a wrong choice could not be taken back.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use serde::{Serialize, Serializer};

use super::packages::Package;
use super::{SetupError, SetupOptions, cuda, install, pip};
use crate::progress::Progress;
use crate::reward::runtime::{CudaLibraries, Runtime, RuntimeError};

/// The oldest ONNX Runtime that the bindings accept.
pub const MIN_VERSION: LibraryVersion = LibraryVersion(1, 20, 0);

/// A version of ONNX Runtime: major, minor, patch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct LibraryVersion(pub u32, pub u32, pub u32);

impl fmt::Display for LibraryVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.0, self.1, self.2)
    }
}

impl Serialize for LibraryVersion {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Where a library was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Origin {
    /// Named by `--ort-lib`.
    Flag,
    /// Named by `ORT_DYLIB_PATH`.
    Variable,
    /// Beside the executable.
    ExecutableFolder,
    /// Installed by us.
    DataFolder,
    /// The `onnxruntime` package of a Python environment.
    PythonEnvironment,
}

impl Origin {
    /// As shown to users.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Flag => "--ort-lib",
            Self::Variable => "ORT_DYLIB_PATH",
            Self::ExecutableFolder => "folder of the executable",
            Self::DataFolder => "data folder",
            Self::PythonEnvironment => "Python environment",
        }
    }
}

/// A library to load.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RuntimeLibrary {
    /// The library file.
    pub path: PathBuf,
    /// Where it was found.
    pub origin: Origin,
    /// Its version, where it can be told without loading it.
    pub version: Option<LibraryVersion>,
    /// Whether this call fetched it.
    pub fetched: bool,
    /// What its CUDA provider wants, if it has one, and where that is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cuda: Option<CudaLibraries>,
}

impl RuntimeLibrary {
    fn new(path: PathBuf, origin: Origin, options: &SetupOptions) -> Self {
        Self {
            version: library_version(&path),
            cuda: cuda::libraries(&path, options),
            path,
            origin,
            fetched: false,
        }
    }

    /// Loads it into this process, or returns the one loaded before. CUDA libraries wait until a
    /// CUDA device is tried.
    ///
    /// # Errors
    /// As [`Runtime::load`].
    pub fn load(&self) -> Result<&'static Runtime, RuntimeError> {
        Runtime::load_with_cuda(&self.path, self.cuda.as_ref())
    }
}

/// One place that was looked at, for `doctor`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Candidate {
    /// The place.
    pub origin: Origin,
    /// The library there, if any.
    pub path: Option<PathBuf>,
    /// Its version, if known.
    pub version: Option<LibraryVersion>,
    /// Whether it has a CUDA provider.
    pub cuda: bool,
}

/// Looks in every place, in order. A path that the user named must be usable; elsewhere an old
/// library is passed over with a note.
pub(super) fn find(
    options: &SetupOptions,
    progress: &dyn Progress,
) -> Result<Option<RuntimeLibrary>, SetupError> {
    if let Some(named) = named(options)? {
        return Ok(Some(named));
    }
    Ok(unnamed(unnamed_places(options), options, progress))
}

/// The same for a library with CUDA; others are passed over, and one that the user named must have it.
pub(super) fn find_with_cuda(
    options: &SetupOptions,
    progress: &dyn Progress,
) -> Result<Option<RuntimeLibrary>, SetupError> {
    if let Some(named) = named(options)? {
        return if cuda::has_provider(&named.path) {
            Ok(Some(named))
        } else {
            Err(SetupError::NotCuda {
                path: named.path,
                origin: named.origin.label(),
            })
        };
    }
    let places = [
        (Origin::ExecutableFolder, beside_executable as Look),
        (Origin::DataFolder, in_data_folder_with_cuda),
        (Origin::PythonEnvironment, in_python),
    ];
    let with_cuda = places
        .into_iter()
        .filter(|(_, look)| look(options).is_some_and(|path| cuda::has_provider(&path)));
    Ok(unnamed(with_cuda.collect(), options, progress))
}

fn unnamed(
    places: Vec<(Origin, Look)>,
    options: &SetupOptions,
    progress: &dyn Progress,
) -> Option<RuntimeLibrary> {
    for (origin, look) in places {
        let Some(path) = look(options) else {
            continue;
        };
        match library_version(&path) {
            Some(found) if found < MIN_VERSION => progress.note(&format!(
                "passing over ONNX Runtime {found} in {}: older than {MIN_VERSION}",
                path.display()
            )),
            _ => return Some(RuntimeLibrary::new(path, origin, options)),
        }
    }
    None
}

/// Everything found, usable or not, in the order of the search.
pub(super) fn candidates(options: &SetupOptions) -> Vec<Candidate> {
    let mut found: Vec<_> = named_places(options)
        .into_iter()
        .filter_map(|(origin, path)| Some((origin, Some(path?.clone()))))
        .collect();
    let places = unnamed_places(options).into_iter();
    found.extend(places.map(|(origin, look)| (origin, look(options))));
    let candidates = found.into_iter().map(|(origin, path)| Candidate {
        origin,
        version: path.as_deref().and_then(library_version),
        cuda: path.as_deref().is_some_and(cuda::has_provider),
        path,
    });
    candidates.collect()
}

fn named_places(options: &SetupOptions) -> [(Origin, Option<&PathBuf>); 2] {
    [
        (Origin::Flag, options.ort_lib.as_ref()),
        (
            Origin::Variable,
            options.surroundings.ort_dylib_path.as_ref(),
        ),
    ]
}

fn named(options: &SetupOptions) -> Result<Option<RuntimeLibrary>, SetupError> {
    let mut places = named_places(options).into_iter();
    let Some((origin, given)) = places.find_map(|(origin, path)| Some((origin, path?))) else {
        return Ok(None);
    };
    let path = if given.is_dir() {
        library_in(given)
    } else {
        Some(given.clone()).filter(|path| path.is_file())
    };
    let path = path.ok_or_else(|| SetupError::LibraryMissing {
        path: given.clone(),
        origin: origin.label(),
    })?;
    // the bindings would look for a relative path beside the executable first
    let path = std::path::absolute(&path).unwrap_or(path);
    match library_version(&path) {
        Some(found) if found < MIN_VERSION => Err(SetupError::TooOld { path, found }),
        _ => Ok(Some(RuntimeLibrary::new(path, origin, options))),
    }
}

type Look = fn(&SetupOptions) -> Option<PathBuf>;

/// Where there is a driver, a library with CUDA goes before one without.
fn unnamed_places(options: &SetupOptions) -> Vec<(Origin, Look)> {
    let mut places: Vec<(Origin, Look)> = vec![
        (Origin::ExecutableFolder, beside_executable),
        (Origin::DataFolder, in_data_folder_with_cuda),
        (Origin::DataFolder, in_data_folder),
        (Origin::PythonEnvironment, in_python),
    ];
    if options.surroundings.nvidia_driver {
        places.insert(
            2,
            (Origin::PythonEnvironment, |options| {
                in_python(options).filter(|path| cuda::has_provider(path))
            }),
        );
    }
    places
}

fn beside_executable(options: &SetupOptions) -> Option<PathBuf> {
    library_in(options.surroundings.executable_folder.as_deref()?)
}

fn in_data_folder(options: &SetupOptions) -> Option<PathBuf> {
    installed_library(options.surroundings.catalog.runtime.as_ref()?, options)
}

fn in_data_folder_with_cuda(options: &SetupOptions) -> Option<PathBuf> {
    let cuda = options.surroundings.catalog.cuda.as_ref()?;
    installed_library(&cuda.runtime.package, options)
}

fn installed_library(package: &Package, options: &SetupOptions) -> Option<PathBuf> {
    let home = &options.surroundings.home;
    install::manifest(package, home)?;
    Some(package.path(home).join(package.files.first()?.to))
}

/// The active environment's own packages first, then those of the interpreter on the path.
fn in_python(options: &SetupOptions) -> Option<PathBuf> {
    let environments = options.surroundings.python_environments.iter();
    let active = environments.flat_map(|root| site_packages(root));
    let in_package = |package: PathBuf| library_in(&package.join("capi"));
    active
        .map(|packages| packages.join("onnxruntime"))
        .find_map(in_package)
        .or_else(|| {
            let interpreter = options.surroundings.python.as_deref();
            let folders = pip::package_folders(interpreter, "onnxruntime");
            folders.into_iter().find_map(in_package)
        })
}

/// `site-packages` of an environment, for every Python in it.
pub(super) fn site_packages(root: &Path) -> impl Iterator<Item = PathBuf> + use<> {
    let unix = fs::read_dir(root.join("lib"))
        .into_iter()
        .flatten()
        .flatten();
    let unix = unix.map(|entry| entry.path().join("site-packages"));
    unix.chain([root.join("Lib").join("site-packages")])
}

/// A pinned runtime that is installed.
pub(super) fn installed(
    package: &Package,
    options: &SetupOptions,
    fetched: bool,
) -> RuntimeLibrary {
    let path = package
        .path(&options.surroundings.home)
        .join(package.files[0].to);
    RuntimeLibrary {
        fetched,
        ..RuntimeLibrary::new(path, Origin::DataFolder, options)
    }
}

/// The newest ONNX Runtime library in a folder, by the naming of this platform.
fn library_in(folder: &Path) -> Option<PathBuf> {
    let entries = fs::read_dir(folder).ok()?.flatten();
    let libraries = entries
        .map(|entry| entry.path())
        .filter(|path| path.is_file() && path.file_name().is_some_and(|n| is_library(n.to_str())));
    // a link without version may stand beside the file it points to: either will do
    libraries.max_by_key(|path| (library_version(path), std::cmp::Reverse(path.clone())))
}

fn is_library(name: Option<&str>) -> bool {
    let name = name.unwrap_or_default();
    if cfg!(windows) {
        name.eq_ignore_ascii_case("onnxruntime.dll")
    } else if cfg!(target_os = "macos") {
        let rest = name.strip_prefix("libonnxruntime.");
        rest.and_then(|rest| rest.rsplit('.').next()) == Some("dylib")
    } else {
        let rest = name.strip_prefix("libonnxruntime.so");
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    }
}

/// The first `x.y.z` (or `x.y`) in a text.
///
/// ```
/// use prefclean::setup::{LibraryVersion, parse_version};
/// assert_eq!(parse_version("libonnxruntime.so.1.31.1"), Some(LibraryVersion(1, 31, 1)));
/// assert_eq!(parse_version("VERS_1.20"), Some(LibraryVersion(1, 20, 0)));
/// assert_eq!(parse_version("libonnxruntime.so.1"), None);
/// ```
#[must_use]
pub fn parse_version(text: &str) -> Option<LibraryVersion> {
    let runs = text.split(|c: char| !c.is_ascii_digit() && c != '.');
    runs.map(|run| run.trim_matches('.')).find_map(|run| {
        let mut parts = run.split('.').map(str::parse::<u32>);
        let (major, minor) = (parts.next()?.ok()?, parts.next()?.ok()?);
        let patch = parts.next().and_then(Result::ok).unwrap_or(0);
        Some(LibraryVersion(major, minor, patch))
    })
}

/// The version of a library file, from its name (links followed), its ELF symbol version
/// (`VERS_1.31.1`) or its Windows version resource; `None` where neither tells.
#[must_use]
pub fn library_version(path: &Path) -> Option<LibraryVersion> {
    let resolved = fs::canonicalize(path).ok()?;
    let name = resolved.file_name()?.to_str()?;
    // another library's name says nothing of ONNX Runtime
    let named = name.contains("onnxruntime").then(|| parse_version(name));
    named
        .flatten()
        .or_else(|| version_in(&fs::read(&resolved).ok()?))
}

/// A version in a library's bytes.
pub(super) fn version_in(bytes: &[u8]) -> Option<LibraryVersion> {
    let leading = |rest: &[u8]| {
        let digits = rest
            .iter()
            .take_while(|b| b.is_ascii_digit() || **b == b'.');
        parse_version(&String::from_utf8_lossy(rest.get(..digits.count())?))
    };
    let resource = || {
        let key: Vec<u8> = "ProductVersion\0".bytes().flat_map(|b| [b, 0]).collect();
        let mut values = after_each(bytes, &key);
        // UTF-16: drop the high bytes, and the padding before the value
        values
            .find_map(|rest| leading(&rest.iter().copied().filter(|b| *b != 0).collect::<Vec<_>>()))
    };
    after_each(bytes, b"VERS_")
        .find_map(leading)
        .or_else(resource)
}

/// Up to 64 bytes after each occurrence of `key`.
fn after_each<'a>(bytes: &'a [u8], key: &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
    let mut from = 0;
    std::iter::from_fn(move || {
        loop {
            // jumping to the first byte is much faster than comparing everywhere
            let start = from + bytes[from..].iter().position(|byte| *byte == key[0])?;
            from = start + 1;
            if bytes[start..].starts_with(key) {
                let rest = &bytes[start + key.len()..];
                return Some(&rest[..rest.len().min(64)]);
            }
        }
    })
}
