//! One serializable report, and its faces: JSON, Markdown, HTML, plots.

mod model;

pub use model::*;
