//! What a frozen model makes of texts: a file on disk, and the views that heads have of it.
//!
//! A text has one row (pooled features) or one for each of its tokens (their states). A file belongs
//! to one graph and device kind. It grows by whole texts under a lock; what a killed run left
//! half-written is cut off when it is opened next. Rows are found by the digest of a text's token ids.

use std::collections::HashMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use super::RewardError;
use crate::mapped::MappedFile;
use crate::tokens::{TextIndex, Texts};

/// Bytes of an index entry: a text's digest and its number of rows.
const ENTRY_BYTES: usize = 20;
const FLOAT_BYTES: u64 = 4;

/// Where a text's rows lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Rows {
    first: u64,
    n: u32,
}

/// The features of one backbone on disk, open for growing.
#[derive(Debug)]
pub struct FeatureStore {
    folder: PathBuf,
    width: usize,
    data: File,
    index: File,
    rows: HashMap<[u8; 16], Rows>,
    n_rows: u64,
    /// Entries that are not yet in the index file.
    pending: Vec<u8>,
    _lock: File,
}

/// Features of a dataset's texts, memory-mapped: f32, `[n_texts, width]` or `[tokens of all texts, width]`.
#[derive(Debug)]
pub struct Features {
    data: MappedFile,
    width: usize,
    rows: Vec<Rows>,
}

impl FeatureStore {
    /// Opens or makes the feature file of `key` under `cache`, waiting for another process that has it.
    ///
    /// # Errors
    /// [`RewardError::Cache`] when the folder or its files cannot be used.
    pub fn open(cache: &Path, key: &str, width: usize) -> Result<Self, RewardError> {
        let folder = cache.join("features").join(key);
        let failed = |source| RewardError::Cache {
            path: folder.clone(),
            source,
        };
        fs::create_dir_all(&folder).map_err(failed)?;
        let open = |name: &str| {
            OpenOptions::new()
                .read(true)
                .write(true)
                .create(true)
                .truncate(false)
                .open(folder.join(name))
        };
        let lock = open("lock").map_err(failed)?;
        lock.lock().map_err(failed)?;
        let (mut index, mut data) = (
            open("index.bin").map_err(failed)?,
            open("features.f32").map_err(failed)?,
        );
        let row_bytes = width as u64 * FLOAT_BYTES;
        let (rows, n_rows) = read_index(&mut index, &mut data, row_bytes).map_err(failed)?;
        Ok(Self {
            folder,
            width,
            data,
            index,
            rows,
            n_rows,
            pending: Vec::new(),
            _lock: lock,
        })
    }

    /// Whether a text's features are there.
    #[must_use]
    pub fn contains(&self, digest: &[u8; 16]) -> bool {
        self.rows.contains_key(digest)
    }

    /// Appends a text.
    ///
    /// # Shapes
    /// `values`: `[rows of the text, width]`, row by row.
    ///
    /// # Errors
    /// [`RewardError::Cache`] when the file cannot be written.
    pub fn append(&mut self, digest: &[u8; 16], values: &[f32]) -> Result<(), RewardError> {
        debug_assert!(values.len().is_multiple_of(self.width));
        if self.contains(digest) {
            return Ok(());
        }
        let bytes: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        self.data
            .write_all(&bytes)
            .map_err(|source| self.failed(source))?;
        let n = u32::try_from(values.len() / self.width).expect("a text has few rows");
        let first = self.n_rows;
        self.rows.insert(*digest, Rows { first, n });
        self.n_rows += u64::from(n);
        self.pending.extend_from_slice(digest);
        self.pending.extend_from_slice(&n.to_le_bytes());
        Ok(())
    }

    /// Makes what was appended survive a crash: rows reach the disk before their digests.
    ///
    /// # Errors
    /// [`RewardError::Cache`] when the files cannot be written.
    pub fn checkpoint(&mut self) -> Result<(), RewardError> {
        let write = |store: &mut Self| -> io::Result<()> {
            store.data.sync_data()?;
            store.index.write_all(&store.pending)?;
            store.index.sync_data()
        };
        write(self).map_err(|source| self.failed(source))?;
        self.pending.clear();
        Ok(())
    }

    /// Ends growing and maps the rows of `texts`, all of which must be there.
    ///
    /// # Errors
    /// [`RewardError::Cache`] when the file cannot be mapped.
    ///
    /// # Panics
    /// When a text was never appended.
    pub fn into_features(mut self, texts: &Texts) -> Result<Features, RewardError> {
        self.checkpoint()?;
        let data = MappedFile::of(&self.data).map_err(|source| self.failed(source))?;
        let rows = (0..texts.len())
            .map(|i| {
                let digest = texts.digest(TextIndex::try_from(i).expect("text indices are 32-bit"));
                self.rows[&digest]
            })
            .collect();
        Ok(Features {
            data,
            width: self.width,
            rows,
        })
    }

    fn failed(&self, source: io::Error) -> RewardError {
        RewardError::Cache {
            path: self.folder.clone(),
            source,
        }
    }
}

/// Reads the index, cuts both files to the texts that are whole in both, and leaves them at their
/// ends; gives the texts and the number of rows.
fn read_index(
    index: &mut File,
    data: &mut File,
    row_bytes: u64,
) -> io::Result<(HashMap<[u8; 16], Rows>, u64)> {
    let mut bytes = Vec::new();
    index.read_to_end(&mut bytes)?;
    let whole_rows = data.metadata()?.len() / row_bytes;
    let mut rows = HashMap::new();
    let (mut n_texts, mut first) = (0u64, 0u64);
    for entry in bytes.as_chunks::<ENTRY_BYTES>().0 {
        let (digest, n) = entry.split_first_chunk::<16>().expect("16 of 20 bytes");
        let n = u32::from_le_bytes(n.try_into().expect("4 of 20 bytes"));
        if first + u64::from(n) > whole_rows {
            break;
        }
        rows.insert(*digest, Rows { first, n });
        first += u64::from(n);
        n_texts += 1;
    }
    index.set_len(n_texts * ENTRY_BYTES as u64)?;
    data.set_len(first * row_bytes)?;
    index.seek(SeekFrom::End(0))?;
    data.seek(SeekFrom::End(0))?;
    Ok((rows, first))
}

impl Features {
    /// Values of one text: `[width]`, or `[tokens, width]` row by row.
    pub fn values(&self, text: TextIndex) -> impl Iterator<Item = f32> + '_ {
        let (values, _) = self.bytes(text).as_chunks::<4>();
        values.iter().map(|bytes| f32::from_le_bytes(*bytes))
    }

    fn bytes(&self, text: TextIndex) -> &[u8] {
        let row_bytes = self.width * 4;
        let Rows { first, n } = self.rows[text as usize];
        let start =
            usize::try_from(first).expect("a mapped file fits the address space") * row_bytes;
        &self.data[start..start + n as usize * row_bytes]
    }

    /// Values in a row.
    #[must_use]
    pub fn width(&self) -> usize {
        self.width
    }

    /// Number of texts.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there is no text.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }
}

/// The features that one model sees: some columns, standardised over the dataset's texts.
#[derive(Debug, Clone, PartialEq)]
pub struct View {
    columns: Vec<u32>,
    mean: Vec<f32>,
    scale: Vec<f32>,
}

impl View {
    /// Standardises `columns` to mean 0 and standard deviation 1 over all texts.
    ///
    /// A constant column becomes 0.
    #[must_use]
    #[expect(
        clippy::cast_possible_truncation,
        reason = "statistics are f64, the model is f32"
    )]
    #[expect(clippy::cast_precision_loss, reason = "texts are fewer than 2^52")]
    pub fn new(features: &Features, columns: Vec<u32>) -> Self {
        let width = features.width();
        let n = features.len().max(1) as f64;
        let mut sum = vec![0.0f64; width];
        let mut squares = vec![0.0f64; width];
        for text in 0..features.len() {
            let row = features.values(TextIndex::try_from(text).expect("text indices are 32-bit"));
            for (column, value) in row.enumerate() {
                sum[column] += f64::from(value);
                squares[column] += f64::from(value) * f64::from(value);
            }
        }
        let statistics = columns.iter().map(|&column| {
            let mean = sum[column as usize] / n;
            let variance = squares[column as usize] / n - mean * mean;
            // below this a column is constant but for rounding
            let scale = if variance > 1e-12 {
                variance.sqrt().recip()
            } else {
                0.0
            };
            (mean as f32, scale as f32)
        });
        let (mean, scale) = statistics.unzip();
        Self {
            columns,
            mean,
            scale,
        }
    }

    /// Number of features that the model sees.
    #[must_use]
    pub fn width(&self) -> usize {
        self.columns.len()
    }

    /// Mean and scale of every column of `width` features, `[width]` each: a column that the model does
    /// not see has a scale of 0.
    #[must_use]
    pub fn standardisation(&self, width: usize) -> [Vec<f32>; 2] {
        [&self.mean, &self.scale].map(|own| self.spread(own, width))
    }

    /// Values of the columns that the model sees among `width`, the others 0.
    #[must_use]
    pub fn spread(&self, values: &[f32], width: usize) -> Vec<f32> {
        let mut whole = vec![0.0; width];
        for (&column, &value) in self.columns.iter().zip(values) {
            whole[column as usize] = value;
        }
        whole
    }

    /// Appends the standardised features of a text to `out`.
    pub fn append(&self, features: &Features, text: TextIndex, out: &mut Vec<f32>) {
        let (row, _) = features.bytes(text).as_chunks::<4>();
        out.extend(self.columns.iter().zip(&self.mean).zip(&self.scale).map(
            |((&column, mean), scale)| (f32::from_le_bytes(row[column as usize]) - mean) * scale,
        ));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tokens::{Encoded, TextsBuilder};

    fn texts(n: u32) -> Texts {
        let mut builder = TextsBuilder::new(&std::env::temp_dir()).unwrap();
        for id in 0..n {
            builder
                .add(&Encoded {
                    ids: vec![id, 7],
                    response: 1..2,
                    prompt_cut: false,
                    response_cut: false,
                })
                .unwrap();
        }
        builder.finish().unwrap()
    }

    #[test]
    fn features_survive_and_half_written_rows_do_not() {
        let folder = tempfile::tempdir().unwrap();
        let texts = texts(3);
        let mut store = FeatureStore::open(folder.path(), "k", 2).unwrap();
        store.append(&texts.digest(1), &[1.0, 2.0]).unwrap();
        store.append(&texts.digest(0), &[3.0, 4.0]).unwrap();
        store.checkpoint().unwrap();
        store.append(&texts.digest(2), &[5.0, 6.0]).unwrap();
        drop(store); // killed before the checkpoint: the row is there, its digest is not

        let mut store = FeatureStore::open(folder.path(), "k", 2).unwrap();
        assert!(store.contains(&texts.digest(0)) && !store.contains(&texts.digest(2)));
        store.append(&texts.digest(2), &[7.0, 8.0]).unwrap();
        let features = store.into_features(&texts).unwrap();
        let rows: Vec<Vec<f32>> = (0..3).map(|i| features.values(i).collect()).collect();
        assert_eq!(rows, [[3.0, 4.0], [1.0, 2.0], [7.0, 8.0]]);

        let view = View::new(&features, vec![1]);
        let mut out = Vec::new();
        (0..3).for_each(|i| view.append(&features, i, &mut out));
        assert!(out.iter().sum::<f32>().abs() < 1e-5, "{out:?}");
        assert!(
            (out.iter().map(|x| x * x).sum::<f32>() - 3.0).abs() < 1e-4,
            "{out:?}"
        );
    }
}
