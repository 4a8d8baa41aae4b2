//! A run, in order: read, encode, first pass, second pass, tag, write.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use super::config::RunConfig;
use super::evidence::{Evidence, PairRecord, PlantedScore};
use super::facts::{Clock, facts};
use super::finish::{Finished, finish};
use super::ingest::Ingested;
use super::judging::{judges_of_pairs, judges_of_rows};
use super::labels::{Labels, Means};
use super::manifest::{Manifest, SCHEMA_VERSION};
use super::outcome::calibration_options;
use super::ranking::ByOtherPairs;
use super::training::Passes;
use super::workbench::{Machine, Workbench, open_source};
use super::{PipelineError, trajectories};
use crate::methods::{
    self, CrossFit, FirstPass, Made, Method, Noise, ROUNDS, Rounds, Settings, Task,
};
use crate::pairs::{Judge, PairSource, PairsError, ShardCut, refuse_folder, refuse_inputs};
use crate::progress::Progress;
use crate::report;
use crate::seed::derive;
use crate::tags::NoiseReport;
use crate::train::Dynamics;

/// What a user asks of a run.
#[derive(Debug, Clone)]
#[expect(clippy::struct_excessive_bools, reason = "flags of a command line")]
pub struct RunRequest {
    /// Files, folders, globs.
    pub inputs: Vec<String>,
    /// The cleaned file, or the folder of a cleaned dataset.
    pub output: Option<PathBuf>,
    /// Where the dataset is cut into files; `None` for one file.
    pub shards: Option<ShardCut>,
    /// The run directory; default: beside the output.
    pub run_dir: Option<PathBuf>,
    /// Checked settings.
    pub config: RunConfig,
    /// Where models run, and what they run on.
    pub machine: Machine,
    /// Whether the cleaned file has columns of ours.
    pub extra_columns: bool,
    /// Whether to go on from what the run directory holds.
    pub resume: bool,
    /// Whether to keep both trained models in the run directory.
    pub keep_models: bool,
    /// Whether to write the dynamics as Dataset Cartography's files too.
    pub write_dynamics: bool,
}

impl RunRequest {
    /// The run directory: the user's, `NAME.prefclean` beside the output, or the same in the current folder.
    #[must_use]
    pub fn run_dir(&self) -> PathBuf {
        if let Some(folder) = &self.run_dir {
            return folder.clone();
        }
        if let Some(output) = &self.output {
            return output.with_extension("prefclean");
        }
        let input = Path::new(self.inputs.first().map_or("run", String::as_str));
        let name = input.file_name().map_or_else(
            || "run".into(),
            |name| name.to_string_lossy().replace('*', "all"),
        );
        PathBuf::from(format!(
            "{}.prefclean",
            name.split('.').next().unwrap_or("run")
        ))
    }
}

/// Does the whole job.
///
/// # Errors
/// [`PipelineError`]; a pair that cannot be used is not an error, it is set aside.
pub fn run(request: &RunRequest, progress: &dyn Progress) -> Result<Finished, PipelineError> {
    let config = &request.config;
    config.validate()?;
    let mut clock = Clock::default();
    let source = open_source(&request.inputs, &config.data.columns)?;
    // before anything that takes long: a cell that holds no margin is an error
    let judges_of_rows = judges_of_rows(&source, &config.judges)?;
    let run_dir = request.run_dir();
    let work = prepare_folders(request, &source, &run_dir)?;
    if !config.trajectories.folders.is_empty() {
        let finished = trajectories::run(request, &source, &judges_of_rows, clock, progress)?;
        let _ = fs::remove_dir_all(&work);
        return Ok(finished);
    }
    let bench = Workbench::open(
        &source,
        config,
        &request.machine,
        &work,
        &mut clock,
        progress,
    )?;
    let training_key = bench.training_key();
    let models = bench.models();
    let job = Job {
        config,
        training: config.training_method()?,
        ranking: config.ranking_method()?,
        settings: config.settings(),
        labels: bench.labels(judges_of_pairs(&judges_of_rows, &bench.ingested.rows)),
        folds: bench.folds(config.cross_fit.folds, derive(config.seed, "folds")),
        passes: Passes {
            models: &models,
            work: Some((work.clone(), training_key.clone())),
            keep: request
                .keep_models
                .then(|| (format!("{}/0", second_pass(0)), run_dir.join("models"))),
            progress,
        },
    };
    models.check_heads(&job.labels.pairs)?;
    models.check_given(&job.labels.deciding)?;
    let trained = job.train(&mut clock)?;
    let facts = facts(&bench, &models, &trained, &source, &clock)?;
    let manifest = Manifest {
        schema_version: SCHEMA_VERSION,
        prefclean_version: env!("CARGO_PKG_VERSION").into(),
        trained_at_unix_secs: SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| since.as_secs()),
        arguments: request.inputs.clone(),
        inputs: digest_inputs(&source)?,
        output: request.output.clone(),
        shards: request.shards,
        extra_columns: request.extra_columns,
        write_dynamics: request.write_dynamics,
        config: config.clone(),
        training_key,
        facts,
    };
    let judges = job.labels.judges;
    drop(models);
    let evidence = evidence(&trained, bench.ingested, judges);
    let finished = finish(&source, &evidence, manifest, &run_dir, progress)?;
    // what a killed run would need is of no use any more; what cannot be deleted does no harm
    let _ = fs::remove_dir_all(&work);
    Ok(finished)
}

/// Names what a round of the second pass trains.
fn second_pass(round: usize) -> String {
    format!("second pass/{round}")
}

/// What both passes gave.
pub(super) struct Trained {
    pub(super) cross_fit: Option<CrossFit>,
    pub(super) first_noise: Option<NoiseReport>,
    pub(super) plantings: Rounds,
    pub(super) rounds: [Round; ROUNDS],
    /// Margins that the comparisons of all other pairs give: `[n_pairs]`.
    pub(super) comparisons: Vec<Option<f32>>,
    pub(super) steps: u64,
    pub(super) seconds: f64,
}

/// One round: pairs' scores, and the dynamics that tell of them.
pub(super) struct Round {
    /// Suspicion under the labels of the round: `[n_pairs]`.
    pub(super) scores: Vec<f64>,
    /// What the second pass trained, or else the first.
    pub(super) dynamics: Dynamics,
}

/// What a run trains on, and with.
struct Job<'a> {
    config: &'a RunConfig,
    training: &'static dyn Method,
    ranking: &'static dyn Method,
    settings: Settings,
    labels: Labels,
    folds: Vec<u32>,
    passes: Passes<'a>,
}

impl Job<'_> {
    fn train(&self, clock: &mut Clock) -> Result<Trained, PipelineError> {
        let start = Instant::now();
        let config = self.config;
        let cross_fit = self.cross_fit()?;
        clock.lap("cross-fitting");
        let first = self.first_pass()?;
        let first_noise = first.noise(&calibration_options(config));
        clock.lap("first pass");
        let noise = config.noise(first_noise.as_ref());
        let mut steps = first.steps;
        let others = self.by_other_pairs(noise)?;
        clock.lap("comparisons");
        let rounds = self.second_pass(&first, noise, others.suspicion.as_deref(), &mut steps)?;
        clock.lap("second pass");
        Ok(Trained {
            cross_fit,
            first_noise,
            plantings: first.rounds,
            rounds,
            comparisons: others.comparisons,
            steps,
            seconds: start.elapsed().as_secs_f64(),
        })
    }

    fn cross_fit(&self) -> Result<Option<CrossFit>, PipelineError> {
        if self.folds.is_empty() {
            return Ok(None);
        }
        let others = self.config.cross_fit.folds - 1;
        let _bar = self.bar("cross-fitting", self.settings.cross_fit_epochs * others);
        let (folds, settings) = (&self.folds, &self.settings);
        let seed = self.config.seed;
        let fit = methods::cross_fit(&self.passes, &self.labels.pairs, folds, settings, seed);
        Ok(Some(fit?))
    }

    fn first_pass(&self) -> Result<FirstPass, PipelineError> {
        let seed = derive(self.config.seed, "planting");
        let rounds = Rounds::draw(&self.labels.ids, &self.config.planting, seed);
        let _bar = self.bar("first pass", self.settings.first_pass.epochs * ROUNDS);
        let first = methods::first_pass(
            &self.passes,
            &self.labels.pairs,
            rounds,
            &self.settings,
            self.config.seed,
        );
        Ok(first?)
    }

    /// What other pairs say of the labels as they stand.
    fn by_other_pairs(&self, noise: Noise) -> Result<ByOtherPairs, PipelineError> {
        let epochs = if self.ranking.held_out() {
            self.ranking.epochs(&self.settings)
        } else {
            0
        };
        let _bar = self.bar("comparisons", epochs);
        let task = self.task(&self.labels, "comparisons".to_owned(), noise);
        Ok(ByOtherPairs::of(&task, self.ranking)?)
    }

    /// The second pass under the labels of each round.
    ///
    /// `by_others`: suspicion of the labels as they stand, where it rests on other pairs alone and not on what is
    /// trained here.
    fn second_pass(
        &self,
        first: &FirstPass,
        noise: Noise,
        by_others: Option<&[f64]>,
        steps: &mut u64,
    ) -> Result<[Round; ROUNDS], PipelineError> {
        let _bar = self.bar("second pass", self.training.epochs(&self.settings) * ROUNDS);
        let mirrored = by_others.map(|suspicion| first.rounds.mirror(suspicion));
        let mut rounds = Vec::with_capacity(ROUNDS);
        for round in 0..ROUNDS {
            let labels = self.labels.swapped(&first.rounds.planted[round]);
            let task = self.task(&labels, second_pass(round), noise);
            let judgement = self.training.judge(&task)?;
            *steps += judgement.steps;
            let scores = mirrored.as_ref().map(|scores| scores[round].clone());
            rounds.push(Round {
                scores: scores.unwrap_or(judgement.suspicion),
                dynamics: judgement
                    .dynamics
                    .unwrap_or_else(|| first.dynamics[round].clone()),
            });
        }
        Ok(rounds
            .try_into()
            .unwrap_or_else(|_| unreachable!("one for each round")))
    }

    fn task<'b>(&'b self, labels: &'b Labels, label: String, noise: Noise) -> Task<'b> {
        let means = Means {
            passes: &self.passes,
            folds: &self.folds,
            settings: &self.settings,
            seed: self.config.seed,
        };
        labels.task(&means, label, Made::with_noise(noise))
    }

    /// A progress bar over epochs of all pairs, which ends when it is dropped.
    fn bar(&self, name: &str, epochs: usize) -> impl Drop {
        struct Bar<'a>(&'a dyn Progress);
        impl Drop for Bar<'_> {
            fn drop(&mut self) {
                self.0.end();
            }
        }
        let total = self.labels.pairs.len() * epochs;
        let total = (total > 0).then_some(total as u64);
        self.passes.progress.begin(name, total, "pairs");
        Bar(self.passes.progress)
    }
}

fn evidence(trained: &Trained, ingested: Ingested, judges: Vec<Judge>) -> Evidence {
    let (plantings, rounds) = (&trained.plantings, &trained.rounds);
    let dynamics = plantings.merge(rounds.each_ref().map(|round| &round.dynamics));
    let pairs: Vec<PairRecord> = ingested
        .pairs
        .iter()
        .enumerate()
        .map(|(i, pair)| {
            let round = plantings.deciding(i);
            PairRecord {
                id: pair.id,
                score: rounds[round].scores[i],
                round: u8::try_from(round).expect("there are two rounds"),
                signals: methods::pair_signals(&dynamics, i),
                margin_cross_fit: trained
                    .cross_fit
                    .as_ref()
                    .map(|fit| f32::midpoint(fit.margins[0][i], fit.margins[1][i])),
                margin_comparisons: trained.comparisons[i],
                length_difference: pair.length_difference,
                source: pair.source,
                cap_group: pair.cap_group,
            }
        })
        .collect();
    let mut planted = Vec::new();
    for (round, planting) in plantings.planted.iter().enumerate() {
        for (i, pair) in ingested
            .pairs
            .iter()
            .enumerate()
            .filter(|(i, _)| planting[*i])
        {
            planted.push(PlantedScore {
                id: pair.id,
                round: u8::try_from(round).expect("there are two rounds"),
                score: rounds[round].scores[i],
            });
        }
    }
    Evidence {
        rows: ingested.rows,
        pairs,
        planted,
        dynamics,
        sources: ingested.sources,
        cap_groups: ingested.cap_groups,
        judges,
    }
}

/// The run directory and its folder for unfinished work.
fn prepare_folders(
    request: &RunRequest,
    source: &PairSource,
    run_dir: &Path,
) -> Result<PathBuf, PipelineError> {
    let outputs: Vec<&Path> = request.output.as_deref().into_iter().collect();
    match (outputs.first(), request.shards) {
        (Some(folder), Some(_)) => refuse_folder(source.inputs(), folder)?,
        _ => refuse_inputs(source.inputs(), &outputs)?,
    }
    if outputs.contains(&run_dir) {
        return Err(PairsError::SameOutput(run_dir.to_owned()).into());
    }
    let work = run_dir.join("work");
    let failed = |source: io::Error| PipelineError::Folder {
        path: work.clone(),
        source,
    };
    if !request.resume && work.exists() {
        fs::remove_dir_all(&work).map_err(failed)?;
    }
    fs::create_dir_all(&work).map_err(failed)?;
    Ok(work)
}

pub(super) fn digest_inputs(source: &PairSource) -> Result<Vec<report::Input>, PipelineError> {
    source
        .inputs()
        .iter()
        .map(|input| {
            Ok(report::Input {
                path: input.path.display().to_string(),
                rows: input.rows,
                digest: Some(input.digest()?),
            })
        })
        .collect()
}
