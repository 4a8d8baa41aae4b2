//! Measures the memory that a model's bytes would take, before they are decoded.
//!
//! An empty attribute is two bytes in a file and hundreds in memory, so a file of megabytes could ask
//! for gigabytes.

use crate::graph::GraphError;
use crate::graph::proto::{
    AttributeProto, DimProto, GraphProto, NodeProto, OperatorSetId, SequenceType, ShapeProto,
    StringEntry, TensorProto, TensorType, TypeProto, ValueInfoProto,
};

/// Memory that the nodes, attributes and names of a model may take; a hundred thousand nodes need a
/// tenth.
const MAX_BYTES: usize = 2 << 30;

/// Deepest nesting of messages that protobuf reads.
const MAX_DEPTH: usize = 100;

/// The messages of the format.
#[derive(Clone, Copy)]
enum Kind {
    Model,
    Graph,
    Node,
    Attribute,
    Tensor,
    Value,
    Type,
    TensorType,
    Sequence,
    Shape,
    Dim,
    Entry,
    OperatorSet,
    /// A name in a list, or another piece of bytes.
    Text,
}

impl Kind {
    /// Messages and lists of names in a field of that tag.
    fn child(self, tag: u64) -> Option<Self> {
        Some(match (self, tag) {
            (Self::Model, 7) | (Self::Attribute, 6 | 11) => Self::Graph,
            (Self::Model, 8) => Self::OperatorSet,
            (Self::Model, 14) | (Self::Tensor, 13) => Self::Entry,
            (Self::Graph, 1) => Self::Node,
            (Self::Graph, 5) | (Self::Attribute, 5 | 10) => Self::Tensor,
            (Self::Graph, 11..=13) => Self::Value,
            (Self::Node, 5) => Self::Attribute,
            (Self::Node, 1 | 2) | (Self::Attribute, 9) | (Self::Tensor, 6) => Self::Text,
            (Self::Value, 2) | (Self::Sequence, 1) => Self::Type,
            (Self::Type, 1) => Self::TensorType,
            (Self::Type, 4) => Self::Sequence,
            (Self::TensorType, 2) => Self::Shape,
            (Self::Shape, 1) => Self::Dim,
            _ => return None,
        })
    }

    /// Memory that one takes, without what it holds.
    fn size(self) -> usize {
        match self {
            Self::Model => 0,
            Self::Graph => size_of::<GraphProto>(),
            Self::Node => size_of::<NodeProto>(),
            Self::Attribute => size_of::<AttributeProto>(),
            Self::Tensor => size_of::<TensorProto>(),
            Self::Value => size_of::<ValueInfoProto>(),
            Self::Type => size_of::<TypeProto>(),
            Self::TensorType => size_of::<TensorType>(),
            Self::Sequence => size_of::<SequenceType>(),
            Self::Shape => size_of::<ShapeProto>(),
            Self::Dim => size_of::<DimProto>(),
            Self::Entry => size_of::<StringEntry>(),
            Self::OperatorSet => size_of::<OperatorSetId>(),
            Self::Text => size_of::<String>(),
        }
    }
}

/// Refuses bytes that are no protobuf, and those that would take far more memory than they are.
pub(super) fn check_size(bytes: &[u8]) -> Result<(), GraphError> {
    let malformed = || GraphError::Malformed("not an ONNX model: no protobuf".into());
    let mut memory = 0;
    let mut at = 0;
    let mut open = vec![(Kind::Model, bytes.len())];
    while let Some(&(kind, end)) = open.last() {
        if at == end {
            open.pop();
            continue;
        }
        let key = varint(bytes, &mut at, end).ok_or_else(malformed)?;
        let (tag, wire) = (key >> 3, key & 7);
        let length = match wire {
            0 => {
                varint(bytes, &mut at, end).ok_or_else(malformed)?;
                // a number of a list that is not packed
                memory += if matches!(kind, Kind::Attribute | Kind::Tensor) {
                    8
                } else {
                    0
                };
                0
            }
            1 => 8,
            2 => varint(bytes, &mut at, end).ok_or_else(malformed)?,
            5 => 4,
            _ => return Err(malformed()),
        };
        let length = usize::try_from(length).map_err(|_| malformed())?;
        let next = at.checked_add(length).filter(|&next| next <= end);
        let next = next.ok_or_else(malformed)?;
        match kind.child(tag).filter(|_| wire == 2) {
            Some(child) => {
                memory += child.size();
                if matches!(child, Kind::Text) {
                    at = next;
                } else {
                    open.push((child, next));
                }
            }
            None => at = next,
        }
        if memory > MAX_BYTES {
            let what = "a model whose nodes and attributes take more than 2 GiB of memory";
            return Err(GraphError::Unsupported(what.into()));
        }
        if open.len() > MAX_DEPTH {
            let what = "a model nested too deeply";
            return Err(GraphError::Unsupported(what.into()));
        }
    }
    Ok(())
}

/// Reads a number of variable length that ends before `end`.
fn varint(bytes: &[u8], at: &mut usize, end: usize) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let byte = *bytes.get(*at..end)?.first()?;
        *at += 1;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}
