//! The part of the ONNX protobuf schema that this crate reads and writes, as plain structs.
//!
//! Fields that are not listed (training info, functions, sparse tensors) are skipped on reading, so
//! unknown models stay readable. Names and tags are those of `onnx.proto`.
#![expect(
    missing_docs,
    reason = "fields are those of the ONNX specification, which documents them"
)]

use prost::Message;

use super::GraphError;

pub use super::model_file::MAX_MODEL_BYTES;

/// Element types of tensors used here, with their ONNX numbers.
pub mod elem {
    pub const FLOAT: i32 = 1;
    pub const UINT8: i32 = 2;
    pub const INT8: i32 = 3;
    pub const UINT16: i32 = 4;
    pub const INT16: i32 = 5;
    pub const INT32: i32 = 6;
    pub const INT64: i32 = 7;
    pub const STRING: i32 = 8;
    pub const BOOL: i32 = 9;
    pub const FLOAT16: i32 = 10;
    pub const DOUBLE: i32 = 11;
    pub const UINT32: i32 = 12;
    pub const UINT64: i32 = 13;
    pub const BFLOAT16: i32 = 16;

    /// Bytes that the values of a tensor take; `None` for negative dimensions, more than memory can
    /// hold, and types without a whole number of bytes per element.
    #[must_use]
    pub fn byte_length(data_type: i32, dims: &[i64]) -> Option<usize> {
        let size = match data_type {
            BOOL | INT8 | UINT8 => 1,
            BFLOAT16 | FLOAT16 | INT16 | UINT16 => 2,
            FLOAT | INT32 | UINT32 => 4,
            DOUBLE | INT64 | UINT64 => 8,
            _ => return None,
        };
        let bytes = super::super::element_count(dims)?.checked_mul(size)?;
        isize::try_from(bytes).is_ok().then_some(bytes)
    }
}

/// Attribute types used here, with their ONNX numbers.
pub mod attribute_type {
    pub const FLOAT: i32 = 1;
    pub const INT: i32 = 2;
    pub const STRING: i32 = 3;
    pub const TENSOR: i32 = 4;
    pub const GRAPH: i32 = 5;
    pub const FLOATS: i32 = 6;
    pub const INTS: i32 = 7;
    pub const STRINGS: i32 = 8;
}

/// A model: graph, opset imports, who made it.
#[derive(Clone, PartialEq, Message)]
pub struct ModelProto {
    #[prost(int64, tag = "1")]
    pub ir_version: i64,
    #[prost(string, tag = "2")]
    pub producer_name: String,
    #[prost(string, tag = "3")]
    pub producer_version: String,
    #[prost(string, tag = "4")]
    pub domain: String,
    #[prost(int64, tag = "5")]
    pub model_version: i64,
    #[prost(string, tag = "6")]
    pub doc_string: String,
    #[prost(message, optional, tag = "7")]
    pub graph: Option<GraphProto>,
    #[prost(message, repeated, tag = "8")]
    pub opset_import: Vec<OperatorSetId>,
    #[prost(message, repeated, tag = "14")]
    pub metadata_props: Vec<StringEntry>,
}

/// A domain of operators and its version.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct OperatorSetId {
    #[prost(string, tag = "1")]
    pub domain: String,
    #[prost(int64, tag = "2")]
    pub version: i64,
}

/// A key and a value.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct StringEntry {
    #[prost(string, tag = "1")]
    pub key: String,
    #[prost(string, tag = "2")]
    pub value: String,
}

/// Nodes in topological order, with the values that enter and leave.
#[derive(Clone, PartialEq, Message)]
pub struct GraphProto {
    #[prost(message, repeated, tag = "1")]
    pub node: Vec<NodeProto>,
    #[prost(string, tag = "2")]
    pub name: String,
    #[prost(message, repeated, tag = "5")]
    pub initializer: Vec<TensorProto>,
    #[prost(string, tag = "10")]
    pub doc_string: String,
    #[prost(message, repeated, tag = "11")]
    pub input: Vec<ValueInfoProto>,
    #[prost(message, repeated, tag = "12")]
    pub output: Vec<ValueInfoProto>,
    #[prost(message, repeated, tag = "13")]
    pub value_info: Vec<ValueInfoProto>,
}

/// One operator call.
#[derive(Clone, PartialEq, Message)]
pub struct NodeProto {
    #[prost(string, repeated, tag = "1")]
    pub input: Vec<String>,
    #[prost(string, repeated, tag = "2")]
    pub output: Vec<String>,
    #[prost(string, tag = "3")]
    pub name: String,
    #[prost(string, tag = "4")]
    pub op_type: String,
    #[prost(message, repeated, tag = "5")]
    pub attribute: Vec<AttributeProto>,
    #[prost(string, tag = "6")]
    pub doc_string: String,
    #[prost(string, tag = "7")]
    pub domain: String,
}

/// A named constant argument of a node.
#[derive(Clone, PartialEq, Message)]
pub struct AttributeProto {
    #[prost(string, tag = "1")]
    pub name: String,
    #[prost(float, tag = "2")]
    pub f: f32,
    #[prost(int64, tag = "3")]
    pub i: i64,
    #[prost(bytes = "vec", tag = "4")]
    pub s: Vec<u8>,
    #[prost(message, optional, tag = "5")]
    pub t: Option<TensorProto>,
    #[prost(message, optional, tag = "6")]
    pub g: Option<GraphProto>,
    #[prost(float, repeated, packed = "false", tag = "7")]
    pub floats: Vec<f32>,
    #[prost(int64, repeated, packed = "false", tag = "8")]
    pub ints: Vec<i64>,
    #[prost(bytes = "vec", repeated, tag = "9")]
    pub strings: Vec<Vec<u8>>,
    #[prost(message, repeated, tag = "10")]
    pub tensors: Vec<TensorProto>,
    #[prost(message, repeated, tag = "11")]
    pub graphs: Vec<GraphProto>,
    #[prost(string, tag = "13")]
    pub doc_string: String,
    #[prost(int32, tag = "20")]
    pub r#type: i32,
    #[prost(string, tag = "21")]
    pub ref_attr_name: String,
}

/// A constant tensor.
#[derive(Clone, PartialEq, Message)]
pub struct TensorProto {
    #[prost(int64, repeated, packed = "false", tag = "1")]
    pub dims: Vec<i64>,
    #[prost(int32, tag = "2")]
    pub data_type: i32,
    #[prost(float, repeated, tag = "4")]
    pub float_data: Vec<f32>,
    #[prost(int32, repeated, tag = "5")]
    pub int32_data: Vec<i32>,
    #[prost(bytes = "vec", repeated, tag = "6")]
    pub string_data: Vec<Vec<u8>>,
    #[prost(int64, repeated, tag = "7")]
    pub int64_data: Vec<i64>,
    #[prost(string, tag = "8")]
    pub name: String,
    #[prost(bytes = "vec", optional, tag = "9")]
    pub raw_data: Option<Vec<u8>>,
    #[prost(double, repeated, tag = "10")]
    pub double_data: Vec<f64>,
    #[prost(uint64, repeated, tag = "11")]
    pub uint64_data: Vec<u64>,
    #[prost(string, tag = "12")]
    pub doc_string: String,
    #[prost(message, repeated, tag = "13")]
    pub external_data: Vec<StringEntry>,
    #[prost(int32, tag = "14")]
    pub data_location: i32,
}

/// Name and type of a value.
#[derive(Clone, PartialEq, Message)]
pub struct ValueInfoProto {
    #[prost(string, tag = "1")]
    pub name: String,
    #[prost(message, optional, tag = "2")]
    pub r#type: Option<TypeProto>,
    #[prost(string, tag = "3")]
    pub doc_string: String,
}

/// Type of a value: a tensor or a sequence of them; other kinds are not represented.
#[derive(Clone, PartialEq, Message)]
pub struct TypeProto {
    #[prost(oneof = "TypeValue", tags = "1, 4")]
    pub value: Option<TypeValue>,
}

/// What a [`TypeProto`] holds.
#[derive(Clone, PartialEq, prost::Oneof)]
pub enum TypeValue {
    #[prost(message, tag = "1")]
    Tensor(TensorType),
    #[prost(message, tag = "4")]
    Sequence(SequenceType),
}

/// Element type and shape of a tensor.
#[derive(Clone, PartialEq, Message)]
pub struct TensorType {
    #[prost(int32, tag = "1")]
    pub elem_type: i32,
    #[prost(message, optional, tag = "2")]
    pub shape: Option<ShapeProto>,
}

/// Element type of a sequence.
#[derive(Clone, PartialEq, Message)]
pub struct SequenceType {
    #[prost(message, optional, boxed, tag = "1")]
    pub elem_type: Option<Box<TypeProto>>,
}

/// Dimensions of a tensor.
#[derive(Clone, PartialEq, Message)]
pub struct ShapeProto {
    #[prost(message, repeated, tag = "1")]
    pub dim: Vec<DimProto>,
}

/// One dimension; no value means unknown.
#[derive(Clone, PartialEq, Message)]
pub struct DimProto {
    #[prost(oneof = "DimValue", tags = "1, 2")]
    pub value: Option<DimValue>,
}

/// A known size or a name for one.
#[derive(Clone, PartialEq, Eq, prost::Oneof)]
pub enum DimValue {
    #[prost(int64, tag = "1")]
    Size(i64),
    #[prost(string, tag = "2")]
    Name(String),
}

impl ModelProto {
    /// The graph; a model that was read has one.
    ///
    /// # Errors
    /// [`GraphError::Malformed`] when there is none.
    pub fn graph(&self) -> Result<&GraphProto, GraphError> {
        let graph = self.graph.as_ref();
        graph.ok_or_else(|| GraphError::Malformed("the model has no graph".into()))
    }

    /// The version of the default operator set, 0 when it is not imported.
    #[must_use]
    pub fn opset(&self) -> i64 {
        self.opset_import
            .iter()
            .find(|set| set.domain.is_empty() || set.domain == "ai.onnx")
            .map_or(0, |set| set.version)
    }
}

impl NodeProto {
    /// How messages call the node: its name or, without one, its first output.
    #[must_use]
    pub fn label(&self) -> &str {
        match self.output_at(0) {
            Some(output) if self.name.is_empty() => output,
            _ => &self.name,
        }
    }

    /// The attribute of that name.
    #[must_use]
    pub fn attribute(&self, name: &str) -> Option<&AttributeProto> {
        self.attribute.iter().find(|a| a.name == name)
    }

    /// An integer attribute, or the default when it is absent.
    #[must_use]
    pub fn int(&self, name: &str, default: i64) -> i64 {
        self.attribute(name).map_or(default, |a| a.i)
    }

    /// A float attribute, or the default when it is absent.
    #[must_use]
    pub fn float(&self, name: &str, default: f32) -> f32 {
        self.attribute(name).map_or(default, |a| a.f)
    }

    /// The name of input `index`; `None` when it is left out.
    #[must_use]
    pub fn input_at(&self, index: usize) -> Option<&str> {
        self.input
            .get(index)
            .map(String::as_str)
            .filter(|name| !name.is_empty())
    }

    /// The name of output `index`; `None` when it is left out.
    #[must_use]
    pub fn output_at(&self, index: usize) -> Option<&str> {
        self.output
            .get(index)
            .map(String::as_str)
            .filter(|name| !name.is_empty())
    }
}

impl TensorProto {
    /// An f32 tensor stored as raw bytes.
    #[must_use]
    pub fn from_f32(name: &str, dims: &[i64], data: &[f32]) -> Self {
        let raw = data.iter().flat_map(|v| v.to_le_bytes()).collect();
        Self::from_raw(name, elem::FLOAT, dims, raw)
    }

    /// An i64 tensor stored as raw bytes.
    #[must_use]
    pub fn from_i64(name: &str, dims: &[i64], data: &[i64]) -> Self {
        let raw = data.iter().flat_map(|v| v.to_le_bytes()).collect();
        Self::from_raw(name, elem::INT64, dims, raw)
    }

    /// A tensor from its little-endian bytes.
    #[must_use]
    pub fn from_raw(name: &str, data_type: i32, dims: &[i64], raw: Vec<u8>) -> Self {
        Self {
            name: name.into(),
            data_type,
            dims: dims.to_vec(),
            raw_data: Some(raw),
            ..Self::default()
        }
    }

    /// The values of an f32 tensor.
    ///
    /// # Errors
    /// [`GraphError::Malformed`] for another element type, external data, or a length that does not
    /// fit the dimensions.
    pub fn to_f32(&self) -> Result<Vec<f32>, GraphError> {
        let values = match &self.raw_data {
            Some(raw) if self.float_data.is_empty() => raw
                .as_chunks::<4>()
                .0
                .iter()
                .map(|b| f32::from_le_bytes(*b))
                .collect(),
            _ => self.float_data.clone(),
        };
        self.check(elem::FLOAT, values.len())?;
        Ok(values)
    }

    /// The values of an i64 tensor.
    ///
    /// # Errors
    /// As [`TensorProto::to_f32`].
    pub fn to_i64(&self) -> Result<Vec<i64>, GraphError> {
        let values = match &self.raw_data {
            Some(raw) if self.int64_data.is_empty() => raw
                .as_chunks::<8>()
                .0
                .iter()
                .map(|b| i64::from_le_bytes(*b))
                .collect(),
            _ => self.int64_data.clone(),
        };
        self.check(elem::INT64, values.len())?;
        Ok(values)
    }

    fn check(&self, expected: i32, found: usize) -> Result<(), GraphError> {
        let elements = super::element_count(&self.dims);
        if self.data_type != expected || elements != Some(found) || self.data_location != 0 {
            return Err(GraphError::Malformed(format!(
                "tensor `{}`: expected element type {expected} and dimensions {:?}, \
                 found element type {} and {found} values",
                self.name, self.dims, self.data_type
            )));
        }
        Ok(())
    }
}

impl ValueInfoProto {
    /// A tensor value of that element type and shape.
    #[must_use]
    pub fn tensor(name: &str, elem_type: i32, dims: Vec<DimProto>) -> Self {
        let tensor = TensorType {
            elem_type,
            shape: Some(ShapeProto { dim: dims }),
        };
        Self {
            name: name.into(),
            r#type: Some(TypeProto {
                value: Some(TypeValue::Tensor(tensor)),
            }),
            doc_string: String::new(),
        }
    }

    /// The tensor type of the value, if it is a tensor.
    #[must_use]
    pub fn tensor_type(&self) -> Option<&TensorType> {
        match self.r#type.as_ref()?.value.as_ref()? {
            TypeValue::Tensor(tensor) => Some(tensor),
            TypeValue::Sequence(_) => None,
        }
    }

    /// The tensor type of the value, to be changed.
    pub fn tensor_type_mut(&mut self) -> Option<&mut TensorType> {
        match self.r#type.as_mut()?.value.as_mut()? {
            TypeValue::Tensor(tensor) => Some(tensor),
            TypeValue::Sequence(_) => None,
        }
    }
}

impl From<i64> for DimProto {
    fn from(size: i64) -> Self {
        Self {
            value: Some(DimValue::Size(size)),
        }
    }
}

impl From<&str> for DimProto {
    fn from(name: &str) -> Self {
        Self {
            value: Some(DimValue::Name(name.into())),
        }
    }
}
