//! What a CUDA build of ONNX Runtime needs around it: NVIDIA's driver, and the CUDA libraries.
//!
//! The CUDA provider asks for its libraries by soname, and the system's loader knows nothing of
//! folders that pip filled. `setup` says where they lie ([`CudaLibraries`]); here they are loaded
//! by path, dependencies first, before the provider is: the loader takes a library that is in the
//! process already. `runtime` calls this before it tries a device, so a run on the CPU loads none.

use std::fs;
use std::path::{Path, PathBuf};

use serde::Serialize;

/// NVIDIA's driver library, which comes with the driver alone.
const DRIVER: &str = "libcuda.so.1";
/// Where it lies on systems whose loader may not be told: WSL, containers of Kubernetes, NixOS.
const DRIVER_FOLDERS: [&str; 3] = [
    "/usr/lib/wsl/lib",
    "/usr/local/nvidia/lib64",
    "/run/opengl-driver/lib",
];

/// Why CUDA cannot be used. See [`CudaProblem::hint`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CudaProblem {
    /// The library has no CUDA provider.
    #[error("this ONNX Runtime library was built without CUDA")]
    NotCompiledIn,
    /// The driver's library is not there.
    #[error("no NVIDIA driver was found (`{DRIVER}`: {reason})")]
    NoDriver {
        /// The loader's words.
        reason: String,
        /// The oldest driver that would do, where it is known.
        needed: Option<&'static str>,
    },
    /// The driver knows only an older CUDA.
    #[error(
        "NVIDIA driver {} is too old for CUDA {cuda}: expected {needed} or newer",
        found.as_deref().unwrap_or("of unknown version")
    )]
    OldDriver {
        /// Its version, where it can be told.
        found: Option<String>,
        /// Major version of the CUDA libraries.
        cuda: u32,
        /// The oldest driver for them.
        needed: &'static str,
    },
    /// Libraries of CUDA are neither in a known folder nor on the loader's path.
    #[error("these libraries of CUDA {cuda} were not found: {}", quoted(missing))]
    MissingLibraries {
        /// Major version of the CUDA libraries.
        cuda: u32,
        /// Their sonames.
        missing: Vec<String>,
    },
    /// A library is there and cannot be loaded.
    #[error("failed to load `{}`: {reason}", path.display())]
    BrokenLibrary {
        /// The library.
        path: PathBuf,
        /// The loader's words.
        reason: String,
    },
    /// The driver shows no GPU.
    #[error("the NVIDIA driver shows no GPU to this process")]
    NoDevice,
    /// A small graph did not run.
    #[error("{reason}")]
    Failed {
        /// CUDA's or ONNX Runtime's words.
        reason: String,
    },
}

impl CudaProblem {
    /// What to do about it, other than using the CPU.
    #[must_use]
    pub fn hint(&self) -> String {
        match self {
            Self::NotCompiledIn => {
                "`prefclean setup --cuda` installs a CUDA build; or name one (package \
                `onnxruntime-gpu`) with `--ort-lib PATH` or ORT_DYLIB_PATH"
                    .into()
            }
            Self::NoDriver { needed, .. } => {
                let version =
                    needed.map_or_else(String::new, |needed| format!(" ({needed} or newer)"));
                format!(
                    "install NVIDIA's driver{version} on a machine with an NVIDIA GPU; \
                     a container must be started with access to the GPU"
                )
            }
            Self::OldDriver { needed, .. } => {
                format!("update NVIDIA's driver to {needed} or newer, and restart the machine")
            }
            Self::MissingLibraries { missing, .. } if missing.iter().all(|name| name == ZLIB) => {
                "install zlib with the system's packages (`zlib1g`, `zlib`)".into()
            }
            Self::MissingLibraries { .. } => {
                "`prefclean setup --cuda` installs what is missing".into()
            }
            Self::BrokenLibrary { .. } => {
                "`prefclean setup --check --cuda` compares the hashes of what was \
                fetched; a library of a Python environment is mended with pip"
                    .into()
            }
            Self::NoDevice => {
                "`nvidia-smi` lists the GPUs of the machine; CUDA_VISIBLE_DEVICES hides those that \
                it does not name; a container must be started with access to the GPU"
                    .into()
            }
            Self::Failed { .. } => {
                "`prefclean doctor` shows driver, CUDA libraries and devices".into()
            }
        }
    }
}

/// What cuDNN takes from the system.
pub(crate) const ZLIB: &str = "libz.so.1";

/// The CUDA libraries that an ONNX Runtime library loads, dependencies first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CudaLibraries {
    /// Major version of CUDA.
    pub version: u32,
    /// The libraries.
    pub libraries: Vec<CudaLibrary>,
}

/// One library that the CUDA provider loads.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CudaLibrary {
    /// The name by which it is asked for.
    pub soname: String,
    /// Whether nothing works without it.
    pub required: bool,
    /// The file in one of the folders known to `setup`; absent: the system's loader is to find it.
    pub path: Option<PathBuf>,
}

impl CudaLibraries {
    /// Asks the system's loader for what has no path yet, and keeps where it found it.
    #[must_use]
    pub fn located(mut self) -> Self {
        for library in &mut self.libraries {
            if library.path.is_none() && preload(Path::new(&library.soname)).is_ok() {
                library.path = in_process(&library.soname);
            }
        }
        self
    }
}

/// The oldest NVIDIA driver for Linux that serves this major version of CUDA.
///
/// # Source
/// NVIDIA, CUDA Toolkit release notes: minimum drivers for minor version compatibility.
#[must_use]
pub fn oldest_driver(cuda: u32) -> Option<&'static str> {
    match cuda {
        11 => Some("450.80.02"),
        12 => Some("525.60.13"),
        13 => Some("580.65.06"),
        _ => None,
    }
}

/// NVIDIA's driver, as far as it can be told without asking it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Driver {
    /// Its library, links followed.
    pub library: Option<PathBuf>,
    /// Its version, such as `580.65.06`.
    pub version: Option<String>,
}

/// Loads the driver's library, which also tells whether there is one.
///
/// # Errors
/// The loader's words.
pub fn driver() -> Result<Driver, String> {
    preload(Path::new(DRIVER)).or_else(|reason| {
        let mut paths = DRIVER_FOLDERS
            .iter()
            .map(|folder| Path::new(folder).join(DRIVER));
        let elsewhere = paths.any(|path| preload(&path).is_ok());
        elsewhere.then_some(()).ok_or(reason)
    })?;
    let library = in_process("libcuda.so");
    let named = library.as_deref().and_then(Path::file_name);
    let named = named.and_then(|name| driver_version(name.to_str()?.strip_prefix("libcuda.so.")?));
    let version = named.or_else(|| {
        let text = fs::read_to_string("/proc/driver/nvidia/version").ok()?;
        text.lines()
            .next()?
            .split_whitespace()
            .find_map(driver_version)
    });
    Ok(Driver { library, version })
}

/// Loads driver and libraries, so that the provider finds them.
///
/// # Errors
/// The first thing that keeps CUDA from working.
pub(super) fn prepare(cuda: &CudaLibraries) -> Result<(), CudaProblem> {
    driver().map_err(|reason| CudaProblem::NoDriver {
        reason,
        needed: oldest_driver(cuda.version),
    })?;
    let mut missing = Vec::new();
    for library in &cuda.libraries {
        let path = library.path.as_deref();
        let loaded = preload(path.unwrap_or(Path::new(&library.soname)));
        match (loaded, path) {
            (Err(reason), Some(path)) if library.required => {
                return Err(CudaProblem::BrokenLibrary {
                    path: path.to_path_buf(),
                    reason,
                });
            }
            (Err(_), None) if library.required => missing.push(library.soname.clone()),
            _ => {}
        }
    }
    if missing.is_empty() {
        return Ok(());
    }
    Err(CudaProblem::MissingLibraries {
        cuda: cuda.version,
        missing,
    })
}

/// Why a graph did not run although driver and libraries are there.
pub(super) fn diagnose(reason: String, cuda: Option<&CudaLibraries>) -> CudaProblem {
    let needed = cuda.and_then(|cuda| Some((cuda.version, oldest_driver(cuda.version)?)));
    if let Some((version, needed)) = needed {
        let found = driver().ok().and_then(|driver| driver.version);
        let old = found.as_deref().is_some_and(|found| older(found, needed));
        // words of cudaErrorInsufficientDriver
        if old || reason.contains("driver version is insufficient") {
            return CudaProblem::OldDriver {
                found,
                cuda: version,
                needed,
            };
        }
    }
    // "..: CUDA failure 100: no CUDA-capable device is detected ; GPU=-1 ; hostname=.."
    let failure = reason.find("CUDA failure ").map(|at| &reason[at..]);
    let failure = failure.and_then(|failure| failure.split(" ;").next());
    match failure {
        Some(failure) if failure.starts_with("CUDA failure 100:") => CudaProblem::NoDevice,
        Some(failure) => CudaProblem::Failed {
            reason: failure.to_owned(),
        },
        None => CudaProblem::Failed { reason },
    }
}

/// Loads a library for the rest of the process; the loader's words where it cannot.
fn preload(path: &Path) -> Result<(), String> {
    use std::error::Error as _;
    ort::util::preload_dylib(path).map_err(|error| {
        let words = error
            .source()
            .map_or_else(|| error.to_string(), ToString::to_string);
        // the loader repeats the name, which the message has already
        let name = path.display().to_string();
        let rest = words
            .strip_prefix(&name)
            .and_then(|rest| rest.strip_prefix(": "));
        rest.unwrap_or(&words).to_owned()
    })
}

/// The file, links followed, of a loaded library whose name begins like this.
fn in_process(name: &str) -> Option<PathBuf> {
    mapped(&fs::read_to_string("/proc/self/maps").ok()?, name)
}

fn mapped(maps: &str, name: &str) -> Option<PathBuf> {
    maps.lines().find_map(|line| {
        let path = Path::new(&line[line.find('/')?..]);
        let rest = path.file_name()?.to_str()?.strip_prefix(name)?;
        (rest.is_empty() || rest.starts_with('.')).then(|| path.to_path_buf())
    })
}

/// A text that is nothing but a version of two or three numbers, the first of a driver's size.
fn driver_version(text: &str) -> Option<String> {
    let numbers = text.split('.').map(str::parse::<u32>);
    let numbers: Vec<u32> = numbers.collect::<Result<_, _>>().ok()?;
    let plausible = (2..=3).contains(&numbers.len()) && numbers[0] >= 100;
    plausible.then(|| text.to_owned())
}

fn older(found: &str, needed: &str) -> bool {
    let numbers = |text: &str| -> Vec<u32> { text.split('.').flat_map(str::parse).collect() };
    numbers(found) < numbers(needed)
}

fn quoted(names: &[String]) -> String {
    let quoted: Vec<_> = names.iter().map(|name| format!("`{name}`")).collect();
    quoted.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cuda(version: u32, libraries: &[(&str, bool, Option<&str>)]) -> CudaLibraries {
        let libraries = libraries
            .iter()
            .map(|&(soname, required, path)| CudaLibrary {
                soname: soname.into(),
                required,
                path: path.map(PathBuf::from),
            });
        CudaLibraries {
            version,
            libraries: libraries.collect(),
        }
    }

    #[test]
    fn driver_versions_are_told_from_other_words() {
        let line =
            "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  580.95.05  Release Build";
        let found = line.split_whitespace().find_map(driver_version);
        assert_eq!(found.as_deref(), Some("580.95.05"));
        for text in ["1", "", "64", "580", "1.1", "580.65.06.1", "580.x"] {
            assert_eq!(driver_version(text), None, "{text}");
        }
        assert!(older("535.183.01", "580.65.06") && older("580.65", "580.65.06"));
        assert!(!older("580.65.06", "580.65.06") && !older("1000.1", "580.65.06"));
    }

    #[test]
    fn loaded_libraries_are_found_in_the_map() {
        let maps = "7f00-7f01 r-xp 00000000 00:00 0 \n\
            7f01-7f02 r--p 00000000 fe:00 1    /usr/lib/libcudart.so.13.0.96\n\
            7f02-7f03 r-xp 00000000 fe:00 2    /usr/lib/a folder/libcuda.so.580.65.06\n\
            7fff-7fff rw-p 00000000 00:00 0    [stack]\n";
        let driver = mapped(maps, "libcuda.so").expect("it is there");
        assert_eq!(driver, Path::new("/usr/lib/a folder/libcuda.so.580.65.06"));
        assert!(mapped(maps, "libcudart.so.13").is_some());
        assert_eq!(mapped(maps, "libcudart.so.1"), None);
    }

    #[test]
    fn problems_say_what_to_do() {
        let needed = oldest_driver(13);
        let problems = [
            CudaProblem::NoDriver {
                reason: "cannot open shared object file".into(),
                needed,
            },
            CudaProblem::OldDriver {
                found: Some("535.183.01".into()),
                cuda: 13,
                needed: "580.65.06",
            },
            CudaProblem::MissingLibraries {
                cuda: 13,
                missing: vec!["libcublas.so.13".into(), "libcudnn.so.9".into()],
            },
            CudaProblem::MissingLibraries {
                cuda: 13,
                missing: vec![ZLIB.into()],
            },
        ];
        let shown = problems
            .iter()
            .map(|problem| format!("{problem}\n  {}\n", problem.hint()));
        insta::assert_snapshot!(shown.collect::<String>(), @r"
        no NVIDIA driver was found (`libcuda.so.1`: cannot open shared object file)
          install NVIDIA's driver (580.65.06 or newer) on a machine with an NVIDIA GPU; a container must be started with access to the GPU
        NVIDIA driver 535.183.01 is too old for CUDA 13: expected 580.65.06 or newer
          update NVIDIA's driver to 580.65.06 or newer, and restart the machine
        these libraries of CUDA 13 were not found: `libcublas.so.13`, `libcudnn.so.9`
          `prefclean setup --cuda` installs what is missing
        these libraries of CUDA 13 were not found: `libz.so.1`
          install zlib with the system's packages (`zlib1g`, `zlib`)
        ");
    }

    #[test]
    fn words_of_the_runtime_are_understood() {
        let words = "cuda_call.cc:137 CudaCall CUDA failure 100: no CUDA-capable device is detected ; GPU=-1 ; line=70";
        let told = |words: &str| diagnose(words.into(), None);
        assert_eq!(told(words), CudaProblem::NoDevice);
        let other = words.replace(
            "100: no CUDA-capable device is detected",
            "101: invalid device ordinal",
        );
        assert_eq!(
            told(&other).to_string(),
            "CUDA failure 101: invalid device ordinal"
        );
        assert_eq!(told("out of memory").to_string(), "out of memory");

        let old =
            "CUDA failure 35: CUDA driver version is insufficient for CUDA runtime version ; GPU=0";
        let problem = diagnose(old.into(), Some(&cuda(13, &[])));
        assert!(
            matches!(problem, CudaProblem::OldDriver { cuda: 13, .. }),
            "{problem}"
        );
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn what_is_missing_is_named_and_what_is_there_is_found() {
        let wanted = cuda(
            13,
            &[
                ("libc.so.6", true, None),
                ("libnowhere.so.1", true, None),
                ("libnowhere.so.2", false, None),
            ],
        );
        let located = wanted.located();
        assert!(located.libraries[0].path.is_some());
        assert_eq!(located.libraries[1].path, None);

        let words = preload(Path::new("libnowhere.so.1")).expect_err("not there");
        assert!(
            words.starts_with("cannot open shared object file"),
            "{words}"
        );
        if driver().is_ok() {
            let problem = prepare(&located).expect_err("one is missing");
            let missing = vec!["libnowhere.so.1".to_owned()];
            assert_eq!(problem, CudaProblem::MissingLibraries { cuda: 13, missing });
        } else {
            let problem = prepare(&located).expect_err("no driver");
            assert!(matches!(problem, CudaProblem::NoDriver { .. }));
        }
    }
}
