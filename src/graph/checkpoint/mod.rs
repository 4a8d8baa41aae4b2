//! The `checkpoint` file of training artifacts: a flatbuffer with identifier `ODTC`.
//!
//! Holds the parameters, the optimizer's state and properties. The layout is that of
//! onnxruntime-training 1.19.2 (version 2), which reads what is written here. Parameters may lie in a
//! file of their own, `NAME.data`; a nominal checkpoint only names them. Every offset is checked, so
//! a hostile file is an error.

use std::collections::BTreeMap;
use std::path::Path;

use super::external::{ExternalFile, ExternalWriter, Replacement, data_path, resolve};
use super::proto::{ModelProto, TensorProto};
use super::{GraphError, read_bounded};

mod flatbuffer;
mod layout;

/// Size of all values beyond which they are written to a file of their own.
const MAX_INLINE_BYTES: u64 = 1 << 30;

/// Parameters and, once training has begun, the optimizer's state.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Checkpoint {
    /// The f32 parameters: trainable ones first, then frozen ones, in the order of the file.
    pub parameters: Vec<Parameter>,
    /// Frozen parameters of other element types, as they are.
    pub buffers: Vec<TensorProto>,
    /// The optimizer's groups; usually one or none.
    pub optimizers: Vec<OptimizerGroup>,
    /// What the user of the training library noted down, by name.
    pub properties: BTreeMap<String, Property>,
    /// Whether shapes and values are left out: [`Checkpoint::fill_from`] takes them from a model.
    pub nominal: bool,
}

/// A named f32 tensor of a model.
#[derive(Clone, Debug, PartialEq)]
pub struct Parameter {
    /// Its name in the graphs.
    pub name: String,
    /// Its shape.
    pub dims: Vec<i64>,
    /// Its values, row-major.
    pub data: Vec<f32>,
    /// Whether the optimizer changes it.
    pub trainable: bool,
}

/// State of an optimizer.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct OptimizerGroup {
    /// Its name, `group0` by default.
    pub name: String,
    /// Updates made so far.
    pub step: i64,
    /// The learning rate it started with.
    pub initial_learning_rate: f32,
    /// Moments by parameter.
    pub states: Vec<OptimizerState>,
}

/// The moments of a parameter.
#[derive(Clone, Debug, PartialEq)]
pub struct OptimizerState {
    /// The parameter's name.
    pub parameter: String,
    /// The shape of parameter and moments.
    pub dims: Vec<i64>,
    /// First and second moment of `AdamW`; of SGD a first one that is not used, or none.
    pub moments: Vec<Vec<f32>>,
}

/// A value that is kept with the parameters.
#[derive(Clone, Debug, PartialEq)]
pub enum Property {
    /// A whole number.
    Int(i64),
    /// A number.
    Float(f32),
    /// Text.
    Text(String),
}

impl Checkpoint {
    /// Reads a checkpoint file, and the file of its data where it has one.
    ///
    /// # Errors
    /// [`GraphError::Read`], or [`GraphError::File`] when the content is not a checkpoint.
    pub fn read(path: &Path) -> Result<Self, GraphError> {
        let bytes = read_bounded(path, flatbuffer::MAX_BYTES)?;
        let open = || {
            let data = data_path(path);
            let name = Path::new(data.file_name().unwrap_or_default());
            ExternalFile::open(&resolve(path, name)?)
        };
        layout::decode(&bytes, &open).map_err(|error| match error {
            error @ (GraphError::Read { .. } | GraphError::File { .. }) => error,
            error => GraphError::in_file(path, error),
        })
    }

    /// Reads a checkpoint from memory.
    ///
    /// # Errors
    /// [`GraphError::Malformed`], or [`GraphError::Unsupported`] for another version and for values
    /// in a file of their own.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, GraphError> {
        layout::decode(bytes, &|| {
            let what = "a checkpoint in memory with values in another file";
            Err(GraphError::Unsupported(what.to_owned()))
        })
    }

    /// The checkpoint as the bytes of one file.
    ///
    /// # Errors
    /// [`GraphError::Unsupported`] when it would be larger than a flatbuffer can be, and
    /// [`GraphError::Malformed`] for values that do not fit their dimensions.
    pub fn to_bytes(&self) -> Result<Vec<u8>, GraphError> {
        layout::encode(self, None)
    }

    /// Writes the checkpoint; more than 1 GiB of values go to `NAME.data` beside it.
    ///
    /// Both files are written aside and renamed; a checkpoint that is there is removed before its
    /// data changes.
    ///
    /// # Errors
    /// [`GraphError::Write`], and as [`Checkpoint::to_bytes`].
    pub fn write(&self, path: &Path) -> Result<(), GraphError> {
        self.write_with_limit(path, MAX_INLINE_BYTES)
    }

    /// The same with another limit: values of more than `inline` bytes in all go to `NAME.data`.
    ///
    /// # Errors
    /// As [`Checkpoint::write`].
    pub fn write_with_limit(&self, path: &Path, inline: u64) -> Result<(), GraphError> {
        let moments = self.optimizers.iter().flat_map(|group| &group.states);
        let moments = moments.flat_map(|state| &state.moments);
        let floats = self.parameters.iter().map(|p| &p.data).chain(moments);
        let others = self.buffers.iter().flat_map(|t| &t.raw_data);
        let others = others.map(|raw| raw.len() as u64);
        let size: u64 = floats.map(|data| 4 * data.len() as u64).chain(others).sum();
        let replacement = Replacement::of(path)?;
        let bytes = if size > inline {
            let mut data = ExternalWriter::create(&replacement.data())?;
            let bytes = layout::encode(self, Some(&mut data))?;
            data.finish()?;
            bytes
        } else {
            layout::encode(self, None)?
        };
        replacement.finish(&bytes)
    }

    /// Gives the parameters of a nominal checkpoint their shapes and values: those of the
    /// initializers of a model.
    ///
    /// # Errors
    /// [`GraphError::Malformed`] when the model has no initializer of a parameter's name and type.
    pub fn fill_from(&mut self, model: &ModelProto) -> Result<(), GraphError> {
        let initializers = model.graph.iter().flat_map(|graph| &graph.initializer);
        let initializers: BTreeMap<&str, &TensorProto> =
            initializers.map(|t| (t.name.as_str(), t)).collect();
        let find = |name: &str| {
            initializers.get(name).copied().ok_or_else(|| {
                let what = format!("the model has no initializer for parameter `{name}`");
                GraphError::Malformed(what)
            })
        };
        for parameter in &mut self.parameters {
            let tensor = find(&parameter.name)?;
            parameter.data = tensor.to_f32()?;
            parameter.dims.clone_from(&tensor.dims);
        }
        for buffer in &mut self.buffers {
            let tensor = find(&buffer.name)?;
            if tensor.data_type != buffer.data_type {
                return Err(GraphError::Malformed(format!(
                    "parameter `{}`: expected element type {}, found {} in the model",
                    buffer.name, buffer.data_type, tensor.data_type
                )));
            }
            *buffer = tensor.clone();
        }
        self.nominal = false;
        Ok(())
    }

    /// The f32 parameter of that name.
    #[must_use]
    pub fn parameter(&self, name: &str) -> Option<&Parameter> {
        self.parameters.iter().find(|p| p.name == name)
    }
}

fn malformed(what: impl Into<String>) -> GraphError {
    GraphError::Malformed(format!("not a checkpoint: {}", what.into()))
}

#[cfg(test)]
mod tests;
