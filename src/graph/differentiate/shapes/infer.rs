//! What each operator makes of what is known of its inputs.
#![expect(clippy::unnecessary_wraps, reason = "the functions have one signature")]

use super::super::super::proto::{NodeProto, elem};
use super::size::product;
use super::{Dim, Facts, MAX_CONTENTS, Shapes, Size};

/// Most dimensions that are followed.
const MAX_RANK: usize = 16;

/// What is known of the outputs of a node; shorter than its outputs where nothing is.
pub(super) fn outputs(node: &NodeProto, shapes: &Shapes<'_>) -> Vec<Facts> {
    let call = Call { node, shapes };
    let mut facts = call.outputs().unwrap_or_default();
    for fact in &mut facts {
        fact.dims.take_if(|dims| dims.len() > MAX_RANK);
        fact.contents.take_if(|values| values.len() > MAX_CONTENTS);
    }
    facts
}

/// The axis as an index; `None` when it is out of range.
pub(in super::super) fn index_of(axis: i64, rank: usize) -> Option<usize> {
    let signed = i64::try_from(rank).ok()?;
    let axis = if axis < 0 {
        axis.checked_add(signed)?
    } else {
        axis
    };
    usize::try_from(axis).ok().filter(|&axis| axis < rank)
}

/// The dimensions of two operands broadcast together.
pub(in super::super) fn broadcast(a: &[Dim], b: &[Dim]) -> Vec<Dim> {
    let (long, short) = if a.len() < b.len() { (b, a) } else { (a, b) };
    let lead = long.len() - short.len();
    let joined = long[lead..].iter().zip(short).map(|(a, b)| {
        let number = |dim: &Dim| dim.as_ref().and_then(Size::number);
        match (number(a), number(b)) {
            (Some(1), _) => b.clone(),
            (_, Some(1)) | (Some(_), _) => a.clone(),
            (_, Some(_)) => b.clone(),
            _ if a == b => a.clone(),
            _ => None,
        }
    });
    long[..lead].iter().cloned().chain(joined).collect()
}

pub(super) struct Call<'a> {
    pub(super) node: &'a NodeProto,
    pub(super) shapes: &'a Shapes<'a>,
}

impl Call<'_> {
    pub(super) fn input(&self, index: usize) -> &Facts {
        self.shapes.facts(self.node.input_at(index).unwrap_or(""))
    }

    pub(super) fn dims(&self, index: usize) -> Option<&[Dim]> {
        self.input(index).dims.as_deref()
    }

    pub(super) fn integers(&self, index: usize) -> Option<Vec<i64>> {
        self.shapes.integers(self.node.input_at(index)?)
    }

    /// Axes given as attribute or as input `index`.
    pub(super) fn axes(&self, index: usize) -> Option<Vec<i64>> {
        match self.node.attribute("axes") {
            Some(axes) => Some(axes.ints.clone()),
            None => self.integers(index),
        }
    }

    fn one(elem: Option<i32>, dims: Option<Vec<Dim>>) -> Option<Vec<Facts>> {
        Some(vec![Facts::new(elem, dims)])
    }

    /// One output with the element type of the first input.
    pub(super) fn same_elem(&self, dims: Option<Vec<Dim>>) -> Option<Vec<Facts>> {
        Self::one(self.input(0).elem, dims)
    }

    fn outputs(&self) -> Option<Vec<Facts>> {
        let first = self.input(0);
        match self.node.op_type.as_str() {
            "Identity" => Some(vec![first.clone()]),
            "Abs"
            | "Neg"
            | "Sqrt"
            | "Reciprocal"
            | "Exp"
            | "Log"
            | "Erf"
            | "Sin"
            | "Cos"
            | "Sigmoid"
            | "Tanh"
            | "Relu"
            | "LeakyRelu"
            | "Gelu"
            | "FastGelu"
            | "QuickGelu"
            | "BiasGelu"
            | "Softplus"
            | "Softmax"
            | "LogSoftmax"
            | "Clip"
            | "Floor"
            | "Ceil"
            | "Round"
            | "Sign"
            | "Elu"
            | "HardSigmoid"
            | "HardSwish"
            | "Trilu"
            | "CumSum"
            | "ScatterElements"
            | "ScatterND"
            | "SimplifiedLayerNormalization"
            | "LayerNormalization"
            | "Dropout"
            | "SkipLayerNormalization"
            | "SkipSimplifiedLayerNormalization" => self.like_first(),
            "Not" | "IsNaN" | "IsInf" => Self::one(Some(elem::BOOL), first.dims.clone()),
            "And" | "Or" | "Xor" | "Greater" | "Less" | "GreaterOrEqual" | "LessOrEqual" => {
                Self::one(Some(elem::BOOL), self.broadcast_all())
            }
            "Equal" => self.equal(),
            "Add" | "Sub" | "Mul" | "Div" | "Pow" | "Mod" | "Max" | "Min" | "Sum" | "Mean"
            | "PRelu" => self.arithmetic(),
            "Where" => self.choose(),
            "Cast" => self.cast(),
            "MatMul" | "FusedMatMul" => self.same_elem(self.matmul()),
            "Gemm" => self.same_elem(self.gemm()),
            "Shape" => self.shape(),
            "Size" => self.size(),
            "Constant" => self.constant(),
            "ConstantOfShape" => self.constant_of_shape(),
            "Range" => self.range(),
            "Gather" => self.gather(),
            "GatherElements" => self.same_elem(self.dims(1).map(<[Dim]>::to_vec)),
            "GatherND" => self.same_elem(self.gather_nd()),
            "Slice" => self.slice(),
            "Split" => self.split(),
            "Concat" => self.concat(),
            "Reshape" => self.reshape(),
            "Flatten" => self.same_elem(self.flatten()),
            "Transpose" => self.same_elem(self.transpose()),
            "Squeeze" => self.squeeze(),
            "Unsqueeze" => self.unsqueeze(),
            "Expand" => self.same_elem(self.expand()),
            "Tile" => self.same_elem(self.tile()),
            "Pad" => self.same_elem(self.dims(0).map(|dims| vec![None; dims.len()])),
            "ArgMax" | "ArgMin" => Self::one(Some(elem::INT64), self.arg_reduced()),
            "SoftmaxCrossEntropyLoss" => self.cross_entropy(),
            "Attention" | "MultiHeadAttention" | "GroupQueryAttention" => self.attention(),
            "EmbedLayerNormalization" => self.embeddings(),
            name if name.starts_with("Reduce") => self.same_elem(self.reduced()),
            _ => None,
        }
    }

    /// The first output like the first input; further ones of norms and dropout.
    fn like_first(&self) -> Option<Vec<Facts>> {
        let first = self.input(0);
        let like = Facts::new(first.elem, first.dims.clone());
        let per_row = || {
            let mut row = like.clone();
            let axis = self.node.int("axis", -1);
            row.dims = row.dims.and_then(|mut dims| {
                let axis = index_of(axis, dims.len())?;
                dims[axis..].fill(Size::known(1));
                Some(dims)
            });
            row.elem = Some(elem::FLOAT);
            row
        };
        Some(match self.node.op_type.as_str() {
            "LayerNormalization" => vec![like.clone(), per_row(), per_row()],
            "SimplifiedLayerNormalization" => vec![like.clone(), per_row()],
            "SkipLayerNormalization" | "SkipSimplifiedLayerNormalization" => {
                vec![like.clone(), per_row(), per_row(), like]
            }
            "Dropout" => {
                let mask = Facts::new(Some(elem::BOOL), like.dims.clone());
                vec![like, mask]
            }
            _ => vec![like],
        })
    }

    fn broadcast_all(&self) -> Option<Vec<Dim>> {
        let mut joined = Vec::new();
        for index in 0..self.node.input.len() {
            joined = broadcast(&joined, self.dims(index)?);
        }
        Some(joined)
    }

    /// The contents of two operands side by side, a scalar repeated.
    fn contents_pairs(&self, a: usize, b: usize) -> Option<Vec<(&Dim, &Dim)>> {
        let (a, b) = (
            self.input(a).contents.as_ref()?,
            self.input(b).contents.as_ref()?,
        );
        let length = if a.len() == 1 { b.len() } else { a.len() };
        if (a.len() != 1 && a.len() != length) || (b.len() != 1 && b.len() != length) {
            return None;
        }
        let at = |values: &Vec<Dim>, i: usize| if values.len() == 1 { 0 } else { i };
        Some((0..length).map(|i| (&a[at(a, i)], &b[at(b, i)])).collect())
    }

    fn arithmetic(&self) -> Option<Vec<Facts>> {
        let mut facts = Facts::new(self.input(0).elem, self.broadcast_all());
        let combine = |a: &Size, b: &Size| match self.node.op_type.as_str() {
            "Add" => a.plus(b),
            "Sub" => a.minus(b),
            "Mul" => a.times(b),
            "Div" => a.over(b),
            _ => None,
        };
        if self.node.input.len() == 2 && facts.elem == Some(elem::INT64) {
            facts.contents = self.contents_pairs(0, 1).map(|pairs| {
                let combine = |(a, b): (&Dim, &Dim)| combine(a.as_ref()?, b.as_ref()?);
                pairs.into_iter().map(combine).collect()
            });
        }
        Some(vec![facts])
    }

    fn equal(&self) -> Option<Vec<Facts>> {
        let mut facts = Facts::new(Some(elem::BOOL), self.broadcast_all());
        let compare = |(a, b): (&Dim, &Dim)| {
            let (a, b) = (a.as_ref()?, b.as_ref()?);
            match (a.number(), b.number()) {
                (Some(a), Some(b)) => Size::known((a == b).into()),
                // a size is not negative
                (Some(number), None) | (None, Some(number)) if number < 0 => Size::known(0),
                _ if a == b => Size::known(1),
                _ => None,
            }
        };
        let pairs = self.contents_pairs(0, 1);
        facts.contents = pairs.map(|pairs| pairs.into_iter().map(compare).collect());
        Some(vec![facts])
    }

    fn choose(&self) -> Option<Vec<Facts>> {
        let mut facts = Facts::new(self.input(1).elem, self.broadcast_all());
        facts.contents = self.contents_pairs(1, 2).and_then(|pairs| {
            let tests = self.input(0).contents.as_ref()?;
            (tests.len() == pairs.len()).then_some(())?;
            let choose = |(test, (yes, no)): (&Dim, (&Dim, &Dim))| {
                let test = test.as_ref()?.number()?;
                if test == 0 { no.clone() } else { yes.clone() }
            };
            Some(tests.iter().zip(pairs).map(choose).collect())
        });
        Some(vec![facts])
    }

    fn cast(&self) -> Option<Vec<Facts>> {
        let to = i32::try_from(self.node.int("to", 0)).ok()?;
        let mut facts = self.input(0).clone();
        let integer = |elem: Option<i32>| matches!(elem, Some(elem::INT64 | elem::INT32));
        if !integer(facts.elem) || !integer(Some(to)) {
            facts.contents = None;
        }
        facts.elem = Some(to);
        Some(vec![facts])
    }

    fn matmul(&self) -> Option<Vec<Dim>> {
        let swapped = |index: usize, name: &str| {
            let mut dims = self.dims(index)?.to_vec();
            if self.node.int(name, 0) != 0 && dims.len() > 1 {
                let last = dims.len() - 1;
                dims.swap(last - 1, last);
            }
            Some(dims)
        };
        if self.node.int("transBatchA", 0) != 0 || self.node.int("transBatchB", 0) != 0 {
            return self.dims(0).map(|dims| vec![None; dims.len()]);
        }
        let (mut a, mut b) = (swapped(0, "transA")?, swapped(1, "transB")?);
        let (row, column) = (a.len() == 1, b.len() == 1);
        if row {
            a.insert(0, Size::known(1));
        }
        if column {
            b.push(Size::known(1));
        }
        let (batch_a, batch_b) = (a.len().checked_sub(2)?, b.len().checked_sub(2)?);
        let mut dims = broadcast(&a[..batch_a], &b[..batch_b]);
        if !row {
            dims.push(a[batch_a].clone());
        }
        if !column {
            dims.push(b[batch_b + 1].clone());
        }
        Some(dims)
    }

    fn gemm(&self) -> Option<Vec<Dim>> {
        let [a, b] = [(0, "transA"), (1, "transB")].map(|(index, name)| {
            let dims = self.dims(index).filter(|dims| dims.len() == 2)?;
            let turned = self.node.int(name, 0) != 0;
            Some(if turned {
                [&dims[1], &dims[0]]
            } else {
                [&dims[0], &dims[1]]
            })
        });
        Some(vec![a?[0].clone(), b?[1].clone()])
    }

    fn shape(&self) -> Option<Vec<Facts>> {
        let mut facts = Facts::new(Some(elem::INT64), Some(vec![None]));
        if let Some(dims) = self.dims(0) {
            let rank = i64::try_from(dims.len()).ok()?;
            let bound = |name: &str, default: i64| {
                let at = self.node.int(name, default);
                let at = if at < 0 { at.saturating_add(rank) } else { at };
                usize::try_from(at.clamp(0, rank)).ok()
            };
            let (start, end) = (bound("start", 0)?, bound("end", rank)?);
            let part = dims.get(start..end.max(start))?;
            facts.dims = Some(vec![Size::known(i64::try_from(part.len()).ok()?)]);
            facts.contents = Some(part.to_vec());
        }
        Some(vec![facts])
    }

    fn size(&self) -> Option<Vec<Facts>> {
        let mut facts = Facts::new(Some(elem::INT64), Some(Vec::new()));
        facts.contents = self.dims(0).map(|dims| vec![product(dims)]);
        Some(vec![facts])
    }

    /// A constant that is not a tensor; those are known already.
    fn constant(&self) -> Option<Vec<Facts>> {
        let length = |values: usize| i64::try_from(values).ok().and_then(Size::known);
        let attribute = self.node.attribute.first()?;
        let mut facts = Facts::default();
        match attribute.name.as_str() {
            "value_int" => {
                facts = Facts::new(Some(elem::INT64), Some(Vec::new()));
                facts.contents = Some(vec![Size::known(attribute.i)]);
            }
            "value_ints" => {
                let values = &attribute.ints;
                facts = Facts::new(Some(elem::INT64), Some(vec![length(values.len())]));
                facts.contents = Some(values.iter().map(|&value| Size::known(value)).collect());
            }
            "value_float" => facts = Facts::new(Some(elem::FLOAT), Some(Vec::new())),
            "value_floats" => {
                let dims = vec![length(attribute.floats.len())];
                facts = Facts::new(Some(elem::FLOAT), Some(dims));
            }
            _ => {}
        }
        Some(vec![facts])
    }

    fn constant_of_shape(&self) -> Option<Vec<Facts>> {
        let value = self.node.attribute("value").and_then(|a| a.t.as_ref());
        let elem = value.map_or(elem::FLOAT, |tensor| tensor.data_type);
        let mut facts = Facts::new(Some(elem), self.as_dims(0));
        if let (Some([length]), elem::INT64) = (facts.dims.as_deref(), elem) {
            let length = length.as_ref().and_then(Size::number).unwrap_or(-1);
            let length = usize::try_from(length).ok().filter(|&n| n <= MAX_CONTENTS);
            let value = value.and_then(|tensor| tensor.to_i64().ok());
            let value = value.map_or(Some(0), |values| values.first().copied());
            facts.contents = length.zip(value).map(|(n, v)| vec![Size::known(v); n]);
        }
        Some(vec![facts])
    }

    /// The contents of an input as dimensions; unknown ones when only their number is known.
    pub(super) fn as_dims(&self, index: usize) -> Option<Vec<Dim>> {
        let facts = self.input(index);
        facts.contents.clone().or_else(|| {
            let rank = facts.dims.as_ref()?.first()?.as_ref()?.number()?;
            let rank = usize::try_from(rank)
                .ok()
                .filter(|&rank| rank <= MAX_RANK)?;
            Some(vec![None; rank])
        })
    }

    fn range(&self) -> Option<Vec<Facts>> {
        let value = |index: usize| self.input(index).contents.as_ref()?.first()?.clone();
        let length = match (value(0), value(1), value(2)) {
            (Some(start), Some(end), Some(step)) if step.number() == Some(1) => end.minus(&start),
            _ => None,
        };
        self.same_elem(Some(vec![length]))
    }

    fn arg_reduced(&self) -> Option<Vec<Dim>> {
        let mut dims = self.dims(0)?.to_vec();
        let axis = index_of(self.node.int("axis", 0), dims.len())?;
        if self.node.int("keepdims", 1) != 0 {
            dims[axis] = Size::known(1);
        } else {
            dims.remove(axis);
        }
        Some(dims)
    }

    fn reduced(&self) -> Option<Vec<Dim>> {
        let dims = self.dims(0)?;
        let keep = self.node.int("keepdims", 1) != 0;
        let named = self.node.attribute("axes").is_some() || self.node.input_at(1).is_some();
        let axes = if named {
            self.axes(1)
        } else {
            Some(Vec::new())
        };
        let Some(axes) = axes else {
            return keep.then(|| vec![None; dims.len()]);
        };
        if axes.is_empty() && self.node.int("noop_with_empty_axes", 0) != 0 {
            return Some(dims.to_vec());
        }
        let mut gone = vec![axes.is_empty(); dims.len()];
        for axis in axes {
            gone[index_of(axis, dims.len())?] = true;
        }
        let slots = dims.iter().zip(gone);
        Some(if keep {
            slots
                .map(|(dim, gone)| if gone { Size::known(1) } else { dim.clone() })
                .collect()
        } else {
            slots
                .filter(|(_, gone)| !gone)
                .map(|(dim, _)| dim.clone())
                .collect()
        })
    }

    /// Rows and tokens as in the first input.
    fn attention(&self) -> Option<Vec<Facts>> {
        let dims = self.dims(0).filter(|dims| dims.len() == 3)?;
        self.same_elem(Some(vec![dims[0].clone(), dims[1].clone(), None]))
    }

    /// Rows and tokens of the ids, the width of the table of words.
    fn embeddings(&self) -> Option<Vec<Facts>> {
        let width = self.dims(2)?.last()?.clone();
        let dims = self.dims(0)?.iter().cloned().chain([width]).collect();
        Self::one(self.input(2).elem, Some(dims))
    }

    fn cross_entropy(&self) -> Option<Vec<Facts>> {
        let scores = self.input(0);
        let each = self
            .node
            .attribute("reduction")
            .is_some_and(|a| a.s == b"none");
        let loss = if each {
            self.dims(1).map(<[Dim]>::to_vec)
        } else {
            Some(Vec::new())
        };
        let log_p = Facts::new(scores.elem, scores.dims.clone());
        Some(vec![Facts::new(scores.elem, loss), log_p])
    }
}
