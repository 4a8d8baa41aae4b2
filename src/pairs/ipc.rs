//! Arrow IPC: files and streams, read alike.
//!
//! A file is a stream between two magic strings with an index of its messages behind it;
//! the index is not needed to read rows in order. The hub's `data-00000-of-00001.arrow`
//! are plain streams. Opening walks over the messages' heads: that counts the rows, and
//! finds a file that is cut off, before a row is decoded.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use arrow::array::RecordBatch;
use arrow::datatypes::Schema;
use arrow::error::ArrowError;
use arrow::ipc::reader::StreamReader;
use arrow::ipc::{MessageHeader, root_as_message};

use super::{PairsError, Result};

const MAGIC: &[u8] = b"ARROW1";
/// The magic string is padded to eight bytes.
const HEAD_BYTES: u64 = 8;
/// Or to the alignment of the writer's buffers.
const MOST_HEAD_BYTES: u64 = 72;
/// Stands before the length of each message since version 0.15 of the format.
const CONTINUATION: [u8; 4] = [0xff; 4];
/// No schema is that large; a longer one is a damaged length.
const MAX_MESSAGE_BYTES: u64 = 1 << 28;

/// Whether the first bytes are those of the file format.
pub(super) fn is_file(head: &[u8]) -> bool {
    head.starts_with(MAGIC)
}

/// Whether the first bytes can be those of a stream.
pub(super) fn may_be_stream(head: &[u8]) -> bool {
    // before version 0.15 a stream begins with the length of the schema, which is small
    head.starts_with(&CONTINUATION) || matches!(head, [_, _, 0, 0, 16 | 12 | 20, 0, 0, 0, ..])
}

fn read_error(path: &Path) -> impl Fn(io::Error) -> PairsError + Copy + '_ {
    |source| PairsError::Read {
        path: path.to_owned(),
        source,
    }
}

/// The columns of a file and its number of rows.
pub(super) fn examine(path: &Path) -> Result<(Schema, u64)> {
    let rows = count_rows(path)?;
    let reader = open(path)?;
    Ok((Schema::clone(&reader.schema()), rows))
}

fn open(path: &Path) -> Result<StreamReader<BufReader<File>>> {
    let mut file = File::open(path).map_err(read_error(path))?;
    start(&mut file).map_err(read_error(path))?;
    guarded(|| StreamReader::try_new(BufReader::with_capacity(1 << 16, file), None)).map_err(
        |source| PairsError::ReadArrow {
            path: path.to_owned(),
            source,
        },
    )
}

/// Goes to the first message and gives its place; it is 0 for a stream.
fn start(file: &mut File) -> io::Result<u64> {
    let mut head = Vec::new();
    file.by_ref().take(MOST_HEAD_BYTES).read_to_end(&mut head)?;
    let mut at = 0;
    if is_file(&head) {
        // some writers pad the magic string to more than eight bytes
        at = HEAD_BYTES;
        let mut words = head.chunks_exact(8).skip(1);
        while words.next().is_some_and(|word| word == [0; 8]) {
            at += 8;
        }
    }
    file.seek(SeekFrom::Start(at))?;
    Ok(at)
}

/// Walks over the heads of all messages.
fn count_rows(path: &Path) -> Result<u64> {
    let failed = read_error(path);
    let mut file = File::open(path).map_err(failed)?;
    let len = file.metadata().map_err(failed)?.len();
    let mut at = start(&mut file).map_err(failed)?;
    let cut_off = |at| PairsError::TruncatedArrow {
        path: path.to_owned(),
        at,
    };
    if at > 0 {
        let mut tail = [0; MAGIC.len()];
        let end = len.saturating_sub(MAGIC.len() as u64);
        file.seek(SeekFrom::Start(end)).map_err(failed)?;
        if len < 2 * HEAD_BYTES || file.read_exact(&mut tail).is_err() || tail != *MAGIC {
            return Err(cut_off(len));
        }
    }
    let mut rows: u64 = 0;
    let mut file = BufReader::new(file);
    while at < len {
        let begins = at;
        file.seek(SeekFrom::Start(at)).map_err(failed)?;
        let mut word = [0; 4];
        let mut number = |at: &mut u64| -> Result<[u8; 4]> {
            file.read_exact(&mut word).map_err(|_| cut_off(begins))?;
            *at += 4;
            Ok(word)
        };
        let mut size = number(&mut at)?;
        if size == CONTINUATION {
            size = number(&mut at)?;
        }
        let size = u64::from(u32::from_le_bytes(size));
        if size == 0 {
            break; // the end of the stream
        }
        if size > MAX_MESSAGE_BYTES || size > len - at {
            return Err(cut_off(begins));
        }
        let mut head = vec![0; usize::try_from(size).expect("at most `MAX_MESSAGE_BYTES`")];
        file.read_exact(&mut head).map_err(failed)?;
        at += size;
        let damaged = |what: String| PairsError::ReadArrow {
            path: path.to_owned(),
            source: ArrowError::ParseError(format!("message at byte {begins}: {what}")),
        };
        let message = root_as_message(&head).map_err(|error| damaged(error.to_string()))?;
        let body = u64::try_from(message.bodyLength())
            .map_err(|_| damaged("its length is negative".into()))?;
        if body > len - at {
            return Err(cut_off(begins));
        }
        let batch = message.header_as_record_batch();
        if let Some(batch) = batch.or_else(|| message.header_as_dictionary_batch()?.data()) {
            let length = u64::try_from(batch.length())
                .map_err(|_| damaged("its number of rows is negative".into()))?;
            if message.header_type() == MessageHeader::RecordBatch {
                rows = rows.saturating_add(length);
            }
            check_buffers(&batch, &mut file, at, body).map_err(damaged)?;
        }
        at += body;
    }
    Ok(rows)
}

/// Checks that the buffers of a batch lie in its body, and that compressed ones do not
/// claim to hold what they cannot: the decoder sets memory aside for the claim.
fn check_buffers(
    batch: &arrow::ipc::RecordBatch<'_>,
    file: &mut (impl Read + Seek),
    begins: u64,
    body: u64,
) -> Result<(), String> {
    let codec = batch.compression().map(|compression| compression.codec());
    for buffer in batch.buffers().into_iter().flatten() {
        let place = u64::try_from(buffer.offset())
            .ok()
            .zip(u64::try_from(buffer.length()).ok());
        let Some((offset, length)) = place
            .filter(|&(offset, length)| offset.checked_add(length).is_some_and(|end| end <= body))
        else {
            return Err("a column lies outside of it".to_owned());
        };
        if offset % 8 != 0 {
            return Err("a column is not at a multiple of eight bytes".to_owned());
        }
        let (Some(codec), true) = (codec, length >= 8) else {
            continue;
        };
        let mut claim = [0; 8];
        file.seek(SeekFrom::Start(begins + offset))
            .and_then(|_| file.read_exact(&mut claim))
            .map_err(|error| error.to_string())?;
        // -1: this one is not compressed
        let claim = u64::try_from(i64::from_le_bytes(claim)).unwrap_or(0);
        if claim > most_from(codec, length - 8) {
            return Err(format!("{length} compressed bytes claim to hold {claim}"));
        }
    }
    Ok(())
}

/// The most bytes that so many compressed ones can stand for.
fn most_from(codec: arrow::ipc::CompressionType, compressed: u64) -> u64 {
    // LZ4 codes a run in one byte for each 255 of it; a Zstandard block, at most
    // 128 KiB, takes at least four bytes
    let ratio = if codec == arrow::ipc::CompressionType::LZ4_FRAME {
        255
    } else {
        1 << 15
    };
    compressed.saturating_mul(ratio)
}

/// Batches of one file, none longer than asked for.
pub(super) struct ArrowBatches {
    path: PathBuf,
    reader: StreamReader<BufReader<File>>,
    current: Option<RecordBatch>,
    batch_rows: usize,
    row: u64,
}

impl ArrowBatches {
    pub(super) fn open(path: &Path, batch_rows: usize) -> Result<Self> {
        Ok(Self {
            path: path.to_owned(),
            reader: open(path)?,
            current: None,
            batch_rows,
            row: 0,
        })
    }

    fn step(&mut self) -> Result<Option<RecordBatch>, ArrowError> {
        loop {
            if let Some(batch) = self.current.take() {
                let n = batch.num_rows().min(self.batch_rows);
                if n > 0 {
                    if n < batch.num_rows() {
                        self.current = Some(batch.slice(n, batch.num_rows() - n));
                    }
                    self.row += n as u64;
                    return Ok(Some(batch.slice(0, n)));
                }
            }
            match guarded(|| self.reader.next().transpose())? {
                Some(batch) => self.current = Some(batch),
                None => return Ok(None),
            }
        }
    }
}

/// The decoder panics on some damaged files, where an error is due.
fn guarded<T>(decode: impl FnOnce() -> Result<T, ArrowError>) -> Result<T, ArrowError> {
    catch_unwind(AssertUnwindSafe(decode)).unwrap_or_else(|_| {
        Err(ArrowError::ParseError(
            "its contents contradict each other".to_owned(),
        ))
    })
}

impl Iterator for ArrowBatches {
    type Item = Result<RecordBatch>;

    fn next(&mut self) -> Option<Self::Item> {
        let step = self.step().map_err(|source| PairsError::Decode {
            path: self.path.clone(),
            row: self.row,
            source,
        });
        step.transpose()
    }
}

#[cfg(test)]
#[path = "ipc_tests.rs"]
mod tests;
