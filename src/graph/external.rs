//! Values of tensors in a file of their own beside the file that describes them.
//!
//! Such a file is named by content that may be hostile, so it must lie in the folder, and offsets
//! and lengths are checked against it before anything is allocated.

use std::fs::File;
use std::io::{BufWriter, Read, Seek, SeekFrom, Write};
use std::path::{Component, Path, PathBuf};

use super::GraphError;

/// Largest file of values: 16 G parameters of f32.
const MAX_BYTES: u64 = 1 << 36;

/// How often all bytes of a file may be read: tied weights may share their values.
const MAX_SHARING: u64 = 4;

/// Where the values of a tensor begin in a file that is written is a multiple of it.
const ALIGNMENT: u64 = 64;

/// A file of values to read.
#[derive(Debug)]
pub(super) struct ExternalFile {
    path: PathBuf,
    file: File,
    length: u64,
    /// Bytes that may still be read. Many tensors that lead to the same bytes would ask for far more
    /// memory than the file has.
    budget: u64,
}

/// Where the file `location` beside `owner` lies.
///
/// # Errors
/// [`GraphError::Malformed`] when the location is not a plain relative path, or leads outside of the
/// folder through a symbolic link. A link to where the owner itself really lies is allowed: in the
/// cache of the model hub both are links into one folder.
pub(super) fn resolve(owner: &Path, location: &Path) -> Result<PathBuf, GraphError> {
    let outside = || {
        GraphError::Malformed(format!(
            "the file of values `{}` is not inside the folder",
            location.display()
        ))
    };
    let mut components = location.components();
    let plain = |component| matches!(component, Component::Normal(_) | Component::CurDir);
    if location.file_name().is_none() || !components.all(plain) {
        return Err(outside());
    }
    let folder = match owner.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let path = folder.join(location);
    let real = |path: &Path| {
        path.canonicalize().map_err(|source| GraphError::Read {
            path: path.to_path_buf(),
            source,
        })
    };
    let (target, owner) = (real(&path)?, real(owner)?);
    let inside = |folder: &Path| target.starts_with(folder);
    if inside(&real(folder)?) || owner.parent().is_some_and(inside) {
        Ok(path)
    } else {
        Err(outside())
    }
}

impl ExternalFile {
    /// Opens a file of values.
    pub(super) fn open(path: &Path) -> Result<Self, GraphError> {
        let read = |source| GraphError::Read {
            path: path.to_path_buf(),
            source,
        };
        let metadata = std::fs::metadata(path).map_err(read)?;
        let unusable = |what: &str| {
            let error = GraphError::Unsupported(what.to_owned());
            Err(GraphError::in_file(path, error))
        };
        if !metadata.is_file() {
            return unusable("not a regular file");
        }
        if metadata.len() > MAX_BYTES {
            return unusable("larger than 64 GiB");
        }
        Ok(Self {
            path: path.to_path_buf(),
            file: File::open(path).map_err(read)?,
            length: metadata.len(),
            budget: metadata.len().saturating_mul(MAX_SHARING),
        })
    }

    /// The `length` bytes at `offset`, which are the values of tensor `name`.
    pub(super) fn read(
        &mut self,
        name: &str,
        offset: u64,
        length: usize,
    ) -> Result<Vec<u8>, GraphError> {
        let malformed = |what: String| GraphError::in_file(&self.path, GraphError::Malformed(what));
        let wanted = length as u64;
        if offset
            .checked_add(wanted)
            .is_none_or(|end| end > self.length)
        {
            return Err(malformed(format!(
                "tensor `{name}` needs {length} bytes at {offset}, the file has {}",
                self.length
            )));
        }
        self.budget = self
            .budget
            .checked_sub(wanted)
            .ok_or_else(|| malformed(format!("tensor `{name}` and others share their values")))?;
        let read = |source| GraphError::Read {
            path: self.path.clone(),
            source,
        };
        let mut bytes = Vec::new();
        bytes
            .try_reserve_exact(length)
            .map_err(|error| read(std::io::Error::new(std::io::ErrorKind::OutOfMemory, error)))?;
        self.file.seek(SeekFrom::Start(offset)).map_err(read)?;
        let mut part = (&mut self.file).take(wanted);
        part.read_to_end(&mut bytes).map_err(read)?;
        if bytes.len() != length {
            return Err(read(std::io::ErrorKind::UnexpectedEof.into()));
        }
        Ok(bytes)
    }
}

/// A file of values to write.
#[derive(Debug)]
pub(super) struct ExternalWriter {
    path: PathBuf,
    out: BufWriter<File>,
    end: u64,
}

impl ExternalWriter {
    /// Begins a new file.
    pub(super) fn create(path: &Path) -> Result<Self, GraphError> {
        let file = File::create_new(path).map_err(|source| GraphError::Write {
            path: path.to_path_buf(),
            source,
        })?;
        Ok(Self {
            path: path.to_path_buf(),
            out: BufWriter::new(file),
            end: 0,
        })
    }

    /// Appends values and gives the offset at which they begin.
    pub(super) fn append<'a>(
        &mut self,
        chunks: impl IntoIterator<Item = std::borrow::Cow<'a, [u8]>>,
    ) -> Result<u64, GraphError> {
        let offset = self.end.next_multiple_of(ALIGNMENT);
        let write = || -> std::io::Result<()> {
            for _ in self.end..offset {
                self.out.write_all(&[0])?;
            }
            self.end = offset;
            for chunk in chunks {
                self.out.write_all(&chunk)?;
                self.end += chunk.len() as u64;
            }
            Ok(())
        };
        let result = write();
        result.map_err(|source| GraphError::Write {
            path: self.path.clone(),
            source,
        })?;
        Ok(offset)
    }

    /// Brings everything to the disk.
    pub(super) fn finish(self) -> Result<(), GraphError> {
        let finished = self.out.into_inner().map_err(std::io::Error::from);
        let finished = finished.and_then(|file| file.sync_all());
        finished.map_err(|source| GraphError::Write {
            path: self.path,
            source,
        })
    }
}

/// A file, and maybe its file of values, that are written aside and then replace those in place.
#[derive(Debug)]
pub(super) struct Replacement {
    target: PathBuf,
    aside: tempfile::TempDir,
}

impl Replacement {
    /// Begins to replace a file; makes its folder where there is none.
    pub(super) fn of(target: &Path) -> Result<Self, GraphError> {
        let folder = match target.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        let aside = std::fs::create_dir_all(folder).and_then(|()| tempfile::tempdir_in(folder));
        let aside = aside.map_err(|source| GraphError::Write {
            path: target.to_path_buf(),
            source,
        })?;
        Ok(Self {
            target: target.to_path_buf(),
            aside,
        })
    }

    /// Where to write the file of values, if there is to be one.
    pub(super) fn data(&self) -> PathBuf {
        self.aside.path().join("data")
    }

    /// Puts the files in place. What is there goes first: a file and values that do not belong
    /// together are never side by side.
    pub(super) fn finish(self, bytes: &[u8]) -> Result<(), GraphError> {
        let replace = || -> std::io::Result<()> {
            let new = self.aside.path().join("new");
            let mut file = File::create_new(&new)?;
            file.write_all(bytes)?;
            file.sync_all()?;
            let data = data_path(&self.target);
            let with_data = self.data().exists();
            if with_data || data.exists() {
                remove(&self.target)?;
                remove(&data)?;
            }
            if with_data {
                std::fs::rename(self.data(), &data)?;
            }
            std::fs::rename(&new, &self.target)
        };
        replace().map_err(|source| GraphError::Write {
            path: self.target.clone(),
            source,
        })
    }
}

/// The file that holds the values of the tensors of a file: `NAME.data`.
pub(super) fn data_path(path: &Path) -> PathBuf {
    let mut path = path.as_os_str().to_os_string();
    path.push(".data");
    path.into()
}

/// Removes a file, if it is there.
pub(super) fn remove(path: &Path) -> std::io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests;
