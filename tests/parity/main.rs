//! Graphs made by the crate, run on a stock ONNX Runtime and held to reference values.
//!
//! The reference values are in `data/`, made by the scripts of `tests/reference/`. Tests that lack
//! the runtime library or a model say so and pass.
#![expect(clippy::unwrap_used, reason = "a failed step is a failed test")]

mod backbone;
mod heads;
mod runtime;
