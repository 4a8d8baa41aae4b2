//! All distinct texts of a dataset, their token ids in a scratch file.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use super::{Encoded, TokensError};
use crate::mapped::MappedFile;

/// Position of a text among the distinct texts of a dataset.
pub type TextIndex = u32;

/// Where a text's token ids lie, and which of them are the response.
#[derive(Debug, Clone, Copy)]
struct Entry {
    offset: u64,
    length: u32,
    response: [u32; 2],
}

/// Collects texts; equal ones get the same index.
#[derive(Debug)]
pub struct TextsBuilder {
    scratch: BufWriter<File>,
    written: u64,
    entries: Vec<Entry>,
    digests: Vec<[u8; 16]>,
    known: HashMap<[u8; 16], TextIndex>,
}

/// The distinct texts of a dataset.
#[derive(Debug)]
pub struct Texts {
    tokens: MappedFile,
    entries: Vec<Entry>,
    digests: Vec<[u8; 16]>,
}

impl TextsBuilder {
    /// An empty collection whose token ids go to an unnamed file in `folder`.
    ///
    /// # Errors
    /// When the scratch file cannot be made.
    pub fn new(folder: &Path) -> Result<Self, TokensError> {
        Ok(Self {
            scratch: BufWriter::new(tempfile::tempfile_in(folder)?),
            written: 0,
            entries: Vec::new(),
            digests: Vec::new(),
            known: HashMap::new(),
        })
    }

    /// Number of distinct texts so far.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is no text yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Index of a text, new or known.
    ///
    /// # Errors
    /// When the scratch file cannot be written.
    pub fn add(&mut self, text: &Encoded) -> Result<TextIndex, TokensError> {
        let response = [text.response.start, text.response.end].map(to_u32);
        let mut bytes = Vec::with_capacity(4 * text.ids.len() + 8);
        for value in text.ids.iter().chain(&response) {
            bytes.extend_from_slice(&value.to_le_bytes());
        }
        let mut digest = [0; 16];
        digest.copy_from_slice(&blake3::hash(&bytes).as_bytes()[..16]);
        if let Some(&index) = self.known.get(&digest) {
            return Ok(index);
        }
        let length = 4 * text.ids.len();
        self.scratch.write_all(&bytes[..length])?;
        let index = to_u32(self.entries.len());
        self.entries.push(Entry {
            offset: self.written,
            length: to_u32(text.ids.len()),
            response,
        });
        self.written += length as u64;
        self.digests.push(digest);
        self.known.insert(digest, index);
        Ok(index)
    }

    /// Ends the collection.
    ///
    /// # Errors
    /// When the scratch file cannot be flushed or mapped.
    pub fn finish(self) -> Result<Texts, TokensError> {
        let file = self
            .scratch
            .into_inner()
            .map_err(std::io::IntoInnerError::into_error)?;
        Ok(Texts {
            tokens: MappedFile::of(&file)?,
            entries: self.entries,
            digests: self.digests,
        })
    }
}

impl Texts {
    /// Number of distinct texts.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is no text.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Tokens of a text, special tokens included.
    #[must_use]
    pub fn n_tokens(&self, text: TextIndex) -> usize {
        self.entries[text as usize].length as usize
    }

    /// 128-bit BLAKE3 of the token ids and the response's place among them.
    #[must_use]
    pub fn digest(&self, text: TextIndex) -> [u8; 16] {
        self.digests[text as usize]
    }

    /// Token ids of a text, and where its response lies.
    #[must_use]
    pub fn read(&self, text: TextIndex) -> (Vec<u32>, std::ops::Range<usize>) {
        let entry = self.entries[text as usize];
        let start = usize::try_from(entry.offset).expect("a mapped file fits the address space");
        let bytes = &self.tokens[start..start + 4 * entry.length as usize];
        let ids = bytes
            .chunks_exact(4)
            .map(|b| u32::from_le_bytes([b[0], b[1], b[2], b[3]]))
            .collect();
        (ids, entry.response[0] as usize..entry.response[1] as usize)
    }
}

fn to_u32(value: usize) -> u32 {
    u32::try_from(value).expect("texts and their tokens are counted in 32 bits")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_texts_are_kept_once_and_read_back() {
        let text = |ids: &[u32]| Encoded {
            ids: ids.to_vec(),
            response: 1..ids.len(),
            prompt_cut: false,
            response_cut: false,
        };
        let mut builder = TextsBuilder::new(&std::env::temp_dir()).unwrap();
        let indices =
            [&[1, 2, 3][..], &[4, 5], &[1, 2, 3]].map(|ids| builder.add(&text(ids)).unwrap());
        assert_eq!(indices, [0, 1, 0]);
        let texts = builder.finish().unwrap();
        assert_eq!(texts.len(), 2);
        assert_eq!(texts.read(1), (vec![4, 5], 1..2));
        assert_ne!(texts.digest(0), texts.digest(1));
    }
}
