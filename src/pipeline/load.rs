//! Reads the evidence of a finished run back from its tables.

use std::collections::HashMap;
use std::fs::File;
use std::path::Path;
use std::str::FromStr;

use arrow::array::{Array, AsArray, Float32Array, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{
    DataType, Float32Type, Float64Type, Int64Type, UInt8Type, UInt32Type, UInt64Type,
};
use arrow::error::ArrowError;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::PipelineError;
use super::evidence::{Evidence, PairRecord, PlantedScore, RowEvidence, RowState};
use super::judging::{judges_of_pairs, judges_of_rows};
use super::known::RowGroups;
use super::manifest::Manifest;
use super::outcome::NO_TRAJECTORY;
use crate::methods::pair_signals;
use crate::pairs::{PairId, PairSource, UnusableReason};
use crate::tags::Tag;
use crate::train::{Dynamics, ModelDynamics};

/// A file of a run that does not say what it should.
pub(super) fn broken(path: &Path, reason: impl std::fmt::Display) -> PipelineError {
    PipelineError::Folder {
        path: path.to_owned(),
        source: std::io::Error::new(std::io::ErrorKind::InvalidData, reason.to_string()),
    }
}

pub(super) fn batches(
    path: &Path,
) -> Result<impl Iterator<Item = Result<RecordBatch, ArrowError>>, PipelineError> {
    let file = File::open(path).map_err(|source| PipelineError::Folder {
        path: path.to_owned(),
        source,
    })?;
    let reader = ParquetRecordBatchReaderBuilder::try_new(file)
        .and_then(ParquetRecordBatchReaderBuilder::build);
    reader.map_err(|error| broken(path, error))
}

/// A column of a batch, by name.
pub(super) fn column<'a>(batch: &'a RecordBatch, name: &str) -> Result<&'a dyn Array, ArrowError> {
    let column = batch.column_by_name(name);
    column
        .map(AsRef::as_ref)
        .ok_or_else(|| ArrowError::SchemaError(format!("column `{name}` is missing")))
}

pub(super) fn texts(
    batch: &RecordBatch,
    name: &str,
) -> Result<arrow::array::StringArray, ArrowError> {
    Ok(cast(column(batch, name)?, &DataType::Utf8)?
        .as_string::<i32>()
        .clone())
}

/// A column of numbers of one type.
macro_rules! numbers {
    ($batch:expr, $name:expr, $kind:ty) => {
        column($batch, $name)?
            .as_primitive_opt::<$kind>()
            .ok_or_else(|| {
                ArrowError::SchemaError(format!("column `{}` has another type", $name))
            })?
    };
}

/// Reads the evidence of a run whose inputs have not changed.
///
/// # Errors
/// When a table is missing or damaged, or the inputs are not those of the run.
pub(super) fn load(
    run_dir: &Path,
    manifest: &Manifest,
    source: &PairSource,
) -> Result<Evidence, PipelineError> {
    let path = run_dir.join("tags.parquet");
    let mut rows = Vec::new();
    let mut records: Vec<TagsRow> = Vec::new();
    for batch in batches(&path)? {
        batch
            .and_then(|batch| read_tags(&batch, source, &mut rows, &mut records))
            .map_err(|error| broken(&path, error))?;
    }
    if rows.len() as u64 != source.rows() {
        return Err(broken(
            &path,
            format!(
                "it has {} rows, the inputs have {}",
                rows.len(),
                source.rows()
            ),
        ));
    }
    let positions: HashMap<PairId, usize> = records
        .iter()
        .enumerate()
        .map(|(i, record)| (record.0, i))
        .collect();
    let dynamics = read_dynamics(&run_dir.join("dynamics.parquet"), &positions)?;
    let planted = read_planted(&run_dir.join("planted.parquet"))?;
    let source_column = manifest.facts.source_column.as_deref();
    let groups = RowGroups::read(source, source_column, &manifest.config.data)?;
    let row_of = rows
        .iter()
        .enumerate()
        .filter(|(_, row): &(usize, &RowEvidence)| matches!(row.state, RowState::Trained(_)));
    let pairs = records
        .into_iter()
        .zip(row_of)
        .enumerate()
        .map(
            |(
                i,
                (
                    (id, score, round, [margin_cross_fit, margin_comparisons], length_difference),
                    (row, _),
                ),
            )| PairRecord {
                id,
                score,
                round,
                signals: pair_signals(&dynamics, i),
                margin_cross_fit,
                margin_comparisons,
                length_difference,
                source: groups.sources.code(row),
                cap_group: groups.caps.code(row),
            },
        )
        .collect();
    let judges = judges_of_pairs(&judges_of_rows(source, &manifest.config.judges)?, &rows);
    Ok(Evidence {
        rows,
        pairs,
        planted,
        dynamics,
        sources: groups.sources.names,
        cap_groups: groups.caps.names,
        judges,
    })
}

fn parse<T: FromStr<Err: std::fmt::Display>>(text: &str) -> Result<T, ArrowError> {
    text.parse()
        .map_err(|error: T::Err| ArrowError::ParseError(error.to_string()))
}

/// A trained pair in tags.parquet: id, score, round, held-out margin and that of other comparisons,
/// difference of lengths.
type TagsRow = (PairId, f64, u8, [Option<f32>; 2], i64);

fn read_tags(
    batch: &RecordBatch,
    source: &PairSource,
    rows: &mut Vec<RowEvidence>,
    records: &mut Vec<TagsRow>,
) -> Result<(), ArrowError> {
    let inputs: HashMap<String, u32> = source
        .inputs()
        .iter()
        .map(|input| input.path.display().to_string())
        .zip(0..)
        .collect();
    let (ids, paths) = (texts(batch, "pair_id")?, texts(batch, "input")?);
    let (tags, reasons) = (texts(batch, "tag")?, texts(batch, "reason")?);
    let row = numbers!(batch, "row", UInt64Type);
    let score = numbers!(batch, "score", Float64Type);
    let round = numbers!(batch, "round", UInt8Type);
    let cross_fit = numbers!(batch, "margin_cross_fit", Float32Type);
    let difference = numbers!(batch, "length_difference", Int64Type);
    // runs of earlier versions have no such column
    let comparisons = column(batch, "margin_comparisons").ok();
    let comparisons = comparisons.and_then(|c| c.as_primitive_opt::<Float32Type>());
    for i in 0..batch.num_rows() {
        let id: PairId = parse(ids.value(i))?;
        let state = match parse(tags.value(i))? {
            Tag::Unusable | Tag::Tie => {
                RowState::Unusable(id, parse::<UnusableReason>(reasons.value(i))?)
            }
            Tag::Undecidable if reasons.value(i) == NO_TRAJECTORY => RowState::Unseen(id),
            Tag::Undecidable => RowState::Undecidable(id),
            Tag::Robust | Tag::Ambiguous | Tag::Incorrect => {
                let value = |of: &Float32Array| of.is_valid(i).then(|| of.value(i));
                let margins = [value(cross_fit), comparisons.and_then(value)];
                let position = u32::try_from(records.len()).expect("pairs are counted in 32 bits");
                records.push((
                    id,
                    score.value(i),
                    round.value(i),
                    margins,
                    difference.value(i),
                ));
                RowState::Trained(position)
            }
        };
        let input = inputs.get(paths.value(i)).ok_or_else(|| {
            ArrowError::ParseError(format!("`{}` is not among the inputs", paths.value(i)))
        })?;
        rows.push(RowEvidence {
            input: *input,
            row: row.value(i),
            state,
        });
    }
    Ok(())
}

fn read_dynamics(
    path: &Path,
    positions: &HashMap<PairId, usize>,
) -> Result<Dynamics, PipelineError> {
    let mut cells: Vec<(usize, usize, usize, [f32; 2], bool)> = Vec::new();
    let mut n_epochs = 0;
    for batch in batches(path)? {
        let read = |batch: RecordBatch| -> Result<(), ArrowError> {
            let (ids, models) = (texts(&batch, "pair_id")?, texts(&batch, "model")?);
            let epoch = numbers!(&batch, "epoch", UInt32Type);
            let online = numbers!(&batch, "margin_online", Float32Type);
            let end = numbers!(&batch, "margin_end", Float32Type);
            let selected = column(&batch, "selected_by_peer")?.as_boolean();
            for i in 0..batch.num_rows() {
                let id: PairId = parse(ids.value(i))?;
                let pair = *positions.get(&id).ok_or_else(|| {
                    ArrowError::ParseError(format!("pair `{id}` is not in tags.parquet"))
                })?;
                let epoch = epoch.value(i) as usize;
                n_epochs = n_epochs.max(epoch + 1);
                let model = usize::from(models.value(i) == "b");
                cells.push((
                    pair,
                    model,
                    epoch,
                    [online.value(i), end.value(i)],
                    selected.value(i),
                ));
            }
            Ok(())
        };
        batch.and_then(read).map_err(|error| broken(path, error))?;
    }
    let n_pairs = positions.len();
    if n_epochs == 0 || cells.len() != n_pairs * n_epochs * 2 {
        return Err(broken(
            path,
            format!(
                "{} cells for {n_pairs} pairs and {n_epochs} epochs",
                cells.len()
            ),
        ));
    }
    let empty = ModelDynamics {
        margin_online: vec![0.0; n_pairs * n_epochs],
        margin_end: vec![0.0; n_pairs * n_epochs],
        selected: vec![false; n_pairs * n_epochs],
    };
    let mut dynamics = Dynamics {
        n_pairs,
        n_epochs,
        models: [empty.clone(), empty],
        drop_rates: vec![0.0; n_epochs],
    };
    for (pair, model, epoch, [online, end], selected) in cells {
        let at = epoch * n_pairs + pair;
        dynamics.models[model].margin_online[at] = online;
        dynamics.models[model].margin_end[at] = end;
        dynamics.models[model].selected[at] = selected;
    }
    Ok(dynamics)
}

fn read_planted(path: &Path) -> Result<Vec<PlantedScore>, PipelineError> {
    let mut planted = Vec::new();
    for batch in batches(path)? {
        let read = |batch: RecordBatch| -> Result<(), ArrowError> {
            let ids = texts(&batch, "pair_id")?;
            let round = numbers!(&batch, "round", UInt8Type);
            let score = numbers!(&batch, "score", Float64Type);
            for i in 0..batch.num_rows() {
                planted.push(PlantedScore {
                    id: parse(ids.value(i))?,
                    round: round.value(i),
                    score: score.value(i),
                });
            }
            Ok(())
        };
        batch.and_then(read).map_err(|error| broken(path, error))?;
    }
    Ok(planted)
}
