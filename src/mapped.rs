//! The one place that maps files into memory.

use std::fs::File;
use std::io;
use std::ops::Deref;
use std::path::Path;

/// A file of our own, mapped read-only.
#[derive(Debug)]
pub struct MappedFile(Option<memmap2::Mmap>);

impl MappedFile {
    /// Maps a file that no other part of this program changes while it is mapped.
    ///
    /// # Errors
    /// When the file cannot be opened or mapped.
    pub fn open(path: &Path) -> io::Result<Self> {
        Self::of(&File::open(path)?)
    }

    /// Maps an open file.
    ///
    /// # Errors
    /// When the file cannot be mapped.
    #[expect(
        unsafe_code,
        reason = "a memory map is unsound if the file shrinks; ours only ever grow and are locked"
    )]
    pub fn of(file: &File) -> io::Result<Self> {
        if file.metadata()?.len() == 0 {
            return Ok(Self(None)); // an empty file cannot be mapped
        }
        // SAFETY: scratch files are private to the process, feature files are
        // written under an exclusive lock and never shortened while one is mapped
        Ok(Self(Some(unsafe { memmap2::Mmap::map(file)? })))
    }
}

impl Deref for MappedFile {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.0.as_deref().unwrap_or_default()
    }
}
