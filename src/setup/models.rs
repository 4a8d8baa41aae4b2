//! The backbones: two that we install, or a user's folder.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde::Serialize;

use super::packages::Package;
use super::{Home, SetupError, install};

const WEIGHTS: &str = "model.safetensors";
const CONFIG: &str = "config.json";
const TOKENIZER: &str = "tokenizer.json";

/// Which encoder turns texts into features.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Backbone {
    /// all-MiniLM-L6-v2: 22.7 M parameters, width 384.
    #[default]
    MiniLm,
    /// all-mpnet-base-v2: 109.5 M parameters, width 768.
    Mpnet,
    /// A folder with `config.json`, `model.safetensors` and `tokenizer.json`.
    Folder(PathBuf),
}

impl FromStr for Backbone {
    type Err = SetupError;

    fn from_str(text: &str) -> Result<Self, SetupError> {
        match text {
            "minilm" => Ok(Self::MiniLm),
            "mpnet" => Ok(Self::Mpnet),
            // a bare word is more likely a mistyped name than a folder
            folder if folder.contains(['/', '\\']) || folder.starts_with('.') => {
                Ok(Self::Folder(folder.into()))
            }
            given => Err(SetupError::UnknownBackbone {
                given: given.into(),
            }),
        }
    }
}

impl fmt::Display for Backbone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MiniLm => f.write_str("minilm"),
            Self::Mpnet => f.write_str("mpnet"),
            Self::Folder(path) => write!(f, "{}", path.display()),
        }
    }
}

/// blake3 digests of a backbone's files, in hex.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ModelDigests {
    /// Of `model.safetensors`.
    pub weights: String,
    /// Of `config.json`.
    pub config: String,
    /// Of `tokenizer.json`.
    pub tokenizer: String,
    /// Of the three above: names the model in cache keys.
    pub model: String,
}

/// A backbone's files, all present.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ModelFolder {
    /// `all-MiniLM-L6-v2`, `all-mpnet-base-v2`, or the folder's name.
    pub name: String,
    /// The package's version; none for a user's folder.
    pub version: Option<String>,
    /// The folder.
    pub path: PathBuf,
    /// `config.json`.
    pub config: PathBuf,
    /// `model.safetensors`.
    pub weights: PathBuf,
    /// `tokenizer.json`.
    pub tokenizer: PathBuf,
    /// Digests of the files.
    pub digests: ModelDigests,
    /// Size of the three files together.
    pub bytes: u64,
    /// Whether this call fetched it.
    pub fetched: bool,
}

/// A package that was installed before; digests come from its manifest.
pub(super) fn open_installed(
    package: &Package,
    home: &Home,
    fetched: bool,
) -> Result<ModelFolder, SetupError> {
    let manifest = install::manifest(package, home).ok_or_else(|| package.not_installed())?;
    let digest = |name: &str| {
        let file = manifest.files.iter().find(|file| file.path == name);
        file.map(|file| file.blake3.clone())
            .ok_or_else(|| package.not_installed())
    };
    let digests = digests(digest(WEIGHTS)?, digest(CONFIG)?, digest(TOKENIZER)?);
    let version = Some(package.version.to_owned());
    let name = package.title.to_owned();
    folder(&package.path(home), name, version, digests, fetched)
}

/// A user's folder; digests are computed each time.
pub(super) fn open_folder(path: &Path) -> Result<ModelFolder, SetupError> {
    for missing in [CONFIG, WEIGHTS, TOKENIZER] {
        if !path.join(missing).is_file() {
            return Err(SetupError::ModelFolder {
                path: path.to_path_buf(),
                missing,
            });
        }
    }
    let digest = |name| install::hash(&path.join(name)).map(|(_, blake3)| blake3);
    let digests = digests(digest(WEIGHTS)?, digest(CONFIG)?, digest(TOKENIZER)?);
    let resolved = fs::canonicalize(path).map_err(SetupError::io("open", path))?;
    let name = resolved
        .file_name()
        .map_or_else(String::new, |name| name.to_string_lossy().into_owned());
    folder(path, name, None, digests, false)
}

fn folder(
    path: &Path,
    name: String,
    version: Option<String>,
    digests: ModelDigests,
    fetched: bool,
) -> Result<ModelFolder, SetupError> {
    let mut bytes = 0;
    for file in [CONFIG, WEIGHTS, TOKENIZER] {
        let file = path.join(file);
        let metadata = fs::metadata(&file).map_err(SetupError::io("open", &file))?;
        bytes += metadata.len();
    }
    Ok(ModelFolder {
        name,
        version,
        config: path.join(CONFIG),
        weights: path.join(WEIGHTS),
        tokenizer: path.join(TOKENIZER),
        path: path.to_path_buf(),
        digests,
        bytes,
        fetched,
    })
}

fn digests(weights: String, config: String, tokenizer: String) -> ModelDigests {
    let mut hasher = blake3::Hasher::new();
    for digest in [&weights, &config, &tokenizer] {
        hasher.update(digest.as_bytes()); // all of one length: no separator needed
    }
    let model = hasher.finalize().to_hex().to_string();
    ModelDigests {
        weights,
        config,
        tokenizer,
        model,
    }
}
