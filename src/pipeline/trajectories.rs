//! Runs on trajectories of reward models that were trained elsewhere, and the same files written.
//!
//! Nothing is tokenized, encoded or trained: pairs are read, joined with the margins by name, and
//! tagged. Where pairs were planted before that training and are named, they calibrate as those of a
//! run do; a planted pair's own tag comes from its mirrored trajectory. Otherwise nothing is
//! calibrated: see [`Unplanted`](crate::tags::Unplanted).

use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use super::PipelineError;
use super::config::TrajectoriesConfig;
use super::evidence::{Evidence, PairRecord, PlantedScore, RowEvidence, RowState};
use super::facts::Clock;
use super::finish::{Finished, finish};
use super::health::elsewhere_health;
use super::judging::judges_of_pairs;
use super::known::{RowGroups, Values, source_column};
use super::manifest::{Facts, Manifest, SCHEMA_VERSION};
use super::run::{RunRequest, digest_inputs};
use crate::methods::pair_signals;
use crate::pairs::{Judge, PairId, PairSource, RawPair};
use crate::progress::Progress;
use crate::report;
use crate::tags::SuspicionSum;
use crate::train::cartography::{DynamicsFiles, read_dynamics, write_dynamics};
use crate::train::{Dynamics, ModelDynamics};

/// Folder of the files in the run directory; one folder a model below it.
pub(super) const FOLDER: &str = "cartography";
/// Longest file of planted pairs, bytes.
const LONGEST_LIST: u64 = 1 << 28;

/// Does a run whose settings name trajectories.
///
/// # Errors
/// When the files cannot be read, name unknown pairs, or name none of the data's.
pub(super) fn run(
    request: &RunRequest,
    source: &PairSource,
    judges: &[Judge],
    mut clock: Clock,
    progress: &dyn Progress,
) -> Result<Finished, PipelineError> {
    let config = &request.config;
    let settings = &config.trajectories;
    let folders: Vec<PathBuf> = settings.folders.iter().map(PathBuf::from).collect();
    let mut read = read_rows(source, request, progress)?;
    clock.lap("reading");
    let names = Names::new(source, settings, &read)?;
    let mut models = Vec::new();
    for folder in &folders {
        models.push(names.join(folder, &read_dynamics(folder)?)?);
    }
    let planted = names.planted(settings)?;
    agree(&folders, &models)?;
    let known: Vec<bool> = (0..read.rows.len())
        .map(|row| models[0].position.contains_key(&row))
        .collect();
    read.forget(&known);
    if read.pairs.is_empty() {
        return Err(PipelineError::Trajectories {
            folder: folders[0].clone(),
            reason: format!(
                "they are of none of the {} rows that are pairs",
                known.len()
            ),
        });
    }
    let dynamics = dynamics(&models, &read.row_of_pair);
    let is_planted: Vec<bool> = read
        .row_of_pair
        .iter()
        .map(|row| planted.contains(row))
        .collect();
    let source_column = read.source_column.take();
    let (evidence, own) = evidence(read, &dynamics, &is_planted, judges);
    clock.lap("trajectories");
    let facts = facts(
        source,
        source_column,
        &folders,
        &own,
        &is_planted,
        &models,
        &clock,
    );
    let mut hasher = blake3::Hasher::new();
    for model in &models {
        hasher.update(model.digest.as_bytes());
    }
    let manifest = Manifest {
        schema_version: SCHEMA_VERSION,
        prefclean_version: env!("CARGO_PKG_VERSION").into(),
        trained_at_unix_secs: SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| since.as_secs()),
        arguments: request.inputs.clone(),
        inputs: digest_inputs(source)?,
        output: request.output.clone(),
        shards: request.shards,
        extra_columns: request.extra_columns,
        write_dynamics: request.write_dynamics,
        config: config.clone(),
        training_key: hasher.finalize().to_hex().to_string(),
        facts,
    };
    finish(source, &evidence, manifest, &request.run_dir(), progress)
}

/// Rows as evidence, and what is known of those that are pairs.
#[derive(Default)]
struct Read {
    rows: Vec<RowEvidence>,
    pairs: Vec<PairRecord>,
    /// Row of each pair, over all inputs.
    row_of_pair: Vec<usize>,
    sources: Vec<String>,
    cap_groups: Vec<String>,
    source_column: Option<String>,
}

impl Read {
    /// Takes the pairs of rows that are not known out.
    fn forget(&mut self, known: &[bool]) {
        let mut kept = Vec::new();
        let mut row_of_pair = Vec::new();
        let old = std::mem::take(&mut self.pairs);
        for (pair, &row) in old.into_iter().zip(&self.row_of_pair) {
            if known[row] {
                let position = u32::try_from(kept.len()).expect("pairs are counted in 32 bits");
                self.rows[row].state = RowState::Trained(position);
                kept.push(pair);
                row_of_pair.push(row);
            } else {
                self.rows[row].state = RowState::Unseen(pair.id);
            }
        }
        self.pairs = kept;
        self.row_of_pair = row_of_pair;
    }
}

fn read_rows(
    source: &PairSource,
    request: &RunRequest,
    progress: &dyn Progress,
) -> Result<Read, PipelineError> {
    let config = &request.config;
    let source_column = source_column(source, &config.data)?;
    let groups = RowGroups::read(source, source_column.as_deref(), &config.data)?;
    let mut read = Read {
        source_column,
        ..Read::default()
    };
    progress.begin("reading pairs", Some(source.rows()), "rows");
    for row in source.pairs()? {
        let row = row?;
        let at = read.rows.len();
        let state = match &row.pair {
            Err(reason) => RowState::Unusable(row.id, *reason),
            Ok(pair) => {
                let position =
                    u32::try_from(read.pairs.len()).expect("pairs are counted in 32 bits");
                read.pairs.push(PairRecord {
                    id: row.id,
                    score: 0.5,
                    round: 0,
                    signals: [NO_SIGNALS; 2],
                    margin_cross_fit: None,
                    margin_comparisons: None,
                    length_difference: length_difference(pair),
                    source: groups.sources.code(at),
                    cap_group: groups.caps.code(at),
                });
                read.row_of_pair.push(at);
                RowState::Trained(position)
            }
        };
        read.rows.push(RowEvidence {
            input: u32::try_from(row.at.input).expect("inputs are counted in 32 bits"),
            row: row.at.row,
            state,
        });
        progress.advance(1);
    }
    progress.end();
    read.sources = groups.sources.names;
    read.cap_groups = groups.caps.names;
    Ok(read)
}

/// Until trajectories are joined.
const NO_SIGNALS: crate::tags::Signals = crate::tags::Signals {
    mean_loss: 0.0,
    std_loss: 0.0,
    fluctuation: 0.0,
    confidence: 0.5,
    variability: 0.0,
    correctness: 0,
    forgetting: None,
    times_selected: 0,
};

fn length_difference(pair: &RawPair) -> i64 {
    let characters =
        |text: &str| i64::try_from(text.trim().chars().count()).expect("a text fits in memory");
    characters(&pair.chosen) - characters(&pair.rejected)
}

/// How rows are called in the files.
enum Names {
    /// By pair id, or by row number.
    Own {
        ids: HashMap<PairId, usize>,
        rows: usize,
    },
    /// By a column of the data; `None` where several rows have the value.
    Column(HashMap<String, Option<usize>>, String),
}

impl Names {
    fn new(
        source: &PairSource,
        settings: &TrajectoriesConfig,
        read: &Read,
    ) -> Result<Self, PipelineError> {
        if settings.ids.is_empty() {
            let pairs = read.pairs.iter().zip(&read.row_of_pair);
            return Ok(Self::Own {
                ids: pairs.map(|(pair, &row)| (pair.id, row)).collect(),
                rows: read.rows.len(),
            });
        }
        let values = Values::of_rows(source, Some(&settings.ids))?;
        let mut known: HashMap<String, Option<usize>> = HashMap::new();
        for (row, value) in values.iter().enumerate() {
            let Some(value) = value else { continue };
            known
                .entry(value.to_owned())
                .and_modify(|row| *row = None)
                .or_insert(Some(row));
        }
        Ok(Self::Column(known, settings.ids.clone()))
    }

    /// The row of a name.
    fn row(&self, name: &str) -> Result<usize, String> {
        match self {
            Self::Own { ids, rows } => {
                if let Ok(id) = name.parse::<PairId>() {
                    let row = ids.get(&id).copied();
                    return row.ok_or_else(|| format!("no pair has the id `{name}`"));
                }
                let row = name.parse::<usize>().ok().filter(|row| row < rows);
                row.ok_or_else(|| format!("`{name}` is no pair id, and no row number under {rows}"))
            }
            Self::Column(known, column) => match known.get(name) {
                Some(Some(row)) => Ok(*row),
                Some(None) => Err(format!("several rows have `{name}` in `{column}`")),
                None => Err(format!("no row has `{name}` in `{column}`")),
            },
        }
    }

    fn join(&self, folder: &Path, files: &DynamicsFiles) -> Result<Joined, PipelineError> {
        let failed = |reason| PipelineError::Names {
            path: folder.to_owned(),
            reason,
        };
        let n = files.guids.len();
        let mut position = HashMap::with_capacity(n);
        for (at, guid) in files.guids.iter().enumerate() {
            let row = self.row(guid).map_err(failed)?;
            if position.insert(row, at).is_some() {
                return Err(failed(format!(
                    "row {row} has two names, one of them `{guid}`"
                )));
            }
        }
        let mut hasher = blake3::Hasher::new();
        for guid in &files.guids {
            hasher.update(guid.as_bytes()).update(&[0]);
        }
        for margin in &files.margins {
            hasher.update(&margin.to_le_bytes());
        }
        Ok(Joined {
            position,
            margins: files
                .margins
                .chunks_exact(n.max(1))
                .map(<[f32]>::to_vec)
                .collect(),
            digest: hasher.finalize().to_hex().to_string(),
        })
    }

    /// Rows that were planted.
    fn planted(&self, settings: &TrajectoriesConfig) -> Result<HashSet<usize>, PipelineError> {
        if settings.planted.is_empty() {
            return Ok(HashSet::new());
        }
        let path = PathBuf::from(&settings.planted);
        let text = fs::metadata(&path)
            .and_then(|about| {
                if about.len() > LONGEST_LIST {
                    return Err(std::io::Error::other("it is larger than 256 MiB"));
                }
                fs::read_to_string(&path)
            })
            .map_err(|source| PipelineError::Folder {
                path: path.clone(),
                source,
            })?;
        let names = text.lines().map(str::trim).filter(|name| !name.is_empty());
        names
            .map(|name| {
                self.row(name).map_err(|reason| PipelineError::Names {
                    path: path.clone(),
                    reason,
                })
            })
            .collect()
    }
}

/// One model's margins by row.
struct Joined {
    /// Row to position.
    position: HashMap<usize, usize>,
    /// Epoch by epoch.
    margins: Vec<Vec<f32>>,
    /// BLAKE3 over names and margins.
    digest: String,
}

/// Checks that two models have the same pairs and epochs.
fn agree(folders: &[PathBuf], models: &[Joined]) -> Result<(), PipelineError> {
    let [a, b] = models else { return Ok(()) };
    let failed = |reason| {
        Err(PipelineError::Trajectories {
            folder: folders[1].clone(),
            reason,
        })
    };
    if a.margins.len() != b.margins.len() {
        return failed(format!(
            "the number of epochs is {}, that of `{}` {}",
            b.margins.len(),
            folders[0].display(),
            a.margins.len()
        ));
    }
    let mut other = a
        .position
        .keys()
        .filter(|row| !b.position.contains_key(row));
    if a.position.len() != b.position.len() || other.next().is_some() {
        return failed(format!(
            "its pairs are not those of `{}`",
            folders[0].display()
        ));
    }
    Ok(())
}

/// The trajectories in the order of the pairs, under the labels that the models were trained on. One
/// model stands in both places.
fn dynamics(models: &[Joined], row_of_pair: &[usize]) -> Dynamics {
    let of_model = |model: &Joined| {
        let mut margins = Vec::with_capacity(row_of_pair.len() * model.margins.len());
        for epoch in &model.margins {
            margins.extend(row_of_pair.iter().map(|row| epoch[model.position[row]]));
        }
        ModelDynamics {
            selected: vec![true; margins.len()],
            margin_end: margins.clone(),
            margin_online: margins,
        }
    };
    let n_epochs = models[0].margins.len();
    let a = of_model(&models[0]);
    let b = models.get(1).map_or_else(|| a.clone(), of_model);
    Dynamics {
        n_pairs: row_of_pair.len(),
        n_epochs,
        models: [a, b],
        drop_rates: vec![0.0; n_epochs],
    }
}

/// The same under the data's own labels: planted pairs mirrored.
fn mirrored(dynamics: &Dynamics, planted: &[bool]) -> Dynamics {
    let mut own = dynamics.clone();
    for model in &mut own.models {
        for margins in [&mut model.margin_online, &mut model.margin_end] {
            for epoch in margins.chunks_exact_mut(planted.len().max(1)) {
                for (margin, _) in epoch
                    .iter_mut()
                    .zip(planted)
                    .filter(|(_, planted)| **planted)
                {
                    *margin = -*margin;
                }
            }
        }
    }
    own
}

fn scores(dynamics: &Dynamics) -> Vec<f64> {
    let mut sum = SuspicionSum::new(dynamics.n_pairs);
    for model in &dynamics.models {
        sum.add_model(&model.margin_online);
    }
    sum.scores()
}

/// The evidence, and the trajectories under the data's own labels.
fn evidence(
    read: Read,
    trained: &Dynamics,
    planted: &[bool],
    judges: &[Judge],
) -> (Evidence, Dynamics) {
    let own = mirrored(trained, planted);
    let trained_scores = scores(trained);
    let own_scores = scores(&own);
    let mut pairs = read.pairs;
    let mut planted_scores = Vec::new();
    for (i, pair) in pairs.iter_mut().enumerate() {
        pair.signals = pair_signals(&own, i);
        pair.score = trained_scores[i];
        if planted[i] {
            pair.score = own_scores[i];
            planted_scores.push(PlantedScore {
                id: pair.id,
                round: 0,
                score: trained_scores[i],
            });
        }
    }
    let evidence = Evidence {
        judges: judges_of_pairs(judges, &read.rows),
        rows: read.rows,
        pairs,
        planted: planted_scores,
        dynamics: own.clone(),
        sources: read.sources,
        cap_groups: read.cap_groups,
    };
    (evidence, own)
}

fn facts(
    source: &PairSource,
    source_column: Option<String>,
    folders: &[PathBuf],
    own: &Dynamics,
    planted: &[bool],
    models: &[Joined],
    clock: &Clock,
) -> Facts {
    let model = |which: usize| {
        let folder = folders.get(which).unwrap_or(&folders[0]);
        report::ModelInfo {
            backbone: format!("a model trained elsewhere (`{}`)", folder.display()),
            view: "its own".into(),
            head: "its own".into(),
            features: 0,
            accuracy: None,
        }
    };
    let mut versions = vec![report::Named {
        name: "prefclean".into(),
        value: env!("CARGO_PKG_VERSION").into(),
    }];
    for (folder, model) in folders.iter().zip(models) {
        versions.push(report::Named {
            name: format!("trajectories in `{}`", folder.display()),
            value: format!("names and margins {}", &model.digest[..16]),
        });
    }
    Facts {
        shape: source.shape().to_string(),
        unique_texts: 0,
        source_column,
        first_pass_noise: None,
        models: report::Models {
            a: model(0),
            b: model(1),
            health: elsewhere_health(own, planted, folders.len() == 2),
        },
        training: report::Training {
            method: "trajectories of models trained elsewhere".into(),
            ranking: "trajectories of models trained elsewhere".into(),
            curriculum: "none".into(),
            first_pass_epochs: 0,
            epochs: u32::try_from(own.n_epochs).unwrap_or(u32::MAX),
            steps: 0,
            batch_pairs: 0,
            drop_rate: 0.0,
            pairs_per_second: None,
        },
        tokens: report::Tokens::default(),
        versions,
        device: "none: nothing was trained".into(),
        timings: clock.laps(),
    }
}

/// Writes both models' online margins as the published tools read them: `a` and `b` below
/// [`FOLDER`] are each a model's folder.
///
/// # Errors
/// When a file cannot be written.
pub(super) fn write(evidence: &Evidence, run_dir: &Path) -> Result<(), PipelineError> {
    let folder = run_dir.join(FOLDER);
    if folder.exists() {
        // epochs of an earlier run must not stay among these
        fs::remove_dir_all(&folder).map_err(|source| PipelineError::Folder {
            path: folder.clone(),
            source,
        })?;
    }
    let guids: Vec<String> = evidence
        .pairs
        .iter()
        .map(|pair| pair.id.to_string())
        .collect();
    for (name, model) in ["a", "b"].into_iter().zip(&evidence.dynamics.models) {
        write_dynamics(&folder.join(name), &guids, &model.margin_online)?;
    }
    Ok(())
}
