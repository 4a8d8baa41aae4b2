//! How numbers are spread: outlines over the same bins.

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, VPos};

use super::SERIES;
use crate::report::document::{Distribution, Series};
use crate::report::plots::theme::{
    Area, Axes, Drawn, INK, Key, MUTED, anchored, chart, header, nothing, per_cent, plain, px,
    round_up, stroke,
};
use crate::report::text::{count, label, share};

/// More bins than this are not drawn.
const BINS: usize = 400;

pub(super) fn draw<DB: DrawingBackend>(root: &Area<DB>, data: &Distribution) -> Drawn<DB> {
    let total = |series: &Series| series.counts.iter().sum::<u64>();
    let shown: Vec<(&Series, RGBColor)> = data
        .series
        .iter()
        .filter(|series| total(series) > 0 && series.counts.len() + 1 == data.edges.len())
        .zip(SERIES)
        .collect();
    let keys: Vec<Key> = shown
        .iter()
        .map(|(series, colour)| Key {
            colour: *colour,
            words: format!("{} ({})", label(&series.name, 24), count(total(series))),
        })
        .collect();
    let rest = header(
        root,
        &label(&data.title, 60),
        &label(&data.below, 110),
        &keys,
    )?;
    let edges = positions(data);
    let (Some(first), Some(last)) = (edges.first().copied(), edges.last().copied()) else {
        return nothing(&rest, "Nothing to show.");
    };
    let rising = edges
        .windows(2)
        .all(|two| two.iter().all(|x| x.is_finite()) && two[0] < two[1]);
    if shown.is_empty() || !rising || edges.len() > BINS + 1 {
        return nothing(&rest, "Nothing to show.");
    }
    let top = shown
        .iter()
        .flat_map(|(series, _)| series.counts.iter().map(|n| share(*n, total(series))))
        .fold(0.0, f64::max);
    let mut chart = chart(
        &rest,
        &Axes {
            x: first..last,
            y: 0.0..round_up(top * 1.02),
            x_name: if data.log { "" } else { &data.x_name },
            y_name: "share",
            x_labels: if data.log { 0 } else { 8 },
            y_labels: 6,
            x_format: &plain,
            y_format: &per_cent,
            y_room: 56,
            x_grid: false,
        },
    )?;
    for (series, colour) in shown {
        let all = total(series);
        let mut outline = vec![(first, 0.0)];
        for (bin, n) in edges.windows(2).zip(&series.counts) {
            outline.push((bin[0], share(*n, all)));
            outline.push((bin[1], share(*n, all)));
        }
        outline.push((last, 0.0));
        chart.draw_series(std::iter::once(Polygon::new(
            outline.clone(),
            colour.mix(0.16),
        )))?;
        chart.draw_series(LineSeries::new(outline, stroke(colour, 1.75)))?;
    }
    if data.log {
        ticks(root, &chart, first..last, &data.x_name)?;
    }
    Ok(())
}

/// Where the edges stand on the axis.
fn positions(data: &Distribution) -> Vec<f64> {
    if !data.log {
        return data.edges.clone();
    }
    let second = data.edges.get(1).copied().unwrap_or(1.0);
    data.edges
        .iter()
        .map(|edge| if *edge <= 0.0 { second / 2.0 } else { *edge }.log10())
        .collect()
}

/// Ticks at 1, 2, 5, 10 and so on, and the name of the axis.
fn ticks<DB: DrawingBackend>(
    root: &Area<DB>,
    chart: &crate::report::plots::theme::Chart<'_, DB>,
    range: std::ops::Range<f64>,
    name: &str,
) -> Drawn<DB> {
    let decades = range.end - range.start;
    let steps: &[f64] = if decades > 4.0 {
        &[1.0]
    } else {
        &[1.0, 2.0, 5.0]
    };
    for power in -3..=12 {
        for step in steps {
            let value = step * 10_f64.powi(power);
            let at = value.log10();
            if at < range.start || at > range.end {
                continue;
            }
            let (x, bottom) = chart.backend_coord(&(at, 0.0));
            root.draw(&PathElement::new(
                [(x, bottom), (x, bottom + px(4))],
                stroke(crate::report::plots::theme::AXIS, 1.0),
            ))?;
            root.draw(&Text::new(
                short(value),
                (x, bottom + px(7)),
                anchored(12, MUTED, HPos::Center, VPos::Top),
            ))?;
        }
    }
    let (left, bottom) = chart.backend_coord(&(range.start, 0.0));
    let (right, _) = chart.backend_coord(&(range.end, 0.0));
    root.draw(&Text::new(
        label(name, 60),
        (i32::midpoint(left, right), bottom + px(26)),
        anchored(12, INK, HPos::Center, VPos::Top),
    ))
}

/// 1, 500, 2k, 1M.
fn short(value: f64) -> String {
    for (unit, letter) in [(1e6, "M"), (1e3, "k")] {
        if value >= unit {
            return format!("{}{letter}", plain(&(value / unit)));
        }
    }
    plain(&value)
}
