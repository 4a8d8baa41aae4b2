//! What a run would do and need, without doing it.

use std::path::PathBuf;

use super::PipelineError;
use super::planting::ROUNDS;
use super::run::{RunRequest, open_source, threads};
use crate::graph::artifacts::make::Train;

/// What a run would do.
#[derive(Debug, Clone, PartialEq)]
pub struct Estimate {
    /// Rows of the inputs.
    pub rows: u64,
    /// Detected shape, in words.
    pub shape: String,
    /// The run directory.
    pub run_dir: PathBuf,
    /// Seconds at most: every text is new, and as long as the policy allows.
    pub seconds_at_most: f64,
    /// Bytes of memory, the runtime's included.
    pub memory_bytes: u64,
    /// Bytes of features on disk at most.
    pub disk_bytes: u64,
}

/// Estimates a run without doing it; reads only the inputs' headers.
///
/// # Errors
/// When the inputs cannot be read as pairs.
#[expect(clippy::cast_precision_loss, reason = "an estimate")]
pub fn estimate(request: &RunRequest) -> Result<Estimate, PipelineError> {
    /// Tokens a second and core of the default backbone, measured on a slow server core.
    const TOKENS_PER_SECOND: f64 = 1500.0;
    /// Seconds of training for a pair, epoch and model.
    const TRAINING_SECONDS: f64 = 1.5e-5;
    /// Runtime, weights and workspaces.
    const FIXED_BYTES: u64 = 600 << 20;
    let config = &request.config;
    let pass = config.deciding_pass();
    let source = open_source(&request.inputs, &config.data.columns)?;
    let rows = source.rows();
    let threads = threads(request);
    let tokens = 2.0 * rows as f64 * config.tokens.max_length_tokens as f64;
    let epochs = config.first_pass.epochs
        + pass.epochs * pass.members
        + config.cross_fit.folds * config.cross_fit.epochs / ROUNDS;
    let passes = (epochs * ROUNDS * 2) as f64;
    let (tuning_seconds, state_bytes) = if config.fine_tuning.train == Train::Head {
        (0.0, 0)
    } else {
        // a forward pass for each scoring, as much for the frozen layers, twice that for a backward pass
        let forward_passes = (1 + ROUNDS * 2 * 5 * pass.epochs * pass.members) as f64;
        let seconds = tokens * forward_passes / (TOKENS_PER_SECOND * threads as f64);
        (
            seconds,
            2 * rows * config.tokens.max_length_tokens as u64 * 4 * 384,
        )
    };
    let cell_bytes = (pass.epochs * ROUNDS * 2 * 9) as u64;
    Ok(Estimate {
        rows,
        shape: source.shape().to_string(),
        run_dir: request.run_dir(),
        seconds_at_most: tokens / (TOKENS_PER_SECOND * threads as f64)
            + rows as f64 * passes * TRAINING_SECONDS
            + tuning_seconds,
        memory_bytes: FIXED_BYTES + rows * (600 + 2 * cell_bytes),
        disk_bytes: 2 * rows * 4 * 1152 + state_bytes,
    })
}
