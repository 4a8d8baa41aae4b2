//! JSON Lines, or one JSON array of objects: one streaming pass finds all columns, later passes read batches.

use std::cell::Cell;
use std::io::BufRead;
use std::path::{Path, PathBuf};

use arrow::datatypes::{DataType, Field, FieldRef, Fields, Schema, SchemaRef};
use arrow::error::ArrowError;
use arrow::json::ReaderBuilder;
use arrow::json::reader::{Reader, infer_json_schema_from_iterator};
use serde_json::Value;

use super::inputs::Compression;
use super::text::{self, Text};
use super::{PairsError, Result};

/// The columns of all lines and the number of rows.
///
/// The whole file is read, so that a column that first comes up in the last line
/// is not lost.
pub(super) fn infer(path: &Path, compression: Compression) -> Result<(Schema, u64)> {
    let (lines, is_array) = text::open_json(path, compression)?;
    let mut values = Values {
        path,
        lines,
        unit: if is_array { "element" } else { "line" },
        buffer: Vec::new(),
        failed: None,
        line: &Cell::new(0),
        rows: 0,
    };
    let (line, unit) = (values.line, values.unit);
    let inferred = infer_json_schema_from_iterator(&mut values);
    if let Some(error) = values.failed {
        return Err(error);
    }
    let schema = inferred.map_err(|source| PairsError::JsonTypes {
        path: path.to_owned(),
        unit,
        line: line.get(),
        source,
    })?;
    Ok((with_types(&schema), values.rows))
}

/// Iterates over the lines of a file as JSON values.
struct Values<'a> {
    path: &'a Path,
    lines: Text,
    unit: &'static str,
    buffer: Vec<u8>,
    failed: Option<PairsError>,
    line: &'a Cell<u64>,
    rows: u64,
}

impl Values<'_> {
    fn read(&mut self) -> Result<Option<Value>> {
        loop {
            self.buffer.clear();
            let n = self
                .lines
                .read_until(b'\n', &mut self.buffer)
                .map_err(|source| PairsError::Read {
                    path: self.path.to_owned(),
                    source,
                })?;
            if n == 0 {
                return Ok(None);
            }
            self.line.set(self.line.get() + 1);
            let text = self.buffer.trim_ascii();
            if text.is_empty() {
                continue;
            }
            self.rows += 1;
            let parsed = serde_json::from_slice::<serde_json::Map<String, Value>>(text);
            return parsed
                .map(|map| Some(Value::Object(map)))
                .map_err(|source| PairsError::JsonLine {
                    path: self.path.to_owned(),
                    unit: self.unit,
                    line: self.line.get(),
                    source,
                });
        }
    }
}

impl Iterator for &mut Values<'_> {
    type Item = Result<Value, ArrowError>;

    fn next(&mut self) -> Option<Self::Item> {
        match self.read() {
            Ok(value) => value.map(Ok),
            Err(error) => {
                self.failed = Some(error);
                None
            }
        }
    }
}

/// Columns that are null in every line become text: Parquet readers differ on a null type.
fn with_types(schema: &Schema) -> Schema {
    fn typed(field: &FieldRef) -> FieldRef {
        let data_type = match field.data_type() {
            DataType::Null => DataType::Utf8,
            DataType::List(item) => DataType::List(typed(item)),
            DataType::Struct(fields) => DataType::Struct(all(fields)),
            other => other.clone(),
        };
        std::sync::Arc::new(Field::new(field.name(), data_type, true))
    }
    fn all(fields: &Fields) -> Fields {
        fields.iter().map(typed).collect()
    }
    Schema::new(all(schema.fields()))
}

/// Batches of one file.
pub(super) struct JsonBatches {
    path: PathBuf,
    row: u64,
    reader: Reader<Text>,
}

impl JsonBatches {
    pub(super) fn open(
        path: &Path,
        compression: Compression,
        schema: SchemaRef,
        batch_rows: usize,
    ) -> Result<Self> {
        let reader = ReaderBuilder::new(schema)
            .with_batch_size(batch_rows)
            // a number among strings was inferred as text
            .with_coerce_primitive(true)
            .build(text::open_json(path, compression)?.0)
            .map_err(|source| PairsError::Decode {
                path: path.to_owned(),
                row: 0,
                source,
            })?;
        Ok(Self {
            path: path.to_owned(),
            row: 0,
            reader,
        })
    }
}

impl Iterator for JsonBatches {
    type Item = Result<arrow::array::RecordBatch>;

    fn next(&mut self) -> Option<Self::Item> {
        let batch = self.reader.next()?.map_err(|source| PairsError::Decode {
            path: self.path.clone(),
            row: self.row,
            source,
        });
        if let Ok(batch) = &batch {
            self.row += batch.num_rows() as u64;
        }
        Some(batch)
    }
}
