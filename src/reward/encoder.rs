//! Frozen features of texts: a backbone's forward graph on the runtime.

use std::ops::Range;
use std::time::{Duration, Instant};

use ort::session::Session;
use ort::value::TensorRef;

use super::runtime::{Device, ExecutionDevice, Runtime};
use super::{FeatureStore, Features, RewardError};
use crate::graph::backbone::{Backbone, POOLS};
use crate::progress::Progress;
use crate::tokens::{Batch, TextIndex, Texts, plan_batches};

/// Padded tokens of one call: enough to fill the cores, small enough for their caches.
const TOKEN_BUDGET: usize = 2048;

/// How often finished rows are made to survive a crash.
const CHECKPOINT_EVERY: Duration = Duration::from_secs(5);

/// A backbone on the runtime.
pub struct Encoder {
    session: Session,
    width: usize,
    device: ExecutionDevice,
}

/// What encoding took.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct EncodeStats {
    /// Texts encoded now; the others were in the cache.
    pub encoded: usize,
    /// Distinct texts in all.
    pub texts: usize,
    /// Seconds that encoding took.
    pub seconds: f64,
}

impl Encoder {
    /// Puts a backbone's graph on the runtime.
    ///
    /// # Errors
    /// [`RewardError::Runtime`] when the runtime or the device refuses.
    pub fn new(
        runtime: &Runtime,
        backbone: &Backbone,
        device: Device,
        threads: usize,
    ) -> Result<Self, RewardError> {
        let (session, device) = runtime.session(&backbone.onnx, threads, device)?;
        Ok(Self {
            session,
            width: backbone.hidden * POOLS,
            device,
        })
    }

    /// Features of a text.
    #[must_use]
    pub fn width(&self) -> usize {
        self.width
    }

    /// Where the graph really runs.
    #[must_use]
    pub fn device(&self) -> ExecutionDevice {
        self.device
    }

    /// Features of one batch: `[n_texts, width]`, row by row.
    ///
    /// # Errors
    /// [`RewardError::Runtime`] when the runtime fails, [`RewardError::NotFinite`] when a feature is not finite.
    pub fn encode(&mut self, batch: &Batch, texts: &Texts) -> Result<Vec<f32>, RewardError> {
        let shape = [batch.texts.len(), batch.padded_tokens];
        let n = shape[0] * shape[1];
        let (mut ids, mut attention, mut response) = (vec![0i64; n], vec![0i64; n], vec![0f32; n]);
        for (row, &text) in batch.texts.iter().enumerate() {
            let (tokens, span): (Vec<u32>, Range<usize>) = texts.read(text);
            let start = row * batch.padded_tokens;
            for (i, token) in tokens.into_iter().enumerate() {
                ids[start + i] = i64::from(token);
                attention[start + i] = 1;
            }
            response[start + span.start..start + span.end].fill(1.0);
        }
        let outputs = self.session.run(ort::inputs![
            "input_ids" => TensorRef::from_array_view((shape, &ids[..]))?,
            "attention_mask" => TensorRef::from_array_view((shape, &attention[..]))?,
            "response_mask" => TensorRef::from_array_view((shape, &response[..]))?,
        ])?;
        let (_, features) = outputs["features"].try_extract_tensor::<f32>()?;
        if let Some(&value) = features.iter().find(|value| !value.is_finite()) {
            return Err(RewardError::NotFinite {
                what: "feature",
                value,
            });
        }
        Ok(features.to_vec())
    }
}

/// Encodes the texts that the store lacks, and maps the features of all.
///
/// `encoder` is called only when something is missing: a second run loads no model.
/// Progress is told in pairs: of `n_pairs`, the share of texts that is done.
///
/// # Errors
/// When the model cannot be loaded, the runtime fails, or the store cannot be written.
pub fn encode_texts(
    texts: &Texts,
    n_pairs: usize,
    mut store: FeatureStore,
    encoder: impl FnOnce() -> Result<Encoder, RewardError>,
    progress: &dyn Progress,
) -> Result<(Features, EncodeStats), RewardError> {
    let missing: Vec<TextIndex> = (0..texts.len())
        .map(|i| TextIndex::try_from(i).expect("text indices are 32-bit"))
        .filter(|&text| !store.contains(&texts.digest(text)))
        .collect();
    let mut stats = EncodeStats {
        encoded: missing.len(),
        texts: texts.len(),
        seconds: 0.0,
    };
    if !missing.is_empty() {
        let mut encoder = encoder()?;
        let start = Instant::now();
        let mut saved = start;
        let in_pairs = |done: usize| (done * n_pairs / texts.len()) as u64;
        let mut done = texts.len() - missing.len();
        progress.begin("encoding", Some(n_pairs as u64), "pairs");
        progress.advance(in_pairs(done));
        for batch in plan_batches(&missing, |text| texts.n_tokens(text), TOKEN_BUDGET) {
            let features = encoder.encode(&batch, texts)?;
            let digests: Vec<[u8; 16]> =
                batch.texts.iter().map(|&text| texts.digest(text)).collect();
            store.append(&digests, &features)?;
            if saved.elapsed() > CHECKPOINT_EVERY {
                store.checkpoint()?;
                saved = Instant::now();
            }
            let before = in_pairs(done);
            done += batch.texts.len();
            progress.advance(in_pairs(done) - before);
        }
        progress.end();
        stats.seconds = start.elapsed().as_secs_f64();
    }
    Ok((store.into_features(texts)?, stats))
}
