//! Share of planted flips that each model trained on, epoch by epoch.

use plotters::prelude::*;

use super::theme::{
    Area, Axes, BLUE, Drawn, Key, MUTED, PURPLE, chart, header, nothing, per_cent, plain, px,
    stroke,
};
use super::trajectories::last_epoch;
use crate::report::model::{HealthEpoch, Report};

pub(super) fn draw<DB: DrawingBackend>(root: &Area<DB>, report: &Report) -> Drawn<DB> {
    let key = |colour, words: &str| Key {
        colour,
        words: words.to_owned(),
    };
    let rest = header(
        root,
        "Planted flips the models still train on",
        "Below grey: wrong labels are sorted out better than chance.",
        &[
            key(BLUE, "model a"),
            key(PURPLE, "model b"),
            key(MUTED, "all pairs kept (1 − drop rate)"),
        ],
    )?;
    let epochs = &report.models.health.epochs;
    let known = |epoch: &HealthEpoch| epoch.planted_kept_a.or(epoch.planted_kept_b).is_some();
    if epochs.len() < 2 || !epochs.iter().any(known) {
        return nothing(
            &rest,
            "Not measured: it needs planted flips and two epochs.",
        );
    }
    let mut chart = chart(
        &rest,
        &Axes {
            x: 0.0..last_epoch(epochs.len()),
            y: 0.0..1.02,
            x_name: "epoch",
            y_name: "share trained on",
            x_labels: epochs.len().min(11),
            y_labels: 6,
            x_format: &plain,
            y_format: &per_cent,
            y_room: 56,
            x_grid: false,
        },
    )?;
    let series = |value: &dyn Fn(&HealthEpoch) -> Option<f64>| -> Vec<(f64, f64)> {
        (0_u32..)
            .zip(epochs)
            .filter_map(|(at, epoch)| Some((f64::from(at), value(epoch)?)))
            .filter(|point| point.1.is_finite())
            .collect()
    };
    let all = series(&|epoch| Some(1.0 - epoch.drop_rate));
    chart.draw_series(LineSeries::new(all, stroke(MUTED, 1.5)))?;
    for (colour, points) in [
        (BLUE, series(&|epoch| epoch.planted_kept_a)),
        (PURPLE, series(&|epoch| epoch.planted_kept_b)),
    ] {
        chart.draw_series(LineSeries::new(points.clone(), stroke(colour, 2.25)))?;
        chart.draw_series(
            points
                .into_iter()
                .map(|at| Circle::new(at, px(3), colour.filled())),
        )?;
    }
    Ok(())
}
