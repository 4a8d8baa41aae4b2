//! A rate over ordered groups, with intervals.

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, VPos};

use crate::report::document::{Estimated, Rates};
use crate::report::plots::theme::{
    AXIS, Area, Axes, BLUE, Drawn, INK, MUTED, anchored, chart, header, nothing, per_cent, px,
    stroke,
};
use crate::report::text::{count, label};

/// More groups than this do not fit their labels.
const GROUPS: usize = 15;

pub(super) fn draw<DB: DrawingBackend>(root: &Area<DB>, data: &Rates) -> Drawn<DB> {
    let rest = header(root, &label(&data.title, 60), &label(&data.below, 110), &[])?;
    let groups: Vec<&Estimated> = data
        .groups
        .iter()
        .filter(|group| group.n > 0 && group.value.is_finite())
        .take(GROUPS)
        .collect();
    if groups.is_empty() {
        return nothing(&rest, "Nothing to show.");
    }
    let (low, high) = extent(&groups, data.reference);
    let n = f64::from(u32::try_from(groups.len()).unwrap_or(u32::MAX));
    let (upper, lower) = rest.split_vertically(px(284));
    let mut chart = chart(
        &upper,
        &Axes {
            x: -0.6..(n - 0.4),
            y: low..high,
            x_name: "",
            y_name: &label(&data.y_name, 40),
            x_labels: 0,
            y_labels: 6,
            x_format: &|_| String::new(),
            y_format: &per_cent,
            y_room: 56,
            x_grid: false,
        },
    )?;
    if let Some(reference) = data.reference.filter(|at| at.is_finite()) {
        chart.draw_series([PathElement::new(
            [(-0.6, reference), (n - 0.4, reference)],
            stroke(AXIS, 1.5),
        )])?;
    }
    let line = groups.iter().zip(0_u32..);
    chart.draw_series([PathElement::new(
        line.map(|(group, at)| (f64::from(at), group.value))
            .collect::<Vec<_>>(),
        stroke(BLUE, 1.0),
    )])?;
    for (at, group) in (0_u32..).zip(&groups) {
        let x = f64::from(at);
        let (middle, bottom) = chart.backend_coord(&(x, low));
        let words = [
            (label(&group.label, 16), 10),
            (format!("n {}", count(group.n)), 27),
        ];
        for (words, down) in words {
            root.draw(&Text::new(
                words,
                (middle, bottom + px(down)),
                anchored(if n > 9.0 { 9 } else { 11 }, MUTED, HPos::Center, VPos::Top),
            ))?;
        }
        if let Some([low, high]) = group.finite_interval() {
            chart.draw_series([PathElement::new([(x, low), (x, high)], stroke(BLUE, 2.0))])?;
        }
        chart.draw_series([Circle::new((x, group.value), px(4), BLUE.filled())])?;
    }
    let (width, _) = lower.dim_in_pixel();
    lower.draw(&Text::new(
        label(&data.x_name, 80),
        (i32::try_from(width).unwrap_or(0) / 2 + px(34), px(36)),
        anchored(12, INK, HPos::Center, VPos::Top),
    ))
}

/// From where to where the axis goes: all intervals, in steps of five per cent.
fn extent(groups: &[&Estimated], reference: Option<f64>) -> (f64, f64) {
    let ends = groups
        .iter()
        .flat_map(|group| group.finite_interval().unwrap_or([group.value; 2]))
        .chain(groups.iter().map(|group| group.value))
        .chain(reference)
        .filter(|end| end.is_finite());
    let (low, high) = ends.fold((1.0_f64, 0.0_f64), |(low, high), end| {
        (low.min(end), high.max(end))
    });
    let low = ((low * 20.0).floor() / 20.0).clamp(0.0, 0.95);
    let high = ((high * 20.0).ceil() / 20.0).clamp(low + 0.05, 1.0);
    (low, high)
}
