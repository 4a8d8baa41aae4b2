//! Training artifacts: the four files that describe how a model is trained, as values.
//!
//! [`Artifacts`] is the folder that `generate_artifacts` of onnxruntime-training writes; [`Head`] is
//! one of a reward head that takes the size of the features at hand.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use super::GraphError;
use super::checkpoint::{Checkpoint, Parameter};
use super::optimizer::OptimizerSettings;
use super::proto::{GraphProto, ModelProto};

mod head;
mod optimizer_model;

pub use head::{BUNDLED, CHOSEN, Head, LoweredHead, REJECTED};

/// File of the graph that computes loss and gradients.
pub const TRAINING_MODEL: &str = "training_model.onnx";
/// File of the graph that only computes the loss.
pub const EVAL_MODEL: &str = "eval_model.onnx";
/// File of the graph of the optimizer's update.
pub const OPTIMIZER_MODEL: &str = "optimizer_model.onnx";
/// File of the parameters and the optimizer's state.
pub const CHECKPOINT: &str = "checkpoint";

/// What trains a model: the graph with its gradients, the graph that measures, the optimizer and
/// the parameters.
#[derive(Clone, Debug, PartialEq)]
pub struct Artifacts {
    /// Forward graph, loss and gradients. Inputs: data, every parameter, an accumulation buffer per
    /// trainable parameter, the flag that resets them. Outputs: the loss first.
    pub training: ModelProto,
    /// Forward graph and loss. Inputs: data and every parameter.
    pub eval: ModelProto,
    /// How gradients become updates.
    pub optimizer: OptimizerSettings,
    /// The parameters, in the order of the training graph's inputs, and the optimizer's state.
    pub checkpoint: Checkpoint,
}

impl Artifacts {
    /// Puts artifacts together, and the parameters into the order of the training graph's inputs:
    /// that of the file depends on a hash table.
    ///
    /// # Errors
    /// [`GraphError::Malformed`] when no parameter is trainable, two have one name, or the graph has
    /// no input of a parameter's name.
    pub fn new(
        training: ModelProto,
        eval: ModelProto,
        optimizer: OptimizerSettings,
        mut checkpoint: Checkpoint,
    ) -> Result<Self, GraphError> {
        let inputs = graph_of(&training).input.iter().enumerate();
        let positions: HashMap<&str, usize> = inputs
            .map(|(at, value)| (value.name.as_str(), at))
            .collect();
        let mut names = HashSet::new();
        for parameter in &checkpoint.parameters {
            let name = parameter.name.as_str();
            if !names.insert(name) {
                let what = format!("the checkpoint has two parameters `{name}`");
                return Err(GraphError::Malformed(what));
            }
            if parameter.trainable && !positions.contains_key(name) {
                let what = format!("the training model has no input for parameter `{name}`");
                return Err(GraphError::Malformed(what));
            }
        }
        if !checkpoint.parameters.iter().any(|p| p.trainable) {
            let what = "the checkpoint has no trainable parameters";
            return Err(GraphError::Malformed(what.into()));
        }
        let position = |p: &Parameter| positions.get(p.name.as_str()).copied();
        checkpoint
            .parameters
            .sort_by_key(|p| (position(p).unwrap_or(usize::MAX), p.name.clone()));
        Ok(Self {
            training,
            eval,
            optimizer,
            checkpoint,
        })
    }

    /// Reads a folder with [`TRAINING_MODEL`], [`EVAL_MODEL`], [`OPTIMIZER_MODEL`] and [`CHECKPOINT`].
    ///
    /// # Errors
    /// [`GraphError::Read`] or [`GraphError::File`] naming the file at fault.
    pub fn read(folder: &Path) -> Result<Self, GraphError> {
        let model = |name: &str| ModelProto::read(&folder.join(name));
        let optimizer_path = folder.join(OPTIMIZER_MODEL);
        let optimizer = OptimizerSettings::of(&ModelProto::read(&optimizer_path)?)
            .map_err(|error| GraphError::in_file(&optimizer_path, error))?;
        let checkpoint = Checkpoint::read(&folder.join(CHECKPOINT))?;
        Self::new(
            model(TRAINING_MODEL)?,
            model(EVAL_MODEL)?,
            optimizer,
            checkpoint,
        )
        .map_err(|error| GraphError::in_file(folder, error))
    }

    /// Writes the folder; onnxruntime-training 1.19.2 reads it too.
    ///
    /// The files are written aside and renamed, the training model last: a folder that holds one is
    /// complete.
    ///
    /// # Errors
    /// [`GraphError::Write`], or what [`Checkpoint::to_bytes`] refuses.
    pub fn write(&self, folder: &Path) -> Result<(), GraphError> {
        let write = |path: &Path, source| GraphError::Write {
            path: path.to_path_buf(),
            source,
        };
        let optimizer = optimizer_model::optimizer_model(&self.optimizer, self.training.opset());
        let files = [
            (CHECKPOINT, self.checkpoint.to_bytes()?),
            (OPTIMIZER_MODEL, optimizer.to_bytes()),
            (EVAL_MODEL, self.eval.to_bytes()),
            (TRAINING_MODEL, self.training.to_bytes()),
        ];
        std::fs::create_dir_all(folder).map_err(|error| write(folder, error))?;
        let aside = tempfile::tempdir_in(folder).map_err(|error| write(folder, error))?;
        for (name, bytes) in &files {
            let path = aside.path().join(name);
            std::fs::write(&path, bytes).map_err(|error| write(&path, error))?;
        }
        let last = folder.join(TRAINING_MODEL);
        if last.exists() {
            std::fs::remove_file(&last).map_err(|error| write(&last, error))?;
        }
        for (name, _) in &files {
            let path = folder.join(name);
            std::fs::rename(aside.path().join(name), &path).map_err(|error| write(&path, error))?;
        }
        Ok(())
    }

    /// All parameters, trainable and frozen, in the order of the training graph's inputs.
    #[must_use]
    pub fn parameters(&self) -> &[Parameter] {
        &self.checkpoint.parameters
    }
}

fn graph_of(model: &ModelProto) -> &GraphProto {
    // reading a model checks that
    model
        .graph
        .as_ref()
        .expect("a model that was read has a graph")
}

#[cfg(test)]
mod tests;
