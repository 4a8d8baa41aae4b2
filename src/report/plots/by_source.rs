//! Estimated share of wrong labels per source.

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, VPos};

use super::theme::{
    Area, Axes, BLUE, Drawn, INK, MUTED, anchored, chart, colour, header, nothing, per_cent, px,
    round_up, stroke,
};
use crate::report::model::{Report, Source, Tag};
use crate::report::text::{count, label, put, share};

/// More rows than this go only into the table.
const ROWS: usize = 20;
const ROW: u32 = 26;

/// The plot grows with the sources; less room when there is nothing to compare.
pub(super) fn height(report: &Report) -> u32 {
    let sources = report
        .by_source
        .as_ref()
        .map_or(&[][..], |by_source| &by_source.sources);
    if sources.iter().all(|source| source.p_incorrect.is_none()) {
        return 160;
    }
    let rows = u32::try_from(sources.len().min(ROWS)).unwrap_or(0);
    140 + ROW * rows.max(2)
}

/// The part of a source or bin that is drawn: the estimate, or the share tagged.
pub(super) fn extent(p: Option<crate::report::model::Estimate>, tagged: f64) -> f64 {
    p.map_or(tagged, |p| p.high.max(p.value).max(tagged))
}

pub(super) fn draw<DB: DrawingBackend>(root: &Area<DB>, report: &Report) -> Drawn<DB> {
    let empty = Vec::new();
    let (column, sources) = report.by_source.as_ref().map_or(("", &empty), |by_source| {
        (by_source.column.as_str(), &by_source.sources)
    });
    let mut below =
        "Dot and line: mean of p_incorrect with its interval. Cross: share tagged incorrect."
            .to_owned();
    if sources.len() > ROWS {
        put!(
            below,
            " The {ROWS} largest of {} sources.",
            count(sources.len() as u64)
        );
    }
    let title = format!("Wrong labels by source (column {})", label(column, 40));
    let rest = header(root, &title, &below, &[])?;
    let mut rows: Vec<&Source> = sources.iter().take(ROWS).collect();
    if rows.iter().all(|source| source.p_incorrect.is_none()) {
        return nothing(
            &rest,
            "No calibrated probabilities, so sources cannot be compared.",
        );
    }
    let value = |source: &Source| source.p_incorrect.map_or(-1.0, |p| p.value);
    rows.sort_by(|x, y| value(x).total_cmp(&value(y)));
    let top = rows
        .iter()
        .map(|source| extent(source.p_incorrect, share(source.incorrect, source.pairs)))
        .fold(0.01, f64::max);
    let n = f64::from(u32::try_from(rows.len()).unwrap_or(u32::MAX));
    let mut chart = chart(
        &rest,
        &Axes {
            x: 0.0..round_up(top * 1.05).min(1.0),
            y: -0.6..(n - 0.4),
            x_name: "estimated share of wrong labels",
            y_name: "",
            x_labels: 8,
            y_labels: 0,
            x_format: &per_cent,
            y_format: &|_| String::new(),
            y_room: 330,
            x_grid: true,
        },
    )?;
    for (at, source) in (0_u32..).zip(&rows) {
        let y = f64::from(at);
        let (left, middle) = chart.backend_coord(&(0.0, y));
        root.draw(&Text::new(
            label(&source.name, 34),
            (left - px(66), middle),
            anchored(12, INK, HPos::Right, VPos::Center),
        ))?;
        root.draw(&Text::new(
            count(source.pairs),
            (left - px(12), middle),
            anchored(11, MUTED, HPos::Right, VPos::Center),
        ))?;
        if let Some(p) = source.p_incorrect {
            chart.draw_series([PathElement::new(
                [(p.low, y), (p.high, y)],
                stroke(BLUE, 2.0),
            )])?;
            chart.draw_series([Circle::new((p.value, y), px(4), BLUE.filled())])?;
        }
        chart.draw_series([Cross::new(
            (share(source.incorrect, source.pairs), y),
            px(4),
            stroke(colour(Tag::Incorrect), 1.75),
        )])?;
    }
    let (left, top) = chart.backend_coord(&(0.0, n - 0.4));
    root.draw(&Text::new(
        "pairs",
        (left - px(12), top - px(2)),
        anchored(11, MUTED, HPos::Right, VPos::Bottom),
    ))
}
