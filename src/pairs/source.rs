//! Input files as one stream of batches that can be opened again and again.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{AsArray, LargeStringArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};
use parquet::errors::ParquetError;

use super::inputs::{self, Format};
use super::jsonl::{self, JsonBatches};
use super::shape::Detector;
use super::{
    BatchRows, Columns, PairId, PairText, PairsError, RawPair, RepeatCounter, Result, Shape,
    UnusableReason,
};

/// How inputs are read.
#[derive(Debug, Clone)]
pub struct ReadOptions {
    /// Columns named by the user.
    pub columns: Columns,
    /// Rows a batch; bounds how many texts are in memory.
    pub batch_rows: usize,
}

impl Default for ReadOptions {
    fn default() -> Self {
        Self {
            columns: Columns::default(),
            batch_rows: 1024,
        }
    }
}

/// One input file.
#[derive(Debug, Clone)]
pub struct Input {
    /// As given, or as found below a folder or by a pattern.
    pub path: PathBuf,
    /// Its number of rows.
    pub rows: u64,
    format: Format,
}

impl Input {
    /// BLAKE3 of the file's bytes, hexadecimal: tells a resumed run that its input is the same.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn digest(&self) -> Result<String> {
        let mut hasher = blake3::Hasher::new();
        File::open(&self.path)
            .and_then(|file| hasher.update_reader(file).map(|_| ()))
            .map_err(|source| PairsError::Read {
                path: self.path.clone(),
                source,
            })?;
        Ok(hasher.finalize().to_hex().to_string())
    }
}

impl AsRef<Path> for Input {
    fn as_ref(&self) -> &Path {
        &self.path
    }
}

/// Where a row is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RowAt {
    /// Position in [`PairSource::inputs`].
    pub input: usize,
    /// 0-based within that file.
    pub row: u64,
    /// 0-based over all inputs.
    pub index: u64,
}

/// Checked inputs whose rows can be streamed any number of times.
///
/// ```no_run
/// use prefclean::pairs::{PairSource, ReadOptions};
/// let source = PairSource::open(&["data/train.parquet"], &ReadOptions::default())?;
/// println!("{} rows, {}", source.rows(), source.shape());
/// for row in source.pairs()? {
///     let row = row?;
///     match row.pair {
///         Ok(pair) => println!("{} {}", row.id, pair.prompt.len()),
///         Err(reason) => println!("{} {reason}", row.id),
///     }
/// }
/// # Ok::<(), prefclean::pairs::PairsError>(())
/// ```
#[derive(Debug, Clone)]
pub struct PairSource {
    inputs: Vec<Input>,
    schema: SchemaRef,
    shape: Shape,
    batch_rows: usize,
}

impl PairSource {
    /// Finds the files that `paths` stand for (files, folders, patterns), checks that
    /// they can be read and have the same columns, and detects their shape.
    ///
    /// # Errors
    /// Anything that makes the inputs as a whole unreadable; see [`PairsError`].
    pub fn open<P: AsRef<Path>>(paths: &[P], options: &ReadOptions) -> Result<Self> {
        let paths: Vec<PathBuf> = paths.iter().map(|p| p.as_ref().to_owned()).collect();
        let mut inputs = Vec::new();
        let mut first: Option<(PathBuf, Schema)> = None;
        for path in inputs::expand(&paths)? {
            let (input, schema) = examine(path)?;
            match &mut first {
                // a JSON Lines file without lines has no columns to compare
                _ if input.rows == 0 && schema.fields().is_empty() => {}
                Some((first, common)) => agree(first, common, &input.path, &schema)?,
                None => first = Some((input.path.clone(), schema)),
            }
            inputs.push(input);
        }
        let Some((path, schema)) = first.filter(|_| inputs.iter().any(|i| i.rows > 0)) else {
            return Err(PairsError::NoRows(inputs.swap_remove(0).path));
        };
        let mut source = Self {
            inputs,
            schema: Arc::new(schema),
            shape: Shape {
                kind: super::ShapeKind::Strings,
                prompt: Vec::new(),
                chosen: String::new(),
                rejected: String::new(),
            },
            batch_rows: options.batch_rows.max(1),
        };
        let detector = Detector {
            path: &path,
            schema: &source.schema,
            columns: &options.columns,
        };
        source.shape = detector.detect(|| {
            let mut batches = source.batches();
            match batches.next() {
                Some(batch) => Ok(batch?.batch),
                None => Err(PairsError::NoRows(path.clone())),
            }
        })?;
        Ok(source)
    }

    /// The files, sorted by path.
    #[must_use]
    pub fn inputs(&self) -> &[Input] {
        &self.inputs
    }

    /// Columns with the metadata of the first file.
    #[must_use]
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// How the files hold pairs.
    #[must_use]
    pub fn shape(&self) -> &Shape {
        &self.shape
    }

    /// Rows of all files.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.inputs.iter().map(|input| input.rows).sum()
    }

    /// Streams all columns.
    #[must_use]
    pub fn batches(&self) -> Batches<'_> {
        self.stream(None)
    }

    /// Streams the named columns only, in the order of the schema.
    ///
    /// # Errors
    /// [`PairsError::NoColumn`] if one does not exist.
    pub fn batches_of<'a>(
        &self,
        columns: impl IntoIterator<Item = &'a str>,
    ) -> Result<Batches<'_>> {
        let mut kept = Vec::new();
        for column in columns {
            kept.push(self.column(column)?);
        }
        kept.sort_unstable();
        kept.dedup();
        Ok(self.stream(Some(kept)))
    }

    /// Position of a column.
    ///
    /// # Errors
    /// [`PairsError::NoColumn`] with the names that exist, closest first.
    pub fn column(&self, name: &str) -> Result<usize> {
        self.schema
            .index_of(name)
            .map_err(|_| PairsError::NoColumn {
                path: self.inputs[0].path.clone(),
                column: name.to_owned(),
                columns: super::columns::closest_first(
                    name,
                    self.schema.fields().iter().map(|f| f.name().as_str()),
                ),
            })
    }

    /// Streams rows as pairs with their ids; reads no other column.
    ///
    /// # Errors
    /// If a column of the shape is gone; each item is an error if reading fails.
    pub fn pairs(&self) -> Result<Pairs<'_>> {
        Ok(Pairs {
            batches: self.pair_batches()?,
            current: None,
            repeats: RepeatCounter::default(),
        })
    }

    /// The rows of one of this source's batches, to be read in any order and by any thread.
    ///
    /// # Errors
    /// [`PairsError::Decode`] if the batch lacks a column of the shape.
    pub fn rows_of(&self, batch: &PairBatch) -> Result<BatchRows> {
        self.shape
            .rows(&batch.batch)
            .map_err(|error| PairsError::Decode {
                path: self.inputs[batch.first.input].path.clone(),
                row: batch.first.row,
                source: error,
            })
    }

    /// Streams the columns of the pairs only, for [`rows_of`](Self::rows_of).
    ///
    /// # Errors
    /// If a column of the shape is gone.
    pub fn pair_batches(&self) -> Result<Batches<'_>> {
        self.batches_of(self.shape.columns())
    }

    fn stream(&self, kept: Option<Vec<usize>>) -> Batches<'_> {
        Batches {
            source: self,
            schema: match &kept {
                Some(kept) => Arc::new(
                    self.schema
                        .project(kept)
                        .expect("positions come from this schema"),
                ),
                None => self.schema.clone(),
            },
            kept,
            input: 0,
            row: 0,
            index: 0,
            reader: None,
        }
    }
}

/// Opens a file once: its format, its number of rows and its columns.
fn examine(path: PathBuf) -> Result<(Input, Schema)> {
    let format = inputs::format_of(&path)?;
    let (schema, rows) = match format {
        Format::Parquet => {
            let builder = open_parquet(&path)?;
            let rows = builder.metadata().file_metadata().num_rows();
            let schema = Schema::clone(builder.schema());
            (schema, u64::try_from(rows).unwrap_or(0))
        }
        Format::Json(compression) => jsonl::infer(&path, compression)?,
    };
    Ok((Input { path, rows, format }, schema))
}

fn open_parquet(path: &Path) -> Result<ParquetRecordBatchReaderBuilder<File>> {
    use std::io::{Read, Seek, SeekFrom};
    let read = |source| PairsError::Read {
        path: path.to_owned(),
        source,
    };
    let mut file = File::open(path).map_err(read)?;
    let mut tail = [0; 4];
    let complete = file.seek(SeekFrom::End(-4)).is_ok() && file.read_exact(&mut tail).is_ok();
    if !complete || !(tail == *b"PAR1" || tail == *b"PARE") {
        return Err(PairsError::Truncated(path.to_owned()));
    }
    ParquetRecordBatchReaderBuilder::try_new(file).map_err(|source| parquet_error(path, source))
}

fn parquet_error(path: &Path, source: ParquetError) -> PairsError {
    PairsError::ReadParquet {
        path: path.to_owned(),
        source,
    }
}

/// Checks that a file has the columns of the first one; what may be null in any
/// file may be null in all.
fn agree(first: &Path, common: &mut Schema, second: &Path, schema: &Schema) -> Result<()> {
    let mut differences = Vec::new();
    let (one, two) = (first.display(), second.display());
    for field in common.fields() {
        match schema.field_with_name(field.name()) {
            Err(_) => differences.push(format!("`{}` is only in `{one}`", field.name())),
            Ok(other) if other.data_type() != field.data_type() => differences.push(format!(
                "`{}` is {} and {}",
                field.name(),
                field.data_type(),
                other.data_type()
            )),
            Ok(_) => {}
        }
    }
    for field in schema.fields() {
        if common.field_with_name(field.name()).is_err() {
            differences.push(format!("`{}` is only in `{two}`", field.name()));
        }
    }
    if !differences.is_empty() {
        return Err(PairsError::Schemas {
            first: first.to_owned(),
            second: second.to_owned(),
            differences: differences.join("; "),
        });
    }
    let nullable = |name: &str| schema.field_with_name(name).is_ok_and(Field::is_nullable);
    let fields: arrow::datatypes::Fields = common
        .fields()
        .iter()
        .map(|field| {
            let either = field.is_nullable() || nullable(field.name());
            Arc::new(field.as_ref().clone().with_nullable(either))
        })
        .collect();
    common.fields = fields;
    Ok(())
}

enum Reader {
    Parquet(ParquetRecordBatchReader),
    Json(JsonBatches),
}

/// Some rows of one file.
#[derive(Debug, Clone)]
pub struct PairBatch {
    /// Where its first row is.
    pub first: RowAt,
    /// The columns asked for.
    pub batch: RecordBatch,
}

impl PairBatch {
    /// Where a row of the batch is.
    #[must_use]
    pub fn at(&self, row: usize) -> RowAt {
        RowAt {
            input: self.first.input,
            row: self.first.row + row as u64,
            index: self.first.index + row as u64,
        }
    }

    /// A column as text: numbers and booleans written out; `None` for a column that
    /// cannot be written as one text a row (lists) or is not in the batch.
    #[must_use]
    pub fn text_column(&self, name: &str) -> Option<LargeStringArray> {
        let array = self.batch.column_by_name(name)?;
        Some(cast(array, &DataType::LargeUtf8).ok()?.as_string().clone())
    }

    /// A column as numbers; `None` for one that holds none or is not in the batch.
    #[must_use]
    pub fn number_column(&self, name: &str) -> Option<arrow::array::Float64Array> {
        let array = self.batch.column_by_name(name)?;
        Some(cast(array, &DataType::Float64).ok()?.as_primitive().clone())
    }
}

/// Iterator over the batches of a source, file by file in order.
pub struct Batches<'a> {
    source: &'a PairSource,
    schema: SchemaRef,
    kept: Option<Vec<usize>>,
    input: usize,
    row: u64,
    index: u64,
    reader: Option<Reader>,
}

impl Batches<'_> {
    fn open(&self, input: &Input) -> Result<Reader> {
        match input.format {
            Format::Parquet => {
                let mut builder = open_parquet(&input.path)?;
                if let Some(kept) = &self.kept {
                    // files may order the same columns differently
                    let own = builder.schema();
                    let roots: Vec<usize> = kept
                        .iter()
                        .filter_map(|&i| own.index_of(self.source.schema.field(i).name()).ok())
                        .collect();
                    let mask = ProjectionMask::roots(builder.parquet_schema(), roots);
                    builder = builder.with_projection(mask);
                }
                builder
                    .with_batch_size(self.source.batch_rows)
                    .build()
                    .map(Reader::Parquet)
                    .map_err(|source| parquet_error(&input.path, source))
            }
            Format::Json(compression) => JsonBatches::open(
                &input.path,
                compression,
                self.schema.clone(),
                self.source.batch_rows,
            )
            .map(Reader::Json),
        }
    }

    fn step(&mut self) -> Result<Option<PairBatch>> {
        loop {
            let Some(input) = self.source.inputs.get(self.input) else {
                return Ok(None);
            };
            if self.reader.is_none() {
                self.reader = Some(self.open(input)?);
            }
            let row = self.row;
            let decode = |source| PairsError::Decode {
                path: input.path.clone(),
                row,
                source,
            };
            let batch = match &mut self.reader {
                Some(Reader::Parquet(reader)) => reader.next().transpose().map_err(decode)?,
                Some(Reader::Json(reader)) => reader.next().transpose()?,
                None => None,
            };
            let Some(batch) = batch else {
                if self.row != input.rows {
                    return Err(PairsError::Changed {
                        path: input.path.clone(),
                        expected: input.rows,
                        found: self.row,
                    });
                }
                self.reader = None;
                self.input += 1;
                self.row = 0;
                continue;
            };
            if batch.num_rows() == 0 {
                continue;
            }
            let batch = conform(&batch, &self.schema).map_err(decode)?;
            let first = RowAt {
                input: self.input,
                row: self.row,
                index: self.index,
            };
            self.row += batch.num_rows() as u64;
            self.index += batch.num_rows() as u64;
            return Ok(Some(PairBatch { first, batch }));
        }
    }
}

/// The batch with the columns in the common order, under the common schema.
fn conform(
    batch: &RecordBatch,
    schema: &SchemaRef,
) -> Result<RecordBatch, arrow::error::ArrowError> {
    let columns = schema
        .fields()
        .iter()
        .map(|field| batch.schema().index_of(field.name()))
        .map(|at| at.map(|at| batch.column(at).clone()))
        .collect::<Result<Vec<_>, _>>()?;
    RecordBatch::try_new(schema.clone(), columns)
}

impl Iterator for Batches<'_> {
    type Item = Result<PairBatch>;

    fn next(&mut self) -> Option<Self::Item> {
        let step = self.step();
        if step.is_err() {
            // an error ends the stream
            self.input = self.source.inputs.len();
            self.reader = None;
        }
        step.transpose()
    }
}

/// One row: its id, and its pair if it is usable.
#[derive(Debug, Clone)]
pub struct PairRow {
    /// Where it is.
    pub at: RowAt,
    /// Names the row for good; an unusable row has a name too.
    pub id: PairId,
    /// The pair, or why there is none.
    pub pair: Result<RawPair, UnusableReason>,
}

/// Iterator over the rows of a source as pairs.
pub struct Pairs<'a> {
    batches: Batches<'a>,
    current: Option<(PairBatch, BatchRows, usize)>,
    repeats: RepeatCounter,
}

impl Pairs<'_> {
    fn step(&mut self) -> Result<Option<PairRow>> {
        loop {
            if let Some((batch, rows, next)) = &mut self.current
                && *next < rows.len()
            {
                let at = batch.at(*next);
                let (id, pair) = rows.identify(*next, &mut self.repeats);
                let pair = pair.map(PairText::into_raw);
                *next += 1;
                return Ok(Some(PairRow { at, id, pair }));
            }
            let Some(batch) = self.batches.next().transpose()? else {
                return Ok(None);
            };
            let rows = self.batches.source.rows_of(&batch)?;
            self.current = Some((batch, rows, 0));
        }
    }
}

impl Iterator for Pairs<'_> {
    type Item = Result<PairRow>;

    fn next(&mut self) -> Option<Self::Item> {
        self.step().transpose()
    }
}

#[cfg(test)]
#[path = "source_tests.rs"]
mod tests;
