//! What a report shows of many pairs: quartiles, histograms and groups, by polars expressions.

use polars::prelude::*;

use super::evidence::Evidence;
use crate::report as view;
use crate::tags::{Tag, population_std};
use crate::train::Dynamics;

/// Loss of a margin, nats.
fn loss(margin: f32) -> f64 {
    crate::tags::signals::loss(f64::from(margin))
}

/// Pairs on the data map at most.
const MAP_POINTS: usize = 5000;
/// Sources listed at most; the rest are counted together.
const SOURCES: usize = 30;
/// Bins of the loss histogram.
const LOSS_BINS: usize = 40;
/// Edges between the bins of length difference, in characters.
const LENGTH_EDGES: [i64; 7] = [-400, -150, -50, 0, 50, 150, 400];
/// Half width of a central 90% interval of the standard normal.
const NORMAL_90: f64 = 1.645;
/// Tags that training gives.
const TRAINED: [Tag; 3] = [Tag::Robust, Tag::Ambiguous, Tag::Incorrect];

/// Mean loss of both models of each pair in an epoch: `[n_pairs]`, nats.
fn epoch_losses(dynamics: &Dynamics, epoch: usize, online: bool) -> Vec<f64> {
    let margins = |model| {
        if online {
            dynamics.online(model, epoch)
        } else {
            dynamics.end(model, epoch)
        }
    };
    let both = margins(0).iter().zip(margins(1));
    both.map(|(&a, &b)| f64::midpoint(loss(a), loss(b)))
        .collect()
}

/// The loss of one pair over the epochs, mean of both models, online, nats.
pub fn pair_losses(dynamics: &Dynamics, pair: usize) -> Vec<f64> {
    (0..dynamics.n_epochs)
        .map(|epoch| {
            f64::midpoint(
                loss(dynamics.online(0, epoch)[pair]),
                loss(dynamics.online(1, epoch)[pair]),
            )
        })
        .collect()
}

fn name_column(tags: &[Tag]) -> Column {
    let names: Vec<&str> = tags.iter().map(|tag| tag.as_str()).collect();
    Column::new("tag".into(), names)
}

/// Median and quartiles of the loss per tag and epoch.
///
/// # Errors
/// When polars fails.
pub fn trajectories(
    dynamics: &Dynamics,
    tags: &[Tag],
    online: bool,
) -> PolarsResult<Vec<view::TagTrajectory>> {
    let mut tables = Vec::new();
    for epoch in 0..dynamics.n_epochs {
        let losses = epoch_losses(dynamics, epoch, online);
        let quartile = |q: f64, name: &str| {
            col("loss")
                .quantile(lit(q), QuantileMethod::Linear)
                .alias(name)
        };
        let table = DataFrame::new(
            tags.len(),
            vec![name_column(tags), Column::new("loss".into(), losses)],
        )?
        .lazy()
        .group_by([col("tag")])
        .agg([
            len().alias("pairs"),
            quartile(0.25, "q1"),
            quartile(0.5, "median"),
            quartile(0.75, "q3"),
        ])
        .collect()?;
        tables.push(table);
    }
    let mut found = Vec::new();
    for tag in TRAINED {
        let mut epochs = Vec::new();
        let mut pairs = 0;
        for table in &tables {
            let Some(row) = row_of(table, tag)? else {
                continue;
            };
            pairs = u64::from(table.column("pairs")?.u32()?.get(row).unwrap_or(0));
            let value = |name: &str| -> PolarsResult<f64> {
                Ok(table.column(name)?.f64()?.get(row).unwrap_or(f64::NAN))
            };
            epochs.push(view::Quartiles {
                q1: value("q1")?,
                median: value("median")?,
                q3: value("q3")?,
            });
        }
        if pairs > 0 {
            found.push(view::TagTrajectory { tag, pairs, epochs });
        }
    }
    Ok(found)
}

fn row_of(table: &DataFrame, tag: Tag) -> PolarsResult<Option<usize>> {
    let names = table.column("tag")?.str()?;
    Ok(names.iter().position(|name| name == Some(tag.as_str())))
}

/// A sample of the data map, drawn by the pairs' own hashes.
pub fn data_map(evidence: &Evidence, tags: &[Tag]) -> Vec<view::MapPoint> {
    let mut order: Vec<usize> = (0..evidence.pairs.len()).collect();
    order.sort_by_cached_key(|&i| evidence.pairs[i].id.seeded_hash(0));
    order.truncate(MAP_POINTS);
    let mean = |i: usize, signal: fn(&crate::tags::Signals) -> f64| {
        let [a, b] = &evidence.pairs[i].signals;
        f64::midpoint(signal(a), signal(b))
    };
    order
        .into_iter()
        .map(|i| view::MapPoint {
            confidence: mean(i, |s| s.confidence),
            variability: mean(i, |s| s.variability),
            tag: tags[i],
        })
        .collect()
}

/// Histogram of the mean online loss per tag; the last bin takes what lies beyond its edge.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "bin numbers"
)]
pub fn loss_histogram(evidence: &Evidence, tags: &[Tag]) -> view::LossHistogram {
    let losses: Vec<f64> = evidence
        .pairs
        .iter()
        .map(|pair| f64::midpoint(pair.signals[0].mean_loss, pair.signals[1].mean_loss))
        .collect();
    let mut sorted = losses.clone();
    sorted.sort_by(f64::total_cmp);
    // a few extreme losses would squeeze all others into one bin
    let top = sorted
        .get((sorted.len() * 995 / 1000).min(sorted.len().saturating_sub(1)))
        .copied()
        .unwrap_or(1.0)
        .max(1e-6);
    let width = top / LOSS_BINS as f64;
    let count = |tag: Tag| {
        let mut counts = vec![0; LOSS_BINS];
        for (loss, _) in losses.iter().zip(tags).filter(|&(_, &own)| own == tag) {
            counts[((loss / width) as usize).min(LOSS_BINS - 1)] += 1;
        }
        view::TagCounts { tag, counts }
    };
    view::LossHistogram {
        edges: (0..=LOSS_BINS).map(|i| i as f64 * width).collect(),
        tags: TRAINED
            .into_iter()
            .filter(|tag| tags.contains(tag))
            .map(count)
            .collect(),
    }
}

/// Pairs per group with their tags: rows of group number, pairs, ambiguous, incorrect.
fn grouped(groups: &[u32], tags: &[Tag]) -> PolarsResult<Vec<(u32, [u64; 3])>> {
    let is = |tag: Tag| col("tag").eq(lit(tag.as_str())).sum();
    let table = DataFrame::new(
        tags.len(),
        vec![Column::new("group".into(), groups), name_column(tags)],
    )?
    .lazy()
    .group_by([col("group")])
    .agg([
        len().alias("pairs"),
        is(Tag::Ambiguous).alias("ambiguous"),
        is(Tag::Incorrect).alias("incorrect"),
    ])
    .sort(["group"], SortMultipleOptions::default())
    .collect()?;
    let column = |name: &str| -> PolarsResult<Vec<u64>> {
        let column = table.column(name)?.u32()?;
        Ok(column
            .iter()
            .map(|value| u64::from(value.unwrap_or(0)))
            .collect())
    };
    let (pairs, ambiguous, incorrect) =
        (column("pairs")?, column("ambiguous")?, column("incorrect")?);
    let groups = table.column("group")?.u32()?;
    let rows = groups.iter().zip(pairs).zip(ambiguous).zip(incorrect);
    Ok(rows
        .map(|(((group, p), a), i)| (group.unwrap_or(0), [p, a, i]))
        .collect())
}

/// Mean `p_incorrect` of some pairs with a normal interval for it.
#[expect(clippy::cast_precision_loss, reason = "counts of pairs")]
fn mean_p(
    p_incorrect: &[Option<f64>],
    chosen: impl Iterator<Item = usize>,
) -> Option<view::Estimate> {
    let values: Vec<f64> = chosen.filter_map(|i| p_incorrect[i]).collect();
    if values.is_empty() {
        return None;
    }
    let n = values.len() as f64;
    let value = values.iter().sum::<f64>() / n;
    let half = NORMAL_90 * population_std(&values) / n.sqrt();
    Some(view::Estimate {
        value,
        low: (value - half).max(0.0),
        high: (value + half).min(1.0),
        level: 0.9,
    })
}

/// Tags by source, largest source first.
///
/// # Errors
/// When polars fails.
pub fn by_source(
    evidence: &Evidence,
    column: &str,
    tags: &[Tag],
    p_incorrect: &[Option<f64>],
) -> PolarsResult<Option<view::BySource>> {
    if evidence.sources.is_empty() {
        return Ok(None);
    }
    let nameless = u32::try_from(evidence.sources.len()).expect("sources are counted in 32 bits");
    let groups: Vec<u32> = evidence
        .pairs
        .iter()
        .map(|pair| pair.source.unwrap_or(nameless))
        .collect();
    let mut rows = grouped(&groups, tags)?;
    rows.sort_by_key(|(group, [pairs, ..])| (std::cmp::Reverse(*pairs), *group));
    rows.truncate(SOURCES);
    let sources = rows
        .into_iter()
        .map(|(group, [pairs, ambiguous, incorrect])| view::Source {
            name: evidence
                .sources
                .get(group as usize)
                .cloned()
                .unwrap_or_else(|| "(none)".into()),
            pairs,
            ambiguous,
            incorrect,
            p_incorrect: mean_p(
                p_incorrect,
                (0..groups.len()).filter(|&i| groups[i] == group),
            ),
        })
        .collect();
    Ok(Some(view::BySource {
        column: column.to_owned(),
        sources,
    }))
}

/// Tags by the difference in length of the two responses, in characters.
///
/// # Errors
/// When polars fails.
pub fn by_length(
    evidence: &Evidence,
    tags: &[Tag],
    p_incorrect: &[Option<f64>],
) -> PolarsResult<view::ByLength> {
    let bin = |difference: i64| LENGTH_EDGES.partition_point(|&edge| edge <= difference);
    let groups: Vec<u32> = evidence
        .pairs
        .iter()
        .map(|pair| u32::try_from(bin(pair.length_difference)).expect("there are eight bins"))
        .collect();
    let rows = grouped(&groups, tags)?;
    let bins = (0..=LENGTH_EDGES.len())
        .map(|bin| {
            let counts = rows
                .iter()
                .find(|(group, _)| *group as usize == bin)
                .map_or([0; 3], |(_, c)| *c);
            view::LengthBin {
                low: bin.checked_sub(1).map(|i| LENGTH_EDGES[i]),
                high: LENGTH_EDGES.get(bin).copied(),
                pairs: counts[0],
                incorrect: counts[2],
                p_incorrect: mean_p(
                    p_incorrect,
                    (0..groups.len()).filter(|&i| groups[i] as usize == bin),
                ),
            }
        })
        .collect();
    Ok(view::ByLength {
        unit: "characters".into(),
        bins,
    })
}
