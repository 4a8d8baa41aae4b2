//! Gradients of operators as small graphs of standard ones.
//!
//! Free functions over a [`Builder`]: names of values go in, names of the gradients come out. `lower`
//! puts them in the place of training-only operators, `differentiate` makes whole backward passes of
//! them. By convention `g` is the incoming gradient, `x` a forward input and `y` a forward output;
//! values are f32 unless said otherwise.

pub mod activations;
pub mod broadcast;
pub mod indexing;
pub mod losses;
pub mod norms;
pub mod softmax;

use super::builder::Builder;
