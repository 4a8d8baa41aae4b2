//! Everything between inputs and training: texts read and encoded, models ready to be made.
//!
//! `run`, `compare` and `prove` open one and train what they need.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::PipelineError;
use super::config::{ModelConfig, RunConfig};
use super::facts::Clock;
use super::folds::draw_folds;
use super::given::{self, GivenModels};
use super::ingest::{Ingested, IngestedPair, ingest};
use super::labels::Labels;
use super::models::{Models, StateCache, Tuned, TunedEncoder};
use crate::graph::artifacts::Head;
use crate::graph::artifacts::make::Train;
use crate::graph::backbone::{POOLS, backbone_model};
use crate::pairs::{Columns, Judge, PairId, PairSource, ReadOptions};
use crate::progress::Progress;
use crate::reward::{
    Device, EncodeStats, Encoder, ExecutionDevice, FeatureStore, Features, PairTexts, Runtime,
    TokenBatches, encode_texts,
};
use crate::setup::{self, Backbone, ModelFolder, SetupOptions};
use crate::tokens::{TextEncoder, Texts};
use crate::train::TrainPair;

/// Part of the key of cached features; raised when a backbone's graph changes its values.
const FEATURES_VERSION: u32 = 2;

/// Where models run, and what they run on.
#[derive(Debug, Clone, Default)]
pub struct Machine {
    /// Where the models run.
    pub device: Device,
    /// Where the layers of model b train, if not there.
    pub device_b: Option<Device>,
    /// The runtime library that the user named.
    pub ort_lib: Option<PathBuf>,
    /// Fetch nothing.
    pub offline: bool,
    /// Threads of the encoder; 0 for one per core.
    pub threads: usize,
}

impl Machine {
    /// Threads of the CPU that may be used.
    #[must_use]
    pub fn threads(&self) -> usize {
        match self.threads {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            threads => threads,
        }
    }

    fn setup_options(&self) -> Result<SetupOptions, PipelineError> {
        let mut options = SetupOptions::from_env(Backbone::default())?;
        options.offline |= self.offline;
        options.ort_lib.clone_from(&self.ort_lib);
        Ok(options)
    }
}

/// Pairs as numbers, and what models are made from.
pub struct Workbench<'a> {
    /// Settings.
    pub config: &'a RunConfig,
    /// What was read.
    pub ingested: Ingested,
    /// Distinct backbones.
    pub backbones: Vec<ModelFolder>,
    /// Which backbone each model uses.
    pub backbone_of: [usize; 2],
    /// What encoding took.
    pub encoded: EncodeStats,
    /// Where the models run.
    pub devices: [ExecutionDevice; 2],
    runtime: &'static Runtime,
    heads: [Head; 2],
    given: GivenModels,
    features: Vec<Arc<Features>>,
    encoders: Vec<Option<Arc<TunedEncoder>>>,
    tokenizers: Vec<TextEncoder>,
    readers: [[usize; 2]; 2],
    threads: usize,
}

/// Reads the inputs of a request.
///
/// # Errors
/// When they cannot be read as pairs, or an output would replace an input.
pub fn open_source(inputs: &[String], columns: &str) -> Result<PairSource, PipelineError> {
    let options = ReadOptions {
        columns: columns.parse::<Columns>()?,
        ..ReadOptions::default()
    };
    Ok(PairSource::open(inputs, &options)?)
}

impl<'a> Workbench<'a> {
    /// Reads and encodes the pairs of a source; `work` is a folder for scratch files.
    ///
    /// # Errors
    /// When the runtime or a model cannot be set up, the inputs cannot be read, or no row is a pair that
    /// can be trained on.
    pub fn open(
        source: &PairSource,
        config: &'a RunConfig,
        machine: &Machine,
        work: &Path,
        clock: &mut Clock,
        progress: &dyn Progress,
    ) -> Result<Self, PipelineError> {
        let options = machine.setup_options()?;
        let runtime_library = setup::ensure_runtime(&options, progress)?;
        // before any other thread starts: they inherit the flushing of denormals that its first session sets
        let runtime = runtime_library
            .load()
            .map_err(crate::reward::RewardError::from)?;
        if machine.threads > 0 {
            // fails only where a pool exists already, which then is the one to use
            let _ = rayon::ThreadPoolBuilder::new()
                .num_threads(machine.threads)
                .build_global();
        }
        let resolve = |device| {
            runtime
                .resolve(device)
                .map_err(crate::reward::RewardError::from)
        };
        let device = resolve(machine.device)?;
        let device_b = machine.device_b.map_or(Ok(device), resolve)?;
        let (backbones, backbone_of) = backbones(config, &options, progress)?;
        let mut tokenizers = Vec::new();
        for backbone in &backbones {
            check_length(backbone, config)?;
            tokenizers.push(TextEncoder::load(&backbone.tokenizer, config.tokens)?);
        }
        let heads = [load_head(&config.model_a)?, load_head(&config.model_b)?];
        let given = given::read_both(config, progress)?;
        let reader_of = given::readers(&given, config, &backbones, backbone_of, &mut tokenizers)?;
        clock.lap("set-up");

        let readers = [backbone_of, reader_of];
        let ingested = ingest(source, &tokenizers, readers, config, work, progress)?;
        clock.lap("reading");
        if ingested.pairs.is_empty() {
            return Err(PipelineError::NoPairs {
                rows: ingested.rows.len(),
            });
        }

        let mut encoded = EncodeStats::default();
        let mut features = Vec::new();
        let mut encoders = Vec::new();
        for (i, (folder, texts)) in backbones.iter().zip(&ingested.texts).enumerate() {
            let encoding = Encoding {
                folder,
                texts,
                n_pairs: ingested.pairs.len(),
                cache: options.surroundings.home.cache(),
                runtime,
                device,
                config,
                machine,
                progress,
            };
            let (own, stats) = encoding.features()?;
            features.push(Arc::new(own));
            encoded.encoded += stats.encoded;
            encoded.texts += stats.texts;
            encoded.seconds += stats.seconds;
            // where both of its models were given, nothing of a backbone trains
            let composes = |which: usize| given[which].is_none() && backbone_of[which] == i;
            encoders.push(
                if config.fine_tuning.train != Train::Head && (composes(0) || composes(1)) {
                    Some(Arc::new(encoding.tuned_encoder()?))
                } else {
                    None
                },
            );
        }
        clock.lap("encoding");
        Ok(Self {
            config,
            ingested,
            backbones,
            backbone_of,
            encoded,
            devices: [device, device_b],
            runtime,
            heads,
            given,
            features,
            encoders,
            tokenizers,
            readers,
            threads: (machine.threads() / 2).max(1),
        })
    }

    /// What both models are made from.
    #[must_use]
    pub fn models(&self) -> Models<'_> {
        let tuned = |which: usize| {
            let reader = self.readers[1][which];
            let texts = Arc::clone(&self.ingested.texts[reader]);
            if let Some(given) = &self.given[which] {
                let batches = TokenBatches {
                    texts,
                    states: None,
                    token_budget: self.config.fine_tuning.tokens_per_call,
                    inputs: given.inputs(self.tokenizers[reader].padding()),
                };
                Some(Tuned::Given(Arc::clone(given), batches))
            } else {
                let encoder = self.encoders[self.backbone_of[which]].as_ref()?;
                Some(Tuned::Composed(Arc::clone(encoder), texts))
            }
        };
        Models {
            runtime: self.runtime,
            config: self.config,
            heads: self.heads.clone(),
            features: self.backbone_of.map(|i| Arc::clone(&self.features[i])),
            log_lengths: &self.ingested.log_lengths,
            folders: self.backbone_of.map(|i| &self.backbones[i]),
            encoders: tuned(0).zip(tuned(1)).map(Into::into),
            devices: self.devices,
            threads: self.threads,
        }
    }

    /// Features of the texts that model a reads as a head.
    #[must_use]
    pub fn features_of_a(&self) -> Arc<Features> {
        Arc::clone(&self.features[self.backbone_of[0]])
    }

    /// Ids of the pairs with the user's labels: `[n_pairs]`.
    #[must_use]
    pub fn ids(&self) -> Vec<PairId> {
        self.ingested.pairs.iter().map(|pair| pair.id).collect()
    }

    /// The pairs as heads read them: `[n_pairs]`.
    #[must_use]
    pub fn pairs(&self) -> Vec<TrainPair> {
        self.train_pairs(|pair| pair.texts)
    }

    /// The pairs as the models of the second pass read them: `[n_pairs]`.
    #[must_use]
    pub fn deciding_pairs(&self) -> Vec<TrainPair> {
        self.train_pairs(|pair| pair.deciding_texts)
    }

    fn train_pairs(&self, texts: impl Fn(&IngestedPair) -> [PairTexts; 2]) -> Vec<TrainPair> {
        let pairs = self.ingested.pairs.iter().map(|pair| TrainPair {
            texts: texts(pair),
            tie: pair.id.seeded_hash(self.config.seed),
        });
        pairs.collect()
    }

    /// `folds` folds for held-out scores, `[n_pairs]`, by what `cross_fit.by` says; empty where it is switched
    /// off, or there are fewer pairs than folds, or all pairs would share a fold.
    #[must_use]
    pub fn folds(&self, folds: usize, seed: u64) -> Vec<u32> {
        if self.ingested.pairs.len() < folds {
            return Vec::new();
        }
        let pairs = self.ingested.pairs.iter();
        let (ids, groups): (Vec<PairId>, Vec<Option<u64>>) =
            pairs.map(|pair| (pair.id, pair.fold_group)).unzip();
        draw_folds(&ids, &groups, folds, seed).unwrap_or_default()
    }

    /// The pairs under the labels as they stand.
    pub(super) fn labels(&self, judges: Vec<Judge>) -> Labels {
        Labels {
            ids: self.ids(),
            pairs: self.pairs(),
            deciding: self.deciding_pairs(),
            judges,
        }
    }

    /// BLAKE3 over everything that training depends on; tagging settings are not among it.
    #[must_use]
    pub fn training_key(&self) -> String {
        let Self {
            config,
            ingested,
            readers,
            backbones,
            heads,
            given,
            ..
        } = self;
        let mut hasher = blake3::Hasher::new();
        let trained = RunConfig {
            tags: crate::tags::TagRules::default(),
            data: super::config::DataConfig::default(),
            actions: crate::actions::ActionRules::default(),
            suspicion: super::config::SuspicionConfig::default(),
            ..(*config).clone()
        };
        hasher.update(trained.to_toml().as_bytes());
        hasher.update(self.devices[0].provider().as_bytes());
        for backbone in backbones {
            hasher.update(backbone.digests.model.as_bytes());
        }
        for head in heads {
            let artifacts = head.artifacts();
            hasher.update(&artifacts.training.to_bytes());
            hasher.update(&artifacts.eval.to_bytes());
        }
        for given in given.iter().flatten() {
            hasher.update(given.digest.as_bytes());
        }
        for pair in &ingested.pairs {
            hasher.update(pair.id.to_string().as_bytes());
            for (readers, texts) in readers.iter().zip([&pair.texts, &pair.deciding_texts]) {
                for (&reader, texts) in readers.iter().zip(texts) {
                    for &text in texts {
                        hasher.update(&ingested.texts[reader].digest(text));
                    }
                }
            }
        }
        hasher.finalize().to_hex().to_string()
    }
}

/// The distinct backbones of both models, and which one each uses.
fn backbones(
    config: &RunConfig,
    options: &SetupOptions,
    progress: &dyn Progress,
) -> Result<(Vec<ModelFolder>, [usize; 2]), PipelineError> {
    let [a, b] = config.models();
    let mut folders = vec![setup::ensure_model(
        options,
        &a.backbone.parse()?,
        progress,
    )?];
    if a.backbone == b.backbone {
        return Ok((folders, [0, 0]));
    }
    folders.push(setup::ensure_model(
        options,
        &b.backbone.parse()?,
        progress,
    )?);
    Ok((folders, [0, 1]))
}

fn load_head(model: &ModelConfig) -> Result<Head, PipelineError> {
    Ok(match RunConfig::head_folder(model) {
        Some(folder) => Head::load(&folder)?,
        None => Head::bundled(&model.head)?,
    })
}

/// A field of a model's config.json.
fn config_number(model: &ModelFolder, key: &str) -> Result<usize, PipelineError> {
    let text = fs::read_to_string(&model.config).map_err(|source| PipelineError::Folder {
        path: model.config.clone(),
        source,
    })?;
    let value: Option<serde_json::Value> = serde_json::from_str(&text).ok();
    value
        .and_then(|v| usize::try_from(v.get(key)?.as_u64()?).ok())
        .ok_or_else(|| {
            PipelineError::Config(format!(
                "`{}` has no number `{key}`",
                model.config.display()
            ))
        })
}

fn check_length(model: &ModelFolder, config: &RunConfig) -> Result<(), PipelineError> {
    let most = config_number(model, "max_position_embeddings")?;
    if config.tokens.max_length_tokens > most {
        return Err(PipelineError::Config(format!(
            "`tokens.max_length_tokens` = {}: the backbone `{}` takes at most {most}",
            config.tokens.max_length_tokens, model.name
        )));
    }
    Ok(())
}

/// A backbone and the texts that it is to read.
struct Encoding<'a> {
    folder: &'a ModelFolder,
    texts: &'a Texts,
    n_pairs: usize,
    cache: &'a Path,
    runtime: &'static Runtime,
    device: ExecutionDevice,
    config: &'a RunConfig,
    machine: &'a Machine,
    progress: &'a dyn Progress,
}

impl Encoding<'_> {
    /// Names backbone and device kind in the cache.
    fn key(&self) -> String {
        let kind = match self.device {
            ExecutionDevice::Cpu => "cpu",
            ExecutionDevice::Cuda(_) => "cuda",
        };
        let digest = &self.folder.digests.model[..16];
        format!("{}-{digest}-{kind}-v{FEATURES_VERSION}", self.folder.name)
    }

    /// Pooled features of each text.
    fn features(&self) -> Result<(Features, EncodeStats), PipelineError> {
        let width = config_number(self.folder, "hidden_size")? * POOLS;
        let store = FeatureStore::open(self.cache, &self.key(), width)?;
        let encoder = || {
            let onnx = backbone_model(&self.folder.path)?.onnx;
            let (device, threads) = (self.machine.device, self.machine.threads);
            Encoder::new(self.runtime, &onnx, width, device, threads)
        };
        let (texts, n_pairs) = (self.texts, self.n_pairs);
        Ok(encode_texts(
            texts,
            n_pairs,
            store,
            encoder,
            "encoding",
            self.progress,
        )?)
    }

    /// The encoder as it begins, with the states of its frozen layers.
    fn tuned_encoder(&self) -> Result<TunedEncoder, PipelineError> {
        let tuning = &self.config.fine_tuning;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a limit, checked to be positive"
        )]
        let cache = StateCache {
            folder: self.cache,
            key: &self.key(),
            most_bytes: (tuning.cache_gib * f64::from(1u32 << 30)) as u64,
        };
        TunedEncoder::prepare(
            self.folder,
            config_number(self.folder, "hidden_size")?,
            &tuning.train,
            self.texts,
            self.n_pairs,
            &cache,
            (self.runtime, self.machine.device, self.machine.threads),
            self.progress,
        )
    }
}
