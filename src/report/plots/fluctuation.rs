//! The loss of single pairs over epochs, a panel per tag.

use plotters::prelude::*;

use super::theme::{
    Area, Axes, Drawn, chart, colour, header, nothing, plain, px, round_up, stroke,
};
use super::trajectories::{last_epoch, undecided};
use crate::report::model::{PairTrajectory, Report, Tag};

/// More lines than this cannot be told apart.
const LINES: usize = 8;

pub(super) fn draw<DB: DrawingBackend>(root: &Area<DB>, report: &Report) -> Drawn<DB> {
    let rest = header(
        root,
        "Single pairs over epochs",
        "Each line is the loss of one pair before the update that uses it, mean of both models.",
        &[],
    )?;
    let pairs = &report.trajectories.sample_pairs;
    let panels: Vec<(Tag, Vec<&PairTrajectory>)> = Tag::ALL
        .into_iter()
        .map(|tag| {
            (
                tag,
                pairs
                    .iter()
                    .filter(|pair| pair.tag == tag)
                    .take(LINES)
                    .collect(),
            )
        })
        .filter(|(_, pairs): &(_, Vec<_>)| !pairs.is_empty())
        .collect();
    let epochs = pairs.iter().map(|pair| pair.loss.len()).max().unwrap_or(0);
    if panels.is_empty() || epochs < 2 {
        return nothing(&rest, "No sample of pairs with at least two epochs.");
    }
    let top = panels
        .iter()
        .flat_map(|panel| &panel.1)
        .flat_map(|pair| &pair.loss)
        .copied()
        .filter(|loss| loss.is_finite())
        .fold(0.75, f64::max);
    let areas = rest.split_evenly((1, panels.len()));
    for (at, (area, (tag, pairs))) in areas.iter().zip(&panels).enumerate() {
        let last = last_epoch(epochs);
        let x_name = format!("epoch ({})", tag.as_str());
        let mut chart = chart(
            area,
            &Axes {
                x: 0.0..last,
                y: 0.0..round_up(top * 1.02),
                x_name: &x_name,
                y_name: if at == 0 { "loss (nats)" } else { "" },
                x_labels: epochs.min(9),
                y_labels: 7,
                x_format: &plain,
                y_format: &plain,
                y_room: 46,
                x_grid: false,
            },
        )?;
        undecided(&mut chart, last, at == 0)?;
        for pair in pairs {
            let points: Vec<(f64, f64)> = (0_u32..)
                .zip(&pair.loss)
                .filter(|(_, loss)| loss.is_finite())
                .map(|(epoch, loss)| (f64::from(epoch), *loss))
                .collect();
            let mut style = stroke(colour(*tag), 1.5);
            style.color = colour(*tag).mix(0.75);
            chart.draw_series(LineSeries::new(points.iter().copied(), style))?;
            chart.draw_series(
                points
                    .iter()
                    .map(|at| Circle::new(*at, px(2), colour(*tag).filled())),
            )?;
        }
    }
    Ok(())
}
