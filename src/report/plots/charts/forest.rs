//! Effects with their intervals, one below the other.

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, VPos};

use super::{label_room, row_label};
use crate::report::document::{Estimated, Forest};
use crate::report::plots::theme::{
    AXIS, Area, Axes, BLUE, Drawn, MUTED, anchored, chart, header, nothing, per_cent, plain, px,
    stroke,
};
use crate::report::text::label;

/// More rows than this go only into the table.
pub(super) const ROWS: usize = 30;

pub(super) fn draw<DB: DrawingBackend>(root: &Area<DB>, data: &Forest) -> Drawn<DB> {
    let rest = header(root, &label(&data.title, 60), &label(&data.below, 110), &[])?;
    let rows: Vec<&Estimated> = data
        .rows
        .iter()
        .filter(|row| row.value.is_finite())
        .take(ROWS)
        .collect();
    if rows.is_empty() || !data.zero.is_finite() {
        return nothing(&rest, "Nothing to show.");
    }
    let reach = rows
        .iter()
        .flat_map(|row| row.finite_interval().unwrap_or([row.value; 2]))
        .chain(rows.iter().map(|row| row.value))
        .filter(|end| end.is_finite())
        .map(|end| (end - data.zero).abs())
        .fold(0.0, f64::max);
    let reach = if reach > 0.0 { reach * 1.08 } else { 1.0 };
    let range = (data.zero - reach)..(data.zero + reach);
    let n = f64::from(u32::try_from(rows.len()).unwrap_or(u32::MAX));
    let room = label_room(root);
    let mut chart = chart(
        &rest,
        &Axes {
            x: range.clone(),
            y: -0.6..(n - 0.4),
            x_name: &label(&data.x_name, 80),
            y_name: "",
            x_labels: 7,
            y_labels: 0,
            x_format: if data.percent { &per_cent } else { &plain },
            y_format: &|_| String::new(),
            y_room: room,
            x_grid: true,
        },
    )?;
    chart.draw_series([PathElement::new(
        [(data.zero, -0.6), (data.zero, n - 0.4)],
        stroke(AXIS, 1.75),
    )])?;
    for (at, row) in (0_u32..).zip(rows.iter().rev()) {
        let y = f64::from(at);
        row_label(root, &chart, range.start, y, &row.label, None)?;
        let clear = row
            .finite_interval()
            .is_none_or(|[low, high]| low > data.zero || high < data.zero);
        let colour = if clear { BLUE } else { MUTED };
        if let Some([low, high]) = row.finite_interval() {
            chart.draw_series([PathElement::new([(low, y), (high, y)], stroke(colour, 2.0))])?;
        }
        chart.draw_series([Circle::new((row.value, y), px(4), colour.filled())])?;
    }
    let (left, top) = chart.backend_coord(&(range.start, n - 0.4));
    let (right, _) = chart.backend_coord(&(range.end, n - 0.4));
    for (words, x, side) in [
        (&data.sides[0], left, HPos::Left),
        (&data.sides[1], right, HPos::Right),
    ] {
        if !words.is_empty() {
            root.draw(&Text::new(
                label(words, 40),
                (x, top - px(2)),
                anchored(11, MUTED, side, VPos::Bottom),
            ))?;
        }
    }
    Ok(())
}
