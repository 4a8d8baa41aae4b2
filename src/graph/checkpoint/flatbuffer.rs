//! Flatbuffers without generated code: tables read with every offset checked, and written.
//!
//! Knows nothing of checkpoints; `layout` says which field holds what.

use std::cell::Cell;
use std::rc::Rc;

use super::malformed;
use crate::graph::GraphError;

/// Largest flatbuffer: its offsets are signed 32-bit numbers.
pub(super) const MAX_BYTES: u64 = i32::MAX as u64;

/// Least number of bytes that a table takes in an honest file: one offset each in the list that
/// holds it, to its fields, and in one field.
const LEAST_TABLE: usize = 12;

/// Bytes with checked access.
#[derive(Clone)]
pub(super) struct Buffer<'a> {
    bytes: &'a [u8],
    /// Content still to be copied out. An honest file holds every byte once, names perhaps a few
    /// times; in another one many entries may lead to the same bytes and ask for far more memory than
    /// the file has.
    budget: Rc<Cell<usize>>,
}

/// A table of a flatbuffer: its position and that of its list of fields.
#[derive(Clone)]
pub(super) struct Table<'a> {
    buffer: Buffer<'a>,
    position: usize,
    fields: usize,
    fields_length: usize,
}

impl<'a> Buffer<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        let budget = Rc::new(Cell::new(bytes.len().saturating_mul(2)));
        Self { bytes, budget }
    }

    fn spend(&self, bytes: usize) -> Result<(), GraphError> {
        let left = self.budget.get().checked_sub(bytes);
        self.budget
            .set(left.ok_or_else(|| malformed("entries overlap"))?);
        Ok(())
    }

    fn array<const N: usize>(&self, at: usize) -> Result<[u8; N], GraphError> {
        let end = at.checked_add(N);
        end.and_then(|end| self.bytes.get(at..end))
            .and_then(|bytes| bytes.try_into().ok())
            .ok_or_else(|| malformed(format!("an offset leads beyond the end, to {at}")))
    }

    fn u16(&self, at: usize) -> Result<u16, GraphError> {
        Ok(u16::from_le_bytes(self.array(at)?))
    }

    fn u32(&self, at: usize) -> Result<usize, GraphError> {
        usize::try_from(u32::from_le_bytes(self.array(at)?))
            .map_err(|_| malformed("an offset is too large"))
    }

    /// Where the forward offset stored at `at` leads.
    pub(super) fn follow(&self, at: usize) -> Result<usize, GraphError> {
        at.checked_add(self.u32(at)?)
            .ok_or_else(|| malformed("an offset is too large"))
    }

    /// The table that the offset stored at `at` leads to.
    pub(super) fn table_at(&self, at: usize) -> Result<Table<'a>, GraphError> {
        let position = self.follow(at)?;
        let back = i64::from(i32::from_le_bytes(self.array(position)?));
        let fields = i64::try_from(position)
            .ok()
            .and_then(|position| usize::try_from(position - back).ok())
            .ok_or_else(|| malformed("a table's fields lie outside"))?;
        Ok(Table {
            buffer: self.clone(),
            position,
            fields,
            fields_length: usize::from(self.u16(fields)?),
        })
    }

    /// Start and number of elements of the vector that the offset at `at` leads to; the elements
    /// are known to lie inside.
    pub(super) fn vector(&self, at: usize, element: usize) -> Result<(usize, usize), GraphError> {
        let position = self.follow(at)?;
        let length = self.u32(position)?;
        let start = position + 4;
        let end = length
            .checked_mul(element)
            .and_then(|b| b.checked_add(start));
        match end {
            Some(end) if end <= self.bytes.len() => Ok((start, length)),
            _ => Err(malformed("a list is longer than the file")),
        }
    }
}

impl<'a> Table<'a> {
    /// Where a field's value lies; `None` when it has its default.
    pub(super) fn field(&self, slot: usize) -> Result<Option<usize>, GraphError> {
        let entry = 4 + 2 * slot;
        if entry + 2 > self.fields_length {
            return Ok(None);
        }
        let offset = usize::from(self.buffer.u16(self.fields + entry)?);
        Ok((offset != 0).then(|| self.position + offset))
    }

    pub(super) fn scalar<const N: usize>(&self, slot: usize) -> Result<[u8; N], GraphError> {
        self.field(slot)?
            .map_or(Ok([0; N]), |at| self.buffer.array(at))
    }

    pub(super) fn u8(&self, slot: usize) -> Result<u8, GraphError> {
        Ok(u8::from_le_bytes(self.scalar(slot)?))
    }

    pub(super) fn i32(&self, slot: usize) -> Result<i32, GraphError> {
        Ok(i32::from_le_bytes(self.scalar(slot)?))
    }

    pub(super) fn i64(&self, slot: usize) -> Result<i64, GraphError> {
        Ok(i64::from_le_bytes(self.scalar(slot)?))
    }

    pub(super) fn f32(&self, slot: usize) -> Result<f32, GraphError> {
        Ok(f32::from_le_bytes(self.scalar(slot)?))
    }

    pub(super) fn table(&self, slot: usize) -> Result<Option<Table<'a>>, GraphError> {
        let at = self.field(slot)?;
        at.map(|at| self.buffer.table_at(at)).transpose()
    }

    pub(super) fn tables(&self, slot: usize) -> Result<Vec<Table<'a>>, GraphError> {
        let Some(at) = self.field(slot)? else {
            return Ok(Vec::new());
        };
        let (start, length) = self.buffer.vector(at, 4)?;
        self.buffer.spend(length.saturating_mul(LEAST_TABLE))?;
        (0..length)
            .map(|index| self.buffer.table_at(start + 4 * index))
            .collect()
    }

    pub(super) fn bytes(&self, slot: usize) -> Result<&'a [u8], GraphError> {
        let Some(at) = self.field(slot)? else {
            return Ok(&[]);
        };
        let (start, length) = self.buffer.vector(at, 1)?;
        self.buffer.spend(length)?;
        Ok(&self.buffer.bytes[start..start + length])
    }

    pub(super) fn text(&self, slot: usize) -> Result<String, GraphError> {
        let bytes = self.bytes(slot)?;
        let text = std::str::from_utf8(bytes).map_err(|_| malformed("a name is not UTF-8"))?;
        Ok(text.to_owned())
    }

    pub(super) fn i64s(&self, slot: usize) -> Result<Vec<i64>, GraphError> {
        let Some(at) = self.field(slot)? else {
            return Ok(Vec::new());
        };
        let (start, length) = self.buffer.vector(at, 8)?;
        self.buffer.spend(8 * length)?;
        (0..length)
            .map(|index| Ok(i64::from_le_bytes(self.buffer.array(start + 8 * index)?)))
            .collect()
    }
}

/// What a flatbuffer is written from.
pub(super) enum Value<'a> {
    Bool(bool),
    I32(i32),
    I64(i64),
    F32(f32),
    Text(&'a str),
    Bytes(&'a [u8]),
    F32s(&'a [f32]),
    I64s(&'a [i64]),
    Table(Vec<(usize, Value<'a>)>),
    Tables(Vec<Value<'a>>),
}

/// The bytes of a flatbuffer whose root is a table.
pub(super) fn write_root(identifier: [u8; 4], root: &Value<'_>) -> Result<Vec<u8>, GraphError> {
    let mut out = vec![0; 4];
    out.extend_from_slice(&identifier);
    let mut pending = vec![(0, root)];
    // children are written after the place that refers to them, as offsets only lead forward
    while let Some((at, value)) = pending.pop() {
        let position = write_value(&mut out, value, &mut pending);
        let offset = u32::try_from(position - at)
            .ok()
            .filter(|_| out.len() as u64 <= MAX_BYTES)
            .ok_or_else(|| GraphError::Unsupported("a checkpoint beyond 2 GiB".into()))?;
        out[at..at + 4].copy_from_slice(&offset.to_le_bytes());
    }
    Ok(out)
}

/// Pads so that the byte `ahead` places on is aligned to 8.
fn align(out: &mut Vec<u8>, ahead: usize) {
    out.resize((out.len() + ahead).next_multiple_of(8) - ahead, 0);
}

fn put_length(out: &mut Vec<u8>, length: usize) {
    // an oversized list makes the file oversized, which `write_root` refuses
    let length = u32::try_from(length).unwrap_or(u32::MAX);
    out.extend_from_slice(&length.to_le_bytes());
}

/// Appends a value, notes the offsets still to fill, and gives its position.
fn write_value<'v, 'a>(
    out: &mut Vec<u8>,
    value: &'v Value<'a>,
    pending: &mut Vec<(usize, &'v Value<'a>)>,
) -> usize {
    match value {
        Value::Table(fields) => write_table(out, fields, pending),
        Value::Tables(items) => {
            align(out, 4);
            let position = out.len();
            put_length(out, items.len());
            let start = out.len();
            out.resize(start + 4 * items.len(), 0);
            // reversed, and the stack reverses again: tables follow in order
            let places = items.iter().enumerate().rev();
            pending.extend(places.map(|(index, item)| (start + 4 * index, item)));
            position
        }
        Value::Text(text) => write_bytes(out, text.as_bytes(), true),
        Value::Bytes(bytes) => write_bytes(out, bytes, false),
        Value::I64s(values) => {
            align(out, 4);
            let position = out.len();
            put_length(out, values.len());
            out.extend(values.iter().flat_map(|v| v.to_le_bytes()));
            position
        }
        // as bytes, of which a tensor is made
        Value::F32s(values) => {
            align(out, 4);
            let position = out.len();
            put_length(out, values.len().saturating_mul(4));
            out.extend(values.iter().flat_map(|v| v.to_le_bytes()));
            position
        }
        // scalars lie inside their table
        Value::Bool(_) | Value::I32(_) | Value::I64(_) | Value::F32(_) => out.len(),
    }
}

fn write_bytes(out: &mut Vec<u8>, bytes: &[u8], terminated: bool) -> usize {
    align(out, 4);
    let position = out.len();
    put_length(out, bytes.len());
    out.extend_from_slice(bytes);
    if terminated {
        out.push(0);
    }
    position
}

/// A table, its list of fields before it. Every field gets 8 bytes: simple, and aligned.
fn write_table<'v, 'a>(
    out: &mut Vec<u8>,
    fields: &'v [(usize, Value<'a>)],
    pending: &mut Vec<(usize, &'v Value<'a>)>,
) -> usize {
    let slots = fields.iter().map(|(slot, _)| slot + 1).max().unwrap_or(0);
    let list_length = 4 + 2 * slots;
    align(out, list_length);
    let list = out.len();
    let table_length = 8 + 8 * fields.len();
    let short = |n: usize| {
        u16::try_from(n)
            .expect("a table has a few fields")
            .to_le_bytes()
    };
    out.extend_from_slice(&short(list_length));
    out.extend_from_slice(&short(table_length));
    let mut offsets = vec![0; slots];
    for (index, (slot, _)) in fields.iter().enumerate() {
        offsets[*slot] = 8 + 8 * index;
    }
    for offset in offsets {
        out.extend_from_slice(&short(offset));
    }
    let position = out.len();
    let back = i32::try_from(position - list).expect("the list of fields is short");
    out.extend_from_slice(&back.to_le_bytes());
    out.resize(position + table_length, 0);
    for (index, (_, value)) in fields.iter().enumerate().rev() {
        let at = position + 8 + 8 * index;
        match value {
            Value::Bool(v) => out[at] = u8::from(*v),
            Value::I32(v) => out[at..at + 4].copy_from_slice(&v.to_le_bytes()),
            Value::F32(v) => out[at..at + 4].copy_from_slice(&v.to_le_bytes()),
            Value::I64(v) => out[at..at + 8].copy_from_slice(&v.to_le_bytes()),
            _ => pending.push((at, value)),
        }
    }
    position
}
