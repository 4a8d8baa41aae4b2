//! What a frozen graph makes of texts: pooled features of a backbone, or its tokens' states.

use std::time::{Duration, Instant};

use ort::session::{Session, SessionInputValue};
use ort::value::TensorRef;

use super::runtime::{Device, ExecutionDevice, Runtime};
use super::token_rows::TokenRows;
use super::{FeatureStore, Features, RewardError};
use crate::graph::backbone::{ATTENTION_MASK, INPUT_IDS, RESPONSE_MASK};
use crate::progress::Progress;
use crate::tokens::{Batch, TextIndex, Texts, plan_batches};

/// Padded tokens of one call: enough to fill the cores, small enough for their caches.
const TOKEN_BUDGET: usize = 2048;

/// How often finished rows are made to survive a crash.
const CHECKPOINT_EVERY: Duration = Duration::from_secs(5);

/// A frozen graph on the runtime. It takes `input_ids` and, if it wants them, `attention_mask` and
/// `response_mask`; its first output is `[rows, width]` or `[rows, tokens, width]`.
pub struct Encoder {
    session: Session,
    output: String,
    takes: [bool; 3],
    width: usize,
    device: ExecutionDevice,
}

/// The inputs that an encoder may take.
const INPUTS: [&str; 3] = [INPUT_IDS, ATTENTION_MASK, RESPONSE_MASK];

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
    /// Puts a graph whose output is `width` wide on the runtime.
    ///
    /// # Errors
    /// [`RewardError::Runtime`] when the runtime or the device refuses.
    pub fn new(
        runtime: &Runtime,
        onnx: &[u8],
        width: usize,
        device: Device,
        threads: usize,
    ) -> Result<Self, RewardError> {
        let (session, device) = runtime.session(onnx, threads, device)?;
        let takes = INPUTS.map(|name| session.inputs().iter().any(|input| input.name() == name));
        let output = session.outputs().first().map_or("", |output| output.name());
        Ok(Self {
            output: output.to_owned(),
            session,
            takes,
            width,
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

    /// What the graph makes of each text of a batch: `[width]` or `[tokens, width]`, padding left out.
    ///
    /// # Errors
    /// [`RewardError::Runtime`] when the runtime fails, [`RewardError::NotFinite`] when a value is not finite.
    pub fn encode(&mut self, batch: &Batch, texts: &Texts) -> Result<Vec<Vec<f32>>, RewardError> {
        let rows = TokenRows::new(&batch.texts, batch.padded_tokens, texts);
        let shape = [batch.texts.len(), batch.padded_tokens];
        let tensors: [SessionInputValue<'_>; 3] = [
            TensorRef::from_array_view((shape, &rows.ids[..]))?.into(),
            TensorRef::from_array_view((shape, &rows.attention[..]))?.into(),
            TensorRef::from_array_view((shape, &rows.response[..]))?.into(),
        ];
        let named = INPUTS.into_iter().zip(tensors).zip(self.takes);
        let inputs: Vec<_> = named
            .filter(|(_, takes)| *takes)
            .map(|(input, _)| input)
            .collect();
        let outputs = self.session.run(inputs)?;
        let (_, values) = outputs[self.output.as_str()].try_extract_tensor::<f32>()?;
        if let Some(&value) = values.iter().find(|value| !value.is_finite()) {
            return Err(RewardError::NotFinite {
                what: "feature",
                value,
            });
        }
        let per_text = values.len() / batch.texts.len();
        let texts_and_values = batch.texts.iter().zip(values.chunks_exact(per_text));
        Ok(texts_and_values
            .map(|(&text, values)| {
                // states come for padding too
                let kept = values.len().min(texts.n_tokens(text) * self.width);
                values[..kept].to_vec()
            })
            .collect())
    }
}

/// Encodes the texts that the store lacks, and maps the features of all.
///
/// `encoder` is called only when something is missing: a second run loads no model.
/// Progress is told in pairs, as `stage`: of `n_pairs`, the share of texts that is done.
///
/// # Errors
/// When the model cannot be loaded, the runtime fails, or the store cannot be written.
pub fn encode_texts(
    texts: &Texts,
    n_pairs: usize,
    mut store: FeatureStore,
    encoder: impl FnOnce() -> Result<Encoder, RewardError>,
    stage: &str,
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
        progress.begin(stage, Some(n_pairs as u64), "pairs");
        progress.skip(in_pairs(done));
        for batch in plan_batches(&missing, |text| texts.n_tokens(text), TOKEN_BUDGET) {
            let features = encoder.encode(&batch, texts)?;
            for (&text, features) in batch.texts.iter().zip(&features) {
                store.append(&texts.digest(text), features)?;
            }
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
