//! Graphs made by the crate, run on a stock ONNX Runtime and held to reference values.
//!
//! The reference values are in `data/`, made by the scripts of `tests/reference/`. The runtime
//! library and the default model are set up as a run does it; tests of another model need it
//! installed (`prefclean setup --backbone mpnet`) and say so otherwise.
#![expect(clippy::unwrap_used, reason = "a failed step is a failed test")]

mod backbone;
mod checkpoints;
mod differentiate;
mod heads;
mod lowering;
mod make;
mod models;
mod runtime;
mod training;
