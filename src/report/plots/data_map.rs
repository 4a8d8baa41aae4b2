//! Confidence against variability, a dot per pair.

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, VPos};

use super::theme::{
    Area, Axes, Drawn, Key, MUTED, anchored, chart, colour, header, nothing, plain, px,
};
use crate::report::model::{MapPoint, Report, Tag};
use crate::report::text::counted;

pub(super) fn draw<DB: DrawingBackend>(root: &Area<DB>, report: &Report) -> Drawn<DB> {
    let points: Vec<&MapPoint> = report
        .data_map
        .iter()
        .filter(|point| point.confidence.is_finite() && point.variability.is_finite())
        .collect();
    let tags: Vec<Tag> = Tag::ALL
        .into_iter()
        .filter(|tag| points.iter().any(|point| point.tag == *tag))
        .collect();
    let keys: Vec<Key> = tags
        .iter()
        .map(|tag| Key {
            colour: colour(*tag),
            words: tag.as_str().to_owned(),
        })
        .collect();
    let below = format!(
        "A sample of {}. p(chosen): how sure the models are of the label.",
        counted(points.len() as u64, "pair")
    );
    let rest = header(root, "Data map", &below, &keys)?;
    if points.len() < 10 {
        return nothing(&rest, "Too few pairs for a map.");
    }
    let widest = points
        .iter()
        .map(|point| point.variability)
        .fold(0.0, f64::max);
    // a little air, so that the last dots do not sit on the frame
    let right = (widest * 1.06).clamp(0.1, 0.52);
    let mut chart = chart(
        &rest,
        &Axes {
            x: 0.0..right,
            y: 0.0..1.0,
            x_name: "variability (standard deviation of p(chosen) over epochs)",
            y_name: "confidence (mean p(chosen) over epochs)",
            x_labels: 7,
            y_labels: 6,
            x_format: &plain,
            y_format: &plain,
            y_room: 52,
            x_grid: true,
        },
    )?;
    // dots of rare tags go on top
    for tag in &tags {
        let style = colour(*tag)
            .mix(if *tag == Tag::Robust { 0.4 } else { 0.6 })
            .filled();
        chart.draw_series(
            points
                .iter()
                .filter(|point| point.tag == *tag)
                .map(|point| Circle::new((point.variability, point.confidence), px(2), style)),
        )?;
    }
    let note = |words: &'static str, at, vertical| {
        Text::new(words, at, anchored(11, MUTED, HPos::Right, vertical))
    };
    chart.draw_series([
        note("easy to learn ↑", (right * 0.985, 0.985), VPos::Top),
        note("hard to learn ↓", (right * 0.985, 0.015), VPos::Bottom),
    ])?;
    Ok(())
}
