//! CSV and TSV: a header row, quoted fields as in RFC 4180; one streaming pass finds the
//! columns' types, later passes read batches.
//!
//! A column is whole numbers, numbers, or text: the narrowest that all its fields fit
//! without losing anything (`007` stays text). An empty field is null among numbers and
//! the empty string among text. Columns that can hold a pair's texts are always text.

use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Builder, Int64Builder, RecordBatch, StringBuilder};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use csv::{ErrorKind, StringRecord};

use super::inputs::{Compression, Separator};
use super::text::{self, Text};
use super::{PairsError, Result};

/// The columns of a file and its number of rows; `is_text` names columns that are text
/// whatever they hold.
pub(super) fn infer(
    path: &Path,
    separator: Separator,
    compression: Compression,
    is_text: &dyn Fn(&str) -> bool,
) -> Result<(Schema, u64)> {
    let mut table = Table::open(path, separator, compression)?;
    let mut kinds = vec![Kind::Empty; table.names.len()];
    let mut record = StringRecord::new();
    let mut rows = 0;
    let mut last_line = 1;
    while table.read(&mut record)? {
        rows += 1;
        last_line = record.position().map_or(last_line, csv::Position::line);
        for (kind, field) in kinds.iter_mut().zip(&record) {
            *kind = kind.with(field);
        }
    }
    if table.reader.get_ref().state == Quotes::Inside {
        return Err(PairsError::CsvQuote {
            path: path.to_owned(),
            line: last_line,
        });
    }
    let fields: Vec<Field> = table
        .names
        .iter()
        .zip(kinds)
        .map(|(name, kind)| {
            let data_type = match kind {
                _ if is_text(name) => DataType::Utf8,
                Kind::Integer => DataType::Int64,
                Kind::Number => DataType::Float64,
                Kind::Empty | Kind::NotANumber | Kind::Text => DataType::Utf8,
            };
            Field::new(name, data_type, true)
        })
        .collect();
    Ok((Schema::new(fields), rows))
}

/// What all fields of a column so far can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Nothing but empty fields.
    Empty,
    Integer,
    Number,
    /// `nan` and the like, a number only among numbers.
    NotANumber,
    Text,
}

impl Kind {
    fn with(self, field: &str) -> Self {
        let own = match self {
            Self::Text => return self,
            _ => Self::of(field),
        };
        match (self, own) {
            (kind, Self::Empty) | (Self::Empty, kind) => kind,
            (_, Self::Text) => Self::Text,
            (a, b) if a == b => a,
            _ => Self::Number,
        }
    }

    fn of(field: &str) -> Self {
        let digits = field.strip_prefix('-').unwrap_or(field);
        if field.is_empty() {
            return Self::Empty;
        }
        if ["nan", "inf"]
            .iter()
            .any(|n| digits.eq_ignore_ascii_case(n))
        {
            return Self::NotANumber;
        }
        if !digits.starts_with(|c: char| c.is_ascii_digit()) {
            return Self::Text;
        }
        // an identifier such as 007
        if digits.len() > 1 && digits.starts_with('0') && !digits.starts_with("0.") {
            return Self::Text;
        }
        if field != "-0" && field.parse::<i64>().is_ok() {
            return Self::Integer;
        }
        // more digits than a float holds are an identifier too
        let n_digits = digits.bytes().filter(u8::is_ascii_digit).count();
        if n_digits <= 17 && field.parse::<f64>().is_ok_and(f64::is_finite) {
            return Self::Number;
        }
        Self::Text
    }
}

/// Whether the text ends inside a quoted field: the parser takes that for its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Quotes {
    /// At the beginning of a field, where a quote opens it.
    FieldStart,
    Outside,
    Inside,
}

struct QuoteWatch {
    inner: Text,
    separator: u8,
    state: Quotes,
}

impl Read for QuoteWatch {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(out)?;
        for &byte in &out[..n] {
            self.state = match (self.state, byte) {
                // a doubled quote goes out and in again
                (Quotes::Inside, b'"') => Quotes::FieldStart,
                (Quotes::Inside, _) | (Quotes::FieldStart, b'"') => Quotes::Inside,
                (_, b'\n' | b'\r') => Quotes::FieldStart,
                (_, byte) if byte == self.separator => Quotes::FieldStart,
                _ => Quotes::Outside,
            };
        }
        Ok(n)
    }
}

/// A file behind its header.
struct Table {
    path: PathBuf,
    reader: csv::Reader<QuoteWatch>,
    names: Vec<String>,
}

impl Table {
    fn open(path: &Path, separator: Separator, compression: Compression) -> Result<Self> {
        let mut inner = text::open(path, compression)?;
        let separator = match separator {
            Separator::Tab => b'\t',
            Separator::Found => {
                let head =
                    io::BufRead::fill_buf(&mut inner).map_err(|source| PairsError::Read {
                        path: path.to_owned(),
                        source,
                    })?;
                find_separator(head)
            }
        };
        let watch = QuoteWatch {
            inner,
            separator,
            state: Quotes::FieldStart,
        };
        let reader = csv::ReaderBuilder::new()
            .delimiter(separator)
            .has_headers(false)
            .from_reader(watch);
        let mut table = Self {
            path: path.to_owned(),
            reader,
            names: Vec::new(),
        };
        let mut header = StringRecord::new();
        if table.read(&mut header)? {
            table.names = table.named(&header)?;
        }
        Ok(table)
    }

    /// Columns without a name, such as an index that was written along, are named by position.
    fn named(&self, header: &StringRecord) -> Result<Vec<String>> {
        let mut names: Vec<String> = Vec::with_capacity(header.len());
        for (at, name) in header.iter().enumerate() {
            let name = match name.trim() {
                "" => format!("column_{at}"),
                name => name.to_owned(),
            };
            if names.contains(&name) {
                return Err(PairsError::CsvHeader {
                    path: self.path.clone(),
                    column: name,
                });
            }
            names.push(name);
        }
        Ok(names)
    }

    fn read(&mut self, record: &mut StringRecord) -> Result<bool> {
        self.reader.read_record(record).map_err(|error| {
            let path = self.path.clone();
            let line = error.position().map_or(0, csv::Position::line);
            match error.into_kind() {
                ErrorKind::UnequalLengths {
                    expected_len, len, ..
                } => PairsError::CsvFields {
                    path,
                    line,
                    expected: expected_len,
                    found: len,
                },
                ErrorKind::Utf8 { .. } => PairsError::NotUtf8 { path, line },
                ErrorKind::Io(source) => PairsError::Read { path, source },
                other => PairsError::Read {
                    path,
                    source: io::Error::other(format!("{other:?}")),
                },
            }
        })
    }
}

/// The first of comma, semicolon, tab that the header has outside quotes.
fn find_separator(head: &[u8]) -> u8 {
    const SEPARATORS: [u8; 3] = *b",;\t";
    let mut quoted = false;
    let mut found = [false; 3];
    for &byte in head {
        match byte {
            b'"' => quoted = !quoted,
            b'\n' | b'\r' if !quoted => break,
            _ if quoted => {}
            _ => {
                for (found, separator) in found.iter_mut().zip(SEPARATORS) {
                    *found |= byte == separator;
                }
            }
        }
    }
    let first = found.iter().position(|&found| found);
    SEPARATORS[first.unwrap_or(0)]
}

/// Batches of one file.
pub(super) struct CsvBatches {
    table: Table,
    schema: SchemaRef,
    /// Positions in the file of the columns of `schema`.
    positions: Vec<usize>,
    batch_rows: usize,
    row: u64,
}

impl CsvBatches {
    pub(super) fn open(
        path: &Path,
        separator: Separator,
        compression: Compression,
        schema: SchemaRef,
        batch_rows: usize,
    ) -> Result<Self> {
        let table = Table::open(path, separator, compression)?;
        let positions = schema
            .fields()
            .iter()
            .map(|field| table.names.iter().position(|name| name == field.name()))
            .collect::<Option<_>>()
            .ok_or_else(|| PairsError::Changed {
                path: path.to_owned(),
                expected: 1,
                found: 0,
            })?;
        Ok(Self {
            table,
            schema,
            positions,
            batch_rows,
            row: 0,
        })
    }

    fn step(&mut self) -> Result<Option<RecordBatch>> {
        let mut builders: Vec<ColumnBuilder> = self
            .schema
            .fields()
            .iter()
            .map(|field| ColumnBuilder::new(field.data_type()))
            .collect();
        let mut record = StringRecord::new();
        let mut n_rows = 0;
        while n_rows < self.batch_rows && self.table.read(&mut record)? {
            for (builder, &at) in builders.iter_mut().zip(&self.positions) {
                builder.push(record.get(at).unwrap_or_default());
            }
            n_rows += 1;
        }
        if n_rows == 0 {
            return Ok(None);
        }
        let columns: Vec<ArrayRef> = builders.into_iter().map(ColumnBuilder::finish).collect();
        let options = arrow::array::RecordBatchOptions::new().with_row_count(Some(n_rows));
        let batch = RecordBatch::try_new_with_options(self.schema.clone(), columns, &options)
            .map_err(|source| PairsError::Decode {
                path: self.table.path.clone(),
                row: self.row,
                source,
            })?;
        self.row += n_rows as u64;
        Ok(Some(batch))
    }
}

impl Iterator for CsvBatches {
    type Item = Result<RecordBatch>;

    fn next(&mut self) -> Option<Self::Item> {
        self.step().transpose()
    }
}

enum ColumnBuilder {
    Integers(Int64Builder),
    Numbers(Float64Builder),
    Texts(StringBuilder),
}

impl ColumnBuilder {
    fn new(data_type: &DataType) -> Self {
        match data_type {
            DataType::Int64 => Self::Integers(Int64Builder::new()),
            DataType::Float64 => Self::Numbers(Float64Builder::new()),
            _ => Self::Texts(StringBuilder::new()),
        }
    }

    fn push(&mut self, field: &str) {
        match self {
            Self::Integers(builder) => builder.append_option(field.parse().ok()),
            Self::Numbers(builder) => builder.append_option(field.parse().ok()),
            Self::Texts(builder) => builder.append_value(field),
        }
    }

    fn finish(self) -> ArrayRef {
        match self {
            Self::Integers(mut builder) => Arc::new(builder.finish()),
            Self::Numbers(mut builder) => Arc::new(builder.finish()),
            Self::Texts(mut builder) => Arc::new(builder.finish()),
        }
    }
}

#[cfg(test)]
#[path = "delimited_tests.rs"]
mod tests;
