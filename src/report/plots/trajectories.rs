//! Median loss and interquartile band per tag over epochs.

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, VPos};

use super::theme::{
    Area, Axes, Drawn, Key, MUTED, anchored, chart, colour, header, nothing, plain, round_up,
    stroke,
};
use crate::report::model::{Report, TagTrajectory};
use crate::report::text::count;

pub(super) fn draw<DB: DrawingBackend>(root: &Area<DB>, report: &Report) -> Drawn<DB> {
    let panels: Vec<(&str, &[TagTrajectory])> = [
        (
            "before the update that uses the pair",
            &report.trajectories.online[..],
        ),
        ("at the end of the epoch", &report.trajectories.end[..]),
    ]
    .into_iter()
    .filter(|(_, tags)| !tags.is_empty())
    .collect();
    let keys: Vec<Key> = panels
        .first()
        .map_or(&[][..], |panel| panel.1)
        .iter()
        .map(|tag| Key {
            colour: colour(tag.tag),
            words: format!("{} ({})", tag.tag.as_str(), count(tag.pairs)),
        })
        .collect();
    let rest = header(
        root,
        "Loss over epochs, by tag",
        "Line: median. Band: the middle half of the pairs. Mean of both models.",
        &keys,
    )?;
    let epochs = panels
        .iter()
        .flat_map(|panel| panel.1)
        .map(|tag| tag.epochs.len())
        .max()
        .unwrap_or(0);
    if epochs < 2 {
        return nothing(&rest, "Too few epochs: a trajectory needs at least two.");
    }
    let top = panels
        .iter()
        .flat_map(|panel| panel.1)
        .flat_map(|tag| &tag.epochs)
        .map(|at| at.q3)
        .filter(|loss| loss.is_finite())
        .fold(0.75, f64::max);
    let areas = rest.split_evenly((1, panels.len()));
    for (at, (area, (name, tags))) in areas.iter().zip(&panels).enumerate() {
        let x_name = format!("epoch ({name})");
        panel(area, tags, epochs, round_up(top * 1.02), &x_name, at == 0)?;
    }
    Ok(())
}

fn panel<DB: DrawingBackend>(
    area: &Area<DB>,
    tags: &[TagTrajectory],
    epochs: usize,
    top: f64,
    x_name: &str,
    first: bool,
) -> Drawn<DB> {
    let last = last_epoch(epochs);
    let mut chart = chart(
        area,
        &Axes {
            x: 0.0..last,
            y: 0.0..top,
            x_name,
            y_name: if first { "loss (nats)" } else { "" },
            x_labels: epochs.min(11),
            y_labels: 7,
            x_format: &plain,
            y_format: &plain,
            y_room: 46,
            x_grid: false,
        },
    )?;
    undecided(&mut chart, last, first)?;
    for tag in tags {
        let points: Vec<(f64, f64, f64, f64)> = (0_u32..)
            .zip(&tag.epochs)
            .filter(|(_, at)| at.q1.is_finite() && at.median.is_finite() && at.q3.is_finite())
            .map(|(epoch, at)| (f64::from(epoch), at.q1, at.median, at.q3))
            .collect();
        let mut band: Vec<(f64, f64)> = points.iter().map(|at| (at.0, at.3)).collect();
        band.extend(points.iter().rev().map(|at| (at.0, at.1)));
        chart.draw_series(std::iter::once(Polygon::new(
            band,
            colour(tag.tag).mix(0.2),
        )))?;
    }
    for tag in tags {
        let line = (0_u32..)
            .zip(&tag.epochs)
            .filter(|(_, at)| at.median.is_finite())
            .map(|(epoch, at)| (f64::from(epoch), at.median));
        chart.draw_series(LineSeries::new(line, stroke(colour(tag.tag), 2.25)))?;
    }
    Ok(())
}

/// The last epoch as a coordinate.
pub(super) fn last_epoch(epochs: usize) -> f64 {
    f64::from(u32::try_from(epochs.saturating_sub(1)).unwrap_or(u32::MAX))
}

/// A dashed line at the loss of a model that cannot decide.
pub(super) fn undecided<DB: DrawingBackend>(
    chart: &mut super::theme::Chart<'_, DB>,
    last: f64,
    named: bool,
) -> Drawn<DB> {
    let ln2 = std::f64::consts::LN_2;
    chart.draw_series(DashedLineSeries::new(
        [(0.0, ln2), (last, ln2)],
        super::theme::px(4),
        super::theme::px(4),
        stroke(MUTED, 1.0),
    ))?;
    if !named {
        return Ok(());
    }
    chart.draw_series(std::iter::once(Text::new(
        "undecided (ln 2)",
        (last * 0.985, ln2 + 0.01),
        anchored(11, MUTED, HPos::Right, VPos::Bottom),
    )))?;
    Ok(())
}
