//! The ONNX Runtime library of this process, its devices, and sessions on them.
//!
//! A process loads one library and keeps it: [`Runtime::load`] hands out the same runtime each
//! time. Load it on the main thread before others are started: flushing of denormal numbers is a
//! property of a thread, set there by the first session and inherited by the threads it starts.

use std::collections::BTreeMap;
use std::error::Error as _;
use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use ort::environment::Environment;
use ort::ep::{self, ExecutionProvider};
use ort::logging::LogLevel;
use ort::session::Session;
use ort::session::builder::{GraphOptimizationLevel, SessionBuilder};
use ort::value::Tensor;
use serde::Serialize;

pub(crate) use cuda::ZLIB;
pub use cuda::{CudaLibraries, CudaLibrary, CudaProblem, Driver, driver, oldest_driver};

/// Why the library or a session on it failed. See [`RuntimeError::hint`].
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RuntimeError {
    /// The library is not there.
    #[error("failed to open the ONNX Runtime library `{}`", path.display())]
    Open {
        /// The library.
        path: PathBuf,
        /// The operating system's error.
        #[source]
        source: io::Error,
    },
    /// The file is no ONNX Runtime library, or not one for this machine.
    #[error("failed to load the ONNX Runtime library `{}`: {reason}", path.display())]
    Load {
        /// The library.
        path: PathBuf,
        /// The loader's words.
        reason: String,
    },
    /// The library is older than the bindings accept.
    #[error("ONNX Runtime at `{}` is too old: expected 1.{}.0 or newer, found {found}", path.display(), ort::MINOR_VERSION)]
    TooOld {
        /// The library.
        path: PathBuf,
        /// Its version.
        found: String,
    },
    /// Another library was loaded before.
    #[error("cannot load `{}`: this process already uses `{}`", path.display(), loaded.display())]
    AlreadyLoaded {
        /// The library asked for.
        path: PathBuf,
        /// The library in use.
        loaded: PathBuf,
    },
    /// A device name that is none.
    #[error("unknown device `{given}`: expected `auto`, `cpu`, `cuda` or `cuda:N`")]
    UnknownDevice {
        /// What was given.
        given: String,
    },
    /// CUDA was asked for and cannot be used.
    #[error("device `cuda:{device}` cannot be used: {problem}")]
    Cuda {
        /// Its number.
        device: i32,
        /// What stands in the way.
        problem: CudaProblem,
    },
    /// The runtime refused something.
    #[error("ONNX Runtime failed to {action}")]
    Ort {
        /// Verb phrase, such as `create a session`.
        action: &'static str,
        /// The runtime's error.
        #[source]
        source: ort::Error,
    },
}

impl RuntimeError {
    /// Advice for the user, without the `hint:` prefix.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Load { .. } | Self::TooOld { .. } => {
                "name another library with `--ort-lib PATH`, or move this one away: \
                 without `--ort-lib` and ORT_DYLIB_PATH, prefclean finds or fetches one"
                    .into()
            }
            Self::Cuda { problem, .. } => format!("{}; or use `--device cpu`", problem.hint()),
            _ => return None,
        })
    }

    fn ort<R>(action: &'static str) -> impl FnOnce(ort::Error<R>) -> Self
    where
        ort::Error: From<ort::Error<R>>,
    {
        move |source| Self::Ort {
            action,
            source: source.into(),
        }
    }
}

/// Where the user wants graphs to run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Device {
    /// CUDA where it works, else the CPU.
    #[default]
    Auto,
    /// The CPU.
    Cpu,
    /// The CUDA device of this number, or an error.
    Cuda(i32),
}

impl FromStr for Device {
    type Err = RuntimeError;

    fn from_str(text: &str) -> Result<Self, RuntimeError> {
        match text {
            "auto" => Ok(Self::Auto),
            "cpu" => Ok(Self::Cpu),
            "cuda" => Ok(Self::Cuda(0)),
            _ => {
                let number = text
                    .strip_prefix("cuda:")
                    .filter(|n| n.bytes().all(|b| b.is_ascii_digit()));
                let number = number.and_then(|n| n.parse().ok());
                number
                    .map(Self::Cuda)
                    .ok_or_else(|| RuntimeError::UnknownDevice { given: text.into() })
            }
        }
    }
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Cpu => f.write_str("cpu"),
            Self::Cuda(device) => write!(f, "cuda:{device}"),
        }
    }
}

/// Where graphs really run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExecutionDevice {
    /// The CPU.
    Cpu,
    /// The CUDA device of this number; operators that it lacks run on the CPU.
    Cuda(i32),
}

impl ExecutionDevice {
    /// The name that ONNX Runtime gives its execution provider.
    #[must_use]
    pub fn provider(self) -> &'static str {
        match self {
            Self::Cpu => <ep::CPU as ExecutionProvider>::NAME,
            Self::Cuda(_) => <ep::CUDA as ExecutionProvider>::NAME,
        }
    }
}

impl fmt::Display for ExecutionDevice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cpu => f.write_str("cpu"),
            Self::Cuda(device) => write!(f, "cuda:{device}"),
        }
    }
}

impl Serialize for ExecutionDevice {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// What a loaded library can do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RuntimeFacts {
    /// The library, links followed.
    pub path: PathBuf,
    /// What it says of its build.
    pub build_info: String,
    /// Execution providers compiled in. That one is named here does not mean that it works.
    pub providers: Vec<String>,
    /// Whether CUDA really works.
    pub cuda: CudaFacts,
    /// Whether training operators are compiled in. Training does not need them: artifacts are
    /// lowered to standard operators, which every library has.
    pub training_operators: bool,
}

/// Whether CUDA really works: a small graph was run on each device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CudaFacts {
    /// Whether the library was built with CUDA.
    pub compiled_in: bool,
    /// Devices on which a graph ran.
    pub devices: Vec<i32>,
    /// Why there is none.
    pub reason: Option<String>,
    /// What to do about it.
    pub hint: Option<String>,
}

/// The loaded library.
#[derive(Debug)]
pub struct Runtime {
    path: PathBuf,
    environment: Environment,
    /// What the CUDA provider is to find in the process.
    cuda_libraries: Option<CudaLibraries>,
    /// Outcome of the first try of each CUDA device.
    cuda: Mutex<BTreeMap<i32, Result<(), CudaProblem>>>,
}

static RUNTIME: OnceLock<Runtime> = OnceLock::new();
/// The library in the process, which stays even if setting it up failed.
static LIBRARY: Mutex<Option<PathBuf>> = Mutex::new(None);

impl Runtime {
    /// Loads the library at `path`, or returns the one loaded before. Its CUDA libraries are
    /// those that the system's loader finds; see [`Runtime::load_with_cuda`].
    ///
    /// # Errors
    /// [`RuntimeError`] if it cannot be loaded, is too old, or another one is in use.
    pub fn load(path: &Path) -> Result<&'static Self, RuntimeError> {
        Self::load_with_cuda(path, None)
    }

    /// The same, with CUDA libraries that are loaded before a CUDA device is first tried.
    /// What `setup` finds has a `load` that calls this.
    ///
    /// # Errors
    /// As [`Runtime::load`].
    pub fn load_with_cuda(
        path: &Path,
        cuda: Option<&CudaLibraries>,
    ) -> Result<&'static Self, RuntimeError> {
        let resolved = fs::canonicalize(path).map_err(|source| RuntimeError::Open {
            path: path.to_path_buf(),
            source,
        })?;
        let mut library = LIBRARY.lock().unwrap_or_else(PoisonError::into_inner);
        match library.as_ref() {
            // the bindings would silently go on with the first library
            Some(loaded) if *loaded != resolved => {
                return Err(RuntimeError::AlreadyLoaded {
                    path: resolved,
                    loaded: loaded.clone(),
                });
            }
            _ => {}
        }
        if let Some(runtime) = RUNTIME.get() {
            return Ok(runtime);
        }
        let builder = ort::init_from(&resolved).map_err(|error| match error {
            ort::LoadDynamicError::BadVersion { version_str, path } => RuntimeError::TooOld {
                path,
                found: version_str,
            },
            ort::LoadDynamicError::Dlopen { error, path } => RuntimeError::Load {
                path,
                // the loader's own words are one level down
                reason: error
                    .source()
                    .map_or_else(|| error.to_string(), ToString::to_string),
            },
            ort::LoadDynamicError::MissingApi { path } => RuntimeError::Load {
                path,
                reason: "it does not export `OrtGetApiBase`".into(),
            },
            ort::LoadDynamicError::InvalidVersionString => RuntimeError::Load {
                path: resolved.clone(),
                reason: "its version is no text".into(),
            },
        })?;
        *library = Some(resolved.clone());

        let mut builder = builder.with_name("prefclean").with_telemetry(false);
        let quiet = std::env::var_os("ORT_LOG").is_none();
        if quiet {
            // its words would go to stderr between our own; errors come back as values anyway
            builder = builder.with_logger(Arc::new(|_, _, _, _, _| {}));
        }
        let environment = builder.build().map_err(RuntimeError::ort("start"))?;
        if quiet {
            environment.set_log_level(LogLevel::Error);
        }
        let runtime = Self {
            path: resolved,
            environment,
            cuda_libraries: cuda.cloned(),
            cuda: Mutex::default(),
        };
        // the first session of a process sets flush-to-zero on its thread
        runtime
            .probe(ExecutionDevice::Cpu)
            .map_err(RuntimeError::ort("run a first graph"))?;
        Ok(RUNTIME.get_or_init(|| runtime))
    }

    /// What the library says of its build, its version among it.
    #[must_use]
    pub fn build_info(&self) -> &'static str {
        ort::info()
    }

    /// The library, links followed.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A session for a graph, and the device that it really runs on.
    ///
    /// All optimisations, deterministic kernels, no memory pattern (texts differ in length), and
    /// denormals as zero. `threads`: 0 for one per core.
    ///
    /// # Errors
    /// [`RuntimeError::Cuda`] if CUDA was asked for and does not work;
    /// [`RuntimeError::Ort`] if the graph is refused.
    pub fn session(
        &self,
        onnx: &[u8],
        threads: usize,
        device: Device,
    ) -> Result<(Session, ExecutionDevice), RuntimeError> {
        let device = self.resolve(device)?;
        let builder = self.builder(threads, device);
        let mut builder = builder.map_err(RuntimeError::ort("configure a session"))?;
        let session = builder.commit_from_memory(onnx);
        Ok((
            session.map_err(RuntimeError::ort("create a session"))?,
            device,
        ))
    }

    /// The device that sessions for `device` run on.
    ///
    /// # Errors
    /// [`RuntimeError::Cuda`] if CUDA was asked for and does not work; never a silent fall-back.
    pub fn resolve(&self, device: Device) -> Result<ExecutionDevice, RuntimeError> {
        match device {
            Device::Cpu => Ok(ExecutionDevice::Cpu),
            Device::Auto => Ok(match self.try_cuda(0) {
                Ok(()) => ExecutionDevice::Cuda(0),
                Err(_) => ExecutionDevice::Cpu,
            }),
            Device::Cuda(number) => match self.try_cuda(number) {
                Ok(()) => Ok(ExecutionDevice::Cuda(number)),
                Err(problem) => Err(RuntimeError::Cuda {
                    device: number,
                    problem,
                }),
            },
        }
    }

    /// What this library can do. Reads the whole file, and tries CUDA where it is compiled in.
    ///
    /// # Errors
    /// [`RuntimeError::Open`] if the file has gone.
    pub fn facts(&self) -> Result<RuntimeFacts, RuntimeError> {
        let bytes = fs::read(&self.path).map_err(|source| RuntimeError::Open {
            path: self.path.clone(),
            source,
        })?;
        Ok(RuntimeFacts {
            path: self.path.clone(),
            build_info: self.build_info().to_owned(),
            providers: providers::compiled_in(),
            cuda: self.cuda_facts(),
            training_operators: holds(&bytes, b"InPlaceAccumulatorV2"),
        })
    }

    /// Tries every CUDA device.
    #[must_use]
    pub fn cuda_facts(&self) -> CudaFacts {
        let mut devices = Vec::new();
        let mut problem = None;
        for number in 0.. {
            match self.try_cuda(number) {
                Ok(()) => devices.push(number),
                Err(found) => {
                    problem = devices.is_empty().then_some(found);
                    break;
                }
            }
        }
        CudaFacts {
            compiled_in: cuda_compiled_in(),
            devices,
            reason: problem.as_ref().map(ToString::to_string),
            hint: problem.as_ref().map(CudaProblem::hint),
        }
    }

    /// Runs a small graph on a CUDA device, once per process and device.
    fn try_cuda(&self, number: i32) -> Result<(), CudaProblem> {
        if !cuda_compiled_in() {
            return Err(CudaProblem::NotCompiledIn);
        }
        let libraries = self.cuda_libraries.as_ref();
        let mut tried = self.cuda.lock().unwrap_or_else(PoisonError::into_inner);
        let outcome = tried.entry(number).or_insert_with(|| {
            libraries.map_or(Ok(()), cuda::prepare)?;
            self.probe(ExecutionDevice::Cuda(number))
                .map_err(|error| cuda::diagnose(error.to_string(), libraries))
        });
        outcome.clone()
    }

    fn probe(&self, device: ExecutionDevice) -> ort::Result<()> {
        let mut session = self.builder(1, device)?.commit_from_memory(PROBE)?;
        let outputs =
            session.run(ort::inputs!["x" => Tensor::from_array(([1], vec![3.0_f32]))?])?;
        match outputs["y"].try_extract_tensor::<f32>()?.1 {
            [9.0] => Ok(()),
            other => Err(ort::Error::new(format!("3 * 3 gave {other:?}"))),
        }
    }

    fn builder(&self, threads: usize, device: ExecutionDevice) -> ort::Result<SessionBuilder> {
        let builder = SessionBuilder::new(&self.environment)?
            .with_optimization_level(GraphOptimizationLevel::All)?
            .with_intra_threads(threads)?
            .with_inter_threads(1)?
            .with_memory_pattern(false)?
            .with_deterministic_compute(true)?
            .with_config_entry("session.set_denormal_as_zero", "1")?;
        match device {
            ExecutionDevice::Cpu => Ok(builder),
            ExecutionDevice::Cuda(number) => {
                // the library's default is TF32: features would differ from the CPU's in the third digit
                let cuda = ep::CUDA::default().with_device_id(number).with_tf32(false);
                Ok(builder.with_execution_providers([cuda.build().error_on_failure()])?)
            }
        }
    }
}

/// `y = x * x`, one float: `onnx.helper.make_model` of one `Mul`, opset 13, IR 8.
const PROBE: &[u8] = b"\x08\x08:5\n\x0e\n\x01x\n\x01x\x12\x01y\"\x03Mul\x12\x01pZ\x0f\n\x01x\x12\n\n\x08\
    \x08\x01\x12\x04\n\x02\x08\x01b\x0f\n\x01y\x12\n\n\x08\x08\x01\x12\x04\n\x02\x08\x01B\x04\n\x00\x10\r";

fn cuda_compiled_in() -> bool {
    ep::CUDA::is_available().unwrap_or(false)
}

fn holds(bytes: &[u8], text: &[u8]) -> bool {
    let mut rest = bytes;
    while let Some(at) = rest.iter().position(|byte| *byte == text[0]) {
        rest = &rest[at..];
        if rest.starts_with(text) {
            return true;
        }
        rest = &rest[1..];
    }
    false
}

/// Names of execution providers, to ask a library which ones it has.
mod providers {
    use super::{ExecutionProvider, SessionBuilder};

    macro_rules! named {
        ($($provider:ident = $name:literal),* $(,)?) => {
            $(struct $provider;
            impl ExecutionProvider for $provider {
                const NAME: &'static str = $name;
                fn register(&self, _: &mut SessionBuilder) -> ort::Result<()> {
                    Err(ort::Error::new("only asked for by name"))
                }
            })*
            /// Those of the list that are compiled in, in the order of the list.
            pub(super) fn compiled_in() -> Vec<String> {
                let mut found = Vec::new();
                $(if $provider::is_available().unwrap_or(false) {
                    found.push($name.to_owned());
                })*
                found
            }
        };
    }

    named! {
        TensorRt = "TensorrtExecutionProvider", TensorRtRtx = "NvTensorRTRTXExecutionProvider",
        Cuda = "CUDAExecutionProvider", MiGraphX = "MIGraphXExecutionProvider",
        Rocm = "ROCMExecutionProvider", OpenVino = "OpenVINOExecutionProvider",
        CoreMl = "CoreMLExecutionProvider", Dml = "DmlExecutionProvider",
        WebGpu = "WebGpuExecutionProvider", Qnn = "QNNExecutionProvider",
        Dnnl = "DnnlExecutionProvider", Cann = "CANNExecutionProvider",
        VitisAi = "VitisAIExecutionProvider", Acl = "ACLExecutionProvider",
        ArmNn = "ArmNNExecutionProvider", Nnapi = "NnapiExecutionProvider",
        Xnnpack = "XnnpackExecutionProvider", Azure = "AzureExecutionProvider",
        Cpu = "CPUExecutionProvider",
    }
}

mod cuda;
#[cfg(test)]
pub(crate) mod tests;
