//! Which field of which table of a checkpoint holds what.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashSet};

use super::flatbuffer::{Buffer, Table, Value, write_root};
use super::{Checkpoint, OptimizerGroup, OptimizerState, Parameter, Property, malformed};
use crate::graph::GraphError;
use crate::graph::external::{ExternalFile, ExternalWriter};
use crate::graph::proto::{TensorProto, elem};

const IDENTIFIER: [u8; 4] = *b"ODTC";
const VERSION: i32 = 2;

/// Names of an optimizer's moments.
const MOMENTS: [&str; 2] = ["momentum0", "momentum1"];

/// Tensors of fewer bytes stay in the checkpoint when the others move to a file of their own, as
/// 1.19.2 has it.
const LEAST_EXTERNAL_BYTES: usize = 64;

mod root {
    pub const VERSION: usize = 0;
    pub const MODULE: usize = 1;
    pub const OPTIMIZERS: usize = 2;
    pub const PROPERTIES: usize = 3;
}

mod module {
    pub const TRAINABLE: usize = 0;
    pub const FROZEN: usize = 1;
    pub const NOMINAL: usize = 2;
    pub const EXTERNAL: usize = 3;
}

mod tensor {
    pub const NAME: usize = 0;
    pub const DIMS: usize = 2;
    pub const TYPE: usize = 3;
    pub const RAW: usize = 4;
    pub const EXTERNAL_OFFSET: usize = 6;
}

mod group {
    pub const NAME: usize = 0;
    pub const STEP: usize = 1;
    pub const INITIAL_LEARNING_RATE: usize = 2;
    pub const STATES: usize = 3;
}

mod state {
    pub const PARAMETER: usize = 0;
    pub const MOMENTS: usize = 1;
}

mod properties {
    pub const INTS: usize = 0;
    pub const FLOATS: usize = 1;
    pub const TEXTS: usize = 2;
    pub const NAME: usize = 0;
    pub const VALUE: usize = 1;
}

/// Opens the file with the values that a checkpoint does not hold itself.
type Open<'a> = &'a dyn Fn() -> Result<ExternalFile, GraphError>;

/// Reads a checkpoint.
pub(super) fn decode(bytes: &[u8], open: Open<'_>) -> Result<Checkpoint, GraphError> {
    let buffer = Buffer::new(bytes);
    if bytes.get(4..8) != Some(&IDENTIFIER) {
        return Err(malformed("the identifier `ODTC` is missing"));
    }
    let root = buffer.table_at(0)?;
    let version = root.i32(root::VERSION)?;
    if version != VERSION {
        return Err(GraphError::Unsupported(format!(
            "checkpoint version {version}: expected {VERSION}"
        )));
    }
    let mut checkpoint = Checkpoint::default();
    let mut external = None;
    if let Some(module) = root.table(root::MODULE)? {
        if module.u8(module::EXTERNAL)? != 0 {
            external = Some(open()?);
        }
        decode_module(&module, external.as_mut(), &mut checkpoint)?;
    }
    let mut groups = HashSet::new();
    for group in root.tables(root::OPTIMIZERS)? {
        let group = decode_group(&group, external.as_mut())?;
        if !groups.insert(group.name.clone()) {
            return Err(malformed(format!("two optimizer groups `{}`", group.name)));
        }
        checkpoint.optimizers.push(group);
    }
    if let Some(bag) = root.table(root::PROPERTIES)? {
        checkpoint.properties = decode_properties(&bag)?;
    }
    Ok(checkpoint)
}

fn decode_module(
    module: &Table<'_>,
    mut external: Option<&mut ExternalFile>,
    checkpoint: &mut Checkpoint,
) -> Result<(), GraphError> {
    checkpoint.nominal = module.u8(module::NOMINAL)? != 0;
    let mut names = HashSet::new();
    for (slot, trainable) in [(module::TRAINABLE, true), (module::FROZEN, false)] {
        for table in module.tables(slot)? {
            let tensor = decode_tensor(&table, checkpoint.nominal, external.as_deref_mut())?;
            if !names.insert(tensor.name.clone()) {
                let what = format!("two parameters `{}`", tensor.name);
                return Err(malformed(what));
            }
            if tensor.data_type == elem::FLOAT {
                checkpoint.parameters.push(Parameter {
                    data: floats(&tensor),
                    name: tensor.name,
                    dims: tensor.dims,
                    trainable,
                });
            } else if trainable {
                return Err(GraphError::Unsupported(format!(
                    "trainable parameter `{}`: expected f32 (1), found element type {}",
                    tensor.name, tensor.data_type
                )));
            } else {
                checkpoint.buffers.push(tensor);
            }
        }
    }
    Ok(())
}

/// A `Tensor` with its values as raw bytes, as many as its dimensions say; a nominal one has neither.
fn decode_tensor(
    table: &Table<'_>,
    nominal: bool,
    external: Option<&mut ExternalFile>,
) -> Result<TensorProto, GraphError> {
    let name = table.text(tensor::NAME)?;
    let data_type = table.i32(tensor::TYPE)?;
    if nominal {
        return Ok(TensorProto {
            data_type,
            name,
            ..TensorProto::default()
        });
    }
    let dims = table.i64s(tensor::DIMS)?;
    let Some(expected) = elem::byte_length(data_type, &dims) else {
        return Err(GraphError::Unsupported(format!(
            "checkpoint tensor `{name}` of element type {data_type} and dimensions {dims:?}"
        )));
    };
    // absent means -1, which has no field
    let offset = match table.field(tensor::EXTERNAL_OFFSET)? {
        Some(_) => u64::try_from(table.i64(tensor::EXTERNAL_OFFSET)?).ok(),
        None => None,
    };
    let raw = match (offset, external) {
        (Some(offset), Some(file)) => file.read(&name, offset, expected)?,
        (Some(_), None) => {
            let what = format!("`{name}` has its values in a file that is not there");
            return Err(malformed(what));
        }
        (None, _) => table.bytes(tensor::RAW)?.to_vec(),
    };
    if raw.len() != expected {
        return Err(malformed(format!(
            "`{name}`: expected {expected} bytes for dimensions {dims:?}, found {}",
            raw.len()
        )));
    }
    Ok(TensorProto::from_raw(&name, data_type, &dims, raw))
}

fn floats(tensor: &TensorProto) -> Vec<f32> {
    let raw = tensor.raw_data.as_deref().unwrap_or_default();
    let (values, _) = raw.as_chunks::<4>();
    values.iter().map(|b| f32::from_le_bytes(*b)).collect()
}

fn decode_group(
    table: &Table<'_>,
    mut external: Option<&mut ExternalFile>,
) -> Result<OptimizerGroup, GraphError> {
    let mut group = OptimizerGroup {
        name: table.text(group::NAME)?,
        step: table.i64(group::STEP)?,
        initial_learning_rate: table.f32(group::INITIAL_LEARNING_RATE)?,
        states: Vec::new(),
    };
    if group.step < 0 {
        return Err(malformed(format!(
            "step {} of `{}`",
            group.step, group.name
        )));
    }
    let mut names = HashSet::new();
    for table in table.tables(group::STATES)? {
        let parameter = table.text(state::PARAMETER)?;
        if !names.insert(parameter.clone()) {
            return Err(malformed(format!("two optimizer states of `{parameter}`")));
        }
        let tensors = table.tables(state::MOMENTS)?;
        if tensors.len() > MOMENTS.len() {
            return Err(malformed(format!("`{parameter}` has too many moments")));
        }
        let mut found = BTreeMap::new();
        for table in tensors {
            let tensor = decode_tensor(&table, false, external.as_deref_mut())?;
            if tensor.data_type != elem::FLOAT {
                let what = format!("moment `{}` of `{parameter}` is not f32", tensor.name);
                return Err(GraphError::Unsupported(what));
            }
            found.insert(tensor.name.clone(), tensor);
        }
        let mut moments = Vec::new();
        let mut dims = None;
        for name in MOMENTS.iter().take(found.len()) {
            let tensor = found
                .get(*name)
                .ok_or_else(|| malformed(format!("`{parameter}` lacks its `{name}`")))?;
            if dims.get_or_insert_with(|| tensor.dims.clone()) != &tensor.dims {
                let what = format!("moments of `{parameter}` differ in shape");
                return Err(malformed(what));
            }
            moments.push(floats(tensor));
        }
        group.states.push(OptimizerState {
            parameter,
            dims: dims.unwrap_or_default(),
            moments,
        });
    }
    Ok(group)
}

fn decode_properties(bag: &Table<'_>) -> Result<BTreeMap<String, Property>, GraphError> {
    let mut found = BTreeMap::new();
    for slot in [properties::INTS, properties::FLOATS, properties::TEXTS] {
        for entry in bag.tables(slot)? {
            let name = entry.text(properties::NAME)?;
            let value = match slot {
                properties::INTS => Property::Int(entry.i64(properties::VALUE)?),
                properties::FLOATS => Property::Float(entry.f32(properties::VALUE)?),
                _ => Property::Text(entry.text(properties::VALUE)?),
            };
            if found.insert(name.clone(), value).is_some() {
                return Err(malformed(format!("two properties `{name}`")));
            }
        }
    }
    Ok(found)
}

/// Writes a checkpoint; the larger tensors go to `external` where there is one.
pub(super) fn encode(
    checkpoint: &Checkpoint,
    external: Option<&mut ExternalWriter>,
) -> Result<Vec<u8>, GraphError> {
    let mut writer = TensorWriter {
        nominal: checkpoint.nominal,
        external,
    };
    let mut lists = [Vec::new(), Vec::new()];
    for parameter in &checkpoint.parameters {
        let list = &mut lists[usize::from(!parameter.trainable)];
        let data = Data::Floats(&parameter.data);
        list.push(writer.tensor(&parameter.name, elem::FLOAT, &parameter.dims, data)?);
    }
    for buffer in &checkpoint.buffers {
        let data = Data::Raw(buffer.raw_data.as_deref().unwrap_or_default());
        lists[1].push(writer.tensor(&buffer.name, buffer.data_type, &buffer.dims, data)?);
    }
    let [trainable, frozen] = lists;
    let mut module = vec![
        (module::TRAINABLE, Value::Tables(trainable)),
        (module::FROZEN, Value::Tables(frozen)),
    ];
    if checkpoint.nominal {
        module.push((module::NOMINAL, Value::Bool(true)));
    }
    if writer.external.is_some() {
        module.push((module::EXTERNAL, Value::Bool(true)));
    }
    let mut root = vec![
        (root::VERSION, Value::I32(VERSION)),
        (root::MODULE, Value::Table(module)),
    ];
    // moments are no part of what a model has
    writer.nominal = false;
    if !checkpoint.optimizers.is_empty() {
        let groups = checkpoint.optimizers.iter();
        let groups = groups.map(|group| encode_group(&mut writer, group));
        let groups = groups.collect::<Result<_, _>>()?;
        root.push((root::OPTIMIZERS, Value::Tables(groups)));
    }
    if !checkpoint.properties.is_empty() {
        let bag = encode_properties(&checkpoint.properties);
        root.push((root::PROPERTIES, bag));
    }
    write_root(IDENTIFIER, &Value::Table(root))
}

/// Values of a tensor to write.
#[derive(Clone, Copy)]
enum Data<'a> {
    Floats(&'a [f32]),
    Raw(&'a [u8]),
}

impl<'a> Data<'a> {
    fn bytes(self) -> usize {
        match self {
            Self::Floats(values) => values.len().saturating_mul(4),
            Self::Raw(raw) => raw.len(),
        }
    }

    fn chunks(self) -> Box<dyn Iterator<Item = Cow<'a, [u8]>> + 'a> {
        match self {
            Self::Raw(raw) => Box::new(std::iter::once(Cow::Borrowed(raw))),
            Self::Floats(values) => Box::new(values.chunks(1 << 16).map(|chunk| {
                let bytes = chunk.iter().flat_map(|v| v.to_le_bytes());
                Cow::Owned(bytes.collect())
            })),
        }
    }
}

/// Writes tensors; knows where their values go.
struct TensorWriter<'w> {
    nominal: bool,
    /// The file for the larger ones.
    external: Option<&'w mut ExternalWriter>,
}

impl TensorWriter<'_> {
    fn tensor<'a>(
        &mut self,
        name: &'a str,
        data_type: i32,
        dims: &'a [i64],
        data: Data<'a>,
    ) -> Result<Value<'a>, GraphError> {
        let mut fields = vec![
            (tensor::NAME, Value::Text(name)),
            (tensor::TYPE, Value::I32(data_type)),
        ];
        if self.nominal {
            fields.push((tensor::DIMS, Value::I64s(&[])));
            fields.push((tensor::RAW, Value::Bytes(&[])));
            return Ok(Value::Table(fields));
        }
        fields.push((tensor::DIMS, Value::I64s(dims)));
        let length = data.bytes();
        if elem::byte_length(data_type, dims) != Some(length) {
            return Err(malformed(format!(
                "`{name}` has {length} bytes for element type {data_type} and dimensions {dims:?}"
            )));
        }
        match &mut self.external {
            Some(file) if length >= LEAST_EXTERNAL_BYTES => {
                let offset = i64::try_from(file.append(data.chunks())?)
                    .map_err(|_| GraphError::Unsupported("a file of 2^63 bytes".into()))?;
                fields.push((tensor::EXTERNAL_OFFSET, Value::I64(offset)));
            }
            _ => {
                let raw = match data {
                    Data::Raw(raw) => Value::Bytes(raw),
                    Data::Floats(values) => Value::F32s(values),
                };
                fields.push((tensor::RAW, raw));
                fields.push((tensor::EXTERNAL_OFFSET, Value::I64(-1)));
            }
        }
        Ok(Value::Table(fields))
    }
}

fn encode_group<'a>(
    writer: &mut TensorWriter<'_>,
    group: &'a OptimizerGroup,
) -> Result<Value<'a>, GraphError> {
    let mut states = Vec::new();
    for state in &group.states {
        if state.moments.len() > MOMENTS.len() {
            let what = format!("`{}` has too many moments", state.parameter);
            return Err(malformed(what));
        }
        let mut moments = Vec::new();
        for (name, data) in MOMENTS.iter().zip(&state.moments) {
            let moment = writer.tensor(name, elem::FLOAT, &state.dims, Data::Floats(data));
            moments.push(moment.map_err(|error| {
                malformed(format!("optimizer state of `{}`: {error}", state.parameter))
            })?);
        }
        states.push(Value::Table(vec![
            (state::PARAMETER, Value::Text(&state.parameter)),
            (state::MOMENTS, Value::Tables(moments)),
        ]));
    }
    let rate = Value::F32(group.initial_learning_rate);
    Ok(Value::Table(vec![
        (group::NAME, Value::Text(&group.name)),
        (group::STEP, Value::I64(group.step)),
        (group::INITIAL_LEARNING_RATE, rate),
        (group::STATES, Value::Tables(states)),
    ]))
}

fn encode_properties(bag: &BTreeMap<String, Property>) -> Value<'_> {
    let mut lists = [Vec::new(), Vec::new(), Vec::new()];
    for (name, value) in bag {
        let (slot, value) = match value {
            Property::Int(value) => (properties::INTS, Value::I64(*value)),
            Property::Float(value) => (properties::FLOATS, Value::F32(*value)),
            Property::Text(value) => (properties::TEXTS, Value::Text(value)),
        };
        lists[slot].push(Value::Table(vec![
            (properties::NAME, Value::Text(name)),
            (properties::VALUE, value),
        ]));
    }
    let lists = lists.into_iter().enumerate();
    let lists = lists.map(|(slot, list)| (slot, Value::Tables(list)));
    Value::Table(lists.collect())
}
