//! `tags.parquet`, `dynamics.parquet` and `planted.parquet`: the evidence as tables.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Float32Array, Float64Array, ListBuilder, RecordBatch, StringArray,
    StringBuilder, StringDictionaryBuilder, UInt8Array, UInt32Array, UInt64Array,
};
use arrow::datatypes::UInt8Type;
use arrow::error::ArrowError;

use super::evidence::{Evidence, RowEvidence};
use super::outcome::Outcome;
use crate::tags::signals::loss;
use crate::tags::{Signals, Tag};

/// Rows written at a time.
const BATCH_ROWS: usize = 1 << 16;
const MODELS: [char; 2] = ['a', 'b'];

/// A table in the making.
struct Columns(Vec<(String, ArrayRef)>);

impl Columns {
    fn add(&mut self, name: impl Into<String>, array: impl arrow::array::Array + 'static) {
        self.0.push((name.into(), Arc::new(array)));
    }

    fn finish(self) -> Result<RecordBatch, ArrowError> {
        RecordBatch::try_from_iter_with_nullable(self.0.into_iter().map(|(name, array)| {
            // the schema must not depend on whether this batch holds a null
            let nullable = !matches!(
                name.as_str(),
                "pair_id" | "content_id" | "input" | "row" | "tag" | "epoch" | "model"
            );
            (name, array, nullable)
        }))
    }
}

fn names<'a>(values: impl Iterator<Item = Option<&'a str>>) -> StringArray {
    values.collect()
}

/// Few distinct words: a dictionary keeps them small in memory.
fn words<'a>(values: impl Iterator<Item = Option<&'a str>>) -> Result<ArrayRef, ArrowError> {
    let mut builder = StringDictionaryBuilder::<UInt8Type>::new();
    for value in values {
        match value {
            Some(word) => {
                builder.append(word)?;
            }
            None => builder.append_null(),
        }
    }
    Ok(Arc::new(builder.finish()))
}

/// One row for each row of the inputs, in reading order, in batches.
pub fn tags<'a>(
    evidence: &'a Evidence,
    outcome: &'a Outcome,
    inputs: &'a [String],
) -> impl Iterator<Item = Result<RecordBatch, ArrowError>> + 'a {
    let n = evidence.rows.len();
    (0..n.max(1)).step_by(BATCH_ROWS).map(move |start| {
        tags_batch(
            evidence,
            outcome,
            inputs,
            start..(start + BATCH_ROWS).min(n),
        )
    })
}

fn tags_batch(
    evidence: &Evidence,
    outcome: &Outcome,
    inputs: &[String],
    span: std::ops::Range<usize>,
) -> Result<RecordBatch, ArrowError> {
    let rows = &evidence.rows[span];
    let trained = || rows.iter().map(RowEvidence::trained);
    let decisions = || trained().map(|pair| pair.map(|i| &outcome.decisions[i]));
    let pairs = || trained().map(|pair| pair.map(|i| &evidence.pairs[i]));
    let mut columns = Columns(Vec::new());
    let ids = || rows.iter().map(|row| evidence.id_of(row));
    columns.add(
        "pair_id",
        StringArray::from_iter_values(ids().map(|id| id.to_string())),
    );
    columns.add(
        "content_id",
        StringArray::from_iter_values(ids().map(|id| id.content.to_string())),
    );
    let paths = rows.iter().map(|row| inputs[row.input as usize].as_str());
    columns.add("input", StringArray::from_iter_values(paths));
    columns.add(
        "row",
        UInt64Array::from_iter_values(rows.iter().map(|row| row.row)),
    );
    let tags: Vec<Tag> = rows.iter().map(|row| outcome.tag_of(row)).collect();
    columns.add(
        "tag",
        StringArray::from_iter_values(tags.iter().map(|tag| tag.as_str())),
    );
    columns.add(
        "suspicion",
        decisions()
            .map(|d| d.map(|d| d.suspicion))
            .collect::<Float64Array>(),
    );
    let p = trained().map(|pair| pair.and_then(|i| outcome.p_incorrect(i)));
    columns.add("p_incorrect", p.collect::<Float64Array>());
    columns.0.push((
        "evidence_source".into(),
        words(trained().map(|pair| pair.map(|_| outcome.evidence_source)))?,
    ));
    columns.add(
        "reason",
        names(rows.iter().map(|row| outcome.reason_of(row))),
    );
    let mut codes = ListBuilder::new(StringBuilder::new());
    for decision in decisions() {
        if let Some(decision) = decision {
            decision
                .evidence_codes
                .iter()
                .for_each(|code| codes.values().append_value(code.as_str()));
        }
        codes.append(decision.is_some());
    }
    columns.add("evidence_codes", codes.finish());
    columns.0.push((
        "region".into(),
        words(decisions().map(|d| d.map(|d| d.region.as_str())))?,
    ));
    columns.add(
        "removed",
        rows.iter()
            .map(|row| Some(outcome.removed(row)))
            .collect::<BooleanArray>(),
    );
    columns.0.push((
        "action".into(),
        words(
            rows.iter()
                .map(|row| Some(outcome.action_of(row).action().as_str())),
        )?,
    ));
    columns.add(
        "score",
        pairs()
            .map(|p| p.map(|p| p.score))
            .collect::<Float64Array>(),
    );
    columns.add(
        "round",
        pairs().map(|p| p.map(|p| p.round)).collect::<UInt8Array>(),
    );
    columns.add(
        "margin_cross_fit",
        pairs()
            .map(|p| p.and_then(|p| p.margin_cross_fit))
            .collect::<Float32Array>(),
    );
    columns.add(
        "margin_comparisons",
        pairs()
            .map(|p| p.and_then(|p| p.margin_comparisons))
            .collect::<Float32Array>(),
    );
    let differences = pairs().map(|p| p.map(|p| p.length_difference));
    columns.add(
        "length_difference",
        differences.collect::<arrow::array::Int64Array>(),
    );
    let source = pairs().map(|p| {
        p.and_then(|p| p.source)
            .map(|s| evidence.sources[s as usize].as_str())
    });
    columns.add("source", names(source));
    for (which, model) in MODELS.iter().enumerate() {
        let signal = |of: fn(&Signals) -> f64| -> Float64Array {
            pairs().map(|p| p.map(|p| of(&p.signals[which]))).collect()
        };
        let count = |of: fn(&Signals) -> Option<u32>| -> UInt32Array {
            pairs()
                .map(|p| p.and_then(|p| of(&p.signals[which])))
                .collect()
        };
        columns.add(format!("mean_loss_{model}"), signal(|s| s.mean_loss));
        columns.add(format!("std_loss_{model}"), signal(|s| s.std_loss));
        columns.add(format!("fluctuation_{model}"), signal(|s| s.fluctuation));
        columns.add(format!("confidence_{model}"), signal(|s| s.confidence));
        columns.add(format!("variability_{model}"), signal(|s| s.variability));
        columns.add(
            format!("correctness_{model}"),
            count(|s| Some(s.correctness)),
        );
        columns.add(format!("forgetting_{model}"), count(|s| s.forgetting));
        columns.add(
            format!("times_selected_{model}"),
            count(|s| Some(s.times_selected)),
        );
    }
    columns.finish()
}

/// One row for each trained pair, model and epoch.
pub fn dynamics(evidence: &Evidence) -> impl Iterator<Item = Result<RecordBatch, ArrowError>> + '_ {
    let n_epochs = evidence.dynamics.n_epochs;
    let pairs_at_once = (BATCH_ROWS / (2 * n_epochs).max(1)).max(1);
    let n = evidence.pairs.len();
    (0..n.max(1))
        .step_by(pairs_at_once)
        .map(move |start| dynamics_batch(evidence, start..(start + pairs_at_once).min(n)))
}

fn dynamics_batch(
    evidence: &Evidence,
    span: std::ops::Range<usize>,
) -> Result<RecordBatch, ArrowError> {
    let dynamics = &evidence.dynamics;
    let cells: Vec<(usize, usize, usize)> = span
        .flat_map(|pair| {
            (0..2).flat_map(move |model| {
                (0..dynamics.n_epochs).map(move |epoch| (pair, model, epoch))
            })
        })
        .collect();
    let float = |of: &dyn Fn(usize, usize, usize) -> f32| -> Float32Array {
        cells
            .iter()
            .map(|&(pair, model, epoch)| Some(of(pair, model, epoch)))
            .collect()
    };
    #[expect(
        clippy::cast_possible_truncation,
        reason = "losses are stored as f32, as margins are"
    )]
    let loss = |margin: f32| loss(f64::from(margin)) as f32;
    let online = |pair: usize, model: usize, epoch: usize| dynamics.online(model, epoch)[pair];
    let end = |pair: usize, model: usize, epoch: usize| dynamics.end(model, epoch)[pair];
    let mut columns = Columns(Vec::new());
    let ids = cells
        .iter()
        .map(|&(pair, ..)| evidence.pairs[pair].id.to_string());
    columns.add("pair_id", StringArray::from_iter_values(ids));
    let models = cells
        .iter()
        .map(|&(_, model, _)| if model == 0 { "a" } else { "b" });
    columns.add("model", StringArray::from_iter_values(models));
    let epochs = cells
        .iter()
        .map(|&(.., epoch)| u32::try_from(epoch).expect("epochs are few"));
    columns.add("epoch", UInt32Array::from_iter_values(epochs));
    columns.add("margin_online", float(&online));
    columns.add("loss_online", float(&|p, m, e| loss(online(p, m, e))));
    columns.add("margin_end", float(&end));
    columns.add("loss_end", float(&|p, m, e| loss(end(p, m, e))));
    let selected = cells
        .iter()
        .map(|&(pair, model, epoch)| Some(dynamics.selected(model, epoch)[pair]));
    columns.add("selected_by_peer", selected.collect::<BooleanArray>());
    columns.finish()
}

/// The calibration set: one row for each planted pair.
pub fn planted(evidence: &Evidence) -> Result<RecordBatch, ArrowError> {
    let planted = &evidence.planted;
    let mut columns = Columns(Vec::new());
    columns.add(
        "pair_id",
        StringArray::from_iter_values(planted.iter().map(|p| p.id.to_string())),
    );
    columns.add(
        "swapped",
        planted.iter().map(|_| Some(true)).collect::<BooleanArray>(),
    );
    columns.add(
        "round",
        planted
            .iter()
            .map(|p| Some(p.round))
            .collect::<UInt8Array>(),
    );
    columns.add(
        "score",
        planted
            .iter()
            .map(|p| Some(p.score))
            .collect::<Float64Array>(),
    );
    columns.finish()
}
