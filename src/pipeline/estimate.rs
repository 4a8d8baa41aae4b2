//! What a run would do and need, without doing it.

use std::path::PathBuf;

use super::PipelineError;
use super::given;
use super::run::RunRequest;
use super::workbench::open_source;
use crate::graph::artifacts::make::Train;
use crate::methods::ROUNDS;
use crate::progress::NoProgress;

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

/// Estimates a run without doing it; reads only the inputs' headers, and artifacts that models train from.
///
/// # Errors
/// When the inputs cannot be read as pairs, or artifacts cannot be used.
#[expect(clippy::cast_precision_loss, reason = "an estimate")]
pub fn estimate(request: &RunRequest) -> Result<Estimate, PipelineError> {
    /// Tokens a second and core of the default backbone, measured on a slow server core.
    const TOKENS_PER_SECOND: f64 = 1500.0;
    /// Weights of that backbone's matrix products.
    const PRODUCT_WEIGHTS: f64 = 10.6e6;
    /// Seconds of training for a pair, epoch and model.
    const TRAINING_SECONDS: f64 = 1.5e-5;
    /// Runtime, weights and workspaces.
    const FIXED_BYTES: u64 = 600 << 20;
    let config = &request.config;
    let settings = config.settings();
    let method_epochs = config.training_method()?.epochs(&settings);
    let source = open_source(&request.inputs, &config.data.columns)?;
    let rows = source.rows();
    let threads = request.machine.threads();
    let tokens = 2.0 * rows as f64 * config.tokens.max_length_tokens as f64;
    let epochs = config.first_pass.epochs
        + method_epochs
        + config.cross_fit.folds * config.cross_fit.epochs / ROUNDS;
    let passes = (epochs * ROUNDS * 2) as f64;
    let (mut tuning_seconds, mut state_bytes, mut given_bytes) = (0.0, 0, 0);
    let mut composes = false;
    // a forward pass for each scoring, twice that for a backward pass, and planning
    let forward_passes = (ROUNDS * 5 * method_epochs) as f64;
    let pass_seconds = tokens * forward_passes / (TOKENS_PER_SECOND * threads as f64);
    for given in given::read_both(config, &NoProgress)? {
        if let Some(given) = given {
            let (products, bytes) = given.sizes();
            tuning_seconds += pass_seconds * products as f64 / PRODUCT_WEIGHTS;
            given_bytes += bytes;
        } else if config.fine_tuning.train != Train::Head {
            tuning_seconds += pass_seconds;
            composes = true;
        }
    }
    if composes {
        // the frozen layers, once
        tuning_seconds += tokens / (TOKENS_PER_SECOND * threads as f64);
        state_bytes = 2 * rows * config.tokens.max_length_tokens as u64 * 4 * 384;
    }
    let cell_bytes = (settings.deciding.epochs * ROUNDS * 2 * 9) as u64;
    Ok(Estimate {
        rows,
        shape: source.shape().to_string(),
        run_dir: request.run_dir(),
        seconds_at_most: tokens / (TOKENS_PER_SECOND * threads as f64)
            + rows as f64 * passes * TRAINING_SECONDS
            + tuning_seconds,
        memory_bytes: FIXED_BYTES + given_bytes + rows * (600 + 2 * cell_bytes),
        disk_bytes: 2 * rows * 4 * 1152 + state_bytes,
    })
}
