//! One serializable report, and its faces: JSON, Markdown, HTML, plots.

mod model;
mod plots;
mod text;
mod words;

#[cfg(test)]
mod example;
#[cfg(test)]
mod tests;

pub use model::*;
