//! Tensors of a model that stand in files beside it.

use std::collections::HashMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Component, Path, PathBuf};

use crate::graph::GraphError;
use crate::graph::proto::{ModelProto, TensorProto};

/// `data_location` of a tensor in another file.
const EXTERNAL: i32 = 1;

/// Reads the values of external tensors into the model.
///
/// # Errors
/// [`GraphError::File`] for a file outside the model's folder or with fewer bytes than a tensor says.
pub(super) fn load(model: &mut ModelProto, path: &Path) -> Result<(), GraphError> {
    let folder = path.parent().unwrap_or(Path::new(""));
    let Some(graph) = &mut model.graph else {
        return Ok(());
    };
    let mut files = HashMap::new();
    let constants = graph
        .node
        .iter_mut()
        .flat_map(|node| &mut node.attribute)
        .filter_map(|attribute| attribute.t.as_mut());
    for tensor in graph.initializer.iter_mut().chain(constants) {
        if tensor.data_location == EXTERNAL {
            read(tensor, folder, &mut files).map_err(|error| GraphError::in_file(path, error))?;
        }
    }
    Ok(())
}

/// The files that hold the external tensors of the model at `path`.
pub(super) fn files(model: &ModelProto, path: &Path) -> Vec<PathBuf> {
    let folder = path.parent().unwrap_or(Path::new(""));
    let tensors = model.graph.iter().flat_map(|graph| &graph.initializer);
    let mut files: Vec<PathBuf> = tensors
        .filter(|t| t.data_location == EXTERNAL)
        .filter_map(|t| entry(t, "location").map(|location| folder.join(location)))
        .collect();
    files.sort();
    files.dedup();
    files
}

fn entry<'a>(tensor: &'a TensorProto, key: &str) -> Option<&'a str> {
    let entry = tensor.external_data.iter().find(|entry| entry.key == key);
    entry.map(|entry| entry.value.as_str())
}

/// A file with tensors.
struct Opened {
    file: File,
    size: u64,
    /// Bytes that no tensor has had so far.
    unread: u64,
}

fn read(
    tensor: &mut TensorProto,
    folder: &Path,
    files: &mut HashMap<PathBuf, Opened>,
) -> Result<(), GraphError> {
    let name = tensor.name.clone();
    let malformed = |what: &str| GraphError::Malformed(format!("tensor `{name}`: {what}"));
    let location = entry(tensor, "location").ok_or_else(|| malformed("no location"))?;
    let location = Path::new(location);
    let inside = location
        .components()
        .all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
    if !inside || location.as_os_str().is_empty() {
        return Err(malformed("its file is outside the model's folder"));
    }
    let number = |key: &str| match entry(tensor, key) {
        None => Ok(None),
        Some(text) => match text.parse::<u64>() {
            Ok(number) => Ok(Some(number)),
            Err(_) => Err(malformed(&format!("{key} `{text}` is not a number"))),
        },
    };
    let offset = number("offset")?.unwrap_or(0);
    let length = number("length")?;
    let path = folder.join(location);
    let failed = |source| GraphError::Read {
        path: path.clone(),
        source,
    };
    if !files.contains_key(&path) {
        let file = File::open(&path).map_err(failed)?;
        let size = file.metadata().map_err(failed)?.len();
        let opened = Opened {
            file,
            size,
            unread: size,
        };
        files.insert(path.clone(), opened);
    }
    let opened = files.get_mut(&path).expect("opened above");
    let rest = opened.size.checked_sub(offset);
    let length = length.or(rest);
    let (Some(rest), Some(length)) = (rest, length) else {
        return Err(malformed("it begins behind the end of its file"));
    };
    if length > rest {
        return Err(malformed(&format!(
            "it needs {length} bytes from {offset} on, `{}` has {}",
            path.display(),
            opened.size
        )));
    }
    // many tensors on the same bytes would take more memory than the file
    opened.unread = (opened.unread.checked_sub(length))
        .ok_or_else(|| malformed("it overlaps other tensors of its file"))?;
    let mut bytes = vec![0; usize::try_from(length).map_err(|_| malformed("too large"))?];
    let seek = SeekFrom::Start(offset);
    opened.file.seek(seek).map_err(failed)?;
    opened.file.read_exact(&mut bytes).map_err(failed)?;
    tensor.raw_data = Some(bytes);
    tensor.data_location = 0;
    tensor.external_data.clear();
    Ok(())
}
