//! ONNX graphs as data: read, write, build, and lower training operators. Knows nothing of ONNX Runtime.
//!
//! - [`proto`]: the file format, read and written by `model_file` with values in other files
//!   (`external`), checked once by `validate`; [`builder`]: writing graphs with little ceremony.
//! - [`backbone`]: the forward graph of an encoder from `config.json` and `model.safetensors`.
//! - [`checkpoint`]: the `checkpoint` file of training artifacts.
//! - [`gradients`]: gradients of operators, from standard ones; [`optimizer`]: the update of parameters.
//! - [`differentiate`]: the backward pass of any forward graph.
//! - [`artifacts`]: training artifacts, and those of a reward head, resized; [`lower`]: the rewriting
//!   of training-only operators that lets a stock runtime execute them.
//!
//! `reward` turns the bytes made here into sessions.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

pub mod artifacts;
pub mod backbone;
pub mod builder;
pub mod checkpoint;
pub mod differentiate;
mod external;
pub mod gradients;
pub mod lower;
mod model_file;
pub mod optimizer;
pub mod proto;
mod validate;
mod walk;

/// What can go wrong when a graph is read or made.
#[derive(Debug, thiserror::Error)]
pub enum GraphError {
    /// A file cannot be read.
    #[error("failed to read `{}`", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A file cannot be written.
    #[error("failed to write `{}`", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A file's content is not what it should be.
    #[error("`{}` cannot be used", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: Box<GraphError>,
    },
    /// Content that breaks its format.
    #[error("{0}")]
    Malformed(String),
    /// Content that is valid, but beyond what is supported.
    #[error("{0}")]
    Unsupported(String),
    /// A forward model, or a wish for it, of which no artifacts can be made.
    #[error("{what}")]
    Forward {
        /// What is in the way.
        what: String,
        /// What to do about it.
        hint: &'static str,
    },
    /// An operator without a lowering or without a gradient.
    #[error("operator `{operator}` of node `{node}` is not supported")]
    Operator {
        /// The operator, with its domain when it is not the default one.
        operator: String,
        /// The node's name or first output.
        node: String,
        /// What to do about it.
        hint: &'static str,
    },
}

impl GraphError {
    /// Says in which file an error was found.
    fn in_file(path: &Path, source: Self) -> Self {
        Self::File {
            path: path.to_path_buf(),
            source: Box::new(source),
        }
    }

    /// Advice to print on a `hint:` line, where there is some.
    #[must_use]
    pub fn hint(&self) -> Option<&str> {
        match self {
            Self::Operator { hint, .. } | Self::Forward { hint, .. } => Some(hint),
            Self::File { source, .. } => source.hint(),
            _ => None,
        }
    }
}

/// Reads a whole file of at most `limit` bytes.
fn read_bounded(path: &Path, limit: u64) -> Result<Vec<u8>, GraphError> {
    let read = |source| GraphError::Read {
        path: path.to_path_buf(),
        source,
    };
    let file = File::open(path).map_err(read)?;
    let length = file.metadata().map_err(read)?.len();
    let too_long = || {
        let what = format!("larger than the limit of {limit} bytes");
        GraphError::in_file(path, GraphError::Unsupported(what))
    };
    if length > limit {
        return Err(too_long());
    }
    let mut bytes = Vec::with_capacity(usize::try_from(length).unwrap_or(0));
    file.take(limit + 1).read_to_end(&mut bytes).map_err(read)?;
    if bytes.len() as u64 > limit {
        return Err(too_long());
    }
    Ok(bytes)
}

/// The number of elements of a shape; `None` when a dimension is negative or the product overflows.
fn element_count(dims: &[i64]) -> Option<usize> {
    dims.iter().try_fold(1usize, |product, &dim| {
        product.checked_mul(usize::try_from(dim).ok()?)
    })
}

#[cfg(test)]
mod tests;
