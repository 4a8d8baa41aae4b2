//! Run files, and the stages of a run in order.

pub mod config;

pub use config::RunConfig;

/// Errors of a run.
#[derive(Debug, thiserror::Error)]
pub enum PipelineError {
    /// A run file cannot be used.
    #[error("run file `{name}`: {reason}")]
    RunFile {
        /// As given.
        name: String,
        /// Why.
        reason: String,
    },
    /// A setting is out of range.
    #[error("run settings: {0}")]
    Config(String),
}
