//! `.onnx` files: models read with their external data, checked, and written.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use prost::Message;

use super::external::{ExternalFile, ExternalWriter, Replacement, data_path, resolve};
use super::proto::{GraphProto, ModelProto, StringEntry, TensorProto, elem};
use super::{GraphError, read_bounded, validate};

mod scan;

/// Largest file of a model without its external data: protobuf's own limit of 2 GiB.
pub const MAX_MODEL_BYTES: u64 = i32::MAX as u64;

/// Size beyond which the values of initializers are written to a file of their own.
const MAX_INLINE_BYTES: usize = 1 << 30;

/// Values of fewer bytes stay in the model then.
const LEAST_EXTERNAL_BYTES: usize = 1 << 10;

/// `data_location` of a tensor whose values lie in another file.
const EXTERNAL: i32 = 1;

impl ModelProto {
    /// Reads a model from a file of at most [`MAX_MODEL_BYTES`], and the values of its tensors that
    /// lie in other files of the folder.
    ///
    /// The model is checked once, here: names, order, shapes. Nodes come in topological order.
    ///
    /// # Errors
    /// [`GraphError::Read`] when a file cannot be read, [`GraphError::File`] when it is not a model.
    pub fn read(path: &Path) -> Result<Self, GraphError> {
        Self::read_with_files(path).map(|(model, _)| model)
    }

    /// Reads a model and names the files that it was read from, its own first.
    ///
    /// # Errors
    /// As [`ModelProto::read`].
    pub fn read_with_files(path: &Path) -> Result<(Self, Vec<PathBuf>), GraphError> {
        let in_file = |error| match error {
            error @ (GraphError::Read { .. } | GraphError::File { .. }) => error,
            error => GraphError::in_file(path, error),
        };
        let bytes = read_bounded(path, MAX_MODEL_BYTES)?;
        let mut model = decode(&bytes).map_err(in_file)?;
        drop(bytes);
        let mut files = load_external(&mut model, path).map_err(in_file)?;
        validate::tensors(&model).map_err(in_file)?;
        files.insert(0, path.to_path_buf());
        Ok((model, files))
    }

    /// Reads a model from memory, and checks it.
    ///
    /// # Errors
    /// [`GraphError::Malformed`] when the bytes are not a model with a graph, or its values lie in
    /// other files.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, GraphError> {
        let model = decode(bytes)?;
        validate::tensors(&model)?;
        Ok(model)
    }

    /// The model as the bytes of an `.onnx` file.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        self.encode_to_vec()
    }

    /// Writes the model; when it is larger than 1 GiB, the values of initializers go to `NAME.data`
    /// beside it.
    ///
    /// Files are written aside and renamed; a model that is there is removed before its values
    /// change.
    ///
    /// # Errors
    /// [`GraphError::Write`]; [`GraphError::Unsupported`] when the rest is larger than protobuf's
    /// 2 GiB.
    pub fn write(&self, path: &Path) -> Result<(), GraphError> {
        self.write_with_limit(path, MAX_INLINE_BYTES)
    }

    fn write_with_limit(&self, path: &Path, inline: usize) -> Result<(), GraphError> {
        let replacement = Replacement::of(path)?;
        let bytes = if self.encoded_len() > inline {
            let name = data_path(path);
            let name = name.file_name().and_then(|name| name.to_str());
            let name = name.ok_or_else(|| {
                let what = format!("the name `{}`: expected UTF-8", path.display());
                GraphError::Unsupported(what)
            })?;
            let mut data = ExternalWriter::create(&replacement.data())?;
            let model = self.with_external(name, &mut data)?;
            data.finish()?;
            model.encode_to_vec()
        } else {
            self.to_bytes()
        };
        if bytes.len() as u64 > MAX_MODEL_BYTES {
            let what = "a model beyond 2 GiB without the values of its initializers";
            return Err(GraphError::Unsupported(what.into()));
        }
        replacement.finish(&bytes)
    }

    /// The same model with the values of its larger initializers in a file.
    fn with_external(&self, name: &str, data: &mut ExternalWriter) -> Result<Self, GraphError> {
        let mut initializers = Vec::new();
        for tensor in self.graph.iter().flat_map(|graph| &graph.initializer) {
            let raw = tensor.raw_data.as_deref().unwrap_or_default();
            if raw.len() < LEAST_EXTERNAL_BYTES {
                initializers.push(tensor.clone());
                continue;
            }
            let offset = data.append([raw.into()])?;
            let entry = |key: &str, value: String| StringEntry {
                key: key.to_owned(),
                value,
            };
            initializers.push(TensorProto {
                dims: tensor.dims.clone(),
                data_type: tensor.data_type,
                name: tensor.name.clone(),
                data_location: EXTERNAL,
                external_data: vec![
                    entry("location", name.to_owned()),
                    entry("offset", offset.to_string()),
                    entry("length", raw.len().to_string()),
                ],
                ..TensorProto::default()
            });
        }
        let graph = self.graph.as_ref().map(|graph| GraphProto {
            node: graph.node.clone(),
            name: graph.name.clone(),
            initializer: initializers,
            doc_string: graph.doc_string.clone(),
            input: graph.input.clone(),
            output: graph.output.clone(),
            value_info: graph.value_info.clone(),
        });
        Ok(Self {
            ir_version: self.ir_version,
            producer_name: self.producer_name.clone(),
            producer_version: self.producer_version.clone(),
            domain: self.domain.clone(),
            model_version: self.model_version,
            doc_string: self.doc_string.clone(),
            graph,
            opset_import: self.opset_import.clone(),
            metadata_props: self.metadata_props.clone(),
        })
    }
}

/// A model with sound structure; its tensors are yet to be checked.
fn decode(bytes: &[u8]) -> Result<ModelProto, GraphError> {
    scan::check_size(bytes)?;
    let mut model = ModelProto::decode(bytes)
        .map_err(|error| GraphError::Malformed(format!("not an ONNX model: {error}")))?;
    validate::structure(&mut model)?;
    Ok(model)
}

/// Reads the values of tensors that lie in other files, and names these files.
fn load_external(model: &mut ModelProto, path: &Path) -> Result<Vec<PathBuf>, GraphError> {
    let mut files = BTreeMap::new();
    let mut result = Ok(());
    if let Some(graph) = &mut model.graph {
        validate::for_each_tensor(graph, &mut |tensor| {
            if result.is_ok() && tensor.data_location == EXTERNAL {
                result = load_tensor(tensor, path, &mut files);
            }
        });
    }
    result?;
    Ok(files.into_keys().collect())
}

fn load_tensor(
    tensor: &mut TensorProto,
    path: &Path,
    files: &mut BTreeMap<PathBuf, ExternalFile>,
) -> Result<(), GraphError> {
    let malformed =
        |what: String| GraphError::Malformed(format!("tensor `{}`: {what}", tensor.name));
    let entry = |key: &str| {
        let entry = tensor.external_data.iter().find(|entry| entry.key == key);
        entry.map(|entry| entry.value.as_str())
    };
    let number = |key: &str| match entry(key).map(|text| (text, text.parse::<u64>())) {
        None => Ok(None),
        Some((_, Ok(number))) => Ok(Some(number)),
        Some((text, Err(_))) => Err(malformed(format!("{key} `{text}` is not a number"))),
    };
    let location =
        entry("location").ok_or_else(|| malformed("no location of its values".into()))?;
    let offset = number("offset")?.unwrap_or(0);
    let Some(expected) = elem::byte_length(tensor.data_type, &tensor.dims) else {
        return Err(malformed(format!(
            "element type {} and dimensions {:?} of values in another file",
            tensor.data_type, tensor.dims
        )));
    };
    if let Some(length) = number("length")?
        && length != expected as u64
    {
        return Err(malformed(format!(
            "expected {expected} bytes for dimensions {:?}, found a length of {length}",
            tensor.dims
        )));
    }
    let file = resolve(path, Path::new(location))?;
    if !files.contains_key(&file) {
        files.insert(file.clone(), ExternalFile::open(&file)?);
    }
    let opened = files.get_mut(&file).expect("inserted above");
    let raw = opened.read(&tensor.name, offset, expected)?;
    tensor.raw_data = Some(raw);
    tensor.data_location = 0;
    tensor.external_data.clear();
    Ok(())
}

#[cfg(test)]
mod tests;
