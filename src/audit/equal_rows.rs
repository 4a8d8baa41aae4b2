//! A scan for equal rows alone: a hash and lengths of each row, and nothing else.
//!
//! Row groups are read, decompressed and looked at in parallel; where there are too few of
//! them, the rows of a batch are.

use std::time::Instant;

use rayon::prelude::*;

use super::measure::Measures;
use super::rows::{RowFacts, Rows, Sides};
use super::scan::{ExtraCells, each_batch, lengths};
use super::sources::SourceNames;
use super::{AuditError, Timings};
use crate::pairs::{BatchRows, PairBatch, PairSource, Part};
use crate::progress::Progress;

/// Parts that a thread takes before all wait for each other: bounds how many rows wait.
const PARTS_A_THREAD: usize = 8;
/// Small row groups are read together, so that there are about as many parts: each reads its
/// file's metadata again.
const PARTS: u64 = 64;
/// Least rows of a part, but for the last of a file.
const PART_ROWS: u64 = 1 << 14;
/// Rows of a batch that a thread takes at a time.
const ROWS_A_TASK: usize = 64;

/// A row, and whether it could be split into texts.
type Row = (RowFacts, bool);

/// The rows of a source; takes up their lengths.
///
/// # Errors
/// When an input cannot be read.
pub(super) fn scan(
    source: &PairSource,
    source_column: Option<&str>,
    measures: &mut Measures,
    progress: &dyn Progress,
    timings: &mut Timings,
) -> Result<Rows, AuditError> {
    let begun = Instant::now();
    progress.begin("reading rows", Some(source.rows()), "rows");
    let mut rows = Rows::new(source);
    let mut names = SourceNames::default();
    let mut take = |looked: Vec<Row>| {
        for (facts, is_split) in looked {
            measures.take_lengths(&facts, is_split);
            rows.facts.push(facts);
        }
    };
    let columns = || source.shape().columns().chain(source_column);
    let parts = source.parts((source.rows() / PARTS).max(PART_ROWS));
    let threads = rayon::current_num_threads();
    if parts.len() < 2 * threads {
        each_batch(source.batches_of(columns())?, |batch| {
            let texts = source.rows_of(&batch)?;
            let mut looked: Vec<Row> = (0..texts.len())
                .into_par_iter()
                .with_min_len(ROWS_A_TASK)
                .map(|row| look(&batch, &texts, row))
                .collect();
            number_sources(&batch, source_column, &mut names, &mut looked);
            progress.advance(looked.len() as u64);
            take(looked);
            Ok(())
        })?;
    } else {
        for wave in parts.chunks(PARTS_A_THREAD * threads) {
            let looked = wave.par_iter().with_max_len(1).map(|part| {
                let looked = look_at_part(source, part, columns(), source_column)?;
                progress.advance(looked.0.len() as u64);
                Ok(looked)
            });
            for (mut looked, of_part) in looked.collect::<Result<Vec<_>, AuditError>>()? {
                let numbers = names.merge(&of_part);
                for (facts, _) in &mut looked {
                    facts.source = facts.source.and_then(|own| numbers[own as usize]);
                }
                take(looked);
            }
        }
    }
    progress.end();
    names.finish(&mut rows);
    timings.add("looking for equal rows", begun.elapsed().as_secs_f64());
    timings.of("ordering rows by content", || rows.finish());
    Ok(rows)
}

fn look_at_part<'a>(
    source: &PairSource,
    part: &Part,
    columns: impl IntoIterator<Item = &'a str>,
    source_column: Option<&str>,
) -> Result<(Vec<Row>, SourceNames), AuditError> {
    let (mut all, mut names) = (Vec::new(), SourceNames::default());
    for batch in source.batches_of_part(part, columns)? {
        let batch = batch?;
        let texts = source.rows_of(&batch)?;
        let begin = all.len();
        // in parallel too: a thread without a part of its own helps with the last ones
        let looked = (0..texts.len()).into_par_iter().with_min_len(ROWS_A_TASK);
        all.par_extend(looked.map(|row| look(&batch, &texts, row)));
        number_sources(&batch, source_column, &mut names, &mut all[begin..]);
    }
    Ok((all, names))
}

fn look(batch: &PairBatch, rows: &BatchRows, row: usize) -> Row {
    let content = rows.quick_content(row);
    let unusable = content.pair.as_ref().err().copied();
    let texts = content.pair.or_else(|_| rows.texts(row));
    let is_split = texts.is_ok();
    let texts = texts.unwrap_or_else(|_| rows.whole_text(row));
    let facts = RowFacts {
        content: content.content,
        orientation: content.orientation,
        unusable,
        source: None,
        index: u32::try_from(batch.at(row).index).expect("the scan refuses more rows"),
        texts: Sides::default(),
        loose: Sides::default(),
        lengths: lengths(&texts),
    };
    (facts, is_split)
}

fn number_sources(
    batch: &PairBatch,
    column: Option<&str>,
    names: &mut SourceNames,
    looked: &mut [Row],
) {
    let Some(column) = column else { return };
    let cells = ExtraCells::of(batch, &[column.to_owned()]);
    for (row, (facts, _)) in looked.iter_mut().enumerate() {
        facts.source = cells.text(column, row).and_then(|name| names.number(name));
    }
}
