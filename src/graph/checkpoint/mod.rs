//! The `checkpoint` file of training artifacts: a flatbuffer with identifier `ODTC`.
//!
//! Reads and writes the parameters and the optimizer's state. Every offset is checked, so a hostile
//! file is an error. The layout is that of onnxruntime-training 1.19.2 (version 2); strings, external
//! data and the property bag are not represented.

use std::cell::Cell;
use std::path::Path;
use std::rc::Rc;

use super::proto::elem;
use super::{GraphError, element_count, read_bounded};

/// Largest checkpoint that is read: the limit of flatbuffers.
const MAX_CHECKPOINT_BYTES: u64 = i32::MAX as u64;
const IDENTIFIER: &[u8; 4] = b"ODTC";
const VERSION: i32 = 2;
/// Names of the two moments of `AdamW` in the file.
const MOMENTS: [&str; 2] = ["momentum0", "momentum1"];

/// Parameters and, once training has begun, the optimizer's state.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Checkpoint {
    /// Trainable parameters first, then frozen ones, in the order of the file.
    pub parameters: Vec<Parameter>,
    /// The optimizer's groups; usually one or none.
    pub optimizers: Vec<OptimizerGroup>,
}

/// A named f32 tensor of a model.
#[derive(Clone, Debug, PartialEq)]
pub struct Parameter {
    /// Its name in the graphs.
    pub name: String,
    /// Its shape.
    pub dims: Vec<i64>,
    /// Its values, row-major.
    pub data: Vec<f32>,
    /// Whether the optimizer changes it.
    pub trainable: bool,
}

/// State of an optimizer.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct OptimizerGroup {
    /// Its name, `group0` by default.
    pub name: String,
    /// Updates made so far.
    pub step: i64,
    /// The learning rate it started with.
    pub initial_learning_rate: f32,
    /// Moments by parameter.
    pub states: Vec<OptimizerState>,
}

/// The moments of a parameter.
#[derive(Clone, Debug, PartialEq)]
pub struct OptimizerState {
    /// The parameter's name.
    pub parameter: String,
    /// The shape of parameter and moments.
    pub dims: Vec<i64>,
    /// First and second moment.
    pub moments: [Vec<f32>; 2],
}

impl Checkpoint {
    /// Reads a checkpoint file.
    ///
    /// # Errors
    /// [`GraphError::Read`], or [`GraphError::File`] when the content is not a checkpoint of f32
    /// parameters.
    pub fn read(path: &Path) -> Result<Self, GraphError> {
        let bytes = read_bounded(path, MAX_CHECKPOINT_BYTES)?;
        Self::from_bytes(&bytes).map_err(|error| GraphError::in_file(path, error))
    }

    /// Reads a checkpoint from memory.
    ///
    /// # Errors
    /// [`GraphError::Malformed`] or [`GraphError::Unsupported`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, GraphError> {
        let buffer = Buffer::new(bytes);
        if bytes.get(4..8) != Some(IDENTIFIER) {
            return Err(malformed("the identifier `ODTC` is missing"));
        }
        let root = buffer.table_at(0)?;
        let version = root.i32(0)?;
        if version != VERSION {
            return Err(GraphError::Unsupported(format!(
                "checkpoint version {version}: expected {VERSION}"
            )));
        }
        let mut checkpoint = Self::default();
        if let Some(module) = root.table(1)? {
            if module.u8(3)? != 0 {
                let what = "a checkpoint with external data".to_owned();
                return Err(GraphError::Unsupported(what));
            }
            for (slot, trainable) in [(0, true), (1, false)] {
                for tensor in module.tables(slot)? {
                    let (name, dims, data) = tensor.tensor()?;
                    checkpoint.parameters.push(Parameter {
                        name,
                        dims,
                        data,
                        trainable,
                    });
                }
            }
        }
        for group in root.tables(2)? {
            checkpoint.optimizers.push(group.optimizer_group()?);
        }
        Ok(checkpoint)
    }

    /// The checkpoint as the bytes of its file.
    ///
    /// # Errors
    /// [`GraphError::Unsupported`] when it would be larger than a flatbuffer can be, and
    /// [`GraphError::Malformed`] for values that do not fit their dimensions.
    pub fn to_bytes(&self) -> Result<Vec<u8>, GraphError> {
        for parameter in &self.parameters {
            check_elements(&parameter.name, &parameter.dims, parameter.data.len())?;
        }
        let tensors = |trainable| {
            let chosen = self.parameters.iter().filter(|p| p.trainable == trainable);
            chosen
                .map(|p| tensor_value(&p.name, &p.dims, &p.data))
                .collect()
        };
        let mut groups = Vec::new();
        for group in &self.optimizers {
            let mut states = Vec::new();
            for state in &group.states {
                let mut moments = Vec::new();
                for (name, data) in MOMENTS.iter().zip(&state.moments) {
                    check_elements(&state.parameter, &state.dims, data.len())?;
                    moments.push(tensor_value(name, &state.dims, data));
                }
                let name = Value::Text(state.parameter.clone());
                states.push(Value::Table(vec![(0, name), (1, Value::Tables(moments))]));
            }
            groups.push(Value::Table(vec![
                (0, Value::Text(group.name.clone())),
                (1, Value::I64(group.step)),
                (2, Value::F32(group.initial_learning_rate)),
                (3, Value::Tables(states)),
            ]));
        }
        let module = Value::Table(vec![
            (0, Value::Tables(tensors(true))),
            (1, Value::Tables(tensors(false))),
        ]);
        let mut root = vec![(0, Value::I32(VERSION)), (1, module)];
        if !groups.is_empty() {
            root.push((2, Value::Tables(groups)));
        }
        write_root(&Value::Table(root))
    }

    /// The parameter of that name.
    #[must_use]
    pub fn parameter(&self, name: &str) -> Option<&Parameter> {
        self.parameters.iter().find(|p| p.name == name)
    }
}

fn malformed(what: impl Into<String>) -> GraphError {
    GraphError::Malformed(format!("not a checkpoint: {}", what.into()))
}

fn check_elements(name: &str, dims: &[i64], found: usize) -> Result<(), GraphError> {
    if element_count(dims) == Some(found) {
        return Ok(());
    }
    Err(malformed(format!(
        "`{name}` has {found} values for dimensions {dims:?}"
    )))
}

/// Bytes with checked access.
#[derive(Clone)]
struct Buffer<'a> {
    bytes: &'a [u8],
    /// Content still to be copied out. An honest file holds every byte once; in another one many
    /// entries may lead to the same bytes and ask for far more memory than the file has.
    budget: Rc<Cell<usize>>,
}

/// A table of a flatbuffer: its position and that of its list of fields.
#[derive(Clone)]
struct Table<'a> {
    buffer: Buffer<'a>,
    position: usize,
    fields: usize,
    fields_length: usize,
}

impl<'a> Buffer<'a> {
    fn new(bytes: &'a [u8]) -> Self {
        let budget = Rc::new(Cell::new(bytes.len()));
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
    fn follow(&self, at: usize) -> Result<usize, GraphError> {
        at.checked_add(self.u32(at)?)
            .ok_or_else(|| malformed("an offset is too large"))
    }

    /// The table that the offset stored at `at` leads to.
    fn table_at(&self, at: usize) -> Result<Table<'a>, GraphError> {
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
    fn vector(&self, at: usize, element: usize) -> Result<(usize, usize), GraphError> {
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
    fn field(&self, slot: usize) -> Result<Option<usize>, GraphError> {
        let entry = 4 + 2 * slot;
        if entry + 2 > self.fields_length {
            return Ok(None);
        }
        let offset = usize::from(self.buffer.u16(self.fields + entry)?);
        Ok((offset != 0).then(|| self.position + offset))
    }

    fn scalar<const N: usize>(&self, slot: usize) -> Result<[u8; N], GraphError> {
        self.field(slot)?
            .map_or(Ok([0; N]), |at| self.buffer.array(at))
    }

    fn u8(&self, slot: usize) -> Result<u8, GraphError> {
        Ok(u8::from_le_bytes(self.scalar(slot)?))
    }

    fn i32(&self, slot: usize) -> Result<i32, GraphError> {
        Ok(i32::from_le_bytes(self.scalar(slot)?))
    }

    fn table(&self, slot: usize) -> Result<Option<Table<'a>>, GraphError> {
        let at = self.field(slot)?;
        at.map(|at| self.buffer.table_at(at)).transpose()
    }

    fn tables(&self, slot: usize) -> Result<Vec<Table<'a>>, GraphError> {
        let Some(at) = self.field(slot)? else {
            return Ok(Vec::new());
        };
        let (start, length) = self.buffer.vector(at, 4)?;
        self.buffer.spend(4 * length)?;
        (0..length)
            .map(|index| self.buffer.table_at(start + 4 * index))
            .collect()
    }

    fn bytes(&self, slot: usize) -> Result<&'a [u8], GraphError> {
        let Some(at) = self.field(slot)? else {
            return Ok(&[]);
        };
        let (start, length) = self.buffer.vector(at, 1)?;
        self.buffer.spend(length)?;
        Ok(&self.buffer.bytes[start..start + length])
    }

    fn text(&self, slot: usize) -> Result<String, GraphError> {
        let bytes = self.bytes(slot)?;
        let text = std::str::from_utf8(bytes).map_err(|_| malformed("a name is not UTF-8"))?;
        Ok(text.to_owned())
    }

    fn i64s(&self, slot: usize) -> Result<Vec<i64>, GraphError> {
        let Some(at) = self.field(slot)? else {
            return Ok(Vec::new());
        };
        let (start, length) = self.buffer.vector(at, 8)?;
        self.buffer.spend(8 * length)?;
        (0..length)
            .map(|index| Ok(i64::from_le_bytes(self.buffer.array(start + 8 * index)?)))
            .collect()
    }

    /// Name, dimensions and values of a `Tensor`.
    fn tensor(&self) -> Result<(String, Vec<i64>, Vec<f32>), GraphError> {
        let name = self.text(0)?;
        let dims = self.i64s(2)?;
        let data_type = self.i32(3)?;
        if data_type != elem::FLOAT {
            return Err(GraphError::Unsupported(format!(
                "checkpoint tensor `{name}`: expected f32 (1), found element type {data_type}"
            )));
        }
        let (values, rest) = self.bytes(4)?.as_chunks::<4>();
        if !rest.is_empty() {
            return Err(malformed(format!("`{name}` ends within a number")));
        }
        check_elements(&name, &dims, values.len())?;
        let data = values.iter().map(|b| f32::from_le_bytes(*b)).collect();
        Ok((name, dims, data))
    }

    fn optimizer_group(&self) -> Result<OptimizerGroup, GraphError> {
        let mut group = OptimizerGroup {
            name: self.text(0)?,
            step: i64::from_le_bytes(self.scalar(1)?),
            initial_learning_rate: f32::from_le_bytes(self.scalar(2)?),
            states: Vec::new(),
        };
        for state in self.tables(3)? {
            let parameter = state.text(0)?;
            let mut found: [Option<(Vec<i64>, Vec<f32>)>; 2] = [None, None];
            for tensor in state.tables(1)? {
                let (name, dims, data) = tensor.tensor()?;
                if let Some(index) = MOMENTS.iter().position(|&moment| moment == name) {
                    found[index] = Some((dims, data));
                }
            }
            let [Some((dims, first)), Some((second_dims, second))] = found else {
                return Err(malformed(format!("`{parameter}` lacks a moment")));
            };
            if dims != second_dims {
                return Err(malformed(format!(
                    "moments of `{parameter}` differ in shape"
                )));
            }
            group.states.push(OptimizerState {
                parameter,
                dims,
                moments: [first, second],
            });
        }
        Ok(group)
    }
}

/// What a flatbuffer is written from.
enum Value {
    I32(i32),
    I64(i64),
    F32(f32),
    Text(String),
    Bytes(Vec<u8>),
    I64s(Vec<i64>),
    Table(Vec<(usize, Value)>),
    Tables(Vec<Value>),
}

fn tensor_value(name: &str, dims: &[i64], data: &[f32]) -> Value {
    let raw = data.iter().flat_map(|v| v.to_le_bytes()).collect();
    Value::Table(vec![
        (0, Value::Text(name.to_owned())),
        (2, Value::I64s(dims.to_vec())),
        (3, Value::I32(elem::FLOAT)),
        (4, Value::Bytes(raw)),
        (6, Value::I64(-1)),
    ])
}

fn write_root(root: &Value) -> Result<Vec<u8>, GraphError> {
    let mut out = vec![0; 4];
    out.extend_from_slice(IDENTIFIER);
    let mut pending = vec![(0, root)];
    // children are written after the place that refers to them, as offsets only lead forward
    while let Some((at, value)) = pending.pop() {
        let position = write_value(&mut out, value, &mut pending);
        let offset = u32::try_from(position - at)
            .ok()
            .filter(|_| out.len() as u64 <= MAX_CHECKPOINT_BYTES)
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
fn write_value<'v>(
    out: &mut Vec<u8>,
    value: &'v Value,
    pending: &mut Vec<(usize, &'v Value)>,
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
        // scalars lie inside their table
        Value::I32(_) | Value::I64(_) | Value::F32(_) => out.len(),
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
fn write_table<'v>(
    out: &mut Vec<u8>,
    fields: &'v [(usize, Value)],
    pending: &mut Vec<(usize, &'v Value)>,
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
            Value::I32(v) => out[at..at + 4].copy_from_slice(&v.to_le_bytes()),
            Value::F32(v) => out[at..at + 4].copy_from_slice(&v.to_le_bytes()),
            Value::I64(v) => out[at..at + 8].copy_from_slice(&v.to_le_bytes()),
            _ => pending.push((at, value)),
        }
    }
    position
}

#[cfg(test)]
mod tests;
