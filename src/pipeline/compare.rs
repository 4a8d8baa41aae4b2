//! All methods on the user's pairs, with noise that is known.

use std::collections::HashSet;
use std::path::PathBuf;

use super::PipelineError;
use super::config::RunConfig;
use super::facts::Clock;
use super::journal::Journal;
use super::judging::{judges_of_pairs, judges_of_rows};
use super::known::{NoiseColumns, references};
use super::labels::{Labels, Means};
use super::training::Passes;
use super::workbench::{Machine, Workbench, open_source};
use crate::compare::{Cell, Comparison, Figures, NoiseTable};
use crate::methods::{self, Made, Method};
use crate::noise::{Facts, NoiseModel, draw};
use crate::progress::{NoProgress, Progress};
use crate::seed::derive;
use crate::tags::evaluate::Reference;

/// Version of the comparison's JSON document.
const SCHEMA_VERSION: u32 = 1;

/// Folds of held-out scores where the settings have none: here methods rest on them.
const FOLDS: usize = 5;

/// The file of finished judgings in the folder of a comparison.
const CELLS: &str = "cells.jsonl";

/// What a user wants compared.
#[derive(Debug, Clone)]
pub struct CompareRequest {
    /// Files, folders, globs.
    pub inputs: Vec<String>,
    /// Names of methods; empty: all that the data allows.
    pub methods: Vec<String>,
    /// Noise to inject, each on its own.
    pub noise: Vec<NoiseModel>,
    /// Column that says which side is better.
    pub gold: Option<String>,
    /// Number of seeds.
    pub seeds: u64,
    /// Checked settings.
    pub config: RunConfig,
    /// Where models run.
    pub machine: Machine,
    /// Where finished judgings are kept, so that a stopped comparison goes on; `None`: nowhere.
    pub folder: Option<PathBuf>,
}

/// Judges the pairs by every method, under every noise and seed.
///
/// # Errors
/// [`PipelineError`]; a method that needs judges is left out where there are none and none was named.
pub fn compare(
    request: &CompareRequest,
    progress: &dyn Progress,
) -> Result<Comparison, PipelineError> {
    let config = &request.config;
    config.validate()?;
    let source = open_source(&request.inputs, &config.data.columns)?;
    let scratch = tempfile::tempdir().map_err(|source| PipelineError::Folder {
        path: std::env::temp_dir(),
        source,
    })?;
    let mut clock = Clock::default();
    let bench = Workbench::open(
        &source,
        config,
        &request.machine,
        scratch.path(),
        &mut clock,
        progress,
    )?;
    let of_rows = judges_of_rows(&source, &config.judges)?;
    let judges = judges_of_pairs(&of_rows, &bench.ingested.rows);
    let methods = wanted(&request.methods, !judges.is_empty())?;
    let gold = (request.gold.as_deref())
        .map(|column| references(&source, &bench, column))
        .transpose()?;
    let models = bench.models();
    let experiment = Experiment {
        bench: &bench,
        gold,
        labels: bench.labels(judges),
        passes: Passes {
            models: &models,
            work: None,
            keep: None,
            progress: &NoProgress,
        },
    };
    let names: Vec<String> = methods.iter().map(|m| m.info().name.to_owned()).collect();
    let path = request.folder.as_ref().map(|folder| folder.join(CELLS));
    let mut journal = Journal::open(path.as_deref(), &key(request, &bench))?;
    let total = request.noise.len() as u64 * request.seeds * methods.len() as u64;
    progress.begin("comparing", Some(total), "judgings");
    progress.skip(asked_for(request, &names, &journal).len() as u64);
    for noise in &request.noise {
        let spelling = &noise.to_string();
        let columns = NoiseColumns::read(noise, &source, &bench)?;
        let facts = columns.facts(&bench.ingested, 0..bench.ingested.pairs.len());
        for seed in 0..request.seeds {
            let finished = |method: &&dyn Method| {
                let key = (spelling, seed, method.info().name);
                let mut cells = journal.records().iter();
                cells.any(|cell| (&cell.noise, cell.seed, cell.method.as_str()) == key)
            };
            let mut missing = methods.clone();
            missing.retain(|method| !finished(method));
            if !missing.is_empty() {
                experiment.judge(&missing, spelling, noise, &facts, seed, &mut |cell| {
                    progress.advance(1);
                    journal.push(cell)
                })?;
            }
        }
    }
    progress.end();
    let cells = asked_for(request, &names, &journal);
    let default = config.ranking_method()?.info().name;
    let tables = request
        .noise
        .iter()
        .map(|noise| NoiseTable::new(&noise.to_string(), &names, default, &cells));
    Ok(Comparison {
        schema_version: SCHEMA_VERSION,
        inputs: request.inputs.clone(),
        pairs: bench.ingested.pairs.len(),
        truth: truth_in_words(request.gold.as_deref()),
        seeds: (0..request.seeds).collect(),
        settings: settings_in_words(&bench),
        tables: tables.collect(),
        cells,
    })
}

/// Tells this comparison from others, whose finished judgings are not its own.
fn key(request: &CompareRequest, bench: &Workbench<'_>) -> String {
    let mut hasher = blake3::Hasher::new();
    hasher.update(bench.training_key().as_bytes());
    hasher.update(format!("{SCHEMA_VERSION} {:?}", request.gold).as_bytes());
    hasher.finalize().to_hex()[..32].to_owned()
}

/// The finished judgings among those asked for, each once: the file may hold others.
fn asked_for(request: &CompareRequest, methods: &[String], journal: &Journal<Cell>) -> Vec<Cell> {
    let noise: Vec<String> = request.noise.iter().map(ToString::to_string).collect();
    let mut known = HashSet::new();
    let wanted = journal.records().iter().filter(|cell| {
        cell.seed < request.seeds
            && methods.contains(&cell.method)
            && noise.contains(&cell.noise)
            && known.insert((&cell.noise, cell.seed, &cell.method))
    });
    wanted.cloned().collect()
}

/// The named methods, or all that can be asked.
fn wanted(names: &[String], judges: bool) -> Result<Vec<&'static dyn Method>, PipelineError> {
    if names.is_empty() {
        let all = methods::METHODS.iter().copied();
        let can = all.filter(|method| judges || !method.info().needs_judges);
        return Ok(can.collect());
    }
    let found = names.iter().map(|name| methods::find(name));
    Ok(found.collect::<Result<_, _>>()?)
}

fn truth_in_words(gold: Option<&str>) -> String {
    match gold {
        Some(column) => format!(
            "(column `{column}` says that the other side is better) XOR (the label was swapped on purpose); \
             pairs on which the column is silent are left out"
        ),
        None => "the labels swapped on purpose; all others are taken to be right, so that what a method \
                 finds of the data's own mistakes counts against it"
            .into(),
    }
}

fn settings_in_words(bench: &Workbench<'_>) -> String {
    let [a, b] = bench.backbone_of.map(|i| bench.backbones[i].name.as_str());
    let config = bench.config;
    let second = &config.second_pass;
    format!(
        "prefclean {}; backbones {a} and {b}, heads {} and {} on {:.0}% and {:.0}% of the features; {} epochs, \
         {} members, batches of {} pairs, learning rate {}; {} folds; {}",
        env!("CARGO_PKG_VERSION"),
        config.model_a.head,
        config.model_b.head,
        100.0 * config.model_a.feature_share,
        100.0 * config.model_b.feature_share,
        second.epochs,
        second.members,
        second.batch_size_pairs,
        second.learning_rate,
        config.cross_fit.folds,
        bench.devices[0],
    )
}

/// Pairs, truth, and the means to judge.
struct Experiment<'a> {
    bench: &'a Workbench<'a>,
    /// What the reference says of each pair's label, where there is one: `[n_pairs]`.
    gold: Option<Vec<Option<Reference>>>,
    labels: Labels,
    passes: Passes<'a>,
}

impl Experiment<'_> {
    /// Judges one noisy copy of the labels by the methods.
    fn judge(
        &self,
        methods: &[&dyn Method],
        spelling: &str,
        noise: &NoiseModel,
        facts: &Facts,
        seed: u64,
        done: &mut dyn FnMut(Cell) -> Result<(), PipelineError>,
    ) -> Result<(), PipelineError> {
        let bench = self.bench;
        let seed_of = |purpose: &str| derive(derive(bench.config.seed, "compare") ^ seed, purpose);
        let injected = draw(noise, facts, seed_of("noise"))?.swapped;
        let labels = self.labels.swapped(&injected);
        let truth: Vec<Option<Reference>> = injected
            .iter()
            .enumerate()
            .map(|(i, &injected)| {
                let label = match &self.gold {
                    Some(gold) => gold[i]?,
                    None => Reference::Correct,
                };
                Some(label.swapped(injected))
            })
            .collect();
        let folds = match bench.config.cross_fit.folds {
            0 => FOLDS,
            folds => folds,
        };
        let means = Means {
            passes: &self.passes,
            folds: &bench.folds(folds, seed_of("folds")),
            settings: &bench.config.settings(),
            seed: seed_of("training"),
        };
        let task = labels.task(&means, "compare".into(), Made::default());
        for method in methods {
            memory::reset_peak();
            let (judgement, took) = task.timed(*method)?;
            let peak_mib = memory::peak_mib();
            done(Cell {
                noise: spelling.to_owned(),
                seed,
                method: method.info().name.to_owned(),
                figures: Figures::new(&judgement, &truth, task.noise()?.rate),
                seconds: took.as_secs_f64(),
                peak_mib,
            })?;
        }
        Ok(())
    }
}

/// The process's largest resident memory, where the system tells it.
mod memory {
    use std::fs;

    /// Forgets the peak so far, where the system allows it.
    pub(super) fn reset_peak() {
        // refused by some containers: then peaks are those since the start
        let _ = fs::write("/proc/self/clear_refs", "5");
    }

    /// The peak since the last reset.
    pub(super) fn peak_mib() -> Option<f64> {
        let status = fs::read_to_string("/proc/self/status").ok()?;
        let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
        let kib: f64 = line.split_whitespace().nth(1)?.parse().ok()?;
        Some(kib / 1024.0)
    }
}
