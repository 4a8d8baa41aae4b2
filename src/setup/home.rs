//! Where prefclean keeps its own files.

use std::path::{Path, PathBuf};

use etcetera::BaseStrategy;

use super::SetupError;

/// The data folder (runtime, models) and the cache folder (features; safe to delete).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Home {
    data: PathBuf,
    cache: PathBuf,
}

impl Home {
    /// `PREFCLEAN_HOME` if set, else the user's XDG folders; `PREFCLEAN_CACHE` moves the cache alone.
    ///
    /// # Errors
    /// [`SetupError::NoHome`] if there is no home folder.
    pub fn from_env() -> Result<Self, SetupError> {
        let mut home = if let Some(root) = super::surroundings::path_variable("PREFCLEAN_HOME") {
            Self::at(&root)
        } else {
            let base = etcetera::choose_base_strategy().map_err(|_| SetupError::NoHome)?;
            Self {
                data: base.data_dir().join("prefclean"),
                cache: base.cache_dir().join("prefclean"),
            }
        };
        if let Some(cache) = super::surroundings::path_variable("PREFCLEAN_CACHE") {
            home.cache = std::path::absolute(&cache).unwrap_or(cache);
        }
        Ok(home)
    }

    /// Everything under `root`, the cache in `root/cache`.
    #[must_use]
    pub fn at(root: &Path) -> Self {
        // a relative folder must not follow a child process into another working folder
        let root = std::path::absolute(root).unwrap_or_else(|_| root.to_path_buf());
        Self {
            cache: root.join("cache"),
            data: root,
        }
    }

    /// Folder of the runtime and the models.
    #[must_use]
    pub fn data(&self) -> &Path {
        &self.data
    }

    /// Folder of what can be computed again.
    #[must_use]
    pub fn cache(&self) -> &Path {
        &self.cache
    }

    pub(super) fn temporary(&self) -> PathBuf {
        self.data.join("tmp")
    }

    pub(super) fn lock(&self) -> PathBuf {
        self.data.join("setup.lock")
    }
}
