//! Planted flips against the rest.

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, VPos};

use super::theme::{
    Area, Axes, BLUE, Drawn, INK, MUTED, anchored, chart, header, nothing, per_cent, px, stroke,
};
use crate::report::model::Report;
use crate::report::text::{counted, estimate};

pub(super) fn draw<DB: DrawingBackend>(root: &Area<DB>, report: &Report) -> Drawn<DB> {
    let detector = &report.detector;
    let below = format!(
        "{} against all other pairs, ranked by suspicion. Dashed: chance.",
        counted(detector.planted, "planted flip")
    );
    let rest = header(root, "Are planted flips found?", &below, &[])?;
    let points: Vec<(f64, f64)> = detector
        .roc
        .iter()
        .map(|point| (point.rest, point.planted))
        .filter(|point| point.0.is_finite() && point.1.is_finite())
        .collect();
    if points.len() < 3 || detector.planted == 0 {
        return nothing(&rest, "No planted flips were ranked.");
    }
    let mut chart = chart(
        &rest,
        &Axes {
            x: 0.0..1.0,
            y: 0.0..1.0,
            x_name: "other pairs at least this suspicious",
            y_name: "planted flips at least this suspicious",
            x_labels: 6,
            y_labels: 6,
            x_format: &per_cent,
            y_format: &per_cent,
            y_room: 60,
            x_grid: true,
        },
    )?;
    let mut below_curve = points.clone();
    below_curve.push((1.0, 0.0));
    below_curve.push((0.0, 0.0));
    chart.draw_series(std::iter::once(Polygon::new(below_curve, BLUE.mix(0.1))))?;
    chart.draw_series(DashedLineSeries::new(
        [(0.0, 0.0), (1.0, 1.0)],
        px(4),
        px(4),
        stroke(MUTED, 1.0),
    ))?;
    chart.draw_series(LineSeries::new(points, stroke(BLUE, 2.25)))?;
    let lines = [
        detector
            .auroc_observed
            .map(|e| ("AUROC, as measured", e, MUTED)),
        detector
            .auroc_corrected
            .map(|e| ("AUROC, corrected for labels wrong before", e, INK)),
    ];
    let mut y = 0.265;
    for (name, auroc, colour) in lines.into_iter().flatten() {
        for (words, size) in [(name.to_owned(), 11), (estimate(auroc), 13)] {
            chart.draw_series(std::iter::once(Text::new(
                words,
                (0.975, y),
                anchored(size, colour, HPos::Right, VPos::Center),
            )))?;
            y -= if size == 11 { 0.045 } else { 0.07 };
        }
    }
    Ok(())
}
