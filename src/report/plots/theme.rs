//! Colours, type sizes, headers and axes common to all plots.

use plotters::chart::ChartContext;
use plotters::coord::Shift;
use plotters::coord::types::RangedCoordf64;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use crate::report::model::Tag;

/// Drawing pixels for one pixel of the plot.
pub(super) const SCALE: u32 = 4;
const S: i32 = 4;

/// Colours that the page exchanges in dark mode (see the template).
pub(super) const PAPER: RGBColor = RGBColor(0xff, 0xff, 0xff);
pub(super) const INK: RGBColor = RGBColor(0x1f, 0x23, 0x28);
pub(super) const MUTED: RGBColor = RGBColor(0x59, 0x63, 0x6e);
pub(super) const GRID: RGBColor = RGBColor(0xdd, 0xe1, 0xe6);
pub(super) const AXIS: RGBColor = RGBColor(0x9a, 0xa3, 0xad);

/// Okabe and Ito's blue: what is neither a tag nor text.
pub(super) const BLUE: RGBColor = RGBColor(0x00, 0x72, 0xb2);
/// Okabe and Ito's reddish purple: the second of two.
pub(super) const PURPLE: RGBColor = RGBColor(0xcc, 0x79, 0xa7);

/// Okabe and Ito's palette, one colour per tag everywhere.
pub(super) const fn colour(tag: Tag) -> RGBColor {
    match tag {
        Tag::Robust => RGBColor(0x00, 0x9e, 0x73),
        Tag::Ambiguous => RGBColor(0xe6, 0x9f, 0x00),
        Tag::Incorrect => RGBColor(0xd5, 0x5e, 0x00),
        Tag::Undecidable => RGBColor(0x56, 0xb4, 0xe9),
        Tag::Unusable | Tag::Tie => RGBColor(0x80, 0x80, 0x80),
    }
}

pub(super) type Area<DB> = DrawingArea<DB, Shift>;
pub(super) type Drawn<DB> = Result<(), DrawingAreaErrorKind<<DB as DrawingBackend>::ErrorType>>;
pub(super) type Chart<'a, DB> = ChartContext<'a, DB, Cartesian2d<RangedCoordf64, RangedCoordf64>>;

/// A length in the plot's own pixels.
pub(super) const fn px(n: i32) -> i32 {
    n * S
}

/// A stroke in the plot's own pixels.
pub(super) fn stroke(colour: RGBColor, width: f64) -> ShapeStyle {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a few pixels"
    )]
    let width = (width * f64::from(S)).round() as u32;
    ShapeStyle {
        color: colour.to_rgba(),
        filled: false,
        stroke_width: width,
    }
}

/// Type of a size in the plot's own pixels.
pub(super) fn font(size: i32, colour: RGBColor) -> TextStyle<'static> {
    // plotters' sizes are line heights, about 1.24 times the nominal size
    ("sans-serif", f64::from(px(size)) * 1.24)
        .into_font()
        .color(&colour)
}

/// Type set from a corner or an edge.
pub(super) fn anchored(
    size: i32,
    colour: RGBColor,
    horizontal: HPos,
    vertical: VPos,
) -> TextStyle<'static> {
    font(size, colour).pos(Pos::new(horizontal, vertical))
}

/// One entry of a legend.
pub(super) struct Key {
    pub(super) colour: RGBColor,
    pub(super) words: String,
}

/// Title, a line below it, and a legend in a row; gives what is left of the area.
pub(super) fn header<DB: DrawingBackend>(
    root: &Area<DB>,
    title: &str,
    below: &str,
    keys: &[Key],
) -> Result<Area<DB>, DrawingAreaErrorKind<DB::ErrorType>> {
    let left = px(20);
    root.draw(&Text::new(title.to_owned(), (left, px(14)), font(16, INK)))?;
    root.draw(&Text::new(
        below.to_owned(),
        (left, px(38)),
        font(12, MUTED),
    ))?;
    let mut x = left;
    for key in keys {
        root.draw(&Rectangle::new(
            [(x, px(62)), (x + px(12), px(73))],
            key.colour.filled(),
        ))?;
        let style = anchored(12, INK, HPos::Left, VPos::Center);
        root.draw(&Text::new(
            key.words.clone(),
            (x + px(18), px(67)),
            style.clone(),
        ))?;
        let (width, _) = root.estimate_text_size(&key.words, &style)?;
        x += px(20) + i32::try_from(width).unwrap_or(0) + px(22);
    }
    let top = if keys.is_empty() { 62 } else { 82 };
    Ok(root.split_vertically(px(top)).1)
}

/// A plot without enough data says so.
pub(super) fn nothing<DB: DrawingBackend>(area: &Area<DB>, why: &str) -> Drawn<DB> {
    let (width, height) = area.dim_in_pixel();
    let (x, y) = (
        i32::try_from(width / 2).unwrap_or(0),
        i32::try_from(height / 2).unwrap_or(0),
    );
    area.draw(&Text::new(
        why.to_owned(),
        (x, y - px(20)),
        anchored(13, MUTED, HPos::Center, VPos::Center),
    ))
}

/// Axes of a chart.
pub(super) struct Axes<'a> {
    pub(super) x: std::ops::Range<f64>,
    pub(super) y: std::ops::Range<f64>,
    pub(super) x_name: &'a str,
    pub(super) y_name: &'a str,
    pub(super) x_labels: usize,
    pub(super) y_labels: usize,
    pub(super) x_format: &'a dyn Fn(&f64) -> String,
    pub(super) y_format: &'a dyn Fn(&f64) -> String,
    /// Room left of the chart for tick labels and the axis name.
    pub(super) y_room: i32,
    pub(super) x_grid: bool,
}

/// A number without more digits than it needs.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "what plotters calls")]
pub(super) fn plain(value: &f64) -> String {
    let text = format!("{value:.3}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    if text == "-0" {
        "0".to_owned()
    } else {
        text.replacen('-', "−", 1)
    }
}

/// A share as whole per cents, with a digit when needed.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "what plotters calls")]
pub(super) fn per_cent(value: &f64) -> String {
    let text = format!("{:.1}", 100.0 * value);
    format!("{}%", text.trim_end_matches('0').trim_end_matches('.'))
}

/// A chart with a light grid and named axes.
pub(super) fn chart<'a, DB: DrawingBackend + 'a>(
    area: &Area<DB>,
    axes: &Axes<'_>,
) -> Result<Chart<'a, DB>, DrawingAreaErrorKind<DB::ErrorType>> {
    let mut chart = ChartBuilder::on(area)
        .margin_right(px(22))
        .margin_left(px(12))
        .margin_top(px(10))
        .margin_bottom(px(8))
        .x_label_area_size(px(if axes.x_name.is_empty() { 26 } else { 44 }))
        .y_label_area_size(px(axes.y_room))
        .build_cartesian_2d(axes.x.clone(), axes.y.clone())?;
    let mut mesh = chart.configure_mesh();
    mesh.light_line_style(TRANSPARENT)
        .bold_line_style(stroke(GRID, 1.0))
        .axis_style(stroke(AXIS, 1.0))
        .label_style(font(12, MUTED))
        .axis_desc_style(font(12, INK))
        .x_labels(axes.x_labels)
        .y_labels(axes.y_labels)
        .x_label_formatter(axes.x_format)
        .y_label_formatter(axes.y_format)
        .set_all_tick_mark_size(px(4))
        .x_desc(axes.x_name)
        .y_desc(axes.y_name);
    if !axes.x_grid {
        mesh.disable_x_mesh();
    }
    mesh.draw()?;
    Ok(chart)
}

/// The next round number at or above `value`, for the end of an axis.
pub(super) fn round_up(value: f64) -> f64 {
    if !value.is_finite() || value <= 0.0 {
        return 1.0;
    }
    let step = 10_f64.powf(value.log10().floor());
    [1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0]
        .into_iter()
        .map(|factor| factor * step)
        .find(|end| *end >= value)
        .unwrap_or(value)
}
