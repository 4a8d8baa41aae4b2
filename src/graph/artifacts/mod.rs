//! Training artifacts: the four files that describe how a model is trained, as values.
//!
//! [`Artifacts`] is the folder that `generate_artifacts` of onnxruntime-training writes; [`Head`] is
//! one of a reward head that takes the size of the features at hand; [`make`] makes artifacts from a
//! forward model.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use super::GraphError;
use super::checkpoint::{Checkpoint, Parameter};
use super::external::{data_path, remove};
use super::optimizer::OptimizerSettings;
use super::proto::{DimProto, DimValue, GraphProto, ModelProto, ValueInfoProto, elem};

mod head;
pub mod make;
mod optimizer_model;

pub use head::{BUNDLED, CHOSEN, Head, REJECTED};

/// File of the graph that computes loss and gradients.
pub const TRAINING_MODEL: &str = "training_model.onnx";
/// File of the graph that only computes the loss.
pub const EVAL_MODEL: &str = "eval_model.onnx";
/// File of the graph of the optimizer's update.
pub const OPTIMIZER_MODEL: &str = "optimizer_model.onnx";
/// File of the parameters and the optimizer's state.
pub const CHECKPOINT: &str = "checkpoint";
/// File of a checkpoint without values, for a folder that has no [`CHECKPOINT`].
pub const NOMINAL_CHECKPOINT: &str = "nominal_checkpoint";

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
    /// [`GraphError::Malformed`] when no parameter is trainable, a parameter is not an input of the
    /// training graph in its shape, two have one name, or the optimizer's state is not that of the
    /// parameters.
    pub fn new(
        training: ModelProto,
        eval: ModelProto,
        optimizer: OptimizerSettings,
        mut checkpoint: Checkpoint,
    ) -> Result<Self, GraphError> {
        check_parameters(training.graph()?, &checkpoint)?;
        let inputs = training.graph()?.input.iter().enumerate();
        let positions: HashMap<&str, usize> = inputs
            .map(|(at, value)| (value.name.as_str(), at))
            .collect();
        let position = |name: &str| positions.get(name).copied().unwrap_or(usize::MAX);
        checkpoint.parameters.sort_by_key(|p| position(&p.name));
        checkpoint.buffers.sort_by_key(|b| position(&b.name));
        Ok(Self {
            training,
            eval,
            optimizer,
            checkpoint,
        })
    }

    /// Reads a folder with [`TRAINING_MODEL`], [`EVAL_MODEL`], [`OPTIMIZER_MODEL`] and [`CHECKPOINT`].
    ///
    /// The values of a nominal checkpoint are those of the initializers of the first model in the
    /// folder that has all of them.
    ///
    /// # Errors
    /// [`GraphError::Read`] or [`GraphError::File`] naming the file at fault.
    pub fn read(folder: &Path) -> Result<Self, GraphError> {
        let model = |name: &str| ModelProto::read(&folder.join(name));
        let optimizer_path = folder.join(OPTIMIZER_MODEL);
        let optimizer = OptimizerSettings::of(&ModelProto::read(&optimizer_path)?)
            .map_err(|error| GraphError::in_file(&optimizer_path, error))?;
        let mut path = folder.join(CHECKPOINT);
        if !path.exists() && folder.join(NOMINAL_CHECKPOINT).exists() {
            path = folder.join(NOMINAL_CHECKPOINT);
        }
        let mut checkpoint = Checkpoint::read(&path)?;
        if checkpoint.nominal {
            fill_nominal(&mut checkpoint, folder)
                .map_err(|error| GraphError::in_file(&path, error))?;
        }
        let (training, eval) = (model(TRAINING_MODEL)?, model(EVAL_MODEL)?);
        Self::new(training, eval, optimizer, checkpoint)
            .map_err(|error| GraphError::in_file(folder, error))
    }

    /// Reads the same four files from memory.
    ///
    /// # Errors
    /// [`GraphError::Malformed`] or [`GraphError::Unsupported`].
    pub fn from_bytes(
        training: &[u8],
        eval: &[u8],
        optimizer: &[u8],
        checkpoint: &[u8],
    ) -> Result<Self, GraphError> {
        let optimizer = OptimizerSettings::of(&ModelProto::from_bytes(optimizer)?)?;
        Self::new(
            ModelProto::from_bytes(training)?,
            ModelProto::from_bytes(eval)?,
            optimizer,
            Checkpoint::from_bytes(checkpoint)?,
        )
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
        std::fs::create_dir_all(folder).map_err(|error| write(folder, error))?;
        let aside = tempfile::tempdir_in(folder).map_err(|error| write(folder, error))?;
        self.checkpoint.write(&aside.path().join(CHECKPOINT))?;
        for (name, model) in [
            (OPTIMIZER_MODEL, &optimizer),
            (EVAL_MODEL, &self.eval),
            (TRAINING_MODEL, &self.training),
        ] {
            model.write(&aside.path().join(name))?;
        }
        let replace = |name: &str| -> std::io::Result<()> {
            let (from, to) = (aside.path().join(name), folder.join(name));
            remove(&to)?;
            remove(&data_path(&to))?;
            if data_path(&from).exists() {
                std::fs::rename(data_path(&from), data_path(&to))?;
            }
            std::fs::rename(&from, &to)
        };
        let last = folder.join(TRAINING_MODEL);
        remove(&last).map_err(|error| write(&last, error))?;
        for name in [CHECKPOINT, OPTIMIZER_MODEL, EVAL_MODEL, TRAINING_MODEL] {
            replace(name).map_err(|error| write(&folder.join(name), error))?;
        }
        Ok(())
    }

    /// All parameters, trainable and frozen, in the order of the training graph's inputs.
    #[must_use]
    pub fn parameters(&self) -> &[Parameter] {
        &self.checkpoint.parameters
    }
}

/// That the parameters are inputs of the training graph, and the optimizer's state theirs.
fn check_parameters(graph: &GraphProto, checkpoint: &Checkpoint) -> Result<(), GraphError> {
    let inputs: HashMap<&str, &ValueInfoProto> =
        graph.input.iter().map(|v| (v.name.as_str(), v)).collect();
    let mut names = HashSet::new();
    let floats = checkpoint.parameters.iter();
    let floats = floats.map(|p| (p.name.as_str(), elem::FLOAT, p.dims.as_slice()));
    let others = checkpoint.buffers.iter();
    let others = others.map(|b| (b.name.as_str(), b.data_type, b.dims.as_slice()));
    for (name, data_type, dims) in floats.chain(others) {
        if !names.insert(name) {
            let what = format!("the checkpoint has two parameters `{name}`");
            return Err(GraphError::Malformed(what));
        }
        let Some(input) = inputs.get(name) else {
            let what = format!("the training model has no input for parameter `{name}`");
            return Err(GraphError::Malformed(what));
        };
        if !has_shape(input, data_type, dims) {
            return Err(GraphError::Malformed(format!(
                "parameter `{name}` of the checkpoint, of element type {data_type} and dimensions \
                 {dims:?}, does not fit the input of the training model"
            )));
        }
    }
    if !checkpoint.parameters.iter().any(|p| p.trainable) {
        let what = "the checkpoint has no trainable parameters";
        return Err(GraphError::Malformed(what.into()));
    }
    for state in checkpoint.optimizers.iter().flat_map(|group| &group.states) {
        let parameter = checkpoint.parameter(&state.parameter);
        if parameter.is_none_or(|p| !p.trainable || p.dims != state.dims) {
            return Err(GraphError::Malformed(format!(
                "the optimizer's state of `{}`, of dimensions {:?}, is not that of a trainable \
                 parameter",
                state.parameter, state.dims
            )));
        }
    }
    Ok(())
}

/// Whether a declared value is a tensor of that type and may have that shape.
fn has_shape(value: &ValueInfoProto, data_type: i32, dims: &[i64]) -> bool {
    let Some(tensor) = value.tensor_type() else {
        return false;
    };
    let declared = tensor.shape.as_ref().map(|shape| shape.dim.as_slice());
    let fits = |declared: &[DimProto]| {
        let mut pairs = declared.iter().zip(dims);
        declared.len() == dims.len()
            && pairs.all(|(declared, dim)| match &declared.value {
                Some(DimValue::Size(size)) => size == dim,
                _ => true,
            })
    };
    tensor.elem_type == data_type && declared.is_none_or(fits)
}

/// Gives a nominal checkpoint the values of the first model in a folder that has them.
fn fill_nominal(checkpoint: &mut Checkpoint, folder: &Path) -> Result<(), GraphError> {
    let read = |source| GraphError::Read {
        path: folder.to_path_buf(),
        source,
    };
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(read)? {
        let path = entry.map_err(read)?.path();
        if path
            .extension()
            .is_some_and(|extension| extension == "onnx")
        {
            paths.push(path);
        }
    }
    paths.sort();
    for path in paths {
        if checkpoint.fill_from(&ModelProto::read(&path)?).is_ok() {
            return Ok(());
        }
    }
    Err(GraphError::Malformed(
        "a nominal checkpoint has no values, and no model beside it has an initializer for each \
         parameter"
            .into(),
    ))
}

#[cfg(test)]
mod tests;
