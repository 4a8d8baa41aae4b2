//! Is cleaning worth it: the same reward model trained on original, cleaned and other data, and tested on
//! pairs whose better side is known.
//!
//! ```text
//! data (what trains, what tests, truth) -> cleaning (a method's judgement, or a run's tags)
//!    -> arms -> fit (one reward model for each) -> records (a line for each seed) -> summary
//! ```

mod arms;
mod cleaning;
mod data;
mod error;
mod experiment;
mod fit;
mod records;
mod summary;

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::time::Instant;

use self::cleaning::{Judging, Tagged};
use self::data::{LeftOut, Pool, Split, TestGold, TrainSet, by_rows, gold_column};
pub use self::error::ProveError;
use self::experiment::Experiment;
pub use self::fit::RewardModelSettings;
use self::records::Record;
use super::PipelineError;
use super::config::RunConfig;
use super::facts::Clock;
use super::journal::Journal;
use super::judging::{judges_of_pairs, judges_of_rows};
use super::known::{NoiseColumns, references};
use super::labels::Labels;
use super::training::Passes;
use super::workbench::{Machine, Workbench, open_source};
use crate::actions::Action;
use crate::graph::artifacts::make::Train;
use crate::noise::NoiseModel;
use crate::pairs::{Judge, PairSource, PairsError};
use crate::progress::Progress;
use crate::report::prove::{Proof, Setting, TestSet};
use crate::seed::derive;

/// What a user asks of an experiment.
#[derive(Debug, Clone)]
pub struct ProveRequest {
    /// Files, folders, globs: what is trained on.
    pub inputs: Vec<String>,
    /// What is tested on.
    pub test: TestData,
    /// Column of the test data that says which side is better; `None`: as `gold`, or `gold_label`.
    pub test_gold: Option<String>,
    /// Whether the chosen side of every test pair is the better one.
    pub trust_test_labels: bool,
    /// Column of the inputs that says which side is better.
    pub gold: Option<String>,
    /// A finished run of the inputs whose tags clean; `None`: the method of `config` judges here.
    pub clean: Option<PathBuf>,
    /// Noise put into the labels that are trained on.
    pub noise: NoiseModel,
    /// Actions that get an arm: drop, flip, soft-label, target-margin.
    pub actions: Vec<Action>,
    /// How often all is done, each time from another seed.
    pub seeds: usize,
    /// How the reward models are trained.
    pub model: RewardModelSettings,
    /// Folder for report and finished seeds.
    pub output: Option<PathBuf>,
    /// Checked settings of the method and its models.
    pub config: RunConfig,
    /// Where models run, and what they run on.
    pub machine: Machine,
}

/// Where test pairs come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TestData {
    /// Other files; each is a test set of its own.
    Files(Vec<String>),
    /// Rows of the inputs that have one of these values; the others train.
    Where {
        /// Their column.
        column: String,
        /// The values, each as it stands or several with commas between them.
        values: Vec<String>,
    },
    /// Rows of the inputs in turn, by whole groups.
    By {
        /// The column that names the group.
        column: String,
        /// Parts that each test once, at least 2.
        folds: usize,
    },
}

/// The file of finished seeds in the output folder.
const FINISHED: &str = "prove.jsonl";

/// Level of all intervals.
const LEVEL: f64 = 0.95;

/// Does the experiment, going on from seeds that the output folder holds.
///
/// # Errors
/// [`PipelineError`], with [`ProveError`] for what is of this experiment alone.
pub fn prove(request: &ProveRequest, progress: &dyn Progress) -> Result<Proof, PipelineError> {
    check(request)?;
    let start = Instant::now();
    let mut clock = Clock::default();
    let scratch = tempfile::tempdir().map_err(|source| PipelineError::Folder {
        path: std::env::temp_dir(),
        source,
    })?;
    let work = scratch.path();
    let config = &request.config;
    let source = open_source(&request.inputs, &config.data.columns)?;
    if let Some(folder) = &request.output {
        refuse_outputs(source.inputs().iter().map(|i| i.path.as_path()), folder)?;
    }
    let bench = Workbench::open(
        &source,
        config,
        &request.machine,
        work,
        &mut clock,
        progress,
    )?;
    let (pools, pool_keys) = pools(request, (&bench, &source), work, &mut clock, progress)?;
    let (splits, tests) = splits(request, (&bench, &source), &pools)?;
    let models = bench.models();
    let passes = Passes {
        models: &models,
        work: None,
        keep: None,
        progress,
    };
    let judging = Judging {
        config,
        training: config.training_method()?,
        ranking: config.ranking_method()?,
        settings: config.settings(),
        passes: &passes,
        actions: &request.actions,
    };
    let tagged = request.clean.as_deref().map(Tagged::read).transpose()?;
    let noise = NoiseColumns::read(&request.noise, &source, &bench)?;
    let references = (request.gold.as_deref())
        .map(|column| references(&source, &bench, column))
        .transpose()?;
    let judges = judges_of_rows(&source, &config.judges)?;
    let judges = judges_of_pairs(&judges, &bench.ingested.rows);
    let experiment = Experiment {
        request,
        judging,
        tagged,
        pools,
        progress,
    };
    let key = key(request, &bench, &pool_keys, &splits, &experiment)?;
    let path = request.output.as_ref().map(|folder| folder.join(FINISHED));
    let mut journal = Journal::<Record>::open(path.as_deref(), &key)?;
    for seed in 0..request.seeds {
        for (fold, split) in splits.iter().enumerate() {
            let mut finished = journal.records().iter();
            if finished.any(|record| (record.seed, record.fold) == (seed, fold)) {
                continue;
            }
            let set = train_set(&bench, &split.train, &judges, references.as_deref(), &noise);
            journal.push(experiment.part(seed, fold, &set, &split.tests)?)?;
        }
    }
    let mut proof = Proof {
        inputs: source
            .inputs()
            .iter()
            .map(|input| input.path.display().to_string())
            .collect(),
        split: split_in_words(&request.test),
        cleaned_by: cleaned_by(request, &experiment),
        noise: request.noise.to_string(),
        gold: request.gold.clone(),
        seeds: request.seeds,
        level: LEVEL,
        tests,
        settings: settings(request, &models, &splits),
        ..Proof::default()
    };
    summary::fill(&mut proof, journal.records(), splits.len());
    proof.seconds = start.elapsed().as_secs_f64();
    Ok(proof)
}

/// Refuses a folder in which a file of ours would replace an input.
fn refuse_outputs<'a>(
    inputs: impl Iterator<Item = &'a Path>,
    folder: &Path,
) -> Result<(), PipelineError> {
    let files = [FINISHED, "report.json", "report.md", "report.html"];
    let written: Vec<PathBuf> = (files.iter())
        .filter_map(|name| folder.join(name).canonicalize().ok())
        .collect();
    for input in inputs {
        if input
            .canonicalize()
            .is_ok_and(|path| written.contains(&path))
        {
            return Err(PairsError::OutputIsInput {
                output: folder.to_owned(),
                input: input.to_owned(),
            }
            .into());
        }
    }
    Ok(())
}

fn check(request: &ProveRequest) -> Result<(), PipelineError> {
    request.config.validate()?;
    let setting = |text: String| Err(ProveError::Setting(text).into());
    if request.seeds == 0 {
        return setting("`--seeds` must be at least 1".into());
    }
    if let TestData::By { folds, .. } = request.test
        && folds < 2
    {
        return setting(format!("`--folds` = {folds}: expected at least 2"));
    }
    let model = &request.model;
    if model.epochs == 0 || model.batch_size_pairs == 0 {
        return setting("the reward model needs at least one epoch and one pair in a batch".into());
    }
    if !(model.learning_rate > 0.0 && model.learning_rate <= 10.0) {
        return setting(format!(
            "`--learning-rate` = {}: expected more than 0, to 10",
            model.learning_rate
        ));
    }
    if let Some(action) =
        (request.actions.iter()).find(|action| matches!(action, Action::Keep | Action::Review))
    {
        return setting(format!(
            "action `{action}` has no arm of its own: expected drop, flip, soft-label, target-margin"
        ));
    }
    if request.clean.is_some() && request.noise != NoiseModel::None {
        return Err(ProveError::NoiseAfterRun.into());
    }
    Ok(())
}

/// The pairs that tests are drawn from, and what tells them from others.
fn pools(
    request: &ProveRequest,
    (bench, source): (&Workbench<'_>, &PairSource),
    work: &Path,
    clock: &mut Clock,
    progress: &dyn Progress,
) -> Result<(Vec<Pool>, Vec<String>), PipelineError> {
    let gold = |source: &PairSource| -> Result<TestGold, PipelineError> {
        if request.trust_test_labels {
            return Ok(TestGold::Chosen);
        }
        let named = request.test_gold.as_deref().or(request.gold.as_deref());
        gold_column(source, named)
    };
    let TestData::Files(files) = &request.test else {
        let name = source.inputs()[0].path.display().to_string();
        let pool = Pool::new(name, bench, source, &gold(source)?)?;
        return Ok((vec![pool], Vec::new()));
    };
    // what is tested is a head, whatever the method trains
    let mut config = request.config.clone();
    config.fine_tuning.train = Train::Head;
    config.model_a.artifacts.clear();
    config.model_b.artifacts.clear();
    let mut pools = Vec::new();
    let mut keys = Vec::new();
    for file in files {
        let source = open_source(std::slice::from_ref(file), &config.data.columns)?;
        if let Some(folder) = &request.output {
            refuse_outputs(source.inputs().iter().map(|i| i.path.as_path()), folder)?;
        }
        let gold = gold(&source)?;
        let bench = Workbench::open(&source, &config, &request.machine, work, clock, progress)?;
        pools.push(Pool::new(file.clone(), &bench, &source, &gold)?);
        keys.push(bench.training_key());
    }
    Ok((pools, keys))
}

/// Which pairs train and test in each part of the experiment.
fn splits(
    request: &ProveRequest,
    (bench, source): (&Workbench<'_>, &PairSource),
    pools: &[Pool],
) -> Result<(Vec<Split>, Vec<TestSet>), PipelineError> {
    let seed = derive(request.config.seed, "prove/folds");
    let rows = by_rows(&request.test, source, bench, seed)?;
    let mut splits = Vec::new();
    let mut left = vec![LeftOut::default(); pools.len()];
    let mut tested = vec![0; pools.len()];
    for [train, test] in rows {
        if train.is_empty() {
            return Err(ProveError::NothingToTrain.into());
        }
        let contents: HashSet<_> = train
            .iter()
            .map(|&i| bench.ingested.pairs[i].id.content)
            .collect();
        let mut tests = Vec::new();
        for (which, pool) in pools.iter().enumerate() {
            let all: Vec<usize>;
            let candidates = if let TestData::Files(_) = request.test {
                all = (0..pool.ids.len()).collect();
                &all
            } else {
                &test
            };
            let (kept, out) = data::testable(pool, candidates, &contents);
            left[which].undecided += out.undecided;
            left[which].leaked += out.leaked;
            tested[which] += kept.len();
            tests.push(kept);
        }
        splits.push(Split { train, tests });
    }
    for ((pool, left), &tested) in pools.iter().zip(&left).zip(&tested) {
        if tested == 0 {
            return Err(ProveError::NothingToTest {
                name: pool.name.clone(),
                undecided: left.undecided,
                leaked: left.leaked,
            }
            .into());
        }
    }
    let tests = pools.iter().zip(left).zip(tested);
    let tests = tests.map(|((pool, left), pairs)| TestSet {
        name: pool.name.clone(),
        pairs: pairs as u64,
        undecided: left.undecided as u64,
        leaked: left.leaked as u64,
    });
    Ok((splits, tests.collect()))
}

fn train_set(
    bench: &Workbench<'_>,
    train: &[usize],
    judges: &[Judge],
    references: Option<&[Option<crate::tags::evaluate::Reference>]>,
    noise: &NoiseColumns,
) -> TrainSet {
    fn pick<T: Clone>(all: &[T], of: &[usize]) -> Vec<T> {
        of.iter().map(|&i| all[i].clone()).collect()
    }
    let folds = bench.folds(
        bench.config.cross_fit.folds,
        derive(bench.config.seed, "folds"),
    );
    TrainSet {
        labels: Labels {
            ids: pick(&bench.ids(), train),
            pairs: pick(&bench.pairs(), train),
            deciding: pick(&bench.deciding_pairs(), train),
            judges: judges
                .iter()
                .map(|judge| Judge {
                    name: judge.name.clone(),
                    margins: pick(&judge.margins, train),
                })
                .collect(),
        },
        folds: if folds.is_empty() {
            folds
        } else {
            pick(&folds, train)
        },
        facts: noise.facts(&bench.ingested, train.iter().copied()),
        references: references.map(|references| pick(references, train)),
    }
}

/// Tells this experiment from others, whose finished seeds are not its own.
fn key(
    request: &ProveRequest,
    bench: &Workbench<'_>,
    pool_keys: &[String],
    splits: &[Split],
    experiment: &Experiment<'_>,
) -> Result<String, PipelineError> {
    let mut hasher = blake3::Hasher::new();
    hasher.update(env!("CARGO_PKG_VERSION").as_bytes());
    hasher.update(bench.training_key().as_bytes());
    for key in pool_keys {
        hasher.update(key.as_bytes());
    }
    let ProveRequest {
        gold,
        noise,
        actions,
        model,
        config,
        ..
    } = request;
    let asked = (gold, noise, actions, model, &config.tags, &config.actions);
    hasher.update(format!("{asked:?}").as_bytes());
    for pool in &experiment.pools {
        hasher.update(format!("{:?}", pool.better).as_bytes());
    }
    hasher.update(format!("{splits:?}").as_bytes());
    if let Some(run_dir) = &request.clean {
        let path = run_dir.join("tags.parquet");
        let bytes =
            std::fs::read(&path).map_err(|source| PipelineError::Folder { path, source })?;
        hasher.update(&bytes);
    }
    Ok(hasher.finalize().to_hex()[..32].to_owned())
}

fn split_in_words(test: &TestData) -> String {
    match test {
        TestData::Files(files) if files.len() == 1 => "tested on another file".to_owned(),
        TestData::Files(files) => format!("tested on {} other files", files.len()),
        TestData::Where { column, values } => format!(
            "tested on the pairs with `{}` in column `{column}`, trained on the others",
            values.join("`, `")
        ),
        TestData::By { column, folds } => {
            format!("every group of column `{column}` tested once, in {folds} folds")
        }
    }
}

fn cleaned_by(request: &ProveRequest, experiment: &Experiment<'_>) -> String {
    let info = experiment.judging.ranking.info();
    match &request.clean {
        Some(run_dir) => format!("what the run in `{}` removed", run_dir.display()),
        None => format!("`{}`: {}", info.name, info.rule),
    }
}

/// How it was done, in words.
fn settings(
    request: &ProveRequest,
    models: &super::models::Models<'_>,
    splits: &[Split],
) -> Vec<Setting> {
    let model = &request.model;
    let config = &request.config;
    let updates: Vec<usize> = splits
        .iter()
        .map(|split| model.updates(split.train.len()))
        .collect();
    let updates = match (updates.iter().min(), updates.iter().max()) {
        (Some(least), Some(most)) if least == most => least.to_string(),
        (Some(least), Some(most)) => format!("{least} to {most}"),
        _ => String::new(),
    };
    let setting = |name: &str, value: String| Setting {
        name: name.to_owned(),
        value,
    };
    vec![
        setting(
            "reward model",
            format!(
                "head `{}` over all pooled features of `{}`, frozen; they are standardised over all texts of \
                 the input, without labels",
                config.model_a.head, models.folders[0].name
            ),
        ),
        setting(
            "training",
            format!(
                "{updates} updates of {} pairs in every arm ({} epochs of the original data), AdamW, rate {} \
                 falling linearly to 0, weight decay {}",
                model.batch_size_pairs, model.epochs, model.learning_rate, model.weight_decay
            ),
        ),
        setting(
            "seeds",
            "noise, cleaning, random drop and the order of the pairs change from seed to seed; arms of a seed \
             share them"
                .to_owned(),
        ),
        setting(
            "intervals",
            "Student's t over seeds; differences are taken within each seed, shares of the distance have \
             Fieller's interval. The test pairs are the same for all seeds, so what other test pairs would \
             say is not in them"
                .to_owned(),
        ),
        setting("noise", request.noise.to_string()),
    ]
}
