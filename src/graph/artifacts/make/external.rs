//! Tensors of a model that stand in files beside it.

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};

use crate::graph::GraphError;
use crate::graph::element_count;
use crate::graph::external::{ExternalFile, ExternalWriter, resolve};
use crate::graph::proto::{GraphProto, ModelProto, StringEntry, TensorProto, elem};

/// `data_location` of a tensor in another file.
const EXTERNAL: i32 = 1;

/// Values of more bytes than that go to a file of their own, where one is written: a model file of
/// 2 GiB cannot be read, and its graph takes some room.
const INLINE_BYTES: usize = 3 << 29;

/// Tensors of fewer bytes stay in the model: the runtime reads shapes and axes before anything else.
const SMALL: usize = 1024;

/// Reads the values of external tensors into the model, and says which files they were in.
///
/// # Errors
/// [`GraphError::File`] for a file outside the model's folder or with fewer bytes than a tensor says.
pub(super) fn load(model: &mut ModelProto, path: &Path) -> Result<Vec<PathBuf>, GraphError> {
    let mut files = HashMap::new();
    if let Some(graph) = &mut model.graph {
        for tensor in tensors(graph).filter(|t| t.data_location == EXTERNAL) {
            read(tensor, path, &mut files).map_err(|error| GraphError::in_file(path, error))?;
        }
    }
    let names: BTreeSet<PathBuf> = files.into_keys().collect();
    Ok(names.into_iter().collect())
}

fn tensors(graph: &mut GraphProto) -> impl Iterator<Item = &mut TensorProto> {
    let attributes = graph.node.iter_mut().flat_map(|node| &mut node.attribute);
    let constants = attributes.filter_map(|attribute| attribute.t.as_mut());
    graph.initializer.iter_mut().chain(constants)
}

fn entry<'a>(tensor: &'a TensorProto, key: &str) -> Option<&'a str> {
    let entry = tensor.external_data.iter().find(|entry| entry.key == key);
    entry.map(|entry| entry.value.as_str())
}

fn read(
    tensor: &mut TensorProto,
    owner: &Path,
    files: &mut HashMap<PathBuf, ExternalFile>,
) -> Result<(), GraphError> {
    let name = &tensor.name;
    let malformed = |what: &str| GraphError::Malformed(format!("tensor `{name}`: {what}"));
    let location = entry(tensor, "location").ok_or_else(|| malformed("no location"))?;
    let path = resolve(owner, Path::new(location))?;
    let offset = match entry(tensor, "offset").map(str::parse::<u64>) {
        None => 0,
        Some(Ok(offset)) => offset,
        Some(Err(_)) => return Err(malformed("its offset is not a number")),
    };
    let size = match tensor.data_type {
        elem::FLOAT | elem::INT32 => 4,
        elem::INT64 | elem::DOUBLE => 8,
        elem::BOOL | 2 | 3 => 1,
        4 | 5 | 10 | 16 => 2,
        other => return Err(malformed(&format!("element type {other} in another file"))),
    };
    let length = element_count(&tensor.dims).and_then(|n| n.checked_mul(size));
    let length = length.ok_or_else(|| malformed("dimensions beyond reason"))?;
    if !files.contains_key(&path) {
        files.insert(path.clone(), ExternalFile::open(&path)?);
    }
    let file = files.get_mut(&path).expect("opened above");
    tensor.raw_data = Some(file.read(name, offset, length)?);
    tensor.data_location = 0;
    tensor.external_data.clear();
    Ok(())
}

/// Writes a model; one that is too large for a single file gets `NAME.data` beside it. An existing file
/// is replaced once the new one is complete.
///
/// # Errors
/// [`GraphError::Write`] naming the file.
pub fn write_model(mut model: ModelProto, path: &Path) -> Result<(), GraphError> {
    write_parts(&mut model, path, INLINE_BYTES)
}

fn write_parts(model: &mut ModelProto, path: &Path, inline: usize) -> Result<(), GraphError> {
    let failed = |path: &Path| {
        let path = path.to_path_buf();
        move |source| GraphError::Write { path, source }
    };
    let folder = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".data");
    std::fs::create_dir_all(folder).map_err(failed(folder))?;
    let aside = tempfile::tempdir_in(folder).map_err(failed(folder))?;
    let values = aside.path().join(&name);
    let graph = model.graph.as_mut();
    let large = |t: &TensorProto| t.raw_data.as_ref().map_or(0, Vec::len);
    let total: usize = graph.iter().flat_map(|g| &g.initializer).map(large).sum();
    if let Some(graph) = graph.filter(|_| total > inline) {
        let mut writer = ExternalWriter::create(&values)?;
        for tensor in graph.initializer.iter_mut().filter(|t| large(t) > SMALL) {
            let Some(raw) = tensor.raw_data.take() else {
                continue;
            };
            let length = raw.len();
            let offset = writer.append([raw.into()])?;
            let value = |key: &str, value: String| StringEntry {
                key: key.into(),
                value,
            };
            tensor.data_location = EXTERNAL;
            tensor.external_data = vec![
                value("location", name.to_string_lossy().into_owned()),
                value("offset", offset.to_string()),
                value("length", length.to_string()),
            ];
        }
        writer.finish()?;
    }
    let file = aside.path().join("model");
    std::fs::write(&file, model.to_bytes()).map_err(failed(&file))?;
    if values.exists() {
        let to = folder.join(&name);
        std::fs::rename(&values, &to).map_err(failed(&to))?;
    }
    std::fs::rename(&file, path).map_err(failed(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn model(data: &[f32]) -> ModelProto {
        let length = i64::try_from(data.len()).unwrap();
        let graph = GraphProto {
            initializer: vec![TensorProto::from_f32("w", &[length], data)],
            ..GraphProto::default()
        };
        ModelProto {
            graph: Some(graph),
            ..ModelProto::default()
        }
    }

    #[test]
    fn large_values_go_to_a_file_and_come_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model.onnx");
        let data: Vec<f32> = (0..1000u16).map(f32::from).collect();
        let original = model(&data);
        write_parts(&mut original.clone(), &path, 100).unwrap();
        let mut read = ModelProto::read(&path).unwrap();
        assert!(std::fs::metadata(&path).unwrap().len() < 500);
        let files = load(&mut read, &path).unwrap();
        assert_eq!(files, [folder.path().join("model.onnx.data")]);
        assert_eq!(read, original);
        write_model(original.clone(), &path).unwrap();
        assert_eq!(ModelProto::read(&path).unwrap(), original);
    }

    #[test]
    fn files_elsewhere_and_short_files_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model.onnx");
        let mut original = model(&[0.0; 1000]);
        write_parts(&mut original, &path, 100).unwrap();
        for (key, value, expected) in [
            ("location", "../model.onnx.data", "not inside the folder"),
            ("location", "/etc/passwd", "not inside the folder"),
            ("offset", "-1", "not a number"),
            ("offset", "3000", "needs 4000 bytes at 3000"),
        ] {
            let mut model = ModelProto::read(&path).unwrap();
            let tensor = &mut model.graph.as_mut().unwrap().initializer[0];
            tensor.external_data.retain(|e| e.key != key);
            tensor.external_data.push(StringEntry {
                key: key.into(),
                value: value.into(),
            });
            let error = load(&mut model, &path).unwrap_err();
            let mut text = String::new();
            let mut cause: Option<&dyn std::error::Error> = Some(&error);
            while let Some(one) = cause {
                text.push_str(&one.to_string());
                cause = one.source();
            }
            assert!(text.contains(expected), "{text}");
        }
    }
}
