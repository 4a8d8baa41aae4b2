//! The plots of a report, as SVG text and PNG files from one drawing function each.
//!
//! plotters stays in here. Everything is drawn at [`theme::SCALE`] times its
//! size: SVG then has coordinates of a quarter pixel, PNG is averaged down to
//! twice the size, which smooths what the bitmap backend leaves jagged.

mod by_length;
mod by_source;
mod charts;
mod data_map;
mod fluctuation;
mod histogram;
mod noise_kept;
mod roc;
mod theme;
mod trajectories;

use std::sync::Once;

use plotters::prelude::*;
use plotters::style::register_font;

use super::model::Report;
use theme::{Area, Drawn, SCALE};

static FONT: &[u8] = include_bytes!("../font/DejaVuSans-subset.ttf");
static FONT_ONCE: Once = Once::new();

/// PNG files have this many pixels for each of the plot's own.
const PNG_SCALE: u32 = 2;

/// A plot could not be drawn or written.
#[derive(Debug, thiserror::Error)]
#[error("failed to draw plot `{plot}`: {message}")]
pub struct PlotError {
    /// File name without extension.
    pub plot: &'static str,
    /// What the backend said.
    pub message: String,
}

/// One of the plots.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Plot {
    Trajectories,
    Fluctuation,
    DataMap,
    Histogram,
    Roc,
    BySource,
    ByLength,
    NoiseKept,
}

impl Plot {
    /// All plots in the order of the page.
    pub(super) const ALL: [Self; 8] = [
        Self::Trajectories,
        Self::Fluctuation,
        Self::DataMap,
        Self::Roc,
        Self::Histogram,
        Self::NoiseKept,
        Self::ByLength,
        Self::BySource,
    ];

    /// The plots that this report has something to say with.
    pub(super) fn of(report: &Report) -> Vec<Self> {
        Self::ALL
            .into_iter()
            .filter(|plot| match plot {
                Self::BySource => report.by_source.is_some(),
                Self::ByLength => report.by_length_difference.is_some(),
                _ => true,
            })
            .collect()
    }

    /// File name without extension.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Trajectories => "loss-trajectories",
            Self::Fluctuation => "sample-fluctuation",
            Self::DataMap => "data-map",
            Self::Histogram => "loss-histogram",
            Self::Roc => "planted-flips-roc",
            Self::BySource => "noise-by-source",
            Self::ByLength => "noise-by-length-difference",
            Self::NoiseKept => "noise-kept",
        }
    }

    /// What it shows and how to read it, for captions and alternative text.
    pub(super) const fn caption(self) -> &'static str {
        match self {
            Self::Trajectories => {
                "Loss over epochs for each tag: median (line) and the middle half of the pairs (band)."
            }
            Self::Fluctuation => "Loss of single pairs over epochs, a few for each tag.",
            Self::DataMap => {
                "Each dot is a pair. High and left: learned early and surely. Low and left: the models keep contradicting the label. Right: they cannot settle."
            }
            Self::Histogram => "Mean loss of a pair, as a share of the pairs with that tag.",
            Self::Roc => {
                "How planted flips rank against the rest: the further above the diagonal, the better the models find wrong labels."
            }
            Self::BySource => {
                "Estimated share of wrong labels by source, with its interval. A cross marks the share tagged incorrect."
            }
            Self::ByLength => {
                "Estimated share of wrong labels by how much longer the chosen side is. A cross marks the share tagged incorrect."
            }
            Self::NoiseKept => {
                "Share of planted flips that each model trained on. Below the grey line: the peer sorts out wrong labels better than chance."
            }
        }
    }

    /// Width and height in pixels.
    pub(super) fn size(self, report: &Report) -> (u32, u32) {
        match self {
            Self::Trajectories | Self::Fluctuation => (920, 440),
            Self::DataMap | Self::Roc => (600, 560),
            Self::Histogram | Self::NoiseKept => (600, 420),
            Self::ByLength => (920, by_length::height(report)),
            Self::BySource => (920, by_source::height(report)),
        }
    }

    /// Whether it takes the width of the page.
    pub(super) const fn is_wide(self) -> bool {
        matches!(
            self,
            Self::Trajectories | Self::Fluctuation | Self::BySource | Self::ByLength
        )
    }

    /// The plot as an SVG document.
    pub(super) fn svg(self, report: &Report) -> Result<String, PlotError> {
        OfRun { plot: self, report }.svg()
    }

    /// The plot as a PNG file's bytes.
    pub(super) fn png(self, report: &Report) -> Result<Vec<u8>, PlotError> {
        OfRun { plot: self, report }.png()
    }
}

/// A plot of a run with its numbers.
struct OfRun<'a> {
    plot: Plot,
    report: &'a Report,
}

impl Drawing for OfRun<'_> {
    fn name(&self) -> &'static str {
        self.plot.name()
    }

    fn size(&self) -> (u32, u32) {
        self.plot.size(self.report)
    }

    fn draw<DB: DrawingBackend>(&self, root: &Area<DB>) -> Drawn<DB> {
        let report = self.report;
        match self.plot {
            Plot::Trajectories => trajectories::draw(root, report),
            Plot::Fluctuation => fluctuation::draw(root, report),
            Plot::DataMap => data_map::draw(root, report),
            Plot::Histogram => histogram::draw(root, report),
            Plot::Roc => roc::draw(root, report),
            Plot::BySource => by_source::draw(root, report),
            Plot::ByLength => by_length::draw(root, report),
            Plot::NoiseKept => noise_kept::draw(root, report),
        }
    }
}

/// Something that can be drawn on any backend.
pub(super) trait Drawing {
    /// File name without extension.
    fn name(&self) -> &'static str;

    /// Width and height in pixels.
    fn size(&self) -> (u32, u32);

    /// Draws on an area of [`SCALE`] times the size, whose background is there.
    fn draw<DB: DrawingBackend>(&self, root: &Area<DB>) -> Drawn<DB>;

    /// As an SVG document.
    fn svg(&self) -> Result<String, PlotError> {
        register();
        let (width, height) = self.size();
        let (wide, high) = (width * SCALE, height * SCALE);
        let mut out = String::new();
        {
            let root = SVGBackend::with_string(&mut out, (wide, high)).into_drawing_area();
            whole(self, &root).map_err(|error| failed(self, error))?;
        }
        Ok(out
            .replacen(
                &format!("width=\"{wide}\" height=\"{high}\""),
                &format!("width=\"{width}\" height=\"{height}\""),
                1,
            )
            // the defaults of SVG, said again for every dot
            .replace(" stroke=\"none\" stroke-width=\"1\"", "")
            .replace("opacity=\"1\" ", ""))
    }

    /// As a PNG file's bytes.
    fn png(&self) -> Result<Vec<u8>, PlotError> {
        register();
        let (width, height) = self.size();
        let (wide, high) = (width * SCALE, height * SCALE);
        let mut pixels = vec![0_u8; (wide * high * 3) as usize];
        {
            let root = BitMapBackend::with_buffer(&mut pixels, (wide, high)).into_drawing_area();
            whole(self, &root).map_err(|error| failed(self, error))?;
        }
        let small = halve(&pixels, wide as usize, high as usize);
        // plotters encodes only into files, by their extension
        let dir = tempfile::tempdir().map_err(|error| failed(self, error))?;
        let path = dir.path().join("plot.png");
        let size = (width * PNG_SCALE, height * PNG_SCALE);
        let mut file = BitMapBackend::new(&path, size);
        file.blit_bitmap((0, 0), size, &small)
            .and_then(|()| file.present())
            .map_err(|error| failed(self, error))?;
        std::fs::read(&path).map_err(|error| failed(self, error))
    }
}

/// Background and drawing.
fn whole<DB: DrawingBackend>(drawing: &(impl Drawing + ?Sized), root: &Area<DB>) -> Drawn<DB> {
    root.fill(&theme::PAPER)?;
    drawing.draw(root)?;
    root.present()
}

fn failed(drawing: &(impl Drawing + ?Sized), error: impl std::fmt::Display) -> PlotError {
    PlotError {
        plot: drawing.name(),
        message: error.to_string(),
    }
}

fn register() {
    FONT_ONCE.call_once(|| {
        for style in [FontStyle::Normal, FontStyle::Bold] {
            register_font("sans-serif", style, FONT)
                .ok()
                .expect("the font is part of the program and a test reads it");
        }
    });
}

/// Averages squares of two by two RGB pixels.
fn halve(pixels: &[u8], width: usize, height: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(pixels.len() / 4);
    for y in (0..height).step_by(2) {
        for x in (0..width).step_by(2) {
            for channel in 0..3 {
                let at = |x: usize, y: usize| u32::from(pixels[(y * width + x) * 3 + channel]);
                let sum = at(x, y) + at(x + 1, y) + at(x, y + 1) + at(x + 1, y + 1);
                out.push(u8::try_from(sum.div_ceil(4).min(255)).unwrap_or(u8::MAX));
            }
        }
    }
    out
}
