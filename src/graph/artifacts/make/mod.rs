//! Makes training artifacts from a forward model.
//!
//! [`ForwardModel`] reads an export and brings it to one form; [`compose`] adds pooling, reward head
//! and loss and says which parameters train ([`Train`]); [`Composed::artifacts`] adds the gradients and gives
//! the four files. [`export`] goes the other way: from artifacts and a trained checkpoint
//! to a forward model that gives rewards.

mod assemble;
mod compose;
mod cut;
mod export;
mod forward;
mod lora;
mod loss;
mod nameless;
mod names;
mod normal;
mod opset;
mod parameters;
mod pooling;
mod random;
mod summary;
mod train;

#[cfg(test)]
mod tests;

pub use compose::{
    ComposeOptions, Composed, FEATURES_MEAN, FEATURES_SCALE, HEAD_WEIGHT, HeadStart, REWARD,
    Standardisation, compose,
};
pub use cut::{Cut, STATES, cut};
pub use export::export;
pub use forward::{ForwardModel, Gives};
pub use loss::{Correction, LossOptions, TARGET_MARGIN, WEIGHT};
pub use parameters::Place;
pub use pooling::{Pool, PoolOver};
pub use summary::{Part, PartName};
pub use train::Train;
