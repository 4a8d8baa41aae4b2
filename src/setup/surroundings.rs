//! The environment variables and folders that setting up depends on, gathered once.
//!
//! Everything below takes this instead of reading the environment, so tests need not change it.

use std::env;
use std::path::{Path, PathBuf};

use super::packages::Catalog;
use super::{Home, SetupError};

/// Folders, interpreters and switches found in the environment.
#[derive(Debug, Clone)]
pub struct Surroundings {
    /// Our own folders.
    pub home: Home,
    /// `PREFCLEAN_PYTHON`: the only interpreter to use.
    pub python: Option<PathBuf>,
    /// `PREFCLEAN_OFFLINE`: never fetch.
    pub offline: bool,
    /// `ORT_DYLIB_PATH`.
    pub ort_dylib_path: Option<PathBuf>,
    /// Folder of the running executable.
    pub executable_folder: Option<PathBuf>,
    /// `VIRTUAL_ENV` and `CONDA_PREFIX`.
    pub python_environments: Vec<PathBuf>,
    /// Whether NVIDIA's driver seems to run here.
    pub nvidia_driver: bool,
    pub(super) catalog: Catalog,
}

impl Surroundings {
    /// Reads the process's environment.
    ///
    /// # Errors
    /// [`SetupError::NoHome`] if no data folder can be named.
    pub fn from_env() -> Result<Self, SetupError> {
        let executable = env::current_exe().ok();
        let environments = ["VIRTUAL_ENV", "CONDA_PREFIX"];
        Ok(Self {
            home: Home::from_env()?,
            python: path_variable("PREFCLEAN_PYTHON"),
            offline: switch(env::var("PREFCLEAN_OFFLINE").ok().as_deref()),
            ort_dylib_path: path_variable("ORT_DYLIB_PATH"),
            executable_folder: executable.and_then(|path| Some(path.parent()?.to_path_buf())),
            python_environments: environments.into_iter().filter_map(path_variable).collect(),
            // the last is what Windows gives Linux in its place
            nvidia_driver: ["/proc/driver/nvidia/version", "/dev/nvidiactl", "/dev/dxg"]
                .iter()
                .any(|path| Path::new(path).exists()),
            catalog: Catalog::pinned(),
        })
    }
}

/// An environment variable as a path; empty counts as unset.
pub(super) fn path_variable(name: &str) -> Option<PathBuf> {
    let value = env::var_os(name).filter(|value| !value.is_empty())?;
    Some(PathBuf::from(value))
}

/// Whether a switch variable is on: set, and neither empty, `0`, `false`, `no` nor `off`.
pub(super) fn switch(value: Option<&str>) -> bool {
    let value = value.unwrap_or("").trim().to_ascii_lowercase();
    !matches!(value.as_str(), "" | "0" | "false" | "no" | "off")
}
