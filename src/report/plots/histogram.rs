//! Mean loss of a pair, as a share of its tag.

use plotters::prelude::*;

use super::theme::{
    Area, Axes, Drawn, Key, chart, colour, header, nothing, per_cent, plain, round_up, stroke,
};
use crate::report::model::{Report, TagCounts};
use crate::report::text::{count, share};

pub(super) fn draw<DB: DrawingBackend>(root: &Area<DB>, report: &Report) -> Drawn<DB> {
    let edges = &report.loss_histogram.edges;
    let total = |tag: &TagCounts| tag.counts.iter().sum::<u64>();
    let tags: Vec<&TagCounts> = report
        .loss_histogram
        .tags
        .iter()
        .filter(|tag| total(tag) > 0 && tag.counts.len() + 1 == edges.len())
        .collect();
    let keys: Vec<Key> = tags
        .iter()
        .map(|tag| Key {
            colour: colour(tag.tag),
            words: format!("{} ({})", tag.tag.as_str(), count(total(tag))),
        })
        .collect();
    let rest = header(
        root,
        "How high the loss is, by tag",
        "Each outline adds up to 100% of its tag. Mean over epochs and models.",
        &keys,
    )?;
    let (Some(first), Some(last)) = (edges.first(), edges.last()) else {
        return nothing(&rest, "No losses to show.");
    };
    if tags.is_empty() || first.partial_cmp(last) != Some(std::cmp::Ordering::Less) {
        return nothing(&rest, "No losses to show.");
    }
    let top = tags
        .iter()
        .flat_map(|tag| tag.counts.iter().map(|n| share(*n, total(tag))))
        .fold(0.0, f64::max);
    let mut chart = chart(
        &rest,
        &Axes {
            x: *first..*last,
            y: 0.0..round_up(top * 1.02),
            x_name: "mean loss (nats)",
            y_name: "share of the tag's pairs",
            x_labels: 8,
            y_labels: 6,
            x_format: &plain,
            y_format: &per_cent,
            y_room: 56,
            x_grid: false,
        },
    )?;
    for tag in tags {
        let all = total(tag);
        let mut outline = vec![(*first, 0.0)];
        for (bin, n) in edges.windows(2).zip(&tag.counts) {
            outline.push((bin[0], share(*n, all)));
            outline.push((bin[1], share(*n, all)));
        }
        outline.push((*last, 0.0));
        chart.draw_series(std::iter::once(Polygon::new(
            outline.clone(),
            colour(tag.tag).mix(0.18),
        )))?;
        chart.draw_series(LineSeries::new(outline, stroke(colour(tag.tag), 1.75)))?;
    }
    Ok(())
}
