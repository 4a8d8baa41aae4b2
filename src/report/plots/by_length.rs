//! Estimated share of wrong labels by difference in length.

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, VPos};

use super::by_source::extent;
use super::theme::{
    Area, Axes, BLUE, Drawn, MUTED, anchored, chart, colour, font, header, nothing, per_cent, px,
    round_up, stroke,
};
use crate::report::model::{LengthBin, Report, Tag};
use crate::report::text::{count, label, share};

/// More bins than this do not fit their labels.
const BINS: usize = 10;

/// Less room when there is nothing to compare.
pub(super) fn height(report: &Report) -> u32 {
    let known = |bins: &[LengthBin]| bins.iter().any(|bin| bin.p_incorrect.is_some());
    let drawn = report
        .by_length_difference
        .as_ref()
        .is_some_and(|by_length| known(&by_length.bins));
    if drawn { 420 } else { 160 }
}

pub(super) fn draw<DB: DrawingBackend>(root: &Area<DB>, report: &Report) -> Drawn<DB> {
    let rest = header(
        root,
        "Wrong labels by difference in length",
        "Dot and line: mean of p_incorrect with its interval. Cross: share tagged incorrect.",
        &[],
    )?;
    let Some(by_length) = &report.by_length_difference else {
        return nothing(&rest, "Not measured.");
    };
    let bins: Vec<&LengthBin> = by_length
        .bins
        .iter()
        .filter(|bin| bin.pairs > 0)
        .take(BINS)
        .collect();
    if bins.iter().all(|bin| bin.p_incorrect.is_none()) {
        return nothing(
            &rest,
            "No calibrated probabilities, so lengths cannot be compared.",
        );
    }
    let top = bins
        .iter()
        .map(|bin| extent(bin.p_incorrect, share(bin.incorrect, bin.pairs)))
        .fold(0.01, f64::max);
    let n = f64::from(u32::try_from(bins.len()).unwrap_or(u32::MAX));
    let (upper, lower) = rest.split_vertically(px(278));
    let mut chart = chart(
        &upper,
        &Axes {
            x: -0.6..(n - 0.4),
            y: 0.0..round_up(top * 1.05).min(1.0),
            x_name: "",
            y_name: "estimated share of wrong labels",
            x_labels: 0,
            y_labels: 6,
            x_format: &|_| String::new(),
            y_format: &per_cent,
            y_room: 56,
            x_grid: false,
        },
    )?;
    for (at, bin) in (0_u32..).zip(&bins) {
        let x = f64::from(at);
        let (middle, bottom) = chart.backend_coord(&(x, 0.0));
        for (words, down) in [(range(bin), 10), (format!("n {}", count(bin.pairs)), 27)] {
            root.draw(&Text::new(
                words,
                (middle, bottom + px(down)),
                anchored(11, MUTED, HPos::Center, VPos::Top),
            ))?;
        }
        if let Some(p) = bin.p_incorrect {
            chart.draw_series([PathElement::new(
                [(x, p.low), (x, p.high)],
                stroke(BLUE, 2.0),
            )])?;
            chart.draw_series([Circle::new((x, p.value), px(4), BLUE.filled())])?;
        }
        chart.draw_series([Cross::new(
            (x, share(bin.incorrect, bin.pairs)),
            px(4),
            stroke(colour(Tag::Incorrect), 1.75),
        )])?;
    }
    let (width, _) = lower.dim_in_pixel();
    lower.draw(&Text::new(
        format!(
            "length of chosen less length of rejected ({})",
            label(&by_length.unit, 20)
        ),
        (i32::try_from(width).unwrap_or(0) / 2 + px(34), px(38)),
        font(12, super::theme::INK).pos(plotters::style::text_anchor::Pos::new(
            HPos::Center,
            VPos::Top,
        )),
    ))
}

/// A bin in few characters.
pub(super) fn range(bin: &LengthBin) -> String {
    let show = |n: i64| n.to_string().replacen('-', "−", 1);
    match (bin.low, bin.high) {
        (None, None) => "all".to_owned(),
        (None, Some(high)) => format!("< {}", show(high)),
        (Some(low), None) => format!("≥ {}", show(low)),
        (Some(low), Some(high)) => format!("{} to {}", show(low), show(high)),
    }
}
